package pusher

import (
	"cmp"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A reel is a Reader of frames, and a Source and Sink around it; it records
// what happens in order.
type reel struct {
	tracks         []*codec.Track
	frames         []*codec.Frame
	readErr        error // after the frames; nil means io.EOF
	openErr        error
	createErr      error
	writeErr       error // of the second frame
	closeErr       error
	done           []string
	tracksAtCreate []*codec.Track
}

var picture = &codec.Track{ID: 3, Codec: codec.VP8}

func (r *reel) Open(context.Context) (source.Reader, error) {
	r.done = append(r.done, "open")
	return reelReader{r}, r.openErr
}

func (r *reel) Create(_ context.Context, tracks []*codec.Track) (source.Writer, error) {
	r.done = append(r.done, "create")
	r.tracksAtCreate = tracks
	return reelWriter{r}, r.createErr
}

type (
	reelReader struct{ *reel }
	reelWriter struct{ *reel }
)

func (r reelReader) Tracks() []*codec.Track { return r.tracks }

func (r reelReader) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(r.frames) == 0 {
		return nil, cmp.Or(r.readErr, io.EOF)
	}
	f := r.frames[0]
	r.frames = r.frames[1:]
	r.done = append(r.done, "read")
	return f, nil
}

func (r reelReader) Close() error {
	r.done = append(r.done, "close reader")
	return nil
}

func (w reelWriter) WriteFrame(context.Context, *codec.Frame) error {
	w.done = append(w.done, "write")
	if len(w.frames) == 0 {
		return w.writeErr
	}
	return nil
}

func (w reelWriter) Close() error {
	w.done = append(w.done, "close writer")
	return w.closeErr
}

func TestPush(t *testing.T) {
	errNo := errors.New("no")
	both := []string{"open", "read", "create", "write", "read", "write", "close writer", "close reader"}
	for _, c := range []struct {
		name string
		reel reel
		err  error
		done []string
	}{
		{"to the end", reel{}, nil, both},
		{"the source fails", reel{readErr: errNo}, errNo, both},
		{"the sink fails", reel{writeErr: errNo}, errNo, both},
		{"the goodbye fails", reel{closeErr: errNo}, errNo, both},
		{"the sink is refused", reel{createErr: errNo}, errNo, []string{"open", "read", "create", "close reader"}},
		{"the source is refused", reel{openErr: errNo}, errNo, []string{"open"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.reel.tracks = []*codec.Track{picture}
			c.reel.frames = []*codec.Frame{{Track: picture}, {Track: picture}}
			require.ErrorIs(t, Push(t.Context(), &c.reel, &c.reel), c.err)
			require.Equal(t, c.done, c.reel.done)
			if len(c.done) > 1 {
				require.Equal(t, c.reel.tracks, c.reel.tracksAtCreate)
			}
		})
	}

	empty := &reel{}
	require.NoError(t, Push(t.Context(), empty, empty))
	require.Equal(t, []string{"open", "close reader"}, empty.done, "nothing was created for nothing")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Push(ctx, empty, empty), context.Canceled)
}
