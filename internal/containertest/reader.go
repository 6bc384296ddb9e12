package containertest

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// ReadAll returns the frames of r and the error after them.
func ReadAll(r source.Reader) (frames []*codec.Frame, err error) {
	for {
		f, err := r.ReadFrame(context.Background())
		if err != nil {
			return frames, err
		}
		frames = append(frames, f)
	}
}

// Inputs returns the ways in which b can come in.
func Inputs(b []byte) map[string]io.Reader {
	return map[string]io.Reader{
		"whole":              bytes.NewReader(b),
		"one byte at a time": iotest.OneByteReader(bytes.NewReader(b)),
		"data with EOF":      iotest.DataErrReader(bytes.NewReader(b)),
	}
}

// Whole returns how many of frames are not known to be damaged.
func Whole(frames []*codec.Frame) (n int) {
	for _, f := range frames {
		if !f.Has(codec.FlagCorrupt) {
			n++
		}
	}
	return n
}

// TestErrorSticks reads from r, which is broken, twice.
func TestErrorSticks(t *testing.T, r source.Reader) {
	_, first := r.ReadFrame(t.Context())
	_, second := r.ReadFrame(t.Context())
	require.Error(t, first)
	require.Equal(t, first, second)
}

// TestReaderEnds ends a ReadFrame that waits for more than start by its context,
// and by Close.
func TestReaderEnds[R source.Reader](t *testing.T, open func(io.Reader) R, start []byte) {
	for _, how := range []string{"context", "close"} {
		t.Run(how, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			r := open(ours)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error)
			go func() {
				for {
					if _, err := r.ReadFrame(ctx); err != nil {
						done <- err
						return
					}
				}
			}()
			_, err := theirs.Write(start)
			require.NoError(t, err)
			want := context.Canceled
			if how == "context" {
				cancel()
			} else {
				want = source.ErrClosed
				require.NoError(t, r.Close())
			}
			require.ErrorIs(t, <-done, want)
			require.NoError(t, r.Close())
		})
	}
}
