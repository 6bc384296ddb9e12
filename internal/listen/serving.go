package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"
)

// farewell is how long those who take their leave may take.
const farewell = 2 * time.Second

// ErrPanic is what ends a session whose code panicked.
var ErrPanic = errors.New("internal error")

// A Serving is one call of Serve.
type Serving struct {
	*Server
	ctx      context.Context
	sessions sync.WaitGroup

	mu    sync.Mutex          // guards what follows
	conns map[net.Conn]func() // how each takes its leave; nil: it is closed
	over  bool                // everybody was told to go
}

// Context returns a context that ends when everybody has to go.
func (v *Serving) Context() context.Context { return v.ctx }

// Go calls f in a goroutine that Serve waits for.
func (v *Serving) Go(f func()) { v.sessions.Go(f) }

// admit starts the session of a connection, or closes it if there are too many.
func (v *Serving) admit(nc net.Conn, session func(*Serving, net.Conn)) {
	if n := v.Server.conns.Add(1); v.maxConns > 0 && n > v.maxConns || !v.count(nc, +1) {
		v.Server.conns.Add(-1)
		v.rejected.Add(1)
		_ = nc.Close()
		v.Print(slog.LevelWarn, "too many connections", "remote", nc.RemoteAddr())
		return
	}
	v.accepted.Add(1)
	v.mu.Lock()
	v.conns[nc] = nil
	v.mu.Unlock()
	v.sessions.Go(func() { session(v, nc) })
}

// OnLeave says what is to be done instead of closing nc when everybody has to
// go: leave must not wait, and let the session end soon.
func (v *Serving) OnLeave(nc net.Conn, leave func()) {
	v.mu.Lock()
	over := v.over
	if _, ok := v.conns[nc]; ok {
		v.conns[nc] = leave
	}
	v.mu.Unlock()
	if over {
		leave()
	}
}

// Release closes a connection, whose session has ended.
func (v *Serving) Release(nc net.Conn) {
	_ = nc.Close()
	v.mu.Lock()
	delete(v.conns, nc)
	v.mu.Unlock()
	v.count(nc, -1)
	v.Server.conns.Add(-1)
}

// dismiss ends all sessions and waits for them.
func (v *Serving) dismiss() {
	v.mu.Lock()
	v.over = true
	for nc, leave := range v.conns {
		if leave != nil {
			leave()
		} else {
			_ = nc.Close()
		}
	}
	v.mu.Unlock()
	late := time.AfterFunc(farewell, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		for nc := range v.conns {
			_ = nc.Close()
		}
	})
	defer late.Stop()
	v.sessions.Wait()
}

// Guard calls f for the session of nc. A panic ends that session and no other:
// it is logged, counted and returned as [ErrPanic].
func (v *Serving) Guard(nc net.Conn, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			v.panics.Add(1)
			stack := make([]byte, 16<<10)
			stack = stack[:runtime.Stack(stack, false)]
			v.Print(slog.LevelError, "panic", "remote", nc.RemoteAddr(), "panic", p, "stack", string(stack))
			err = ErrPanic
		}
	}()
	return f()
}

// KeepAlive makes the system find out when the peer has gone without a word.
func KeepAlive(nc net.Conn) {
	if t, ok := nc.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	}); ok {
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3})
	}
}
