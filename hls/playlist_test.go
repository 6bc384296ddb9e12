package hls

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// addQueryCases are texts and what they are with the query q.
var addQueryCases = []struct{ text, want string }{
	{"", ""},
	{"\n", "\n"},
	{"#EXTM3U\n", "#EXTM3U\n"},
	{"a.ts\n", "a.ts?q\n"},
	{"a.ts", "a.ts?q"},
	{"a.ts\r\n", "a.ts?q\r\n"},
	{"#EXT-X-MAP:URI=\"init.mp4\"\n", "#EXT-X-MAP:URI=\"init.mp4?q\"\n"},
	{"#EXT-X-PART:DURATION=1,URI=\"a\",BYTERANGE=\"1@2\"\nb\n", "#EXT-X-PART:DURATION=1,URI=\"a?q\",BYTERANGE=\"1@2\"\nb?q\n"},
}

func TestAddQuery(t *testing.T) {
	for _, c := range addQueryCases {
		require.Equal(t, c.want, string(addQuery(nil, []byte(c.text), "q")))
	}
}

func FuzzAddQuery(f *testing.F) {
	for _, c := range addQueryCases {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := addQuery(nil, []byte(text), "q")
		if n := (len(got) - len(text)) / 2; n < 0 || n > strings.Count(text, "\n")+1 || bytes.Count(got, []byte("?q")) < n {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func TestAppendSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.000000", time.Microsecond: "0.000001", 2 * time.Second: "2.000000", 1999*time.Millisecond + 999*time.Nanosecond: "1.999000",
		time.Hour + 20*time.Millisecond: "3600.020000", -1: "0.000000",
	} {
		require.Equal(t, want, string(appendSeconds(nil, d)))
	}
}

func TestCadence(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		intervals []time.Duration
		want      time.Duration // of parts of 200 ms
	}{
		{nil, 210 * ms},
		{[]time.Duration{40 * ms}, 210 * ms},
		{[]time.Duration{33 * ms, 33 * ms, 34 * ms}, 208 * ms},                   // 6 frames of 33 ms, with room for 34
		{[]time.Duration{16 * ms, 17 * ms, 17 * ms}, 215 * ms},                   //
		{[]time.Duration{21 * ms, 21 * ms, 22 * ms}, 221 * ms},                   //
		{[]time.Duration{500 * ms}, 525 * ms},                                    // a frame is longer
		{[]time.Duration{5 * time.Second}, 5250 * ms},                            //
		{[]time.Duration{40 * ms, 40 * ms, 40 * ms, 40 * ms, 80 * ms}, 210 * ms}, // one was lost
		{[]time.Duration{20 * ms, 30 * ms, 40 * ms, 50 * ms, 60 * ms}, 400 * ms}, // as they like: 60 ms is 15 %
		{[]time.Duration{100 * ms, 200 * ms, 300 * ms}, time.Second},             //
		{[]time.Duration{time.Second, 2 * time.Second, 3 * time.Second}, 3 * time.Second},
		{[]time.Duration{time.Nanosecond}, 1 * ms * 210},
	} {
		var k cadence
		for _, d := range c.intervals {
			k.add(d)
		}
		require.Equal(t, c.want, k.target(200*ms), "%v", c.intervals)
	}
}
