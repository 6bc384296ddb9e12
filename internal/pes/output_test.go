package pes

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// An echo is a Muxer that makes frames what they are, and errors of empty ones.
type echo struct{}

var errEmpty = errors.New("empty")

func (echo) Append(dst []byte, f *codec.Frame) ([]byte, error) {
	if len(f.Data) == 0 {
		return dst, errEmpty
	}
	return append(dst, f.Data...), nil
}

// A sink counts what is done to it.
type sink struct {
	bytes.Buffer
	writes, closes int
	err            error
}

func (s *sink) Write(b []byte) (int, error) {
	s.writes++
	if s.err != nil {
		return 0, s.err
	}
	return s.Buffer.Write(b)
}

func (s *sink) Close() error { s.closes++; return nil }

func TestOutput(t *testing.T) {
	frame := func(s string) *codec.Frame { return &codec.Frame{Data: []byte(s)} }
	w := &sink{}
	o := Output{Name: "pes", W: w}
	for _, s := range []string{"a", "bc", "def"} {
		require.NoError(t, o.WriteFrame(t.Context(), echo{}, frame(s), 3))
	}
	require.Equal(t, "abcdef", w.String())
	require.Equal(t, 2, w.writes)
	require.ErrorIs(t, o.WriteFrame(t.Context(), echo{}, frame(""), 3), errEmpty)
	require.NoError(t, o.WriteFrame(t.Context(), echo{}, frame("g"), 3), "an error of a frame is that of one frame")
	require.NoError(t, o.Close([]byte(" end")))
	require.NoError(t, o.Close([]byte(" end")))
	require.Equal(t, "abcdefg end", w.String())
	require.Equal(t, 1, w.closes)
	require.ErrorIs(t, o.WriteFrame(t.Context(), echo{}, frame("h"), 0), io.ErrClosedPipe)
	require.ErrorIs(t, o.Flush(), io.ErrClosedPipe)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, o.WriteFrame(ctx, echo{}, frame("h"), 0), context.Canceled)
}

// An error of writing sticks, and is told once more by nobody.
func TestOutputErrors(t *testing.T) {
	full := errors.New("disk full")
	w := &sink{err: full}
	o := Output{Name: "pes", W: w}
	f := &codec.Frame{Data: []byte("a")}
	for range 2 {
		err := o.WriteFrame(t.Context(), echo{}, f, 0)
		require.ErrorIs(t, err, full)
		require.ErrorContains(t, err, "pes: write")
	}
	require.Equal(t, 1, w.writes)
	require.NoError(t, o.Close([]byte("end")))
	require.Equal(t, 1, w.closes)

	o = Output{Name: "pes", W: w}
	require.NoError(t, o.WriteFrame(t.Context(), echo{}, f, 10))
	require.ErrorIs(t, o.Close(nil), full)
}
