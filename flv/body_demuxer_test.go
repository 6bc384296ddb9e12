package flv

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// frameOf returns the first frame of a codec, a key frame where there is one.
func frameOf(c codec.Codec) *codec.Frame {
	s := testmedia.Stream{Video: c, Bitrate: 20_000}
	if c.Kind() == codec.KindAudio {
		s = testmedia.Stream{Audio: c}
	}
	for f := range s.Frames() {
		return f
	}
	return nil
}

func tracksOf(f *codec.Frame) []*codec.Track { return []*codec.Track{f.Track} }

func cat(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		}
	}
	return b
}

// u24 returns the length of b in 24 bits, and b.
func u24(b []byte) []byte {
	return append([]byte{byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)
}

// inputs are the forms in which others write what we write in one: each is a
// list of video (9…) or audio (8…) bodies, and the tracks and frames they hold.
type input struct {
	name   string
	typ    TagType
	bodies [][]byte
	want   []string // for each frame: track, codec, key, cts in ms, data
}

func inputs() []input {
	h264, hevc, av1, opus, aac := frameOf(codec.H264), frameOf(codec.H265), frameOf(codec.AV1), frameOf(codec.Opus), frameOf(codec.AAC)
	h264Track2 := testmedia.Track2(0, codec.H264)
	mp3 := frameOf(codec.MP3)
	ac3 := frameOf(codec.AC3)
	adts, err := codec.AppendADTS(nil, aac.Track, aac.Data)
	if err != nil {
		panic(err)
	}
	two, _ := codec.AppendADTS(adts, aac.Track, aac.Data)
	avcC2 := append([]byte(nil), h264.Track.Config...)
	avcC2[4] &^= 2 // lengths of 2 bytes
	short := []byte{0, 3, 0x65, 0x88, 0x84}
	canonical := []byte{0, 0, 0, 3, 0x65, 0x88, 0x84}
	nano := cat(0x97, 2, 0, 0, 1, 0x01) // ModEx of 3 bytes, then coded frames
	long := cat(0x97, 255, 1, 3, make([]byte, 260), 0x01)

	line := func(track, c, key, cts string, data []byte) string {
		return strings.Join([]string{track, c, key, cts, digest(data)}, " ")
	}
	return []input{
		{"AVC", TagVideo, [][]byte{cat(0x17, 0, 0, 0, 0, h264.Track.Config), cat(0x17, 1, 0, 0, 40, h264.Data)},
			[]string{line("0", "H264", "key", "40", h264.Data)}},
		{"AVC, negative composition time", TagVideo, [][]byte{cat(0x17, 0, 0, 0, 0, h264.Track.Config), cat(0x17, 1, 0xff, 0xff, 0xd8, h264.Data)},
			[]string{line("0", "H264", "key", "-40", h264.Data)}},
		{"AVC, lengths of 2 bytes", TagVideo, [][]byte{cat(0x17, 0, 0, 0, 0, avcC2), cat(0x17, 1, 0, 0, 0, short)},
			[]string{line("0", "H264", "key", "0", canonical)}},
		{"AVC without sequence header, sets in band", TagVideo, [][]byte{cat(0x17, 1, 0, 0, 0, inBand(h264.Track), h264.Data)},
			[]string{line("0", "H264", "key", "0", h264.Data)}},
		{"AVC, other sets in band", TagVideo, [][]byte{cat(0x17, 0, 0, 0, 0, h264.Track.Config), cat(0x17, 1, 0, 0, 0, inBand(h264Track2), h264.Data)},
			[]string{line("0", "H264", "key", "0", h264.Data)}},
		{"AVC, end of sequence, command, empty body, empty header", TagVideo, [][]byte{
			cat(0x17, 2, 0, 0, 0), cat(0x57, 0), {}, cat(0x17, 0, 0, 0, 0), cat(0x17, 0, 0, 0, 0, h264.Track.Config), cat(0x17, 1, 0, 0, 0),
		}, nil},
		{"HEVC, legacy id", TagVideo, [][]byte{cat(0x1c, 0, 0, 0, 0, hevc.Track.Config), cat(0x1c, 1, 0, 0, 40, hevc.Data)},
			[]string{line("0", "H265", "key", "40", hevc.Data)}},
		{"HEVC, enhanced, with composition time", TagVideo, [][]byte{cat(0x90, "hvc1", hevc.Track.Config), cat(0x91, "hvc1", 0, 0, 40, hevc.Data)},
			[]string{line("0", "H265", "key", "40", hevc.Data)}},
		{"HEVC, enhanced, without composition time", TagVideo, [][]byte{cat(0x90, "hvc1", hevc.Track.Config), cat(0x93, "hvc1", hevc.Data)},
			[]string{line("0", "H265", "key", "0", hevc.Data)}},
		{"HEVC as hev1", TagVideo, [][]byte{cat(0x90, "hev1", hevc.Track.Config), cat(0x93, "hev1", hevc.Data)},
			[]string{line("0", "H265", "key", "0", hevc.Data)}},
		{"AVC, enhanced", TagVideo, [][]byte{cat(0x90, "avc1", h264.Track.Config), cat(0x91, "avc1", 0, 0, 0, h264.Data)},
			[]string{line("0", "H264", "key", "0", h264.Data)}},
		{"enhanced end, metadata, command", TagVideo, [][]byte{
			cat(0x92, "hvc1"), cat(0x94, "hvc1", amf.Append(nil, "colorInfo")), cat(0xd1, 0), cat(0x95, "av01", 0x80, 4),
		}, nil},
		{"AV1", TagVideo, [][]byte{cat(0x90, "av01", av1.Track.Config), cat(0x91, "av01", av1.Data)},
			[]string{line("0", "AV1", "key", "0", av1.Data)}},
		{"AV1 with temporal delimiter", TagVideo, [][]byte{cat(0x90, "av01", av1.Track.Config), cat(0x91, "av01", 0x12, 0, av1.Data)},
			[]string{line("0", "AV1", "key", "0", av1.Data)}},
		{"AV1 without OBUs in av1C", TagVideo, [][]byte{cat(0x90, "av01", av1.Track.Config[:4]), cat(0x91, "av01", av1.Data)},
			[]string{line("0", "AV1", "key", "0", av1.Data)}},
		{"modifier", TagVideo, [][]byte{cat(0x90, "av01", av1.Track.Config), cat(nano, "av01", av1.Data)},
			[]string{line("0", "AV1", "key", "0", av1.Data)}},
		{"long modifier", TagVideo, [][]byte{cat(0x90, "av01", av1.Track.Config), cat(long, "av01", av1.Data)},
			[]string{line("0", "AV1", "key", "0", av1.Data)}},
		{"one track of many", TagVideo, [][]byte{cat(0x96, 0x00, "av01", 1, av1.Track.Config), cat(0x96, 0x01, "av01", 1, av1.Data)},
			[]string{line("2", "AV1", "key", "0", av1.Data)}},
		{"many tracks", TagVideo, [][]byte{
			cat(0x96, 0x10, "av01", 0, u24(av1.Track.Config), 1, u24(av1.Track.Config)),
			cat(0x96, 0x11, "av01", 0, u24(av1.Data), 1, u24(av1.Data)),
		}, []string{line("0", "AV1", "key", "0", av1.Data), line("2", "AV1", "key", "0", av1.Data)}},
		{"many tracks of many codecs", TagVideo, [][]byte{
			cat(0x96, 0x20, "av01", 0, u24(av1.Track.Config), "hvc1", 1, u24(hevc.Track.Config)),
			cat(0x96, 0x21, "av01", 0, u24(av1.Data), "hvc1", 1, u24(cat(0, 0, 40, hevc.Data)), "xxxx", 2, u24([]byte{1})),
		}, []string{line("0", "AV1", "key", "0", av1.Data), line("2", "H265", "key", "40", hevc.Data)}},
		{"unknown video", TagVideo, [][]byte{cat(0x14, 1, 2, 3), cat(0x24, 4)},
			[]string{line("0", "opaque 4", "key", "0", cat(0x14, 1, 2, 3)), line("0", "opaque 4", "-", "0", cat(0x24, 4))}},
		{"unknown FourCC", TagVideo, [][]byte{cat(0x90, "zzzz", 1), cat(0x91, "zzzz", 2)},
			[]string{line("0", "opaque zzzz", "key", "0", cat(0x91, "zzzz", 2))}},
		{"codec changes", TagVideo, [][]byte{
			cat(0x17, 0, 0, 0, 0, h264.Track.Config), cat(0x17, 1, 0, 0, 0, h264.Data), cat(0x14, 1), cat(0x90, "av01", av1.Track.Config), cat(0x91, "av01", av1.Data),
		}, []string{line("0", "H264", "key", "0", h264.Data), line("0", "opaque 4", "key", "0", cat(0x14, 1)), line("0", "AV1", "key", "0", av1.Data)}},

		{"AAC", TagAudio, [][]byte{cat(0xaf, 0, aac.Track.Config), cat(0xaf, 1, aac.Data), cat(0xaf, 1), cat(0xaf, 0)},
			[]string{line("1", "AAC", "key", "0", aac.Data)}},
		{"AAC, enhanced", TagAudio, [][]byte{cat(0x90, "mp4a", aac.Track.Config), cat(0x91, "mp4a", aac.Data), cat(0x92, "mp4a"), cat(0x94, "mp4a", 1, 2)},
			[]string{line("1", "AAC", "key", "0", aac.Data)}},
		{"AAC in ADTS", TagAudio, [][]byte{cat(0xaf, 1, two)},
			[]string{line("1", "AAC", "key", "0", aac.Data), line("1", "AAC", "key", "0", aac.Data)}},
		{"MP3", TagAudio, [][]byte{cat(0x2f, mp3.Data)}, []string{line("1", "MP3", "key", "0", mp3.Data)}},
		{"MP3 at 8 kHz", TagAudio, [][]byte{cat(0xe2, mp3.Data)}, []string{line("1", "MP3", "key", "0", mp3.Data)}},
		{"MP3, enhanced", TagAudio, [][]byte{cat(0x91, ".mp3", mp3.Data)}, []string{line("1", "MP3", "key", "0", mp3.Data)}},
		{"AC-3", TagAudio, [][]byte{cat(0x91, "ac-3", ac3.Data)}, []string{line("1", "AC-3", "key", "0", ac3.Data)}},
		{"G.711", TagAudio, [][]byte{cat(0x72, 1, 2), cat(0x82, 3)},
			[]string{line("1", "PCMA", "key", "0", cat(1, 2)), line("1", "PCMU", "key", "0", cat(3))}},
		{"Opus, legacy id", TagAudio, [][]byte{cat(0xdf, opus.Data)}, []string{line("1", "Opus", "key", "0", opus.Data)}},
		{"Opus with OpusHead", TagAudio, [][]byte{cat(0x90, "Opus", opus.Track.OpusHead()), cat(0x91, "Opus", opus.Data)},
			[]string{line("1", "Opus", "key", "0", opus.Data)}},
		{"Opus with dOps", TagAudio, [][]byte{cat(0x90, "Opus", opus.Track.Config), cat(0x91, "Opus", opus.Data)},
			[]string{line("1", "Opus", "key", "0", opus.Data)}},
		{"Opus without header", TagAudio, [][]byte{cat(0x91, "Opus", opus.Data)}, []string{line("1", "Opus", "key", "0", opus.Data)}},
		{"audio multitrack", TagAudio, [][]byte{cat(0x95, 0x01, "Opus", 1, opus.Data)}, []string{line("3", "Opus", "key", "0", opus.Data)}},
		{"Speex", TagAudio, [][]byte{cat(0xb6, 1)}, []string{line("1", "opaque 11", "key", "0", cat(0xb6, 1))}},
		{"FLAC", TagAudio, [][]byte{cat(0x90, "fLaC", 1), cat(0x91, "fLaC", 2)},
			[]string{line("1", "opaque fLaC", "key", "0", cat(0x91, "fLaC", 2))}},
	}
}

// inBand returns the parameter sets of t as NAL units with lengths.
func inBand(t *codec.Track) (b []byte) {
	for _, nalu := range t.ParameterSets() {
		b = append(append(b, 0, 0, byte(len(nalu)>>8), byte(len(nalu))), nalu...)
	}
	return b
}

func TestBodyDemuxerInputs(t *testing.T) {
	for _, c := range inputs() {
		t.Run(c.name, func(t *testing.T) {
			var d BodyDemuxer
			var got []string
			for _, body := range c.bodies {
				frames, err := d.Append(nil, c.typ, time.Second, body)
				require.NoError(t, err)
				for _, f := range frames {
					name, key := f.Track.Codec.String(), "-"
					if f.Track.Codec == codec.Opaque {
						name += " " + f.Track.Name
					}
					if f.Key() {
						key = "key"
					}
					got = append(got, strings.Join([]string{
						strconv.Itoa(f.Track.ID), name, key, strconv.Itoa(int((f.PTS - f.DTS).Milliseconds())), digest(f.Data),
					}, " "))
					if f.Track.Kind() == codec.KindVideo && f.Track.Codec != codec.Opaque {
						require.NotZero(t, f.Track.Width)
					}
				}
			}
			require.Equal(t, c.want, got)
		})
	}
}

// digest stands for data in messages that people can read.
func digest(b []byte) string { return fmt.Sprintf("%d:%08x", len(b), crc32.ChecksumIEEE(b)) }

// badBodies cost themselves, not the stream (limits R8).
var badBodies = []struct {
	name string
	typ  TagType
	body []byte
}{
	{"AVC cut in its head", TagVideo, []byte{0x17, 1, 0, 0}},
	{"AVC configuration that is none", TagVideo, []byte{0x17, 0, 0, 0, 0, 2, 1}},
	{"AVC frame without configuration", TagVideo, []byte{0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65}},
	{"NAL unit length beyond the body", TagVideo, []byte{0x17, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x65}},
	{"HEVC configuration that is none", TagVideo, []byte{0x1c, 0, 0, 0, 0, 1}},
	{"enhanced without FourCC", TagVideo, []byte{0x91, 'h', 'v', 'c'}},
	{"enhanced without composition time", TagVideo, []byte("\x91hvc1\x00\x00")},
	{"AV1 that is none", TagVideo, []byte("\x91av01\xff")},
	{"VP9 key frame that is none", TagVideo, []byte("\x91vp09\x82\x00")},
	{"VP8 before a key frame", TagVideo, []byte("\xa1vp08\x01")},
	{"modifier cut", TagVideo, []byte{0x97, 200, 1}},
	{"modifiers without end", TagVideo, []byte{0x97, 0, 0, 7, 0, 0, 7, 0, 0, 7}},
	{"multitrack in multitrack", TagVideo, []byte("\x96\x06av01\x00")},
	{"multitrack of unknown type", TagVideo, []byte("\x96\x71av01\x00")},
	{"multitrack with lying size", TagVideo, []byte("\x96\x11av01\x00\xff\xff\xff\x01")},
	{"AAC of one byte", TagAudio, []byte{0xaf}},
	{"AAC before its configuration", TagAudio, []byte{0xaf, 1, 0x21}},
	{"AAC configuration cut", TagAudio, []byte{0xaf, 0, 0x12}},
	{"MP3 without syncword", TagAudio, []byte{0x2f, 1, 2, 3, 4}},
	{"MP3 cut", TagAudio, []byte{0x2f, 0xff}},
	{"AC-3 without syncword", TagAudio, []byte("\x91ac-3\x01")},
	{"Opus header cut", TagAudio, []byte("\x90OpusOpusHead\x01")},
}

func TestBodyDemuxerRefuses(t *testing.T) {
	good := frameOf(codec.H264)
	for _, c := range badBodies {
		t.Run(c.name, func(t *testing.T) {
			var d BodyDemuxer
			frames, err := d.Append(nil, c.typ, 0, c.body)
			require.ErrorIs(t, err, ErrInvalid)
			require.Empty(t, frames)
			require.Len(t, demux(t, &d, bodiesOf(t, good)), 1, "the stream lives")
		})
	}
}

// bodiesOf returns sequence header and body of a frame.
func bodiesOf(t testing.TB, f *codec.Frame) []Body {
	t.Helper()
	m := NewBodyMuxer(tracksOf(f), FormStandard)
	bodies, err := m.Append(m.Config(), f)
	require.NoError(t, err)
	return bodies
}

// Configurations cut at every length are refused or harmless.
func TestBodyDemuxerConfigurationsCut(t *testing.T) {
	for _, c := range []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.VP9, codec.AAC, codec.Opus} {
		f := frameOf(c)
		bodies := bodiesOf(t, f)
		for _, b := range bodies[1:] {
			whole := join(b)
			for n := range whole {
				var d BodyDemuxer
				_, err := d.Append(nil, b.Type, 0, whole[:n:n])
				if err != nil {
					require.ErrorIs(t, err, ErrInvalid, "%v cut to %d bytes", c, n)
				}
			}
		}
	}
}

func TestBodyDemuxerHopeless(t *testing.T) {
	var d BodyDemuxer
	for range 2 {
		for i := range maxBadBodies {
			require.False(t, d.Hopeless(), i)
			_, err := d.Append(nil, TagAudio, 0, []byte{0xaf})
			require.Error(t, err)
		}
		require.True(t, d.Hopeless())
		demux(t, &d, bodiesOf(t, frameOf(codec.H264)))
		require.False(t, d.Hopeless())
	}
}

func TestBodyDemuxerTrackLimit(t *testing.T) {
	var d BodyDemuxer
	var err error
	for id := range 256 {
		_, err = d.Append(nil, TagVideo, 0, cat(0x96, 0x01, "zzzz", id, 1))
	}
	require.ErrorIs(t, err, ErrInvalid)
	tracks, _ := d.Tracks()
	require.Len(t, tracks, maxStreams)
}

// The same description keeps the same *Track: a repeated header is no news.
func TestBodyDemuxerKeepsTracks(t *testing.T) {
	for _, c := range []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.VP8, codec.VP9, codec.AAC, codec.MP3, codec.Opus, codec.PCMA, codec.AC3} {
		var d BodyDemuxer
		bodies := bodiesOf(t, frameOf(c))
		first := demux(t, &d, bodies)
		for range 3 {
			again := demux(t, &d, bodies)
			require.Same(t, first[0].Track, again[0].Track, c)
		}
	}
}

func TestBodyDemuxerComplete(t *testing.T) {
	video, audio := bodiesOf(t, frameOf(codec.H264)), bodiesOf(t, frameOf(codec.AAC))
	meta := func(ps ...amf.Property) Body {
		return Body{Type: TagScript, Head: amf.Append(amf.Append(nil, "onMetaData"), amf.Object(ps))}
	}
	for _, c := range []struct {
		name   string
		bodies []Body
		tracks int
		want   bool
	}{
		{"nothing", nil, 0, false},
		{"video without metadata", video[1:], 1, false},
		{"video, announced", video, 1, true},
		{"both without metadata", append(video[1:3:3], audio[1:]...), 2, true},
		{"video, both announced", append([]Body{meta(amf.Property{Name: "videocodecid", Value: 7.0}, amf.Property{Name: "audiocodecid", Value: 10.0})}, video[1:]...), 1, false},
		{"codec ids as names", append([]Body{meta(amf.Property{Name: "videocodecid", Value: "avc1"}, amf.Property{Name: "audiocodecid", Value: "mp4a"})}, video[1:]...), 1, false},
		{"no audio said", append([]Body{meta(amf.Property{Name: "hasVideo", Value: true}, amf.Property{Name: "hasAudio", Value: false})}, video[1:]...), 1, true},
		{"metadata that tells nothing", append([]Body{meta(amf.Property{Name: "encoder", Value: "x"})}, video[1:]...), 1, false},
		{"with @setDataFrame", append([]Body{{Type: TagScript, Head: amf.Append(nil, "@setDataFrame"), Data: join(meta(amf.Property{Name: "width", Value: 1.0}))}}, video[1:]...), 1, true},
		{"other script data", append([]Body{{Type: TagScript, Head: amf.Append(nil, "onTextData")}, {Type: TagScript, Head: []byte{0xff}}}, video...), 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d BodyDemuxer
			demux(t, &d, c.bodies)
			tracks, complete := d.Tracks()
			require.Len(t, tracks, c.tracks)
			require.Equal(t, c.want, complete)
		})
	}
}

// Metadata beyond the limits of AMF, such as the key frame index of long files,
// counts as far as it was read.
func TestBodyDemuxerLongMetadata(t *testing.T) {
	index := make([]any, 5000)
	for i := range index {
		index[i] = float64(i)
	}
	var d BodyDemuxer
	_, err := d.Append(nil, TagScript, 0, amf.Append(amf.Append(nil, "onMetaData"), amf.ECMAArray{{Name: "framerate", Value: 25}, {Name: "times", Value: index}}))
	require.NoError(t, err)
	require.Equal(t, 25.0, d.Metadata().Get("framerate"))
}

func TestBodyDemuxerG711Rate(t *testing.T) {
	f := &codec.Frame{Track: testmedia.Track2(1, codec.PCMA), Data: []byte{1, 2}}
	var d BodyDemuxer
	got := demux(t, &d, bodiesOf(t, f))
	require.Equal(t, 16000, got[0].Track.SampleRate)
}

// Opaque tracks come out as they went in, sequence header included.
func TestOpaqueRoundTrip(t *testing.T) {
	for _, c := range inputs() {
		if !strings.Contains(strings.Join(c.want, ""), "opaque") || c.name == "codec changes" {
			continue
		}
		var d BodyDemuxer
		var m *BodyMuxer
		var out [][]byte
		for _, body := range c.bodies {
			frames, err := d.Append(nil, c.typ, 0, body)
			require.NoError(t, err)
			for _, f := range frames {
				require.Equal(t, c.typ == TagVideo, f.Track.Kind() == codec.KindVideo)
				if m == nil {
					m = NewBodyMuxer(tracksOf(f), FormStandard)
					for _, b := range m.Config()[1:] {
						out = append(out, join(b))
					}
				}
				bodies, err := m.Append(nil, f)
				require.NoError(t, err)
				for _, b := range bodies {
					out = append(out, join(b))
				}
			}
		}
		require.Equal(t, c.bodies, out, c.name)
	}
}

// A body in the form in which fuzz targets and their seeds have it: type, data.
func seed(typ TagType, body []byte) []byte { return append([]byte{byte(typ)}, u24(body)...) }

func FuzzBodyDemuxer(f *testing.F) {
	for _, c := range inputs() {
		var b []byte
		for _, body := range c.bodies {
			b = append(b, seed(c.typ, body)...)
		}
		f.Add(b)
	}
	for _, c := range badBodies {
		f.Add(seed(c.typ, c.body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d BodyDemuxer
		standard, legacy := NewBodyMuxer(nil, FormStandard), NewBodyMuxer(nil, FormLegacy)
		for len(b) >= 4 {
			n := min(int(b[1])<<16|int(b[2])<<8|int(b[3]), len(b)-4)
			frames, err := d.Append(nil, TagType(b[0]), time.Second, b[4:4+n:4+n])
			if err != nil {
				require.ErrorIs(t, err, ErrInvalid)
			}
			b = b[4+n:]
			for _, fr := range frames {
				require.NotNil(t, fr.Track)
				require.True(t, fr.Track.Ready())
				require.NotEmpty(t, fr.Data)
				for _, m := range []*BodyMuxer{standard, legacy} {
					_, err := m.Append(nil, fr)
					require.NoError(t, err)
				}
			}
		}
		d.Tracks()
	})
}
