package ps

import (
	"bytes"
	"encoding/hex"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// muxerStreams have every codec that testmedia has and a program stream.
var muxerStreams = []testmedia.Stream{
	{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
	{Video: codec.H264, Audio: codec.PCMA, Change: 1, GOP: time.Second},
	{Video: codec.H265, Audio: codec.PCMU, BFrames: 2},
	{Video: codec.H265, Audio: codec.AAC, Change: 1, GOP: time.Second},
	{Video: codec.H264, Audio: codec.Opus},
	{Video: codec.H265, Audio: codec.MP3},
	{Video: codec.H264, Audio: codec.MP2, FPS: 50},
	{Video: codec.H264, Audio: codec.AC3},
	{Video: codec.H265},
	{Audio: codec.PCMA},
	{Audio: codec.AAC},
}

// mux returns the program stream of frames.
func mux(t testing.TB, tracks []*codec.Track, frames []*codec.Frame) []byte {
	t.Helper()
	return containertest.Mux(t, NewMuxer(tracks), frames, nil)
}

// elementary returns what PES packets have of a frame. sets says that parameter sets
// go before it.
func elementary(t testing.TB, f *codec.Frame, sets bool) (b []byte) {
	t.Helper()
	var err error
	switch f.Track.Codec {
	case codec.H264, codec.H265:
		b = []byte{0, 0, 0, 1, 9, 0xf0}
		if f.Track.Codec == codec.H265 {
			b = []byte{0, 0, 0, 1, 0x46, 1, 0x50}
		}
		if sets {
			for _, set := range f.Track.ParameterSets() {
				b = append(append(b, 0, 0, 0, 1), set...)
			}
		}
		b, err = codec.AVCToAnnexB(b, f.Data)
	case codec.AAC:
		b, err = codec.AppendADTS(nil, f.Track, f.Data)
	default:
		b = f.Data
	}
	require.NoError(t, err)
	return b
}

// Every frame is a pack, with its times, and key frames have what a receiver needs.
func TestMuxer(t *testing.T) {
	for bitrate, length := range map[int]time.Duration{300_000: 2 * time.Second, 40_000_000: 500 * time.Millisecond} {
		containertest.EachStream(t, muxerStreams, bitrate, func(t *testing.T, s testmedia.Stream) {
			frames := s.Take(length)
			in := inspectPS(t, mux(t, s.Tracks(), frames), false)
			require.Len(t, in.units, len(frames))
			require.Len(t, in.packs, len(frames))
			require.Len(t, in.types, len(s.Tracks()))
			var tables time.Duration
			for i, u := range in.units {
				f := frames[i]
				video := f.Track.Kind() == codec.KindVideo
				require.Equal(t, codec.Ticks(f.PTS, 90000)+lead, u.pts)
				require.Equal(t, codec.Ticks(f.DTS, 90000)+lead, u.dts)
				require.Equal(t, containertest.Digest(elementary(t, f, f.Key())), containertest.Digest(u.data))
				require.True(t, u.aligned)
				id := byte(0xc0)
				if video {
					id = 0xe0
				}
				require.Equal(t, id, u.id)
				hasTables := in.packs[u.pack].tables
				if s.Video != codec.Opaque {
					require.Equal(t, video && f.Key(), hasTables)
					continue
				}
				if hasTables {
					tables = f.DTS
				}
				require.Less(t, f.DTS-tables, 400*time.Millisecond)
			}
		})
	}
}

// The sizes around the longest that a PES packet may have, and around multiples of
// it.
func TestMuxerLargeFrames(t *testing.T) {
	track := &codec.Track{ID: 1, Codec: codec.MPEG2Video}
	const first, next = 0xff80 - 3 - 5, 0xff80 - 3
	for size, packets := range map[int]int{
		1: 1, first: 1, first + 1: 2, first + next: 2, first + next + 1: 3, 65535: 2, first + 9*next: 10, 8 << 20: 129,
	} {
		for _, later := range []time.Duration{0, 40 * time.Millisecond} {
			data := bytes.Repeat([]byte{7}, size)
			data[size-1] = 9
			f := &codec.Frame{Track: track, PTS: later, Data: data}
			b := mux(t, nil, []*codec.Frame{f})
			in := inspectPS(t, b, size > 8<<20-1024) // more than a buffer can have
			require.Len(t, in.units, 1)
			require.Equal(t, containertest.Digest(data), containertest.Digest(in.units[0].data))
			if later == 0 {
				require.Equal(t, packets, in.units[0].packets, "%d bytes", size)
			} else { // a DTS takes 5 bytes more
				require.InDelta(t, packets, in.units[0].packets, 1)
			}
		}
	}
}

// The buffer is grown once, to what is written.
func TestMuxerLengths(t *testing.T) {
	for _, s := range muxerStreams {
		s.Bitrate = 20_000_000
		m := NewMuxer(s.Tracks())
		for _, f := range s.Take(time.Second) {
			before := m.clock
			b, err := m.Append(nil, f)
			require.NoError(t, err)
			p, _ := packHeaderOf(t, b)
			require.GreaterOrEqual(t, p.clock, before)
			require.Equal(t, (int64(len(b))*27_000_000+p.rate-1)/p.rate, m.clock-p.clock, "the length that was planned")
		}
	}
}

// New parameters at a frame that is no key frame go out at once.
func TestMuxerParametersWithoutKey(t *testing.T) {
	a, b := testmedia.Track(1, codec.H264), testmedia.Track2(1, codec.H264)
	frames := []*codec.Frame{
		{Track: a, Flags: codec.FlagKey, Data: []byte{0, 0, 0, 1, 0x65}},
		{Track: b, DTS: time.Second, PTS: time.Second, Data: []byte{0, 0, 0, 1, 0x41}},
	}
	in := inspectPS(t, mux(t, nil, frames), false)
	require.Equal(t, elementary(t, frames[1], true), in.units[1].data)
	require.True(t, in.packs[1].tables)
	require.Len(t, in.maps, 2)
}

// A track that comes late and one that changes its codec are in a new map.
func TestMuxerTracks(t *testing.T) {
	m := NewMuxer(nil)
	require.Empty(t, m.Tracks())
	a := containertest.Adder{T: t, To: m}
	a.AddChangingTracks(codec.NewG711Track(3, codec.PCMA, 0, 0))
	in := inspectPS(t, a.Out, false)
	var maps []string
	for i, b := range in.maps {
		require.Equal(t, byte(0xe0|i), b[6], "version")
		maps = append(maps, hex.EncodeToString(b[12:len(b)-4]))
	}
	require.Equal(t, []string{
		"90c00000", "90c0000002e00000", "90c0000002e0000090c10000", "91c2000002e0000090c10000", "02e0000090c10000",
	}, maps)
	var units []string
	for _, u := range in.units {
		units = append(units, string(u.data))
	}
	require.Equal(t, []string{"a", "b", "video", "c", "more", "d", "video"}, units)
	require.Len(t, m.Tracks(), 2)
}

// There are no more streams than stream_ids, and no longer maps than are allowed.
func TestMuxerManyTracks(t *testing.T) {
	var tracks []*codec.Track
	for id := range 40 {
		tracks = append(tracks, codec.NewG711Track(id, codec.PCMA, 0, 0), testmedia.Track(100+id, codec.H264))
	}
	m := NewMuxer(tracks)
	require.Len(t, m.Tracks(), (maxStreams+1)/2+16)
	for range 2 {
		inspectPS(t, m.AppendTables(nil), false)
		tracks = tracks[:0]
		for id := range 10 {
			tracks = append(tracks, &codec.Track{ID: id, Wire: "pes", WireKind: codec.KindAudio, Name: "0x06", Params: "bd" + strings.Repeat("0000", 100)})
		}
		m = NewMuxer(tracks)
		require.Len(t, m.Tracks(), 4)
	}
	var frames []*codec.Frame
	for i := range 100 {
		frames = append(frames, &codec.Frame{Track: &codec.Track{ID: i, Codec: codec.MPEG2Video}, Data: []byte{1}})
	}
	require.Len(t, inspectPS(t, mux(t, nil, frames), false).units, 16)
}

// What can only be passed through, from transport streams as well.
func TestMuxerOpaque(t *testing.T) {
	tracks := []*codec.Track{
		{ID: 1, Codec: codec.SVACVideo, Wire: "pes", WireKind: codec.KindVideo, Name: "0x80", Params: "e0"},
		{ID: 2, Codec: codec.SVACAudio, Wire: "pes", WireKind: codec.KindAudio, Name: "0x9b", Params: "c0"},
		{ID: 3, Wire: "pes", WireKind: codec.KindAudio, Name: "0x87", Params: "bd0504454143"},
		{ID: 4, Wire: "pes", Name: "0x06", Params: "bd"},
		{ID: 5, Wire: "pes", Name: "0x15", Params: "bd"}, // there is one private_stream_1
		{ID: 6, Codec: codec.G729, Wire: "rtp", WireKind: codec.KindAudio, Name: "G729"},
	}
	var frames []*codec.Frame
	for i, track := range tracks {
		frames = append(frames, &codec.Frame{Track: track, Flags: codec.FlagKey, Data: []byte{0, 0, 0, 1, byte(i)}})
	}
	in := inspectPS(t, mux(t, tracks, frames), false)
	n := len(in.maps[0])
	require.Equal(t, "80e00000 9bc00000 87c100050504454143 06bd0000 99c20000",
		insertSpaces(hex.EncodeToString(in.maps[0][12:n-4]), 8, 16, 34, 42))
	var ids []byte
	for i, u := range in.units {
		ids = append(ids, u.id)
		require.Equal(t, []byte{0, 0, 0, 1}, u.data[:4], "%d", i)
	}
	require.Equal(t, []byte{0xe0, 0xc0, 0xc1, 0xbd, 0xc2}, ids)
}

// insertSpaces puts spaces before these bytes of s.
func insertSpaces(s string, at ...int) string {
	for i, n := range at {
		s = s[:n+i] + " " + s[n+i:]
	}
	return s
}

// The clock does not go back when frames of another track are late or at the same
// time, and begins anew where the times do.
func TestMuxerClock(t *testing.T) {
	video, audio := &codec.Track{ID: 1, Codec: codec.MPEG2Video}, codec.NewG711Track(2, codec.PCMA, 0, 0)
	a := containertest.Adder{T: t, To: NewMuxer([]*codec.Track{video, audio})}
	add := func(track *codec.Track, at time.Duration, flags codec.Flags) {
		a.Add(track, at, flags, make([]byte, 1600))
	}
	for i := range 100 {
		at := time.Duration(i) * 40 * time.Millisecond
		add(video, at, codec.FlagKey)
		add(audio, at, 0)
		add(audio, at-180*time.Millisecond, 0) // so late sound may be that was put together
	}
	inspectPS(t, a.Out, false)
	for _, jump := range []struct {
		at, want time.Duration
		flags    codec.Flags
	}{
		{time.Hour, time.Hour, 0},
		{time.Hour - 9*time.Second, time.Hour, 0}, // late
		{20 * time.Second, 20 * time.Second, 0},
		{19 * time.Second, 19 * time.Second, codec.FlagDiscont},
		{18900 * time.Millisecond, 19 * time.Second, codec.FlagDiscont}, // another track's
		{25 * time.Second, 25 * time.Second, codec.FlagDiscont},
	} {
		n := len(a.Out)
		add(video, jump.at, jump.flags)
		p, _ := packHeaderOf(t, a.Out[n:])
		require.InDelta(t, jump.want, time.Duration(p.clock)*1000/27, float64(time.Millisecond))
	}
}

// Times before 0 and beyond the wrap are written modulo 2^33.
func TestMuxerWrap(t *testing.T) {
	track := &codec.Track{ID: 1, Codec: codec.MPEG2Video}
	for _, ticks := range []int64{-90000, -1, 0, 1<<33 - 18001, 1<<33 - 1, 1 << 33, 5 << 33} {
		at := codec.FromTicks(ticks, 90000)
		in := inspectPS(t, mux(t, nil, []*codec.Frame{{Track: track, DTS: at, PTS: at, Data: []byte{1}}}), true)
		require.Equal(t, ticks&(1<<33-1)*300, in.packs[0].clock)
		require.Equal(t, (ticks+18000)&(1<<33-1), in.units[0].dts)
	}
}

// AppendTables fits before whatever comes next.
func TestMuxerAppendTables(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.PCMA}
	m := NewMuxer(s.Tracks())
	in := inspectPS(t, m.AppendTables(nil), false)
	require.Len(t, in.types, 2)
	frames := s.Take(time.Second)
	_, err := m.Append(nil, frames[0])
	require.NoError(t, err)
	for _, f := range frames[1:] {
		b, err := m.Append(m.AppendTables(nil), f)
		require.NoError(t, err)
		in := inspectPS(t, b, false)
		require.True(t, in.packs[0].tables)
		require.Len(t, in.maps, 1)
		require.Len(t, in.units, 1)
	}
}

func TestMuxerErrors(t *testing.T) {
	containertest.TestMuxerErrors(t, NewMuxer, ErrInvalid, func(b []byte) int { return len(inspectPS(t, b, false).units) })
}

func TestCarries(t *testing.T) {
	cases := containertest.ProgramCarries()
	maps.Copy(cases, map[*codec.Track]bool{
		{Codec: codec.SVACVideo}: false, // nobody says how it stands in the stream
		{Codec: codec.SVACVideo, Wire: "pes", Name: "0x80", Params: "e0"}: true,
		{Codec: codec.G722}:              true,
		{Codec: codec.G723, Wire: "rtp"}: true,
		{Codec: codec.G729, Wire: "rtp"}: true,
		{Codec: codec.G729, Wire: "flv"}: false,
		{Codec: codec.G728, Wire: "rtp"}: false,
	})
	containertest.TestCarries(t, cases, Carries, NewMuxer)
}

// The streams that GB/T 28181 has are told as it says, the others as ZLMediaKit has
// them.
func TestCarriage(t *testing.T) {
	for c, want := range map[codec.Codec]string{
		codec.H264: "1be0", codec.H265: "24e0", codec.MPEG2Video: "02e0", codec.AAC: "0fc0", codec.PCMA: "90c0",
		codec.PCMU: "91c0", codec.G722: "92c0", codec.G723: "93c0", codec.G729: "99c0", codec.AC3: "81c0",
		codec.Opus: "9cc005044f7075737f028002", codec.MP3: "03c0", codec.MP2: "03c0",
	} {
		track := &codec.Track{Codec: c}
		if c < codec.AC3 && c != codec.MPEG2Video || c == codec.AC3 {
			track = testmedia.Track(1, c)
		}
		got, ok := carriageOf(track)
		require.True(t, ok)
		require.Equal(t, want, hex.EncodeToString(append([]byte{got.StreamType, got.StreamID}, got.Descriptors...)), "%v", c)
	}
	c, _ := carriageOf(testmedia.Track2(1, codec.MP3)) // 32 kHz
	require.Equal(t, byte(pes.TypeMPEG1Audio), c.StreamType)
	c, _ = carriageOf(&codec.Track{Codec: codec.MP3, SampleRate: 22050})
	require.Equal(t, byte(pes.TypeMPEG2Audio), c.StreamType)
}

// What is written can be cut into packets for RTP, a pack a frame.
func TestMuxerPacks(t *testing.T) {
	s := testmedia.Stream{Video: codec.H265, Audio: codec.PCMA, Bitrate: 20_000_000}
	frames := s.Take(2 * time.Second)
	b := mux(t, s.Tracks(), frames)
	units, err := rtptest.CutPS(b)
	require.NoError(t, err)
	require.Len(t, units, len(frames))
	var joined []byte
	for i, u := range units {
		joined = append(joined, u.Data...)
		require.InDelta(t, codec.Ticks(frames[i].DTS, 90000), u.Timestamp, 500)
	}
	require.Equal(t, containertest.Digest(b), containertest.Digest(joined))
}

func TestMuxerAllocations(t *testing.T) {
	containertest.TestMuxerAllocations(t, muxerStreams, NewMuxer)
}

func BenchmarkMuxer(b *testing.B) { containertest.BenchmarkMuxer(b, NewMuxer) }
