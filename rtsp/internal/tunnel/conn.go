package tunnel

import (
	"errors"
	"net"
	"time"
)

// A Conn is a tunnel as a connection. Read decodes what comes in the POST, Write
// writes what the GET is answered with.
type Conn struct {
	Out  net.Conn // the GET's connection, as it was accepted: for who writes to it in ways of his own
	in   net.Conn // the POST's
	body decoder  // reads in
}

// Read reads what the client says.
func (c *Conn) Read(b []byte) (int, error) { return c.body.Read(b) }

// Write says something to the client.
func (c *Conn) Write(b []byte) (int, error) { return c.Out.Write(b) }

// Close closes both connections.
func (c *Conn) Close() error { return errors.Join(c.Out.Close(), c.in.Close()) }

// NetConn returns Out: what is set for writing is to be set there.
func (c *Conn) NetConn() net.Conn { return c.Out }

// LocalAddr returns our address.
func (c *Conn) LocalAddr() net.Addr { return c.Out.LocalAddr() }

// RemoteAddr returns the address that the GET came from.
func (c *Conn) RemoteAddr() net.Addr { return c.Out.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.in.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of Write.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.Out.SetWriteDeadline(t) }
