package hls

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// vodCases are films.
var vodCases = []struct {
	name      string
	stream    testmedia.Stream
	container Container
	keys      time.Duration // between key frames that are left; 0: all
	length    time.Duration // of most segments
	target    time.Duration
}{
	{name: "TS", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, length: 2 * time.Second, target: 2 * time.Second},
	{name: "fMP4", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2}, container: FMP4, length: 2 * time.Second, target: 2 * time.Second},
	{name: "H265 with B-frames", stream: testmedia.Stream{Video: codec.H265, Audio: codec.AAC, BFrames: 2, FPS: 30}, length: 2 * time.Second, target: 2 * time.Second},
	{name: "AV1 and Opus", stream: testmedia.Stream{Video: codec.AV1, Audio: codec.Opus}, container: FMP4, length: 2 * time.Second, target: 2 * time.Second},
	{name: "short GOPs", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 720 * time.Millisecond}, length: 2160 * time.Millisecond, target: 2 * time.Second},
	{name: "video alone", stream: testmedia.Stream{Video: codec.H264}, container: FMP4, length: 2 * time.Second, target: 2 * time.Second},
	{name: "audio alone in TS", stream: testmedia.Stream{Audio: codec.AAC}, length: 0, target: 2 * time.Second},
	{name: "audio alone in fMP4", stream: testmedia.Stream{Audio: codec.Opus}, container: FMP4, length: 0, target: 2 * time.Second},
	{name: "key frames every 10 s", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, keys: 10 * time.Second, length: 10 * time.Second, target: 10 * time.Second},
	{name: "one key frame in TS", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, keys: time.Hour, length: 20 * time.Second, target: 20 * time.Second},
	{name: "one key frame in fMP4", stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, container: FMP4, keys: time.Hour, length: 20 * time.Second, target: 20 * time.Second},
}

// TestVOD plays films from their beginning, which takes one seek at most, and their
// segments in any order, which are the same then. All frames are there once.
func TestVOD(t *testing.T) {
	const d = 47 * time.Second
	for _, c := range vodCases {
		t.Run(c.name, func(t *testing.T) {
			c.stream.Bitrate = 300_000
			frames := c.stream.Take(d)
			if c.keys > 0 {
				frames = keysEvery(frames, c.keys)
			}
			p := project(t, newMedium(c.stream.Tracks(), frames, d), Options{Container: c.container})
			list := p.playlist()
			require.Equal(t, c.target, list.Target)
			require.Equal(t, d, list.Total())
			require.Equal(t, c.keys < time.Minute, list.Independent)
			all := p.all(list, 0)
			require.LessOrEqual(t, p.m.seeks, 1)
			if c.container == TS {
				requireCounted(t, all)
			}
			requireSameData(t, frames, demux(t, c.container, all))

			for i, s := range list.Segments[:len(list.Segments)-1] {
				if c.length > 0 {
					require.Equal(t, c.length, s.Duration, i)
				}
				if list.Independent && c.stream.Video != codec.Opaque && c.stream.FPS == 0 {
					var init []byte
					if s.Map != "" {
						init = p.bytes(s.Map)
					}
					requireEntry(t, c.container, init, p.bytes(s.URI), s.Duration)
				}
			}

			other := project(t, newMedium(c.stream.Tracks(), frames, d), Options{Container: c.container})
			for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(list.Segments)) {
				uri := list.Segments[i].URI
				require.True(t, bytes.Equal(p.bytes(uri), other.bytes(uri)), uri)
			}
			require.Greater(t, other.m.seeks, 1)
		})
	}
}

// requireCounted checks the continuity counters (ISO/IEC 13818-1, 2.4.3.3).
func requireCounted(t *testing.T, b []byte) {
	t.Helper()
	last := map[int]byte{}
	for at := 0; at < len(b); at += ts.PacketSize {
		pid := int(b[at+1]&0x1f)<<8 | int(b[at+2])
		field, payload, counter := b[at+3]&0x20 != 0, b[at+3]&0x10 != 0, b[at+3]&15
		before, seen := last[pid]
		last[pid] = counter
		if !seen || field && b[at+4] > 0 && b[at+5]&0x80 != 0 {
			continue
		}
		if payload {
			before = (before + 1) & 15
		}
		require.Equal(t, before, counter, "packet %d of PID %d", at/ts.PacketSize, pid)
	}
}

// TestVODShelf: a segment is made once, and served like any file.
func TestVODShelf(t *testing.T) {
	p := project(t, fileOf(20*time.Second), Options{Container: FMP4})
	list := p.playlist()
	rec := p.get(list.Segments[3].URI)
	require.Equal(t, http.StatusOK, rec.Code)
	require.NotEmpty(t, rec.Header().Get("Content-Length"))
	etag := rec.Header().Get("Etag")
	seeks, at := p.m.seeks, p.m.at
	require.Equal(t, rec.Body.Bytes(), p.bytes(list.Segments[3].URI))
	require.Equal(t, []int{seeks, at}, []int{p.m.seeks, p.m.at}, "nothing was read")

	again := func(name, value string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(name, value)
		out := httptest.NewRecorder()
		p.v.serve(out, r, list.Segments[3].URI, serveOptions{})
		return out
	}
	require.Equal(t, http.StatusNotModified, again("If-None-Match", etag).Code)
	part := again("Range", "bytes=10-19")
	require.Equal(t, http.StatusPartialContent, part.Code)
	require.Equal(t, rec.Body.Bytes()[10:20], part.Body.Bytes())
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, again("Range", "bytes=100000000-").Code)

	// Another film under the name has other tags.
	other := project(t, fileOf(22*time.Second), Options{Container: FMP4})
	other.v.shelf = p.v.shelf
	other.playlist()
	require.NotEqual(t, etag, other.get(list.Segments[3].URI).Header().Get("Etag"))
	// The same one, opened by another viewer, is the same.
	same := project(t, fileOf(20*time.Second), Options{Container: FMP4})
	same.v.shelf = p.v.shelf
	require.Equal(t, etag, same.get(list.Segments[3].URI).Header().Get("Etag"))
	require.Zero(t, same.m.seeks)
}

// A shelf has room for so much; what was asked for lately stays.
func TestShelf(t *testing.T) {
	s := &shelf{}
	put := func(n, size int) {
		f := &file{etag: []string{fmt.Sprint(n)}}
		f.grow(make([]byte, size), true, time.Now())
		s.add(f)
	}
	for n := range 4 {
		put(n, maxShelf/4)
	}
	put(0, maxShelf) // is there
	require.NotNil(t, s.find("0"))
	put(4, 1)
	require.Nil(t, s.find("1"))
	for _, n := range []string{"0", "2", "3", "4"} {
		require.NotNil(t, s.find(n), n)
	}
	put(5, 2*maxShelf)
	require.Empty(t, s.files)
	require.Zero(t, s.bytes)
	s.clear()
	put(6, 1)
	require.NotNil(t, s.find("6"))
}

// TestVODLarge: a segment that is too large to be held is sent while it is made, as
// far as the film can be read. If the film is closed half-way the connection ends, so
// that nobody takes it for whole.
func TestVODLarge(t *testing.T) {
	for name, container := range containers {
		t.Run(name, func(t *testing.T) {
			stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 24_000_000}
			m := newMedium(stream.Tracks(), stream.Take(4*time.Second), 4*time.Second)
			p := project(t, m, Options{Container: container})
			list := p.playlist()
			rec := p.get(list.Segments[1].URI)
			require.Empty(t, rec.Header().Get("Content-Length"))
			require.Greater(t, rec.Body.Len(), maxShelved)
			all := append([]byte(nil), p.all(list, 0)...)
			requireSameData(t, m.frames, demux(t, container, all))
			if container == TS {
				requireCounted(t, all)
			}
			m.fails, m.failure = 3900*time.Millisecond, source.ErrClosed
			require.PanicsWithValue(t, http.ErrAbortHandler, func() { p.get(list.Segments[1].URI) })
			m.failure = nil
			part := p.bytes(list.Segments[1].URI)
			require.Greater(t, len(part), maxShelved)
			require.Less(t, len(part), rec.Body.Len())
			m.fails = 2 * time.Second
			require.Equal(t, http.StatusNotFound, p.get(list.Segments[1].URI).Code)
			m.fails = 0
			require.Equal(t, rec.Body.Len(), p.get(list.Segments[1].URI).Body.Len())
		})
	}
}

// TestVODSeams: where the tracks change there is a discontinuity, and another
// initialization segment.
func TestVODSeams(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 300_000}
	m := newMedium(stream.Tracks(), stream.Take(20*time.Second), 20*time.Second)
	seam := 10500 * time.Millisecond // the next key frame is at 12 s
	second := testmedia.Track2(testmedia.VideoID, codec.H264)
	for i, f := range m.frames {
		if isVideo(f) && f.DTS >= 12*time.Second {
			g := *f
			g.Track = second
			m.frames[i] = &g
		}
	}
	m.seams = []time.Duration{0, seam}
	m.changed = map[time.Duration][]*codec.Track{0: m.tracks, seam: {second, m.tracks[1]}}
	p := project(t, m, Options{Container: FMP4})
	list := p.playlist()
	var at []int
	for i, s := range list.Segments {
		if s.Discont {
			at = append(at, i)
		}
	}
	require.Equal(t, []int{6}, at)
	require.Equal(t, "vod-init-0.mp4", list.Segments[5].Map)
	require.Equal(t, "vod-init-6.mp4", list.Segments[9].Map)
	require.NotEqual(t, p.bytes("vod-init-0.mp4"), p.bytes("vod-init-6.mp4"))
	require.Equal(t, http.StatusNotFound, p.get("vod-init-1.mp4").Code)
	before := demux(t, FMP4, append(p.bytes("vod-init-0.mp4"), p.bytes("vod-5.mp4")...))
	after := demux(t, FMP4, append(p.bytes("vod-init-6.mp4"), p.bytes("vod-6.mp4")...))
	require.Equal(t, m.tracks[0].Width, before[0].Track.Width)
	require.Equal(t, second.Width, after[0].Track.Width)
	require.Len(t, after, 50+len(dataOf(after, codec.KindAudio)))
}

// What no playlist lists is not there.
func TestVODNames(t *testing.T) {
	p := project(t, fileOf(20*time.Second), Options{})
	for _, name := range []string{
		"vod-10.ts", "vod-999999999999999999.ts", "vod-0.mp4", "vod-init-0.mp4", "vod-0.m4s", "vod-.ts", "vod--1.ts", "x",
		"hls.fmp4.m3u8", "init.mp4", "2026-01-02/03/04-05_0.ts", "vod-init-0.ts", "",
	} {
		require.Equal(t, http.StatusNotFound, p.get(name).Code, name)
	}
	for name, want := range map[string]int{"": 0, "?start=": 0, "?start=-1": 0, "?start=x": 0, "?start=NaN": 0, "?start=Inf": 0, "?a=b&start=7.5": 1} {
		require.Equal(t, want, bytes.Count(p.get("hls.m3u8"+name).Body.Bytes(), []byte("#EXT-X-START:TIME-OFFSET=7.500\n")), name)
	}
}

// A film with less than it promised, and those that nothing can be made of.
func TestVODPoor(t *testing.T) {
	m := fileOf(20 * time.Second)
	m.duration = time.Hour
	p := project(t, m, Options{})
	list := p.playlist()
	require.Equal(t, http.StatusOK, p.get(list.Segments[9].URI).Code)
	require.Equal(t, http.StatusNotFound, p.get(list.Segments[20].URI).Code)
	require.Equal(t, http.StatusOK, p.get(list.Segments[2].URI).Code)

	m = fileOf(20 * time.Second)
	m.duration = 0 // not known
	p = project(t, m, Options{})
	require.Equal(t, 20*time.Second, p.playlist().Total())

	m = newMedium(serveStream.Tracks(), nil, 0)
	p = project(t, m, Options{})
	require.Equal(t, http.StatusNotAcceptable, p.get("hls.m3u8").Code)

	opaque := &codec.Track{ID: 1, Wire: "rtp", ClockRate: 90000}
	_, err := newVOD(newMedium([]*codec.Track{opaque}, nil, 0), Options{}, &shelf{})
	require.ErrorIs(t, err, source.ErrUnsupported)
}

// TestVODDamaged: a film is shown as far as it can be read, and behind that again.
func TestVODDamaged(t *testing.T) {
	for name, container := range containers {
		t.Run(name, func(t *testing.T) {
			sound := project(t, fileOf(20*time.Second), Options{Container: container})
			p := project(t, fileOf(20*time.Second), Options{Container: container})
			warned := 0
			p.v.warn = func(err error) {
				warned++
				require.ErrorIs(t, err, io.ErrNoProgress)
			}
			list := sound.playlist()
			var want [][]byte
			for _, s := range list.Segments {
				want = append(want, sound.bytes(s.URI))
			}
			require.Equal(t, list, p.playlist())
			p.m.fails, p.m.mended = 7*time.Second, 7900*time.Millisecond
			for i, s := range list.Segments {
				if i != 3 {
					require.True(t, bytes.Equal(want[i], p.bytes(s.URI)), s.URI)
					continue
				}
				part := p.get(s.URI)
				require.Equal(t, http.StatusOK, part.Code)
				require.InDelta(t, len(want[i])/2, part.Body.Len(), float64(len(want[i]))/10)
				require.NotEqual(t, p.v.tag("", i), part.Header().Get("Etag"))
			}
			require.Equal(t, 1, warned)
			p.m.fails = 6 * time.Second
			require.Equal(t, http.StatusNotFound, p.get(list.Segments[3].URI).Code)
			require.Equal(t, 2, warned)
			p.m.fails = 0
			require.True(t, bytes.Equal(want[3], p.bytes(list.Segments[3].URI)), "it is not kept")

			i, err := project(t, &fakeMedium{tracks: p.m.tracks, frames: p.m.frames, duration: 20 * time.Second, fails: 4 * time.Second}, Options{Container: container}).v.variant(t.Context())
			require.NoError(t, err)
			require.Positive(t, i.Bandwidth, "by what can be read")
		})
	}
}

// Whoever stops waiting frees the medium for the next request.
func TestVODCancelled(t *testing.T) {
	p := project(t, fileOf(20*time.Second), Options{})
	list := p.playlist()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	rec := httptest.NewRecorder()
	require.Zero(t, p.v.serve(rec, r, list.Segments[4].URI, serveOptions{}))
	require.Zero(t, rec.Body.Len())
	require.NoError(t, p.v.enter(t.Context()))
	require.ErrorIs(t, p.v.enter(ctx), context.Canceled)
	p.v.leave()
	require.Equal(t, http.StatusOK, p.get(list.Segments[4].URI).Code)
}

// TestPlanOf has any keys: cuts rise, none but the last is far from what it should
// be, and there are not too many.
func TestPlanOf(t *testing.T) {
	for _, c := range planCases {
		checkPlan(t, planOf(c.keys, c.seams, c.duration, c.length), c.keys, c.duration, c.length)
	}
}

var planCases = []struct {
	keys, seams      []time.Duration
	duration, length time.Duration
}{
	{keys: []time.Duration{0}, length: time.Second},
	{keys: []time.Duration{0}, duration: 1<<63 - 1, length: time.Second},
	{keys: []time.Duration{0, 1, 2, 3, 1 << 62}, duration: 5, length: time.Second},
	{keys: []time.Duration{5 * time.Second, 5 * time.Second, 4 * time.Second}, seams: []time.Duration{1, 2, 3}, duration: 9 * time.Second, length: time.Second},
	{keys: []time.Duration{0, time.Second, 2 * time.Second}, seams: []time.Duration{time.Second, time.Second}, duration: 3 * time.Second, length: 10 * time.Second},
}

func checkPlan(t *testing.T, p *vodPlan, keys []time.Duration, duration, length time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, p.segments(), 1)
	require.LessOrEqual(t, p.segments(), len(keys)+maxPieces+1)
	require.Equal(t, keys[0], p.cuts[0].at)
	for i := range p.segments() {
		require.Less(t, p.cuts[i].at, p.cuts[i+1].at)
		require.Equal(t, p.initOf(i) == i, i == 0 || p.cuts[i].seam)
	}
	if p.segments() < 1000 { // more take long to read
		parseChecked(t, p.playlist(FMP4, 0))
	}
}

func FuzzPlanOf(f *testing.F) {
	for _, c := range planCases {
		f.Add(int64(c.keys[0]), int64(c.keys[len(c.keys)-1]), int64(c.duration), uint16(len(c.keys)))
	}
	f.Fuzz(func(t *testing.T, first, last, duration int64, n uint16) {
		first, last = first&(1<<56-1), last&(1<<56-1)
		keys := []time.Duration{time.Duration(first)}
		random := rand.New(rand.NewPCG(uint64(first), uint64(last)))
		for range n % 100 {
			keys = append(keys, keys[len(keys)-1]+time.Duration(random.Int64N(max(1, last)/100+1)))
		}
		d := max(0, time.Duration(duration))
		checkPlan(t, planOf(keys, keys[len(keys)/2:], d, 2*time.Second), keys, d, 2*time.Second)
	})
}

// TestVODVariant tells what a film has.
func TestVODVariant(t *testing.T) {
	p := project(t, fileOf(20*time.Second), Options{Container: FMP4})
	i, err := p.v.variant(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, i.Codecs)
	require.Equal(t, serveStream.Tracks()[0].Width, i.Width)
	list := p.playlist()
	require.InDelta(t, bitrate(len(p.bytes(list.Segments[0].URI)), list.Segments[0].Duration), i.Bandwidth, float64(i.Bandwidth)/10)
	_, err = project(t, newMedium(serveStream.Tracks(), nil, 0), Options{}).v.variant(t.Context())
	require.Error(t, err)
}

// BenchmarkVOD makes the segments of a film one after the other.
func BenchmarkVOD(b *testing.B) {
	for name, container := range containers {
		b.Run(name, func(b *testing.B) {
			stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
			m := newMedium(stream.Tracks(), stream.Take(20*time.Second), 20*time.Second)
			v, err := newVOD(m, Options{Container: container}, &shelf{})
			require.NoError(b, err)
			require.NoError(b, v.enter(b.Context()))
			b.ReportAllocs()
			b.SetBytes(500_000)
			for i := range b.N {
				require.NoError(b, v.make(b.Context(), i%v.plan.segments(), func(p []byte) error {
					_, err := io.Discard.Write(p)
					return err
				}))
			}
		})
	}
}
