package ps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/ps/internal/framing"
	"github.com/mediakit-go/mediakit/source"
)

// Bounds of a connection.
const (
	connBuffer    = 16 << 10 // bytes read at once
	beginTimeout  = 10 * time.Second
	packetTimeout = 10 * time.Second // for a packet to become whole
)

// Why connections are closed.
var (
	errSilent  = fmt.Errorf("ps: %w: no stream has begun", source.ErrTimeout)
	errPartial = fmt.Errorf("ps: %w: a packet does not become whole", source.ErrTimeout)
	errForeign = fmt.Errorf("ps: %w: somebody else sends it", source.ErrBusy)
)

// A tcpConn finds the packets that come on a connection.
type tcpConn struct {
	roster *roster
	nc     net.Conn
	link   *tcpLink
	wanted bool // we have opened it: it may be silent as long as it likes

	parser framing.Parser
	now    time.Time
	whole  time.Time   // when the last packet became whole
	moved  time.Time   // when the deadline was last moved
	mine   []*Session  // that packets were admitted to, the latest ones
	begun  atomic.Bool // one of them has
	err    error       // what a packet has led to
}

// newConn returns a tcpConn that starts goroutines with goes.
func (r *roster) newConn(nc net.Conn, goes func(func())) *tcpConn {
	return &tcpConn{roster: r, nc: nc, link: &tcpLink{nc: nc, goes: goes}}
}

// read takes in packets until the connection ends, and then ends what came on it,
// for the reason that because makes of the one there is.
func (c *tcpConn) read(because func(error) error) error {
	err := listen.ErrPanic // unless loop returns
	defer func() {
		c.link.hangUp()
		c.roster.remove(c, because(err))
	}()
	err = c.loop()
	c.roster.print(slog.LevelDebug, "connection ended", "remote", c.nc.RemoteAddr(), "error", err)
	return err
}

// loop takes in packets until reading fails.
func (c *tcpConn) loop() error {
	c.now = time.Now()
	c.whole = c.now
	if !c.wanted {
		_ = c.nc.SetReadDeadline(c.now.Add(beginTimeout))
	}
	b := make([]byte, connBuffer)
	for {
		n, err := c.nc.Read(b)
		c.now = time.Now()
		if n > 0 {
			if err := c.parser.Push(b[:n], c.take); err != nil {
				return fmt.Errorf("ps: %w", err)
			}
			if c.err != nil {
				return c.err
			}
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.parser.Flush(c.take)
			return io.ErrUnexpectedEOF
		}
		if c.parser.Waiting() && c.now.Sub(c.whole) >= packetTimeout {
			return errPartial
		}
		if !c.extend(err != nil) {
			return errSilent
		}
	}
}

// extend moves the deadline, when it has passed or from time to time, once
// something has begun; else it reports whether it has not passed. From then on it is
// there to look after packets that do not become whole: the silence of a session is
// its own matter.
func (c *tcpConn) extend(passed bool) bool {
	if !c.begun.Load() && !c.wanted {
		if !c.hasBegun() {
			return !passed
		}
		c.begun.Store(true)
	}
	const often = time.Second
	if passed || c.now.Sub(c.moved) >= often {
		c.moved = c.now
		_ = c.nc.SetReadDeadline(c.now.Add(packetTimeout))
	}
	return true
}

// hasBegun reports whether a session of c has.
func (c *tcpConn) hasBegun() bool {
	return slices.ContainsFunc(c.mine, (*Session).begun)
}

// take takes in a packet; lost tells that some before it may be missing.
func (c *tcpConn) take(b []byte, lost bool) {
	c.whole = c.now
	if c.err != nil {
		return
	}
	if lost {
		for _, s := range c.mine {
			s.lose()
		}
	}
	o := origin{conn: c}
	if framing.IsRTCP(b) {
		if s := c.roster.of(o, binary.BigEndian.Uint32(b[4:])); s != nil {
			s.control(b, c.now)
		}
		return
	}
	if len(c.mine) == 0 {
		c.link.frame(c.parser.Form(), c.parser.Channel())
	}
	s, a := c.roster.find(o, b, c.now)
	switch a {
	case admitted:
		c.know(s)
		s.take(b, c.now)
	case foreign:
		if len(c.mine) == 0 {
			c.err = errForeign
		}
	}
}

// know remembers a session.
func (c *tcpConn) know(s *Session) {
	if n := len(c.mine); n > 0 && c.mine[n-1] == s || slices.Contains(c.mine, s) {
		return
	}
	const most = 16
	c.mine = append(c.mine[max(0, len(c.mine)-most+1):], s)
}
