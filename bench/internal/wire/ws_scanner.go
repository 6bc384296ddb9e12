package wire

import (
	"encoding/binary"
	"fmt"
)

// A WSScanner takes the frames off a WebSocket stream from a server (RFC 6455,
// section 5.2) and hands the payload on.
type WSScanner struct {
	next   Scanner
	header [10]byte
	have   int
	want   uint64 // bytes of the payload to come
	data   bool   // the payload is of a data frame
}

// NewWSScanner returns a scanner that passes the payload of data frames to next.
func NewWSScanner(next Scanner) *WSScanner { return &WSScanner{next: next} }

// Scan implements Scanner.
func (s *WSScanner) Scan(b []byte) error {
	for len(b) > 0 {
		if s.want > 0 {
			n := int(min(s.want, uint64(len(b))))
			if s.data {
				if err := s.next.Scan(b[:n]); err != nil {
					return err
				}
			}
			s.want -= uint64(n)
			b = b[n:]
			continue
		}
		s.header[s.have] = b[0]
		s.have++
		b = b[1:]
		if s.have < 2 || s.have < s.headerSize() {
			continue
		}
		switch op := s.header[0] & 15; op {
		case 0, 1, 2:
			s.data = true
		case 9, 10:
			s.data = false
		default:
			return fmt.Errorf("wire: WebSocket frame with opcode %d", op)
		}
		switch s.headerSize() {
		case 2:
			s.want = uint64(s.header[1] & 127)
		case 4:
			s.want = uint64(binary.BigEndian.Uint16(s.header[2:]))
		case 10:
			s.want = binary.BigEndian.Uint64(s.header[2:])
		}
		if s.header[1]&128 != 0 {
			return fmt.Errorf("wire: masked WebSocket frame from a server")
		}
		s.have = 0
	}
	return nil
}

// headerSize returns the size of the header whose first two bytes are there.
func (s *WSScanner) headerSize() int {
	switch s.header[1] & 127 {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}
