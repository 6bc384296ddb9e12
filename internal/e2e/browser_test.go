package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// page plays a stream with mpegts.js and reports how it goes. It comes from
// another origin than the stream, as a web site's pages do.
const page = `<!DOCTYPE html>
<video id="v" muted autoplay></video>
<script src="/mpegts.js"></script>
<script>
const url = new URLSearchParams(location.search).get("url");
const state = { loaded: true };
const player = mpegts.createPlayer({ type: "flv", isLive: true, url: url });
player.on(mpegts.Events.ERROR, (type, detail, info) => { state.error = [type, detail, info && info.msg].join(": "); });
player.on(mpegts.Events.MEDIA_INFO, (info) => { state.info = { videoCodec: info.videoCodec, audioCodec: info.audioCodec }; });
player.on(mpegts.Events.LOADING_COMPLETE, () => { state.complete = true; });
const v = document.getElementById("v");
player.attachMediaElement(v);
player.load();
player.play();
setInterval(() => {
	state.time = v.currentTime; state.width = v.videoWidth; state.height = v.videoHeight;
	if (v.getVideoPlaybackQuality) state.frames = v.getVideoPlaybackQuality().totalVideoFrames;
	if (v.error) state.error = v.error.message;
	fetch("/report", { method: "POST", body: JSON.stringify(state) });
}, 100);
</script>`

// report is what page says of itself.
type report struct {
	Loaded   bool
	Time     float64
	Width    int
	Height   int
	Frames   int
	Error    string
	Complete bool
	Info     struct{ VideoCodec, AudioCodec string }
}

// TestBrowser plays HTTP-FLV and WebSocket-FLV with mpegts.js in Chromium.
func TestBrowser(t *testing.T) {
	t.Parallel()
	script := filepath.Join(cacheDir(), "npm/node_modules/mpegts.js/dist/mpegts.js")
	if _, err := os.Stat(script); err != nil {
		without(t, "mpegts.js")
	}
	c := clip{video: "h264", audio: "aac", bframes: 2, size: "640x360", duration: 5 * time.Second}
	c.file(t)
	for _, scheme := range []string{"http", "ws"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			b := browse(t, script, s.url(scheme, "live/t"))
			eventually(t, func() bool { return b.report(t).Loaded }, "the page is there")
			pub := publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")

			var first report
			eventually(t, func() bool { first = b.report(t); return first.Width > 0 && first.Frames > 0 }, "the picture appears: %+v", &first)
			require.Equal(t, 640, first.Width)
			require.Equal(t, 360, first.Height)
			var now report
			eventually(t, func() bool { now = b.report(t); return now.Time >= first.Time+2 && now.Frames >= first.Frames+25 },
				"two more seconds are played: %+v", &now)
			require.Contains(t, now.Info.VideoCodec, "avc1")
			require.Contains(t, now.Info.AudioCodec, "mp4a")

			pub.signal(syscall.SIGINT) // which makes ffmpeg say goodbye
			eventually(t, func() bool { return b.report(t).Complete }, "the end of the stream is seen")
		})
	}
}

// A browser has one page open.
type browser struct {
	mu   sync.Mutex // guards last
	last report
}

// browse opens page in Chromium to play url.
func browse(t testing.TB, script, url string) *browser {
	t.Helper()
	b := &browser{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) })
	mux.HandleFunc("GET /mpegts.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script) })
	mux.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		var rep report
		if json.NewDecoder(r.Body).Decode(&rep) == nil {
			b.mu.Lock()
			b.last = rep
			b.mu.Unlock()
		}
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)

	// The profile is removed with the run's clips: Chromium may still write when
	// it has been told to go.
	profile, err := os.MkdirTemp(clips.dir, "chromium")
	require.NoError(t, err)
	cmd := exec.Command(find(t, "chromium"),
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--autoplay-policy=no-user-gesture-required", "--user-data-dir="+profile,
		site.URL+"/?url="+url)
	ownGroup(cmd)
	startCmd(t, cmd)
	t.Cleanup(func() { killGroup(cmd) })
	return b
}

// report returns what the page said last. An error of the page fails the test.
func (b *browser) report(t testing.TB) report {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.last.Error)
	return b.last
}
