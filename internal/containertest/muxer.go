package containertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A Muxer is one of program streams or transport streams.
type Muxer interface {
	Tracks() []*codec.Track
	Append(dst []byte, f *codec.Frame) ([]byte, error)
}

// Mux returns what m makes of frames, which it must not refuse, unless with an error
// that wraps invalid.
func Mux(t testing.TB, m Muxer, frames []*codec.Frame, invalid error) (b []byte) {
	t.Helper()
	for _, f := range frames {
		var err error
		if b, err = m.Append(b, f); err != nil {
			require.ErrorIs(t, err, invalid)
		}
	}
	return b
}

// An Adder makes frames for a Muxer.
type Adder struct {
	T   *testing.T
	To  Muxer
	Out []byte // what has become of them
}

// Add adds a frame.
func (a *Adder) Add(track *codec.Track, at time.Duration, flags codec.Flags, data []byte) {
	a.T.Helper()
	var err error
	a.Out, err = a.To.Append(a.Out, &codec.Frame{Track: track, DTS: at, PTS: at, Flags: flags, Data: data})
	require.NoError(a.T, err)
}

// AddChangingTracks adds a track at 0, a second one at 40 ms, and after more a third
// one that the muxer cannot carry; at 80 ms the first one has another codec, at 100 ms
// one that is not carried.
func (a *Adder) AddChangingTracks(more ...*codec.Track) {
	add := func(track *codec.Track, ms int, data string) {
		a.T.Helper()
		a.Add(track, time.Duration(ms)*time.Millisecond, 0, []byte(data))
	}
	pcma := codec.NewG711Track(2, codec.PCMA, 0, 0)
	add(pcma, 0, "a")
	add(pcma, 20, "b")
	add(&codec.Track{ID: 5, Codec: codec.MPEG2Video}, 40, "video")
	add(pcma, 60, "c")
	for _, track := range more {
		add(track, 65, "more")
	}
	add(&codec.Track{ID: 7, Codec: codec.VP8}, 70, "not carried")
	add(codec.NewG711Track(2, codec.PCMU, 0, 0), 80, "d")
	add(codec.NewG711Track(2, codec.PCMU, 16000, 0), 100, "not carried") // the track is gone
	add(&codec.Track{ID: 5, Codec: codec.MPEG2Video}, 120, "video")
}

// ProgramCarries returns tracks, and whether both program streams and transport
// streams can carry them.
func ProgramCarries() map[*codec.Track]bool {
	return map[*codec.Track]bool{
		testmedia.Track(1, codec.H264):             true,
		testmedia.Track(1, codec.H265):             true,
		{Codec: codec.H264}:                        true, // its parameter sets come with a frame
		{Codec: codec.MPEG2Video}:                  true,
		testmedia.Track(1, codec.AAC):              true,
		{Codec: codec.AAC}:                         false, // without a configuration there is no ADTS
		testmedia.Track(1, codec.MP3):              true,
		testmedia.Track2(1, codec.MP2):             true,
		testmedia.Track(1, codec.AC3):              true,
		testmedia.Track(1, codec.Opus):             true,
		codec.NewOpusTrack(1, 6):                   true,
		testmedia.Track(1, codec.PCMA):             true,
		testmedia.Track2(1, codec.PCMU):            false, // 16 kHz
		codec.NewG711Track(1, codec.PCMA, 8000, 2): false,
		testmedia.Track(1, codec.L16):              false,
		testmedia.Track(1, codec.AV1):              false,
		testmedia.Track(1, codec.VP8):              false,
		testmedia.Track(1, codec.VP9):              false,
		testmedia.Track(1, codec.MJPEG):            false,
		{Wire: "rtp", Name: "X"}:                   false,
		{Codec: codec.H264, Wire: "rtp"}:           false,
		{Wire: "pes", Name: "0x15", Params: "bd"}:  true,
		{Wire: "pes", Name: "0x15", Params: ""}:    false,
		{Wire: "pes", Name: "0x15", Params: "be"}:  false, // padding
		{Wire: "pes", Name: "0x15", Params: "zz"}:  false,
		{Wire: "pes", Name: "", Params: "bd"}:      false,
	}
}

// TestCarries requires that carries and the muxer that open returns agree with cases.
func TestCarries[M Muxer](t *testing.T, cases map[*codec.Track]bool, carries func(*codec.Track) bool, open func([]*codec.Track) M) {
	for track, ok := range cases {
		require.Equal(t, ok, carries(track), "%v %+v", track, track)
		require.Len(t, open([]*codec.Track{track}).Tracks(), map[bool]int{true: 1}[ok])
	}
}

// TestMuxerErrors gives a muxer frames that cannot be written, with an error that
// wraps invalid or without, and one that is whole in part. units counts the frames in
// what was written.
func TestMuxerErrors[M Muxer](t *testing.T, open func([]*codec.Track) M, invalid error, units func([]byte) int) {
	aac := testmedia.Track(1, codec.AAC)
	m := open([]*codec.Track{aac})
	b, err := m.Append([]byte("x"), &codec.Frame{Track: aac, Data: make([]byte, 8185)})
	require.ErrorIs(t, err, invalid)
	require.Equal(t, "x", string(b))
	b, err = m.Append(nil, &codec.Frame{Track: aac, Data: make([]byte, 8184)})
	require.NoError(t, err)
	require.Equal(t, 1, units(b))

	m = open(nil)
	h264 := testmedia.Track(2, codec.H264)
	for _, data := range []string{"", "\x00", "\x00\x00\x00\x05\x65"} {
		b, err = m.Append(nil, &codec.Frame{Track: h264, Data: []byte(data)})
		require.NoError(t, err)
		require.Empty(t, b, "%q", data)
	}
	// What is whole is written.
	b, err = m.Append(nil, &codec.Frame{Track: h264, Data: []byte("\x00\x00\x00\x02\x65\x88\x00\x00\x01\x00")})
	require.NoError(t, err)
	require.Equal(t, 1, units(b))
}

// TestMuxerAllocations requires that a muxer makes none once its buffer is large
// enough.
func TestMuxerAllocations[M Muxer](t *testing.T, streams []testmedia.Stream, open func([]*codec.Track) M) {
	const length = 2 * time.Second
	for _, s := range streams {
		if s.Change > 0 {
			continue
		}
		s.Bitrate = 2_000_000
		frames := s.Take(length)
		m := open(s.Tracks())
		buf := make([]byte, 0, 1<<20)
		require.Zero(t, testing.AllocsPerRun(5, func() { // the first run does not count
			for _, f := range frames {
				buf, _ = m.Append(buf[:0], f)
				f.DTS, f.PTS = f.DTS+length, f.PTS+length
			}
		}), Name(s))
	}
}

// BenchmarkMuxer muxes a stream of H.264 and AAC.
func BenchmarkMuxer[M Muxer](b *testing.B, open func([]*codec.Track) M) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	frames := s.Take(2 * time.Second)
	size := 0
	for _, f := range frames {
		size += len(f.Data)
	}
	m := open(s.Tracks())
	buf := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	b.SetBytes(int64(size / len(frames)))
	for i := 0; b.Loop(); i++ {
		buf, _ = m.Append(buf[:0], frames[i%len(frames)])
	}
}

// PESTimes returns the times in the header of a PES packet that begins a frame (ISO/IEC
// 13818-1, 2.4.3.7).
func PESTimes(t testing.TB, b []byte) (pts, dts int64) {
	t.Helper()
	ticks := func(b []byte, prefix byte) int64 {
		require.Equal(t, prefix, b[0]>>4)
		require.Equal(t, byte(1), b[0]&b[2]&b[4]&1, "marker bits")
		return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
	}
	switch b[7] {
	case 0x80:
		require.Equal(t, byte(5), b[8])
		pts = ticks(b[9:], 2)
		return pts, pts
	case 0xc0:
		require.Equal(t, byte(10), b[8])
		pts, dts = ticks(b[9:], 3), ticks(b[14:], 1)
		require.NotEqual(t, pts, dts)
	default:
		require.Fail(t, "flags", "%#x", b[7])
	}
	return pts, dts
}
