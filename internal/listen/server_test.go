package listen

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
)

// echo is a session that sends back what it reads.
func echo(v *Serving, nc net.Conn) {
	defer v.Release(nc)
	_, _ = io.Copy(nc, nc)
}

// serving serves in memory while body runs, in virtual time.
func serving(t *testing.T, s *Server, session func(*Serving, net.Conn), body func(t *testing.T, ln *memnet.Listener, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := memnet.Listen(1 << 10)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Serve(ctx, ln, session) }()
		body(t, ln, cancel)
		cancel()
		require.NoError(t, <-done)
		require.Zero(t, s.Stats().Conns)
	})
}

func dial(t *testing.T, ln *memnet.Listener) *memnet.Conn {
	t.Helper()
	c, err := ln.Dial(t.Context())
	require.NoError(t, err)
	return c
}

// answers reports whether somebody sends back what is written to c.
func answers(c net.Conn) bool {
	b := []byte{42}
	if _, err := c.Write(b); err != nil {
		return false
	}
	_, err := io.ReadFull(c, b)
	return err == nil
}

func TestLimits(t *testing.T) {
	s := &Server{Name: "test", MaxConns: 2}
	serving(t, s, echo, func(t *testing.T, ln *memnet.Listener, _ func()) {
		a, b := dial(t, ln), dial(t, ln)
		require.False(t, answers(dial(t, ln)), "one too many")
		require.True(t, answers(a) && answers(b))
		require.NoError(t, a.Close())
		synctest.Wait()
		require.True(t, answers(dial(t, ln)))
		require.Equal(t, Stats{Conns: 2, Accepted: 3, Rejected: 1}, s.Stats())
	})
}

// TestLimitPerAddr: loopback connections come from one address.
func TestLimitPerAddr(t *testing.T) {
	s := &Server{Name: "test", MaxConns: -1, MaxConnsPerAddr: 1}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, ln, echo) }()
	open := func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	a := open()
	require.True(t, answers(a))
	require.False(t, answers(open()))
	require.NoError(t, a.Close())
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
	require.True(t, answers(open()))
	cancel()
	require.NoError(t, <-done)
	require.Empty(t, s.perAddr)
}

// A panic ends its session, is logged with the stack, and counted.
func TestGuard(t *testing.T) {
	var log bytes.Buffer
	s := &Server{Name: "test", Logger: slog.New(slog.NewTextHandler(&log, nil))}
	var got atomic.Value
	session := func(v *Serving, nc net.Conn) {
		defer v.Release(nc)
		got.Store(v.Guard(nc, func() error { panic("oops") }))
	}
	serving(t, s, session, func(t *testing.T, ln *memnet.Listener, _ func()) {
		_, err := dial(t, ln).Read(make([]byte, 1))
		require.Error(t, err)
		synctest.Wait()
		require.Equal(t, ErrPanic, got.Load())
		require.EqualValues(t, 1, s.Stats().Panics)
	})
	require.Contains(t, log.String(), "test: panic")
	require.Contains(t, log.String(), "TestGuard")
}

// Who has said how takes its leave, up to two seconds; the others are cut.
func TestLeave(t *testing.T) {
	session := func(v *Serving, nc net.Conn) {
		defer v.Release(nc)
		b := make([]byte, 1)
		_, _ = io.ReadFull(nc, b)
		switch b[0] {
		case 'p': // is polite
			left := make(chan struct{})
			v.OnLeave(nc, func() { close(left) })
			<-left
			_, _ = nc.Write([]byte("bye"))
		case 's': // is stubborn
			v.OnLeave(nc, func() {})
			_, _ = io.Copy(nc, nc)
		default:
			_, _ = io.Copy(nc, nc)
		}
	}
	serving(t, &Server{}, session, func(t *testing.T, ln *memnet.Listener, stop func()) {
		ends := map[string]time.Duration{}
		conns := map[string]net.Conn{}
		for _, kind := range []string{"polite", "stubborn", "quiet"} {
			conns[kind] = dial(t, ln)
			_, err := conns[kind].Write([]byte(kind[:1]))
			require.NoError(t, err)
		}
		synctest.Wait()
		began := time.Now()
		stop()
		for _, kind := range []string{"quiet", "polite", "stubborn"} {
			b, _ := io.ReadAll(conns[kind])
			require.Equal(t, kind == "polite", string(b) == "bye", kind)
			ends[kind] = time.Since(began)
		}
		require.Equal(t, map[string]time.Duration{"quiet": 0, "polite": 0, "stubborn": farewell}, ends)
	})
}

// TestLateLeave: who says how to leave when everybody has to is told at once.
func TestLateLeave(t *testing.T) {
	var told atomic.Bool
	session := func(v *Serving, nc net.Conn) {
		defer v.Release(nc)
		<-v.Context().Done()
		_, _ = io.Copy(io.Discard, nc) // until it is closed
		v.OnLeave(nc, func() { told.Store(true) })
	}
	serving(t, &Server{}, session, func(t *testing.T, ln *memnet.Listener, stop func()) {
		dial(t, ln)
		stop()
		synctest.Wait()
		require.True(t, told.Load())
	})
}

// A faultyListener fails now and then.
type faultyListener struct {
	*memnet.Listener
	errs chan error
}

func (l *faultyListener) Accept() (net.Conn, error) {
	type result struct {
		net.Conn
		error
	}
	got := make(chan result, 1)
	go func() {
		c, err := l.Listener.Accept()
		got <- result{c, err}
	}()
	select {
	case err := <-l.errs:
		return nil, err
	case r := <-got:
		return r.Conn, r.error
	}
}

// TestBackoff: without descriptors the server waits longer and longer, up to a
// second; other errors are final.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &faultyListener{memnet.Listen(1), make(chan error)}
		done := make(chan error, 1)
		go func() { done <- new(Server).Serve(t.Context(), ln, echo) }()
		emfile := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
		var waits []time.Duration
		for range 10 {
			began := time.Now()
			ln.errs <- emfile
			synctest.Wait()
			waits = append(waits, time.Since(began))
		}
		require.Equal(t, []time.Duration{0, 5 * time.Millisecond, 10 * time.Millisecond}, waits[:3])
		require.Equal(t, time.Second, waits[9])
		broken := errors.New("broken")
		ln.errs <- broken
		require.Equal(t, broken, <-done)
		_, err := ln.Dial(t.Context())
		require.ErrorIs(t, err, net.ErrClosed, "the listener is left open")
	})
}

// TestCompute: only so many compute at once, and who waits for a place can give up.
func TestCompute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Server
		hold := make(chan struct{})
		var busy atomic.Int32
		s.init()
		for range cap(s.work) {
			go func() { _ = s.Compute(t.Context(), func() { busy.Add(1); <-hold }) }()
		}
		synctest.Wait()
		require.EqualValues(t, cap(s.work), busy.Load())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.Compute(ctx, func() { t.Error("computed") }), context.DeadlineExceeded)
		close(hold)
		ran := false
		require.NoError(t, s.Compute(t.Context(), func() { ran = true }))
		require.True(t, ran)
	})
}

// TestPatience: who is silent for too long is given up, who speaks is not.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(1 << 10)
		defer a.Close()
		defer b.Close()
		p := Patience{Silence: 10 * time.Second}
		began := time.Now()
		go func() {
			for range 5 {
				_, _ = a.Write([]byte{1})
				time.Sleep(9 * time.Second)
			}
		}()
		for range 5 {
			_, err := p.Read(b, make([]byte, 1))
			require.NoError(t, err)
		}
		_, err := p.Read(b, make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.InDelta(t, 46*time.Second, time.Since(began), float64(time.Second))
		time.Sleep(time.Minute)
	})
}

// TestHear: what comes is handed over in order, until that fails or panics.
func TestHear(t *testing.T) {
	var said atomic.Value
	session := func(v *Serving, nc net.Conn) {
		defer v.Release(nc)
		var all []byte
		err := v.Hear(nc, nc, make([]byte, 2), func(b []byte) error {
			all = append(all, b...)
			switch {
			case bytes.HasSuffix(all, []byte("end")):
				return errors.New(string(all))
			case bytes.HasSuffix(all, []byte("panic")):
				panic("heard it")
			}
			return nil
		})
		said.Store(err.Error())
	}
	for _, c := range []struct{ say, want string }{{"this is the end", "this is the end"}, {"panic", ErrPanic.Error()}, {"and then", io.EOF.Error()}} {
		s := &Server{}
		serving(t, s, session, func(t *testing.T, ln *memnet.Listener, _ func()) {
			nc := dial(t, ln)
			_, _ = nc.Write([]byte(c.say))
			synctest.Wait()
			_ = nc.Close()
			synctest.Wait() // the server's stop closes the session's end, too: it is to have heard by then
		})
		require.Equal(t, c.want, said.Load())
	}
}
