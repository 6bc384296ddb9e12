package memnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/internal/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPipe sends bytes through buffers of different sizes, both ways at once.
func TestPipe(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 1000)
	for _, size := range []int{1, 7, 4096, 0} {
		synctest.Test(t, func(t *testing.T) {
			a, b := memnet.Pipe(size)
			for _, c := range [][2]*memnet.Conn{{a, b}, {b, a}} {
				go func() {
					n, err := c[0].Write(want)
					require.NoError(t, err)
					require.Equal(t, len(want), n)
					require.NoError(t, c[0].CloseWrite())
					require.ErrorIs(t, c[0].CloseWrite(), net.ErrClosed)
					_, err = c[0].Write([]byte{1})
					require.ErrorIs(t, err, net.ErrClosed)
				}()
			}
			for _, c := range []*memnet.Conn{a, b} {
				got, err := io.ReadAll(c)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			require.NoError(t, a.Close())
			require.NoError(t, b.Close())
			require.ErrorIs(t, b.Close(), net.ErrClosed)
		})
	}
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(4)
		start := time.Now()
		require.NoError(t, a.SetDeadline(start.Add(time.Second)))
		n, err := a.Write([]byte("123456"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 4, n)
		_, err = a.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		var timeout net.Error
		require.True(t, errors.As(err, &timeout) && timeout.Timeout())

		require.NoError(t, a.SetDeadline(time.Now().Add(time.Second)))
		require.NoError(t, a.SetDeadline(time.Time{}))
		require.Equal(t, 4, b.Buffered())
		require.NoError(t, a.SetWriteBuffer(6))
		n, err = a.Write([]byte("56"))
		require.NoError(t, err)
		require.Equal(t, 2, n)
		time.Sleep(2 * time.Second)
		got := make([]byte, 6)
		_, err = io.ReadFull(b, got)
		require.NoError(t, err)
		require.Equal(t, "123456", string(got))

		require.NoError(t, b.SetReadDeadline(time.Now()))
		_, err = b.Read(got)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, a.Close())
		require.ErrorIs(t, a.SetDeadline(time.Time{}), net.ErrClosed)
	})
}

// TestClose looks at what either side sees when one closes.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(4)
		_, err := a.Write([]byte("bye"))
		require.NoError(t, err)
		c, _ := memnet.Pipe(4)
		writing, reading := make(chan error), make(chan error)
		go func() { _, err := b.Write([]byte("too long")); writing <- err }()
		go func() { _, err := c.Read(make([]byte, 1)); reading <- err }()
		synctest.Wait()
		require.NoError(t, a.Close())
		require.ErrorIs(t, <-writing, io.ErrClosedPipe)
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-reading, net.ErrClosed)
		got, err := io.ReadAll(b)
		require.NoError(t, err)
		require.Equal(t, "bye", string(got))
	})
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := memnet.Listen(0)
		go func() {
			c, err := ln.DialContext(t.Context(), "tcp", "anywhere:1")
			require.NoError(t, err)
			_, err = c.Write([]byte(c.LocalAddr().String()))
			require.NoError(t, err)
			require.Equal(t, ln.Addr(), c.RemoteAddr())
			require.NoError(t, c.Close())
		}()
		c, err := ln.Accept()
		require.NoError(t, err)
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, c.RemoteAddr().String(), string(got))
		require.Equal(t, "mem", c.RemoteAddr().Network())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = ln.Dial(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, ln.Close())
		_, err = ln.Dial(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = ln.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}
