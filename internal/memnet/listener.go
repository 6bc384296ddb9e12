package memnet

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// A Listener is a net.Listener whose connections are made by its Dial.
type Listener struct {
	size    int
	dialled atomic.Uint64
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

var _ net.Listener = (*Listener)(nil)

// Listen returns a Listener whose connections buffer size bytes each way.
func Listen(size int) *Listener {
	return &Listener{size: size, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial returns the client's side of a new connection once the other side was
// accepted.
func (l *Listener) Dial(ctx context.Context) (*Conn, error) {
	client, server := pipe(l.size, Addr(fmt.Sprintf("client:%d", l.dialled.Add(1))), l.addr())
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, fmt.Errorf("memnet: dial: %w", net.ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("memnet: dial: %w", context.Cause(ctx))
	}
}

// DialContext is Dial in the form of net.Dialer's; it goes to l whatever the
// address.
func (l *Listener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := l.Dial(ctx)
	if err != nil {
		return nil, err // not a nil *Conn
	}
	return c, nil
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, fmt.Errorf("memnet: accept: %w", net.ErrClosed)
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() { close(l.closed); err = nil })
	return err
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr() }

func (l *Listener) addr() Addr { return "server:1" }
