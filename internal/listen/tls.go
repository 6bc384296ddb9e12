package listen

import (
	"context"
	"crypto/tls"
	"net"
)

// TLS does the handshake of TLS on nc, holding a place among those who compute
// only while there is something to compute. Time is limited by nc's deadline.
func (s *Server) TLS(ctx context.Context, nc net.Conn, config *tls.Config) (*tls.Conn, error) {
	s.init()
	g := &gate{Conn: nc, work: s.work}
	t := tls.Server(g, config)
	s.work <- struct{}{}
	err := t.HandshakeContext(ctx)
	<-s.work
	g.open = true
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Compute calls f, which takes the processor for some time, when fewer than
// four times as many as there are processors do so. It fails when ctx ends before.
func (s *Server) Compute(ctx context.Context, f func()) error {
	s.init()
	select {
	case s.work <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.work }()
	f()
	return nil
}

// A gate is a connection whose reader gives up its place in work while it
// waits, until the gate is open.
type gate struct {
	net.Conn
	work chan struct{}
	open bool
}

func (g *gate) Read(b []byte) (int, error) {
	if !g.open {
		<-g.work
		defer func() { g.work <- struct{}{} }()
	}
	return g.Conn.Read(b)
}

// NetConn returns the connection behind the gate.
func (g *gate) NetConn() net.Conn { return g.Conn }

// CloseWrite is what a TLS connection calls when it has said goodbye.
func (g *gate) CloseWrite() error {
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
