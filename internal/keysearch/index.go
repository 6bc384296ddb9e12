// Package keysearch goes to any time in files that have no index, by the times that
// stand before the frames in them. An [Index] searches, a [File] reads on from what
// was found. They are inside the Files of the containers, which tell them how to
// look into a part of a file (Scan) and to read from a place in it.
package keysearch

import (
	"context"
	"errors"
	"math"
	"slices"
	"sort"
	"time"
)

// How an Index searches. Bytes, unless said otherwise.
const (
	near      = 256 << 10 // parts of this size are gone through rather than halved
	maxTail   = 64 << 20  // at the end of a file, in which there must be a frame
	samples   = 16        // places that are looked at for whether times rise
	stepBack  = time.Second
	maxStep   = time.Second            // that the last frame is taken to last
	audioStep = 500 * time.Millisecond // between the times of a file without video
)

// An Entry is a frame in a file, as far as can be told without reading all of it.
type Entry struct {
	At     int64         // where to read from
	Time   time.Duration // its DTS as the file tells it, since the first frame's
	Track  int
	Sought bool // it is of the track that the file is sought by
	Key    bool // reading may begin with it
}

// A Key is a place in a file to read from.
type Key struct {
	At    int64
	Time  time.Duration // of the file as one timeline
	Shift time.Duration // what was added to the time that the file tells
}

// An Index finds the keys of a file. It halves the file until it is near enough,
// so that it reads little of it. Where times do not rise, as where several files
// were joined, and where all keys are asked for it goes through the file once.
//
// From, To and Scan must be set, and any of the other fields, before Open is called.
type Index struct {
	From, To int64 // where in the file media are
	// Scan calls fn for the frames that begin in [from, to), in their order,
	// until fn returns false. A frame may begin before from.
	Scan func(ctx context.Context, from, to int64, fn func(Entry) bool) error
	// MaxAhead is by how much time may jump ahead; where it jumps by more there is
	// another timeline. 0 means by any amount.
	MaxAhead time.Duration
	// Every says that every frame is a key, as of audio. Times then leaves most out.
	Every bool
	// Hints are what the file says its keys are, in ascending order. They are
	// believed as far as they prove true.
	Hints []Entry

	first, last Entry // of the track that is sought by
	duration    time.Duration
	hinted      bool // Hints are all keys
	scanned     bool // keys are all keys
	keys        []Key
}

// Open looks at beginning and end of the file, and here and there between.
func (x *Index) Open(ctx context.Context) error {
	var ok bool
	var err error
	if x.first, ok, err = x.next(ctx, x.From, x.To); err != nil || !ok {
		return err
	}
	if err := x.tail(ctx); err != nil {
		return err
	}
	last := x.first.Time
	for i := range int64(samples) {
		e, ok, err := x.next(ctx, x.From+(x.To-x.From)/samples*i, x.To)
		if err != nil {
			return err
		}
		if ok && e.Time < last-stepBack {
			return x.scanAll(ctx)
		}
		if ok {
			last = max(last, e.Time)
		}
	}
	if x.last.Time < last-stepBack {
		return x.scanAll(ctx)
	}
	return x.checkHints(ctx)
}

// Duration returns the length of the file.
func (x *Index) Duration() time.Duration { return x.duration }

// next returns the first frame of the track that is sought by which begins in
// [from, to).
func (x *Index) next(ctx context.Context, from, to int64) (found Entry, ok bool, err error) {
	err = x.Scan(ctx, from, to, func(e Entry) bool {
		if e.Sought {
			found, ok = e, true
		}
		return !ok
	})
	return found, ok, err
}

// tail finds the last frame and the duration: from the first frame to the end of
// the last, which is as long as the one of its track before it, a second at most.
func (x *Index) tail(ctx context.Context) error {
	x.last = x.first
	for size := int64(near); ; size *= 4 {
		from := max(x.To-size, x.From)
		type end struct{ before, last time.Duration }
		ends := map[int]end{}
		sought := 0
		err := x.Scan(ctx, from, x.To, func(e Entry) bool {
			t, ok := ends[e.Track]
			if !ok {
				t.last = e.Time
			}
			ends[e.Track] = end{t.last, max(t.last, e.Time)}
			if e.Sought {
				x.last = e
				sought++
			}
			return true
		})
		if err != nil {
			return err
		}
		if sought > 1 || from == x.From || size >= maxTail {
			for _, t := range ends {
				x.duration = max(x.duration, t.last+min(t.last-t.before, maxStep))
			}
			return nil
		}
	}
}

// checkHints forgets Hints that are not true, and finds out whether they are
// complete.
func (x *Index) checkHints(ctx context.Context) error {
	if len(x.Hints) == 0 {
		return nil
	}
	n := len(x.Hints)
	for _, i := range []int{0, n / 2, n - 1} {
		ok, err := x.proves(ctx, &x.Hints[i])
		if err != nil {
			return err
		}
		if !ok {
			x.Hints = nil
			return nil
		}
	}
	var err error
	x.hinted, err = x.complete(ctx)
	return err
}

// complete reports whether Hints are all keys, as far as beginning, middle and end
// tell. Writers leave keys out where there were too many.
func (x *Index) complete(ctx context.Context) (bool, error) {
	n, first := len(x.Hints), x.Hints[0].Time
	before := []time.Duration{math.MaxInt64}
	want := []time.Duration{x.Hints[n-1].Time}
	for _, i := range []int{0, (n - 1) / 2} {
		if i+1 < n {
			before, want = append(before, x.Hints[i+1].Time), append(want, x.Hints[i].Time)
		}
	}
	for i, t := range before {
		k, ok, err := x.Find(ctx, t-1)
		if err != nil || !ok || k.Time != want[i] {
			return false, err
		}
	}
	k, ok, err := x.Find(ctx, math.MinInt64)
	return ok && k.Time == first && len(x.Hints) == n, err // Find may have found one wrong
}

// proves reports whether a hint is a key of this time, and completes it.
func (x *Index) proves(ctx context.Context, h *Entry) (bool, error) {
	if h.At < x.From || h.At >= x.To {
		return false, nil
	}
	e, ok, err := x.next(ctx, h.At, min(h.At+1, x.To))
	if !ok || err != nil || !e.Key || (e.Time-h.Time).Abs() > time.Millisecond {
		return false, err
	}
	*h = e
	return true, nil
}

// Find returns the last key at or before t, the first of all if there is none;
// false if the file has no keys.
func (x *Index) Find(ctx context.Context, t time.Duration) (Key, bool, error) {
	if !x.scanned {
		e, ok, err := x.search(ctx, t)
		if err == nil || !errors.Is(err, errFalls) {
			return Key{At: e.At, Time: e.Time}, ok, err
		}
		if err := x.scanAll(ctx); err != nil {
			return Key{}, false, err
		}
	}
	if len(x.keys) == 0 {
		return Key{}, false, nil
	}
	i := sort.Search(len(x.keys), func(i int) bool { return x.keys[i].Time > t })
	return x.keys[max(i-1, 0)], true, nil
}

// errFalls tells that times do not rise.
var errFalls = errors.New("times fall")

// search is Find for a file whose times rise; errFalls if they do not.
func (x *Index) search(ctx context.Context, t time.Duration) (Entry, bool, error) {
	low, high, highTime, err := x.bounds(ctx, t)
	if err != nil {
		return Entry{}, false, err
	}
	for high-low.At > near {
		middle := low.At + (high-low.At)/2
		e, ok, err := x.next(ctx, middle, high)
		switch {
		case err != nil:
			return Entry{}, false, err
		case ok && (e.Time < low.Time-stepBack || e.Time > highTime+stepBack):
			return Entry{}, false, errFalls
		case !ok:
			high = middle
		case e.Time > t:
			high, highTime = middle, e.Time
		default:
			low = e
		}
	}
	if e, ok, err := x.before(ctx, max(low.At-near, x.From), high, t); ok || err != nil {
		return e, ok, err
	}
	return x.firstKey(ctx)
}

// bounds returns between what to search for t: a frame at or before it, and the
// end of what may be at or before it.
func (x *Index) bounds(ctx context.Context, t time.Duration) (low Entry, high int64, highTime time.Duration, err error) {
	low, high, highTime = x.first, x.To, x.last.Time
	i, _ := slices.BinarySearchFunc(x.Hints, t, func(e Entry, t time.Duration) int {
		if e.Time <= t {
			return -1
		}
		return 1
	})
	for _, i := range []int{i - 1, i} {
		if i < 0 || i >= len(x.Hints) {
			continue
		}
		h := x.Hints[i]
		ok, err := x.proves(ctx, &h)
		if err != nil {
			return low, high, highTime, err
		}
		switch {
		case !ok:
			x.Hints, x.hinted = nil, false
			return x.first, x.To, x.last.Time, nil
		case h.Time <= t:
			low = h
		default:
			high, highTime = h.At, h.Time
		}
	}
	return low, high, highTime, nil
}

// before returns the last key at or before t that begins before high. It looks in
// what is behind low, then in ever more of what is before.
func (x *Index) before(ctx context.Context, low, high int64, t time.Duration) (found Entry, ok bool, err error) {
	for size := int64(near); ; size *= 2 {
		err := x.Scan(ctx, low, high, func(e Entry) bool {
			if e.Sought && e.Key && e.Time <= t && (!ok || e.Time > found.Time) { // not the second part of a frame
				found, ok = e, true
			}
			return !e.Sought || e.Time <= t
		})
		if ok || err != nil || low == x.From {
			return found, ok, err
		}
		low, high = max(low-size, x.From), low
	}
}

// firstKey returns the first key of the file.
func (x *Index) firstKey(ctx context.Context) (found Entry, ok bool, err error) {
	err = x.Scan(ctx, x.From, x.To, func(e Entry) bool {
		if e.Sought && e.Key {
			found, ok = e, true
		}
		return !ok
	})
	return found, ok, err
}

// Times returns the times of all keys, those of audio half a second apart.
func (x *Index) Times(ctx context.Context) ([]time.Duration, error) {
	if !x.hinted && !x.scanned {
		if err := x.scanAll(ctx); err != nil {
			return nil, err
		}
	}
	var times []time.Duration
	if x.scanned {
		for _, k := range x.keys {
			times = append(times, k.Time)
		}
		return times, nil
	}
	for _, h := range x.Hints {
		times = append(times, h.Time)
	}
	return times, nil
}

// scanAll goes through the file.
func (x *Index) scanAll(ctx context.Context) error {
	var keys []Key
	var shift, last, step time.Duration
	begun := false
	err := x.Scan(ctx, x.From, x.To, func(e Entry) bool {
		if !e.Sought {
			return true
		}
		t := e.Time + shift
		if begun && (t < last-stepBack || x.MaxAhead > 0 && t > last+x.MaxAhead) {
			t = last + step
			shift = t - e.Time
		}
		if t > last {
			step = t - last
		}
		last, begun = max(t, last), true
		if n := len(keys); e.Key && (n == 0 || last > keys[n-1].Time && (!x.Every || last-keys[n-1].Time >= audioStep)) {
			keys = append(keys, Key{At: e.At, Time: last, Shift: shift})
		}
		return true
	})
	if err != nil {
		return err
	}
	if shift != 0 { // else the other tracks count
		x.duration = last + step
	}
	x.keys, x.scanned = keys, true
	return nil
}
