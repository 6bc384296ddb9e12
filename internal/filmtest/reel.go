package filmtest

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A Reel is a film in memory that can be sought. As a source.Handler it gives each
// viewer one of its own, which is played by the clock.
type Reel struct {
	Frames []*codec.Frame

	tracks []*codec.Track
	length time.Duration
	next   int
	jumped bool
}

// NewReel returns a Reel with the first part of s, which has video.
func NewReel(s testmedia.Stream, length time.Duration) *Reel {
	return &Reel{Frames: s.Take(length), tracks: s.Tracks(), length: length}
}

// Tracks implements source.Reader.
func (r *Reel) Tracks() []*codec.Track { return r.tracks }

// Duration implements source.Seeker.
func (r *Reel) Duration() time.Duration { return r.length }

// Close implements source.Reader.
func (r *Reel) Close() error { return nil }

// ReadFrame implements source.Reader.
func (r *Reel) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.next == len(r.Frames) {
		return nil, io.EOF
	}
	f := *r.Frames[r.next]
	if r.jumped {
		f.Flags |= codec.FlagDiscont
	}
	r.jumped = false
	r.next++
	return &f, nil
}

// Seek implements source.Seeker. It does not go beyond the end.
func (r *Reel) Seek(_ context.Context, t time.Duration) (time.Duration, error) {
	if t > r.length {
		return 0, io.EOF
	}
	for i, f := range r.Frames {
		if f.DTS <= t && f.Key() && f.Track.Kind() == codec.KindVideo {
			r.next = i
		}
	}
	r.jumped = true
	return r.Frames[r.next].DTS, nil
}

// Play implements source.Handler.
func (r *Reel) Play(context.Context, *source.Request) (source.Reader, error) {
	return source.Pace(&Reel{Frames: r.Frames, tracks: r.tracks, length: r.length}), nil
}

// Publish implements source.Handler.
func (*Reel) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}

// Picture returns the next frame of the video.
func Picture(t *testing.T, r source.Reader) *codec.Frame {
	t.Helper()
	for {
		f, err := r.ReadFrame(Soon(t))
		require.NoError(t, err)
		if f.Track.Kind() == codec.KindVideo {
			return f
		}
	}
}
