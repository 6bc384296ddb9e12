package pes

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

func TestContentOf(t *testing.T) {
	for _, c := range []struct {
		name    string
		program []byte
		e       Entry
		want    Content
		ok      bool
	}{
		{"H264", nil, Entry{StreamType: 0x1b}, Content{Codec: codec.H264}, true},
		{"H265", nil, Entry{StreamType: 0x24}, Content{Codec: codec.H265}, true},
		{"H265 in private data", nil, Entry{StreamType: 6, Descriptors: Registration("HEVC")}, Content{Codec: codec.H265}, true},
		{"MPEG-1 video", nil, Entry{StreamType: 1}, Content{Codec: codec.MPEG2Video}, true},
		{"MPEG-2 audio", nil, Entry{StreamType: 4}, Content{Codec: codec.MP3}, true},
		{"LATM", nil, Entry{StreamType: 0x11}, Content{Codec: codec.AAC, LATM: true}, true},
		{"AC-3 of DVB", nil, Entry{StreamType: 6, Descriptors: []byte{0x6a, 0}}, Content{Codec: codec.AC3}, true},
		{"AC-3 registered", nil, Entry{StreamType: 6, Descriptors: Registration("AC-3")}, Content{Codec: codec.AC3}, true},
		{"G.711", nil, Entry{StreamType: 0x90}, Content{Codec: codec.PCMA}, true},
		{"subtitles of Blu-ray", Registration("HDMV"), Entry{StreamType: 0x90}, Content{}, true},
		{"KLV", nil, Entry{StreamType: 6, Descriptors: Registration("KLVA")}, Content{}, true},
		{"Opus", nil, Entry{StreamType: 6, Descriptors: append(Registration("Opus"), 0x7f, 2, 0x80, 6)}, Content{Codec: codec.Opus, Opus: 6}, true},
		{"Opus without channels", nil, Entry{StreamType: 6, Descriptors: Registration("Opus")}, Content{Codec: codec.Opus}, true},
		{"descriptor cut", nil, Entry{StreamType: 6, Descriptors: []byte{5, 200, 'O', 'p', 'u', 's'}}, Content{}, true},
		{"sections", nil, Entry{StreamType: 5}, Content{}, false},
		{"SCTE 35", nil, Entry{StreamType: 0x86}, Content{}, false},
		{"unknown", nil, Entry{StreamType: 0xfe}, Content{}, true},
	} {
		got, ok := ContentOf(c.program, c.e.StreamType, c.e.Descriptors)
		require.Equal(t, c.ok, ok, c.name)
		require.Equal(t, c.want, got, c.name)
	}
}

func TestOpaqueKinds(t *testing.T) {
	for _, c := range []struct {
		e    Entry
		id   byte
		want codec.Kind
	}{
		{Entry{StreamType: 0x10}, 0xe0, codec.KindVideo},
		{Entry{StreamType: 0x06}, 0xc0, codec.KindAudio},
		{Entry{StreamType: 0x06}, 0xbd, codec.KindData},
		{Entry{StreamType: 0x87}, 0xbd, codec.KindAudio},
		{Entry{StreamType: 0x06, Descriptors: []byte{0x7a, 0}}, 0xbd, codec.KindAudio},
		{Entry{StreamType: 0x06, Descriptors: Registration("BSSD")}, 0xbd, codec.KindAudio},
	} {
		require.Equal(t, c.want, OpaqueTrack(1, codec.Opaque, Carriage{c.e.StreamType, c.id, c.e.Descriptors}).Kind())
	}
}
