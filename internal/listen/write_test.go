package listen

import (
	"bytes"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
)

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(8)
		defer a.Close()
		defer b.Close()
		out, err := Flush(a, append(make([]byte, 0, keptMemory), "answer"...), time.Time{})
		require.NoError(t, err)
		require.Empty(t, out)
		require.Equal(t, keptMemory, cap(out), "memory is kept")
		got := make([]byte, 6)
		_, err = io.ReadFull(b, got)
		require.NoError(t, err)
		require.Equal(t, "answer", string(got))

		began := time.Now()
		large := bytes.Repeat([]byte("x"), keptMemory+1)
		out, err = Flush(a, large, time.Time{})
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Nil(t, out, "much memory is not")
		require.Equal(t, WriteTimeout, time.Since(began))
		_, err = Flush(a, large, time.Now().Add(time.Second))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, WriteTimeout+time.Second, time.Since(began))
		_, err = Flush(a, nil, began)
		require.NoError(t, err)
	})
}

// TestHangUp: whoever said goodbye has a moment to close first.
func TestHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, closes := range []bool{true, false} {
			a, b := memnet.Pipe(64)
			began := time.Now()
			_, _ = b.Write([]byte("unread"))
			if closes {
				time.AfterFunc(100*time.Millisecond, func() { _ = b.Close() })
			}
			HangUp(a, true)
			if closes {
				require.Equal(t, 100*time.Millisecond, time.Since(began))
			} else {
				require.Equal(t, time.Second, time.Since(began))
			}
			_ = a.Close()
			_ = b.Close()
		}
	})
}
