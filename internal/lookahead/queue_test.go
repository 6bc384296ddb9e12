package lookahead

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errEnd = errors.New("the end")

// newQueue returns a Queue of n frames, 100 ms apart, two with each filling, that
// knows its tracks after so many.
func newQueue(n, known int) *Queue {
	q := &Queue{}
	made := 0
	q.Fill = func() error {
		if made >= n {
			return errEnd
		}
		for range 2 {
			q.Frames = append(q.Frames, &codec.Frame{DTS: time.Duration(made) * 100 * time.Millisecond})
			made++
		}
		return nil
	}
	q.Known = func() bool { return made >= known }
	return q
}

func TestLookAhead(t *testing.T) {
	for _, c := range []struct {
		name     string
		n, known int
		patience time.Duration
		want     int // frames that wait
		err      error
	}{
		{"until they are known", 100, 5, 0, 6, nil},
		{"known at once", 100, 0, 0, 0, nil},
		{"for two seconds", 100, 1000, 0, 22, nil},
		{"for longer", 100, 1000, 4 * time.Second, 42, nil},
		{"to the end", 10, 1000, 0, 10, nil},
		{"nothing there", 0, 1000, 0, 0, errEnd},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := newQueue(c.n, c.known)
			q.Patience = c.patience
			for range 2 { // the second changes nothing
				require.Equal(t, c.err, q.LookAhead(t.Context()))
				require.Len(t, q.Waiting(), c.want)
			}
			for i := range c.n {
				f, err := q.Next(t.Context())
				require.NoError(t, err)
				require.Equal(t, time.Duration(i)*100*time.Millisecond, f.DTS)
			}
			for range 2 { // it sticks
				_, err := q.Next(t.Context())
				require.Equal(t, errEnd, err)
			}
		})
	}
}

// A reader is the least that is around a Queue. Each byte is a frame.
type reader struct{ Queue }

func newReader(src io.Reader) *reader {
	r := &reader{}
	r.Queue = Queue{Source: src, Known: func() bool { return true }, Fill: func() error {
		_, err := src.Read(make([]byte, 1))
		if err == nil {
			r.Frames = append(r.Frames, &codec.Frame{})
		}
		return err
	}}
	return r
}

func (r *reader) Tracks() []*codec.Track                              { return nil }
func (r *reader) ReadFrame(ctx context.Context) (*codec.Frame, error) { return r.Next(ctx) }

func TestEnds(t *testing.T) { containertest.TestReaderEnds(t, newReader, []byte("frames")) }

// A Queue that is restarted goes on with what comes next, even behind the end.
func TestRestart(t *testing.T) {
	n := 0
	q := &Queue{Known: func() bool { return true }}
	q.Fill = func() error {
		if n++; n%3 == 0 {
			return errEnd
		}
		q.Frames = append(q.Frames, &codec.Frame{DTS: time.Duration(n)}, &codec.Frame{})
		return nil
	}
	next := func() time.Duration {
		f, err := q.Next(t.Context())
		require.NoError(t, err)
		return f.DTS
	}
	require.Equal(t, time.Duration(1), next())
	q.Restart()
	require.Equal(t, time.Duration(2), next())
	require.Zero(t, next())
	_, err := q.Next(t.Context())
	require.Equal(t, errEnd, err)
	q.Restart()
	require.Equal(t, time.Duration(4), next())
}

// A source that cannot be closed is left alone, and what was read is given out.
func TestCloseWithoutCloser(t *testing.T) {
	q := newQueue(2, 1)
	q.Source = io.MultiReader()
	require.NoError(t, q.LookAhead(t.Context()))
	require.NoError(t, q.Close())
	for range 2 {
		_, err := q.Next(t.Context())
		require.NoError(t, err)
	}
	_, err := q.Next(t.Context())
	require.ErrorIs(t, err, source.ErrClosed)
}

// A context that is over reads nothing; one that ends is not watched where Fill
// does not wait.
func TestReady(t *testing.T) {
	q := newQueue(2, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := q.Next(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, q.Frames)

	asked := 0
	q.Ready = func() bool { asked++; return true }
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	_, err = q.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, asked)
	_, err = q.Next(context.Background())
	require.NoError(t, err)
	require.Equal(t, 1, asked)
}
