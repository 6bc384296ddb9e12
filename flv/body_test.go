package flv

import (
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// streams are the streams that every path is tested with.
var streams = []testmedia.Stream{
	{Video: codec.H264, Audio: codec.AAC},
	{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
	{Video: codec.H265, Audio: codec.Opus},
	{Video: codec.H265, Audio: codec.AAC, BFrames: 2},
	{Video: codec.AV1, Audio: codec.Opus},
	{Video: codec.VP8, Audio: codec.MP3},
	{Video: codec.VP9, Audio: codec.PCMA},
	{Audio: codec.PCMU},
	{Audio: codec.AC3},
	{Video: codec.H264},
	{Video: codec.H264, Audio: codec.AAC, BFrames: 2, GOP: 400 * time.Millisecond, Change: 1},
	{Video: codec.H265, GOP: 400 * time.Millisecond, Change: 1},
	{Video: codec.AV1, GOP: 400 * time.Millisecond, Change: 1},
	{Video: codec.VP8, GOP: 400 * time.Millisecond, Change: 1},
	{Video: codec.VP9, GOP: 400 * time.Millisecond, Change: 1},
}

func streamName(s testmedia.Stream, form Form) string {
	return containertest.Name(s) + " " + form.String()
}

// eachStream runs fn for every stream in both forms.
func eachStream(t *testing.T, fn func(t *testing.T, s testmedia.Stream, form Form)) {
	containertest.EachStream(t, streams, 400_000, func(t *testing.T, s testmedia.Stream) {
		for _, form := range []Form{FormStandard, FormLegacy} {
			t.Run(form.String(), func(t *testing.T) { fn(t, s, form) })
		}
	})
}

// requireSameFrames compares what went in with what came out, kind by kind.
func requireSameFrames(t *testing.T, want, got []*codec.Frame) {
	t.Helper()
	containertest.Match{Lost: codec.FlagDisposable}.Frames(t, want, got)
}

// join returns the body as RTMP and FLV carry it.
func join(b Body) []byte { return append(slices.Clone(b.Head), b.Data...) }

// demux turns bodies into frames.
func demux(t *testing.T, d *BodyDemuxer, bodies []Body) (frames []*codec.Frame) {
	t.Helper()
	for _, b := range bodies {
		var err error
		frames, err = d.Append(frames, b.Type, b.DTS, join(b))
		require.NoError(t, err)
	}
	return frames
}

func TestBodyRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream, form Form) {
		want := s.Take(2 * time.Second)
		m := NewBodyMuxer(s.Tracks(), form)
		bodies := m.Config()
		for _, f := range want {
			var err error
			bodies, err = m.Append(bodies, f)
			require.NoError(t, err)
		}
		var d BodyDemuxer
		requireSameFrames(t, want, demux(t, &d, bodies))
		tracks, complete := d.Tracks()
		require.True(t, complete)
		require.Len(t, tracks, len(s.Tracks()))
	})
}

// A muxer that knows no tracks announces each before its first frame.
func TestBodyMuxerLateTracks(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	m := NewBodyMuxer(nil, FormStandard)
	require.Len(t, m.Config(), 1)
	var headers []string
	for _, f := range s.Take(200 * time.Millisecond) {
		bodies, err := m.Append(nil, f)
		require.NoError(t, err)
		for _, b := range bodies {
			if b.Header {
				headers = append(headers, b.Type.String())
				require.Equal(t, f.DTS, b.DTS)
			}
		}
	}
	require.Equal(t, []string{"video", "audio"}, headers)
	require.Len(t, m.Config(), 3)
}

func TestBodyMuxerHeaderOnlyWhenNeeded(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264}
	m := NewBodyMuxer(s.Tracks(), FormStandard)
	f := s.Take(time.Millisecond)[0]
	bodies, err := m.Append(nil, f)
	require.NoError(t, err)
	require.Len(t, bodies, 1, "an equal track is no news")

	changed := *f
	changed.Track = testmedia.Track2(f.Track.ID, codec.H264)
	bodies, err = m.Append(nil, &changed)
	require.NoError(t, err)
	require.Len(t, bodies, 2)
	require.Equal(t, changed.Track.Config, bodies[0].Data)

	other := *f
	other.Track = testmedia.Track(f.Track.ID+7, codec.H264)
	bodies, err = m.Append(nil, &other)
	require.NoError(t, err)
	require.Empty(t, bodies, "FLV has one video track")
}

func TestBodyMuxerLeavesOut(t *testing.T) {
	m := NewBodyMuxer(nil, FormStandard)
	for _, c := range []codec.Codec{codec.L16, codec.MP2} {
		track := testmedia.Track(1, c)
		require.False(t, m.Carries(track))
		bodies, err := m.Append(nil, &codec.Frame{Track: track, Data: []byte{1}})
		require.NoError(t, err)
		require.Empty(t, bodies)
	}
	require.False(t, m.Carries(&codec.Track{Wire: "rtp", WireKind: codec.KindVideo}))
	require.False(t, m.Carries(&codec.Track{Codec: codec.MJPEG}))
}

// heads are the first bytes of sequence header and key frame of each codec.
var heads = []struct {
	codec  codec.Codec
	form   Form
	config string
	frame  string
}{
	{codec.H264, FormStandard, "1700000000", "1701000028"},
	{codec.H265, FormStandard, "9068766331", "9168766331000028"},
	{codec.H265, FormLegacy, "1c00000000", "1c01000028"},
	{codec.AV1, FormStandard, "9061763031", "9161763031"},
	{codec.AV1, FormLegacy, "1d00000000", "1d01000028"},
	{codec.VP8, FormStandard, "9076703038", "9176703038"},
	{codec.VP8, FormLegacy, "1e00000000", "1e01000028"},
	{codec.VP9, FormStandard, "9076703039", "9176703039"},
	{codec.VP9, FormLegacy, "1f00000000", "1f01000028"},
	{codec.AAC, FormStandard, "af00", "af01"},
	{codec.MP3, FormStandard, "", "2f"},
	{codec.PCMA, FormStandard, "", "72"},
	{codec.PCMU, FormStandard, "", "82"},
	{codec.Opus, FormStandard, "904f707573", "914f707573"},
	{codec.Opus, FormLegacy, "", "df"},
	{codec.AC3, FormStandard, "9061632d33", "9161632d33"},
}

func TestHeads(t *testing.T) {
	for _, c := range heads {
		t.Run(fmt.Sprintf("%v %v", c.codec, c.form), func(t *testing.T) {
			track := testmedia.Track(1, c.codec)
			m := NewBodyMuxer([]*codec.Track{track}, c.form)
			config := m.Config()[1:]
			if c.config == "" {
				require.Empty(t, config)
			} else {
				require.Equal(t, c.config, hex.EncodeToString(config[0].Head))
			}
			f := &codec.Frame{Track: track, Flags: codec.FlagKey, PTS: 40 * time.Millisecond, Data: []byte{1}}
			bodies, err := m.Append(nil, f)
			require.NoError(t, err)
			require.Equal(t, c.frame, hex.EncodeToString(bodies[0].Head))
		})
	}
}

// Composition times are the difference of the times as the wire has them.
func TestCompositionTime(t *testing.T) {
	const us = time.Microsecond
	for _, c := range []struct{ dts, pts, wantDTS, wantPTS time.Duration }{
		{0, 0, 0, 0},
		{40_000 * us, 120_000 * us, 40_000 * us, 120_000 * us},
		{33_333 * us, 66_667 * us, 33_000 * us, 67_000 * us},
		{80_000 * us, 40_000 * us, 80_000 * us, 40_000 * us},                                    // negative
		{-40_000 * us, 40_000 * us, 0, 40_000 * us},                                             // before the start
		{0, 10_000_000_000 * us, 0, (1<<23 - 1) * time.Millisecond},                             // clamped
		{10_000_000_000 * us, 0, 10_000_000_000 * us, (10_000_000 - 1<<23 + 1) * 1_000_000 * 1}, // clamped
	} {
		track := testmedia.Track(1, codec.H264)
		m := NewBodyMuxer([]*codec.Track{track}, FormStandard)
		f := testmedia.Stream{Video: codec.H264}.Take(time.Millisecond)[0]
		bodies, err := m.Append(m.Config(), &codec.Frame{Track: track, DTS: c.dts, PTS: c.pts, Data: f.Data})
		require.NoError(t, err)
		for i := range bodies {
			bodies[i].DTS = bodies[i].DTS.Truncate(time.Millisecond)
		}
		var d BodyDemuxer
		got := demux(t, &d, bodies)
		require.Len(t, got, 1)
		require.Equal(t, c.wantDTS, got[0].DTS)
		require.Equal(t, c.wantPTS, got[0].PTS)
	}
}

func TestMetadata(t *testing.T) {
	for _, c := range []struct {
		stream testmedia.Stream
		form   Form
		want   map[string]any
	}{
		{testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, FormStandard, map[string]any{
			"width": 1280.0, "height": 720.0, "framerate": 25.0, "videocodecid": 7.0,
			"audiosamplerate": 48000.0, "audiosamplesize": 16.0, "stereo": true, "audiocodecid": 10.0, "encoder": "MediaKit",
		}},
		{testmedia.Stream{Video: codec.H265, Audio: codec.Opus}, FormStandard, map[string]any{
			"width": 1280.0, "height": 720.0, "framerate": 25.0, "videocodecid": float64(0x68766331),
			"audiosamplerate": 48000.0, "audiosamplesize": 16.0, "stereo": true, "audiocodecid": float64(0x4f707573), "encoder": "MediaKit",
		}},
		{testmedia.Stream{Video: codec.H265, Audio: codec.Opus}, FormLegacy, map[string]any{
			"width": 1280.0, "height": 720.0, "framerate": 25.0, "videocodecid": 12.0,
			"audiosamplerate": 48000.0, "audiosamplesize": 16.0, "stereo": true, "audiocodecid": 13.0, "encoder": "MediaKit",
		}},
		{testmedia.Stream{Audio: codec.PCMA}, FormStandard, map[string]any{
			"audiodatarate": 64.0, "audiosamplerate": 8000.0, "audiosamplesize": 16.0, "stereo": false, "audiocodecid": 7.0, "encoder": "MediaKit",
		}},
	} {
		vs, err := amf.Unmarshal(join(NewBodyMuxer(c.stream.Tracks(), c.form).Config()[0]))
		require.NoError(t, err)
		require.Equal(t, "onMetaData", vs[0])
		got := map[string]any{}
		for _, p := range vs[1].(amf.ECMAArray) {
			got[p.Name] = p.Value
		}
		require.Equal(t, c.want, got)
	}
}

// A head is not overwritten by the ones after it.
func TestHeadsStay(t *testing.T) {
	s := testmedia.Stream{Video: codec.H265, Audio: codec.AAC, BFrames: 2}
	m := NewBodyMuxer(s.Tracks(), FormStandard)
	var bodies []Body
	var copies [][]byte
	for _, f := range s.Take(3 * time.Second) {
		bodies, _ = m.Append(bodies, f)
		copies = append(copies, slices.Clone(bodies[len(bodies)-1].Head))
	}
	for i, b := range bodies {
		require.Equal(t, copies[i], b.Head)
	}
}
