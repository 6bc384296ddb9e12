package listen

import (
	"io"
	"net"
	"time"
)

// WriteTimeout is how long a peer may take to take an answer.
const WriteTimeout = 10 * time.Second

// keptMemory is what is kept for the next answers, at most.
const keptMemory = 4096

// Flush writes the answers in out. The peer has WriteTimeout to take them, and no
// longer than until, if that is not zero. It returns memory for the next ones.
func Flush(nc net.Conn, out []byte, until time.Time) ([]byte, error) {
	if len(out) == 0 {
		return out, nil
	}
	deadline := time.Now().Add(WriteTimeout)
	if !until.IsZero() && until.Before(deadline) {
		deadline = until
	}
	_ = nc.SetWriteDeadline(deadline)
	_, err := nc.Write(out)
	if cap(out) > keptMemory {
		return nil, err
	}
	return out[:0], err
}

// HangUp ends a connection so that the peer can read what was written: a close
// while bytes of the peer are unread would reset it. A peer that said goodbye may
// close first; GStreamer takes it for an error if we do.
func HangUp(nc net.Conn, goodbye bool) {
	const wait, most = time.Second, 256 << 10
	if !goodbye {
		if w, ok := nc.(interface{ CloseWrite() error }); !ok || w.CloseWrite() != nil {
			return
		}
	}
	_ = nc.SetReadDeadline(time.Now().Add(wait))
	_, _ = io.CopyN(io.Discard, nc, most)
}
