package ts

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
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func TestMuxer(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		want := s.Take(3 * time.Second)
		in := inspect(t, write(t, s.Tracks(), want), 100*time.Millisecond)
		in.requireTables(t)
		require.Len(t, in.units, len(want))
		keys := 0
		for _, u := range in.units {
			if u.random {
				keys++
			}
		}
		for _, f := range want {
			if f.Track.Kind() == codec.KindVideo && f.Key() {
				keys--
			}
		}
		require.Zero(t, keys, "random_access_indicator")
	})
}

// Every length that the end of a PES packet can have in its last transport packet,
// with and without clock.
func TestMuxerStuffing(t *testing.T) {
	track := &codec.Track{ID: 1, Codec: codec.MPEG2Video}
	m := NewMuxer([]*codec.Track{track})
	var b []byte
	var want []*codec.Frame
	for n := 1; n < 600; n++ {
		f := &codec.Frame{Track: track, DTS: time.Duration(n) * 10 * time.Millisecond, Data: bytes.Repeat([]byte{byte(n)}, n)}
		f.PTS = f.DTS
		if n%2 == 0 {
			f.PTS += time.Second
		}
		var err error
		b, err = m.Append(b, f)
		require.NoError(t, err)
		want = append(want, f)
	}
	in := inspect(t, b, 100*time.Millisecond)
	require.Len(t, in.units, len(want))
	for i, u := range in.units {
		require.Equal(t, want[i].Data, u.data)
		require.Equal(t, codec.Ticks(want[i].DTS, 90000)+lead, u.dts)
		require.Equal(t, codec.Ticks(want[i].PTS, 90000)+lead, u.pts)
	}
}

// The sizes around the largest that PES_packet_length can tell.
func TestMuxerLargeFrames(t *testing.T) {
	track := &codec.Track{ID: 1, Codec: codec.MPEG2Video}
	m := NewMuxer([]*codec.Track{track})
	var b []byte
	for i, n := range []int{65526, 65527, 65528, 1 << 20} {
		var err error
		b, err = m.Append(b, &codec.Frame{Track: track, DTS: time.Duration(i) * 40 * time.Millisecond, PTS: time.Duration(i) * 40 * time.Millisecond, Data: make([]byte, n)})
		require.NoError(t, err)
	}
	require.Len(t, inspect(t, b, 100*time.Millisecond).units, 4)
}

// H.264 and H.265 begin with an access unit delimiter, key frames with the
// parameter sets.
func TestMuxerAccessUnits(t *testing.T) {
	for c, delimiter := range map[codec.Codec]string{codec.H264: "0000000109f0", codec.H265: "00000001460150"} {
		for _, s := range []testmedia.Stream{{Video: c, Bitrate: 100_000}, {Video: c, Bitrate: 100_000, GOP: 200 * time.Millisecond, Change: 1}} {
			frames := s.Take(time.Second)
			in := inspect(t, write(t, s.Tracks(), frames), 100*time.Millisecond)
			for i, u := range in.units {
				want, err := hex.DecodeString(delimiter)
				require.NoError(t, err)
				if frames[i].Key() {
					for _, set := range frames[i].Track.ParameterSets() {
						want = append(append(want, 0, 0, 0, 1), set...)
					}
				}
				want, err = codec.AVCToAnnexB(want, frames[i].Data)
				require.NoError(t, err)
				require.Equal(t, containertest.Digest(want), containertest.Digest(u.data))
			}
		}
	}
}

// New parameters at a frame that is no key frame go out at once.
func TestMuxerParametersWithoutKey(t *testing.T) {
	a, b := testmedia.Track(1, codec.H264), testmedia.Track2(1, codec.H264)
	m := NewMuxer([]*codec.Track{a})
	out, err := m.Append(nil, &codec.Frame{Track: a, Flags: codec.FlagKey, Data: []byte{0, 0, 0, 1, 0x65}})
	require.NoError(t, err)
	n := len(out)
	out, err = m.Append(out, &codec.Frame{Track: b, DTS: time.Millisecond, PTS: time.Millisecond, Data: []byte{0, 0, 0, 1, 0x41}})
	require.NoError(t, err)
	require.True(t, bytes.Contains(out[n:], b.ParameterSets()[0]))
	in := inspect(t, out, 100*time.Millisecond)
	require.Len(t, in.pmts, 2)
	require.NotEqual(t, in.pmts[0][5]>>1&31, in.pmts[1][5]>>1&31, "version")
}

// A track that comes late, and one that changes its codec, are in a new PMT.
func TestMuxerTracks(t *testing.T) {
	m := NewMuxer(nil)
	require.Empty(t, m.Tracks())
	a := containertest.Adder{T: t, To: m}
	a.AddChangingTracks()
	in := inspect(t, a.Out, 100*time.Millisecond)
	var tables []string
	for i, pmt := range in.pmts {
		require.Equal(t, byte(i), pmt[5]>>1&31, "version")
		_, list := parsePMT(pmt)
		var types []string
		for _, e := range list {
			types = append(types, hex.EncodeToString([]byte{byte(e.pid >> 8), byte(e.pid), e.streamType}))
		}
		tables = append(tables, hex.EncodeToString(pmt[8:10])+": "+strings.Join(types, " "))
	}
	require.Equal(t, []string{
		"e100: 010090", "e101: 010090 010102", "e101: 010291 010102", "e101: 010102",
	}, tables)
	var units []string
	for _, u := range in.units {
		units = append(units, string(u.data))
	}
	require.ElementsMatch(t, []string{"a", "b", "video", "c", "d", "video"}, units)
	require.Len(t, m.Tracks(), 1)
}

func TestMuxerManyTracks(t *testing.T) {
	var tracks []*codec.Track
	for id := range 40 {
		tracks = append(tracks, codec.NewG711Track(id+1, codec.PCMA, 0, 0))
	}
	m := NewMuxer(tracks)
	require.Len(t, m.Tracks(), maxStreams)
	b := m.AppendTables(nil)
	var d Demuxer
	_, err := d.Append(nil, bytes.Repeat(b, 3))
	require.NoError(t, err)
	require.Len(t, d.Tracks(), maxStreams)

	// Descriptors that do not fit into a PMT.
	tracks = nil
	for id := range 10 {
		tracks = append(tracks, &codec.Track{ID: id, Wire: "pes", Name: "0x06", Params: "bd" + strings.Repeat("0000", 100)})
	}
	m = NewMuxer(tracks)
	require.Len(t, m.Tracks(), 4)
	require.LessOrEqual(t, len(m.section()), maxTable)
	b = m.AppendTables(nil)
	require.Len(t, b, 188*6, "a PMT of five packets")
	for i := range 6 {
		require.Equal(t, i < 2, b[188*i+1]&0x40 != 0, "payload_unit_start_indicator")
	}
	d = Demuxer{}
	_, err = d.Append(nil, b)
	require.NoError(t, err)
	require.True(t, d.Complete())
	require.Len(t, d.streams, 4)
}

func TestMuxerPIDs(t *testing.T) {
	m := NewMuxer([]*codec.Track{codec.NewG711Track(1, codec.PCMA, 0, 0)})
	seen := map[uint16]int{}
	for i := range 8000 {
		c := codec.PCMU
		if i%2 > 0 {
			c = codec.PCMA
		}
		s := m.streamOf(codec.NewG711Track(2, c, 0, 0))
		require.NotEqual(t, m.streams[0].pid, s.pid)
		require.True(t, s.pid >= firstPID && s.pid < endPID)
		seen[s.pid]++
	}
	require.Greater(t, len(seen), 3000)
}

// AppendTables stands in for the tables before the next frame.
func TestMuxerAppendTables(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, GOP: 200 * time.Millisecond, Bitrate: 100_000}
	m := NewMuxer(s.Tracks())
	var b []byte
	segments := 0
	for _, f := range s.Take(time.Second) {
		if f.Key() {
			b = m.AppendTables(b)
			segments++
		}
		var err error
		b, err = m.Append(b, f)
		require.NoError(t, err)
	}
	tables := 0
	for _, p := range inspect(t, b, 100*time.Millisecond).packets {
		if p.pid == 0 {
			tables++
		}
	}
	require.Equal(t, segments, tables)
}

// The clock goes on while its track is silent, does not go back when frames of
// another track are ahead, and begins anew at a discontinuity.
func TestMuxerClock(t *testing.T) {
	video, audio := &codec.Track{ID: 1, Codec: codec.MPEG2Video}, codec.NewG711Track(2, codec.PCMA, 0, 0)
	a := containertest.Adder{T: t, To: NewMuxer([]*codec.Track{video, audio})}
	add := func(track *codec.Track, at time.Duration, flags codec.Flags) {
		a.Add(track, at, flags, make([]byte, 160))
	}
	for i := range 100 {
		add(audio, time.Duration(i)*20*time.Millisecond, 0)
	}
	add(video, 1900*time.Millisecond, codec.FlagKey) // late
	add(video, 2000*time.Millisecond, 0)
	in := inspect(t, a.Out, 100*time.Millisecond)
	idle := 0
	for _, p := range in.packets {
		if p.pcr >= 0 && p.payload == nil {
			idle++
		}
	}
	require.Equal(t, 34, idle)

	n := len(a.Out)
	add(video, 10*time.Second, codec.FlagDiscont|codec.FlagKey)
	add(audio, 10*time.Second, codec.FlagDiscont)
	discont := 0
	for _, p := range takeApart(t, a.Out[n:]) {
		if p.discont {
			discont++
			if p.pid == in.pcrPID {
				require.Equal(t, int64(900_000*300), p.pcr)
			}
		}
	}
	require.GreaterOrEqual(t, discont, 2)
	n = len(a.Out)
	add(video, time.Hour, 0) // without a flag
	add(video, 20*time.Second, 0)
	packets := takeApart(t, a.Out[n:])
	require.Equal(t, int64(90000*20*300), packets[len(packets)-1].pcr)
}

// Times before 0 and beyond the wrap are written modulo 2^33.
func TestMuxerWrap(t *testing.T) {
	track := &codec.Track{ID: 1, Codec: codec.MPEG2Video}
	m := NewMuxer([]*codec.Track{track})
	for _, at := range []time.Duration{-time.Second, 0, codec.FromTicks(1<<33-1, 90000), codec.FromTicks(1<<33+90000, 90000)} {
		b, err := m.Append(nil, &codec.Frame{Track: track, DTS: at, PTS: at, Data: []byte{1}})
		require.NoError(t, err)
		var clock int64 = -1
		for _, p := range takeApart(t, b) {
			clock = max(clock, p.pcr)
		}
		require.Equal(t, codec.Ticks(at, 90000)&(1<<33-1)*300, clock)
	}
}

func TestMuxerErrors(t *testing.T) {
	containertest.TestMuxerErrors(t, NewMuxer, ErrInvalid, func(b []byte) int { return len(inspect(t, b, time.Second).units) })
}

func TestCarries(t *testing.T) {
	cases := containertest.ProgramCarries()
	maps.Copy(cases, map[*codec.Track]bool{
		codec.NewOpusTrack(1, 1):         true,
		{Codec: codec.Opus, Channels: 2}: true,
		opusWith(255):                    false,
	})
	containertest.TestCarries(t, cases, Carries, NewMuxer)
}

func opusWith(family byte) *codec.Track {
	t := codec.NewOpusTrack(1, 6)
	c := bytes.Clone(t.Config)
	c[10] = family
	t.Config = c
	return t
}

func TestMuxerAllocations(t *testing.T) { containertest.TestMuxerAllocations(t, streams, NewMuxer) }

func BenchmarkMuxer(b *testing.B) { containertest.BenchmarkMuxer(b, NewMuxer) }
