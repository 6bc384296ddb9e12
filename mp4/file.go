package mp4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A File reads an MP4 file, progressive or fragmented, from any place in it. It
// is a source.Reader, a source.Seeker and a source.KeyIndexer. Of the samples it
// keeps one in thousands in memory, and of fragments those with a key frame; the
// tables stay in the file.
//
// Times begin at 0 with the first decoding time of any track. Edit lists are
// applied as far as they move a track. A file that was cut short is read as far
// as it goes, and ends there; tracks that cannot be read are left out.
// [File.Damage] tells of both.
//
// Only Close may be called from another goroutine.
type File struct {
	src    io.ReaderAt
	size   int64
	closed atomic.Bool
	damage error
	err    error // sticks

	tracks []*fileTrack // those with samples, in the order of the file
	lead   *fileTrack   // whose key frames are the places to go to
	spans  spans
	zero   time.Duration // the time that is given out as 0
	length time.Duration // where the last sample ends, from zero

	frags  fileFragments
	keys   []keyPoint
	untold bool         // the table does not tell which samples are keys
	next   *codec.Frame // was read ahead
	jump   bool         // the next frame does not continue the one before
	bad    int          // samples in a row that were no frames
}

// A fileTrack is a track of a File.
type fileTrack struct {
	*inTrack
	table *sampleTable // nil: none, or at its end
	cur   cursor       // the next sample in there
	queue []inSample   // of fragments
	taken int          // from queue
	head  inSample     // the next sample
	has   bool         // there is one

	all   *sampleTable
	marks []cursor // of all, every so many samples
	start int64    // decode time of the first sample
	end   int64    // and where the last one ends
	any   bool     // there is one

	lowest int32 // of the composition offsets in fragments
	from   int64 // samples of fragments before that are skipped, until there was a frame

	last  time.Duration // DTS of the last frame
	begun bool          // there was one
	moved time.Duration // added to DTS and PTS, after steps back
}

// A keyPoint is a place to go to.
type keyPoint struct {
	time int64 // decode time in ticks
	moof int64 // position of the fragment to begin with; 0: in the table
}

// NewFile opens a file of that size. Closing the File closes r if that is an
// io.Closer; an error here leaves it open. Errors about the bytes wrap
// [ErrInvalid] and tell box and position; those about encrypted files and files
// without a track that can be read wrap source.ErrUnsupported.
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	f := &File{src: r, size: size}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// Tracks returns the tracks in the order of the file, with the parameters of the
// newest frames.
func (f *File) Tracks() []*codec.Track {
	tracks := make([]*codec.Track, len(f.tracks))
	for i, t := range f.tracks {
		tracks[i] = t.track
	}
	return tracks
}

// Duration returns the time at which the last frame ends. For a file of very many
// fragments it is 0 until [File.KeyTimes] or a Seek has looked at all of them.
func (f *File) Duration() time.Duration {
	if !f.frags.indexed {
		return 0
	}
	return f.length
}

// Damage returns what is wrong with the file and does not keep it from being
// read: it is cut short, or tracks are left out. It is nil if nothing is known.
func (f *File) Damage() error { return f.damage }

// Close closes the file.
func (f *File) Close() error {
	if f.closed.Swap(true) {
		return nil
	}
	if c, ok := f.src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// ReadFrame returns the next frame of all tracks in the order of their DTS, which
// does not fall within a track. The end of the file is io.EOF, also if it was cut
// short. Frames that lie together share their memory.
func (f *File) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	switch {
	case f.closed.Load():
		return nil, source.ErrClosed
	case f.err != nil:
		return nil, f.err
	}
	if n := f.next; n != nil {
		f.next = nil
		return n, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, err := f.read()
	if err != nil {
		f.err = f.told(err)
	}
	return n, f.err
}

// read returns the next frame.
func (f *File) read() (*codec.Frame, error) {
	for {
		t, err := f.earliest()
		if err != nil {
			return nil, err
		}
		n, err := f.take(t)
		if n != nil || err != nil {
			return n, err
		}
	}
}

// take reads the frame in t's next sample; nil if it holds none.
func (f *File) take(t *fileTrack) (*codec.Frame, error) {
	s := &t.head
	t.has = false
	data, err := f.spans.get(s.at, s.size)
	if err != nil {
		return nil, fmt.Errorf("mp4: sample at byte %d: %w", s.at, err)
	}
	s.data = data
	n, err := s.frame()
	s.data = nil
	if err != nil {
		if f.bad++; f.bad >= maxBad {
			return nil, fmt.Errorf("mp4: byte %d: %w", s.at, invalid("%d bad samples in a row, the last: %v", maxBad, err))
		}
		return nil, nil
	}
	f.bad = 0
	if n == nil {
		return nil, nil
	}
	f.settle(t, n)
	return n, nil
}

// settle gives n the time it has for those who read the file.
func (f *File) settle(t *fileTrack, n *codec.Frame) {
	n.DTS += t.moved - f.zero
	n.PTS += t.moved - f.zero
	if t.begun && n.DTS < t.last {
		back := t.last - n.DTS
		n.DTS = t.last
		if back >= smallStep && t.moved < maxTime {
			t.moved += back
			n.PTS += back
			n.Flags |= codec.FlagDiscont
		}
	}
	n.DTS = max(n.DTS, 0)
	n.PTS = max(n.PTS, n.DTS)
	t.begun, t.last = true, n.DTS
	if f.jump {
		f.jump = false
		n.Flags |= codec.FlagDiscont
	}
}

// earliest returns the track whose next sample is the next of all.
func (f *File) earliest() (*fileTrack, error) {
	for {
		var first *fileTrack
		missing := false
		for _, t := range f.tracks {
			if !t.has {
				if err := f.fetch(t); err != nil {
					return nil, err
				}
			}
			switch {
			case !t.has:
				missing = true
			case first == nil || t.head.dts < first.head.dts || t == f.lead && t.head.dts == first.head.dts:
				first = t
			}
		}
		switch {
		case missing && !f.frags.over && (first == nil || f.waits(first)):
			if err := f.loadFragment(); err != nil {
				return nil, err
			}
		case first == nil:
			return nil, io.EOF
		default:
			return first, nil
		}
	}
}

// patience is how much of other tracks is looked through for the next sample of
// one that has none.
const patience = 2 * time.Second

// waits reports whether to read more fragments before the next sample of t is given
// out, because there may be an earlier one of another track.
func (f *File) waits(t *fileTrack) bool {
	return f.frags.newest-t.head.dts < patience && f.frags.queued < maxFileSamples
}

// fetch takes the next sample of t, if there is one, from its table and behind
// that from its fragments.
func (f *File) fetch(t *fileTrack) error {
	for t.table != nil && !t.has {
		c := &t.cur
		if c.sample >= t.table.count {
			t.table = nil
			break
		}
		if c.size > 0 {
			t.head = t.sample(c)
			t.has = true
		}
		if err := t.table.next(c); err == io.EOF {
			t.table = nil
		} else if err != nil {
			return err
		}
	}
	for !t.has && t.taken < len(t.queue) {
		t.head = t.queue[t.taken]
		t.has = t.begun || t.head.time >= t.from
		t.taken++
	}
	return nil
}

// sample returns the sample at c.
func (t *fileTrack) sample(c *cursor) inSample {
	s := inSample{track: t.inTrack, at: c.at, size: int(c.size), time: c.time, composed: c.composed, dts: t.dts(c.time)}
	if !c.key {
		s.flags = flagsInter
	}
	if c.drop {
		s.flags |= flagsDisposable
	}
	return s
}

// Seek goes to the last key frame of the first video track, without video of the
// first track, that is not behind t, or to the first there is. It returns one of
// the times of [File.KeyTimes].
func (f *File) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	if f.closed.Load() {
		return 0, source.ErrClosed
	}
	t = min(max(t, 0), maxTime) + f.zero
	if err := f.indexUntil(ctx, t); err != nil {
		return 0, err
	}
	i, found := slices.BinarySearchFunc(f.keys, t, func(k keyPoint, t time.Duration) int {
		return cmp.Compare(f.lead.dts(k.time), t)
	})
	if !found {
		i--
	}
	i = max(i, 0)
	for tries := 0; ; tries++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := f.goTo(f.keys[i]); err != nil {
			return 0, f.told(err)
		}
		n, err := f.read()
		if err != nil {
			return 0, f.told(err)
		}
		if n.Key() && n.Track.ID == f.lead.track.ID || i == 0 {
			f.next = n
			return n.DTS, nil
		}
		if i--; tries >= maxTries { // tables may be wrong
			i = 0
		}
	}
}

// maxTries is how many frames that are no key frames Seek passes on its way back.
const maxTries = 1000

// told returns the error as it is returned: what came of closing is told as such.
func (f *File) told(err error) error {
	if f.closed.Load() || errors.Is(err, os.ErrClosed) {
		return source.ErrClosed
	}
	return err
}

// goTo makes the key frame at k the next one, and of the other tracks what is not
// before it.
func (f *File) goTo(k keyPoint) error {
	f.reset()
	f.jump = true
	dts := f.lead.dts(k.time)
	for _, t := range f.tracks {
		t.from = t.ticks(dts)
		if t.all == nil || k.moof > 0 {
			t.table = nil
			continue
		}
		if err := t.find(dts); err != nil {
			return err
		}
	}
	if k.moof == 0 {
		return nil
	}
	if !f.frags.untimed {
		f.frags.pos = k.moof
		return nil
	}
	for f.frags.pos < k.moof && !f.frags.over { // decode times are sums
		f.dropQueues()
		if err := f.loadFragment(); err != nil {
			return err
		}
	}
	return nil
}

// reset goes to the beginning.
func (f *File) reset() {
	f.err, f.next, f.jump, f.bad = nil, nil, false, 0
	f.dropQueues()
	f.frags.pos, f.frags.over, f.frags.newest = f.frags.first, f.frags.first == 0, -maxTime
	for _, t := range f.tracks {
		t.table, t.has, t.begun, t.moved, t.from = t.all, false, false, 0, math.MinInt64
		t.inTrack.next = 0
		if t.all != nil {
			t.cur = t.marks[0]
		}
	}
}

// dropQueues forgets the samples of fragments.
func (f *File) dropQueues() {
	for _, t := range f.tracks {
		t.queue, t.taken = t.queue[:0], 0
	}
}

// find goes to the first sample in the table that is not before a time.
func (t *fileTrack) find(dts time.Duration) error {
	i, found := slices.BinarySearchFunc(t.marks, dts, func(c cursor, dts time.Duration) int { return cmp.Compare(t.dts(c.time), dts) })
	if !found {
		i--
	}
	t.cur = t.marks[max(i, 0)]
	for t.dts(t.cur.time) < dts {
		if err := t.table.next(&t.cur); err == io.EOF {
			t.table = nil
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// KeyTimes returns the times that Seek can return. See source.KeyIndexer.
func (f *File) KeyTimes(ctx context.Context) ([]time.Duration, error) {
	if err := f.indexUntil(ctx, math.MaxInt64); err != nil {
		return nil, err
	}
	times := make([]time.Duration, len(f.keys))
	for i, k := range f.keys {
		times[i] = f.lead.dts(k.time) - f.zero
	}
	return times, nil
}
