package ps

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// mapCases are what may become of a program stream map of two streams. mapped tells that
// the demuxer takes it for one.
var mapCases = []struct {
	name   string
	change func(m section) []byte
	mapped bool
}{
	{"right", func(m section) []byte { return m }, true},
	{"absent", func(section) []byte { return nil }, false},
	{"checksum 0", func(m section) []byte { clear(m[len(m)-4:]); return m }, true},
	{"checksum wrong", func(m section) []byte { m[len(m)-1] ^= 1; return m }, true},
	{"length of descriptors beyond", func(m section) []byte { m[8], m[9] = 0xff, 0xff; return m }, false},
	{"length of the list 0", func(m section) []byte { m[10], m[11] = 0, 0; return m }, true},
	{"length of the list 65535", func(m section) []byte { m[10], m[11] = 0xff, 0xff; return m }, true},
	{"length of an entry beyond", func(m section) []byte { m[14], m[15] = 0xff, 0xff; return m }, false},
	{"length 0", func(m section) []byte { m.setLength(0); return m }, false},
	{"length 1", func(m section) []byte { m.setLength(1); return m }, false},
	{"length one too many", func(m section) []byte {
		m.setLength(len(m) - 5)
		binary.BigEndian.PutUint32(m[len(m)-4:], pes.CRC(m[:len(m)-4]))
		return m
	}, true},
	{"length 65535", func(m section) []byte { m.setLength(65535); return m }, false},
	{"cut", func(m section) []byte { return m[:10] }, false},
	{"only its start code", func(m section) []byte { return m[:4] }, false},
	{"twice", func(m section) []byte { return append(m, m...) }, true},
	{"empty", func(section) []byte { return appendMap(nil, 1, nil) }, false},
	{"other streams", func(section) []byte {
		return appendMap(nil, 1, []pes.Carriage{{StreamType: pes.TypeH265, StreamID: 0xe5}, {StreamType: pes.TypeAAC, StreamID: 0xc5}})
	}, true},
	{"types wrong", func(m section) []byte { return withTypes(m, pes.TypeH265, pes.TypePCMA) }, true},
	{"types of each other", func(m section) []byte { return withTypes(m, pes.TypeAAC, pes.TypeH264) }, true},
	{"types of nothing", func(m section) []byte { return withTypes(m, 0, 0) }, true},
	{"types nobody knows", func(m section) []byte { return withTypes(m, 0x7c, 0x7d) }, true},
	{"MPEG-4 video, G.711 µ-law", func(m section) []byte { return withTypes(m, 0x10, pes.TypePCMU) }, true},
	{"MP3", func(m section) []byte { return withTypes(m, pes.TypeH264, pes.TypeMPEG1Audio) }, true},
}

// withTypes returns a map with other stream_types.
func withTypes(m section, types ...byte) []byte {
	var list []pes.Carriage
	parseMap(m, func(c pes.Carriage) {
		c.StreamType = types[len(list)]
		list = append(list, c)
	})
	return appendMap(nil, 1, list)
}

// changedMaps returns b with other program stream maps.
func changedMaps(b []byte, change func(section) []byte) []byte {
	return changed(b, func(_ int, s section) []byte {
		if s.id() == pes.IDMap {
			return change(s)
		}
		return s
	})
}

// Streams come whatever the map says of them.
func TestDemuxerMaps(t *testing.T) {
	streams := []testmedia.Stream{
		shortDemux,
		{Video: codec.H265, Audio: codec.AAC, GOP: 400 * time.Millisecond, BFrames: 2, Bitrate: 200_000},
		{Video: codec.H264, Audio: codec.MP3, GOP: 400 * time.Millisecond, Bitrate: 200_000},
		{Video: codec.H264, Audio: codec.AC3, GOP: 400 * time.Millisecond, Bitrate: 200_000},
	}
	for _, c := range mapCases {
		for _, s := range streams {
			t.Run(c.name+" "+s.Video.String()+" "+s.Audio.String(), func(t *testing.T) {
				want := s.Take(time.Second)
				b := changedMaps(muxed(t, want), c.change)
				for _, n := range []int{len(b), 100} {
					var d Demuxer
					var got []*codec.Frame
					for p := range slices.Chunk(b, n) {
						var err error
						got, err = d.Append(got, p)
						require.NoError(t, err)
					}
					got = d.Flush(got)
					require.Equal(t, c.mapped, d.mapped)
					requireDemuxed(t, want, got, containertest.ProgramLead)
				}
			})
		}
	}
}

// G.711 is told by the map, and where that says AAC by having no frames; where there
// is none, after a while.
func TestDemuxerMapsG711(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m section) []byte
		codec  codec.Codec // of what comes
		lost   time.Duration
	}{
		{"right", func(m section) []byte { return m }, codec.PCMU, 0},
		{"AAC", func(m section) []byte { return withTypes(m, pes.TypeH264, pes.TypeAAC) }, codec.PCMA, 200 * time.Millisecond},
		{"MP3", func(m section) []byte { return withTypes(m, pes.TypeH264, pes.TypeMPEG1Audio) }, codec.PCMA, 200 * time.Millisecond},
		{"video", func(m section) []byte { return withTypes(m, pes.TypeH264, pes.TypeH265) }, codec.PCMA, 2 * time.Second},
		{"absent", func(section) []byte { return nil }, codec.PCMA, 2 * time.Second},
	} {
		s := testmedia.Stream{Video: codec.H264, Audio: codec.PCMU, GOP: time.Second, Bitrate: 100_000}
		want := s.Take(4 * time.Second)
		got := demuxed(t, changedMaps(muxed(t, want), c.change))
		requireDemuxed(t, containertest.OfKind(want, codec.KindVideo), containertest.OfKind(got, codec.KindVideo), containertest.ProgramLead)
		sound := containertest.OfKind(got, codec.KindAudio)
		in := containertest.OfKind(want, codec.KindAudio)
		require.Equal(t, c.codec, sound[0].Track.Codec, c.name)
		require.LessOrEqual(t, sound[0].DTS, c.lost+containertest.ProgramLead, c.name)
		in = in[len(in)-len(sound):]
		for i := range in {
			require.Equal(t, in[i].Data, sound[i].Data)
		}
	}
}

// Complete tells as soon as the map has told what there is, without it after a while.
func TestDemuxerComplete(t *testing.T) {
	for _, c := range []struct {
		name    string
		without []byte
		most    time.Duration
	}{
		{"with both", nil, 100 * time.Millisecond},
		{"without the map", []byte{pes.IDMap}, 100 * time.Millisecond},
		{"without system header, too", []byte{pes.IDMap, codeSystem}, 2100 * time.Millisecond},
	} {
		var d Demuxer
		require.False(t, d.Complete())
		m := NewMuxer(nil)
		for _, f := range shortDemux.Take(4 * time.Second) {
			b, err := m.Append(nil, f)
			require.NoError(t, err)
			b = changed(b, func(_ int, s section) []byte {
				if bytes.IndexByte(c.without, s.id()) >= 0 {
					return nil
				}
				return s
			})
			_, err = d.Append(nil, b)
			require.NoError(t, err)
			if d.Complete() {
				require.Len(t, d.Tracks(), 2, c.name)
				require.LessOrEqual(t, f.DTS, c.most, c.name)
				break
			}
			require.Less(t, f.DTS, c.most, c.name)
		}
	}
}

// Another map: what changed is another track with the ID of the one before, what did
// not goes on.
func TestDemuxerMapChange(t *testing.T) {
	a := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 200 * time.Millisecond, Bitrate: 200_000}.Take(time.Second)
	other := testmedia.Stream{Video: codec.H265, Audio: codec.AAC, GOP: 200 * time.Millisecond, Bitrate: 200_000}.Take(time.Second)
	second := containertest.Later(other, time.Second)
	want := append(slices.Clone(a), second...)
	got := demuxed(t, append(muxed(t, a), muxed(t, second)...))
	require.Len(t, got, len(want))
	ids := map[codec.Codec]int{}
	for _, f := range got {
		ids[f.Track.Codec] = f.Track.ID
		require.False(t, f.Has(codec.FlagDiscont))
	}
	require.Equal(t, map[codec.Codec]int{codec.H264: 1, codec.H265: 1, codec.AAC: 2}, ids)
}

// Another codec, of which there is no map: the parameter sets tell.
func TestDemuxerCodecChange(t *testing.T) {
	a := testmedia.Stream{Video: codec.H264, GOP: 200 * time.Millisecond, Bitrate: 200_000}.Take(time.Second)
	second := containertest.Later(testmedia.Stream{Video: codec.H265, GOP: 200 * time.Millisecond, Bitrate: 200_000}.Take(time.Second), time.Second)
	b := append(muxed(t, a), changedMaps(muxed(t, second), func(section) []byte { return nil })...)
	got := demuxed(t, withoutDelimiters(b))
	require.Len(t, got, len(a)+len(second))
	for i, f := range got {
		require.Equal(t, 1, f.Track.ID)
		require.Equal(t, append(a, second...)[i].Track.Codec, f.Track.Codec)
	}
}

// A map that is damaged changes nothing, unless it comes again.
func TestDemuxerMapDoubted(t *testing.T) {
	want := shortDemux.Take(time.Second)
	n := 0
	b := changedMaps(muxed(t, want), func(m section) []byte {
		if n++; n == 3 {
			m = withTypes(m, pes.TypeSVACVideo, pes.TypeG722)
			m[len(m)-1] ^= 1
		}
		return m
	})
	requireDemuxed(t, want, demuxed(t, b), containertest.ProgramLead)
}

// What nobody converts goes through as it is.
func TestDemuxerPassed(t *testing.T) {
	for _, c := range []struct {
		id, streamType byte
		codec          codec.Codec
		kind           codec.Kind
	}{
		{0xe0, pes.TypeSVACVideo, codec.SVACVideo, codec.KindVideo},
		{0xe0, 0x10, codec.Opaque, codec.KindVideo},
		{0xc0, pes.TypeSVACAudio, codec.SVACAudio, codec.KindAudio},
		{0xc0, pes.TypeG722, codec.G722, codec.KindAudio},
		{0xc0, pes.TypeG723, codec.G723, codec.KindAudio},
		{0xc0, pes.TypeG729, codec.G729, codec.KindAudio},
		{0xbd, 0x06, codec.Opaque, codec.KindData},
	} {
		w := rawStream{}
		w.pack(0)
		w.b = appendMap(w.b, 1, []pes.Carriage{{StreamType: c.streamType, StreamID: c.id}})
		var want [][]byte
		for i := range 320 {
			data := bytes.Repeat([]byte{byte(i), 0xd5}, 80)
			want = append(want, data)
			w.pack(int64(i) * 3600)
			w.packet(c.id, int64(i)*3600, data)
		}
		got := demuxed(t, w.b)
		var data [][]byte
		for _, f := range got {
			data = append(data, f.Data)
			require.Equal(t, c.codec, f.Track.Codec)
			require.Equal(t, c.kind, f.Track.Kind())
			require.Equal(t, pes.Wire, f.Track.Wire)
		}
		if c.codec == codec.Opaque && c.kind == codec.KindVideo { // it was looked into for long
			want = want[len(want)-len(data):]
			require.Greater(t, len(want), 200)
		}
		require.Equal(t, want, data, "%v", c.codec)
		again := demuxed(t, muxed(t, got))
		got = got[len(got)-len(again):]
		require.Greater(t, len(again), 100)
		for i, f := range again {
			require.Equal(t, got[i].Data, f.Data)
			require.True(t, got[i].Track.SameConfig(f.Track), "%+v", f.Track)
		}
	}
}

// A rawStream is a program stream that is written by hand.
type rawStream struct{ b []byte }

func (w *rawStream) pack(clock int64) { w.b = appendPackHeader(w.b, clock*300, 1000) }

// packet appends a PES packet; without a time if pts is negative.
func (w *rawStream) packet(id byte, pts int64, payload []byte) {
	if pts >= 0 {
		w.b = pes.AppendHeader(w.b, id, len(payload), pts, pts)
	} else {
		w.b = append(w.b, 0, 0, 1, id)
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(payload)+3))
		w.b = append(w.b, 0x80, 0, 0)
	}
	w.b = append(w.b, payload...)
}
