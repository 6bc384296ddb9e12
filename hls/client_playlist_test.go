package hls

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

var testBase = &url.URL{Scheme: "http", Host: "origin", Path: "/live/index.m3u8"}

// mediaCases are playlists that are read; check says what must be found.
var mediaCases = []struct {
	name, list string
	check      func(t *testing.T, p *remoteMedia)
}{
	{"live", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:98\n#EXT-X-DISCONTINUITY-SEQUENCE:5\n" +
		"#EXTINF:4.000,title, more\na.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:2,\nb.ts\n", func(t *testing.T, p *remoteMedia) {
		require.False(t, p.ended)
		require.Equal(t, 4*time.Second, p.target)
		require.Len(t, p.segments, 2)
		require.EqualValues(t, 98, p.segments[0].sequence)
		require.EqualValues(t, 5, p.segments[0].epoch)
		require.EqualValues(t, 6, p.segments[1].epoch)
		require.Equal(t, 2*time.Second, p.segments[1].duration)
		require.Equal(t, "b.ts", p.at(99).uri)
		require.Nil(t, p.at(97))
		require.Nil(t, p.at(100))
		require.EqualValues(t, 100, p.end())
	}},
	{"as Windows has it", "\xef\xbb\xbf#EXTM3U\r\n#EXT-X-TARGETDURATION:4\r\n#EXTINF:4,\r\na.ts\r\n#EXT-X-ENDLIST\r\n", func(t *testing.T, p *remoteMedia) {
		require.True(t, p.ended)
		require.Equal(t, "a.ts", p.segments[0].uri)
	}},
	{"nothing yet", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n", func(t *testing.T, p *remoteMedia) {
		require.Empty(t, p.segments)
		require.Zero(t, p.join())
		require.Zero(t, p.end())
	}},
	{"a long sequence number, a future version, no line end", "#EXTM3U\n#EXT-X-VERSION:99\n#EXT-X-TARGETDURATION:4.8\n#EXT-X-MEDIA-SEQUENCE:1700000000123\n#EXTINF:4,\na.ts", func(t *testing.T, p *remoteMedia) {
		require.Equal(t, uint64(1700000000123), p.segments[0].sequence)
	}},
	{"no target duration", "#EXTM3U\n#EXTINF:3.6,\na.ts\n", func(t *testing.T, p *remoteMedia) {
		require.Equal(t, 4*time.Second, p.target)
	}},
	{"initialization changes", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i0.mp4\",BYTERANGE=\"100@7\"\n#EXTINF:4,\na\n#EXT-X-MAP:URI=\"i1.mp4\"\n#EXTINF:4,\nb\n", func(t *testing.T, p *remoteMedia) {
		require.Equal(t, section{uri: "i0.mp4", from: 7, length: 100}, *p.segments[0].init)
		require.Equal(t, section{uri: "i1.mp4", length: -1}, *p.segments[1].init)
	}},
	{"ranges", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n#EXT-X-BYTERANGE:10@5\nf\n#EXT-X-BYTERANGE:20\n#EXTINF:4,\nf\n#EXTINF:4,\ng\n", func(t *testing.T, p *remoteMedia) {
		require.EqualValues(t, 5, p.segments[0].from)
		require.EqualValues(t, 15, p.segments[1].from)
		require.EqualValues(t, 20, p.segments[1].length)
		require.EqualValues(t, -1, p.segments[2].length)
	}},
	{"dates", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PROGRAM-DATE-TIME:2020-03-28T11:09:38.5Z\n#EXTINF:4,\na\n#EXTINF:4,\nb\n" +
		"#EXT-X-PROGRAM-DATE-TIME:2020-03-28T12:00:00.000+0100\n#EXTINF:4,\nc\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\nd\n#EXT-X-PROGRAM-DATE-TIME:soon\n#EXTINF:4,\ne\n", func(t *testing.T, p *remoteMedia) {
		require.True(t, p.segments[1].date.Equal(time.Date(2020, 3, 28, 11, 9, 42, 500_000_000, time.UTC)))
		require.True(t, p.segments[2].date.Equal(time.Date(2020, 3, 28, 11, 0, 0, 0, time.UTC)))
		require.Zero(t, p.segments[3].date)
		require.Zero(t, p.segments[4].date)
	}},
	{"low latency", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6.5,PART-HOLD-BACK=0.6\n#EXT-X-PART-INF:PART-TARGET=0.2\n" +
		"#EXT-X-PART:DURATION=0.2,URI=\"a\",BYTERANGE=\"10@0\"\n#EXTINF:2,\na\n#EXT-X-PART:DURATION=0.2,URI=\"b\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"b\",BYTERANGE-START=3\n#EXT-X-RENDITION-REPORT:URI=\"x\"\n", func(t *testing.T, p *remoteMedia) {
		require.Equal(t, 6500*time.Millisecond, p.holdBack)
		require.Len(t, p.segments, 1)
	}},
	{"keys", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0X1\n#EXTINF:4,\na\n#EXT-X-KEY:METHOD=AES-256,URI=\"k\"\n#EXTINF:4,\nb\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\nc\n", func(t *testing.T, p *remoteMedia) {
		require.Equal(t, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", string(p.segments[0].key.iv))
		require.ErrorIs(t, p.segments[1].key.err, source.ErrUnsupported)
		require.Nil(t, p.segments[2].key)
	}},
}

func TestParseMedia(t *testing.T) {
	for _, c := range mediaCases {
		t.Run(c.name, func(t *testing.T) {
			b, err := checkPlaylist([]byte(c.list))
			require.NoError(t, err)
			p, err := parseMedia(testBase, b)
			require.NoError(t, err)
			c.check(t, p)
		})
	}
}

// badMedia is what is refused.
var badMedia = []string{
	"", "#EXTM3", "#EXTM3U8\n", "<html>",
	"#EXTM3U\n", // neither target duration nor segments
	"#EXTM3U\n#EXT-X-TARGETDURATION:0\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:-4\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:NaN\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\na.ts\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:1e300,\na.ts\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:x,\na.ts\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:-1\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n#EXT-X-BYTERANGE:5\na.ts\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n#EXT-X-BYTERANGE:0@0\na.ts\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n#EXT-X-BYTERANGE:9223372036854775807@9223372036854775807\na.ts\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:BYTERANGE=\"4@0\"\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"a\",BYTERANGE=\"x\"\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0xxyz\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x0123456789012345678901234567890123\n",
	"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n",
	"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n",
}

func TestParseMediaRefuses(t *testing.T) {
	for _, list := range badMedia {
		b, err := checkPlaylist([]byte(list))
		if err == nil {
			_, err = parseMedia(testBase, b)
		}
		require.ErrorIs(t, err, ErrInvalid, "%q", list)
	}
}

// Where a viewer begins.
func TestJoin(t *testing.T) {
	list := func(tags string, durations ...int) *remoteMedia {
		var b strings.Builder
		b.WriteString("#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:100\n" + tags)
		for _, d := range durations {
			fmt.Fprintf(&b, "#EXTINF:%d,\na\n", d)
		}
		p, err := parseMedia(testBase, []byte(b.String()))
		require.NoError(t, err)
		return p
	}
	const ended = "#EXT-X-ENDLIST\n"
	for _, c := range []struct {
		name string
		list *remoteMedia
		want uint64
	}{
		{"three target durations from the end", list("", 4, 4, 4, 4, 4), 102},
		{"a shorter one does not do", list("", 4, 4, 3, 4, 4), 101},
		{"a short list", list("", 4, 4), 100},
		{"HOLD-BACK", list("#EXT-X-SERVER-CONTROL:HOLD-BACK=5\n", 4, 4, 4, 4, 4), 103},
		{"with an end", list(ended, 4, 4, 4, 4, 4), 100},
		{"EXT-X-START from the beginning", list(ended+"#EXT-X-START:TIME-OFFSET=5\n", 4, 4, 4, 4, 4), 101},
		{"EXT-X-START from the end", list("#EXT-X-START:TIME-OFFSET=-4.5,PRECISE=YES\n", 4, 4, 4, 4, 4), 103},
		{"EXT-X-START before the beginning", list("#EXT-X-START:TIME-OFFSET=-1000\n", 4, 4, 4, 4, 4), 100},
		{"EXT-X-START behind the end", list("#EXT-X-START:TIME-OFFSET=1000\n", 4, 4, 4, 4, 4), 104},
		{"EXT-X-START that says nothing", list("#EXT-X-START:\n", 4, 4, 4, 4, 4), 102},
	} {
		require.Equal(t, c.want, c.list.join(), c.name)
	}
}

func FuzzParseMedia(f *testing.F) {
	for _, c := range mediaCases {
		f.Add([]byte(c.list), []byte(mediaCases[0].list))
	}
	for _, list := range badMedia {
		f.Add([]byte(list), []byte(mediaCases[0].list))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		parse := func(b []byte) *remoteMedia {
			b, err := checkPlaylist(b)
			if err != nil {
				return nil
			}
			p, err := parseMedia(testBase, b)
			if err != nil {
				return nil
			}
			require.Positive(t, p.target)
			require.LessOrEqual(t, len(p.segments), maxListed)
			for i := range p.segments {
				s := &p.segments[i]
				require.Same(t, s, p.at(s.sequence))
				require.GreaterOrEqual(t, s.duration, time.Duration(0))
				require.GreaterOrEqual(t, s.from, int64(0))
				require.NotZero(t, s.length)
			}
			if len(p.segments) > 0 {
				require.NotNil(t, p.at(p.join()))
			}
			return p
		}
		p, q := parse(first), parse(second)
		if p == nil || q == nil {
			return
		}
		r := &rendition{list: p, next: p.join(), url: testBase, count: &counters{}, index: 1, log: slog.New(slog.DiscardHandler)}
		r.take(q)
		if ss := r.list.segments; len(ss) > 0 {
			require.LessOrEqual(t, r.next, r.list.end())
			require.GreaterOrEqual(t, r.next, ss[0].sequence, "what is expired is not waited for")
		}
		r.align(uint64(len(first)))
	})
}

func FuzzParseMaster(f *testing.F) {
	f.Add([]byte(master))
	for _, c := range mediaCases {
		f.Add([]byte(c.list))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		isMaster(b)
		m, err := parseMaster(b)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		vs := m.order(len(b) * 1000)
		require.Len(t, vs, len(m.variants))
		for _, v := range vs {
			require.NotEmpty(t, v.uri)
			m.audioOf(v, "en")
		}
	})
}
