package source_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

var errLost = errors.New("connection lost")

const ms = time.Millisecond

// Descriptions that need no real decoder configuration.
var (
	small  = &codec.Track{ID: 0, Codec: codec.H264, Config: []byte("small"), Width: 640, Height: 360}
	large  = &codec.Track{ID: 0, Codec: codec.H264, Config: []byte("large"), Width: 1280, Height: 720}
	video7 = &codec.Track{ID: 7, Codec: codec.H264, Config: []byte("small"), Width: 640, Height: 360}
	aac    = &codec.Track{ID: 1, Codec: codec.AAC, Config: []byte{0x12, 0x10}, SampleRate: 44100, Channels: 2}
	opus   = &codec.Track{ID: 2, Codec: codec.Opus, SampleRate: 48000, Channels: 2}
	aac0   = &codec.Track{ID: 0, Codec: codec.AAC, Config: []byte{0x12, 0x10}, SampleRate: 44100, Channels: 2}
	opaque = &codec.Track{ID: 0, Codec: codec.Opaque, Wire: "flv", WireKind: codec.KindVideo, Name: "vvc1"}
)

// key, inter and sound make frames of video and audio tracks.
func key(t *codec.Track, dts time.Duration) *codec.Frame {
	return &codec.Frame{Track: t, DTS: dts, PTS: dts + 40*ms, Flags: codec.FlagKey}
}

func inter(t *codec.Track, dts time.Duration) *codec.Frame {
	return &codec.Frame{Track: t, DTS: dts, PTS: dts + 40*ms}
}

func sound(t *codec.Track, dts time.Duration) *codec.Frame {
	return &codec.Frame{Track: t, DTS: dts, PTS: dts}
}

// line writes f for comparison: its time, track, "K" for a key frame, "!" for a
// discontinuity.
func line(f *codec.Frame) string {
	s := fmt.Sprintf("%d:%d", f.DTS/ms, f.Track.ID)
	if f.Key() {
		s += "K"
	}
	if f.Has(codec.FlagDiscont) {
		s += "!"
	}
	return s
}

// An attempt is one opening of a scripted Source. Times pass before what they
// are written with.
type attempt struct {
	takes  time.Duration // to open
	refuse error         // opening fails
	tracks []*codec.Track
	frames []*codec.Frame
	every  time.Duration // between frames
	holds  time.Duration // after the last frame, before err
	err    error         // after the last frame; nil: ReadFrame blocks until it is closed
}

// A script is a Source whose openings follow a script; the last one repeats.
type script struct {
	attempts []attempt
	opened   []time.Duration // when, since the first
	start    time.Time
	closed   int
	bound    bool // a Reader ends with the context it was opened with
}

func (s *script) Open(ctx context.Context) (source.Reader, error) {
	if s.opened == nil {
		s.start = time.Now()
	}
	a := s.attempts[min(len(s.opened), len(s.attempts)-1)]
	s.opened = append(s.opened, time.Since(s.start))
	if err := wait(ctx, a.takes); err != nil {
		return nil, err
	}
	if a.refuse != nil {
		return nil, a.refuse
	}
	life, kill := context.WithCancel(context.Background())
	r := &scripted{attempt: a, script: s, life: life, kill: kill}
	if s.bound {
		context.AfterFunc(ctx, kill)
	}
	return r, nil
}

type scripted struct {
	attempt
	script *script
	life   context.Context
	kill   context.CancelFunc
}

func (r *scripted) Tracks() []*codec.Track { return r.tracks }

func (r *scripted) Close() error {
	r.kill()
	r.script.closed++
	return nil
}

func (r *scripted) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	if len(r.frames) == 0 {
		if err := wait(both, r.holds); err != nil {
			return nil, err
		}
		if r.err != nil {
			return nil, r.err
		}
		<-both.Done()
		return nil, both.Err()
	}
	if err := wait(both, r.every); err != nil {
		return nil, err
	}
	f := r.frames[0]
	r.frames = r.frames[1:]
	return f, nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var retryCases = []struct {
	name     string
	backoff  source.Backoff
	attempts []attempt
	want     string // the frames, as line writes them
	opened   string // when attempts were made
	err      error  // what ended it
	dropped  uint64
}{
	{
		name:    "one attempt is passed through unchanged",
		backoff: source.Backoff{EndAtEOF: true},
		attempts: []attempt{
			{tracks: []*codec.Track{small, aac}, frames: []*codec.Frame{inter(small, 5000*ms), sound(aac, 5010*ms), key(small, 5040*ms)}, err: io.EOF},
		},
		want: "5000:0 5010:1 5040:0K", opened: "0", err: io.EOF,
	},
	{
		name:    "a lost stream comes back after 2 s with its clock",
		backoff: source.Backoff{EndAtEOF: true},
		attempts: []attempt{
			{frames: []*codec.Frame{key(small, 5000*ms), inter(small, 5040*ms)}, err: errLost},
			{frames: []*codec.Frame{key(small, 90000*ms), inter(small, 90040*ms)}, err: io.EOF},
		},
		want: "5000:0K 5040:0 7040:0K! 7080:0", opened: "0 2000", err: io.EOF,
	},
	{
		name:    "the time away counts from the last frame, with the time to notice and to open",
		backoff: source.Backoff{EndAtEOF: true},
		attempts: []attempt{
			{frames: []*codec.Frame{key(small, 0)}, holds: 5000 * ms, err: errLost},
			{takes: 300 * ms, every: 10 * ms, frames: []*codec.Frame{key(small, 0)}, err: io.EOF},
		},
		want: "0:0K 7310:0K!", opened: "0 7000", err: io.EOF,
	},
	{
		name:    "without any time away the gap is one frame",
		backoff: source.Backoff{Min: time.Nanosecond, Attempts: 1, EndAtEOF: true},
		attempts: []attempt{
			{frames: []*codec.Frame{key(small, 0), inter(small, 40*ms), inter(small, 80*ms)}, err: errLost},
			{frames: []*codec.Frame{key(small, 0)}, err: io.EOF},
		},
		want: "0:0K 40:0 80:0 120:0K!", opened: "0 0", err: io.EOF,
	},
	{
		name:    "frames before the key frame are left out, and audio older than it",
		backoff: source.Backoff{EndAtEOF: true},
		attempts: []attempt{
			{tracks: []*codec.Track{small, aac}, frames: []*codec.Frame{key(small, 0), sound(aac, 10*ms)}, err: errLost},
			{tracks: []*codec.Track{small, aac}, frames: []*codec.Frame{
				sound(aac, 0), inter(small, 0), sound(aac, 20*ms), key(small, 40*ms), sound(aac, 30*ms), sound(aac, 50*ms), inter(small, 80*ms),
			}, err: io.EOF},
		},
		want: "0:0K 10:1 2010:0K! 2020:1 2050:0", opened: "0 2000", err: io.EOF, dropped: 4,
	},
	{
		name:    "audio alone needs no key frame",
		backoff: source.Backoff{EndAtEOF: true},
		attempts: []attempt{
			{tracks: []*codec.Track{aac}, frames: []*codec.Frame{sound(aac, 0)}, err: errLost},
			{tracks: []*codec.Track{aac}, frames: []*codec.Frame{sound(aac, 700*ms), sound(aac, 723*ms)}, err: io.EOF},
		},
		want: "0:1 2000:1! 2023:1", opened: "0 2000", err: io.EOF,
	},
	{
		name:    "audio goes on alone when no key frame comes, and the video joins at one",
		backoff: source.Backoff{EndAtEOF: true},
		attempts: []attempt{
			{tracks: []*codec.Track{small, aac}, frames: []*codec.Frame{key(small, 0)}, err: errLost},
			{tracks: []*codec.Track{small, aac}, frames: []*codec.Frame{
				sound(aac, 0), inter(small, 5000*ms), sound(aac, 9999*ms), sound(aac, 10000*ms), inter(small, 10001*ms), key(small, 10040*ms),
			}, err: io.EOF},
		},
		want: "0:0K 2000:1! 2040:0K!", opened: "0 2000", err: io.EOF, dropped: 4,
	},
	{
		name:    "a video that turns up later starts at its key frame",
		backoff: source.Backoff{EndAtEOF: true},
		attempts: []attempt{
			{frames: []*codec.Frame{key(small, 0)}, err: errLost},
			{frames: []*codec.Frame{sound(aac, 0), inter(small, 10*ms), key(small, 20*ms)}, err: io.EOF},
		},
		want: "0:0K 2000:1! 2020:0K!", opened: "0 2000", err: io.EOF, dropped: 1,
	},
	{
		name:    "a coding nobody looks into has no key frames to wait for",
		backoff: source.Backoff{EndAtEOF: true},
		attempts: []attempt{
			{tracks: []*codec.Track{opaque}, frames: []*codec.Frame{inter(opaque, 0)}, err: errLost},
			{tracks: []*codec.Track{opaque}, frames: []*codec.Frame{inter(opaque, 0)}, err: io.EOF},
		},
		want: "0:0 2000:0!", opened: "0 2000", err: io.EOF,
	},
	{
		name:    "a graceful end is a loss by default",
		backoff: source.Backoff{Attempts: 1},
		attempts: []attempt{
			{frames: []*codec.Frame{key(small, 0)}, err: io.EOF},
			{refuse: source.ErrNotFound},
		},
		want: "0:0K", opened: "0 2000", err: source.ErrNotFound,
	},
	{
		name: "failures are ever further apart and forgotten by a success",
		attempts: []attempt{
			{refuse: errLost}, {refuse: errLost}, {refuse: errLost},
			{frames: []*codec.Frame{key(small, 0)}, err: errLost},
			{refuse: errLost},
			{refuse: source.ErrUnsupported},
		},
		want: "0:0K", opened: "0 3000 9000 18000 20000 23000", err: source.ErrUnsupported,
	},
	{
		name:    "who accepts and sends nothing has failed",
		backoff: source.Backoff{Attempts: 3},
		attempts: []attempt{
			{frames: []*codec.Frame{key(small, 0)}, err: errLost}, {err: errLost}, {err: io.EOF}, {tracks: []*codec.Track{small, aac}, frames: []*codec.Frame{sound(aac, 0)}, err: errLost},
		},
		want: "0:0K", opened: "0 2000 5000 11000", err: errLost, dropped: 1,
	},
	{
		name:    "while nothing was delivered there is nothing to continue",
		backoff: source.Backoff{EndAtEOF: true},
		attempts: []attempt{
			{err: errLost},
			{frames: []*codec.Frame{inter(small, 300*ms), key(small, 340*ms)}, err: io.EOF},
		},
		want: "300:0 340:0K", opened: "0 3000", err: io.EOF,
	},
	{
		name:    "what no attempt can mend ends it",
		backoff: source.Backoff{},
		attempts: []attempt{
			{frames: []*codec.Frame{key(small, 0)}, err: errLost}, {refuse: fmt.Errorf("scheme: %w", source.ErrUnsupported)},
		},
		want: "0:0K", opened: "0 2000", err: source.ErrUnsupported,
	},
	{
		name:    "the caller says what no attempt can mend",
		backoff: source.Backoff{GiveUp: func(err error) bool { return errors.Is(err, source.ErrForbidden) }},
		attempts: []attempt{
			{refuse: source.ErrUnsupported}, {frames: []*codec.Frame{key(small, 0)}, err: source.ErrForbidden},
		},
		want: "0:0K", opened: "0 3000", err: source.ErrForbidden,
	},
}

func TestRetry(t *testing.T) {
	for _, bound := range []bool{false, true} {
		for _, c := range retryCases {
			t.Run(fmt.Sprintf("%s, bound %v", c.name, bound), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &script{attempts: c.attempts, bound: bound}
					ctx, cancel := context.WithCancel(t.Context())
					r, err := source.Retry(s, c.backoff).Open(ctx)
					require.NoError(t, err)
					cancel() // of the opening: it bounds that only
					var got []string
					for {
						f, err := r.ReadFrame(t.Context())
						if err != nil {
							require.ErrorIs(t, err, c.err)
							break
						}
						got = append(got, line(f))
						for _, a := range c.attempts {
							for _, in := range a.frames {
								require.False(t, in.Has(codec.FlagDiscont), "an input frame was changed")
							}
						}
					}
					require.Equal(t, c.want, strings.Join(got, " "))
					var opened []string
					for _, d := range s.opened {
						opened = append(opened, fmt.Sprint(int64(d/ms)))
					}
					require.Equal(t, c.opened, strings.Join(opened, " "))

					_, err = r.ReadFrame(t.Context())
					require.ErrorIs(t, err, c.err, "the end is final")
					st := r.(source.Retrier).RetryState()
					require.Equal(t, source.RetryEnded, st.Phase)
					require.ErrorIs(t, st.Err, c.err)
					require.Equal(t, c.dropped, st.Dropped)
					require.EqualValues(t, len(s.opened), st.Attempts)
					require.Equal(t, strings.Contains(c.want, "!"), st.Reconnects == 1)
					require.NoError(t, r.Close())
					opens := 0
					for i := range s.opened {
						if c.attempts[i].refuse == nil {
							opens++
						}
					}
					require.Equal(t, opens, s.closed, "each reader is closed once")
				})
			})
		}
	}
}

// Whatever the attempts bring, what comes out is one stream.
func TestRetryKeepsOrder(t *testing.T) {
	casts := [][]*codec.Track{{small, large, aac}, {video7, aac0}, {small, aac, opus}, {aac0}, {opaque, opus}}
	rapid.Check(t, func(rt *rapid.T) {
		s := &script{bound: rapid.Bool().Draw(rt, "bound")}
		for range rapid.IntRange(1, 5).Draw(rt, "attempts") {
			a := attempt{
				takes: time.Duration(rapid.IntRange(0, 1000).Draw(rt, "takes")) * ms,
				every: time.Duration(rapid.IntRange(0, 40).Draw(rt, "every")) * ms,
				err:   rapid.SampledFrom([]error{errLost, io.EOF}).Draw(rt, "end"),
			}
			if rapid.IntRange(0, 3).Draw(rt, "refused") == 0 {
				a.refuse = errLost
			}
			last := map[int]time.Duration{} // a Reader keeps the order within a track, not between them
			tracks := rapid.SampledFrom(casts).Draw(rt, "tracks")
			base := time.Duration(rapid.IntRange(0, 100_000).Draw(rt, "base")) * ms
			for range rapid.IntRange(0, 20).Draw(rt, "frames") {
				k := rapid.SampledFrom(tracks).Draw(rt, "track")
				base += time.Duration(rapid.IntRange(-50, 100).Draw(rt, "step")) * ms
				f := inter(k, max(base, last[k.ID]))
				if rapid.IntRange(0, 2).Draw(rt, "key") == 0 {
					f.Flags |= codec.FlagKey
				}
				last[k.ID] = f.DTS
				a.frames = append(a.frames, f)
			}
			if rapid.Bool().Draw(rt, "announced") {
				for _, f := range a.frames {
					if !slices.ContainsFunc(a.tracks, func(k *codec.Track) bool { return k.ID == f.Track.ID }) {
						a.tracks = append(a.tracks, f.Track)
					}
				}
			}
			s.attempts = append(s.attempts, a)
		}
		s.attempts = append(s.attempts, attempt{refuse: source.ErrUnsupported})
		b := rapid.SampledFrom([]source.Backoff{{}, {Min: 1, Step: 1}}).Draw(rt, "backoff")
		var wrong string
		synctest.Test(t, func(t *testing.T) { wrong = disorder(t.Context(), s, b) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// disorder returns what is wrong with the frames that Retry makes of s, with b.
func disorder(ctx context.Context, s *script, b source.Backoff) string {
	r, err := source.Retry(s, b).Open(ctx)
	if err != nil {
		return ""
	}
	defer r.Close()
	last, kinds := map[int]time.Duration{}, map[int]codec.Kind{}
	opened := 0 // when the latest frame came
	for f, err := range source.Frames(ctx, r) {
		if err != nil {
			break
		}
		id, kind := f.Track.ID, f.Track.Kind()
		if d, ok := last[id]; ok && f.DTS < d {
			return fmt.Sprintf("%s after %d", line(f), d/ms)
		} else if ok && kinds[id] != kind {
			return fmt.Sprintf("%s is %v, its track was %v", line(f), kind, kinds[id])
		}
		if opened > 0 && opened < len(s.opened) && !f.Has(codec.FlagDiscont) {
			return fmt.Sprintf("%s is the first after a break", line(f))
		}
		if f.Has(codec.FlagDiscont) && kind == codec.KindVideo && f.Track.Codec != codec.Opaque && !f.Key() {
			return fmt.Sprintf("%s is no key frame", line(f))
		}
		last[id], kinds[id], opened = f.DTS, kind, len(s.opened)
	}
	return ""
}

func TestBackoffDelay(t *testing.T) {
	for _, c := range []struct {
		b        source.Backoff
		failures int
		want     time.Duration
	}{
		{source.Backoff{}, 0, 2 * time.Second},
		{source.Backoff{}, 1, 3 * time.Second},
		{source.Backoff{}, 2, 6 * time.Second},
		{source.Backoff{}, 19, 57 * time.Second},
		{source.Backoff{}, 20, 60 * time.Second},
		{source.Backoff{}, 1 << 30, 60 * time.Second},
		{source.Backoff{Min: 10 * time.Second}, 2, 10 * time.Second},
		{source.Backoff{Min: ms, Step: ms}, 3, 3 * ms},
		{source.Backoff{Max: 5 * time.Second}, 2, 5 * time.Second},
		{source.Backoff{Min: 5 * time.Second, Max: time.Second}, 9, 5 * time.Second},
		{source.Backoff{Min: -1, Step: -1, Max: -1}, 3, 0},
	} {
		require.Equal(t, c.want, c.b.Delay(c.failures), "%+v after %d", c.b, c.failures)
	}
}

// Tracks of a new attempt take the place of the old ones.
func TestRetryTracks(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after []*codec.Track
		want          []int // IDs of after's tracks in our stream
		same          []bool
	}{
		{"the same", []*codec.Track{small, aac}, []*codec.Track{small, aac}, []int{0, 1}, []bool{true, true}},
		{"equal under other IDs", []*codec.Track{small, aac}, []*codec.Track{video7, aac0}, []int{0, 1}, []bool{true, true}},
		{"in another order", []*codec.Track{small, aac}, []*codec.Track{aac0, video7}, []int{1, 0}, []bool{true, true}},
		{"new parameters", []*codec.Track{small, aac}, []*codec.Track{large, aac}, []int{0, 1}, []bool{false, true}},
		{"another codec of the kind", []*codec.Track{small, aac}, []*codec.Track{small, opus}, []int{0, 1}, []bool{true, false}},
		{"the codec decides among two", []*codec.Track{aac, opus}, []*codec.Track{opus, aac}, []int{2, 1}, []bool{true, true}},
		{"one more", []*codec.Track{aac}, []*codec.Track{aac, small}, []int{1, 0}, []bool{true, false}},
		{"one more, its ID is taken", []*codec.Track{small}, []*codec.Track{video7, aac0}, []int{0, 1}, []bool{true, false}},
		{"one less", []*codec.Track{small, aac}, []*codec.Track{aac}, []int{1}, []bool{true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := attempt{tracks: c.before, err: errLost}
				for _, k := range c.before {
					first.frames = append(first.frames, key(k, 0))
				}
				second := attempt{tracks: c.after, err: io.EOF}
				for i, k := range c.after {
					second.frames = append(second.frames, key(k, 0))
					if i == 0 { // the rest comes a second time, after the key frame that begins it
						for _, k := range c.after {
							second.frames = append(second.frames, key(k, 0))
						}
					}
				}
				r, err := source.Retry(&script{attempts: []attempt{first, second}}, source.Backoff{EndAtEOF: true}).Open(t.Context())
				require.NoError(t, err)
				defer r.Close()
				require.Equal(t, c.before, r.Tracks())
				got := map[codec.Codec]*codec.Track{}
				for f, err := range source.Frames(t.Context(), r) {
					require.NoError(t, err)
					got[f.Track.Codec] = f.Track
				}
				for i, in := range c.after {
					out := got[in.Codec]
					require.NotNil(t, out, in)
					require.Equal(t, c.want[i], out.ID, in)
					require.Equal(t, in.Config, out.Config)
					require.Equal(t, c.same[i], slices.Contains(c.before, out), "%v is the description from before", in)
				}
			})
		})
	}
}

// Parameters may change, and tracks appear, within an attempt.
func TestRetryTracksInMidStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large7 := *large
		large7.ID = 7
		r, err := source.Retry(&script{attempts: []attempt{
			{tracks: []*codec.Track{small}, frames: []*codec.Frame{key(small, 0), key(large, 40*ms)}, err: errLost},
			{tracks: []*codec.Track{video7}, frames: []*codec.Frame{key(video7, 0), key(&large7, 40*ms), sound(opus, 50*ms)}, err: io.EOF},
		}}, source.Backoff{EndAtEOF: true}).Open(t.Context())
		require.NoError(t, err)
		defer r.Close()
		var got []*codec.Track
		for f, err := range source.Frames(t.Context(), r) {
			require.NoError(t, err)
			got = append(got, f.Track)
		}
		require.Len(t, got, 5)
		require.Same(t, small, got[0])
		require.Same(t, large, got[1])
		require.Equal(t, small, got[2])
		require.Equal(t, large, got[3])
		require.Same(t, opus, got[4])
		require.Equal(t, []*codec.Track{large, opus}, r.Tracks())
	})
}

// A context ends the waiting, not the stream.
func TestRetryContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{attempts: []attempt{
			{frames: []*codec.Frame{key(small, 0)}, err: errLost},
			{takes: 5 * time.Second, frames: []*codec.Frame{key(small, 0)}, err: errLost},
		}}
		r, err := source.Retry(s, source.Backoff{}).Open(t.Context())
		require.NoError(t, err)
		defer r.Close()
		_, err = r.ReadFrame(t.Context())
		require.NoError(t, err)

		for _, d := range []time.Duration{time.Second, 3 * time.Second} { // in the wait, in the opening
			ctx, cancel := context.WithTimeout(t.Context(), d)
			_, err = r.ReadFrame(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		f, err := r.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, "9000:0K!", line(f))
		require.Zero(t, r.(source.Retrier).RetryState().Failures)
		require.Equal(t, 3, len(s.opened))
	})
}

func TestRetryOpenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var phases []string
		_, err := source.Retry(&script{attempts: []attempt{{refuse: errLost}}}, source.Backoff{
			OnState: func(s source.RetryState) { phases = append(phases, s.Phase.String()) },
		}).Open(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "connecting waiting ended", strings.Join(slices.Concat(phases[:2], phases[len(phases)-1:]), " "))

		_, err = source.Retry(&script{attempts: []attempt{{refuse: errLost}}}, source.Backoff{Attempts: 2}).Open(t.Context())
		require.ErrorIs(t, err, errLost)
	})
}

// Close wakes a reader wherever it is.
func TestRetryClose(t *testing.T) {
	for name, second := range map[string]attempt{
		"in the wait":    {},
		"in the opening": {takes: time.Hour},
		"in the reading": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := attempt{frames: []*codec.Frame{key(small, 0)}, err: errLost}
				if name == "in the reading" {
					first.err = nil
				}
				r, err := source.Retry(&script{attempts: []attempt{first, second}}, source.Backoff{}).Open(t.Context())
				require.NoError(t, err)
				_, err = r.ReadFrame(t.Context())
				require.NoError(t, err)
				done := make(chan error)
				go func() {
					_, err := r.ReadFrame(t.Context())
					done <- err
				}()
				if name == "in the wait" {
					time.Sleep(time.Second)
				} else {
					time.Sleep(10 * time.Second)
				}
				synctest.Wait()
				require.NoError(t, r.Close())
				require.ErrorIs(t, <-done, source.ErrClosed)
				_, err = r.ReadFrame(t.Context())
				require.ErrorIs(t, err, source.ErrClosed)
				require.NoError(t, r.Close())
			})
		})
	}
}

func TestRetryStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var got []string
		var retrier source.Retrier
		b := source.Backoff{EndAtEOF: true, OnState: func(s source.RetryState) {
			if retrier != nil {
				require.Equal(t, s, retrier.RetryState(), "may be asked from here")
			}
			text := fmt.Sprintf("%v %d/%d/%d", s.Phase, s.Attempts, s.Failures, s.Reconnects)
			if !s.Next.IsZero() {
				text += fmt.Sprintf(" @%d", s.Next.Sub(start)/ms)
			}
			if s.Err != nil {
				text += " " + s.Err.Error()
			}
			got = append(got, text)
		}}
		r, err := source.Retry(&script{attempts: []attempt{
			{refuse: source.ErrNotFound},
			{frames: []*codec.Frame{key(small, 0)}, err: errLost},
			{refuse: source.ErrNotFound},
			{frames: []*codec.Frame{key(small, 0), key(small, 40*ms)}, err: io.EOF},
		}}, b).Open(t.Context())
		require.NoError(t, err)
		var ok bool
		retrier, ok = source.As[source.Retrier](source.Pace(r))
		require.True(t, ok, "found through wrappers")
		for _, err := range source.Frames(t.Context(), r) {
			require.NoError(t, err)
		}
		require.NoError(t, r.Close())
		require.Equal(t, []string{
			"connecting 1/0/0",
			"waiting 1/1/0 @3000 source: no such stream",
			"connecting 2/1/0 source: no such stream",
			"live 2/0/0 source: no such stream",
			"waiting 2/0/0 @5000 connection lost",
			"connecting 3/0/0 connection lost",
			"waiting 3/1/0 @8000 source: no such stream",
			"connecting 4/1/0 source: no such stream",
			"live 4/0/1 source: no such stream",
			"ended 4/0/1 EOF",
		}, got)
	})
}

// A sinkScript is a Sink whose creations follow a script; the last one repeats.
type sinkScript struct {
	attempts []sinkAttempt

	mu      sync.Mutex
	created []string
	got     []string
	closed  int
	start   time.Time
}

type sinkAttempt struct {
	takes  time.Duration // to create
	refuse error
	frames int // so many can be written, then comes err; 0: no end
	err    error
}

func (s *sinkScript) Create(ctx context.Context, tracks []*codec.Track) (source.Writer, error) {
	s.mu.Lock()
	if s.created == nil {
		s.start = time.Now()
	}
	a := s.attempts[min(len(s.created), len(s.attempts)-1)]
	text := fmt.Sprint(int64(time.Since(s.start) / ms))
	for _, t := range tracks {
		text += fmt.Sprintf(" %s", t.Config)
	}
	s.created = append(s.created, text)
	s.mu.Unlock()
	if err := wait(ctx, a.takes); err != nil {
		return nil, err
	}
	if a.refuse != nil {
		return nil, a.refuse
	}
	return &sinkWriter{a, s, ctx}, nil
}

type sinkWriter struct {
	sinkAttempt
	s   *sinkScript
	ctx context.Context
}

func (w *sinkWriter) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if w.ctx.Err() != nil { // bound to its creation
		return w.ctx.Err()
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.err != nil && w.frames == 0 {
		return w.err
	}
	w.frames--
	w.s.got = append(w.s.got, line(f))
	return nil
}

func (w *sinkWriter) Close() error {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.closed++
	return nil
}

// The frames written are a key frame each second, an inter frame half a second
// later and audio a quarter of a second after each; the time of writing is the DTS.
var retrySinkCases = []struct {
	name     string
	backoff  source.Backoff
	attempts []sinkAttempt
	seconds  int
	want     string
	created  []string
	reconn   uint64
	dropped  uint64
	err      error // of the last WriteFrame, or of Create
}{
	{
		name: "one attempt is passed through unchanged", attempts: []sinkAttempt{{}}, seconds: 1,
		want: "0:0K 250:1 500:0 750:1", created: []string{"0 small audio"},
	},
	{
		name:     "a lost writer comes back at a key frame",
		attempts: []sinkAttempt{{frames: 3, err: errLost}, {}}, seconds: 4,
		want: "0:0K 250:1 500:0 3000:0K! 3250:1 3500:0 3750:1", created: []string{"0 small audio", "2750 small audio"}, reconn: 1, dropped: 9,
	},
	{
		name:     "writing goes on while a creation takes its time",
		attempts: []sinkAttempt{{frames: 1, err: errLost}, {takes: 900 * ms, refuse: errLost}, {}}, seconds: 8,
		want: "0:0K 7000:0K! 7250:1 7500:0 7750:1", created: []string{"0 small audio", "2250 small audio", "6150 small audio"}, reconn: 1, dropped: 27,
	},
	{
		name:     "the first creation may fail, too",
		attempts: []sinkAttempt{{refuse: errLost}, {takes: 100 * ms}}, seconds: 5,
		want: "4000:0K! 4250:1 4500:0 4750:1", created: []string{"0 small audio", "3000 small audio"}, dropped: 16,
	},
	{
		name:    "so many failures in a row end it",
		backoff: source.Backoff{Attempts: 2, Min: 300 * ms, Step: 300 * ms},
		attempts: []sinkAttempt{
			{frames: 1, err: errLost}, {frames: 0, err: errLost}, {refuse: source.ErrBusy},
		}, seconds: 5,
		want: "0:0K", created: []string{"0 small audio", "550 small audio", "1300 small audio"}, dropped: 5, err: source.ErrBusy,
	},
	{
		name:     "what no attempt can mend is told by Create",
		attempts: []sinkAttempt{{refuse: source.ErrUnsupported}}, created: []string{"0 small audio"}, err: source.ErrUnsupported,
	},
	{
		name:     "what no attempt can mend is told by WriteFrame",
		attempts: []sinkAttempt{{frames: 2, err: source.ErrBadKey}}, seconds: 1,
		want: "0:0K 250:1", created: []string{"0 small audio"}, dropped: 1, err: source.ErrBadKey,
	},
}

func TestRetrySink(t *testing.T) {
	audio := *aac
	audio.Config = []byte("audio")
	for _, c := range retrySinkCases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sinkScript{attempts: c.attempts}
				ctx, cancel := context.WithCancel(t.Context())
				w, err := source.RetrySink(s, c.backoff).Create(ctx, []*codec.Track{small, &audio})
				cancel() // of the creation: it bounds that only
				if c.seconds == 0 {
					require.ErrorIs(t, err, c.err)
					require.Equal(t, c.created, s.created)
					return
				}
				require.NoError(t, err)
				for i := 0; i < 4*c.seconds && err == nil; i++ {
					dts := time.Duration(i) * 250 * ms
					var f *codec.Frame
					switch i % 4 {
					case 0:
						f = key(small, dts)
					case 2:
						f = inter(small, dts)
					default:
						f = sound(&audio, dts)
					}
					before := time.Now()
					err = w.WriteFrame(t.Context(), f)
					require.Equal(t, before, time.Now(), "writing took time")
					time.Sleep(250 * ms)
				}
				require.ErrorIs(t, err, c.err)
				st := w.(source.Retrier).RetryState()
				require.Equal(t, c.reconn, st.Reconnects)
				require.Equal(t, c.dropped, st.Dropped)
				require.EqualValues(t, len(c.created), st.Attempts)
				require.NoError(t, w.Close())
				require.Equal(t, c.want, strings.Join(s.got, " "))
				require.Equal(t, c.created, s.created)
				made := 0
				for i := range s.created {
					if c.attempts[i].refuse == nil {
						made++
					}
				}
				require.Equal(t, made, s.closed, "each writer is closed once")
				require.ErrorIs(t, w.WriteFrame(t.Context(), key(small, 0)), w.(source.Retrier).RetryState().Err)
			})
		})
	}
}

// A Writer that comes back is created with the parameters now in force.
func TestRetrySinkTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sinkScript{attempts: []sinkAttempt{{frames: 1, err: errLost}, {}}}
		w, err := source.RetrySink(s, source.Backoff{}).Create(t.Context(), []*codec.Track{small})
		require.NoError(t, err)
		require.NoError(t, w.WriteFrame(t.Context(), key(small, 0)))
		require.NoError(t, w.WriteFrame(t.Context(), key(small, 40*ms)))
		require.NoError(t, w.WriteFrame(t.Context(), key(large, 80*ms)))
		time.Sleep(3 * time.Second)
		require.NoError(t, w.WriteFrame(t.Context(), key(large, 120*ms)))
		require.NoError(t, w.Close())
		require.Equal(t, []string{"0 small", "2000 large"}, s.created)
		require.Equal(t, []string{"0:0K", "120:0K!"}, s.got)
	})
}

// Close ends a Writer that is away, in the wait and in the creation.
func TestRetrySinkClose(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := &sinkScript{attempts: []sinkAttempt{{err: errLost}, {takes: time.Hour}}}
			var last source.RetryState
			w, err := source.RetrySink(s, source.Backoff{OnState: func(s source.RetryState) { last = s }}).Create(t.Context(), []*codec.Track{small})
			require.NoError(t, err)
			require.NoError(t, w.WriteFrame(t.Context(), key(small, 0)))
			time.Sleep(after)
			before := time.Now()
			require.NoError(t, w.Close())
			require.Equal(t, before, time.Now())
			require.Equal(t, source.RetryEnded, last.Phase)
			require.Equal(t, 1, s.closed)
		})
	}
}
