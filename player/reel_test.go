package player

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A reel is a medium in memory.
type reel struct {
	tracks []*codec.Track
	frames []*codec.Frame
	length time.Duration
	end    error // after the frames; nil: io.EOF

	next   int
	jumped bool
	closed atomic.Bool
	open   *atomic.Int32 // how many reels are; may be nil
}

// newReel returns a reel with the first d of s. The tracks are its own.
func newReel(s testmedia.Stream, d time.Duration) *reel {
	r := &reel{tracks: s.Tracks(), length: d}
	for _, f := range s.Take(d) {
		for _, t := range r.tracks {
			if t.ID == f.Track.ID {
				own := *f
				own.Track = t
				r.frames = append(r.frames, &own)
			}
		}
	}
	return r
}

// again returns the same reel as another reader has it.
func (r *reel) again(open *atomic.Int32) *reel {
	if open != nil {
		open.Add(1)
	}
	return &reel{tracks: r.tracks, frames: r.frames, length: r.length, end: r.end, open: open}
}

func (r *reel) Tracks() []*codec.Track { return r.tracks }

func (r *reel) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if r.closed.Load() {
		return nil, source.ErrClosed
	}
	if r.next == len(r.frames) {
		if r.end != nil {
			return nil, r.end
		}
		return nil, io.EOF
	}
	f := *r.frames[r.next]
	if r.jumped {
		f.Flags |= codec.FlagDiscont
	}
	r.jumped = false
	r.next++
	return &f, ctx.Err()
}

// isKey reports whether a frame is one that Seek can go to.
func (r *reel) isKey(f *codec.Frame) bool { return f.Key() && f.Track == r.tracks[0] }

func (r *reel) Seek(_ context.Context, t time.Duration) (time.Duration, error) {
	at := slices.IndexFunc(r.frames, r.isKey)
	if at < 0 {
		r.next = len(r.frames)
		return 0, nil
	}
	for i, f := range r.frames {
		if r.isKey(f) && f.DTS <= t {
			at = i
		}
	}
	r.next, r.jumped = at, true
	return r.frames[at].DTS, nil
}

func (r *reel) Duration() time.Duration { return r.length }

func (r *reel) KeyTimes(context.Context) (keys []time.Duration, err error) {
	for _, f := range r.frames {
		if r.isKey(f) {
			keys = append(keys, f.DTS)
		}
	}
	return keys, nil
}

func (r *reel) Close() error {
	if !r.closed.Swap(true) && r.open != nil {
		r.open.Add(-1)
	}
	return nil
}

// An archive has reels by name.
type archive struct {
	reels map[string]*reel
	open  atomic.Int32 // how many are
}

func (s *archive) get(name string) (medium, error) {
	r := s.reels[name]
	if r == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return r.again(&s.open), nil
}

// newTimeline returns a timeline of reels.
func newTimeline(t *testing.T, reels ...*reel) (*timeline, *archive) {
	s := &archive{reels: map[string]*reel{}}
	var all []piece
	for i, r := range reels {
		p := piece{name: fmt.Sprint(i)}
		s.reels[p.name] = r
		all = append(all, p)
	}
	x := &timeline{open: s.get}
	require.NoError(t, x.lay(t.Context(), all))
	require.EqualValues(t, 1, s.open.Load())
	t.Cleanup(func() {
		require.NoError(t, x.Close())
		require.NoError(t, x.Close())
		require.Zero(t, s.open.Load(), "left open")
	})
	return x, s
}

// requireOrder fails if a DTS is not above the one before it in its track, or is
// below the highest of all.
func requireOrder(t require.TestingT, frames []*codec.Frame) {
	last := map[int]time.Duration{}
	highest := time.Duration(-1)
	for _, f := range frames {
		if before, ok := last[f.Track.ID]; ok {
			require.Greater(t, f.DTS, before, "track %d", f.Track.ID)
		}
		require.GreaterOrEqual(t, f.DTS, highest)
		last[f.Track.ID], highest = f.DTS, f.DTS
	}
}
