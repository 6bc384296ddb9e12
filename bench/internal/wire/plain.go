package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// AskPlain tells a sender without a protocol at which ports the viewer awaits
// video and audio by UDP.
func AskPlain(conn net.Conn, video, audio int) error {
	b := binary.BigEndian.AppendUint16(nil, uint16(video))
	if _, err := conn.Write(binary.BigEndian.AppendUint16(b, uint16(audio))); err != nil {
		return fmt.Errorf("wire: ports: %w", err)
	}
	return nil
}

// ReadPlain reads what AskPlain wrote.
func ReadPlain(conn net.Conn) (video, audio int, err error) {
	var b [4]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return 0, 0, fmt.Errorf("wire: ports: %w", err)
	}
	return int(binary.BigEndian.Uint16(b[:])), int(binary.BigEndian.Uint16(b[2:])), nil
}
