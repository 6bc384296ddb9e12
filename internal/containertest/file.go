package containertest

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A File is what the File of each container is.
type File interface {
	source.Reader
	source.Seeker
	source.KeyIndexer
}

// Films are streams whose files are large enough to be halved, as Film takes them.
func Films() []testmedia.Stream {
	return []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
		{Video: codec.H265, Audio: codec.AAC, Change: 3},
		{Video: codec.H264, GOP: 20 * time.Second, Bitrate: 500_000},
		{Audio: codec.MP3},
	}
}

// Film returns the frames of such a file, 30 s of them.
func Film(s testmedia.Stream) []*codec.Frame {
	if s.Bitrate == 0 {
		s.Bitrate = 500_000
	}
	return s.Take(30 * time.Second)
}

// TestFile opens b, which holds the frames want, and plays it from its beginning
// and from many places in it. same compares frames.
func TestFile(t *testing.T, open func(io.ReaderAt, int64) (File, error), b []byte, want []*codec.Frame, same func(t *testing.T, want, got []*codec.Frame)) {
	t.Helper()
	f, err := open(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	var end time.Duration
	for _, w := range want {
		end = max(end, w.DTS)
	}
	require.InDelta(t, end, f.Duration(), float64(200*time.Millisecond))
	got, err := ReadAll(f)
	require.Equal(t, io.EOF, err)
	same(t, want, got)

	keys := keysOf(got)
	times, err := f.KeyTimes(t.Context())
	require.NoError(t, err)
	requireKeyTimes(t, keys, times)
	random := rand.New(rand.NewPCG(1, 2))
	targets := []time.Duration{-time.Hour, 0, 1, end, time.Hour, times[len(times)/2], times[len(times)/2] - 1}
	for range 10 {
		targets = append(targets, time.Duration(random.Int64N(int64(end)+1)))
	}
	for _, indexed := range []bool{true, false} {
		if !indexed {
			f, err = open(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err)
		}
		for _, target := range targets {
			RequireLanding(t, f, got, target)
		}
		require.NoError(t, f.Close())
	}
	_, err = f.ReadFrame(t.Context())
	require.ErrorIs(t, err, source.ErrClosed)
	_, err = f.Seek(t.Context(), 0)
	require.ErrorIs(t, err, source.ErrClosed)
}

// keysOf returns the frames that Seek can go to.
func keysOf(frames []*codec.Frame) (keys []*codec.Frame) {
	sought := OfKind(frames, codec.KindVideo)
	if len(sought) == 0 {
		sought = OfKind(frames, codec.KindAudio)
	}
	for _, f := range sought {
		if f.Key() {
			keys = append(keys, f)
		}
	}
	return keys
}

// requireKeyTimes compares all of video, and of audio whether there are enough.
func requireKeyTimes(t *testing.T, keys []*codec.Frame, times []time.Duration) {
	t.Helper()
	require.NotEmpty(t, times)
	require.Equal(t, keys[0].DTS, times[0])
	if keys[0].Track.Kind() == codec.KindVideo {
		require.Len(t, times, len(keys))
	} else {
		require.Less(t, keys[len(keys)-1].DTS-times[len(times)-1], time.Second)
	}
	at := map[time.Duration]bool{}
	for _, k := range keys {
		at[k.DTS] = true
	}
	for i, k := range times {
		require.True(t, at[k], "%v", k)
		require.True(t, i == 0 || times[i-1] < k && k-times[i-1] <= time.Second || keys[0].Track.Kind() == codec.KindVideo)
	}
}

// landingFrames is how many frames behind a Seek are looked at.
const landingFrames = 100

// RequireLanding seeks and requires what is read then: all from the key frame at
// or before target on.
func RequireLanding(t *testing.T, f File, all []*codec.Frame, target time.Duration) {
	t.Helper()
	landed, err := f.Seek(t.Context(), target)
	require.NoError(t, err)
	keys := keysOf(all)
	want := keys[0]
	for _, k := range keys {
		if k.DTS <= target {
			want = k
		}
	}
	if want.Track.Kind() == codec.KindVideo {
		require.Equal(t, want.DTS, landed, "%v", target)
	} else {
		require.LessOrEqual(t, landed, max(target, keys[0].DTS))
		require.Less(t, want.DTS-landed, time.Second)
	}
	var got []*codec.Frame
	for range landingFrames {
		fr, err := f.ReadFrame(t.Context())
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		got = append(got, fr)
	}
	require.NotEmpty(t, got)
	require.True(t, got[0].Has(codec.FlagDiscont))
	require.True(t, got[0].Key())
	require.Equal(t, landed, got[0].DTS)
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		w, g := OfKind(all, k), OfKind(got, k)
		if len(g) == 0 {
			continue
		}
		for len(w) > 0 && w[0].DTS < g[0].DTS {
			w = w[1:]
		}
		require.GreaterOrEqual(t, len(w), len(g))
		require.Less(t, g[0].DTS, landed+100*time.Millisecond)
		for i := range g {
			require.GreaterOrEqual(t, g[i].DTS, landed)
			require.Equal(t, w[i].DTS, g[i].DTS)
			require.Equal(t, Digest(w[i].Data), Digest(g[i].Data))
			require.True(t, w[i].Track.SameConfig(g[i].Track))
		}
	}
}

// TestFileEnds ends a File by its context, which leaves it usable, and by Close.
func TestFileEnds(t *testing.T, open func(io.ReaderAt, int64) (File, error), b []byte) {
	closer := &closeCounter{ReaderAt: bytes.NewReader(b)}
	f, err := open(closer, int64(len(b)))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.ReadFrame(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = f.Seek(ctx, 0)
	require.ErrorIs(t, err, context.Canceled)
	_, err = f.ReadFrame(t.Context())
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, f.Close())
	}
	require.Equal(t, 1, closer.n)
	_, err = f.ReadFrame(t.Context())
	require.ErrorIs(t, err, source.ErrClosed)
}

// RequireKeysEachSecond requires n key frames, a second from each other, and that
// Seek lands on them.
func RequireKeysEachSecond(t *testing.T, f File, n int, tolerance time.Duration) {
	t.Helper()
	require.InDelta(t, time.Duration(n)*time.Second, f.Duration(), float64(tolerance))
	times, err := f.KeyTimes(t.Context())
	require.NoError(t, err)
	require.Len(t, times, n)
	for i, want := range times {
		require.InDelta(t, time.Duration(i)*time.Second, want, float64(tolerance))
		landed, err := f.Seek(t.Context(), want)
		require.NoError(t, err)
		require.Equal(t, want, landed)
		fr, err := f.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, fr.DTS)
	}
}

// RequireSeeks goes to at and to the first key frames of a File whose contents may
// be anything. Errors wrap invalid; nil: there are none.
func RequireSeeks(t *testing.T, f File, at time.Duration, invalid error) {
	t.Helper()
	times, err := f.KeyTimes(t.Context())
	require.NoError(t, err)
	for _, at := range append(times[:min(len(times), 10)], at) {
		landed, err := f.Seek(t.Context(), at)
		if err != nil {
			require.ErrorIs(t, err, invalid)
			continue
		}
		if fr, err := f.ReadFrame(t.Context()); err == nil {
			require.Equal(t, landed, fr.DTS)
		}
	}
}

// TestFileReadsLittle requires that less than so many bytes are read to open a large
// file, and to find a place in it.
func TestFileReadsLittle(t *testing.T, open func(io.ReaderAt, int64) (File, error), b []byte, opening, seeking int) {
	t.Helper()
	in := &CountingAt{ReaderAt: bytes.NewReader(b)}
	f, err := open(in, int64(len(b)))
	require.NoError(t, err)
	require.Less(t, in.N, opening, "to open it")
	in.N = 0
	_, err = f.Seek(t.Context(), f.Duration()*5/8)
	require.NoError(t, err)
	require.Less(t, in.N, seeking, "of %d", len(b))
}

// A CountingAt counts the bytes that are read.
type CountingAt struct {
	io.ReaderAt
	N int
}

// ReadAt implements io.ReaderAt.
func (c *CountingAt) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(b, at)
	c.N += n
	return n, err
}

type closeCounter struct {
	io.ReaderAt
	n int
}

func (c *closeCounter) Close() error { c.n++; return nil }
