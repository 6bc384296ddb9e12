package rtp

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// epoch is when the packets of tests begin to come.
var epoch = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// A sentPacket is an RTP packet on its way.
type sentPacket struct {
	track int
	frame *codec.Frame // of which it is a part
	b     []byte
	at    time.Time // when it comes
}

// A sender makes the packets of tracks.
type sender struct {
	t        testing.TB
	payloads []Payload
	packers  []*Packetizer
}

// newSender returns a sender of tracks with the channels 0, 2, … and the SSRCs
// 100, 200, …, whose sequence numbers and timestamps begin where begin says.
func newSender(t testing.TB, tracks []*codec.Track, begin PacketizerOptions) *sender {
	t.Helper()
	s := &sender{t: t}
	for i, track := range tracks {
		o := begin
		o.PayloadType, o.Channel, o.SSRC = uint8(96+i), uint8(2*i), begin.SSRC+uint32(100*(i+1))
		payload, ok := Describe(track, o.PayloadType)
		require.True(t, ok, "%v", track)
		p, err := NewPacketizer(track, o)
		require.NoError(t, err)
		s.payloads, s.packers = append(s.payloads, payload), append(s.packers, p)
	}
	return s
}

// receiver returns a Receiver of what s sends.
func (s *sender) receiver(r *Receiver) *Receiver {
	s.t.Helper()
	for i := range s.payloads {
		track, err := s.payloads[i].Track(i + 1)
		require.NoError(s.t, err)
		n, err := r.Add(&s.payloads[i], track)
		require.NoError(s.t, err)
		require.Equal(s.t, i, n)
	}
	return r
}

// packets returns the packets of frames, each of which comes at its DTS. The
// tracks have the IDs 1, 2, … .
func (s *sender) packets(frames []*codec.Frame) (packets []sentPacket) {
	s.t.Helper()
	for _, f := range frames {
		i := f.Track.ID - 1
		wire, err := s.packers[i].Append(nil, f)
		require.NoError(s.t, err)
		for _, b := range Datagrams(wire) {
			packets = append(packets, sentPacket{i, f, b, epoch.Add(f.DTS)})
		}
	}
	return packets
}

// report returns a sender report of track i, as a datagram.
func (s *sender) report(i int, at time.Duration, wall time.Time) []byte {
	for _, b := range Datagrams(s.packers[i].AppendReport(nil, at, wall)) {
		return b
	}
	s.t.Fatal("no report")
	return nil
}

// take lets r receive packets. Errors end the test.
func take(t testing.TB, r *Receiver, packets []sentPacket) (frames []*codec.Frame) {
	t.Helper()
	for _, p := range packets {
		var err error
		frames, err = r.RTP(frames, p.track, slices.Clone(p.b), p.at)
		require.NoError(t, err)
	}
	return frames
}

// expire lets r give up whatever it waits for.
func expire(r *Receiver, now time.Time) []*codec.Frame {
	frames, _ := r.Expire(nil, now.Add(time.Hour))
	return frames
}

// ofTrack returns the frames of track i.
func ofTrack(frames []*codec.Frame, i int) []*codec.Frame {
	return slices.DeleteFunc(slices.Clone(frames), func(f *codec.Frame) bool { return f.Track.ID != i+1 })
}

// streams are those of testmedia, with all codecs that RTP carries whose frames
// it keeps apart.
func streams() map[string]testmedia.Stream {
	m := map[string]testmedia.Stream{}
	for _, v := range []codec.Codec{codec.H264, codec.H265} {
		m[v.String()] = testmedia.Stream{Video: v, Audio: codec.AAC, GOP: 400 * time.Millisecond}
		m[v.String()+" with B frames"] = testmedia.Stream{Video: v, Audio: codec.AAC, BFrames: 2, GOP: 400 * time.Millisecond, Change: 2}
	}
	for _, v := range []codec.Codec{codec.AV1, codec.VP8, codec.VP9, codec.MJPEG} {
		m[v.String()] = testmedia.Stream{Video: v, Audio: codec.Opus, GOP: 400 * time.Millisecond}
	}
	for _, a := range []codec.Codec{codec.PCMA, codec.PCMU, codec.MP3} {
		m[a.String()] = testmedia.Stream{Video: codec.H264, Audio: a, GOP: 400 * time.Millisecond}
	}
	return m
}

// requireSame requires that frames came through. Tolerance is one tick of 8 kHz.
func requireSame(t testing.TB, want, got []*codec.Frame) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		w, g := want[i], got[i]
		require.True(t, bytes.Equal(w.Data, g.Data), "frame %d", i)
		require.Equal(t, w.Flags, g.Flags, "frame %d", i)
		require.True(t, w.Track.SameConfig(g.Track), "frame %d", i)
		require.InDelta(t, w.PTS-want[0].PTS, g.PTS-got[0].PTS, 125e3, "frame %d", i)
		require.InDelta(t, w.DTS-want[0].PTS, g.DTS-got[0].PTS, 125e3, "frame %d", i)
	}
}

// What is sent comes out, for every codec, over wraps of sequence numbers and
// timestamps.
func TestReceiver(t *testing.T) {
	wrapping := PacketizerOptions{Sequence: 65500, Timestamp: 1<<32 - 8000}
	for name, stream := range streams() {
		for _, reorder := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				frames := stream.Take(2 * time.Second)
				s := newSender(t, stream.Tracks(), wrapping)
				packets := s.packets(frames)
				r := s.receiver(&Receiver{Reorder: reorder})
				got := take(t, r, packets)
				for i := range r.Tracks() {
					requireSame(t, ofTrack(frames, i), ofTrack(got, i))
					stats := r.Stats(i)
					sent := slices.DeleteFunc(slices.Clone(packets), func(p sentPacket) bool { return p.track != i })
					size := 0
					for _, p := range sent {
						size += len(p.b)
					}
					stats.Jitter = 0
					require.Equal(t, ReceiverStats{
						Packets: uint64(len(sent)), Bytes: uint64(size), Units: uint64(len(ofTrack(frames, i))),
					}, stats)
				}
				require.False(t, r.Goodbye())
			})
		}
	}
}

// Any order within the window gives the same frames.
func TestReceiverAnyOrder(t *testing.T) {
	for name, stream := range streams() {
		t.Run(name, func(t *testing.T) {
			s := newSender(t, stream.Tracks(), PacketizerOptions{Sequence: 65000, Timestamp: 1<<32 - 8000})
			packets := s.packets(stream.Take(time.Second))
			for i := range packets { // all well within the time
				packets[i].at = epoch.Add(time.Duration(i) * 10 * time.Microsecond)
			}
			want := take(t, s.receiver(&Receiver{}), packets)
			rapid.Check(t, func(rt *rapid.T) {
				window := rapid.IntRange(1, defaultDepth).Draw(rt, "window")
				rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
				got := take(t, s.receiver(&Receiver{Reorder: true}), shuffled(rnd, packets, window))
				for i := range s.payloads {
					same := slices.EqualFunc(ofTrack(want, i), ofTrack(got, i), func(a, b *codec.Frame) bool {
						return a.DTS == b.DTS && a.PTS == b.PTS && a.Flags == b.Flags && bytes.Equal(a.Data, b.Data) && a.Track.SameConfig(b.Track)
					})
					require.True(rt, same, "track %d", i)
				}
			})
		})
	}
}

// shuffled returns packets in another order: none overtakes as many as window of
// its track, and the first of each track stays where it is.
func shuffled(rnd *rand.Rand, packets []sentPacket, window int) []sentPacket {
	type place struct {
		sentPacket
		key int
	}
	begun := map[int]bool{}
	places := make([]place, len(packets))
	for i, p := range packets {
		places[i] = place{p, i}
		if begun[p.track] {
			places[i].key += rnd.IntN(window)
		}
		begun[p.track] = true
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.key, b.key) })
	out := make([]sentPacket, len(packets))
	for i, p := range places {
		out[i] = p.sentPacket
		if !begun[p.track] {
			out[i].at = packets[i].at
		}
		begun[p.track] = false
	}
	return out
}

// Packets are lost, come twice and in another order.
func TestReceiverLossy(t *testing.T) {
	for _, v := range []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.VP8, codec.VP9} {
		t.Run(v.String(), func(t *testing.T) {
			const loss, twice = 0.05, 0.02
			bad, whole := 20*time.Second, 24*time.Second
			stream := testmedia.Stream{Video: v, Audio: codec.Opus, GOP: time.Second}
			s := newSender(t, stream.Tracks(), PacketizerOptions{Sequence: 65000, Timestamp: 1<<32 - 90000})
			rnd := rand.New(rand.NewPCG(7, uint64(v)))
			var sent []sentPacket
			var lost, doubled, came [2]uint64
			intact := map[*codec.Frame]bool{}
			frames := stream.Take(whole)
			first := [2]bool{true, true}
			for _, p := range s.packets(frames) {
				if _, ok := intact[p.frame]; !ok {
					intact[p.frame] = true
				}
				if p.frame.DTS < bad && !first[p.track] && rnd.Float64() < loss {
					lost[p.track]++
					intact[p.frame] = false
					continue
				}
				first[p.track] = false
				came[p.track]++
				sent = append(sent, p)
				if p.frame.DTS < bad && rnd.Float64() < twice {
					doubled[p.track]++
					sent = append(sent, p)
				}
			}
			r := s.receiver(&Receiver{Reorder: true})
			got := take(t, r, shuffled(rnd, sent, 20))
			got = append(got, expire(r, epoch.Add(whole))...)

			for i := range s.payloads {
				stats := r.Stats(i)
				require.Equal(t, lost[i], stats.Lost, "lost")
				require.Equal(t, came[i], stats.Packets, "packets")
				require.Equal(t, doubled[i], stats.Duplicates, "duplicates")
				require.Positive(t, stats.Reordered)
				require.Zero(t, stats.Invalid)
				require.Zero(t, stats.Resets)
			}

			// Audio frames are a packet each: those that came are there, whole.
			audio := slices.DeleteFunc(ofTrack(frames, 1), func(f *codec.Frame) bool { return !intact[f] })
			requireSame(t, audio, ofTrack(got, 1))

			// No picture is wrong without saying so, and from the first key frame
			// after the losses on none is missing.
			video := ofTrack(frames, 0)
			pictures := ofTrack(got, 0)
			var damaged uint64
			for _, f := range pictures {
				if f.Has(codec.FlagCorrupt) {
					damaged++
					continue
				}
				i := slices.IndexFunc(video, func(w *codec.Frame) bool { return (w.PTS - f.PTS).Abs() < time.Millisecond })
				require.GreaterOrEqual(t, i, 0, "a picture from nowhere at %v", f.PTS)
				require.True(t, bytes.Equal(video[i].Data, f.Data), "at %v", f.PTS)
			}
			require.Positive(t, damaged)
			require.LessOrEqual(t, damaged, r.Stats(0).Corrupt)
			i := slices.IndexFunc(video, func(f *codec.Frame) bool { return f.DTS >= bad && f.Key() })
			j := slices.IndexFunc(pictures, func(f *codec.Frame) bool { return f.PTS >= video[i].PTS-time.Millisecond })
			requireSame(t, video[i:], pictures[j:])
		})
	}
}

// A missing packet is waited for until the time is over or the window is full.
func TestReceiverWait(t *testing.T) {
	stream := testmedia.Stream{Audio: codec.Opus}
	stream2 := stream.Take(10 * time.Second)
	for i, f := range stream2 {
		g := *f
		g.Track = testmedia.Track(1, codec.Opus)
		stream2[i] = &g
	}
	s := newSender(t, []*codec.Track{stream2[0].Track}, PacketizerOptions{})
	packets := s.packets(stream2)
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

	r := s.receiver(&Receiver{Reorder: true})
	_, next := r.Expire(nil, at(0))
	require.Zero(t, next)
	rtp := func(n int, now time.Time) int {
		frames, err := r.RTP(nil, 0, slices.Clone(packets[n].b), now)
		require.NoError(t, err)
		return len(frames)
	}
	require.Equal(t, 1, rtp(0, at(0)))
	require.Equal(t, 0, rtp(2, at(100))) // 1 is missing
	require.Equal(t, 0, rtp(5, at(300))) // 3 and 4 are
	require.Equal(t, 1, rtp(1, at(400))-1)
	frames, next := r.Expire(nil, at(799))
	require.Empty(t, frames)
	require.Equal(t, at(800), next)
	require.Equal(t, 0, rtp(4, at(799)))
	frames, next = r.Expire(nil, at(800))
	require.Len(t, frames, 2, "4 and 5")
	require.Zero(t, next)
	require.Equal(t, 0, rtp(3, at(801)), "too late")
	require.Equal(t, ReceiverStats{
		Packets: 5, Bytes: r.Stats(0).Bytes, Lost: 1, Reordered: 2, Duplicates: 1, Units: 5, Jitter: r.Stats(0).Jitter,
	}, r.Stats(0))

	// A packet, too, shows that time is over.
	require.Equal(t, 0, rtp(7, at(900)))
	require.Equal(t, 2, rtp(8, at(1400)))

	// The window: 9 is missing, 256 others wait for it.
	for n := 10; n < 9+256; n++ {
		require.Equal(t, 0, rtp(n, at(1500)))
	}
	require.Equal(t, 256, rtp(9+256, at(1500)))
	require.EqualValues(t, 3, r.Stats(0).Lost)
}

// Over TCP nothing is waited for.
func TestReceiverInOrder(t *testing.T) {
	track := testmedia.Track(1, codec.Opus)
	s := newSender(t, []*codec.Track{track}, PacketizerOptions{})
	var frames []*codec.Frame
	for i := range 10 {
		frames = append(frames, &codec.Frame{Track: track, PTS: time.Duration(i) * 20 * time.Millisecond, Data: []byte{0, byte(i)}})
	}
	packets := s.packets(frames)
	r := s.receiver(&Receiver{})
	got := take(t, r, []sentPacket{packets[0], packets[1], packets[4], packets[3], packets[4], packets[5]})
	require.Len(t, got, 4)
	stats := r.Stats(0)
	require.EqualValues(t, 2, stats.Lost)
	require.EqualValues(t, 2, stats.Duplicates)
	_, next := r.Expire(nil, epoch.Add(time.Hour))
	require.Zero(t, next)
}

// with returns packets with another SSRC, and sequence numbers and timestamps
// moved.
func with(packets []sentPacket, ssrc uint32, sequence uint16, timestamp uint32) []sentPacket {
	out := slices.Clone(packets)
	for i := range out {
		b := slices.Clone(out[i].b)
		binary.BigEndian.PutUint16(b[2:], binary.BigEndian.Uint16(b[2:])+sequence)
		binary.BigEndian.PutUint32(b[4:], binary.BigEndian.Uint32(b[4:])+timestamp)
		if ssrc != 0 {
			binary.BigEndian.PutUint32(b[8:], ssrc)
		}
		out[i].b = b
	}
	return out
}

// A sender that changes or restarts begins a new timeline, at a key frame,
// without a packet of it being lost; strangers do not disturb.
func TestReceiverResets(t *testing.T) {
	const second = 90000
	stream := testmedia.Stream{Video: codec.H264, GOP: time.Second}
	frames := stream.Take(4 * time.Second)
	s := newSender(t, stream.Tracks(), PacketizerOptions{Sequence: 60000, Timestamp: 1000})
	packets := s.packets(frames)
	half := slices.IndexFunc(packets, func(p sentPacket) bool { return p.frame.DTS == 2*time.Second })
	a, b := packets[:half], packets[half:]
	mixed := func(a, b []sentPacket, from, every int) (out []sentPacket) { // b's among a's
		for i, p := range a {
			out = append(out, p)
			if i >= from && i%every == 0 && len(b) > 0 {
				out = append(out, sentPacket{b[0].track, nil, b[0].b, p.at})
				b = b[1:]
			}
		}
		return out
	}
	short := a[len(a)-100:]
	for _, c := range []struct {
		name    string
		packets []sentPacket
		resets  uint64
		invalid uint64
		lost    uint64
	}{
		{"another SSRC", slices.Concat(a, with(b, 7, 999, 12345)), 1, 0, 0},
		{"another SSRC with the same numbers", slices.Concat(a, with(b, 7, 0, 0)), 1, 0, 0},
		{"restart far ahead", slices.Concat(a, with(b, 0, 20000, 1e9)), 1, 0, 0},
		{"restart far back", slices.Concat(a, with(b, 0, 65536-20000, 1e9)), 1, 0, 0},
		{"restart a little ahead, at another time", slices.Concat(a, with(b, 0, 1000, 1e9)), 1, 0, 0},
		{"time jumps ahead", slices.Concat(a, with(b, 0, 0, 100*second)), 1, 0, 0},
		{"time jumps back", slices.Concat(a, with(b, 0, 0, 1<<32-100*second)), 1, 0, 0},
		{"strangers", mixed(packets, with(packets[:20], 7, 0, 0), 3, 4), 0, 20, 0},
		{"stranger's numbers", mixed(packets, with(packets[:20], 0, 5000, 0), 3, 4), 0, 20, 0},
		{"long loss", slices.Concat(a, with(b, 0, 500, 0)), 0, 0, 500},
		{"a little late for long", slices.Concat(a, with(short, 0, 0, 0), b), 0, 0, 0},
	} {
		for _, reorder := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				r := s.receiver(&Receiver{Reorder: reorder})
				got := take(t, r, c.packets)
				got = append(got, expire(r, epoch.Add(time.Minute))...)
				stats := r.Stats(0)
				require.Equal(t, c.resets, stats.Resets)
				require.Equal(t, c.invalid, stats.Invalid)
				require.Equal(t, c.lost, stats.Lost)
				require.Len(t, got, len(frames))
				discont := 0
				for i, f := range got {
					require.LessOrEqual(t, f.DTS, f.PTS)
					require.Equal(t, frames[i].PTS, f.PTS)
					if f.Has(codec.FlagDiscont) {
						discont++
						require.True(t, f.Key())
						require.Equal(t, 2*time.Second, f.PTS)
					}
				}
				require.EqualValues(t, c.resets, discont)
			})
		}
	}
}

// The old sender's last packets may come after the new one's first.
func TestReceiverResetOverlapping(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, GOP: time.Second}
	frames := stream.Take(4 * time.Second)
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	packets := s.packets(frames)
	half := slices.IndexFunc(packets, func(p sentPacket) bool { return p.frame.DTS == 2*time.Second })
	a, b := packets[:half], with(packets[half:], 7, 0, 0)
	r := s.receiver(&Receiver{Reorder: true})
	require.Len(t, take(t, r, slices.Concat(a[:half-3], a[half-1:], b[:2], a[half-3:half-1], b[2:])), len(frames))
	require.EqualValues(t, 1, r.Stats(0).Resets)
}

// The first packets of a new sender, too, come in any order.
func TestReceiverResetShuffled(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, GOP: time.Second}
	frames := stream.Take(4 * time.Second)
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	packets := s.packets(frames)
	half := slices.IndexFunc(packets, func(p sentPacket) bool { return p.frame.DTS == 2*time.Second })
	for _, order := range [][]int{{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}} {
		next := with(packets[half:], 7, 0, 0)
		next[0], next[1], next[2] = next[order[0]], next[order[1]], next[order[2]]
		r := s.receiver(&Receiver{Reorder: true})
		require.Len(t, take(t, r, slices.Concat(packets[:half], next)), len(frames))
		require.EqualValues(t, 1, r.Stats(0).Resets)
	}
}

// What waits for a missing packet of the old sender is not lost when there is a
// new one.
func TestReceiverResetWhileWaiting(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, GOP: time.Second}
	frames := stream.Take(4 * time.Second)
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	packets := s.packets(frames)
	half := slices.IndexFunc(packets, func(p sentPacket) bool { return p.frame.DTS == 2*time.Second })
	missing := slices.IndexFunc(packets, func(p sentPacket) bool { return p.frame.DTS == 1800*time.Millisecond })
	r := s.receiver(&Receiver{Reorder: true})
	got := take(t, r, slices.Concat(packets[:missing], packets[missing+1:half], with(packets[half:], 7, 0, 0)))
	require.GreaterOrEqual(t, len(got), len(frames)-1)
	require.EqualValues(t, 1, r.Stats(0).Lost)
	i := slices.IndexFunc(got, func(f *codec.Frame) bool { return f.Has(codec.FlagDiscont) })
	require.GreaterOrEqual(t, i, 49)
	for _, f := range got[46:i] {
		require.True(t, f.Has(codec.FlagCorrupt))
	}
}

// Frames of a packet each jump in time, too.
func TestReceiverAudioJumps(t *testing.T) {
	track := testmedia.Track(1, codec.Opus)
	var frames []*codec.Frame
	for i := range 30 {
		at := time.Duration(i) * 20 * time.Millisecond
		frames = append(frames, &codec.Frame{Track: track, DTS: at, PTS: at, Data: []byte{0, byte(i)}})
	}
	s := newSender(t, []*codec.Track{track}, PacketizerOptions{Timestamp: 12345})
	packets := s.packets(frames)
	for _, by := range []uint32{48000 * 20, 1<<32 - 48000*20, 1 << 31} {
		for _, reorder := range []bool{false, true} {
			r := s.receiver(&Receiver{Reorder: reorder})
			for i, f := range take(t, r, slices.Concat(packets[:10], with(packets[10:], 0, 0, by))) {
				require.Equal(t, frames[i].PTS, f.PTS)
				require.Equal(t, i == 10, f.Has(codec.FlagDiscont))
			}
			require.EqualValues(t, 1, r.Stats(0).Resets)
		}
	}
}

// Packets that are always late are a new beginning.
func TestReceiverAlwaysLate(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Bitrate: 8_000_000, GOP: time.Second}
	frames := stream.Take(4 * time.Second)
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	packets := s.packets(frames)
	r := s.receiver(&Receiver{Reorder: true})
	half := len(packets) / 2
	take(t, r, packets[:half])
	took := take(t, r, with(packets[half:], 0, 65536-400, 0))
	require.NotEmpty(t, took)
	require.True(t, took[0].Has(codec.FlagDiscont|codec.FlagKey))
	require.EqualValues(t, 1, r.Stats(0).Resets)
	require.EqualValues(t, defaultDepth, r.Stats(0).Duplicates)
}

// A payload type that was not announced is taken if that is all that comes, and
// no other track's.
func TestReceiverPayloadType(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.Opus, GOP: time.Second}
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	packets := s.packets(stream.Take(4 * time.Second))
	typed := func(b []byte, pt uint8) []byte {
		b = slices.Clone(b)
		b[1] = b[1]&0x80 | pt
		return b
	}
	for _, c := range []struct {
		name    string
		typeOf  func(n int) uint8 // of the nth packet of video
		invalid uint64
	}{
		{"right", func(int) uint8 { return 96 }, 0},
		{"another", func(int) uint8 { return 100 }, adoption - 1},
		{"the other track's", func(int) uint8 { return 97 }, 1 << 32},
		{"several", func(n int) uint8 { return uint8(100 + n/16%2) }, 1 << 32},
		{"several, then one", func(n int) uint8 { return uint8(max(100, 116-n/16)) }, 16*16 + adoption - 1},
		{"the right one among others", func(n int) uint8 { return uint8(100 - 4*(n%2)) }, 1 << 31},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := s.receiver(&Receiver{})
			n, video, bad := 0, 0, uint64(0)
			for _, p := range packets {
				b := slices.Clone(p.b)
				if p.track == 0 {
					b = typed(p.b, c.typeOf(n))
					n++
				}
				frames, err := r.RTP(nil, p.track, b, p.at)
				if err != nil {
					require.ErrorIs(t, err, ErrInvalid)
					bad++
				}
				video += len(ofTrack(frames, 0))
			}
			require.Equal(t, bad, r.Stats(0).Invalid)
			switch c.invalid {
			case 1 << 32:
				require.EqualValues(t, n, bad, "none is taken")
				require.Zero(t, video)
			case 1 << 31:
				require.EqualValues(t, n/2, bad, "only the right ones")
			default:
				require.Equal(t, c.invalid, bad)
				require.Positive(t, video)
			}
			require.Zero(t, r.Stats(1).Invalid)
		})
	}
}

// Video before the first key frame is left out; audio is not.
func TestReceiverAwaitsKey(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second}
	frames := stream.Take(3 * time.Second)
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	packets := s.packets(frames)
	from := slices.IndexFunc(packets, func(p sentPacket) bool { return p.frame.DTS > 100*time.Millisecond })
	r := s.receiver(&Receiver{})
	got := take(t, r, packets[from:])
	video := ofTrack(got, 0)
	require.True(t, video[0].Key())
	require.False(t, video[0].Has(codec.FlagDiscont))
	require.Len(t, video, 50)
	require.Equal(t, packets[from].frame.DTS, frames[slices.IndexFunc(frames, func(f *codec.Frame) bool { return f == packets[from].frame })].DTS)
	require.Len(t, ofTrack(got, 1), len(slices.DeleteFunc(ofTrack(frames, 1), func(f *codec.Frame) bool { return f.DTS <= 100*time.Millisecond })))
}

// Packets without a payload open a way through a firewall, or probe it: they are
// no beginning, and nothing is lost with those in sequence.
func TestReceiverEmptyPackets(t *testing.T) {
	track := testmedia.Track(1, codec.Opus)
	var frames []*codec.Frame
	for i := range 30 {
		at := time.Duration(i) * 20 * time.Millisecond
		frames = append(frames, &codec.Frame{Track: track, DTS: at, PTS: at, Data: []byte{0, byte(i)}})
	}
	s := newSender(t, []*codec.Track{track}, PacketizerOptions{Sequence: 500})
	packets := s.packets(frames)
	punch := sentPacket{b: append([]byte{0x80, 96}, make([]byte, 10)...), at: epoch.Add(-time.Second)}
	punches := []sentPacket{punch, punch, punch, punch}
	probe := packets[20]
	probe.b = probe.b[:headerSize]
	r := s.receiver(&Receiver{Reorder: true})
	got := take(t, r, slices.Concat(punches, packets[:10], punches, packets[10:20], []sentPacket{probe}, with(packets[20:], 0, 1, 0)))
	require.Len(t, got, len(frames))
	for i, f := range got {
		require.Equal(t, frames[i].PTS, f.PTS)
		require.Zero(t, f.Flags&codec.FlagDiscont)
	}
	require.Equal(t, ReceiverStats{Packets: 31, Bytes: r.Stats(0).Bytes, Units: 30}, r.Stats(0))
}

// A Receiver may be copied once its tracks are added.
func TestReceiverCopied(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	frames := stream.Take(time.Second)
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	r := *s.receiver(&Receiver{Reorder: true})
	got := take(t, &r, s.packets(frames))
	require.NoError(t, r.RTCP(0, s.report(0, time.Second, epoch), epoch))
	for i := range r.Tracks() {
		requireSame(t, ofTrack(frames, i), ofTrack(got, i))
	}
}

func TestReceiverAdd(t *testing.T) {
	var r Receiver
	_, err := r.Add(&Payload{Type: 96, Encoding: "H264"}, testmedia.Track(1, codec.H264))
	require.ErrorIs(t, err, ErrInvalid, "no clock")
	require.Empty(t, r.Tracks())
	require.False(t, r.Goodbye())
}

// mediaBytes returns RTP packets of video and audio.
func mediaBytes(t testing.TB) (cases [][]byte) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second}
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	for _, p := range s.packets(stream.Take(200 * time.Millisecond)) {
		cases = append(cases, p.b)
	}
	return cases
}

// FuzzReceiver: bytes are cut into packets for two tracks, RTP and RTCP.
func FuzzReceiver(f *testing.F) {
	for _, b := range mediaBytes(f) {
		f.Add(append([]byte{0, byte(len(b) >> 8), byte(len(b))}, b...), true)
	}
	for _, c := range rtcpCases {
		f.Add(append([]byte{1, 0, byte(len(c.wire))}, c.wire...), false)
	}
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	f.Fuzz(func(t *testing.T, b []byte, reorder bool) {
		s := newSender(t, stream.Tracks(), PacketizerOptions{})
		r := s.receiver(&Receiver{Reorder: reorder, Depth: 16, Settle: time.Duration(len(b)%2) * 50 * time.Millisecond})
		now := epoch
		last := map[int]time.Duration{1: math.MinInt64, 2: math.MinInt64}
		check := func(frames []*codec.Frame) {
			for _, f := range frames {
				require.GreaterOrEqual(t, f.DTS, last[f.Track.ID])
				require.NotEmpty(t, f.Data)
				last[f.Track.ID] = f.DTS
			}
		}
		for len(b) >= 3 {
			channel, n := b[0], min(int(binary.BigEndian.Uint16(b[1:])), len(b)-3)
			p := slices.Clone(b[3:][:n])
			b = b[3+n:]
			now = now.Add(time.Duration(channel>>2) * 10 * time.Millisecond)
			if channel&1 != 0 {
				_ = r.RTCP(int(channel>>1&1), p, now)
			} else {
				frames, _ := r.RTP(nil, int(channel>>1&1), p, now)
				check(frames)
			}
			frames, next := r.Expire(nil, now)
			check(frames)
			require.True(t, next.IsZero() || next.After(now))
		}
		check(expire(r, now))
		for i := range r.Tracks() {
			stats := r.Stats(i)
			require.LessOrEqual(t, stats.Reordered, stats.Packets)
			require.GreaterOrEqual(t, stats.Jitter, time.Duration(0))
			r.AppendReport(nil, i, "x", now)
		}
	})
}

func BenchmarkReceiver(b *testing.B) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	for _, reorder := range []bool{false, true} {
		name := map[bool]string{false: "TCP", true: "UDP"}[reorder]
		b.Run(name, func(b *testing.B) {
			s := newSender(b, stream.Tracks(), PacketizerOptions{})
			packets := s.packets(stream.Take(10 * time.Second))
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				r := s.receiver(&Receiver{Reorder: reorder})
				var frames []*codec.Frame
				for _, p := range packets {
					frames, _ = r.RTP(frames[:0], p.track, p.b, p.at)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(packets)), "ns/packet")
		})
	}
}
