package rtsp

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// muxed returns the packets of frames, each frame's RTP and RTCP packets by their
// channel.
func muxed(t *testing.T, m source.Muxer, f *codec.Frame) (source.Packet, map[uint8][][]byte) {
	t.Helper()
	packets, err := m.Append(nil, f)
	require.NoError(t, err)
	require.Len(t, packets, 1)
	all := map[uint8][][]byte{}
	n := 0
	for channel, d := range rtp.Datagrams(packets[0].Wire) {
		all[channel] = append(all[channel], d)
		n += 4 + len(d)
	}
	require.Equal(t, len(packets[0].Wire), n)
	return packets[0], all
}

func parseRTP(t *testing.T, b []byte) rtp.Packet {
	t.Helper()
	var x rtp.Packet
	require.NoError(t, x.Unmarshal(b))
	return x
}

// TestMuxerStart: what a header says of the packets that follow is true of them,
// at every key packet.
func TestMuxerStart(t *testing.T) {
	st := testStream
	st.BFrames = 2
	m := newMuxer(st.Tracks())
	var s start
	seen := map[uint8]bool{}
	starts := 0
	for _, f := range st.Take(10 * time.Second) {
		p, all := muxed(t, m, f)
		require.Equal(t, f.Track.ID, p.Track)
		require.Equal(t, f.DTS, p.DTS)
		require.Equal(t, f.Track.ID == testmedia.VideoID && f.Key(), p.Key)
		if p.Key {
			s = readStart(m.Header())
			require.Len(t, s.tracks, 2)
			require.Equal(t, f.PTS, s.at)
			clear(seen)
			starts++
		}
		for i := range uint8(2) {
			for _, d := range all[2*i] {
				x := parseRTP(t, d)
				if seen[i] {
					continue
				}
				seen[i] = true
				require.Equal(t, s.tracks[i].sequence, x.Sequence)
				clock := []int{90000, 48000}[i]
				require.Equal(t, uint32(codec.Ticks(f.PTS, clock)-codec.Ticks(s.at, clock)), x.Timestamp-s.tracks[i].timestamp)
			}
		}
	}
	require.Equal(t, 10, starts)
	now := m.now()
	require.NotEqual(t, s.tracks[0].sequence, now.tracks[0].sequence)
}

// TestMuxerReports: a report of each track every 5 s, which says the same of time
// as all others.
func TestMuxerReports(t *testing.T) {
	m := newMuxer(testStream.Tracks())
	last := map[uint8]time.Duration{}
	var zero time.Time
	check := func(channel uint8, b []byte, now time.Duration) {
		sr := requireReport(t, b)
		x := m.tracks[channel/2]
		require.Equal(t, x.ssrc, sr.SSRC)
		require.Equal(t, x.packetizer.Timestamp(now), sr.RTPTime)
		at := ntpTime(sr.NTPTime).Add(-now)
		if zero.IsZero() {
			zero = at
		}
		require.InDelta(t, 0, at.Sub(zero), float64(time.Microsecond))
	}
	for _, f := range testStream.Take(30 * time.Second) {
		_, all := muxed(t, m, f)
		if f.Key() && f.Track.ID == testmedia.VideoID {
			s := readStart(m.Header())
			for i, track := range s.tracks {
				for channel, d := range rtp.Datagrams(track.report) {
					require.EqualValues(t, 2*i+1, channel)
					check(channel, d, f.PTS)
				}
			}
		}
		for channel, packets := range all {
			if channel%2 == 0 {
				continue
			}
			require.Len(t, packets, 1)
			check(channel, packets[0], f.PTS)
			require.InDelta(t, 5*time.Second, f.DTS-last[channel], float64(50*time.Millisecond))
			last[channel] = f.DTS
		}
	}
	require.Len(t, last, 2)
	require.InDelta(t, 25*time.Second, last[1], float64(100*time.Millisecond))
}

// ntpTime returns the time in a sender report.
func ntpTime(v uint64) time.Time {
	const since1900 = 2208988800
	return time.Unix(int64(v>>32)-since1900, int64((v&0xffffffff)*uint64(time.Second)>>32))
}

// TestMuxerWall: the sender's own time is passed on, in all tracks soon after it
// becomes known.
func TestMuxerWall(t *testing.T) {
	m := newMuxer(testStream.Tracks())
	zero := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	reports := 0
	for i, f := range testStream.Take(4 * time.Second) {
		if i > 100 {
			f.Wall = zero.Add(f.PTS)
		}
		_, all := muxed(t, m, f)
		for channel, packets := range all {
			if channel%2 == 0 {
				continue
			}
			require.Greater(t, i, 100)
			require.Less(t, i, 110)
			sr := requireReport(t, packets[0])
			require.InDelta(t, 0, ntpTime(sr.NTPTime).Sub(f.Wall), float64(time.Microsecond))
			reports++
		}
	}
	require.Equal(t, 2, reports)
}

// TestMuxerAudioOnly: without video a viewer can start with any frame.
func TestMuxerAudioOnly(t *testing.T) {
	st := testmedia.Stream{Audio: codec.Opus}
	m := newMuxer(st.Tracks())
	for _, f := range st.Take(time.Second) {
		p, all := muxed(t, m, f)
		require.True(t, p.Key)
		s, x := readStart(m.Header()), parseRTP(t, all[0][0])
		require.Equal(t, s.tracks[0].sequence, x.Sequence)
		require.Equal(t, s.tracks[0].timestamp, x.Timestamp)
	}
}

// TestMuxerOpaque: a viewer can start where the time of an unknown encoding steps.
func TestMuxerOpaque(t *testing.T) {
	track := &codec.Track{ID: 1, Codec: codec.Opaque, ClockRate: 90000, Wire: "rtp", WireKind: codec.KindVideo, Name: "X-STRANGE", Params: "a=b"}
	m := newMuxer([]*codec.Track{track})
	for i := range 10 {
		f := &codec.Frame{Track: track, PTS: time.Duration(i/2) * 40 * time.Millisecond, Data: []byte{byte(i)}}
		f.DTS = f.PTS
		p, all := muxed(t, m, f)
		require.Equal(t, i%2 == 0, p.Key)
		require.Equal(t, []byte{byte(i)}, parseRTP(t, all[0][0]).Payload)
	}
	require.Equal(t, "X-STRANGE", m.sent()[0].payload.Encoding)
}

// TestMuxerChanges: new parameters of video go in band, a track that comes late is
// one more, and one that becomes another ends the feed.
func TestMuxerChanges(t *testing.T) {
	frame := func(t *codec.Track, at time.Duration) *codec.Frame {
		return &codec.Frame{Track: t, DTS: at, PTS: at, Flags: codec.FlagKey, Data: []byte{0, 0, 0, 2, 0x65, 1}}
	}
	m := newMuxer([]*codec.Track{testmedia.Track(1, codec.H264)})
	_, all := muxed(t, m, frame(testmedia.Track(1, codec.H264), 0))
	require.NotEmpty(t, all[0])
	_, all = muxed(t, m, frame(testmedia.Track2(1, codec.H264), time.Second))
	require.NotEmpty(t, all[0])
	require.Contains(t, m.sent()[0].payload.Param("sprop-parameter-sets"), ",", "of the new parameters")

	_, all = muxed(t, m, frame(testmedia.Track(2, codec.PCMA), 2*time.Second))
	require.Len(t, all[2], 1)
	require.Len(t, m.sent(), 2)
	require.Equal(t, "trackID=1", m.sent()[1].control)

	for _, other := range []*codec.Track{testmedia.Track(1, codec.H265), testmedia.Track(2, codec.PCMU), testmedia.Track2(2, codec.PCMA)} {
		_, err := m.Append(nil, frame(other, 3*time.Second))
		require.ErrorIs(t, err, source.ErrNewFormat)
	}
	m = newMuxer([]*codec.Track{testmedia.Track(1, codec.AAC)})
	_, err := m.Append(nil, frame(testmedia.Track2(1, codec.AAC), 0))
	require.ErrorIs(t, err, source.ErrNewFormat)

	// What cannot be carried is left out.
	flv := &codec.Track{ID: 7, Codec: codec.Opaque, Wire: "flv", WireKind: codec.KindVideo, Name: "9"}
	packets, err := m.Append(nil, frame(flv, 0))
	require.NoError(t, err)
	require.Empty(t, packets)
	require.Len(t, m.sent(), 1)

	// A frame that cannot be sent costs itself.
	_, err = newMuxer([]*codec.Track{testmedia.Track(1, codec.H264)}).Append(nil, &codec.Frame{Track: testmedia.Track(1, codec.H264), Data: []byte{0, 0, 0, 9, 1}})
	require.Error(t, err)
	require.False(t, errors.Is(err, source.ErrNewFormat))
}

// TestMuxerRandom: identifiers, sequences and times begin elsewhere each time.
func TestMuxerRandom(t *testing.T) {
	ssrcs, sequences, times := map[uint32]bool{}, map[uint16]bool{}, map[uint32]bool{}
	for range 10 {
		m := newMuxer(testStream.Tracks())
		for _, x := range m.tracks {
			ssrcs[x.ssrc], sequences[x.packetizer.Sequence()], times[x.packetizer.Timestamp(0)] = true, true, true
		}
	}
	require.Greater(t, len(ssrcs), 18)
	require.Greater(t, len(sequences), 15)
	require.Greater(t, len(times), 18)
}

// BenchmarkMuxer measures the packets of a stream of 4 Mbit/s.
func BenchmarkMuxer(b *testing.B) {
	st := testStream
	st.Bitrate = 4_000_000
	frames := st.Take(2 * time.Second)
	m := newMuxer(st.Tracks())
	var packets []source.Packet
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f := frames[i%len(frames)]
		b.SetBytes(int64(len(f.Data)))
		var err error
		if packets, err = m.Append(packets[:0], f); err != nil {
			b.Fatal(err)
		}
	}
}

// TestMuxerReturn: a sender that comes back with another clock does not move the
// stream's, unless it is very different.
func TestMuxerReturn(t *testing.T) {
	zero := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for _, c := range []struct{ moved, seen time.Duration }{{80 * time.Millisecond, 0}, {-80 * time.Millisecond, 0}, {time.Hour, time.Hour}} {
		m := newMuxer(testStream.Tracks())
		frames := testStream.Take(30 * time.Second)
		returned := map[int]bool{}
		for i, f := range frames {
			f.Wall = zero.Add(f.PTS)
			if i >= len(frames)/3 {
				f.Wall = f.Wall.Add(c.moved)
				if !returned[f.Track.ID] {
					f.Flags |= codec.FlagDiscont
					returned[f.Track.ID] = true
				}
			}
			muxed(t, m, f)
		}
		require.WithinDuration(t, zero.Add(c.seen), m.zero, time.Millisecond)
		// Its clock goes on to count.
		last := *frames[len(frames)-1]
		last.Wall = last.Wall.Add(50 * time.Millisecond)
		muxed(t, m, &last)
		require.WithinDuration(t, zero.Add(c.seen+50*time.Millisecond), m.zero, time.Millisecond)
	}
}
