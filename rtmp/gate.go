package rtmp

import "net"

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

// CloseWrite is what a TLS connection calls when it has said goodbye.
func (g *gate) CloseWrite() error {
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
