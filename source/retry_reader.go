package source

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
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
	roles  []role         // of the attempt's tracks
	known  []*codec.Track // the newest description of every track there ever was, as our caller was told
	gate   *keyGate       // of the attempt at hand; nil while nothing was delivered before it
	last   time.Duration  // highest DTS delivered
	lastAt time.Time      // when the latest frame was delivered; zero before
	step   time.Duration  // a frame's, in the attempt before
	offset time.Duration  // our times minus the attempt's
}

// A role is what a track of the attempt at hand is in our stream.
type role struct {
	in, out    *codec.Track
	last, step time.Duration // DTS of the track's latest frame, and what it was after the one before
}

// Tracks returns the tracks of the attempt at hand; until it has some, those of
// the ones before.
func (r *retryReader) Tracks() []*codec.Track {
	if in, ok, _ := r.current(); ok {
		r.cast(in.Tracks())
	}
	if len(r.roles) == 0 {
		return slices.Clone(r.known)
	}
	tracks := make([]*codec.Track, len(r.roles))
	for i, a := range r.roles {
		tracks[i] = a.out
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
	for _, a := range r.roles {
		r.step = max(r.step, a.step)
	}
	if !r.lastAt.IsZero() {
		r.gate = &keyGate{}
	}
	r.roles = nil
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
	i := r.roleOf(f.Track)
	if i < 0 {
		r.cast(in.Tracks()) // all at once, if it tells
		r.cast([]*codec.Track{f.Track})
		i = r.roleOf(f.Track)
	}
	a := &r.roles[i]
	if a.in != f.Track { // new parameters
		a.in, a.out = f.Track, withID(f.Track, a.out.ID)
		r.know(a.out)
	}
	if d := f.DTS - a.last; d > 0 && d <= time.Second {
		a.step = d
	}
	a.last = f.DTS
	return a.out
}

// roleOf returns the index of t's role, or -1.
func (r *retryReader) roleOf(t *codec.Track) int {
	return slices.IndexFunc(r.roles, func(a role) bool { return a.in.ID == t.ID })
}

// cast gives roles to those tracks that have none: first to those whose codec
// is that of a track of ours which nobody plays yet, then to those of the same
// kind; the others become new tracks.
func (r *retryReader) cast(tracks []*codec.Track) {
	n := len(r.roles)
	for _, t := range tracks {
		if r.roleOf(t) < 0 {
			r.roles = append(r.roles, role{in: t})
		}
	}
	for _, exact := range []bool{true, false} {
		for i := n; i < len(r.roles); i++ {
			a := &r.roles[i]
			if a.out != nil {
				continue
			}
			for _, k := range r.known {
				if a.in.Kind() == k.Kind() && (!exact || a.in.Codec == k.Codec) && !r.played(k) {
					a.out = k
					if !sameTrack(a.in, k) {
						a.out = withID(a.in, k.ID)
					}
					break
				}
			}
		}
	}
	for i := n; i < len(r.roles); i++ {
		a := &r.roles[i]
		if a.out == nil {
			a.out = withID(a.in, r.freeID(a.in.ID))
		}
		r.know(a.out)
	}
}

// played reports whether a track of the attempt at hand has k's place.
func (r *retryReader) played(k *codec.Track) bool {
	return slices.ContainsFunc(r.roles, func(a role) bool { return a.out != nil && a.out.ID == k.ID })
}

// know keeps t as the newest description of its ID.
func (r *retryReader) know(t *codec.Track) {
	i := slices.IndexFunc(r.known, func(k *codec.Track) bool { return k.ID == t.ID })
	if i < 0 {
		r.known = append(r.known, t)
	} else {
		r.known[i] = t
	}
}

// freeID returns id, or the next one above all known if a track has it.
func (r *retryReader) freeID(id int) int {
	free, above := true, id
	for _, k := range r.known {
		free = free && k.ID != id
		above = max(above, k.ID+1)
	}
	if free {
		return id
	}
	return above
}

// sameTrack reports whether a frame of t needs no more than k's description.
func sameTrack(t, k *codec.Track) bool {
	return t.SameConfig(k) && t.Width == k.Width && t.Height == k.Height && t.Synthetic == k.Synthetic
}

// withID returns t if it has the ID, or else a copy that does.
func withID(t *codec.Track, id int) *codec.Track {
	if t.ID == id {
		return t
	}
	out := *t
	out.ID = id
	return &out
}
