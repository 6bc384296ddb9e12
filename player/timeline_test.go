package player

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

func TestTimeline(t *testing.T) {
	r := newReel(film, time.Second)
	x, s := newTimeline(t, r, newReel(film, time.Second), newReel(film, 600*time.Millisecond))
	require.Equal(t, 2600*time.Millisecond, x.Duration())
	require.Equal(t, r.tracks, x.Tracks())
	frames, err := containertest.ReadAll(x)
	require.Equal(t, io.EOF, err)
	requireOrder(t, frames)
	n := len(r.frames)
	require.Len(t, frames, 2*n+len(film.Take(600*time.Millisecond)))
	for i, f := range frames {
		want, from := r.frames[i%n], time.Duration(i/n)*time.Second
		require.Equal(t, want.Data, f.Data)
		require.Equal(t, want.DTS+from, f.DTS)
		require.Equal(t, want.PTS+from, f.PTS)
		require.Equal(t, want.Flags, f.Flags)
		require.Same(t, want.Track, f.Track, "equal tracks are one")
	}
	require.EqualValues(t, 1, s.open.Load())
	_, err = x.ReadFrame(t.Context())
	require.Equal(t, io.EOF, err)

	got, err := x.Seek(t.Context(), 0) // from the end
	require.NoError(t, err)
	require.Zero(t, got)
	again, err := containertest.ReadAll(x)
	require.Equal(t, io.EOF, err)
	require.Len(t, again, len(frames))
}

func TestTimelineSeek(t *testing.T) {
	x, s := newTimeline(t, newReel(film, time.Second), newReel(film, time.Second))
	for _, c := range []struct{ to, got time.Duration }{
		{0, 0},
		{199 * time.Millisecond, 0},
		{200 * time.Millisecond, 200 * time.Millisecond},
		{1300 * time.Millisecond, 1200 * time.Millisecond},
		{time.Second, time.Second},
		{999 * time.Millisecond, 800 * time.Millisecond},
		{time.Hour, 1800 * time.Millisecond},
		{-time.Second, 0},
	} {
		got, err := x.Seek(t.Context(), c.to)
		require.NoError(t, err)
		require.Equal(t, c.got, got, "%v", c.to)
		f, err := x.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, got, f.DTS)
		require.True(t, f.Has(codec.FlagKey|codec.FlagDiscont))
		require.EqualValues(t, 1, s.open.Load())
	}
}

// TestTimelineSeeks goes anywhere and reads on from there.
func TestTimelineSeeks(t *testing.T) {
	x, _ := newTimeline(t, newReel(film, time.Second), newReel(film, 440*time.Millisecond), newReel(film, time.Second))
	keys, err := x.KeyTimes(t.Context())
	require.NoError(t, err)
	require.True(t, slices.IsSorted(keys))
	require.Len(t, keys, 5+3+5)
	rapid.Check(t, func(t *rapid.T) {
		to := time.Duration(rapid.IntRange(0, 2500).Draw(t, "to")) * time.Millisecond
		got, err := x.Seek(t.Context(), to)
		require.NoError(t, err)
		i, exact := slices.BinarySearch(keys, to)
		if !exact {
			i--
		}
		require.Equal(t, keys[i], got)
		var frames []*codec.Frame
		for range rapid.IntRange(1, 100).Draw(t, "frames") {
			f, err := x.ReadFrame(t.Context())
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			frames = append(frames, f)
		}
		require.Equal(t, got, frames[0].DTS)
		requireOrder(t, frames)
	})
}

// Parts that are longer than they tell do not overlap.
func TestTimelineOverlap(t *testing.T) {
	short := newReel(film, time.Second)
	short.length = 300 * time.Millisecond
	x, _ := newTimeline(t, short, short, newReel(film, time.Second))
	frames, err := containertest.ReadAll(x)
	require.Equal(t, io.EOF, err)
	require.Len(t, frames, 3*len(short.frames))
	requireOrder(t, frames)
	require.Less(t, frames[len(frames)-1].DTS, 3200*time.Millisecond)

	got, err := x.Seek(t.Context(), 650*time.Millisecond) // by what they tell
	require.NoError(t, err)
	require.Equal(t, 600*time.Millisecond, got)
	keys, err := x.KeyTimes(t.Context())
	require.NoError(t, err)
	require.True(t, slices.IsSorted(keys))
	for _, k := range keys {
		got, err := x.Seek(t.Context(), k)
		require.NoError(t, err)
		require.Equal(t, k, got)
	}
}

func TestTimelineEnds(t *testing.T) {
	cut := newReel(film, time.Second)
	cut.end = errors.Join(errors.New("cut"), io.ErrUnexpectedEOF)
	x, _ := newTimeline(t, cut, cut)
	frames, err := containertest.ReadAll(x)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Len(t, frames, 2*len(cut.frames), "a part that is cut is followed by the next")

	broken := newReel(film, time.Second)
	broken.end = fs.ErrInvalid
	x, _ = newTimeline(t, broken, cut)
	frames, err = containertest.ReadAll(x)
	require.ErrorIs(t, err, fs.ErrInvalid)
	require.Len(t, frames, len(cut.frames))

	require.NoError(t, x.Close())
	_, err = x.ReadFrame(t.Context())
	require.ErrorIs(t, err, source.ErrClosed)
	_, err = x.Seek(t.Context(), 0)
	require.ErrorIs(t, err, source.ErrClosed)
	_, err = x.KeyTimes(t.Context())
	require.ErrorIs(t, err, source.ErrClosed)
}

// Files go, as old recordings do, while what they belong to is played.
func TestTimelineLosesFiles(t *testing.T) {
	for _, listed := range []bool{true, false} {
		r := newReel(film, time.Second)
		x, s := newTimeline(t, r, r, r, r)
		skipped := 0
		x.skip = func(files int, _ error) { skipped += files }
		for i := range x.parts {
			x.parts[i].listed = listed
		}
		delete(s.reels, "1")
		delete(s.reels, "3")
		frames, err := containertest.ReadAll(x)
		if !listed {
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.Len(t, frames, len(r.frames))
			continue
		}
		require.Equal(t, io.EOF, err)
		require.Equal(t, 2, skipped)
		require.Len(t, frames, 2*len(r.frames))
		require.Equal(t, 2*time.Second, frames[len(r.frames)].DTS, "it has its place")

		_, err = x.Seek(t.Context(), 1500*time.Millisecond)
		require.ErrorIs(t, err, fs.ErrNotExist)
		f, err := x.Seek(t.Context(), 2500*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, 2400*time.Millisecond, f)
		keys, err := x.KeyTimes(t.Context())
		require.NoError(t, err)
		require.Len(t, keys, 10)
	}
}

func TestTimelineLay(t *testing.T) {
	s := &archive{reels: map[string]*reel{"a": newReel(film, time.Second)}}
	var skipped int
	x := &timeline{open: s.get, skip: func(files int, err error) {
		require.ErrorIs(t, err, fs.ErrNotExist)
		skipped = files
	}}
	err := x.lay(t.Context(), []piece{{"a", true}, {"gone", true}, {"a", true}, {"gone", true}})
	require.NoError(t, err)
	require.Equal(t, 2, skipped)
	require.Equal(t, 2*time.Second, x.Duration())
	require.NoError(t, x.Close())

	for _, all := range [][]piece{{{"a", false}, {"gone", false}}, {{"gone", true}, {"gone", true}}} {
		x = &timeline{open: s.get}
		require.ErrorIs(t, x.lay(t.Context(), all), fs.ErrNotExist)
		require.NoError(t, x.Close())
		require.Zero(t, s.open.Load())
	}
}

// tracksCase is what some media play in a stream.
var tracksCases = []struct {
	name  string
	media []testmedia.Stream
	ids   [][]int // of their tracks
	first []codec.Codec
	seams int
}{
	{"the same", []testmedia.Stream{film, film}, [][]int{{1, 2}, {1, 2}}, []codec.Codec{codec.H264, codec.AAC}, 0},
	{"sound comes later", []testmedia.Stream{{Video: codec.H264}, film}, [][]int{{1}, {1, 2}}, []codec.Codec{codec.H264, codec.AAC}, 1},
	{"another codec", []testmedia.Stream{film, {Video: codec.H265, Audio: codec.Opus}}, [][]int{{1, 2}, {1, 2}}, []codec.Codec{codec.H264, codec.AAC}, 1},
	{"picture after sound", []testmedia.Stream{{Audio: codec.AAC}, film, {Audio: codec.AAC}}, [][]int{{2}, {1, 2}, {2}}, []codec.Codec{codec.AAC, codec.H264}, 2},
}

func TestTimelineTracks(t *testing.T) {
	for _, c := range tracksCases {
		t.Run(c.name, func(t *testing.T) {
			var reels []*reel
			for _, s := range c.media {
				reels = append(reels, newReel(s, 200*time.Millisecond))
			}
			x, _ := newTimeline(t, reels...)
			var codecs []codec.Codec
			for _, k := range x.Tracks() {
				codecs = append(codecs, k.Codec)
			}
			require.Equal(t, c.first, codecs)
			for i := range reels {
				require.Len(t, x.parts[i].roles, len(c.ids[i]))
				for j, r := range x.parts[i].roles {
					require.Equal(t, c.ids[i][j], r.Out.ID)
					require.Equal(t, r.In.Codec, r.Out.Codec)
				}
			}
			seams := x.Seams()
			require.Len(t, seams, c.seams)
			for _, s := range seams {
				_, err := x.Seek(t.Context(), s)
				require.NoError(t, err)
				require.Len(t, x.Present(), len(c.ids[int(s/(200*time.Millisecond))]))
			}
			_, err := x.Seek(t.Context(), 0)
			require.NoError(t, err)
			frames, err := containertest.ReadAll(x)
			require.Equal(t, io.EOF, err)
			requireOrder(t, frames)
			at := 0
			for _, r := range reels {
				for _, f := range r.frames {
					require.Equal(t, f.Data, frames[at].Data)
					require.True(t, f.Track.SameConfig(frames[at].Track))
					at++
				}
			}
			last := frames[at-1].Track
			require.Contains(t, x.Tracks(), last, "Tracks tells what they are now")
		})
	}
}

// Parameters that change within a part, and a track that comes late.
func TestTimelineChanges(t *testing.T) {
	changing := film
	changing.Change = 1
	var reels []*reel
	for range 2 {
		r := newReel(film, 400*time.Millisecond)
		r.frames = changing.Take(r.length) // with descriptions of their own, which change
		r.tracks = r.tracks[:1]
		reels = append(reels, r)
	}
	x, _ := newTimeline(t, reels...)
	require.Len(t, x.Tracks(), 1)
	frames, err := containertest.ReadAll(x)
	require.Equal(t, io.EOF, err)
	require.Len(t, x.Tracks(), 2)
	described := map[*codec.Track]bool{}
	n := len(reels[0].frames)
	for i, f := range frames {
		require.True(t, f.Track.SameConfig(reels[i/n].frames[i%n].Track))
		described[f.Track] = true
	}
	require.Len(t, described, 4, "what both begin with, what it changes to in each, and the sound")
}
