package record

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

const (
	keyWait  = 3 * time.Second  // how much audio there is before a file begins without the video that was announced
	lateWait = 2 * time.Second  // how long a file waits for frames that belong before the cut
	goneWait = 10 * time.Second // a file this long without a frame of a track says that the track is gone
)

// A writer writes frames into slices. One goroutine writes; files are finished by
// another.
type writer struct {
	o        Options // with its defaults
	disk     disk
	naming   naming
	open     *openFiles
	finished func(File, error) // told of each file, one after the other

	tracks  []*codec.Track       // the newest descriptions
	leftOut map[int]*codec.Track // those that the format cannot carry, as far as seen
	now     *slice               // nil: the next key frame begins one
	late    *slice               // the one before now, for frames that are late
	stale   bool                 // other tracks are to be written than now has
	count   int                  // of slices
	since   time.Duration        // DTS of the first frame that no slice was begun with
	waiting bool                 // since is set
	dropped uint64               // frames that no file could have
	missed  uint64               // frames that the latest error has cost, or a few less

	finishing sync.WaitGroup // at most one goroutine
}

// newWriter returns a writer of a stream with these tracks. The error wraps
// source.ErrUnsupported if the format can carry none.
func newWriter(d disk, n naming, o Options, tracks []*codec.Track) (*writer, error) {
	w := &writer{o: o, disk: d, naming: n, tracks: slices.Clone(tracks), leftOut: map[int]*codec.Track{}, finished: func(File, error) {}}
	if len(tracks) > 0 && len(w.carried()) == 0 {
		return nil, fmt.Errorf("record: %w: no track that %v can carry", source.ErrUnsupported, o.Format)
	}
	return w, nil
}

// carried returns the tracks that the files have.
func (w *writer) carried() (tracks []*codec.Track) {
	for _, t := range w.tracks {
		if w.o.Format.carries(t) {
			tracks = append(tracks, t)
		}
	}
	return tracks
}

// video returns the track whose key frames files begin with; nil: any frame will do.
func video(tracks []*codec.Track) *codec.Track {
	for _, t := range tracks {
		if t.Kind() == codec.KindVideo {
			return t
		}
	}
	return nil
}

// learn notes the track of a frame that the slice does not have, and reports
// whether another slice could.
func (w *writer) learn(t *codec.Track) bool {
	i := slices.IndexFunc(w.tracks, func(o *codec.Track) bool { return o.ID == t.ID })
	switch {
	case i < 0:
		w.tracks = append(w.tracks, t)
	case w.leftOut[t.ID] == t:
		return false
	default:
		w.tracks[i] = t
	}
	if !w.o.Format.carries(t) {
		w.leftOut[t.ID] = t
		return false
	}
	w.stale = w.now != nil
	return true
}

// write writes a frame that came at that time. After an error, which is the
// disk's, the next key frame begins a new file.
func (w *writer) write(ctx context.Context, f *codec.Frame, at time.Time) error {
	if known := w.now != nil && w.now.has(f.Track); !known && !w.learn(f.Track) {
		w.dropped++
		return nil
	}
	if w.now == nil || w.due(f) {
		if tracks, ok := w.begins(f); ok {
			if err := w.begin(tracks, f, at); err != nil {
				w.missed = 1
				return err
			}
		}
	}
	s := w.home(f)
	if s == nil {
		w.dropped++
		return nil
	}
	err := s.write(ctx, f)
	switch {
	case err == nil:
		return nil
	case s.refuses():
		w.dropped++
		return nil
	}
	s.failed = err
	w.missed = s.pending
	w.end()
	return err
}

// begins reports whether a file can begin with f, and the tracks it has then.
func (w *writer) begins(f *codec.Frame) ([]*codec.Track, bool) {
	if w.now != nil && f.Track.Kind() != codec.KindVideo && video(w.now.tracks) != nil {
		return nil, false
	}
	tracks := w.carried()
	v := video(tracks)
	switch {
	case v == nil:
		return tracks, true
	case v.ID == f.Track.ID:
		return tracks, f.Key()
	case w.now != nil && (f.Track.Kind() == codec.KindVideo || w.stale && w.now.has(f.Track)):
		return nil, false // another video's, or the video is there and its key frame will come
	case w.now != nil:
		return withoutVideo(tracks), true
	}
	if !w.waiting {
		w.waiting, w.since = true, f.DTS
	}
	if f.Track.Kind() == codec.KindVideo || f.DTS-w.since < keyWait {
		return nil, false
	}
	return withoutVideo(tracks), true
}

func withoutVideo(tracks []*codec.Track) []*codec.Track { return slices.DeleteFunc(tracks, isVideo) }

// due reports whether the slice is to end before f.
func (w *writer) due(f *codec.Frame) bool {
	s := w.now
	return w.stale || w.o.Slice > 0 && f.DTS-s.base >= w.o.Slice || w.o.SliceBytes > 0 && s.size() >= w.o.SliceBytes
}

// begin begins a slice with f.
func (w *writer) begin(tracks []*codec.Track, f *codec.Frame, at time.Time) error {
	w.endLate()
	if s := w.now; s != nil && s.duration() >= goneWait {
		gone := func(t *codec.Track) bool {
			p := s.parts[t.ID]
			return p != nil && p.frames == 0 && t.ID != f.Track.ID
		}
		w.tracks = slices.DeleteFunc(w.tracks, gone)
		tracks = slices.DeleteFunc(slices.Clone(tracks), gone)
	}
	w.late, w.now = w.now, nil
	s, err := newSlice(w, tracks, at, f)
	if err != nil {
		w.end()
		return err
	}
	w.count++
	w.now, w.stale, w.waiting = s, false, false
	return nil
}

// home returns the slice that f belongs to; nil if there is none.
func (w *writer) home(f *codec.Frame) *slice {
	s := w.now
	if w.late != nil {
		if s.precedes(f) && w.late.has(f.Track) {
			return w.late
		}
		if w.passed(f) {
			w.endLate()
		}
	}
	if s == nil || !s.has(f.Track) {
		return nil
	}
	return s
}

// passed reports whether nothing more is to come for the slice before, now that f
// has come.
func (w *writer) passed(f *codec.Frame) bool {
	if f.DTS >= w.now.base+lateWait {
		return true
	}
	for id := range w.late.parts {
		if p := w.now.parts[id]; id != f.Track.ID && p != nil && p.frames == 0 {
			return false
		}
	}
	return true
}

// endLate ends the slice before.
func (w *writer) endLate() {
	if s := w.late; s != nil {
		w.late = nil
		w.finish(s)
	}
}

// end ends all slices.
func (w *writer) end() {
	w.endLate()
	if s := w.now; s != nil {
		w.now = nil
		w.finish(s)
	}
}

// finish completes s in a goroutine, after the one before.
func (w *writer) finish(s *slice) {
	w.finishing.Wait()
	w.finishing.Go(func() { w.finished(s.finish()) })
}

// close ends all slices and waits until they are finished.
func (w *writer) close() {
	w.end()
	w.finishing.Wait()
}
