package hls

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// An edit changes a sequence of frames.
type edit func(iter.Seq[*codec.Frame]) iter.Seq[*codec.Frame]

// eachFrame returns an edit that passes each frame through fn, which may change
// the copy it gets, or return false to leave it out.
func eachFrame(fn func(f *codec.Frame) bool) edit {
	return func(in iter.Seq[*codec.Frame]) iter.Seq[*codec.Frame] {
		return func(yield func(*codec.Frame) bool) {
			for f := range in {
				g := *f
				if fn(&g) && !yield(&g) {
					return
				}
			}
		}
	}
}

func isVideo(f *codec.Frame) bool { return f.Track.Kind() == codec.KindVideo }

// returns makes a publisher leave every 100 s and come back 5 s later.
func returns() edit {
	back := map[int]bool{}
	return eachFrame(func(f *codec.Frame) bool {
		stretch := int(f.DTS / (100 * time.Second))
		at := f.DTS % (100 * time.Second)
		if stretch > 0 && at < 5*time.Second {
			return false
		}
		if stretch > 0 && !back[stretch] {
			if !isVideo(f) || !f.Key() {
				return false
			}
			back[stretch] = true
			f.Flags |= codec.FlagDiscont
		}
		return true
	})
}

// unsteady makes pictures come when they like, 20 to 75 ms apart.
func unsteady() edit {
	r := rand.New(rand.NewPCG(1, 2))
	var at time.Duration
	return eachFrame(func(f *codec.Frame) bool {
		if isVideo(f) {
			f.DTS, f.PTS = at, at
			at += time.Duration(20+r.IntN(56)) * time.Millisecond
		}
		return true
	})
}

// loses leaves out every nth picture that is no key frame.
func loses(n int) edit {
	i := 0
	return eachFrame(func(f *codec.Frame) bool {
		if !isVideo(f) || f.Key() {
			return true
		}
		i++
		return i%n != 0
	})
}

// keysAt leaves key frames only where fn says so of the nth.
func keysAt(fn func(n int) bool) edit {
	n := -1
	return eachFrame(func(f *codec.Frame) bool {
		if isVideo(f) && f.Key() {
			if n++; !fn(n) {
				f.Flags &^= codec.FlagKey
			}
		}
		return true
	})
}

// blind takes the video away from from to to.
func blind(from, to time.Duration) edit {
	return eachFrame(func(f *codec.Frame) bool { return !isVideo(f) || f.DTS < from || f.DTS >= to })
}

// writerCases are live streams.
var writerCases = []struct {
	name     string
	stream   testmedia.Stream
	edit     edit
	options  Options
	minutes  int           // 0: two
	grows    bool          // the target duration
	discont  int           // discontinuities
	target   int           // seconds
	duration time.Duration // of segments that are neither the last nor before a discontinuity; 0: any
}{
	{name: "TS", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, target: 2, duration: 2 * time.Second},
	{name: "fMP4", minutes: 10, stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2}, options: Options{Container: FMP4}, target: 2, duration: 2 * time.Second},
	{name: "H265 and Opus at 30", stream: testmedia.Stream{Video: codec.H265, Audio: codec.Opus, BFrames: 2, FPS: 30}, options: Options{Container: FMP4}, target: 2, duration: 2 * time.Second},
	{name: "60 a second", stream: testmedia.Stream{Video: codec.H264, FPS: 60}, target: 2, duration: 2 * time.Second},
	{name: "AAC alone", stream: testmedia.Stream{Audio: codec.AAC}, target: 2},
	{name: "Opus alone", stream: testmedia.Stream{Audio: codec.Opus}, options: Options{Container: FMP4}, target: 2},
	{name: "short GOPs", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond}, options: Options{Container: FMP4}, target: 2, duration: 2 * time.Second},
	{name: "long GOPs", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 5 * time.Second}, target: 5, duration: 5 * time.Second},
	{name: "parameters change", minutes: 10, stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Change: 15}, options: Options{Container: FMP4}, discont: 19, target: 2, duration: 2 * time.Second},
	{name: "parameters change in TS", stream: testmedia.Stream{Video: codec.H265, Audio: codec.AAC, Change: 15}, discont: 3, target: 2, duration: 2 * time.Second},
	{name: "publisher returns", minutes: 10, stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2}, edit: returns(), options: Options{Container: FMP4}, discont: 5, target: 2, duration: 2 * time.Second},
	{name: "publisher returns to TS", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, edit: returns(), discont: 1, target: 2, duration: 2 * time.Second},
	{name: "unsteady", stream: testmedia.Stream{Video: codec.H264}, edit: unsteady(), options: Options{Container: FMP4}, grows: true, target: 3},
	{name: "event", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, options: Options{Container: FMP4, Segments: -1}, target: 2, duration: 2 * time.Second},
	{name: "long list", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Change: 40}, options: Options{Container: FMP4, Segments: 20}, discont: 1, target: 2, duration: 2 * time.Second},
	{name: "no parts", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, options: Options{Part: -1}, target: 2, duration: 2 * time.Second},
	{name: "no parts in fMP4", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, options: Options{Container: FMP4, Part: -1, Segments: 10}, target: 2, duration: 2 * time.Second},
	{name: "uneven GOPs", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, edit: keysAt(func(n int) bool { return n%7 != 3 && n%11 != 5 }), grows: true, target: 6},
	{name: "no key frames", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, edit: keysAt(func(n int) bool { return n == 0 }), target: 20},
	{name: "one second", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second}, options: Options{Segment: time.Second, Part: 330 * time.Millisecond}, target: 1, duration: time.Second},
}

func TestWriter(t *testing.T) {
	for _, c := range writerCases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.stream.Bitrate = 100_000
				g := newRig(t, c.stream.Tracks(), c.options)
				g.grows = c.grows
				frames := c.stream.Frames()
				if c.edit != nil {
					frames = c.edit(frames)
				}
				begin := time.Now()
				d := time.Duration(cmp.Or(c.minutes, 2)) * time.Minute
				for f := range frames {
					if f.DTS >= d {
						break
					}
					g.write(f, begin)
				}
				g.close()
				require.True(t, g.last.Ended)
				require.Equal(t, time.Duration(c.target)*time.Second, g.last.Target)
				discont := 0
				var sum time.Duration
				for i, s := range g.order {
					if s.Discont {
						discont++
					}
					sum += s.Duration
					if c.duration > 0 && i+1 < len(g.order) && !g.order[i+1].Discont {
						require.Equal(t, c.duration, s.Duration)
					}
					// The parts of the first one are made where that can be done, and an ended
					// playlist lists none.
					if i+1 < len(g.order) && (i > 0 || c.name != "unsteady") {
						require.Equal(t, c.options.Part >= 0, s.parts > 0, "parts of segment %d", i)
					}
				}
				require.Equal(t, c.discont, discont)
				if c.discont == 0 {
					require.InDelta(t, d.Seconds(), sum.Seconds(), 0.1)
				}
				require.Equal(t, c.options.Part >= 0 && (c.options.Segments < 0 || c.options.Segments > 6), g.deltas > 0)
				requireDates(t, g, begin)
			})
		})
	}
}

// requireDates checks that program date times are those at which the segments'
// first frames came.
func requireDates(t *testing.T, g *rig, begin time.Time) {
	t.Helper()
	for i, s := range g.order[1:] {
		before := g.order[i]
		if !s.Discont {
			require.WithinDuration(t, before.Date.Add(before.Duration), s.Date, 2*time.Millisecond)
		}
	}
	require.WithinDuration(t, begin, g.order[0].Date, time.Second)
}

// TestWriterRobust has streams for which no promise can be kept to the letter:
// but all bytes are there, and players can go on.
func TestWriterRobust(t *testing.T) {
	for name, c := range map[string]struct {
		edit   edit
		tracks func([]*codec.Track) []*codec.Track
		waits  bool // for the next key frame
	}{
		"pictures are lost":        {edit: loses(9)},
		"no video for two minutes": {edit: blind(60*time.Second, 180*time.Second)},
		"video comes late":         {edit: blind(0, 30*time.Second)},
		"audio is announced late": {
			tracks: func(t []*codec.Track) []*codec.Track { return t[:1] }, waits: true,
		},
		"video is announced late": {
			edit:   blind(0, 30*time.Second),
			tracks: func(t []*codec.Track) []*codec.Track { return t[1:] },
		},
	} {
		for in, container := range containers {
			t.Run(name+" in "+in, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000}
					tracks := stream.Tracks()
					if c.tracks != nil {
						tracks = c.tracks(tracks)
					}
					w, err := NewWriter(tracks, Options{Container: container, Segments: -1})
					require.NoError(t, err)
					frames := stream.Frames()
					if c.edit != nil {
						frames = c.edit(frames)
					}
					longest := time.Duration(0)
					published := time.Now()
					var seen *snapshot
					begin := time.Now()
					for f := range frames {
						if f.DTS >= 5*time.Minute {
							break
						}
						time.Sleep(time.Until(begin.Add(f.DTS)))
						require.NoError(t, w.WriteFrame(context.Background(), f))
						if s := w.now.Load(); s != seen {
							if seen != nil {
								longest = max(longest, time.Since(published))
							}
							seen, published = s, time.Now()
						}
					}
					require.NoError(t, w.Close())
					if !c.waits {
						require.LessOrEqual(t, longest, 300*time.Millisecond, "players had to wait")
					}
					require.LessOrEqual(t, longest, 2*time.Second, "players had to wait")
					p := parse(t, request(w, "GET", container.playlist(), "").Body.Bytes())
					require.LessOrEqual(t, p.Target, 20*time.Second)
					require.InDelta(t, 300, p.Total().Seconds(), 31)
				})
			})
		}
	}
}

// TestWriterFrames: what is in the segments is what was written.
func TestWriterFrames(t *testing.T) {
	for name, container := range containers {
		t.Run(name, func(t *testing.T) {
			for _, part := range []time.Duration{0, -1} {
				stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Bitrate: 300_000}
				o := Options{Container: container, Segments: -1, Part: part}
				w, err := NewWriter(stream.Tracks(), o)
				require.NoError(t, err)
				want := stream.Take(25 * time.Second)
				for _, f := range want {
					require.NoError(t, w.WriteFrame(context.Background(), f))
				}
				require.NoError(t, w.Close())
				p := parseChecked(t, request(w, "GET", container.playlist(), "").Body.Bytes())
				var all []byte
				if container == FMP4 {
					all = request(w, "GET", p.Segments[0].Map, "").Body.Bytes()
				}
				for _, s := range p.Segments {
					b := request(w, "GET", s.URI, "").Body.Bytes()
					requireEntry(t, container, all, b, s.Duration)
					if container == TS || len(b) > 0 {
						all = append(all, b...)
					}
				}
				requireSameData(t, want, demux(t, container, all))
			}
		})
	}
}

// requireEntry checks that a segment can be decoded by itself, and lasts as long
// as is said.
func requireEntry(t *testing.T, c Container, init, b []byte, d time.Duration) {
	t.Helper()
	if c == FMP4 {
		b = append(bytes.Clone(init[:initLength(t, init)]), b...)
	}
	first, end := time.Duration(-1), time.Duration(0)
	for _, f := range demux(t, c, b) {
		if !isVideo(f) {
			continue
		}
		if first < 0 {
			first = f.DTS
			require.True(t, f.Key())
		}
		end = max(end, f.DTS+40*time.Millisecond)
	}
	require.InDelta(t, d.Seconds(), (end - first).Seconds(), 0.001)
}

// initLength returns how long the initialization segment is that b begins with:
// two boxes.
func initLength(t *testing.T, b []byte) (n int) {
	t.Helper()
	for range 2 {
		n += int(b[n])<<24 | int(b[n+1])<<16 | int(b[n+2])<<8 | int(b[n+3])
	}
	return n
}

func demux(t *testing.T, c Container, b []byte) []*codec.Frame {
	t.Helper()
	var r source.Reader
	if c == FMP4 {
		r = mp4.NewReader(bytes.NewReader(b))
	} else {
		r = ts.NewReader(bytes.NewReader(b))
	}
	defer r.Close()
	var fs []*codec.Frame
	for f, err := range source.Frames(context.Background(), r) {
		require.NoError(t, err)
		fs = append(fs, f)
	}
	return fs
}

// requireSameData compares the data of frames, track by track.
func requireSameData(t *testing.T, want, got []*codec.Frame) {
	t.Helper()
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		w, g := dataOf(want, k), dataOf(got, k)
		require.Equal(t, len(w), len(g), "%v", k)
		for i := range w {
			require.True(t, bytes.Equal(w[i], g[i]), "%v frame %d", k, i)
		}
	}
}

func dataOf(fs []*codec.Frame, k codec.Kind) (data [][]byte) {
	for _, f := range fs {
		if f.Track.Kind() == k {
			data = append(data, f.Data)
		}
	}
	return data
}

// What is left out is told once, and can be asked for.
func TestWriterLeftOut(t *testing.T) {
	stream := testmedia.Stream{Video: codec.VP9, Audio: codec.Opus}
	var text bytes.Buffer
	o := Options{Logger: slog.New(slog.NewTextHandler(&text, nil))}
	w, err := NewWriter(stream.Tracks(), o)
	require.NoError(t, err)
	late := &codec.Track{ID: 7, Wire: "rtp", Name: "X", ClockRate: 90000}
	for _, f := range stream.Take(5 * time.Second) {
		require.NoError(t, w.WriteFrame(t.Context(), f))
		require.NoError(t, w.WriteFrame(t.Context(), &codec.Frame{Track: late, DTS: f.DTS, PTS: f.PTS, Data: f.Data}))
	}
	require.NoError(t, w.Close())
	left := w.Stats().LeftOut
	require.Len(t, left, 2)
	require.Equal(t, codec.VP9, left[0].Codec)
	require.Equal(t, late, left[1])
	require.Equal(t, 2, strings.Count(text.String(), "track left out"), text.String())
	o.Container = FMP4
	w, err = NewWriter(stream.Tracks(), o)
	require.NoError(t, err)
	require.Empty(t, w.Stats().LeftOut)
	require.NoError(t, w.Close())
}

func TestWriterContract(t *testing.T) {
	_, err := NewWriter(nil, Options{})
	require.ErrorIs(t, err, source.ErrUnsupported)
	_, err = NewWriter([]*codec.Track{{ID: 1, Wire: "rtp", Name: "X"}}, Options{Container: FMP4})
	require.ErrorIs(t, err, source.ErrUnsupported)

	stream := testmedia.Stream{Video: codec.H264}
	w, err := NewWriter(stream.Tracks(), Options{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f := stream.Take(time.Millisecond)[0]
	require.ErrorIs(t, w.WriteFrame(ctx, f), context.Canceled)
	_, err = w.variant(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.WriteFrame(context.Background(), f), io.ErrClosedPipe)
	_, err = w.variant(context.Background())
	require.ErrorIs(t, err, source.ErrNotFound)
	require.Equal(t, 404, request(w, "GET", "hls.m3u8", "").Code)
}

func TestWriterVariant(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 1_000_000}
	w, err := NewWriter(stream.Tracks(), Options{Container: FMP4})
	require.NoError(t, err)
	for _, f := range stream.Take(9 * time.Second) {
		require.NoError(t, w.WriteFrame(context.Background(), f))
	}
	v, err := w.variant(context.Background())
	require.NoError(t, err)
	require.Equal(t, "avc1.64001f,mp4a.40.2", v.Codecs)
	require.Equal(t, []int{1280, 720}, []int{v.Width, v.Height})
	require.EqualValues(t, 25, v.FrameRate)
	require.InDelta(t, 1_150_000, v.Bandwidth, 150_000)
	require.LessOrEqual(t, v.AverageBandwidth, v.Bandwidth)
	require.NoError(t, w.Close())
}

// TestWriterPosition: the numbers go on in another Writer, as if the publisher
// had returned.
func TestWriterPosition(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000, Change: 2}
	var p position
	for range 3 {
		w, err := newWriterAt(stream.Tracks(), Options{Container: FMP4}, p)
		require.NoError(t, err)
		require.Equal(t, p, w.position())
		for _, f := range stream.Take(13 * time.Second) { // of 7 segments the third and the fifth have other parameters
			require.NoError(t, w.WriteFrame(context.Background(), f))
		}
		require.Equal(t, position{p.sequence + 7, p.discontinuity + 4, p.init + 4}, w.position())
		first := request(w, "GET", w.o.Container.playlist(), "")
		require.NoError(t, w.Close())
		require.Equal(t, position{p.sequence + 7, p.discontinuity + 4, p.init + 4}, w.position())
		list := parseChecked(t, first.Body.Bytes())
		require.GreaterOrEqual(t, list.Sequence, p.sequence)
		require.GreaterOrEqual(t, list.Discontinuity, p.discontinuity)
		p = w.position()
	}
}
