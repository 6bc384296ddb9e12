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

// toMPEG1 returns a program stream in the form of MPEG-1: other headers of packs and
// packets, and no map.
func toMPEG1(b []byte) []byte {
	return changed(b, func(_ int, s section) []byte {
		switch {
		case s.id() == codePack:
			_, clock, _, _ := parsePack(s)
			out := pes.AppendTime([]byte{0, 0, 1, codePack}, 2, int64(clock))
			return append(out, 0x80, 0, 1)
		case s.id() == pes.IDMap:
			return nil
		case !s.isMedia():
			return s
		}
		out := section{0, 0, 1, s.id(), 0, 0, 0xff, 0xff, 0x60, 0x20}
		times, payload := s[9:9+s[8]], s[9+s[8]:]
		if len(times) == 0 {
			out = append(out, 0x0f)
		}
		out = append(append(out, times...), payload...)
		out.setLength(len(out) - 6)
		return out
	})
}

func TestDemuxerMPEG1(t *testing.T) {
	for _, s := range []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
		{Video: codec.H265, Audio: codec.MP3},
		largeDemux,
	} {
		want := s.Take(time.Second)
		b := toMPEG1(muxed(t, want))
		for _, n := range []int{len(b), 1400, 1} {
			got := demuxedIn(t, b, n)
			if s.Audio == codec.PCMA { // which nothing tells
				got = append(containertest.OfKind(got, codec.KindVideo), containertest.OfKind(want, codec.KindAudio)...)
			}
			video := containertest.OfKind(want, codec.KindVideo)
			requireDemuxed(t, video, containertest.OfKind(got, codec.KindVideo), containertest.ProgramLead)
			if s.Audio != codec.PCMA {
				requireDemuxed(t, want, got, containertest.ProgramLead)
			}
		}
	}
}

// loosened returns a program stream as files for DVD are: packs of so many bytes, of
// which each packet has the time of the first frame that begins in it.
func loosened(frames []*codec.Frame, size int) []byte {
	w := rawStream{}
	type pending struct {
		es   []byte
		at   []int // where frames begin
		pts  []int64
		dts  []int64
		sent int
	}
	streams := map[byte]*pending{pes.IDVideo: {}, pes.IDAudio: {}}
	framers := map[int]*pes.Framer{}
	send := func(id byte, n int) {
		s := streams[id]
		payload := s.es[s.sent : s.sent+n]
		w.pack(0)
		i := slices.IndexFunc(s.at, func(at int) bool { return at >= s.sent })
		if i >= 0 && s.at[i] < s.sent+n {
			w.b = pes.AppendHeader(w.b, id, n, s.pts[i], s.dts[i])
			w.b = append(w.b, payload...)
		} else {
			w.packet(id, -1, payload)
		}
		s.sent += n
	}
	for _, f := range frames {
		x := framers[f.Track.ID]
		if x == nil {
			n := pes.NewFramer(f.Track, false)
			x = &n
			framers[f.Track.ID] = x
		}
		id := byte(pes.IDVideo)
		if f.Track.Kind() == codec.KindAudio {
			id = pes.IDAudio
		}
		s := streams[id]
		s.at = append(s.at, len(s.es))
		s.pts = append(s.pts, codec.Ticks(f.PTS, pes.ClockRate))
		s.dts = append(s.dts, codec.Ticks(f.DTS, pes.ClockRate))
		p, _ := x.Frame(f)
		for piece := range p.Pieces() {
			s.es = append(s.es, piece...)
		}
		for len(s.es)-s.sent >= size {
			send(id, size)
		}
	}
	for id, s := range streams {
		if n := len(s.es) - s.sent; n > 0 {
			send(id, n)
		}
	}
	return w.b
}

// PES packets that do not begin with frames.
func TestDemuxerLoose(t *testing.T) {
	for _, s := range []testmedia.Stream{
		{Video: codec.H264, Bitrate: 2_000_000},
		{Video: codec.H264, Bitrate: 2_000_000, BFrames: 2},
		{Video: codec.H265, Bitrate: 2_000_000, BFrames: 2},
		{Video: codec.H265, Bitrate: 150_000}, // several pictures begin in a packet
		{Video: codec.H264, Bitrate: 150_000, BFrames: 2},
		{Video: codec.H265, Bitrate: 150_000, BFrames: 1},
		{Audio: codec.AAC}, {Audio: codec.MP3}, {Audio: codec.AC3},
		{Video: codec.H264, Audio: codec.MP2, Bitrate: 3_000_000},
	} {
		want := s.Take(1960 * time.Millisecond)
		b := loosened(want, 2000)
		for _, n := range []int{len(b), 1400, 1} {
			got := demuxedIn(t, b, n)
			video := containertest.OfKind(want, codec.KindVideo)
			requireDemuxed(t, video, containertest.OfKind(got, codec.KindVideo), 0)
			sound := containertest.OfKind(got, codec.KindAudio)
			in := containertest.OfKind(want, codec.KindAudio)
			require.GreaterOrEqual(t, len(sound), max(len(in)-12, 0))
			in = in[len(in)-len(sound):]
			for i := range in { // whose times are whole milliseconds
				require.Equal(t, in[i].Data, sound[i].Data)
				require.InDelta(t, in[i].DTS, sound[i].DTS, float64(time.Millisecond))
			}
		}
	}
}

// What is lost of such a stream is what was in the packet.
func TestDemuxerLooseLose(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 2_000_000, GOP: 400 * time.Millisecond}
	want := s.Take(2 * time.Second)
	b := loosened(want, 2000)
	list := slices.Collect(slices.Chunk(b, 1400))
	for lost := 20; lost < len(list); lost += 3 {
		var d Demuxer
		var got []*codec.Frame
		for i, p := range list {
			if i == lost {
				d.Lose()
				continue
			}
			got, _ = d.Append(got, p)
		}
		got = d.Flush(got)
		require.GreaterOrEqual(t, len(got), len(want)-2, "packet %d", lost)
		byTime := map[time.Duration]*codec.Frame{}
		for _, f := range want {
			byTime[f.DTS] = f
		}
		for _, f := range got {
			w := byTime[f.DTS.Round(time.Millisecond)]
			require.NotNil(t, w, "packet %d: %v", lost, f.DTS)
			if !f.Has(codec.FlagCorrupt) {
				require.Equal(t, containertest.Digest(w.Data), containertest.Digest(f.Data))
			}
		}
	}
}

// AC-3 as DVDs have it: in private_stream_1, behind a header of 4 bytes.
func TestDemuxerDVD(t *testing.T) {
	want := testmedia.Stream{Audio: codec.AC3}.Take(2 * time.Second)
	var es []byte
	var at []int
	for _, f := range want {
		at = append(at, len(es))
		es = append(es, f.Data...)
	}
	w := rawStream{}
	for from := 0; from < len(es); from += 2000 {
		to := min(from+2000, len(es))
		n, first, pts := 0, 0, int64(-1)
		for i, p := range at {
			if p >= from && p < to {
				if n++; n == 1 {
					first, pts = p-from+1, codec.Ticks(want[i].PTS, pes.ClockRate)
				}
			}
		}
		header := binary.BigEndian.AppendUint16([]byte{0x80, byte(n)}, uint16(first))
		w.pack(0)
		w.packet(pes.IDPrivate1, pts, append(header, es[from:to]...))
		w.packet(pes.IDPrivate1, pts, []byte{0x20, 0, 0, 0, 1, 2, 3}) // subtitles
		w.packet(pes.IDPrivate2, -1, make([]byte, 900))               // navigation
		w.b = append(w.b, 0, 0, 1, pes.IDPadding, 0, 10)
		w.b = append(w.b, bytes.Repeat([]byte{0xff}, 10)...)
	}
	for _, n := range []int{len(w.b), 100, 1} {
		got := demuxedIn(t, w.b, n)
		require.GreaterOrEqual(t, len(got), len(want)-3)
		requireDemuxed(t, want[len(want)-len(got):], got, 0)
	}
}

// withoutTimes returns b without the times of packets that keep does not want.
func withoutTimes(b []byte, keep func(s section) bool) []byte {
	return changed(b, func(_ int, s section) []byte {
		if !s.isMedia() || keep(s) {
			return s
		}
		s = slices.Concat(s[:7], []byte{0, 0}, s[9+s[8]:])
		s.setLength(len(s) - 6)
		return s
	})
}

// Streams without times have those of their packs.
func TestDemuxerUntimed(t *testing.T) {
	for _, s := range []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC, GOP: 200 * time.Millisecond, Bitrate: 200_000},
		{Video: codec.H265, Audio: codec.PCMU, GOP: 200 * time.Millisecond, Bitrate: 200_000},
	} {
		want := s.Take(2 * time.Second)
		for _, delimited := range []bool{true, false} {
			b := withoutTimes(muxed(t, want), func(section) bool { return false })
			if !delimited {
				b = withoutDelimiters(b)
			}
			got := demuxed(t, b)
			require.GreaterOrEqual(t, len(got), len(want)-2*untimedMost-5)
			for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
				in, out := containertest.OfKind(want, kind), containertest.OfKind(got, kind)
				in = in[len(in)-len(out):]
				for i := range in {
					require.Equal(t, in[i].Data, out[i].Data)
					require.InDelta(t, in[i].DTS, out[i].DTS, float64(time.Millisecond))
				}
			}
		}
	}
}

// Pictures of which only some have a time follow each other all the same.
func TestDemuxerFewTimes(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond, Bitrate: 200_000}
	want := s.Take(2 * time.Second)
	b := withoutDelimiters(muxed(t, want))
	n := 0
	b = withoutTimes(b, func(s section) bool {
		if pes.IsVideo(s.id()) {
			n++
			return n%10 == 1 // those of key frames
		}
		return true
	})
	requireDemuxed(t, want, demuxed(t, b), containertest.ProgramLead)
}

// Access units above 8 MiB are dropped (limits P2).
func TestDemuxerBounds(t *testing.T) {
	var tracks []*codec.Track
	for id := range 8 {
		tracks = append(tracks, &codec.Track{ID: id + 1, Codec: codec.MPEG2Video})
	}
	picture := func(n int) []byte { return append([]byte{0, 0, 1, 0xb3, 1, 1}, bytes.Repeat([]byte{7}, n-6)...) }
	m := NewMuxer(tracks)
	var b []byte
	unit := func(i int, at time.Duration, n int) {
		var err error
		b, err = m.Append(b, &codec.Frame{Track: tracks[i], DTS: at, PTS: at, Data: picture(n)})
		require.NoError(t, err)
	}
	unit(0, 0, pes.MaxUnit)
	unit(0, 40*time.Millisecond, pes.MaxUnit+1)
	unit(0, 80*time.Millisecond, 1000)
	got := demuxed(t, b)
	require.Len(t, got, 2)
	require.Len(t, got[0].Data, pes.MaxUnit)
	require.Len(t, got[1].Data, 1000)
}

// What is made to cost much costs no more than its bytes: each is looked at a few
// times.
func TestDemuxerStorms(t *testing.T) {
	start := demuxStart(t)
	for name, unit := range storms {
		storm := append(bytes.Clone(start), bytes.Repeat([]byte(unit), (1<<20)/len(unit))...)
		for _, n := range []int{1400, 1} {
			if n == 1 {
				storm = storm[:256<<10]
			}
			var d Demuxer
			for p := range slices.Chunk(storm, n) {
				_, err := d.Append(nil, p)
				if err != nil || len(d.packets.rest) > 512 || len(d.streams) > maxStreams || d.units.Pending() > 2*pes.MaxUnit {
					t.Fatalf("%s: %v, %d bytes waiting, %d streams", name, err, len(d.packets.rest), len(d.streams))
				}
			}
			d.Flush(nil)
		}
	}
}

// demuxStart is the beginning of a stream, with which the streams are known.
func demuxStart(t testing.TB) []byte {
	return muxed(t, shortDemux.Take(100*time.Millisecond))
}

// storms are what is sent again and again.
var storms = map[string]string{
	"start codes":            "\x00\x00\x01",
	"zeros":                  "\x00",
	"pack start codes":       "\x00\x00\x01\xba",
	"packs":                  "\x00\x00\x01\xba\x44\x00\x04\x00\x04\x01\x00\x07\x63\xf8",
	"system headers":         "\x00\x00\x01\xbb\xff\xff\x80\x04\xe1\x7f",
	"maps":                   "\x00\x00\x01\xbc\xff\xff\xe0\xff\x00\x00",
	"maps in maps":           "\x00\x00\x01\xbc\x00\x0e\xe0\xff\x00\x00",
	"packets of nothing":     "\x00\x00\x01\xe0\x00\x00\x80\x00\x00",
	"packets with times":     "\x00\x00\x01\xe0\x00\x08\x80\x80\x05\x21\x00\x01\x00\x01",
	"packets of slices":      "\x00\x00\x01\xe0\x00\x08\x80\x00\x00\x00\x00\x01\x41\x9a",
	"packets of sets":        "\x00\x00\x01\xe0\x00\x08\x80\x00\x00\x00\x00\x01\x67\x42",
	"packets of MPEG-1":      "\x00\x00\x01\xe0\x00\x03\x0f\x01\x02",
	"long headers":           "\x00\x00\x01\xe0\x00\x00\x80\x00\xff",
	"private streams":        "\x00\x00\x01\xbd\x00\x07\x80\x00\x00\x80\x01\x00\x01",
	"audio":                  "\x00\x00\x01\xc0\x00\x07\x80\x00\x00\xff\xf1\x50\x80",
	"padding":                "\x00\x00\x01\xbe\xff\xff",
	"ends":                   "\x00\x00\x01\xb9",
	"slices":                 "\x00\x00\x01\x41\x9a\x00\x00\x03",
	"almost a start code":    "\x00\x00",
	"start code of nothing":  "\x00\x00\x01\xff",
	"packets without length": "\x00\x00\x01\xe0\x00\x00\x84\x80\x05\x21\x00\x01\x00\x01\x00\x00\x00\x01\x09\xf0",
}

// Where parameter sets are not found at the beginning of packets, the map tells what
// video is, without it the NAL units do.
func TestDemuxerHiddenSets(t *testing.T) {
	for _, c := range []codec.Codec{codec.H264, codec.H265} {
		for _, without := range []bool{false, true} {
			s := testmedia.Stream{Video: c, Bitrate: 100_000, GOP: 400 * time.Millisecond}
			want := s.Take(4 * time.Second)
			sei := append([]byte{0, 0, 0, 1, 6, 5}, bytes.Repeat([]byte{0xff}, 5000)...)
			if c == codec.H265 {
				sei = append([]byte{0, 0, 0, 1, 39 << 1, 1}, bytes.Repeat([]byte{0xff}, 5000)...)
			}
			b := changed(withoutDelimiters(muxed(t, want)), func(_ int, s section) []byte {
				switch {
				case s.id() == pes.IDMap && without:
					return nil
				case !s.isMedia():
					return s
				}
				at := 9 + int(s[8])
				if _, ok := findSets(s[at:]); !ok {
					return s
				}
				s = slices.Concat(s[:at], sei, s[at:])
				s.setLength(len(s) - 6)
				return s
			})
			got := demuxed(t, b)
			require.GreaterOrEqual(t, len(got), len(want)/2-10)
			require.Less(t, len(got), len(want))
			require.Equal(t, c, got[0].Track.Codec)
			tail := want[len(want)-len(got):]
			for i := range got {
				require.Equal(t, tail[i].DTS+containertest.ProgramLead, got[i].DTS)
			}
		}
	}
}

// The codec is told by the parameter sets.
func TestFindSets(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want codec.Codec
	}{
		{"SPS of H.264", []byte{0, 0, 0, 1, 0x67, 0x42, 0, 0x1f}, codec.H264},
		{"behind a delimiter", []byte{0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x27, 0x64, 0, 0x1f}, codec.H264},
		{"of a profile there is not", []byte{0, 0, 0, 1, 0x67, 1, 0, 0x1f}, codec.Opaque},
		{"PPS", []byte{0, 0, 0, 1, 0x68, 0xce, 0, 0x1f}, codec.Opaque},
		{"VPS", []byte{0, 0, 0, 1, 0x40, 1, 0xc, 1}, codec.H265},
		{"SPS of H.265", []byte{0, 0, 1, 0x42, 1, 1, 4}, codec.H265},
		{"of an enhancement layer", []byte{0, 0, 1, 0x42, 9, 1, 4}, codec.Opaque},
		{"a slice of H.264 like a VPS", []byte{0, 0, 1, 0x41, 1, 1, 4}, codec.Opaque},
		{"sequence of MPEG-2", []byte{0, 0, 1, 0xb3, 0x28, 1, 0x68, 0x33}, codec.MPEG2Video},
		{"MPEG-4", []byte{0, 0, 1, 0xb0, 1, 0, 0, 1, 0xb5, 9}, codec.Opaque},
		{"cut", []byte{0, 0, 1, 0x67}, codec.Opaque},
		{"nothing", nil, codec.Opaque},
	} {
		got, ok := findSets(c.b)
		require.Equal(t, c.want != codec.Opaque, ok, c.name)
		require.Equal(t, c.want, got.Codec, c.name)
	}
}
