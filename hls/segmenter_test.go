package hls

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A fakeMuxer writes a line per frame.
type fakeMuxer struct {
	list   []*codec.Track
	refuse bool
}

var errRefused = errors.New("refused")

func (m *fakeMuxer) header() []byte                          { return fmt.Append(nil, len(m.list), m.list[0].Width) }
func (m *fakeMuxer) tracks() []*codec.Track                  { return m.list }
func (m *fakeMuxer) begin(dst []byte) []byte                 { return dst }
func (m *fakeMuxer) cut(dst []byte, _ *codec.Frame) []byte   { return dst }
func (m *fakeMuxer) back(dst []byte, mark int) ([]byte, int) { return dst, mark }
func (m *fakeMuxer) changes(f *codec.Frame) bool {
	t := trackOf(m.list, f.Track.ID)
	return t == nil || t.Width != f.Track.Width
}

func (m *fakeMuxer) write(dst []byte, f *codec.Frame) ([]byte, error) {
	if m.refuse {
		return dst, errRefused
	}
	return fmt.Appendf(dst, "%d@%v ", f.Track.ID, f.DTS), nil
}

// A record is an output that notes what happens.
type record struct {
	inits     []*file
	all       []*segment // complete
	abandoned int
}

func (r *record) begun(*segment)       {}
func (r *record) grown(*segment)       {}
func (r *record) completed(s *segment) { r.all = append(r.all, s) }
func (r *record) initialized(f *file)  { r.inits = append(r.inits, f) }

type recorder struct{ *record }

func (r recorder) abandoned(*segment) { r.record.abandoned++ }

var (
	fakeVideo = &codec.Track{ID: 1, Codec: codec.H264, Width: 1}
	fakeAudio = &codec.Track{ID: 2, Codec: codec.AAC}
)

// newFake returns a segmenter of segments of 2 s, without parts.
func newFake(t *testing.T, m *fakeMuxer, tracks ...*codec.Track) (*segmenter, *record) {
	t.Helper()
	r := &record{}
	g, err := newSegmenter(tracks, Options{Part: -1, Container: FMP4}.withDefaults(), position{}, recorder{r}, func(tracks []*codec.Track) (muxer, error) {
		n := *m
		n.list = append([]*codec.Track(nil), tracks...)
		return &n, nil
	})
	require.NoError(t, err)
	return g, r
}

// frames writes frames of t from from to to, one each 100 ms, every nth a key
// frame, the first with the flags.
func (g *segmenter) frames(t *codec.Track, from, to time.Duration, n int, flags codec.Flags) {
	for i, at := 0, from; at < to; i, at = i+1, at+100*time.Millisecond {
		f := &codec.Frame{Track: t, DTS: at, PTS: at, Data: make([]byte, 100), Flags: flags}
		if i%n == 0 {
			f.Flags |= codec.FlagKey
		}
		g.write(f, time.Now())
		flags = 0
	}
}

func durations(r *record) (d []time.Duration) {
	for _, s := range r.all {
		d = append(d, s.duration)
	}
	return d
}

func TestSegmenterCap(t *testing.T) {
	g, r := newFake(t, &fakeMuxer{}, fakeVideo)
	g.frames(fakeVideo, 0, 50*time.Second, 1000, 0)
	require.Equal(t, []time.Duration{20 * time.Second, 20 * time.Second}, durations(r))
	require.True(t, r.all[0].independent)
	require.False(t, r.all[1].independent)

	g, r = newFake(t, &fakeMuxer{}, fakeVideo)
	for i := range 20 {
		at := time.Duration(i) * 40 * time.Millisecond
		g.write(&codec.Frame{Track: fakeVideo, DTS: at, Data: make([]byte, 8<<20), Flags: codec.FlagKey}, time.Now())
	}
	require.Len(t, r.all, 4, "segments of four frames of 8 MiB")
}

// TestSegmenterBreaks: what does not continue begins a segment, once.
func TestSegmenterBreaks(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		from time.Duration
		flag codec.Flags
		dis  bool
	}{
		"nothing":       {4 * s, 0, false},
		"flag":          {4 * s, codec.FlagDiscont, true},
		"gap":           {10 * s, 0, false},
		"gap with flag": {10 * s, codec.FlagDiscont, true},
		"jump":          {100 * s, 0, true},
		"back":          {0, 0, true},
	} {
		g, r := newFake(t, &fakeMuxer{}, fakeVideo, fakeAudio)
		for _, b := range []struct {
			from time.Duration
			flag codec.Flags
		}{{0, 0}, {c.from, c.flag}} {
			for at := b.from; at < b.from+4*s; at += 100 * time.Millisecond {
				flag := codec.Flags(0)
				if at == b.from {
					flag = b.flag
				}
				key := codec.Flags(0)
				if at%(2*s) == 0 {
					key = codec.FlagKey
				}
				g.write(&codec.Frame{Track: fakeVideo, DTS: at, Flags: flag | key}, time.Now())
				g.write(&codec.Frame{Track: fakeAudio, DTS: at + 5*time.Millisecond, Flags: flag}, time.Now())
			}
		}
		g.finish(time.Now())
		var dis []bool
		for _, s := range r.all {
			dis = append(dis, s.discont)
		}
		require.Equal(t, []bool{false, false, c.dis, false}, dis, name)
		last := r.all[1].duration
		if !c.dis && c.from > 4*s {
			require.Equal(t, c.from-2*s, last, name)
		} else {
			require.Equal(t, 2*s, last, name)
		}
		require.Len(t, r.inits, 1, name)
	}
}

// TestSegmenterRefused: frames the muxer does not take cost themselves only.
func TestSegmenterRefused(t *testing.T) {
	g, r := newFake(t, &fakeMuxer{refuse: true}, fakeVideo)
	g.frames(fakeVideo, 0, 10*time.Second, 10, 0)
	g.finish(time.Now())
	require.Empty(t, r.all)
	require.Equal(t, 1, r.abandoned)
	require.EqualValues(t, 100, g.dropped)
}

// TestSegmenterInits: an initialization segment is made once for parameters, and
// again when they come back, for its name must not mean another.
func TestSegmenterInits(t *testing.T) {
	g, r := newFake(t, &fakeMuxer{}, fakeVideo)
	other := *fakeVideo
	other.Width = 2
	for i := range 6 {
		at := time.Duration(i) * 4 * time.Second
		g.frames([]*codec.Track{fakeVideo, &other}[i/2%2], at, at+4*time.Second, 20, 0)
	}
	g.finish(time.Now())
	require.Len(t, r.all, 12)
	require.Len(t, r.inits, 3)
	require.Equal(t, "init.mp4", r.inits[0].name)
	require.Equal(t, "init-2.mp4", r.inits[2].name)
	require.Equal(t, r.inits[0].content.Load().data, r.inits[2].content.Load().data)
	for i, s := range r.all {
		require.Equal(t, i == 4 || i == 8, s.discont, i)
		require.Equal(t, i%4 == 0, s.mapped, i)
		require.Same(t, r.inits[i/4], s.init)
	}
}

// TestSegmenterKeyWait: a stream whose video never has a key frame is heard.
func TestSegmenterKeyWait(t *testing.T) {
	g, r := newFake(t, &fakeMuxer{}, fakeVideo, fakeAudio)
	for at := time.Duration(0); at < 30*time.Second; at += 100 * time.Millisecond {
		g.write(&codec.Frame{Track: fakeVideo, DTS: at}, time.Now())
		g.write(&codec.Frame{Track: fakeAudio, DTS: at}, time.Now())
	}
	require.Len(t, r.all, 9)
	require.Equal(t, keyWait, r.all[0].start)
	require.Equal(t, 2*time.Second, r.all[0].duration)
}

// TestFlippingParameters: a publisher whose every picture has other parameters
// fills neither the memory nor the playlist.
func TestFlippingParameters(t *testing.T) {
	tracks := []*codec.Track{testmedia.Track(1, codec.H264), testmedia.Track2(1, codec.H264)}
	w, err := NewWriter(tracks[:1], Options{Container: FMP4})
	require.NoError(t, err)
	data := serveStream.Take(time.Millisecond)[0].Data
	for i := range 20_000 {
		at := time.Duration(i) * 20 * time.Millisecond
		f := &codec.Frame{Track: tracks[i%2], DTS: at, PTS: at, Data: data, Flags: codec.FlagKey}
		require.NoError(t, w.WriteFrame(t.Context(), f))
		if i == 10_000 {
			require.Less(t, len(w.list.listed), 400)
		}
	}
	text := request(w, "GET", "hls.fmp4.m3u8", "").Body.Bytes()
	require.Less(t, len(text), 100<<10)
	p := parseChecked(t, text)
	require.Greater(t, p.Discontinuity, uint64(19_000))
	require.NoError(t, w.Close())
}
