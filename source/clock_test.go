package source

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
)

var clockTracks = map[byte]*codec.Track{'v': video, 'a': audio, 's': sound}

// clockCases have input and output times in ms: "v40 a31!" are a video frame at
// 40 ms and an audio frame at 31 that is a discontinuity. All are shown 80 ms later.
var clockCases = []struct {
	name    string
	mode    TimeMode
	start   time.Duration // of a publisher that came back
	in, out string
	repairs uint64
}{
	{name: "starts at 0", in: "v5000 a5010 v5040 a5031", out: "v0 a10 v40 a31"},
	{name: "one track before the first", in: "v5000 a4990 v5040 a5011", out: "v0 a0 v40 a11"},
	{name: "long steps are kept", in: "v0 v40 v3040", out: "v0 v40 v3040"},
	{name: "longer steps are jumps", in: "v0 v40 v3041 v3081", out: "v0 v40 v80 v120", repairs: 1},
	{name: "a short step back stands still", in: "v1000 v1040 v1080 v1040 v1080 v1120", out: "v0 v40 v80 v80 v80 v120", repairs: 1},
	{name: "a step back of 500 ms", in: "v1000 v1040 v540 v1080", out: "v0 v40 v40 v80", repairs: 1},
	{name: "a longer step back is a jump", in: "v1000 v1040 v539 v579", out: "v0 v40 v80 v120", repairs: 1},
	{name: "a jump of one hour forward", in: "v0 v40 v3600000 v3600040", out: "v0 v40 v80 v120", repairs: 1},
	{name: "a jump of one hour backward", in: "v3600000 v3600040 v0 v40", out: "v0 v40 v80 v120", repairs: 1},
	{name: "one frame from the future", in: "v0 v40 v3600000 v120 v160", out: "v0 v40 v80 v120 v160", repairs: 2},
	{name: "one frame from the past", in: "v10000 v10040 v0 v10120 v10160", out: "v0 v40 v80 v120 v160", repairs: 2},
	{name: "two frames from the future, too many", in: "a0 a20 a3600000 a3600020 a40 a60 a80", out: "a0 a20 a40 a60 a60 a60 a80", repairs: 3},
	{name: "wrap at 2^32", in: "v4294967240 a4294967250 v4294967280 a4294967271 v24 a4294967292 v64 a17 a38", out: "v0 a10 v40 a31 v80 a52 v120 a73 a94", repairs: 2},
	{name: "wrap at 2^24", in: "v16777176 v0 v40", out: "v0 v20 v60", repairs: 1},
	{name: "both tracks jump", in: "v0 a10 v40 a31 v3600000 a3600011 v3600040 a3600032", out: "v0 a10 v40 a31 v80 a91 v120 a112", repairs: 2},
	{name: "both tracks jump, audio first", in: "v0 a0 v40 a21 a3600000 v3600010 a3600021 v3600050", out: "v0 a0 v40 a21 a42 v52 a63 v92", repairs: 2},
	{name: "both tracks jump, back", in: "v3600000 a3600010 v3600040 a3600031 v0 a11 v40", out: "v0 a10 v40 a31 v80 a91 v120", repairs: 2},
	{name: "only audio jumps", in: "v0 a0 v40 a21 a3600000 v80 a3600021 v120", out: "v0 a0 v40 a21 a42 v80 a63 v120", repairs: 1},
	{name: "tracks with clocks of their own", in: "v0 a3600000 v40 a3600021 v80", out: "v0 a0 v40 a21 v80"},
	{name: "a declared jump: behind the last picture", in: "v0 a10 v40 a31 v3600000! a3600011 v3600040", out: "v0 a10 v40 a31 v140 a151 v180", repairs: 2},
	{name: "a declared jump of audio that is ahead", in: "v0 a0 v40 a200 v3600000! a3600011", out: "v0 a0 v40 a200 v300 a311", repairs: 2},
	{name: "a declared step is none", in: "v0 v40 v2040!", out: "v0 v40 v2040"},
	{name: "a late track", in: "v1000 v1040 v1080 a1070 a1091", out: "v0 v40 v80 a70 a91"},
	{name: "a late track with a clock of its own", in: "v0 v40 v80 a90000 a90021", out: "v0 v40 v80 a80 a101"},
	{name: "a publisher that came back", start: 10 * time.Second, in: "v0 a10 v40 a31", out: "v10000 a10010 v10040 a10031"},
	{name: "a publisher that came back, not at 0", start: 10 * time.Second, in: "v77000 a76990 v77040", out: "v10000 a10000 v10040"},
	{name: "negative times", in: "v-1000 v-960 a-950", out: "v0 v40 a50"},

	{name: "off: untouched", mode: TimeOff, in: "v5000 a3600000 v5040 a3600021 v99999999", out: "v5000 a3600000 v5040 a3600021 v99999999"},
	{name: "off: never falls", mode: TimeOff, in: "v5000 v5040 v5000 v5080 v0 v40", out: "v5000 v5040 v5040 v5080 v5080 v5080", repairs: 3},
	{name: "off: a publisher that came back goes on", mode: TimeOff, start: 10 * time.Second, in: "v0 a10 v40 a31", out: "v10000 a10010 v10040 a10031"},
	{name: "off: a publisher that came back ahead", mode: TimeOff, start: 10 * time.Second, in: "v12000 a9000 v12040", out: "v12000 a10000 v12040"},

	{name: "arrival", mode: TimeArrival, in: "v5000 a9 v0 a31", out: "v0 a1 v2 a3"}, // a frame a ms
	{name: "arrival: a publisher that came back", mode: TimeArrival, start: 10 * time.Second, in: "v5000 a9", out: "v10000 a10001"},
}

func TestClock(t *testing.T) {
	for _, c := range clockCases {
		t.Run(c.name, func(t *testing.T) {
			clock := clock{mode: c.mode, start: c.start}
			now := time.Now()
			var out []string
			for i, s := range strings.Fields(c.in) {
				number, discont := strings.CutSuffix(s[1:], "!")
				var at int64
				_, err := fmt.Sscan(number, &at)
				require.NoError(t, err)
				in := time.Duration(at) * ms
				f := &codec.Frame{Track: clockTracks[s[0]], DTS: in, PTS: in + 80*ms}
				if discont {
					f.Flags = codec.FlagDiscont
				}
				dts, pts := clock.stamp(f, now.Add(time.Duration(i)*ms))
				require.Equal(t, 80*ms, pts-dts)
				out = append(out, fmt.Sprintf("%c%d", s[0], dts/ms))
			}
			require.Equal(t, c.out, strings.Join(out, " "))
			require.Equal(t, c.repairs, clock.repairs)
		})
	}
}

func TestClockReorder(t *testing.T) {
	for _, c := range []struct{ in, out time.Duration }{
		{0, 0}, {80 * ms, 80 * ms}, {-80 * ms, -80 * ms}, {5 * time.Second, 5 * time.Second}, {-5 * time.Second, -5 * time.Second},
		{5*time.Second + 1, 0}, {-5*time.Second - 1, 0}, {time.Hour, 0}, {math.MinInt64, 0}, {math.MaxInt64, 0},
	} {
		var clock clock
		dts, pts := clock.stamp(&codec.Frame{Track: video, PTS: c.in}, time.Now())
		require.Equal(t, c.out, pts-dts, c.in)
		require.Equal(t, c.in != c.out, clock.repairs == 1)
	}
}

// TestClockMonotonic feeds a clock with anything: DTS never falls within a track.
func TestClockMonotonic(t *testing.T) {
	anything := rapid.OneOf(
		rapid.Int64Range(-1000, 100_000), rapid.Int64Range(-1<<33, 1<<33),
		rapid.SampledFrom([]int64{0, 1<<32 - 1, 1 << 32, math.MinInt64 / int64(ms), math.MaxInt64 / int64(ms)}))
	rapid.Check(t, func(t *rapid.T) {
		c := clock{mode: TimeMode(rapid.IntRange(0, 2).Draw(t, "mode"))}
		last := map[int]time.Duration{}
		now, floor := time.Now(), time.Duration(math.MinInt64)
		for range rapid.IntRange(1, 100).Draw(t, "frames") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "later")) * ms)
			if rapid.IntRange(0, 30).Draw(t, "returns") == 0 && c.end() > 0 && c.end() < math.MaxInt64/2 {
				floor = c.end()
				c = clock{mode: c.mode, start: c.end(), repairs: c.repairs}
			}
			tr := []*codec.Track{video, audio, sound}[rapid.IntRange(0, 2).Draw(t, "track")]
			in := time.Duration(anything.Draw(t, "dts")) * ms
			dts, _ := c.stamp(&codec.Frame{Track: tr, DTS: in, PTS: in}, now)
			if before, ok := last[tr.ID]; ok && dts < before {
				t.Fatalf("track %d falls from %v to %v", tr.ID, before, dts)
			}
			if dts < floor {
				t.Fatalf("track %d at %v, the publisher before ended at %v", tr.ID, dts, floor)
			}
			last[tr.ID] = dts
		}
	})
}

// TestClockUntouched feeds a clock with good input: it is moved as a whole.
func TestClockUntouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := clock{start: time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "start"))}
		at := time.Duration(rapid.Int64Range(-1<<40, 1<<60).Draw(t, "base"))
		offset := c.start - at
		last := map[int]time.Duration{}
		for range rapid.IntRange(1, 100).Draw(t, "frames") {
			tr := []*codec.Track{video, audio, sound}[rapid.IntRange(0, 2).Draw(t, "track")]
			if before, ok := last[tr.ID]; ok && at-before > maxStep {
				continue
			}
			reorder := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "reorder"))
			dts, pts := c.stamp(&codec.Frame{Track: tr, DTS: at, PTS: at + reorder}, time.Now())
			if dts != at+offset || pts != dts+reorder {
				t.Fatalf("%v, %v became %v, %v", at+offset, at+offset+reorder, dts, pts)
			}
			last[tr.ID] = at
			at += time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "step"))
		}
		if c.repairs != 0 {
			t.Fatal("repaired what was good")
		}
	})
}

// TestClockNext: who goes on begins after every picture that was shown.
func TestClockNext(t *testing.T) {
	c := clock{start: time.Second}
	require.Equal(t, time.Second, c.next(), "nothing was given out")
	now := time.Now()
	for n, late := range []int{2, 4, 1, 2} { // B frames: PTS is so many frames after DTS
		f := frame(video, n, n == 0)
		f.PTS += time.Duration(late) * 40 * ms
		c.stamp(f, now)
	}
	require.Equal(t, time.Second+5*40*ms+usualStep, c.next())
	for n := range 20 {
		c.stamp(frame(audio, n, true), now)
	}
	require.Equal(t, time.Second+19*40*ms+usualStep, c.next(), "audio is ahead")
}
