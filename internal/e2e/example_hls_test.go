package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHLSExample shows a file as HLS, as examples/hls does, to one who comes while it
// runs and to one who comes late.
func TestHLSExample(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 8 * time.Second, form: "flv"}
	published := probeFile(t, "ffprobe", c.file(t))
	s := &server{addrs: map[string]string{"http": freeAddr(t)}}
	p := example(t, "hls", "-http", s.addrs["http"], c.file(t))
	listens(t, s.addrs["http"])
	url := "http://" + s.addrs["http"] + "/hls.m3u8"

	path := filepath.Join(t.TempDir(), "live.mkv")
	live := recordedBy(start(t, "ffmpeg", "-v", "error", "-y", "-i", url, "-c", "copy", "-flush_packets", "1", path), path)
	requireSameStreams(t, published, probeURL(t, "ffprobe", url))
	eventually(t, func() bool { return live.size() > 20_000 }, "it can be watched while it runs")
	p.until("the stream has ended: <nil>")
	requireDecodes(t, "ffmpeg", live.wait())
	requireDecodes(t, "ffmpeg", url)
	_, _, list := curlRaw(t, url)
	require.Contains(t, list, "#EXT-X-ENDLIST")
}
