package rtp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A sequencing is a Sequencer and what it has delivered: the numbers that the
// payloads are, each after a letter for a gap.
type sequencing struct {
	Sequencer
	got []string
}

func newSequencing() *sequencing {
	s := &sequencing{}
	s.Deliver = func(p *Packet, gap Gap) {
		s.got = append(s.got, [...]string{"", "L", "R"}[gap]+string(p.Payload))
	}
	return s
}

// send lets packet n of the SSRC come at the time at, in memory that is used
// again afterwards.
func (s *sequencing) send(ssrc uint32, n int, at time.Time) {
	b := fmt.Appendf(nil, "%d", n)
	s.Take(Packet{Sequence: uint16(n), SSRC: ssrc, Timestamp: uint32(n) * 90, Payload: b}, headerSize+len(b), at)
	for i := range b {
		b[i] = 'x'
	}
}

func TestSequencer(t *testing.T) {
	cases := []struct {
		name string
		sent []int // 1000 and more: of another SSRC; -1: Lose
		want []string
		more []string // when what is missing is given up
		stat ReceiverStats
	}{
		{"in order", []int{1, 2, 3}, []string{"1", "2", "3"}, nil, ReceiverStats{Packets: 3}},
		{"swapped", []int{1, 3, 2, 4}, []string{"1", "2", "3", "4"}, nil, ReceiverStats{Packets: 4, Reordered: 1}},
		{"twice", []int{1, 2, 2, 4, 4, 1}, []string{"1", "2"}, []string{"L4"}, ReceiverStats{Packets: 3, Duplicates: 3, Lost: 1}},
		{"lost", []int{1, 3, 5}, []string{"1"}, []string{"L3", "L5"}, ReceiverStats{Packets: 3, Lost: 2}},
		{"too late for the window", []int{1, 3, 4, 5, 6, 2}, []string{"1", "L3", "4", "5", "6"}, nil, ReceiverStats{Packets: 5, Lost: 1, Duplicates: 1}},
		{"known to be lost", []int{1, -1, 4, 5}, []string{"1", "L4", "5"}, nil, ReceiverStats{Packets: 3, Lost: 2}},
		{"known to be lost, but late", []int{1, 2, -1, 1, 4, 5}, []string{"1", "2", "L4", "5"}, nil, ReceiverStats{Packets: 4, Lost: 1, Duplicates: 1}},
		{"known to be lost, but nothing is", []int{1, -1, 2, 3}, []string{"1", "L2", "3"}, nil, ReceiverStats{Packets: 3}},
		{"another sender", []int{1, 2, 1007, 1008, 1009, 1010}, []string{"1", "2", "R1007", "1008", "1009", "1010"}, nil, ReceiverStats{Packets: 6, Resets: 1}},
		{"strays", []int{1, 2, 1007, 3, 1008, 4}, []string{"1", "2", "3", "4"}, nil, ReceiverStats{Packets: 4, Invalid: 2}},
		{"begun anew", []int{500, 501, 3, 4, 5}, []string{"500", "501", "R3", "4", "5"}, nil, ReceiverStats{Packets: 5, Resets: 1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSequencing()
			s.Depth = 4
			for i, n := range c.sent {
				at := epoch.Add(time.Duration(i) * time.Millisecond)
				if n < 0 {
					s.Lose()
					continue
				}
				s.send(uint32(n/1000), n, at)
			}
			require.Equal(t, c.want, s.got)
			s.got = nil
			s.Expire(epoch.Add(s.waitOrDefault() - time.Second/10))
			require.Empty(t, s.got)
			s.Expire(epoch.Add(s.waitOrDefault() + time.Second))
			require.Equal(t, c.more, s.got)
			stats := s.Stats()
			require.NotZero(t, stats.Bytes)
			stats.Bytes, stats.Jitter = 0, 0
			require.Equal(t, c.stat, stats)
		})
	}
}

func (q *Sequencer) waitOrDefault() time.Duration {
	o := q.ordering()
	return o.wait
}

// Whatever a way does to packets, they come out in order, and a gap is told where
// there is one and nowhere else.
func TestSequencerAnyWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 400).Draw(t, "packets")
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		loss, twice := rapid.IntRange(0, 30).Draw(t, "loss %"), rapid.IntRange(0, 10).Draw(t, "twice %")
		window := rapid.IntRange(1, 20).Draw(t, "window")
		first := rapid.IntRange(0, 0xffff).Draw(t, "first")
		var sent []int
		for i := range n {
			if i > 0 && rnd.IntN(100) < loss {
				continue
			}
			sent = append(sent, i)
			if rnd.IntN(100) < twice {
				sent = append(sent, i)
			}
		}
		for i := 1; i+window < len(sent); i += window {
			rnd.Shuffle(window, func(a, b int) { sent[i+a], sent[i+b] = sent[i+b], sent[i+a] })
		}
		last, lost := -1, 0
		q := &Sequencer{}
		q.Deliver = func(p *Packet, gap Gap) {
			i := int(binary.BigEndian.Uint32(p.Payload))
			require.Greater(t, i, last)
			require.Equal(t, i != last+1, gap == Lost)
			lost += i - last - 1
			last = i
		}
		for _, i := range sent {
			b := binary.BigEndian.AppendUint32(nil, uint32(i))
			q.Take(Packet{Sequence: uint16(first + i), Payload: b}, 16, epoch)
			clear(b)
		}
		q.Flush()
		stats := q.Stats()
		require.EqualValues(t, lost, stats.Lost)
		require.EqualValues(t, last+1-lost, stats.Packets)
		require.EqualValues(t, len(sent), stats.Packets+stats.Duplicates)
	})
}

// Packets in order cost no memory.
func TestSequencerAllocates(t *testing.T) {
	q := &Sequencer{Deliver: func(*Packet, Gap) {}}
	payload := make([]byte, 1300)
	var n uint16
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		q.Take(Packet{Sequence: n, Timestamp: uint32(n) * 3600, Payload: payload}, 1312, epoch)
		n++
	}))
}

func TestSequencerControl(t *testing.T) {
	s := newSequencing()
	require.Empty(t, s.AppendReport(nil, "me", epoch))
	s.send(100, 7, epoch)
	s.send(100, 9, epoch)
	s.Flush()
	require.NoError(t, s.RTCP([]byte(someReport), epoch))
	require.EqualValues(t, 100, s.SSRC())

	packets := unmarshalRTCP(t, s.AppendReport(nil, "me", epoch.Add(time.Second)))
	require.Len(t, packets, 2)
	report := packets[0].(*rtcp.ReceiverReport)
	require.EqualValues(t, 101, report.SSRC)
	require.Len(t, report.Reports, 1)
	require.EqualValues(t, 100, report.Reports[0].SSRC)
	require.EqualValues(t, 1, report.Reports[0].TotalLost)
	require.EqualValues(t, 9, report.Reports[0].LastSequenceNumber)
	require.EqualValues(t, uint32(0x8aa98000), report.Reports[0].LastSenderReport)
	require.EqualValues(t, 1<<16, report.Reports[0].Delay)

	require.False(t, s.Goodbye())
	require.Error(t, s.RTCP([]byte("\x81"), epoch))
	require.NoError(t, s.RTCP([]byte(someBye), epoch))
	require.True(t, s.Goodbye())
}

func BenchmarkSequencer(b *testing.B) {
	q := &Sequencer{Deliver: func(*Packet, Gap) {}}
	payload := make([]byte, 1300)
	var n uint16
	for b.Loop() {
		q.Take(Packet{Sequence: n, Timestamp: uint32(n) * 90, Payload: payload}, 1312, epoch)
		n++
	}
}
