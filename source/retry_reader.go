package source

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/cast"
)

// Retry returns a Source whose Reader opens s again when it fails or ends, and
// goes on as one stream:
//
//   - Opening it waits for the first success, too. The context given to Open or
//     ReadFrame ends the waiting; afterwards the Reader may be read on.
//   - Time goes on: after a break the first DTS is the highest one before it
//     plus the time that has passed, at least one frame, and the others keep
//     their distance from it. The frames of the first attempt keep their times.
//   - After a break the first frame, and that of each video track, has
//     FlagDiscont and is a key frame; frames before it are left out. When no key
//     frame comes within 10 s of media, audio goes on without the video.
//   - Tracks keep their IDs: those of a new attempt take the place of the old
//     ones by codec, then by kind. A track with new parameters is a new *Track,
//     one with the same parameters is the same as before.
//
// The Reader is a [Retrier]. It starts no goroutine.
func Retry(s Source, b Backoff) Source {
	return SourceFunc(func(ctx context.Context) (Reader, error) {
		r := &retryReader{source: s}
		r.begin(ctx, b)
		if err := r.comeBack(ctx, s.Open); err != nil {
			r.end(err)
			r.kill()
			return nil, err
		}
		return r, nil
	})
}

// A retryReader is what Retry's Source opens.
type retryReader struct {
	source Source
	retrying[Reader]
	// Of the goroutine that reads:
	cast   cast.Cast     // every track there ever was, as our caller was told
	roles  []cast.Role   // of the attempt's tracks
	paces  []pace        // of the roles
	gate   *keyGate      // of the attempt at hand; nil while nothing was delivered before it
	last   time.Duration // highest DTS delivered
	lastAt time.Time     // when the latest frame was delivered; zero before
	step   time.Duration // a frame's, in the attempt before
	offset time.Duration // our times minus the attempt's
}

// A pace is how the frames of a track follow each other: the DTS of the latest one,
// and what it was after the one before.
type pace struct{ last, step time.Duration }

// Tracks returns the tracks of the attempt at hand; until it has some, those of
// the ones before.
func (r *retryReader) Tracks() []*codec.Track {
	if in, ok, _ := r.current(); ok {
		r.learn(in.Tracks())
	}
	if len(r.roles) == 0 {
		return slices.Clone(r.cast.Known)
	}
	tracks := make([]*codec.Track, len(r.roles))
	for i, a := range r.roles {
		tracks[i] = a.Out
	}
	return tracks
}

// ReadFrame returns the next frame; where it has to, it waits for the source to
// come back.
func (r *retryReader) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	for {
		in, ok, over := r.current()
		if over != nil {
			return nil, over
		}
		if !ok {
			if err := r.comeBack(ctx, r.source.Open); err != nil {
				return nil, err
			}
			r.renew()
			continue
		}
		f, err := in.ReadFrame(ctx)
		if err == nil {
			if f = r.admit(in, f); f != nil {
				return f, nil
			}
			continue
		}
		if e := r.ended(ctx); e != nil {
			return nil, e
		}
		_ = r.leave()()
		if r.EndAtEOF && errors.Is(err, io.EOF) {
			r.end(err)
		} else {
			r.fail(err)
		}
	}
}

// Close ends the stream.
func (r *retryReader) Close() error {
	r.end(ErrClosed)
	r.kill()
	return r.leave()()
}

// renew begins an attempt that follows another one.
func (r *retryReader) renew() {
	r.step = usualStep
	for _, p := range r.paces {
		r.step = max(r.step, p.step)
	}
	if !r.lastAt.IsZero() {
		r.gate = &keyGate{}
	}
	r.roles, r.paces = nil, nil
}

// admit returns f, a frame of in, as it is in our stream, or nil if it is left
// out.
func (r *retryReader) admit(in Reader, f *codec.Frame) *codec.Frame {
	now := time.Now()
	var fresh bool
	if g := r.gate; g != nil {
		again := g.open
		var ok bool
		if ok, fresh = g.pass(in.Tracks, f); !ok {
			r.drop()
			return nil
		}
		if !again {
			r.offset = r.last + max(r.step, now.Sub(r.lastAt)) - f.DTS
		}
	}
	if track := r.play(in, f); fresh || r.offset != 0 || track != f.Track {
		out := *f
		out.Track = track
		out.DTS += r.offset
		out.PTS += r.offset
		if fresh {
			out.Flags |= codec.FlagDiscont
		}
		f = &out
	}
	r.pass(!r.lastAt.IsZero())
	r.last, r.lastAt = max(r.last, f.DTS), now
	return f
}

// play returns the track of f, a frame of in, in our stream.
func (r *retryReader) play(in Reader, f *codec.Frame) *codec.Track {
	i := cast.Find(r.roles, f.Track.ID)
	if i < 0 {
		r.learn(in.Tracks()) // all at once, if it tells
		r.learn([]*codec.Track{f.Track})
		i = cast.Find(r.roles, f.Track.ID)
	}
	a := &r.roles[i]
	if a.In != f.Track { // new parameters
		r.cast.Renew(a, f.Track)
	}
	p := &r.paces[i]
	if d := f.DTS - p.last; d > 0 && d <= time.Second {
		p.step = d
	}
	p.last = f.DTS
	return a.Out
}

// learn gives roles to those tracks that have none.
func (r *retryReader) learn(tracks []*codec.Track) {
	tracks = slices.DeleteFunc(slices.Clone(tracks), func(t *codec.Track) bool { return cast.Find(r.roles, t.ID) >= 0 })
	r.roles = r.cast.Play(r.roles, tracks...)
	r.paces = append(r.paces, make([]pace, len(tracks))...)
}
