package rtp

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// An alignment is a session of video and audio, in which audio comes late by
// some time that is not in its timestamps.
type alignment struct {
	stream testmedia.Stream
	late   time.Duration                               // audio
	before []time.Duration                             // tracks are reported on so long before their first packets
	after  time.Duration                               // tracks are reported on each second from this time on; 0: never
	wall   func(at time.Duration) time.Time            // the sender's clock
	skew   func(i int, at time.Duration) time.Duration // how wrong reports of track i are
	anchor bool
}

// run returns the frames, and by how much audio is late in them.
func (a alignment) run(t *testing.T, r *Receiver) (frames []*codec.Frame, late []time.Duration) {
	t.Helper()
	if a.wall == nil {
		a.wall = epoch.Add
	}
	s := newSender(t, a.stream.Tracks(), PacketizerOptions{Timestamp: 1<<32 - 8000, Sequence: 7})
	s.receiver(r)
	report := func(i int, at time.Duration, now time.Time) {
		wall := a.wall(at)
		if a.skew != nil {
			wall = wall.Add(a.skew(i, at))
		}
		require.NoError(t, r.RTCP(i, s.report(i, at, wall), now))
	}
	for i, d := range a.before {
		report(i, -d, epoch)
	}
	if a.anchor {
		for i := range s.packers {
			r.Anchor(i, s.packers[i].Timestamp(0), 0)
		}
	}
	sent := a.stream.Take(20 * time.Second)
	packets := s.packets(sent)
	for i := range packets {
		if packets[i].track == 1 {
			packets[i].at = packets[i].at.Add(a.late)
		}
	}
	slices.SortStableFunc(packets, func(a, b sentPacket) int { return a.at.Compare(b.at) })
	next := []time.Duration{a.after, a.after + 300*time.Millisecond} // not at once: a sender's clock may be set between
	for _, p := range packets {
		for i := range s.packers {
			if a.after > 0 && p.at.Sub(epoch) >= next[i] {
				report(i, next[i]-50*time.Millisecond, p.at)
				next[i] += time.Second
			}
		}
		frames = append(frames, take(t, r, []sentPacket{p})...)
	}
	// Frames of both tracks as they came, with what was sent.
	video, audio := ofTrack(frames, 0), ofTrack(frames, 1)
	sentVideo, sentAudio := ofTrack(sent, 0), ofTrack(sent, 1)
	require.Len(t, video, len(sentVideo))
	for i, f := range audio {
		j := min(i*len(video)/len(audio), len(video)-1)
		late = append(late, (f.PTS-sentAudio[i].PTS)-(video[j].PTS-sentVideo[j].PTS))
	}
	return frames, late
}

func TestAlignment(t *testing.T) {
	const ms = time.Millisecond
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, GOP: time.Second}
	both := []time.Duration{0, 0}
	start := stream.Take(time.Second)[0].PTS // of video, which is 0 on arrival
	for _, c := range []struct {
		name       string
		a          alignment
		begin, end time.Duration // by how much audio is late in the first frames and the last
	}{
		{"by arrival", alignment{late: 30 * ms}, 30*ms + start, 30*ms + start},
		{"by RTP-Info", alignment{late: 30 * ms, anchor: true}, 0, 0},
		{"by reports, from the first frame on", alignment{late: 230 * ms, before: both, after: time.Second}, 0, 0},
		{"by reports long ago", alignment{late: 230 * ms, before: []time.Duration{5 * time.Second, 3 * time.Second}}, 0, 0},
		{"by reports, RTP-Info does not count", alignment{late: 230 * ms, anchor: true, before: both, skew: func(i int, _ time.Duration) time.Duration { return time.Duration(i) * 50 * ms }}, 50 * ms, 50 * ms},
		{"by later reports", alignment{late: 230 * ms, after: 3 * time.Second}, 230*ms + start, 0},
		{"reports of one track only", alignment{late: 230 * ms, before: both[:1]}, 230*ms + start, 230*ms + start},
		{"no clock", alignment{late: 230 * ms, after: time.Second, before: both, wall: func(time.Duration) time.Time { return time.Unix(-unixEpoch, 0) }}, 230*ms + start, 230*ms + start},
		{"a clock since the start of the camera", alignment{late: 230 * ms, before: both, wall: func(d time.Duration) time.Time { return time.Unix(-unixEpoch+777, 0).Add(d) }}, 0, 0},
		{"absurd clocks", alignment{late: 230 * ms, after: time.Second, before: both, skew: func(i int, _ time.Duration) time.Duration { return time.Duration(i) * 11 * time.Second }}, 230*ms + start, 230*ms + start},
		{"inaccurate reports", alignment{late: 230 * ms, after: time.Second, before: both, skew: func(i int, at time.Duration) time.Duration {
			return time.Duration(i) * [...]time.Duration{0, 7 * ms, 14 * ms}[at/time.Second%3]
		}}, 0, 0},
		{"the clock is set by 10 years", alignment{late: 230 * ms, after: time.Second, before: both, wall: func(at time.Duration) time.Time {
			if at > 10*time.Second {
				return epoch.AddDate(10, 0, 0).Add(at)
			}
			return epoch.Add(at)
		}}, 0, 0},
		{"the clock is set by 3 s", alignment{late: 230 * ms, after: time.Second, before: both, wall: func(at time.Duration) time.Time {
			if at > 10*time.Second {
				at += 3 * time.Second
			}
			return epoch.Add(at)
		}}, 0, 0},
		{"the clock is set by 60 ms", alignment{late: 230 * ms, after: time.Second, before: both, wall: func(at time.Duration) time.Time {
			if at > 19*time.Second {
				at += 60 * ms
			}
			return epoch.Add(at)
		}}, 0, 0},
		{"a step between tracks", alignment{late: 230 * ms, after: time.Second, before: both, skew: func(i int, at time.Duration) time.Duration {
			if at > 10*time.Second {
				return time.Duration(i) * 150 * ms
			}
			return 0
		}}, 0, 150 * ms},
		{"a drift between tracks", alignment{late: 230 * ms, after: time.Second, before: both, skew: func(i int, at time.Duration) time.Duration {
			return time.Duration(i) * at / 250 // 80 ms in all
		}}, 0, 70 * ms},
		{"a step that is absurd", alignment{late: 230 * ms, after: time.Second, before: both, skew: func(i int, at time.Duration) time.Duration {
			if at > 10*time.Second {
				return time.Duration(i) * -20 * time.Second
			}
			return 0
		}}, 0, 0},
	} {
		for _, reorder := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				c.a.stream = stream
				frames, late := c.a.run(t, &Receiver{Reorder: reorder})
				for _, d := range late[:20] {
					require.InDelta(t, c.begin, d, 1e6)
				}
				tolerance := 1e6
				if c.name == "a drift between tracks" {
					tolerance = 15e6
				}
				for _, d := range late[len(late)-20:] {
					require.InDelta(t, c.end, d, tolerance)
				}
				if c.begin == c.end {
					for _, d := range late {
						require.InDelta(t, c.end, d, 1e6, "in between")
					}
				}
				last := map[int]time.Duration{1: -time.Minute, 2: -time.Minute}
				for _, f := range frames {
					require.GreaterOrEqual(t, f.DTS, last[f.Track.ID])
					require.LessOrEqual(t, f.DTS, f.PTS)
					require.False(t, f.Has(codec.FlagDiscont))
					last[f.Track.ID] = f.DTS
				}
			})
		}
	}
}

// A drift is corrected bit by bit: no step of audio is heard.
func TestAlignmentSmooth(t *testing.T) {
	a := alignment{
		stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, before: []time.Duration{0, 0}, after: time.Second,
		skew: func(i int, at time.Duration) time.Duration { return time.Duration(i) * at / 250 },
	}
	frames, _ := a.run(t, &Receiver{})
	audio := ofTrack(frames, 1)
	for i := range audio[1:] {
		require.InDelta(t, 21333*time.Microsecond, audio[i+1].PTS-audio[i].PTS, float64(21333*time.Microsecond/slew+time.Millisecond))
	}
}

// Audio before video, and the other way round.
func TestAlignmentOfOneAlone(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second}
	for first := range 2 {
		s := newSender(t, stream.Tracks(), PacketizerOptions{})
		r := s.receiver(&Receiver{})
		packets := s.packets(stream.Take(30 * time.Second))
		var frames []*codec.Frame
		for _, p := range packets {
			if p.track == first || p.frame.DTS >= 20*time.Second {
				frames = append(frames, take(t, r, []sentPacket{p})...)
			}
		}
		for _, f := range frames {
			require.Less(t, f.PTS, 30*time.Second)
		}
		second := ofTrack(frames, 1-first)
		require.InDelta(t, 20*time.Second, second[0].PTS, 25e6)
		require.False(t, second[0].Has(codec.FlagDiscont))
	}
}

// The first packets wait for reports that are on their way, not for long.
func TestSettle(t *testing.T) {
	const ms = time.Millisecond
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	for _, c := range []struct {
		name    string
		settle  time.Duration
		reports [2]time.Duration // when they come; -1: never
		late    time.Duration    // audio in the first frame
		wait    time.Duration    // for that
	}{
		{"not at all", 0, [2]time.Duration{50 * ms, 50 * ms}, 30 * ms, 0},
		{"before the packets", 100 * ms, [2]time.Duration{0, 0}, 0, 0},
		{"soon", 100 * ms, [2]time.Duration{20 * ms, 60 * ms}, 0, 60 * ms},
		{"of one track", 100 * ms, [2]time.Duration{10 * ms, -1}, 30 * ms, 100 * ms},
		{"of none", 100 * ms, [2]time.Duration{-1, -1}, 30 * ms, 100 * ms},
		{"too late", 100 * ms, [2]time.Duration{10 * ms, 300 * ms}, 30 * ms, 100 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSender(t, stream.Tracks(), PacketizerOptions{})
			r := s.receiver(&Receiver{Reorder: true, Settle: c.settle})
			packets := s.packets(stream.Take(200 * ms))
			var got []*codec.Frame
			begun := time.Duration(-1)
			for at := time.Duration(0); at < 250*ms; at += ms {
				now := epoch.Add(at)
				for i, d := range c.reports {
					if d == at {
						require.NoError(t, r.RTCP(i, s.report(i, 0, epoch), now))
					}
				}
				for len(packets) > 0 && packets[0].frame.DTS+time.Duration(packets[0].track)*30*ms <= at {
					var err error
					got, err = r.RTP(got, packets[0].track, packets[0].b, now)
					require.NoError(t, err)
					packets = packets[1:]
				}
				var next time.Time
				got, next = r.Expire(got, now)
				if len(got) > 0 && begun < 0 {
					begun = at
				}
				if len(got) == 0 {
					require.Equal(t, epoch.Add(c.settle), next)
				} else {
					require.Zero(t, next)
				}
			}
			require.Equal(t, c.wait, begun)
			require.Empty(t, packets)
			require.InDelta(t, c.late, ofTrack(got, 1)[0].PTS, 1e6)
			require.Zero(t, ofTrack(got, 0)[0].PTS)
			require.Len(t, ofTrack(got, 0), 5)
		})
	}
}

// No more wait for reports than there is room for.
func TestSettleMany(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 200_000_000}
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	r := s.receiver(&Receiver{Reorder: true, Settle: time.Hour})
	packets := s.packets(stream.Take(time.Second))
	require.Greater(t, len(packets), 2*maxWaiting)
	require.Empty(t, take(t, r, packets[:maxWaiting]))
	require.NotEmpty(t, take(t, r, packets[maxWaiting:]))

	// A track alone has nothing to wait for.
	one := testmedia.Stream{Video: codec.VP8}
	s = newSender(t, one.Tracks(), PacketizerOptions{})
	r = s.receiver(&Receiver{Reorder: true, Settle: time.Hour})
	require.Len(t, take(t, r, s.packets(one.Take(time.Second))), 25)
}

// A track that begins late is aligned to where the others are, who may have come
// faster or slower than time goes by.
func TestAlignmentOfOneLate(t *testing.T) {
	stream := testmedia.Stream{Video: codec.VP8, Audio: codec.AAC, GOP: time.Second}
	for _, speed := range []time.Duration{1, 2, 5} {
		s := newSender(t, stream.Tracks(), PacketizerOptions{})
		r := s.receiver(&Receiver{})
		var frames []*codec.Frame
		for _, p := range s.packets(stream.Take(2 * time.Minute)) {
			p.at = epoch.Add(p.frame.DTS / speed)
			if p.track == 0 || p.frame.DTS >= time.Minute {
				frames = append(frames, take(t, r, []sentPacket{p})...)
			}
		}
		audio := ofTrack(frames, 1)
		require.InDelta(t, time.Minute, audio[0].PTS, 45e6)
	}
}

// The track that the others are aligned to may begin anew: it is then aligned to
// those, which go on.
func TestAlignmentAfterReset(t *testing.T) {
	stream := testmedia.Stream{Video: codec.VP8, Audio: codec.AAC, GOP: time.Second}
	for which := range 2 {
		s := newSender(t, stream.Tracks(), PacketizerOptions{})
		s2 := newSender(t, stream.Tracks(), PacketizerOptions{SSRC: 7, Timestamp: 1e9, Sequence: 3000})
		r := s.receiver(&Receiver{})
		reset := 5 * time.Second
		reported := map[time.Duration]bool{}
		var sent, got []*codec.Frame
		for _, f := range stream.Take(10 * time.Second) {
			from, late := s, time.Duration(0)
			if f.DTS >= reset && f.Track.ID == which+1 {
				from, late = s2, 200*time.Millisecond
			}
			if second := f.DTS.Truncate(time.Second); !reported[second] {
				reported[second] = true
				for i := range s.payloads {
					by := s
					if f.DTS >= reset+time.Second && i == which { // not before its packets
						by = s2
					}
					require.NoError(t, r.RTCP(i, by.report(i, f.DTS, epoch.Add(f.DTS)), epoch.Add(f.DTS)))
				}
			}
			packets := from.packets([]*codec.Frame{f})
			for i := range packets {
				packets[i].at = packets[i].at.Add(late)
			}
			sent, got = append(sent, f), append(got, take(t, r, packets)...)
		}
		other := 1 - which
		for i, f := range ofTrack(got, other) {
			require.InDelta(t, ofTrack(sent, other)[i].PTS, f.PTS, 1e6, "the one that goes on is not moved")
		}
		a, b := ofTrack(sent, which), ofTrack(got, which)
		require.InDelta(t, a[len(a)-1].PTS, b[len(b)-1].PTS, 1e6, "the other is moved to it")
	}
}

// An anchor that makes no sense is not used.
func TestAnchor(t *testing.T) {
	track := testmedia.Track(1, codec.Opus)
	for _, c := range []struct {
		timestamp uint32
		at, want  time.Duration
	}{
		{1000, 0, 0},
		{1<<32 + 1000 - 48000, 0, time.Second},
		{1000, 3 * time.Second, 3 * time.Second},
		{1000 + 48000, time.Second, 0},
		{1000 + 48000, 0, -time.Second},
		{1<<32 + 1000 - 11*48000, 0, 0},
		{1 << 31, 0, 0},
	} {
		s := newSender(t, []*codec.Track{track}, PacketizerOptions{Timestamp: 1000})
		r := s.receiver(&Receiver{})
		r.Anchor(0, c.timestamp, c.at)
		frames := take(t, r, s.packets([]*codec.Frame{{Track: track, Data: []byte("x")}}))
		require.Equal(t, c.want, frames[0].PTS)
	}
}

// Frames tell when they were captured as soon as the sender has told.
func TestWall(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 1}
	captured := func(f *codec.Frame) time.Time { return epoch.Add(-time.Hour + f.PTS) }
	sent := map[*byte]*codec.Frame{}
	for _, begin := range []time.Duration{0, 2 * time.Second} {
		s := newSender(t, stream.Tracks(), PacketizerOptions{Timestamp: 1<<32 - 8000})
		r := s.receiver(&Receiver{})
		told := false
		for _, f := range stream.Take(4 * time.Second) {
			sent[&f.Data[0]] = f
			if f.DTS >= begin && !told {
				told = true
				for i := range s.packers {
					require.NoError(t, r.RTCP(i, s.report(i, f.DTS, epoch.Add(-time.Hour+f.DTS)), epoch))
				}
			}
			for _, got := range take(t, r, s.packets([]*codec.Frame{f})) {
				if !told {
					require.Zero(t, got.Wall)
				} else {
					require.WithinDuration(t, captured(f), got.Wall, 30*time.Microsecond)
				}
			}
		}
	}
}

// A report from before a new beginning says nothing of it; one that came before
// the new sender's first packet does.
func TestReportsAcrossResets(t *testing.T) {
	stream := testmedia.Stream{Video: codec.VP8, GOP: time.Second}
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	s2 := newSender(t, stream.Tracks(), PacketizerOptions{SSRC: 5, Timestamp: 1e9, Sequence: 9})
	frames := stream.Take(2 * time.Second)
	half := len(frames) / 2
	before := s.packets(frames[:half])
	after := s.packets(frames[half:])
	for _, c := range []struct {
		name  string
		early bool
		next  []sentPacket
	}{
		{"another sender", false, s2.packets(frames[half:])},
		{"another sender that reports first", true, s2.packets(frames[half:])},
		{"other timestamps", false, with(after, 0, 0, 1e9)},
	} {
		r := s.receiver(&Receiver{})
		require.NoError(t, r.RTCP(0, s.report(0, 0, epoch), epoch))
		for _, f := range take(t, r, before) {
			require.NotZero(t, f.Wall)
		}
		if c.early {
			require.NoError(t, r.RTCP(0, s2.report(0, 0, epoch), epoch))
		}
		got := take(t, r, c.next)
		require.NotEmpty(t, got)
		for _, f := range got {
			if c.early {
				require.WithinDuration(t, epoch.Add(f.PTS), f.Wall, 30*time.Microsecond)
			} else {
				require.Zero(t, f.Wall, c.name)
			}
		}
	}
}

// Time goes on over many wraps of timestamps and gaps.
func TestTimelineLong(t *testing.T) {
	track := testmedia.Track(1, codec.Opus)
	s := newSender(t, []*codec.Track{track}, PacketizerOptions{Timestamp: 1 << 31})
	r := s.receiver(&Receiver{})
	step := 3 * time.Hour
	for i := range 100 { // 12 wraps
		f := &codec.Frame{Track: track, PTS: time.Duration(i) * step, DTS: time.Duration(i) * step, Data: []byte("x")}
		got := take(t, r, s.packets([]*codec.Frame{f}))
		require.Len(t, got, 1)
		require.Equal(t, f.PTS, got[0].PTS)
	}
	require.Zero(t, r.Stats(0).Resets)
}
