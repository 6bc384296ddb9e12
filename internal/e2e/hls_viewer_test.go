package e2e

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	web "github.com/mediakit-go/mediakit/server"
)

// A curl is a client with cookies of its own.
type curl struct {
	t   testing.TB
	jar string // file; "" keeps none
}

func newCurl(t testing.TB) *curl { return &curl{t, filepath.Join(t.TempDir(), "cookies")} }

// get fetches a URL, which must be there, and returns it and the bytes of its
// body.
func (c *curl) get(url string) (body string, size int) {
	c.t.Helper()
	args := []string{"-sS", "-f", "--max-time", "60", "-w", "\n%{size_download}"}
	if c.jar != "" {
		args = append(args, "-b", c.jar, "-c", c.jar)
	}
	out := start(c.t, "curl", append(args, url)...).ok(patience)
	i := strings.LastIndexByte(out, '\n')
	size, err := strconv.Atoi(out[i+1:])
	require.NoError(c.t, err)
	require.Equal(c.t, size, i)
	return out[:i], size
}

// listed returns the URIs in a playlist.
func listed(playlist string) (uris []string) {
	for line := range strings.Lines(playlist) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			uris = append(uris, line)
		}
	}
	return uris
}

// streamInfo asks the server's console for a stream.
func streamInfo(t testing.TB, s *server, name string) (info web.StreamInfo) {
	t.Helper()
	status, body := get(t, s.at("http", "api/v1/streams/"+name))
	require.Equal(t, 200, status)
	require.NoError(t, json.Unmarshal([]byte(body), &info))
	return info
}

// TestHLSViewer: whoever fetches playlists and segments with one cookie is one
// viewer, charged with what he fetched, until a minute after the last request.
// Without cookies the address and the query tell.
func TestHLSViewer(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 10 * time.Second}
	_, s := mediaserver(t)
	publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")
	of := func(schema string) (list []web.SessionInfo) {
		for _, x := range streamInfo(t, s, "live/t").Sessions {
			if x.Schema == schema && !x.Passive {
				list = append(list, x)
			}
		}
		return list
	}
	fetched := map[string]int{}
	for schema, name := range map[string]string{"hls": "live/t/hls.m3u8", "hls.fmp4": "live/t/hls.fmp4.m3u8"} {
		viewer, url := newCurl(t), s.at("http", name)
		playlist, size := viewer.get(url)
		fetched[schema] += size
		for _, uri := range listed(playlist) {
			_, size := viewer.get(s.at("http", "live/t/"+uri))
			require.Positive(t, size)
			fetched[schema] += size
		}
		_, size = viewer.get(url)
		fetched[schema] += size
		require.Len(t, of(schema), 1, "all of it was one viewer")
		require.EqualValues(t, fetched[schema], of(schema)[0].Bytes)
		require.Equal(t, 1, streamInfo(t, s, "live/t").Viewers[schema])
	}
	// The session that the multivariant playlist gives is as good as a cookie.
	plain := &curl{t: t}
	index, _ := plain.get(s.at("http", "live/t/index.m3u8"))
	require.Len(t, listed(index), 1)
	for range 2 {
		media, _ := plain.get(s.at("http", "live/t/"+listed(index)[0]))
		for _, uri := range listed(media) {
			plain.get(s.at("http", "live/t/"+uri))
		}
	}
	require.Len(t, of("hls.fmp4"), 2)
	// Others are others.
	newCurl(t).get(s.at("http", "live/t/hls.m3u8"))
	for range 2 {
		plain.get(s.at("http", "live/t/hls.m3u8?user=1"))
		plain.get(s.at("http", "live/t/hls.m3u8?user=2"))
	}
	require.Len(t, of("hls"), 4)
	within(t, 2*patience, func() bool { return len(of("hls"))+len(of("hls.fmp4")) == 0 }, "viewers who ask for nothing have gone")
}
