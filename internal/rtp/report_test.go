package rtp

import (
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func unmarshalRTCP(t testing.TB, b []byte) []rtcp.Packet {
	t.Helper()
	packets, err := rtcp.Unmarshal(b)
	require.NoError(t, err)
	return packets
}

func TestSenderReport(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264}
	for _, name := range []string{"", "a", "ab", "abc", "abcd", "MediaKit", strings.Repeat("x", 300)} {
		s := newSender(t, stream.Tracks(), PacketizerOptions{Timestamp: 5000, CNAME: name})
		packets := s.packets(stream.Take(time.Second))
		octets := 0
		for _, p := range packets {
			octets += len(p.b) - headerSize
		}
		wire := s.packers[0].AppendReport([]byte("before"), 2*time.Second, epoch.Add(time.Second/2))
		require.Equal(t, "before", string(wire[:6]))
		var got []byte
		for channel, b := range Datagrams(wire[6:]) {
			require.EqualValues(t, 1, channel)
			require.Nil(t, got)
			got = b
		}
		require.Len(t, got, len(wire)-10)
		require.Equal(t, []rtcp.Packet{
			&rtcp.SenderReport{
				SSRC: 100, NTPTime: 0xeda28aa980000000, RTPTime: 5000 + 180000,
				PacketCount: uint32(len(packets)), OctetCount: uint32(octets),
			},
			rtcp.NewCNAMESourceDescription(100, name[:min(len(name), 255)]),
		}, unmarshalRTCP(t, got))
	}
}

// A reception is told of sequence numbers and asked for reports.
func TestReceiverReport(t *testing.T) {
	type block struct {
		fraction uint8
		lost     int32
		highest  uint32
	}
	type step struct {
		sequences []uint16
		want      block
	}
	span := func(from uint16, n int) (s []uint16) {
		for i := range n {
			s = append(s, from+uint16(i))
		}
		return s
	}
	track := testmedia.Track(1, codec.Opus)
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"one", []step{{span(5, 1), block{0, 0, 5}}}},
		{"all", []step{{span(5, 100), block{0, 0, 104}}, {span(105, 100), block{0, 0, 204}}}},
		{"nothing new", []step{{span(5, 100), block{0, 0, 104}}, {nil, block{0, 0, 104}}}},
		{"wrap", []step{{span(65500, 100), block{0, 0, 65599}}, {span(64, 10), block{0, 0, 65609}}}},
		{"two wraps", []step{{span(0, 131073), block{0, 0, 131072}}}},
		{"half", []step{{[]uint16{1, 3, 5, 7}, block{3 * 256 / 7, 3, 7}}, {[]uint16{8, 9}, block{0, 3, 9}}}},
		{"late", []step{{[]uint16{1, 2, 4}, block{64, 1, 4}}, {[]uint16{3, 5}, block{0, 0, 5}}}},
		{"twice", []step{{[]uint16{1, 1, 1, 2}, block{0, -2, 2}}}},
		{"nearly all lost", []step{{span(1, 1), block{0, 0, 1}}, {[]uint16{250}, block{248 * 256 / 249, 248, 250}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSender(t, []*codec.Track{track}, PacketizerOptions{})
			r := s.receiver(&Receiver{Reorder: true})
			p := s.packets([]*codec.Frame{{Track: track, Data: []byte("x")}})
			require.Empty(t, r.AppendReport(nil, 0, "c", epoch))
			for i, step := range c.steps {
				for _, n := range step.sequences {
					take(t, r, with(p, 0, n, 0))
				}
				b := r.AppendReport([]byte("xyz"), 0, "cname", epoch)
				packets := unmarshalRTCP(t, b[3:])
				require.Len(t, packets, 2)
				rr := packets[0].(*rtcp.ReceiverReport)
				require.EqualValues(t, 101, rr.SSRC)
				require.Len(t, rr.Reports, 1)
				got := rr.Reports[0]
				require.EqualValues(t, 100, got.SSRC)
				lost := int32(got.TotalLost<<8) >> 8
				require.Equal(t, step.want, block{got.FractionLost, lost, got.LastSequenceNumber}, "step %d", i)
				require.Zero(t, got.LastSenderReport)
				require.Zero(t, got.Delay)
				require.Equal(t, rtcp.NewCNAMESourceDescription(101, "cname"), packets[1])
			}
		})
	}
}

// The last sender report, and when it came.
func TestReceiverReportLSR(t *testing.T) {
	r, _ := oneTrack(t)
	last := func(now time.Duration) (lsr, delay uint32) {
		rr := unmarshalRTCP(t, r.AppendReport(nil, 0, "", epoch.Add(now)))[0].(*rtcp.ReceiverReport)
		return rr.Reports[0].LastSenderReport, rr.Reports[0].Delay
	}
	require.NoError(t, r.RTCP(0, []byte(someReport), epoch.Add(time.Second)))
	lsr, delay := last(2500 * time.Millisecond)
	require.Equal(t, uint32(0x8aa98000), lsr)
	require.EqualValues(t, 3<<15, delay)
	_, delay = last(0)
	require.Zero(t, delay, "time does not run back")
	require.NoError(t, r.RTCP(0, []byte(strings.Replace(someReport, "\x00\x64\xed", "\x00\x65\xee", 1)), epoch.Add(time.Second)))
	again, _ := last(0)
	require.Equal(t, lsr, again, "that was of somebody else")
}

// Our SSRC is nobody else's.
func TestReceiverReportSSRC(t *testing.T) {
	tracks := []*codec.Track{testmedia.Track(1, codec.Opus), testmedia.Track(2, codec.Opus), testmedia.Track(3, codec.Opus)}
	s := newSender(t, tracks, PacketizerOptions{})
	r := s.receiver(&Receiver{})
	for i, ssrc := range []uint32{1<<32 - 1, 1, 0} {
		take(t, r, with(s.packets([]*codec.Frame{{Track: tracks[i], Data: []byte("x")}}), 0, 0, 0))
		r.tracks[i].origin.ssrc = ssrc
	}
	for i := range tracks {
		rr := unmarshalRTCP(t, r.AppendReport(nil, i, "", epoch))[0].(*rtcp.ReceiverReport)
		require.EqualValues(t, 2, rr.SSRC)
	}
}

// Jitter is the mean of the last differences of the transit times.
func TestJitter(t *testing.T) {
	const rate = 8000
	for _, c := range []struct {
		name string
		late func(i int) time.Duration
		want time.Duration
	}{
		{"none", func(int) time.Duration { return 0 }, 0},
		{"a delay", func(int) time.Duration { return time.Second }, 0},
		{"20 ms more and less", func(i int) time.Duration { return time.Duration(i%2) * 20 * time.Millisecond }, 20 * time.Millisecond},
		{"later and later", func(i int) time.Duration { return time.Duration(i) * 5 * time.Millisecond }, 5 * time.Millisecond},
	} {
		var r reception
		r.begin(0)
		for i := range 500 {
			timestamp := uint32(i*160) - 16000
			r.add(&arrived{
				Packet: Packet{Sequence: uint16(i), Timestamp: timestamp}, at: epoch.Add(time.Duration(i)*20*time.Millisecond + c.late(i)),
			}, rate)
		}
		require.InDelta(t, c.want, r.jitterTime(rate), 3e5, c.name)
		b := r.append(nil, 0, &senderReport{}, epoch)
		var block rtcp.ReceptionReport
		require.NoError(t, block.Unmarshal(b))
		require.InDelta(t, codec.Ticks(c.want, rate), block.Jitter, 2, c.name)
	}
}
