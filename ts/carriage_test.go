package ts

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A stream that is not understood goes through as it is.
func TestOpaqueRoundTrip(t *testing.T) {
	video := testmedia.Stream{Video: codec.H264, Bitrate: 100_000}
	opaque := []*codec.Track{
		{ID: 3, ClockRate: 90000, Wire: "ts", Name: "0x15", Params: "bd"},
		{ID: 4, ClockRate: 90000, Wire: "ts", Name: "0x06", Params: "bd05044b4c5641"},
		{ID: 5, ClockRate: 90000, Wire: "ts", Name: "0x87", Params: "bd", WireKind: codec.KindAudio},
		{ID: 6, ClockRate: 90000, Wire: "ts", Name: "0x10", Params: "e0", WireKind: codec.KindVideo},
	}
	want := video.Take(time.Second)
	n := len(want)
	for i := range n {
		for k, track := range opaque {
			f := *want[i]
			f.Track = track
			f.Data = bytes.Repeat([]byte{byte(i)}, 100*(k+1))
			if k < 3 {
				f.Flags |= codec.FlagKey
			} else { // its length is open
				f.Data = bytes.Repeat([]byte{byte(i)}, 70_000)
			}
			want = append(want, &f)
		}
	}
	file := write(t, video.Tracks(), want)
	got := demux(t, file)
	require.Len(t, got, len(want))
	again := demux(t, write(t, nil, got)) // once more, from what was read
	byTrack := func(frames []*codec.Frame) map[string][]*codec.Frame {
		m := map[string][]*codec.Frame{}
		for _, f := range frames {
			m[f.Track.Name+f.Track.Params] = append(m[f.Track.Name+f.Track.Params], f)
		}
		return m
	}
	w, g, a := byTrack(want), byTrack(got), byTrack(again)
	require.Len(t, w, 5)
	for name, frames := range w {
		require.Len(t, g[name], n)
		for i, f := range frames {
			match(leadTime).Frame(t, f, g[name][i], name)
			match(2*leadTime).Frame(t, f, a[name][i], name)
			require.Equal(t, f.Track.Kind(), g[name][i].Track.Kind())
		}
	}
}

// Data without times has those of the frames around it.
func TestOpaqueWithoutTimes(t *testing.T) {
	data := &codec.Track{ID: 3, Wire: "ts", Name: "0x06", Params: "bd"}
	audio := codec.NewG711Track(1, codec.PCMA, 0, 0)
	m := NewMuxer([]*codec.Track{audio, data})
	var file []byte
	for i := range 10 {
		at := time.Duration(i) * 20 * time.Millisecond
		var err error
		file, err = m.Append(file, &codec.Frame{Track: audio, DTS: at, PTS: at, Data: make([]byte, 160)})
		require.NoError(t, err)
		file = append(file, unitOf(m.streams[1], 0, true, false, []byte{byte(i)})...)
	}
	got := demux(t, file)
	require.Len(t, got, 20)
	for i, f := range containertest.OfKind(got, codec.KindData) {
		require.Equal(t, []byte{byte(i)}, f.Data)
		require.Equal(t, time.Duration(i)*20*time.Millisecond+leadTime, f.DTS)
	}
}

func TestContentOf(t *testing.T) {
	reg := func(id string) []byte { return registration(id) }
	for _, c := range []struct {
		name    string
		program []byte
		e       elementary
		want    content
		ok      bool
	}{
		{"H264", nil, elementary{streamType: 0x1b}, content{codec: codec.H264}, true},
		{"H265", nil, elementary{streamType: 0x24}, content{codec: codec.H265}, true},
		{"H265 in private data", nil, elementary{streamType: 6, descriptors: reg("HEVC")}, content{codec: codec.H265}, true},
		{"MPEG-1 video", nil, elementary{streamType: 1}, content{codec: codec.MPEG2Video}, true},
		{"MPEG-2 audio", nil, elementary{streamType: 4}, content{codec: codec.MP3}, true},
		{"LATM", nil, elementary{streamType: 0x11}, content{codec: codec.AAC, latm: true}, true},
		{"AC-3 of DVB", nil, elementary{streamType: 6, descriptors: []byte{0x6a, 0}}, content{codec: codec.AC3}, true},
		{"AC-3 registered", nil, elementary{streamType: 6, descriptors: reg("AC-3")}, content{codec: codec.AC3}, true},
		{"G.711", nil, elementary{streamType: 0x90}, content{codec: codec.PCMA}, true},
		{"subtitles of Blu-ray", reg("HDMV"), elementary{streamType: 0x90}, content{}, true},
		{"KLV", nil, elementary{streamType: 6, descriptors: reg("KLVA")}, content{}, true},
		{"Opus", nil, elementary{streamType: 6, descriptors: append(reg("Opus"), 0x7f, 2, 0x80, 6)}, content{codec: codec.Opus, opus: 6}, true},
		{"Opus without channels", nil, elementary{streamType: 6, descriptors: reg("Opus")}, content{codec: codec.Opus}, true},
		{"descriptor cut", nil, elementary{streamType: 6, descriptors: []byte{5, 200, 'O', 'p', 'u', 's'}}, content{}, true},
		{"sections", nil, elementary{streamType: 5}, content{}, false},
		{"SCTE 35", nil, elementary{streamType: 0x86}, content{}, false},
		{"unknown", nil, elementary{streamType: 0xfe}, content{}, true},
	} {
		got, ok := contentOf(c.program, c.e)
		require.Equal(t, c.ok, ok, c.name)
		require.Equal(t, c.want, got, c.name)
	}
}

func TestOpaqueKinds(t *testing.T) {
	for _, c := range []struct {
		e    elementary
		id   byte
		want codec.Kind
	}{
		{elementary{streamType: 0x10}, 0xe0, codec.KindVideo},
		{elementary{streamType: 0x06}, 0xc0, codec.KindAudio},
		{elementary{streamType: 0x06}, 0xbd, codec.KindData},
		{elementary{streamType: 0x87}, 0xbd, codec.KindAudio},
		{elementary{streamType: 0x06, descriptors: []byte{0x7a, 0}}, 0xbd, codec.KindAudio},
		{elementary{streamType: 0x06, descriptors: registration("BSSD")}, 0xbd, codec.KindAudio},
	} {
		require.Equal(t, c.want, opaqueTrack(1, c.e, c.id).Kind())
	}
}
