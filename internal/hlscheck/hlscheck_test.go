package hlscheck

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// good is a playlist in which nothing is wrong.
const good = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0,PART-HOLD-BACK=0.63
#EXT-X-PART-INF:PART-TARGET=0.21
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T16:00:00.000Z
#EXTINF:2.4,
7.mp4
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T16:00:02.400Z
#EXTINF:2.0,
8.mp4
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T16:00:04.400Z
#EXTINF:2.0,
9.mp4
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T16:00:06.400Z
#EXT-X-PART:DURATION=0.2,URI="10.mp4",BYTERANGE="100@0",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.05,URI="10.mp4",BYTERANGE="50@100"
#EXTINF:0.25,
10.mp4
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T16:00:06.650Z
#EXT-X-PART:DURATION=0.2,URI="11.mp4",BYTERANGE="100@0",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="11.mp4",BYTERANGE="60@100"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="11.mp4",BYTERANGE-START=160
`

func checked(text string) (*Playlist, error) {
	p, err := Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	return p, p.Check()
}

func TestGood(t *testing.T) {
	p, err := checked(good)
	require.NoError(t, err)
	require.Len(t, p.Segments, 4)
	require.Len(t, p.Next.Parts, 2)
	require.Equal(t, "init-1.mp4", p.Next.Map)
	require.NoError(t, Follows(p, p, false))
}

// TestBad: each change breaks one rule, and is found.
func TestBad(t *testing.T) {
	for _, c := range []struct{ old, new string }{
		{"#EXTM3U\n", ""},
		{"#EXTM3U", "\ufeff#EXTM3U"},
		{"#EXTM3U", "#EXTM3U\n#EXTM3U"},
		{"init-1", "init\x01"},
		{"init-1", "init\xff"},
		{"START=160\n", "START=160"},
		{"VERSION:9", "VERSION:x"},
		{"VERSION:9", "VERSION:5"},
		{"VERSION:9", "VERSION:2"},
		{"#EXT-X-TARGETDURATION:2\n", ""},
		{"#EXT-X-TARGETDURATION:2\n", "#EXT-X-TARGETDURATION:2\n#EXT-X-TARGETDURATION:2\n"},
		{"TARGETDURATION:2", "TARGETDURATION:3"}, // HOLD-BACK and CAN-SKIP-UNTIL are too short
		{"EXTINF:2.4", "EXTINF:2.5"},
		{"EXTINF:2.4,", "EXTINF:2.4"},
		{"EXTINF:2.4", "EXTINF:-2.4"},
		{"EXTINF:2.4", "EXTINF:2e0"},
		{"EXTINF:2.4,\n", "EXTINF:2.4,\n#EXT-X-DISCONTINUITY\n"},
		{"#EXTINF:2.4,\n", ""},
		{"7.mp4\n", ""},
		{"7.mp4\n", "7.mp4\n#EXT-X-MEDIA-SEQUENCE:7\n"},
		{"#EXT-X-MEDIA-SEQUENCE:7\n", "#EXT-X-MEDIA-SEQUENCE:-7\n"},
		{"#EXT-X-MAP:URI=\"init.mp4\"\n", ""},
		{"#EXT-X-MAP:URI=\"init.mp4\"", "#EXT-X-MAP:URI=init.mp4"},
		{"#EXT-X-MAP:URI=\"init.mp4\"", "#EXT-X-MAP:BYTERANGE=\"1@0\""},
		{"#EXT-X-DISCONTINUITY\n", "#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY\n"},
		{"16:00:02.400Z", "16:00:02.400"},
		{"EXT-X-PROGRAM", "EXT-X-PROGRAMME"},
		{"HOLD-BACK=6.0", "HOLD-BACK=5.9"},
		{"PART-HOLD-BACK=0.63", "PART-HOLD-BACK=0.62"},
		{",PART-HOLD-BACK=0.63", ""},
		{"CAN-SKIP-UNTIL=12.0", "CAN-SKIP-UNTIL=11.9"},
		{"CAN-SKIP-UNTIL", "CAN-SKIP-TO"},
		{"RELOAD=YES", "RELOAD=YEP"},
		{"RELOAD=YES", "RELOAD=\"YES\""},
		{"RELOAD=YES,", "RELOAD=YES,,"},
		{"#EXT-X-PART-INF:PART-TARGET=0.21\n", ""},
		{"PART-TARGET=0.21", "PART-TARGET=0.19"},
		{"PART-TARGET=0.21", "PART-TARGET=0.21,PART-TARGET=0.21"},
		{"DURATION=0.05", "DURATION=0.06"}, // not the sum
		{"50@100", "50@101"},
		{"50@100", "50"},
		{"50@100", "0@100"},
		{`DURATION=0.2,URI="11.mp4",BYTERANGE="60`, `DURATION=0.17,URI="11.mp4",BYTERANGE="60`}, // below 85 %
		{`URI="11.mp4",BYTERANGE="60`, `URI="12.mp4",BYTERANGE="60`},
		{"START=160", "START=161"},
		{`PART,URI="11.mp4"`, `PART,URI="12.mp4"`},
		{`PART,URI="11.mp4"`, `MAP,URI="11.mp4"`},
		{"START=160\n", "START=160\n#EXT-X-ENDLIST\n"},
		{"START=160\n", "START=160\n#EXTINF:1.0,\n11.mp4\n"},
		{"#EXT-X-MAP:URI=\"init.mp4\"\n", "#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n"}, // less than the boundary is left
		{"#EXT-X-MAP:URI=\"init.mp4\"\n", "#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n"},
		{"#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-PLAYLIST-TYPE:EVENT"}, // begins with 7
		{"#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-PLAYLIST-TYPE:LIVE"},
		{"7.mp4\n", "7.mp4\n#EXT-X-ENDLIST\n"},
		{"7.mp4\n", "7 a.mp4\n"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		require.NotEqual(t, good, text, "%q", c.old)
		_, err := checked(text)
		require.Error(t, err, "%q for %q", c.new, c.old)
	}
}

// TestFollows: each change of the next playlist breaks one rule.
func TestFollows(t *testing.T) {
	later := strings.NewReplacer(
		"START=160\n", "START=200\n",
		"\"60@100\"\n", "\"60@100\"\n#EXT-X-PART:DURATION=0.2,URI=\"11.mp4\",BYTERANGE=\"40@160\"\n",
	).Replace(good)
	old, err := checked(good)
	require.NoError(t, err)
	p, err := checked(later)
	require.NoError(t, err)
	require.NoError(t, Follows(old, p, false))
	require.Error(t, Follows(p, old, false), "a part has gone")
	for _, c := range []struct{ old, new string }{
		{"VERSION:9", "VERSION:10"},
		{"PART-TARGET=0.21", "PART-TARGET=0.22"},
		{"TARGETDURATION:2", "TARGETDURATION:3"},
		{"HOLD-BACK=6.0", "HOLD-BACK=7.0"},
		{"MEDIA-SEQUENCE:7", "MEDIA-SEQUENCE:6"},
		{"MEDIA-SEQUENCE:7", "MEDIA-SEQUENCE:8"},
		{"DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:0"},
		{"DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:2"},
		{"#EXT-X-DISCONTINUITY\n", ""},
		{"\n8.mp4", "\n8b.mp4"},
		{"EXTINF:2.0", "EXTINF:1.9"},
		{"EXTINF:2.0,", "EXTINF:2.0,title"},
		{"16:00:06.650Z", "16:00:06.651Z"},
		{"init-1.mp4", "init-2.mp4"},
		{"\"100@0\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.2", "\"100@0\"\n#EXT-X-PART:DURATION=0.2"},
	} {
		text := strings.Replace(later, c.old, c.new, 1)
		require.NotEqual(t, later, text, "%q", c.old)
		p, err := Parse([]byte(text))
		require.NoError(t, err)
		require.Error(t, Follows(old, p, false), "%q for %q", c.new, c.old)
	}
	hinted := *old
	hinted.Hint = &Hint{URI: "other.mp4"}
	require.Error(t, Follows(&hinted, p, false))
	ended := *p
	ended.Ended = true
	require.Error(t, Follows(&ended, p, false))
	independent := *old
	independent.Independent = false
	require.Error(t, Follows(&independent, p, false))
}

func TestTargetGrows(t *testing.T) {
	old, err := Parse([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n0\n#EXTINF:2,\n1\n#EXTINF:2,\n2\n"))
	require.NoError(t, err)
	p, err := Parse([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:2,\n0\n#EXTINF:2,\n1\n#EXTINF:2,\n2\n#EXTINF:5,\n3\n"))
	require.NoError(t, err)
	require.NoError(t, Follows(old, p, true))
	require.Error(t, Follows(old, p, false))
	require.Error(t, Follows(p, old, true))
	p.Segments[3].Duration = old.Target
	require.Error(t, Follows(old, p, true), "for nothing")
}

func TestExpand(t *testing.T) {
	old, err := Parse([]byte(good))
	require.NoError(t, err)
	delta, err := Parse([]byte(strings.Replace(good, "#EXT-X-MAP:URI=\"init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T16:00:00.000Z\n#EXTINF:2.4,\n7.mp4\n", "#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n", 1)))
	require.NoError(t, err)
	p, err := Expand(old, delta)
	require.NoError(t, err)
	require.Equal(t, old.Segments, p.Segments)
	require.Equal(t, old.Next, p.Next)
	delta.Sequence = 3
	_, err = Expand(old, delta)
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse([]byte(text))
		if err != nil {
			return
		}
		_ = p.Check()
		_ = Follows(p, p, true)
		_, _ = Expand(p, p)
	})
}
