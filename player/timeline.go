package player

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/cast"
	"github.com/mediakit-go/mediakit/source"
)

// OpenFiles opens files as one stream, in which each begins where the one before
// it ends. A folder stands for the films in it and below it, in the order of their
// paths; those that cannot be read are left out, hidden ones too. Where it has films
// of several kinds, as when a stream was recorded in each of them, it stands for
// those in MP4, or else for those in FLV, in MPEG-TS or in MPEG-PS.
//
// The Reader is a source.Seeker and a source.KeyIndexer. It has one file open at
// a time. Tracks are those of all files: the tracks of a file take the place of
// the earlier ones' by codec, then by kind. A file that was cut short is followed
// by the next one.
func OpenFiles(ctx context.Context, paths ...string) (source.Reader, error) {
	r, err := openFiles(ctx, systemFiles{}, paths, nil)
	if err != nil {
		return nil, fmt.Errorf("player: %w", err)
	}
	return r, nil
}

// A skipFunc is told how many files of folders are left out, and what is wrong with
// the first of them. It may be nil.
type skipFunc func(files int, err error)

// openFiles opens files of lib.
func openFiles(ctx context.Context, lib library, names []string, skip skipFunc) (medium, error) {
	all, err := pieces(ctx, lib, names)
	if err != nil {
		return nil, err
	}
	if len(all) == 1 {
		return lib.medium(all[0].name)
	}
	t := &timeline{open: lib.medium, skip: skip}
	if err := t.lay(ctx, all); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// A timeline plays several media one after the other.
type timeline struct {
	open  func(name string) (medium, error)
	skip  skipFunc
	parts []part
	cast  cast.Cast
	keys  []time.Duration

	at     int // the part that is read
	splice splice

	mu     sync.Mutex // guards what follows
	cur    medium
	roles  []cast.Role // of cur
	closed bool
}

// A part is a medium's place in a timeline.
type part struct {
	piece
	from   time.Duration
	length time.Duration
	roles  []cast.Role // as they are at its beginning
}

// lay finds out what has a place where, and opens the first of all.
func (t *timeline) lay(ctx context.Context, all []piece) error {
	var length time.Duration
	var broken error
	for _, p := range all {
		m, err := t.measure(ctx, p.name)
		if err != nil && (!p.listed || ctx.Err() != nil) {
			return err
		}
		if err != nil {
			broken = cmp.Or(broken, err)
			continue
		}
		t.parts = append(t.parts, part{p, length, m.Duration(), t.cast.Play(nil, m.Tracks()...)})
		length += m.Duration()
		if len(t.parts) > 1 {
			_ = m.Close()
		} else if err := t.play(m, 0); err != nil {
			return err
		}
	}
	if len(t.parts) == 0 {
		return broken
	}
	if broken != nil {
		t.tell(len(all)-len(t.parts), broken)
	}
	return nil
}

// measure opens a medium that knows its length.
func (t *timeline) measure(ctx context.Context, name string) (medium, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, err := t.open(name)
	if err != nil || m.Duration() > 0 {
		return m, err
	}
	if _, err := m.KeyTimes(ctx); err != nil { // it takes an index to know
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

// tell tells that files are left out.
func (t *timeline) tell(files int, err error) {
	if t.skip != nil {
		t.skip(files, err)
	}
}

// play makes m, the medium of the part at, the one that is read from now on.
func (t *timeline) play(m medium, at int) error {
	t.mu.Lock()
	old, closed := t.cur, t.closed
	if !closed {
		t.cur, t.roles = m, slices.Clone(t.parts[at].roles)
	}
	t.mu.Unlock()
	if closed {
		_ = m.Close()
		return source.ErrClosed
	}
	t.at = at
	if old != nil && old != m {
		_ = old.Close()
	}
	return nil
}

// current returns the medium that is read.
func (t *timeline) current() (medium, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, source.ErrClosed
	}
	return t.cur, nil
}

// Tracks returns the tracks of all parts, those that the present one has as they
// are there.
func (t *timeline) Tracks() []*codec.Track {
	t.mu.Lock()
	defer t.mu.Unlock()
	tracks := slices.Clone(t.cast.First)
	for i, k := range tracks {
		for _, r := range t.roles {
			if r.Out.ID == k.ID {
				tracks[i] = r.Out
			}
		}
	}
	return tracks
}

// Present returns the tracks that the part which is read has.
func (t *timeline) Present() []*codec.Track {
	t.mu.Lock()
	defer t.mu.Unlock()
	tracks := make([]*codec.Track, len(t.roles))
	for i, r := range t.roles {
		tracks[i] = r.Out
	}
	return tracks
}

// Seams returns the times at which parts begin that have not the same tracks as the
// one before, or other parameters.
func (t *timeline) Seams() (times []time.Duration) {
	for i := 1; i < len(t.parts); i++ {
		if before, p := t.parts[i-1], t.parts[i]; !sameOut(before.roles, p.roles) {
			times = append(times, p.from)
		}
	}
	return times
}

// sameOut reports whether media with these roles have the same tracks.
func sameOut(a, b []cast.Role) bool {
	if len(a) != len(b) {
		return false
	}
	for _, r := range a {
		if !slices.ContainsFunc(b, func(o cast.Role) bool { return o.Out == r.Out }) {
			return false
		}
	}
	return true
}

// ReadFrame returns the next frame, of the next part where one ends.
func (t *timeline) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	for {
		m, err := t.current()
		if err != nil {
			return nil, err
		}
		f, err := m.ReadFrame(ctx)
		if err == nil {
			return t.splice.place(f, t.role(f.Track)), nil
		}
		if !over(err) || t.at+1 == len(t.parts) {
			return nil, err
		}
		if err := t.enter(t.at + 1); err != nil {
			return nil, err
		}
	}
}

// enter goes on to the beginning of the part at, or to that of the next one if it
// was found in a folder and is not there any more.
func (t *timeline) enter(at int) error {
	m, err := t.open(t.parts[at].name)
	for err != nil {
		if !t.parts[at].listed {
			return err
		}
		t.tell(1, err)
		if at++; at == len(t.parts) {
			return io.EOF
		}
		m, err = t.open(t.parts[at].name)
	}
	t.splice.join(t.parts[at].from)
	return t.play(m, at)
}

// role returns the track of the medium that is read as it is in the timeline.
func (t *timeline) role(in *codec.Track) *codec.Track {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := cast.Find(t.roles, in.ID)
	if i < 0 { // it came late
		i = len(t.roles)
		t.roles = t.cast.Play(t.roles, in)
	}
	r := &t.roles[i]
	if r.In != in {
		t.cast.Renew(r, in)
	}
	return r.Out
}

// Duration implements source.Seeker.
func (t *timeline) Duration() time.Duration {
	p := t.parts[len(t.parts)-1]
	return p.from + p.length
}

// Seek implements source.Seeker.
func (t *timeline) Seek(ctx context.Context, to time.Duration) (time.Duration, error) {
	at := 0
	for at+1 < len(t.parts) && t.parts[at+1].from <= to {
		at++
	}
	m, err := t.current()
	if err != nil {
		return 0, err
	}
	if at != t.at {
		if m, err = t.open(t.parts[at].name); err != nil {
			return 0, err
		}
	}
	from := t.parts[at].from
	got, err := m.Seek(ctx, max(0, to-from))
	if err != nil {
		if at != t.at {
			_ = m.Close()
		}
		return 0, err
	}
	if at != t.at {
		if err := t.play(m, at); err != nil {
			return 0, err
		}
	}
	t.splice.jump(from)
	return from + got, nil
}

// KeyTimes implements source.KeyIndexer. The first time it opens all parts; those
// that were found in a folder and are not there any more have none.
func (t *timeline) KeyTimes(ctx context.Context) ([]time.Duration, error) {
	if t.keys != nil {
		return t.keys, nil
	}
	cur, err := t.current()
	if err != nil {
		return nil, err
	}
	keys := []time.Duration{}
	for at, p := range t.parts {
		of, err := t.keysOf(ctx, cur, at)
		if err != nil && (!p.listed || ctx.Err() != nil) {
			return nil, err
		}
		for _, k := range of {
			if k < p.length || at+1 == len(t.parts) { // else Seek takes it for one of the next
				keys = append(keys, p.from+k)
			}
		}
	}
	t.keys = keys
	return keys, nil
}

// keysOf returns the key times of the part at, in its own time; cur is the part that
// is read.
func (t *timeline) keysOf(ctx context.Context, cur medium, at int) ([]time.Duration, error) {
	if at == t.at {
		return cur.KeyTimes(ctx)
	}
	m, err := t.open(t.parts[at].name)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.KeyTimes(ctx)
}

// Rest closes the file that is open, if it can, until the timeline is used again.
func (t *timeline) Rest() {
	m, err := t.current()
	if r, ok := m.(rester); ok && err == nil {
		r.Rest()
	}
	t.keys = nil
}

// Close closes the file that is open.
func (t *timeline) Close() error {
	t.mu.Lock()
	m := t.cur
	if t.closed {
		m = nil
	}
	t.closed = true
	t.mu.Unlock()
	if m == nil {
		return nil
	}
	return m.Close()
}
