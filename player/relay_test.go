package player

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/source"
)

// A witness checks that the frames of one stream are in order.
type witness struct {
	t      *testing.T
	name   string
	last   map[int]time.Duration // DTS by track
	kinds  map[int]codec.Kind
	frames int
}

func (l *witness) see(f *codec.Frame) {
	if l.last == nil {
		l.last, l.kinds = map[int]time.Duration{}, map[int]codec.Kind{}
	}
	if last, ok := l.last[f.Track.ID]; ok {
		require.GreaterOrEqual(l.t, f.DTS, last, "%s: DTS of track %d", l.name, f.Track.ID)
		require.Equal(l.t, l.kinds[f.Track.ID], f.Track.Kind(), "%s: kind of track %d", l.name, f.Track.ID)
	}
	l.last[f.Track.ID], l.kinds[f.Track.ID] = f.DTS, f.Track.Kind()
	l.frames++
}

// A stream is relayed from one server to another. Its origin dies and another
// one with another picture comes back in its place; a viewer of the second
// server stays, and sees one stream in order.
func TestRelaySurvivesItsOrigin(t *testing.T) {
	first, edge := startOrigin(t, ""), startOrigin(t, "")
	publish(t, "rtmp://"+first.rtmp+"/live/cam", film)

	lost := make(chan struct{})
	backoff := source.Backoff{Min: 20 * time.Millisecond, Step: 20 * time.Millisecond, Max: 100 * time.Millisecond}
	fast := backoff
	fast.OnState = func(s source.RetryState) {
		if s.Phase == source.RetryWaiting && s.Failures == 0 {
			close(lost)
		}
	}
	in, err := (&Client{Retry: &fast}).Open(filmtest.Soon(t), "rtmp://"+first.rtmp+"/live/cam")
	require.NoError(t, err)
	retrier := in.(source.Retrier)

	relayed := &witness{t: t, name: "relay"}
	var breaks []*codec.Frame
	checked := source.Filter(in, func(f *codec.Frame) (*codec.Frame, error) {
		relayed.see(f)
		if f.Has(codec.FlagDiscont) {
			breaks = append(breaks, f)
		}
		return f, nil
	})
	sink := source.RetrySink(source.SinkFunc(func(ctx context.Context, tracks []*codec.Track) (source.Writer, error) {
		return rtmp.Create(ctx, "rtmp://"+edge.rtmp+"/live/copy", tracks)
	}), backoff)
	out, err := sink.Create(filmtest.Soon(t), in.Tracks())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var relaying sync.WaitGroup
	relaying.Go(func() {
		_ = source.Copy(ctx, out, checked)
		out.Close()
		in.Close()
	})
	defer relaying.Wait()
	defer cancel()

	viewer, err := Open(filmtest.Soon(t), "rtmp://"+edge.rtmp+"/live/copy")
	require.NoError(t, err)
	defer viewer.Close()
	seen := &witness{t: t, name: "viewer"}
	watch := func(until func(*codec.Frame) bool) {
		for f, err := range source.Frames(filmtest.Soon(t), viewer) {
			require.NoError(t, err)
			seen.see(f)
			if until(f) {
				return
			}
		}
		require.Fail(t, "the viewer's stream ended")
	}
	watch(func(*codec.Frame) bool { return seen.frames > 30 })

	first.stop()
	<-lost
	second := startOrigin(t, first.rtmp)
	changing := film
	changing.Change, changing.Seed = 1, 7
	publish(t, "rtmp://"+second.rtmp+"/live/cam", changing)
	watch(func(f *codec.Frame) bool { return f.Track.Width == 640 })
	before := seen.frames
	watch(func(*codec.Frame) bool { return seen.frames > before+30 })

	cancel()
	relaying.Wait()
	require.Len(t, breaks, 1)
	require.True(t, breaks[0].Key())
	require.Equal(t, codec.KindVideo, breaks[0].Track.Kind())
	require.EqualValues(t, 1, retrier.RetryState().Reconnects)
	require.Equal(t, source.RetryEnded, retrier.RetryState().Phase)
	require.EqualValues(t, 1, out.(source.Retrier).RetryState().Attempts, "the way out was not affected")
}
