package rtp

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

const (
	// Sender report of SSRC 100: at 2026-05-04 03:02:01.5 UTC, timestamp 1000.
	someReport = "\x80\xc8\x00\x06\x00\x00\x00\x64" + "\xed\xa2\x8a\xa9\x80\x00\x00\x00" + "\x00\x00\x03\xe8" + "\x00\x00\x00\x01\x00\x00\x00\x02"
	someSDES   = "\x81\xca\x00\x03\x00\x00\x00\x64\x01\x04name\x00\x00"
	someBye    = "\x81\xcb\x00\x01\x00\x00\x00\x64"
)

// rtcpCases are RTCP packets of a track whose SSRC is 100.
var rtcpCases = []struct {
	name string
	wire string
	fail bool
	ntp  uint64 // the report that is taken
	bye  bool
}{
	{"nothing", "", false, 0, false},
	{"report", someReport, false, 0xeda28aa980000000, false},
	{"compound", someReport + someSDES + someBye, false, 0xeda28aa980000000, true},
	{"report of blocks", "\x81\xc8\x00\x0c" + someReport[4:] + strings.Repeat("x", 24), false, 0xeda28aa980000000, false},
	{"report of another", strings.Replace(someReport, "\x00\x64", "\x00\x65", 1), false, 0, false},
	{"report that is short", "\x80\xc8\x00\x05" + someReport[4:24], true, 0, false},
	{"report that is cut", someReport[:27], true, 0, false},
	{"header that is cut", someReport + "\x80\xca\x00", true, 0xeda28aa980000000, false},
	{"length beyond the packet", someReport + "\x80\xca\xff\xff", true, 0xeda28aa980000000, false},
	{"version 1", "\x40" + someReport[1:], true, 0, false},
	{"RTP", "\x80\x60\x00\x01" + strings.Repeat("x", 100), true, 0, false},
	{"receiver report", "\x80\xc9\x00\x01\x00\x00\x00\x64", false, 0, false},
	{"unknown", "\x80\xcf\x00\x01\x00\x00\x00\x64" + someReport, false, 0xeda28aa980000000, false},
	{"bye", someBye, false, 0, true},
	{"bye of another", "\x81\xcb\x00\x01\x00\x00\x00\x65", false, 0, false},
	{"bye of several", "\x83\xcb\x00\x03\x00\x00\x00\x65\x00\x00\x00\x64\x00\x00\x00\x66", false, 0, true},
	{"bye with a reason", "\x81\xcb\x00\x03\x00\x00\x00\x64\x05break\x00\x00", false, 0, true},
	{"bye of nobody", "\x80\xcb\x00\x00", false, 0, false},
	{"bye of fewer than said", "\x9f\xcb\x00\x01\x00\x00\x00\x65", false, 0, false},
}

// oneTrack returns a Receiver that has received an audio packet, with SSRC 100
// and timestamp 1000, and the sender.
func oneTrack(t testing.TB) (*Receiver, *sender) {
	track := testmedia.Track(1, codec.Opus)
	s := newSender(t, []*codec.Track{track}, PacketizerOptions{Timestamp: 1000})
	r := s.receiver(&Receiver{})
	require.Len(t, take(t, r, s.packets([]*codec.Frame{{Track: track, Data: []byte("xy")}})), 1)
	return r, s
}

func TestRTCP(t *testing.T) {
	for _, c := range rtcpCases {
		t.Run(c.name, func(t *testing.T) {
			r, _ := oneTrack(t)
			err := r.RTCP(0, []byte(c.wire), epoch)
			if c.fail {
				require.ErrorIs(t, err, ErrInvalid)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, c.ntp, r.tracks[0].report.ntp)
			require.Equal(t, c.bye, r.Goodbye())
		})
	}
}

// Whoever sends again has not left.
func TestByeAndBack(t *testing.T) {
	r, s := oneTrack(t)
	require.NoError(t, r.RTCP(0, []byte(someBye), epoch))
	require.True(t, r.Goodbye())
	take(t, r, s.packets([]*codec.Frame{{Track: r.Tracks()[0], PTS: time.Second, Data: []byte("xy")}}))
	require.False(t, r.Goodbye())
}

// All tracks that were sent must have ended.
func TestByeOfTracks(t *testing.T) {
	stream := testmedia.Stream{Video: codec.VP8, Audio: codec.Opus}
	s := newSender(t, stream.Tracks(), PacketizerOptions{})
	r := s.receiver(&Receiver{})
	bye := func(ssrc uint32) []byte {
		b, err := (&rtcp.Goodbye{Sources: []uint32{ssrc}}).Marshal()
		require.NoError(t, err)
		return b
	}
	packets := s.packets(stream.Take(time.Second))
	video := slices.DeleteFunc(slices.Clone(packets), func(p sentPacket) bool { return p.track != 0 })
	take(t, r, video)
	require.NoError(t, r.RTCP(0, bye(100), epoch))
	require.True(t, r.Goodbye(), "audio was never sent")
	take(t, r, slices.DeleteFunc(packets, func(p sentPacket) bool { return p.track != 1 }))
	require.False(t, r.Goodbye())
	require.NoError(t, r.RTCP(1, bye(100), epoch))
	require.False(t, r.Goodbye(), "that is not its SSRC")
	require.NoError(t, r.RTCP(1, bye(200), epoch))
	require.True(t, r.Goodbye())
}

var ntpCases = []struct {
	name string
	ntp  uint64
	now  time.Time
	want time.Time
}{
	{"now", 0xeda28aa980000000, epoch, epoch.Add(time.Second / 2)},
	{"no clock", 0, epoch, time.Time{}},
	{"since the start of the camera", 5000 << 32, epoch, time.Time{}},
	{"1970", 2208988800 << 32, epoch, time.Time{}},
	{"1999", 3155673599<<32 | 1<<32 - 1, epoch, time.Time{}},
	{"2000", 3155673600 << 32, epoch, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)},
	{"the end of era 0", 1<<64 - 1, epoch, time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)},
	{"era 1", 60 << 32, time.Date(2036, 2, 7, 0, 0, 0, 0, time.UTC), time.Date(2036, 2, 7, 6, 29, 16, 0, time.UTC)},
	{"2099", 1995000000 << 32, time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 4, 27, 13, 8, 16, 0, time.UTC)},
	{"2101", 2050000000 << 32, time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}},
}

func TestWallTime(t *testing.T) {
	for _, c := range ntpCases {
		require.Equal(t, c.want, wallTime(c.ntp, c.now), c.name)
	}
	for _, at := range []time.Time{epoch, epoch.Add(123456789), epoch.Add(999999999), time.Date(2036, 2, 7, 6, 28, 17, 5, time.UTC)} {
		require.Equal(t, at, wallTime(ntpTime(at), at))
	}
}

func TestSinceNTP(t *testing.T) {
	for _, d := range []time.Duration{0, 1, time.Millisecond, 1234567 * time.Microsecond, 300 * time.Hour} {
		for _, at := range []time.Time{epoch, time.Date(2036, 2, 7, 6, 0, 0, 0, time.UTC)} { // over the end of the era
			require.Equal(t, d, sinceNTP(ntpTime(at.Add(d)), ntpTime(at)))
			require.Equal(t, -d, sinceNTP(ntpTime(at), ntpTime(at.Add(d))))
		}
	}
}

func FuzzRTCP(f *testing.F) {
	for _, c := range rtcpCases {
		f.Add([]byte(c.wire), []byte(c.wire))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		r, s := oneTrack(t)
		for i, b := range [][]byte{a, b} {
			if err := r.RTCP(0, b, epoch.Add(time.Duration(i)*time.Second)); err != nil {
				require.ErrorIs(t, err, ErrInvalid)
			}
		}
		f := &codec.Frame{Track: r.Tracks()[0], PTS: time.Second, Data: []byte("xy")}
		require.Len(t, take(t, r, s.packets([]*codec.Frame{f})), 1, "media goes on")
		unmarshalRTCP(t, r.AppendReport(nil, 0, "name", epoch.Add(time.Minute)))
	})
}
