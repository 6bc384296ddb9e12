package rtp

import (
	"bytes"
	"testing"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// streamCases are lengths of bytes cut into packets.
var streamCases = []struct {
	name     string
	unit     int
	max      int // MaxSize
	size     int
	payloads []int
}{
	{"nothing", 1, 0, 0, nil},
	{"one byte", 1, 0, 1, []int{1}},
	{"full", 1, 0, 1388, []int{1388}},
	{"one more", 1, 0, 1389, []int{1388, 1}},
	{"three", 1, 0, 4000, []int{1388, 1388, 1224}},
	{"transport packets", 188, 0, 15 * 188, []int{7 * 188, 7 * 188, 188}},
	{"one transport packet", 188, 0, 188, []int{188}},
	{"small packets", 188, 256, 3 * 188, []int{188, 188, 188}},
	{"large packets", 1, 0xffff, 70000, []int{0xffff - 12, 70000 - (0xffff - 12)}},
}

func TestStreamPacketizer(t *testing.T) {
	data := make([]byte, 70000)
	for i := range data {
		data[i] = byte(i * i >> 8)
	}
	for _, c := range streamCases {
		t.Run(c.name, func(t *testing.T) {
			for _, framing := range []Framing{LengthOnly, Interleaved} {
				p, err := NewStreamPacketizer(c.unit, PacketizerOptions{
					PayloadType: 96, SSRC: 0x01020304, Sequence: 0xffff, Timestamp: 0xfffffff0,
					Framing: framing, Channel: 4, MaxSize: c.max, CNAME: "me",
				})
				require.NoError(t, err)
				wire := p.Append([]byte("before"), data[:c.size], time.Second, true)
				require.Equal(t, "before", string(wire[:6]))
				require.Equal(t, p.Size(c.size), len(wire)-6)
				var payloads []int
				var got []byte
				take := func(b []byte) {
					n := len(payloads)
					var q pion.Packet
					require.NoError(t, q.Unmarshal(b))
					require.Equal(t, pion.Header{
						Version: 2, Marker: n == len(c.payloads)-1, PayloadType: 96,
						SequenceNumber: uint16(0xffff + n), Timestamp: 90000 - 16, SSRC: 0x01020304,
					}, q.Header)
					payloads = append(payloads, len(q.Payload))
					got = append(got, q.Payload...)
				}
				if framing == Interleaved {
					for channel, b := range Datagrams(wire[6:]) {
						require.EqualValues(t, 4, channel)
						take(b)
					}
				} else {
					for b := range Packets(wire[6:]) {
						take(b)
					}
				}
				require.Equal(t, c.payloads, payloads)
				require.True(t, bytes.Equal(data[:c.size], got))
				require.Equal(t, uint16(0xffff+len(c.payloads)), p.Sequence())
			}
		})
	}
	for _, unit := range []int{-1, 0, 1389} {
		_, err := NewStreamPacketizer(unit, PacketizerOptions{})
		require.ErrorIs(t, err, ErrInvalid)
	}
	_, err := NewStreamPacketizer(1, PacketizerOptions{MaxSize: 100})
	require.ErrorIs(t, err, ErrInvalid)
}

// No packet has the marker unless that is asked for, and the buffer is all that is
// allocated.
func TestStreamPacketizerMarker(t *testing.T) {
	p, err := NewStreamPacketizer(1, PacketizerOptions{Framing: LengthOnly})
	require.NoError(t, err)
	for b := range Packets(p.Append(nil, make([]byte, 5000), 0, false)) {
		require.Zero(t, b[1]&0x80)
	}
	data, wire := make([]byte, 5000), make([]byte, 0, 6000)
	require.Zero(t, testing.AllocsPerRun(100, func() { p.Append(wire, data, 0, true) }))
}

// Reports count what was sent; a BYE is a compound packet that others read.
func TestStreamPacketizerReports(t *testing.T) {
	wall := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	p, err := NewStreamPacketizer(1, PacketizerOptions{SSRC: 7, Timestamp: 1000, Framing: LengthOnly, CNAME: "me"})
	require.NoError(t, err)
	p.Append(nil, make([]byte, 3000), 0, true)
	wire := p.AppendBye(p.AppendReport(nil, time.Second, wall))
	var got [][]rtcp.Packet
	for b := range Packets(wire) {
		packets, err := rtcp.Unmarshal(b)
		require.NoError(t, err)
		got = append(got, packets)
	}
	require.Len(t, got, 2)
	sr := got[0][0].(*rtcp.SenderReport)
	require.Equal(t, rtcp.SenderReport{SSRC: 7, NTPTime: ntpTime(wall), RTPTime: 91000, PacketCount: 3, OctetCount: 3000}, *sr)
	require.Equal(t, &rtcp.ReceiverReport{SSRC: 7, ProfileExtensions: []byte{}}, got[1][0])
	require.Equal(t, &rtcp.Goodbye{Sources: []uint32{7}}, got[1][1])
}

var packetsCases = []struct {
	name, wire string
	want       []string
}{
	{"nothing", "", nil},
	{"half a length", "\x00", nil},
	{"empty", "\x00\x00", []string{""}},
	{"two", "\x00\x01a\x00\x02bc", []string{"a", "bc"}},
	{"cut", "\x00\x01a\x00\x03bc", []string{"a"}},
	{"lying", "\xff\xffa", nil},
}

func TestPackets(t *testing.T) {
	for _, c := range packetsCases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for b := range Packets([]byte(c.wire)) {
				require.Equal(t, len(b), cap(b))
				got = append(got, string(b))
			}
			require.Equal(t, c.want, got)
		})
	}
	for range Packets([]byte("\x00\x01a\x00\x01a")) {
		break // an end is no panic
	}
}

func FuzzPackets(f *testing.F) {
	for _, c := range packetsCases {
		f.Add([]byte(c.wire))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		n := 0
		for b := range Packets(wire) {
			n += lengthSize + len(b)
		}
		require.LessOrEqual(t, n, len(wire))
	})
}

// A Packetizer with LengthOnly makes the same packets as one with Interleaved, and
// has the payload type it was told, if asked to.
func TestPacketizerFraming(t *testing.T) {
	for _, c := range []codec.Codec{codec.H264, codec.AAC, codec.PCMA, codec.Opus} {
		track := testmedia.Track(1, c)
		s := testmedia.Stream{Audio: c}
		if track.Kind() == codec.KindVideo {
			s = testmedia.Stream{Video: c}
		}
		o := PacketizerOptions{PayloadType: 101, SSRC: 1, Exact: true, CNAME: "me"}
		a, err := NewPacketizer(track, o)
		require.NoError(t, err)
		o.Framing = LengthOnly
		b, err := NewPacketizer(track, o)
		require.NoError(t, err)
		for _, f := range s.Take(time.Second / 2) {
			var want, got [][]byte
			wire, err := a.Append(nil, f)
			require.NoError(t, err)
			for _, p := range Datagrams(a.AppendReport(wire, f.PTS, time.Unix(1e9, 0))) {
				want = append(want, p)
			}
			wire, err = b.Append(nil, f)
			require.NoError(t, err)
			for p := range Packets(b.AppendReport(wire, f.PTS, time.Unix(1e9, 0))) {
				got = append(got, p)
			}
			require.Equal(t, want, got)
			require.Equal(t, byte(101), got[0][1]&0x7f)
		}
	}
}

// RTCP is told from RTP by its type.
func TestIsRTCP(t *testing.T) {
	p, err := NewStreamPacketizer(1, PacketizerOptions{Framing: LengthOnly})
	require.NoError(t, err)
	for b := range Packets(p.AppendBye(p.AppendReport(nil, 0, time.Unix(1e9, 0)))) {
		require.True(t, IsRTCP(b))
		require.True(t, IsRTCP(b[:4]))
		require.False(t, IsRTCP(b[:3]))
	}
	for b := range Packets(p.Append(nil, make([]byte, 2000), 0, true)) {
		require.False(t, IsRTCP(b))
	}
	for _, s := range []string{"", "80", "80c8", "40c80000", "80bf0000", "80e00000"} {
		require.False(t, IsRTCP(unhex(s)), s)
	}
}
