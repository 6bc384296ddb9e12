package mp4

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// Limits of a fragment in a file, which may be the only one: bytes of its moof box
// and samples.
const (
	maxFileMoof    = 8 << 20
	maxFileSamples = 1 << 18
)

// flagNotSync is the flag of a sample that is no key (ISO/IEC 14496-12, 8.8.3.1).
const flagNotSync = 1 << 16

// A fileFragments is what a File knows of the movie fragments in it.
type fileFragments struct {
	boxes   boxReader
	tracks  []*inTrack // of the movie
	samples []inSample // of the fragment that was read last
	first   int64      // position behind the moov box; 0: there are no fragments
	stop    int64      // position behind which there are none
	untimed bool       // some do not tell when they begin

	pos    int64         // of the next box that is read
	over   bool          // there is no further one
	newest time.Duration // of the samples that were read
	queued int           // samples that wait

	scan    int64   // position of the next box that is indexed
	nexts   []int64 // decode times there
	indexed bool    // there is no further one
	total   int64   // bytes of samples that were indexed
	recent  []recentFragment
}

// A recentFragment is one that was indexed.
type recentFragment struct {
	moof   int64
	newest time.Duration // of its samples
}

// maxRecent is how many fragments back samples may be that follow a key frame.
const maxRecent = 32

// startOf returns the fragment to begin with in order to have all that follows a
// key frame in the newest one: fragments of other tracks may be before it.
func (r *fileFragments) startOf(key time.Duration) int64 {
	last := len(r.recent) - 1
	for _, x := range r.recent[:last] {
		if x.newest >= key {
			return x.moof
		}
	}
	return r.recent[last].moof
}

// begin makes boxes behind a position the fragments.
func (r *fileFragments) begin(at int64) {
	r.first, r.scan, r.indexed, r.total, r.recent = at, at, at == 0, 0, nil
	r.nexts = make([]int64, len(r.tracks))
}

// nextFragment reads the moof box at a position or behind it: its samples, as far
// as they are in the file, valid until the next call, and where it begins and
// ends; end is 0 if there is none.
func (f *File) nextFragment(at int64) (samples []inSample, moof, end int64, err error) {
	r := &f.frags
	for skipped := 0; at < r.stop; skipped++ {
		x, err := r.boxes.top(at)
		if err == nil && skipped > maxBoxes {
			err = x.wrap(invalid("%d boxes behind a fragment", skipped))
		}
		if errors.Is(err, ErrInvalid) { // the rest is no box, or one that was cut
			f.note(err)
			break
		}
		if err != nil {
			return nil, 0, 0, err
		}
		at = x.end
		if x.kind != typeOf("moof") {
			continue
		}
		body, err := r.boxes.content(x, maxFileMoof)
		if err == nil {
			frag := fragment{tracks: r.tracks, start: x.at, end: x.end, samples: r.samples[:0], file: f.size}
			err = frag.parse(body)
			r.samples, r.untimed = frag.samples, r.untimed || frag.untimed
			if err != nil {
				err = x.wrap(err)
			}
		}
		if errors.Is(err, ErrInvalid) { // costs this fragment
			f.note(err)
			continue
		}
		return f.within(r.samples), x.at, at, err
	}
	return nil, 0, 0, nil
}

// within returns the samples that are in the file.
func (f *File) within(samples []inSample) []inSample {
	for i, s := range samples { // in the order of their positions
		if s.at > f.size-int64(s.size) {
			f.note(cutSample(s.at, int64(s.size)))
			return samples[:i]
		}
	}
	return samples
}

// cutSample returns the error about a sample that is not in the file.
func cutSample(at, size int64) error {
	return fmt.Errorf("mp4: sample of %d bytes at byte %d: %w", size, at, short("file"))
}

// loadFragment reads the next fragment.
func (f *File) loadFragment() error {
	if f.closed.Load() {
		return source.ErrClosed
	}
	samples, _, end, err := f.nextFragment(f.frags.pos)
	if err != nil {
		return err
	}
	if end == 0 {
		f.frags.over = true
		return nil
	}
	f.frags.pos, f.frags.queued = end, 0
	for _, t := range f.tracks {
		t.queue, t.taken = slices.Delete(t.queue, 0, t.taken), 0
		f.frags.queued += len(t.queue)
	}
	for i := range samples {
		s := &samples[i]
		if t := f.trackOf(s.track); t != nil {
			t.queue = append(t.queue, *s)
			f.frags.newest = max(f.frags.newest, s.dts)
			f.frags.queued++
		}
	}
	return nil
}

// trackOf returns the track that in belongs to; nil if it is left out.
func (f *File) trackOf(in *inTrack) *fileTrack {
	for _, t := range f.tracks {
		if t.inTrack == in {
			return t
		}
	}
	return nil
}

// indexFragment looks for the key frames in the next fragment.
func (f *File) indexFragment() error {
	r := &f.frags
	r.swapNexts()
	defer r.swapNexts()
	samples, moof, end, err := f.nextFragment(r.scan)
	if err != nil {
		return err
	}
	if end == 0 {
		r.indexed = true
		return nil
	}
	for i := range samples {
		if r.total += int64(samples[i].size); r.total > f.size {
			f.note(fmt.Errorf("mp4: moof box at byte %d: %w", moof, invalid("samples of %d bytes in a file of %d", r.total, f.size)))
			r.stop, r.indexed = moof, true
			return nil
		}
	}
	r.scan = end
	newest := -maxTime
	for i := range samples {
		if f.trackOf(samples[i].track) != nil {
			newest = max(newest, samples[i].dts)
		}
	}
	if len(r.recent) == maxRecent {
		r.recent = append(r.recent[:0], r.recent[1:]...)
	}
	r.recent = append(r.recent, recentFragment{moof, newest})
	for i := range samples {
		s := &samples[i]
		t := f.trackOf(s.track)
		if t == nil {
			continue
		}
		if !t.any {
			t.any, t.start = true, s.time
		}
		t.lowest = min(t.lowest, s.composed)
		if t == f.lead && s.flags&flagNotSync == 0 {
			f.addKey(keyPoint{time: s.time, moof: r.startOf(s.dts)})
		}
	}
	for _, t := range f.tracks {
		if t.any {
			t.end = max(t.end, t.inTrack.next)
		}
	}
	return nil
}

// swapNexts exchanges the decode times where the file is read with those where it
// is indexed.
func (r *fileFragments) swapNexts() {
	for i, t := range r.tracks {
		t.next, r.nexts[i] = r.nexts[i], t.next
	}
}

// indexUntil indexes fragments until there are some behind a time of the file's
// own, or no more.
func (f *File) indexUntil(ctx context.Context, t time.Duration) error {
	if f.untold {
		if err := f.findKeys(ctx); err != nil {
			return err
		}
	}
	if f.frags.indexed {
		return nil
	}
	for !f.frags.indexed && f.lead.dts(f.lead.end) <= t {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.indexFragment(); err != nil {
			return f.told(err)
		}
	}
	f.setLength()
	return nil
}
