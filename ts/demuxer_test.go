package ts

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

const leadTime = containertest.ProgramLead

// packetsIn calls fn for each packet of b.
func packetsIn(b []byte, fn func(i int, p []byte)) {
	for i := 0; i*188 < len(b); i++ {
		fn(i, b[i*188:(i+1)*188])
	}
}

func pidOf(p []byte) int { return int(binary.BigEndian.Uint16(p[1:]) & 0x1fff) }

// shortStream is a small stream of video and audio.
var shortStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 200 * time.Millisecond, Bitrate: 200_000}

func TestDemuxerPieces(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		want := s.Take(400 * time.Millisecond)
		file := write(t, s.Tracks(), want)
		whole := demux(t, file)
		requireSameFrames(t, want, whole, leadTime)
		for _, n := range []int{1, 7, 188, 1316, 4096} {
			var d Demuxer
			var got []*codec.Frame
			for piece := range slices.Chunk(file, n) {
				var err error
				got, err = d.Append(got, piece)
				require.NoError(t, err)
			}
			got = d.Flush(got)
			require.Equal(t, whole, got, n)
		}
	})
}

// Packets with a time before them, as M2TS has it, and with a code behind them.
func TestDemuxerStrides(t *testing.T) {
	want := shortStream.Take(time.Second)
	file := write(t, shortStream.Tracks(), want)
	for stride, before := range map[int]int{192: 4, 204: 0} {
		var out []byte
		packetsIn(file, func(i int, p []byte) {
			out = append(out, bytes.Repeat([]byte{byte(i)}, before)...)
			out = append(out, p...)
			out = append(out, bytes.Repeat([]byte{byte(i)}, stride-188-before)...)
		})
		for _, n := range []int{len(out), 1, 1000} {
			var d Demuxer
			var got []*codec.Frame
			for piece := range slices.Chunk(out, n) {
				got, _ = d.Append(got, piece)
			}
			requireSameFrames(t, want, d.Flush(got), leadTime)
		}
	}
}

// Bytes that are no packets, between packets and in the middle of them: what comes
// is what was sent, or marked. Where they look like packets some may be taken for
// such.
func TestDemuxerGarbage(t *testing.T) {
	want := shortStream.Take(2 * time.Second)
	file := write(t, shortStream.Tracks(), want)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		garbage := func() []byte {
			b := make([]byte, 1+r.IntN(1000))
			for i := range b {
				b[i] = byte(r.Uint32())
				switch {
				case seed%2 > 0 && r.IntN(10) == 0:
					b[i] = syncByte
				case seed%2 == 0 && b[i] == syncByte:
					b[i] = 0
				}
			}
			return b
		}
		var out []byte
		injected := 0
		packetsIn(file, func(_ int, p []byte) {
			if r.IntN(50) == 0 {
				at := r.IntN(188)
				out = append(out, p[:at]...)
				out = append(out, garbage()...)
				p = p[at:]
				injected++
			}
			out = append(out, p...)
		})
		got := demux(t, out)
		require.GreaterOrEqual(t, len(got), len(want)-3*injected, "seed %d", seed)
		if seed%2 == 0 {
			containertest.RequireSome(t, want, got)
		}
	}
}

// Lost packets, whichever they are: the frames that were whole come, the others do
// not or are marked.
func TestDemuxerLoss(t *testing.T) {
	want := shortStream.Take(time.Second)
	file := write(t, shortStream.Tracks(), want)
	packetsIn(file, func(i int, p []byte) {
		got := demux(t, slices.Concat(file[:i*188], file[(i+1)*188:]))
		containertest.RequireSome(t, want, got)
		lost := 2
		switch pid := pidOf(p); {
		case i < 2: // the first tables
			lost = len(want)
		case i == 2: // the first parameter sets
			lost = 5
		case pid == pidPAT || pid == pidPMT, p[3]&0x10 == 0:
			lost = 0
		}
		require.GreaterOrEqual(t, len(got), len(want)-lost, "packet %d", i)
	})
}

// Packets that say they are damaged are lost; ones that come twice are not.
func TestDemuxerMarkedAndTwice(t *testing.T) {
	want := shortStream.Take(time.Second)
	file := write(t, shortStream.Tracks(), want)
	var twice, lost, marked []byte
	packetsIn(file, func(i int, p []byte) {
		twice = append(append(twice, p...), p...)
		bad := i > 100 && i%10 == 0
		if !bad {
			lost = append(lost, p...)
		}
		p = bytes.Clone(p)
		if bad {
			p[1] |= 0x80
			p[100] ^= 0xff
		}
		marked = append(marked, p...)
	})
	requireSameFrames(t, want, demux(t, twice), leadTime)
	got := demux(t, marked)
	require.Equal(t, demux(t, lost), got)
	require.Less(t, len(got), len(want))
}

// A sync byte alone that is damaged costs its packet.
func TestDemuxerSyncByte(t *testing.T) {
	want := shortStream.Take(time.Second)
	file := write(t, shortStream.Tracks(), want)
	var lost []byte
	packetsIn(file, func(i int, p []byte) {
		if i%50 == 49 {
			p[0] = 0
			return
		}
		lost = append(lost, p...)
	})
	require.Equal(t, demux(t, lost), demux(t, file))
}

func TestDemuxerLose(t *testing.T) {
	want := shortStream.Take(time.Second)
	file := write(t, shortStream.Tracks(), want)
	var d Demuxer
	var got []*codec.Frame
	packetsIn(file, func(i int, p []byte) {
		if i%40 >= 24 && i > 40 { // 16 packets: counters do not show it if they are of one PID
			return
		}
		if i%40 == 0 && i > 40 {
			d.Lose()
		}
		got, _ = d.Append(got, p)
	})
	got = d.Flush(got)
	require.NotEmpty(t, got)
	containertest.RequireSome(t, want, got)

	// A loss that counters do not show.
	file = write(t, nil, []*codec.Frame{{Track: testmedia.Track(1, codec.H264), Flags: codec.FlagKey, Data: append([]byte{0, 1, 0x40, 0, 0x65}, bytes.Repeat([]byte{7}, 0x13fff)...)}})
	file = slices.Delete(file, 10*188, 26*188)
	require.False(t, demux(t, file)[0].Has(codec.FlagCorrupt))
	d = Demuxer{}
	_, err := d.Append(nil, file[:10*188])
	require.NoError(t, err)
	d.Lose()
	got, err = d.Append(nil, file[10*188:])
	require.NoError(t, err)
	got = d.Flush(got)
	require.Len(t, got, 1)
	require.True(t, got[0].Has(codec.FlagCorrupt))
	require.Less(t, len(got[0].Data), 10*188)
}

// The discontinuity indicator allows the counter to jump.
func TestDemuxerDiscontinuityIndicator(t *testing.T) {
	want := shortStream.Take(time.Second)
	m := NewMuxer(shortStream.Tracks())
	var file []byte
	for i, f := range want {
		if i == len(want)/2 {
			for _, s := range m.streams {
				s.counter += 5
				s.counter &= 15
			}
			// A packet without payload that has the indicator, of each PID.
			for _, s := range m.streams {
				p := binary.BigEndian.AppendUint32(nil, syncByte<<24|uint32(s.pid)<<8|0x20|uint32(s.counter-1)&15)
				p = append(p, 183, flagDiscontinuity)
				file = append(file, append(p, bytes.Repeat([]byte{0xff}, 182)...)...)
			}
		}
		var err error
		file, err = m.Append(file, f)
		require.NoError(t, err)
	}
	requireSameFrames(t, want, demux(t, file), leadTime)
}

// The 33 bits of times wrap.
func TestDemuxerWrap(t *testing.T) {
	for _, s := range streams[:4] {
		s.Bitrate = 100_000
		want := s.Take(2 * time.Second)
		start := codec.FromTicks(1<<33-90000, 90000) // a second before
		for _, f := range want {
			f.DTS += start
			f.PTS += start
		}
		file := write(t, s.Tracks(), want)
		requireSameFrames(t, want, demux(t, file), leadTime)
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(file)))
		require.Equal(t, io.EOF, err)
		requireSameFrames(t, want, got, -want[0].DTS)
	}
}

// After Flush there may be another stream; wraps are undone over it.
func TestDemuxerFlush(t *testing.T) {
	want := shortStream.Take(2 * time.Second)
	m := NewMuxer(shortStream.Tracks())
	var d Demuxer
	var got []*codec.Frame
	half := len(want) / 2
	for i, f := range want {
		b, err := m.Append(nil, f)
		require.NoError(t, err)
		got, err = d.Append(got, b)
		require.NoError(t, err)
		if i == half {
			got = d.Flush(got)
			require.Len(t, got, half+1, "nothing waits")
			m.streams[0].counter, m.streams[1].counter = 5, 5
		}
	}
	requireSameFrames(t, want, d.Flush(got), leadTime)

	other := testmedia.Stream{Video: codec.H265, Audio: codec.Opus, Bitrate: 100_000}.Take(time.Second)
	got, err := d.Append(nil, write(t, nil, other))
	require.NoError(t, err)
	got = d.Flush(got)
	requireSameFrames(t, other, got, leadTime)
	require.Equal(t, []int{1, 2}, []int{d.Tracks()[0].ID, d.Tracks()[1].ID}, "IDs stay")
	require.Equal(t, codec.H265, d.Tracks()[0].Codec)
}

// Tracks that come, go, and change with a new PMT.
func TestDemuxerTables(t *testing.T) {
	at := func(i int) time.Duration { return time.Duration(i) * 20 * time.Millisecond }
	pcma, pcmu := codec.NewG711Track(9, codec.PCMA, 0, 0), codec.NewG711Track(9, codec.PCMU, 0, 0)
	second := codec.NewG711Track(7, codec.PCMU, 0, 0)
	m := NewMuxer(nil)
	var d Demuxer
	require.False(t, d.Complete())
	var got []*codec.Frame
	for i := range 40 {
		tracks := []*codec.Track{pcma}
		switch {
		case i >= 30:
			tracks = []*codec.Track{pcmu, second}
		case i >= 20:
			tracks = []*codec.Track{pcmu}
		}
		for _, track := range tracks {
			b, err := m.Append(nil, &codec.Frame{Track: track, DTS: at(i), PTS: at(i), Data: bytes.Repeat([]byte{byte(i)}, 160)})
			require.NoError(t, err)
			got, err = d.Append(got, b)
			require.NoError(t, err)
			require.True(t, d.Complete())
		}
	}
	got = d.Flush(got)
	require.Len(t, got, 50)
	ids := map[string]int{}
	for _, f := range got {
		ids[fmt.Sprint(f.Track.ID, f.Track.Codec)]++
	}
	require.Equal(t, map[string]int{"1 PCMA": 20, "1 PCMU": 20, "2 PCMU": 10}, ids)
}

// A program that is not the first, and a PAT that changes.
func TestDemuxerProgram(t *testing.T) {
	pat := func(programs ...uint16) []byte {
		b := beginSection(nil, tablePAT, 1, 0)
		for _, p := range programs {
			b = binary.BigEndian.AppendUint16(b, p)
			b = binary.BigEndian.AppendUint16(b, 0xe000|p<<8)
		}
		return endSection(b)
	}
	pmt := func(program uint16) []byte {
		b := beginSection(nil, tablePMT, program, 0)
		b = append(b, 0xff, 0xff, 0xf0, 0)
		return endSection(appendElementary(b, elementary{pid: 0x10 + program, streamType: pes.TypePCMA}))
	}
	var c [8]byte
	var file []byte
	section := func(pid uint16, counter int, s []byte) {
		file = appendSectionPackets(file, pid, &c[counter], s)
	}
	section(0, 0, pat(0, 1, 2))
	section(0x100, 1, pmt(1))
	section(0x200, 2, pmt(2))
	media := func(pid uint16, n byte) {
		s := &muxerStream{pid: pid, counter: c[pid-0x10+3]}
		head := pes.AppendHeader(nil, pes.IDAudio, 1, int64(n), int64(n))
		w := packetizer{dst: file, s: s, left: len(head) + 1}
		w.begin(nil)
		w.write(append(head, n))
		file, c[pid-0x10+3] = w.dst, s.counter
	}
	media(0x11, 1)
	media(0x12, 2)
	section(0, 0, pat(2))
	section(0x200, 2, pmt(2))
	media(0x12, 3)
	for program, want := range map[int]string{0: "\x01\x03", 1: "\x01", 2: "\x02\x03", 3: ""} {
		d := Demuxer{Program: program}
		frames, err := d.Append(nil, file)
		require.NoError(t, err)
		var got []byte
		for _, f := range d.Flush(frames) {
			got = append(got, f.Data...)
		}
		require.Equal(t, want, string(got), program)
	}
}

// Times that jump are a new timeline, for all tracks at once.
func TestDemuxerTimeJumps(t *testing.T) {
	a := shortStream.Take(time.Second)
	for _, jump := range []time.Duration{time.Hour, 20 * time.Second, -200 * time.Millisecond} {
		file := write(t, shortStream.Tracks(), a)
		second := shortStream.Take(time.Second)
		for _, f := range second {
			f.DTS += jump
			f.PTS += jump
		}
		file = append(file, write(t, shortStream.Tracks(), second)...)
		got := demux(t, file)
		containertest.RequireJump(t, a, second, got)
	}
}

// Without a length the end of a picture is the next one; with it, it is not waited
// for once pictures are known to be whole.
func TestDemuxerLatency(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 100_000}
	m := NewMuxer(s.Tracks())
	var d Demuxer
	behind := map[int]int{}
	came := 0
	for i, f := range s.Take(time.Second) {
		b, err := m.Append(nil, f)
		require.NoError(t, err)
		got, err := d.Append(nil, b)
		require.NoError(t, err)
		came += len(got)
		if i > 16 {
			behind[i+1-came]++
		}
	}
	require.Len(t, behind, 1)
	require.Contains(t, behind, 0)
}

// unitOf returns a PES packet of video in transport packets.
func unitOf(s *muxerStream, pts int64, length, hasTime bool, payload []byte) []byte {
	head := pes.AppendHeader(nil, s.StreamID, len(payload), pts, pts)
	if !hasTime {
		head = []byte{0, 0, 1, s.StreamID, byte((len(payload) + 3) >> 8), byte(len(payload) + 3), 0x80, 0, 0}
	}
	if !length {
		head[4], head[5] = 0, 0
	}
	w := packetizer{s: s, left: len(head) + len(payload)}
	w.begin(nil)
	w.write(head)
	w.write(payload)
	return w.dst
}

// accessUnit returns what PES packets have of f.
func accessUnit(x *pes.Framer, f *codec.Frame) (b []byte) {
	p, _ := x.Frame(f)
	for piece := range p.Pieces() {
		b = append(b, piece...)
	}
	return b
}

// Pictures in several PES packets: with the same time, without time, with every
// NAL unit apart, cut anywhere.
func TestDemuxerParts(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, GOP: 200 * time.Millisecond, Bitrate: 100_000}
	frames := s.Take(time.Second)
	for _, length := range []bool{true, false} {
		for _, hasTime := range []bool{true, false} {
			for _, parts := range []int{2, 3, 7} {
				m := NewMuxer(s.Tracks())
				file := m.AppendTables(nil)
				for _, f := range frames {
					au := accessUnit(&m.streams[0].Framer, f)
					for i := range parts {
						part := au[len(au)*i/parts : len(au)*(i+1)/parts]
						file = append(file, unitOf(m.streams[0], codec.Ticks(f.PTS, 90000), length, hasTime || i == 0, part)...)
					}
				}
				requireSameFrames(t, frames, demux(t, file), 0)
			}
		}
	}
}

// Pictures without times follow the one before at the usual distance.
func TestDemuxerNoTimes(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 100_000}
	frames := s.Take(time.Second)
	for _, from := range []int{0, 2} {
		m := NewMuxer(s.Tracks())
		file := m.AppendTables(nil)
		for i, f := range frames {
			framer := pes.NewFramer(f.Track, true) // a new one writes the parameter sets
			au := accessUnit(&framer, f)
			file = append(file, unitOf(m.streams[0], codec.Ticks(f.PTS, 90000), true, i < from || i == 10, au)...)
		}
		got := demux(t, file)
		if from == 0 { // nothing is known until there is a time
			requireSameFrames(t, frames[10:], got, 0)
		} else {
			requireSameFrames(t, frames, got, 0)
		}
	}
}

// What follows a picture that was believed to be whole is lost, and nothing is
// believed any more.
func TestDemuxerStraggler(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 1_000_000}
	frames := s.Take(time.Second)
	m := NewMuxer(s.Tracks())
	var d Demuxer
	var got []*codec.Frame
	for i, f := range frames {
		b, err := m.Append(nil, f)
		require.NoError(t, err)
		if i >= 15 { // lengths that end with the third packet of the picture
			packetsIn(b, func(_ int, p []byte) {
				if at := bytes.Index(p, []byte{0, 0, 1, pes.IDVideo}); at >= 0 && p[1]&0x40 != 0 {
					binary.BigEndian.PutUint16(p[at+4:], uint16(188-at-6+2*184))
				}
			})
		}
		got, err = d.Append(got, b)
		require.NoError(t, err)
	}
	got = d.Flush(got)
	require.Len(t, got, len(frames))
	require.Less(t, len(got[15].Data), len(frames[15].Data))
	got[15] = frames[15]
	for _, f := range append(got[:15:15], got[16:]...) {
		f.DTS, f.PTS = f.DTS-leadTime, f.PTS-leadTime
	}
	requireSameFrames(t, frames, got, 0)
}

// Pictures of the same time that are not parts of one.
func TestDemuxerSameTime(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 100_000}
	frames := s.Take(time.Second)
	for _, f := range frames {
		f.DTS, f.PTS = time.Second, time.Second
	}
	requireSameFrames(t, frames, demux(t, write(t, s.Tracks(), frames)), leadTime)
}

// Some muxers write PTS only, though pictures are reordered. From the second key
// frame on times are right.
func TestDemuxerPTSOnly(t *testing.T) {
	for _, c := range []codec.Codec{codec.H264, codec.H265} {
		s := testmedia.Stream{Video: c, BFrames: 2, GOP: time.Second, Bitrate: 100_000}
		want := s.Take(4 * time.Second)
		var in []*codec.Frame
		for _, f := range want {
			g := *f
			g.DTS = g.PTS
			in = append(in, &g)
		}
		got := demux(t, write(t, s.Tracks(), in))
		require.Len(t, got, len(want))
		for i, f := range got {
			require.LessOrEqual(t, f.DTS, f.PTS)
			if i > 0 {
				require.GreaterOrEqual(t, f.DTS, got[i-1].DTS)
			}
			if want[i].DTS < time.Second+200*time.Millisecond {
				continue
			}
			require.InDelta(t, want[i].PTS+leadTime, f.PTS, float64(tick), "frame %d", i)
			if want[i].DTS >= 2*time.Second {
				require.InDelta(t, want[i].DTS+leadTime, f.DTS, float64(tick), "frame %d", i)
			}
		}
	}
}

// A loss does not end that pictures are believed to be whole.
func TestDemuxerPromptAfterLoss(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 400_000}
	m := NewMuxer(s.Tracks())
	var d Demuxer
	for i, f := range s.Take(time.Second) {
		b, err := m.Append(nil, f)
		require.NoError(t, err)
		if i == 15 {
			b = slices.Delete(b, 188, 376)
		}
		got, err := d.Append(nil, b)
		require.NoError(t, err)
		if i > 15 {
			require.Len(t, got, 1, i)
			require.False(t, got[0].Has(codec.FlagCorrupt))
		}
	}
}

// The length of a PES packet may lie: of video it is not believed.
func TestDemuxerPESLength(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 400_000}
	frames := s.Take(time.Second)
	for _, lie := range []int{1, 100, 60000, -100, -1} {
		file := write(t, s.Tracks(), frames)
		packetsIn(file, func(_ int, p []byte) {
			if at := bytes.Index(p, []byte{0, 0, 1, pes.IDVideo}); at >= 0 && p[1]&0x40 != 0 {
				n := int(binary.BigEndian.Uint16(p[at+4:])) + lie
				binary.BigEndian.PutUint16(p[at+4:], uint16(max(n, 20)))
			}
		})
		got := demux(t, file)
		if lie > 0 { // as far as anybody knows
			require.True(t, got[len(got)-1].Has(codec.FlagCorrupt))
			got[len(got)-1].Flags &^= codec.FlagCorrupt
		}
		requireSameFrames(t, frames, got, leadTime)
	}
}

// A PES header may be cut between packets anywhere.
func TestDemuxerPESHeader(t *testing.T) {
	for first := 1; first < 19; first++ {
		m := NewMuxer([]*codec.Track{codec.NewG711Track(1, codec.PCMA, 0, 0)})
		file := m.AppendTables(nil)
		pes := append(pes.AppendHeader(nil, pes.IDAudio, 160, 5, 4), bytes.Repeat([]byte{1}, 160)...)
		field := append([]byte{0}, bytes.Repeat([]byte{0xff}, 182-first)...)
		w := packetizer{dst: file, s: m.streams[0], left: len(pes)}
		w.begin(field)
		w.write(pes)
		got := demux(t, w.dst)
		require.Len(t, got, 1)
		require.Len(t, got[0].Data, 160)
	}
}

// badPackets are packets that contradict themselves, between two halves of a
// stream.
var badPackets = []struct {
	name   string
	packet []byte
}{
	{"adaptation field beyond the packet", []byte{0x47, 0x01, 0x00, 0x30, 184}},
	{"adaptation field of 255 bytes", []byte{0x47, 0x41, 0x00, 0x20, 255}},
	{"adaptation field that leaves no payload", []byte{0x47, 0x41, 0x23, 0x30, 183}},
	{"reserved adaptation_field_control", []byte{0x47, 0x41, 0x23, 0x00}},
	{"null packet", []byte{0x47, 0x1f, 0xff, 0x10}},
	{"PAT with a pointer beyond the packet", []byte{0x47, 0x40, 0x00, 0x10, 255}},
	{"PAT of 4 KiB that does not come", []byte{0x47, 0x40, 0x00, 0x10, 0, 0x00, 0xbf, 0xff}},
	{"PAT without a checksum", []byte{0x47, 0x40, 0x00, 0x10, 0, 0x00, 0xb0, 13, 0, 1, 0xc3, 0, 0, 0, 1, 0xe2, 0}},
	{"PMT that is empty", []byte{0x47, 0x50, 0x00, 0x10, 0, 0x02, 0xb0, 0}},
	{"PES packet on another PID", []byte{0x47, 0x41, 0x23, 0x10, 0, 0, 1, 0xe0}},
}

func TestDemuxerBadPackets(t *testing.T) {
	want := shortStream.Take(time.Second)
	file := write(t, shortStream.Tracks(), want)
	for _, c := range badPackets {
		bad := append(bytes.Clone(c.packet), bytes.Repeat([]byte{0xff}, 188-len(c.packet))...)
		if bad[1]&0x1f == 1 && bad[2] == 0 { // it is lost, and does not count
			bad[1] = 0x1e
		}
		var out []byte
		packetsIn(file, func(_ int, p []byte) { out = append(append(out, bad...), p...) })
		t.Run(c.name, func(t *testing.T) { requireSameFrames(t, want, demux(t, out), leadTime) })
	}
}

// badHeaders are PES packets that are none.
var badHeaders = [][]byte{
	{0, 0, 1},
	{0, 0, 2, 0xe0, 0, 0, 0x80, 0, 0},
	{0, 0, 1, 0xbe, 0, 100},                                                  // padding
	{0, 0, 1, 0xe0, 0, 3, 0x80, 0x80, 200},                                   // a header longer than the packet
	{0, 0, 1, 0xe0, 0, 0, 0x00, 0x80, 5},                                     // not '10'
	{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 255},                                   // a header that ends in the next packet
	{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 0},                                     // PTS, but no room for it
	{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0, 0, 0, 0, 0, 1, 2, 3},             // without marker bits
	{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1, 0, 0, 1, 0x67, 1}, // a parameter set that is none
}

func TestDemuxerBadHeaders(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 200_000}
	want := s.Take(time.Second)
	m := NewMuxer(s.Tracks())
	for _, bad := range badHeaders {
		var file []byte
		for i, f := range want {
			var err error
			file, err = m.Append(file, f)
			require.NoError(t, err)
			if i%5 == 4 {
				w := packetizer{dst: file, s: m.streams[0], left: len(bad)}
				w.begin(nil)
				w.write(bad)
				file = w.dst
			}
		}
		containertest.RequireSome(t, want, demux(t, file))
		require.GreaterOrEqual(t, len(demux(t, file)), len(want)-1, "% x", bad)
	}
}

// Access units above 8 MiB are dropped.
func TestDemuxerBounds(t *testing.T) {
	var tracks []*codec.Track
	for id := range 8 {
		tracks = append(tracks, &codec.Track{ID: id + 1, Codec: codec.MPEG2Video})
	}
	m := NewMuxer(tracks)
	file := m.AppendTables(nil)
	unit := func(i int, pts int64, n int) {
		file = append(file, unitOf(m.streams[i], pts, n < 60000, true, make([]byte, n))...)
	}
	unit(0, 0, pes.MaxUnit)
	unit(0, 3600, pes.MaxUnit+1)
	unit(0, 7200, 1000)
	got := demux(t, file)
	require.Len(t, got, 2)
	require.Len(t, got[0].Data, pes.MaxUnit)
	require.Len(t, got[1].Data, 1000)
}

// What is no transport stream is told, but only as long as there was none.
func TestDemuxerInvalid(t *testing.T) {
	var d Demuxer
	piece := make([]byte, 32<<10)
	var err error
	for n := 0; err == nil; n += len(piece) {
		require.LessOrEqual(t, n, noSyncMost)
		_, err = d.Append(nil, piece)
	}
	require.ErrorIs(t, err, ErrInvalid)
	_, again := d.Append(nil, write(t, nil, shortStream.Take(time.Second)))
	require.Equal(t, err, again)

	d, err = Demuxer{}, nil
	null := bytes.Repeat(append([]byte{0x47, 0x1f, 0xff, 0x10}, make([]byte, 184)...), 1000)
	for n := 0; err == nil; n += len(null) {
		require.LessOrEqual(t, n, noTableMost)
		_, err = d.Append(nil, null)
	}
	require.ErrorIs(t, err, ErrInvalid)

	d = Demuxer{}
	_, err = d.Append(nil, write(t, nil, shortStream.Take(time.Second)))
	require.NoError(t, err)
	for range 1000 {
		_, err = d.Append(nil, piece)
		require.NoError(t, err)
	}
}

// Scrambled packets are no frames.
func TestDemuxerScrambled(t *testing.T) {
	file := write(t, nil, shortStream.Take(time.Second))
	packetsIn(file, func(_ int, p []byte) {
		if pid := pidOf(p); pid != pidPAT && pid != pidPMT {
			p[3] |= 0x80
		}
	})
	require.Empty(t, demux(t, file))
}

// Frames of H.264 begin where there are parameter sets.
func TestDemuxerJoinsLate(t *testing.T) {
	frames := shortStream.Take(time.Second)
	m := NewMuxer(shortStream.Tracks())
	var file []byte
	for i, f := range frames {
		b, err := m.Append(nil, f)
		require.NoError(t, err)
		if i == 1 {
			file = m.AppendTables(file)
		}
		if i > 0 {
			file = append(file, b...)
		}
	}
	got := demux(t, file)
	video := containertest.OfKind(got, codec.KindVideo)
	require.True(t, video[0].Key())
	require.Equal(t, 200*time.Millisecond+leadTime, video[0].DTS)
	require.Len(t, containertest.OfKind(got, codec.KindAudio), len(containertest.OfKind(frames, codec.KindAudio)))
}
