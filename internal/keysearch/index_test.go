package keysearch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	video    = 1
	audio    = 2
	frameLen = 10_000 // bytes
)

// A film is the frames of a file; it counts those that were looked at.
type film struct {
	entries []Entry
	looked  int
	err     error // of all looking
}

func (f *film) scan(ctx context.Context, from, to int64, fn func(Entry) bool) error {
	if f.err != nil {
		return f.err
	}
	for _, e := range f.entries {
		if e.At < from || e.At >= to {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f.looked++
		if !fn(e) {
			break
		}
	}
	return nil
}

func (f *film) index() *Index {
	return &Index{To: int64(len(f.entries)) * frameLen, Scan: f.scan, MaxAhead: 10 * time.Second}
}

// add adds seconds of video at 25 frames/s from a time on, a key frame each second,
// and audio as frequent.
func (f *film) add(from time.Duration, seconds int) {
	for i := range 25 * seconds {
		t := from + time.Duration(i)*40*time.Millisecond
		for _, track := range []int{video, audio} {
			f.entries = append(f.entries, Entry{
				At: int64(len(f.entries)) * frameLen, Time: t, Track: track,
				Sought: track == video, Key: track == video && i%25 == 0,
			})
		}
	}
}

func filmOf(seconds int) *film {
	f := &film{}
	f.add(0, seconds)
	return f
}

func TestFind(t *testing.T) {
	f := filmOf(1000)
	x := f.index()
	require.NoError(t, x.Open(t.Context()))
	require.Equal(t, 1000*time.Second, x.Duration())
	for _, known := range []bool{false, true} {
		if known {
			times, err := x.Times(t.Context())
			require.NoError(t, err)
			require.Len(t, times, 1000)
		}
		for _, c := range []struct{ t, want time.Duration }{
			{-time.Hour, 0}, {0, 0}, {999 * time.Millisecond, 0}, {time.Second, time.Second}, {time.Second + 1, time.Second},
			{777*time.Second + 500*time.Millisecond, 777 * time.Second}, {999 * time.Second, 999 * time.Second}, {time.Hour, 999 * time.Second},
		} {
			f.looked = 0
			k, ok, err := x.Find(t.Context(), c.t)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, c.want, k.Time, "%v", c.t)
			require.Zero(t, k.Shift)
			require.Equal(t, int64(c.want/time.Second)*50*frameLen, k.At)
			require.Less(t, f.looked, 400, "of %d", len(f.entries))
		}
	}
}

// A key frame long ago, and none at all.
func TestFindFewKeys(t *testing.T) {
	for _, keys := range []int{0, 1, 2} {
		f := filmOf(1000)
		for i := range f.entries {
			f.entries[i].Key = keys > 0 && i == 100 || keys > 1 && i == 200
		}
		x := f.index()
		require.NoError(t, x.Open(t.Context()))
		for _, at := range []time.Duration{0, 3 * time.Second, 5 * time.Second, 900 * time.Second} {
			k, ok, err := x.Find(t.Context(), at)
			require.NoError(t, err)
			require.Equal(t, keys > 0, ok)
			want := time.Duration(min(keys, 1)) * 2 * time.Second
			if keys > 1 && at >= 4*time.Second {
				want = 4 * time.Second
			}
			require.Equal(t, want, k.Time)
		}
		times, err := x.Times(t.Context())
		require.NoError(t, err)
		require.Len(t, times, keys)
	}
}

func TestFindNothing(t *testing.T) {
	for _, f := range []*film{{}, {entries: []Entry{{Track: audio}}}} {
		x := f.index()
		require.NoError(t, x.Open(t.Context()))
		_, ok, err := x.Find(t.Context(), 0)
		require.NoError(t, err)
		require.False(t, ok)
		require.Zero(t, x.Duration())
	}
}

// Where times fall, or jump too far ahead, another timeline begins. That is found
// out when the file is opened, by Find, or when all is read.
func TestJoined(t *testing.T) {
	type part struct {
		from    time.Duration
		seconds int
	}
	for _, c := range []struct {
		name  string
		parts []part
		known bool // from the beginning on
	}{
		{"the same again", []part{{0, 60}, {0, 60}}, true},
		{"a short one behind", []part{{0, 100}, {0, 20}}, true},
		{"a short one before", []part{{0, 2}, {-500 * time.Second, 118}}, true},
		{"a short one between", []part{{0, 63}, {0, 1}, {64 * time.Second, 56}}, false},
		{"much later", []part{{0, 60}, {time.Hour, 60}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &film{}
			for _, p := range c.parts {
				f.add(p.from, p.seconds)
			}
			x := f.index()
			require.NoError(t, x.Open(t.Context()))
			require.Equal(t, c.known, x.scanned)
			times, err := x.Times(t.Context())
			require.NoError(t, err)
			require.Len(t, times, 120)
			require.Equal(t, 120*time.Second, x.Duration())
			for i, at := range times {
				require.Equal(t, time.Duration(i)*time.Second, at)
				k, ok, err := x.Find(t.Context(), at+1)
				require.NoError(t, err)
				require.True(t, ok)
				require.Equal(t, at, k.Time)
				require.Equal(t, int64(i)*50*frameLen, k.At)
				require.Equal(t, at, f.entries[i*50].Time+k.Shift)
			}
		})
	}
}

// Hints are what the file says. If they are all keys nothing else is read for them;
// if some are left out they help nevertheless; those that are not true do no harm.
func TestHints(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(hints []Entry) []Entry
		hinted bool
		kept   bool // after the file was opened
	}{
		{"all", func(h []Entry) []Entry { return h }, true, true},
		{"every other", func(h []Entry) []Entry {
			var some []Entry
			for i := 0; i < len(h); i += 2 {
				some = append(some, h[i])
			}
			return some
		}, false, true},
		{"one", func(h []Entry) []Entry { return h[:1] }, false, true},
		{"the last one missing", func(h []Entry) []Entry { return h[:len(h)-1] }, false, true},
		{"the first one missing", func(h []Entry) []Entry { return h[1:] }, false, true},
		{"a wrong place", func(h []Entry) []Entry { h[0].At++; return h }, false, false},
		{"a wrong time", func(h []Entry) []Entry { h[len(h)-1].Time += time.Second; return h }, false, false},
		{"no key", func(h []Entry) []Entry { h[0].At += 2 * frameLen; h[0].Time += 40 * time.Millisecond; return h }, false, false},
		{"outside", func(h []Entry) []Entry { h[len(h)-1].At = 1 << 40; return h }, false, false},
		{"one of many wrong", func(h []Entry) []Entry { h[149].At++; return h }, false, false}, // beside the middle
		{"one of many wrong, found later", func(h []Entry) []Entry { h[77].At++; return h }, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := filmOf(300)
			x := f.index()
			for _, e := range f.entries {
				if e.Key {
					x.Hints = append(x.Hints, e)
				}
			}
			x.Hints = c.change(x.Hints)
			require.NoError(t, x.Open(t.Context()))
			require.Equal(t, c.hinted, x.hinted)
			require.Equal(t, c.kept, x.Hints != nil)
			f.looked = 0
			times, err := x.Times(t.Context())
			require.NoError(t, err)
			require.Len(t, times, 300)
			require.Equal(t, c.hinted, f.looked == 0)
			x.scanned = false
			for at := range 300 {
				k, ok, err := x.Find(t.Context(), time.Duration(at)*time.Second+1)
				require.NoError(t, err)
				require.True(t, ok)
				require.Equal(t, Key{At: int64(at) * 50 * frameLen, Time: time.Duration(at) * time.Second}, k)
			}
		})
	}
}

// A part of another timeline that lies where Find looks first.
func TestFindFalls(t *testing.T) {
	f := filmOf(1000)
	for i := range f.entries {
		if i > 26_000 && i < 27_000 { // Open looks beside it
			f.entries[i].Time = 2000 * time.Second
		}
	}
	x := f.index()
	require.NoError(t, x.Open(t.Context()))
	require.False(t, x.scanned)
	for at := range 1000 {
		_, _, err := x.Find(t.Context(), time.Duration(at)*time.Second)
		require.NoError(t, err)
	}
	require.True(t, x.scanned)
}

func TestEvery(t *testing.T) {
	f := filmOf(100)
	for i := range f.entries {
		f.entries[i].Sought, f.entries[i].Key = f.entries[i].Track == audio, true
	}
	x := f.index()
	x.Every = true
	require.NoError(t, x.Open(t.Context()))
	k, _, err := x.Find(t.Context(), 50*time.Second+39*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, 50*time.Second, k.Time)
	times, err := x.Times(t.Context())
	require.NoError(t, err)
	for i := range times[1:] {
		require.InDelta(t, 520*time.Millisecond, times[i+1]-times[i], 1)
	}
	require.Less(t, 100*time.Second-times[len(times)-1], time.Second)
}

// The second part of a frame that comes in two is no place to begin with.
func TestFindParts(t *testing.T) {
	f := &film{}
	for i := range 1000 {
		f.entries = append(f.entries, Entry{At: int64(i) * frameLen, Time: time.Duration(i/2) * time.Second, Track: video, Sought: true, Key: true})
	}
	x := f.index()
	require.NoError(t, x.Open(t.Context()))
	times, err := x.Times(t.Context())
	require.NoError(t, err)
	require.Len(t, times, 500)
	x.scanned = false
	for i := range 500 {
		k, _, err := x.Find(t.Context(), time.Duration(i)*time.Second)
		require.NoError(t, err)
		require.Equal(t, int64(2*i)*frameLen, k.At)
	}
}

func TestErrors(t *testing.T) {
	f := filmOf(100)
	x := f.index()
	require.NoError(t, x.Open(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := x.Find(ctx, 50*time.Second)
	require.ErrorIs(t, err, context.Canceled)
	f.err = errors.New("broken disk")
	_, err = x.Times(t.Context())
	require.Equal(t, f.err, err)
	require.Equal(t, f.err, f.index().Open(t.Context()))
}

// playing returns a File over a film, which reads its frames.
func playing(f *film) *File {
	next := 0
	var shift time.Duration
	file := &File{
		Index: f.index(), Input: NewInput(bytes.NewReader(nil), 0),
		Restart: func(k Key) error {
			next, shift = int(k.At/frameLen), k.Shift
			return nil
		},
		Read: func(context.Context) (*codec.Frame, error) {
			if f.err != nil {
				return nil, f.err
			}
			if next == len(f.entries) {
				return nil, io.EOF
			}
			e := f.entries[next]
			fr := &codec.Frame{Track: &codec.Track{ID: e.Track}, DTS: e.Time + shift}
			if e.Key && e.Time >= 10*time.Second || e.Time == 0 { // the others only say so
				fr.Flags = codec.FlagKey
			}
			next++
			return fr, nil
		},
		IsSought: func(fr *codec.Frame) bool { return fr.Track.ID == video },
	}
	return file
}

// A Seek goes on to the key before where a frame proves to be none.
func TestSeek(t *testing.T) {
	file := playing(filmOf(100))
	require.NoError(t, file.Index.Open(t.Context()))
	for _, c := range []struct{ t, want time.Duration }{
		{50*time.Second + 1, 50 * time.Second}, {10 * time.Second, 10 * time.Second}, {5 * time.Second, 0}, {time.Hour, 99 * time.Second}, {-1, 0},
	} {
		at, err := file.Seek(t.Context(), c.t)
		require.NoError(t, err)
		require.Equal(t, c.want, at)
		fr, err := file.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, at, fr.DTS)
		require.True(t, fr.Key())
		require.True(t, fr.Has(codec.FlagDiscont))
		fr, err = file.ReadFrame(t.Context())
		require.NoError(t, err)
		require.False(t, fr.Has(codec.FlagDiscont))
	}
	at, err := file.Seek(t.Context(), 9*time.Second) // after so many tries any frame will do
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, at)
}

// A file without key frames is read from its beginning.
func TestSeekNoKeys(t *testing.T) {
	f := filmOf(10)
	for i := range f.entries {
		f.entries[i].Key = false
		f.entries[i].Time += time.Millisecond
	}
	file := playing(f)
	require.NoError(t, file.Index.Open(t.Context()))
	at, err := file.Seek(t.Context(), 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, time.Millisecond, at)
	f.err = errors.New("broken disk")
	_, err = file.Seek(t.Context(), 5*time.Second)
	require.Equal(t, f.err, err)
}

// Frames of other tracks from before the key frame are left out, opaque ones not.
func TestSeekLeavesOut(t *testing.T) {
	file := playing(filmOf(100))
	require.NoError(t, file.Index.Open(t.Context()))
	_, err := file.Seek(t.Context(), 50*time.Second)
	require.NoError(t, err)
	_, err = file.ReadFrame(t.Context())
	require.NoError(t, err)
	early := []*codec.Frame{
		{Track: &codec.Track{ID: audio}, DTS: 49 * time.Second},
		{Track: &codec.Track{ID: 3, Wire: "ts"}, DTS: time.Second},
		{Track: &codec.Track{ID: audio}, DTS: 50 * time.Second},
	}
	want := early[1:]
	file.Read = func(context.Context) (*codec.Frame, error) {
		fr := early[0]
		early = early[1:]
		return fr, nil
	}
	for _, w := range want {
		fr, err := file.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Same(t, w, fr)
	}
}

func TestInput(t *testing.T) {
	in := NewInput(bytes.NewReader([]byte("0123456789")), 10)
	in.Set(3, 6)
	b, err := io.ReadAll(in)
	require.NoError(t, err)
	require.Equal(t, "345", string(b))
	in.Set(8, 20)
	b, err = io.ReadAll(in)
	require.NoError(t, err)
	require.Equal(t, "89", string(b))

	w := Window{Input: in}
	for _, c := range []struct {
		at       int64
		n, ahead int
		want     string
	}{{2, 2, 5, "23456"}, {3, 2, 5, "3456"}, {6, 2, 0, "67"}, {8, 5, 0, "89"}, {20, 1, 0, ""}, {0, 1, 3, "012"}} {
		b, err := w.Bytes(c.at, c.n, c.ahead)
		require.NoError(t, err)
		require.Equal(t, c.want, string(b))
	}
	require.NoError(t, in.Close())
	require.NoError(t, in.Close())
	in.Set(0, 10)
	_, err = in.Read(make([]byte, 1))
	require.ErrorIs(t, err, source.ErrClosed)
	_, err = w.Bytes(5, 1, 0)
	require.ErrorIs(t, err, source.ErrClosed)
}

func TestUnwrapper(t *testing.T) {
	for _, at := range []int64{0, 1, 1<<32 - 1, 1 << 32, 1 << 33, 5<<33 + 7} {
		for _, bits := range []uint{32, 33} {
			u := Unwrapper(bits, at)
			require.Equal(t, at+1, u.Unwrap(uint64(at+1)))
		}
	}
}
