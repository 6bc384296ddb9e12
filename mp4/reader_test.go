package mp4

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// requireFilm reads r, which has these tracks and frames, to its end.
func requireFilm(t *testing.T, r source.Reader, tracks []*codec.Track, want []*codec.Frame) {
	t.Helper()
	require.Len(t, r.Tracks(), len(tracks))
	for i, track := range r.Tracks() {
		require.Equal(t, tracks[i].Codec, track.Codec)
	}
	got, err := containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, want, got)
	require.NoError(t, r.Close())
}

// Every codec, a fragment for each frame, for a few and for all.
func TestRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		want := s.Take(2 * time.Second)
		for _, least := range []int{1, 7, len(want) + 1} {
			wire := mux(t, s.Tracks(), want, least)
			for name, in := range containertest.Inputs(wire) {
				t.Log(name)
				requireFilm(t, NewReader(in), s.Tracks(), want)
			}
		}
	})
}

func TestRoundTripMPEG2Video(t *testing.T) {
	track, want := mpeg2Stream()
	got, err := containertest.ReadAll(NewReader(bytes.NewReader(mux(t, []*codec.Track{track}, want, 5))))
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, want, got)
}

// Frame rates that vary, gaps, several frames of one time, and times that are on
// no tick: what went in comes out, however it was cut and however it comes in.
func TestRoundTripAnyTimes(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := testmedia.Stream{
			Video: []codec.Codec{codec.H264, codec.H265, codec.VP9, codec.Opaque}[r.IntN(4)],
			Audio: []codec.Codec{codec.AAC, codec.Opus, codec.PCMA, codec.MP3}[r.IntN(4)], BFrames: r.IntN(3), Bitrate: 100_000, Seed: seed,
		}
		want := s.Take(time.Second)
		var at, moved time.Duration
		for _, f := range want {
			switch r.IntN(10) {
			case 0:
				moved += time.Duration(r.Int64N(int64(20 * time.Second)))
			case 1, 2:
				moved += time.Duration(r.Int64N(int64(time.Millisecond)))
			case 3:
				moved -= min(time.Duration(r.Int64N(int64(40*time.Millisecond))), f.DTS+moved-at)
			}
			f.DTS += moved
			f.PTS += moved + time.Duration(r.Int64N(100))
			at = f.DTS
		}
		wire := mux(t, s.Tracks(), want, 1+r.IntN(20))
		var d Demuxer
		var got []*codec.Frame
		var err error
		for _, b := range pieces(wire, r) {
			got, err = d.Append(got, b)
			clear(b) // it is the caller's
			require.NoError(t, err)
		}
		require.True(t, d.whole())
		requireSameFrames(t, want, got)
	}
}

// DTS before 0: all times are moved, by the same.
func TestNegativeTimes(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Bitrate: 100_000}
	want := s.Take(time.Second)
	const by = 80 * time.Millisecond
	moved := make([]*codec.Frame, len(want))
	for i, f := range want {
		g := *f
		g.DTS -= by
		g.PTS -= by
		moved[i] = &g
	}
	got, err := containertest.ReadAll(NewReader(bytes.NewReader(mux(t, s.Tracks(), moved, 4))))
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, want, got)
}

// shortStream is a stream of an initialization segment and two fragments.
func shortStream(t testing.TB) []byte {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 20_000}
	return mux(t, s.Tracks(), s.Take(100*time.Millisecond), 4)
}

// topLevel returns the boxes of a stream.
func topLevel(t testing.TB, wire []byte) (boxes []box, ends []int) {
	t.Helper()
	for rest := wire; len(rest) > 0; {
		x, after, err := cutBox(rest)
		require.NoError(t, err)
		boxes, rest = append(boxes, x), after
		ends = append(ends, len(wire)-len(rest))
	}
	return boxes, ends
}

func TestReaderCutAtEveryLength(t *testing.T) {
	wire := shortStream(t)
	boxes, ends := topLevel(t, wire)
	require.GreaterOrEqual(t, len(boxes), 6)
	whole := map[int]bool{}
	for i, x := range boxes {
		whole[ends[i]] = x.kind == typeOf("moov") || x.kind == typeOf("mdat")
	}
	for n := range len(wire) + 1 {
		_, err := containertest.ReadAll(NewReader(bytes.NewReader(wire[:n])))
		if whole[n] {
			require.Equal(t, io.EOF, err, n)
			continue
		}
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, n)
		require.ErrorIs(t, err, ErrInvalid, n)
		require.NotErrorIs(t, err, io.EOF, n)
	}
}

func TestReaderErrorSticks(t *testing.T) {
	containertest.TestErrorSticks(t, NewReader(bytes.NewReader([]byte("GET / HTTP/1.1\r\n\r\n"))))
}

// Two streams in one: time goes on. A small step back is levelled.
func TestReaderTimesDoNotFall(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	one := mux(t, s.Tracks(), s.Take(2*time.Second), 5)
	got, err := containertest.ReadAll(NewReader(bytes.NewReader(append(one[:len(one):len(one)], one...))))
	require.Equal(t, io.EOF, err)
	containertest.RequireOrder(t, got)
	jumps := 0
	for _, f := range got {
		if f.Has(codec.FlagDiscont) {
			jumps++
		}
	}
	require.Equal(t, 1, jumps)
	video := containertest.OfKind(got, codec.KindVideo)
	require.InDelta(t, 4*time.Second, video[len(video)-1].DTS, float64(100*time.Millisecond))
}

// What the initialization segment does not tell is read from the frames: the
// parameter sets of avc3, and the layer of MPEG audio.
func TestReaderLooksAhead(t *testing.T) {
	video := testmedia.Stream{Video: codec.H264, Bitrate: 50_000}
	frames := video.Take(400 * time.Millisecond)
	full := video.Tracks()[0]
	var c codec.AVCConfig
	require.NoError(t, c.Unmarshal(full.Config))
	bare := *full
	bare.Config = codec.AVCConfig{Profile: c.Profile, Compat: c.Compat, Level: c.Level, LengthSize: 4, ChromaFormat: 1}.Append(nil)
	init := appendInit(nil, []*codec.Track{&bare})
	init = bytes.Replace(init, []byte("avc1\x00\x00\x00\x00\x00\x00"), []byte("avc3\x00\x00\x00\x00\x00\x00"), 1)
	var withSets []*codec.Frame
	for _, f := range frames {
		g := *f
		if f.Key() {
			g.Data = nil
			for _, set := range full.ParameterSets() {
				g.Data = append(append(g.Data, 0, 0, 0, byte(len(set))), set...)
			}
			g.Data = append(g.Data, f.Data...)
		}
		withSets = append(withSets, &g)
	}
	whole := mux(t, video.Tracks(), withSets, 1)
	wire := append(init, whole[len(appendInit(nil, video.Tracks())):]...)
	r := NewReader(iotest.OneByteReader(bytes.NewReader(wire)))
	tracks := r.Tracks()
	require.Len(t, tracks, 1)
	require.True(t, tracks[0].Ready())
	got, err := containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, frames, got)

	audio := testmedia.Stream{Audio: codec.MP2}
	r = NewReader(bytes.NewReader(mux(t, audio.Tracks(), audio.Take(time.Second), 3)))
	require.Equal(t, codec.MP2, r.Tracks()[0].Codec)
}

func TestReaderEnds(t *testing.T) { containertest.TestReaderEnds(t, NewReader, shortStream(t)[:20]) }

func FuzzReader(f *testing.F) {
	for _, s := range streams[:11] {
		s.Bitrate = 20_000
		f.Add(mux(f, s.Tracks(), s.Take(100*time.Millisecond), 3))
	}
	for _, c := range badStreams {
		f.Add(c.wire(f))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := containertest.ReadAll(NewReader(bytes.NewReader(b)))
		if err != io.EOF && !errors.Is(err, source.ErrUnsupported) {
			require.ErrorIs(t, err, ErrInvalid)
		}
		containertest.RequireOrder(t, frames)
		again, err2 := containertest.ReadAll(NewReader(iotest.OneByteReader(bytes.NewReader(b))))
		require.Equal(t, err == io.EOF, err2 == io.EOF)
		require.Len(t, again, len(frames))
	})
}
