package player

import (
	"context"
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// Loop plays r again and again: at its end it goes back to the beginning, and time
// goes on. The first frame of a round has FlagDiscont.
//
// The Reader is a source.Seeker, and a source.KeyIndexer if r is one: Seek goes to
// a place in r, whose time the frames then have, and Duration is that of one round.
// A Reader that cannot seek is played once.
func Loop(r source.Reader) source.Reader {
	s, ok := source.As[source.Seeker](r)
	if !ok {
		return r
	}
	return &looped{Reader: r, seeker: s}
}

// A looped is a Reader that begins again. It has no Unwrap: its times are its own.
type looped struct {
	source.Reader
	seeker source.Seeker
	splice splice
}

func (l *looped) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	for {
		f, err := l.Reader.ReadFrame(ctx)
		if err == nil {
			return l.splice.place(f, f.Track), nil
		}
		if !over(err) || l.splice.seam { // after a round without a frame there is no use in another
			return nil, err
		}
		if _, err := l.seeker.Seek(ctx, 0); err != nil {
			return nil, err
		}
		l.splice.join(l.splice.base + l.seeker.Duration())
	}
}

// Seek implements source.Seeker.
func (l *looped) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	got, err := l.seeker.Seek(ctx, t)
	if err == nil {
		l.splice.jump(0)
	}
	return got, err
}

// Duration implements source.Seeker.
func (l *looped) Duration() time.Duration { return l.seeker.Duration() }

// KeyTimes implements source.KeyIndexer.
func (l *looped) KeyTimes(ctx context.Context) ([]time.Duration, error) {
	if k, ok := source.As[source.KeyIndexer](l.Reader); ok {
		return k.KeyTimes(ctx)
	}
	return nil, fmt.Errorf("player: %w: the times of key frames are not known", source.ErrUnsupported)
}
