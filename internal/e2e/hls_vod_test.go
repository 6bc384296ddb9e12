package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/source"
)

// serveFilms serves clips as /record/film.mp4 and so on.
func serveFilms(t *testing.T, films map[string]clip) *server {
	t.Helper()
	root := t.TempDir()
	for name, c := range films {
		path := filepath.Join(root, "record", filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		film, err := os.ReadFile(c.file(t))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, film, 0o600))
	}
	vod := &player.VOD{Root: root}
	t.Cleanup(func() { require.NoError(t, vod.Close()) })
	return serveHandler(t, &source.Hub{}, vod)
}

// filmPlaylists are the playlists of a film.
var filmPlaylists = map[string]string{"TS": "hls.m3u8", "fMP4": "hls.fmp4.m3u8"}

// TestHLSVOD shows a file by HLS to ffmpeg: all of it, picture by picture and as
// fast as it likes, and from places in the middle. (Of fragmented MP4 in HLS, its
// own too, ffmpeg shows nothing after a seek.)
func TestHLSVOD(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, gop: 60, duration: 50 * time.Second}
	s := serveFilms(t, map[string]clip{"film.mp4": c})
	want := screen(t, c.file(t)).wait()
	for form, name := range filmPlaylists {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			url := s.at("http", "record/film.mp4/"+name)
			_, _, list := curlRaw(t, url)
			require.Contains(t, list, "#EXT-X-PLAYLIST-TYPE:VOD")
			require.Contains(t, list, "#EXT-X-ENDLIST")
			require.Contains(t, list, "#EXTINF:2.400000,")
			sound := []string{"-bsf:a", "aac_adtstoasc"}
			got := projector{sound: sound}.screen(t, url)
			requireSame(t, want, got.wait(), 0)
			for _, at := range []float64{21.4, 3.3, 49.9, 37.123} {
				if form == "TS" {
					requirePictureAt(t, want, url, at)
				}
			}
		})
	}
}

// requirePictureAt checks that the first picture that ffmpeg shows from a time on
// is the one that a film has there. ffmpeg counts from the first sound, which may be
// some pictures ahead of the first picture.
func requirePictureAt(t *testing.T, film probe, url string, at float64) {
	t.Helper()
	out := start(t, "ffmpeg", "-v", "error", "-ss", fmt.Sprint(at), "-i", url,
		"-map", "0:v", "-frames:v", "1", "-pix_fmt", "yuv420p", "-f", "framemd5", "-").ok(patience)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	fields := strings.Split(lines[len(lines)-1], ",")
	require.Len(t, fields, 6, out)
	shown := slices.IndexFunc(film.packets(t, "video"), func(p probePacket) bool { return p.Hash == strings.TrimSpace(fields[5]) })
	require.InDelta(t, at*25-1.5, shown, 2.5, "at %v s", at)
}

// filmPage plays a film by hls.js, muted, and has a function that goes to another
// place in it and tells which picture is shown then.
const filmPage = `<!DOCTYPE html><video muted></video><script type="module">
import Hls from "/vendor/%s/hls.min.mjs";
const v = document.querySelector("video");
window.problems = [];
const hls = new Hls({ enableWorker: false });
hls.on(Hls.Events.ERROR, (_, data) => { // it aborts what it does not need after a seek
	if (data.details !== Hls.ErrorDetails.INTERNAL_ABORTED) problems.push(data.type + " " + data.details);
});
hls.loadSource("%s");
hls.attachMedia(v);
const bits = %d, cell = %d;
const number = ({ width, height }) => { // of the picture that is shown: v may not know yet that its size is another
	const canvas = document.createElement("canvas");
	canvas.width = width;
	canvas.height = height;
	const context = canvas.getContext("2d");
	context.drawImage(v, 0, 0, width, height);
	const { data } = context.getImageData(0, cell / 2, width, 1);
	let n = 0;
	for (let i = 0; i < bits; i++) if (data[4 * (i + 2.5) * cell + 1] > 128) n += 2 ** i;
	return n;
};
window.jump = (t) => new Promise((done, failed) => {
	const ranges = () => Array.from({ length: v.buffered.length }, (_, i) => [v.buffered.start(i), v.buffered.end(i)]);
	setTimeout(() => failed(Error(JSON.stringify({ t, ready: v.readyState, ranges: ranges(), problems }))), 20000);
	v.requestVideoFrameCallback((_, shown) => done(number(shown)));
	v.currentTime = t;
});
window.filmed = true;
</script>`

// TestHLSVODInBrowser has hls.js in Chromium go from place to place in a file, and in
// a folder with two of other sizes, and play them to the end.
func TestHLSVODInBrowser(t *testing.T) {
	vendor := filepath.Join("..", "..", "server", "console", "vendor")
	players, err := filepath.Glob(filepath.Join(vendor, "hls.js-*"))
	require.NoError(t, err)
	require.Len(t, players, 1)
	c := clip{video: "h264", audio: "aac", bframes: 2, gop: 60, numbered: true, duration: 50 * time.Second}
	part := clip{video: "h264", audio: "aac", bframes: 2, gop: 60, numbered: true, duration: 25 * time.Second}
	wide := part
	wide.size = "640x384"
	s := serveFilms(t, map[string]clip{"film.mp4": c, "show/1.mp4": part, "show/2.mp4": wide})
	site := http.NewServeMux()
	site.Handle("/vendor/", http.StripPrefix("/vendor/", http.FileServer(http.Dir(vendor))))
	site.HandleFunc("/{path...}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, filmPage, filepath.Base(players[0]), s.at("http", "record/"+r.PathValue("path")), numberBits, cellSize)
	})
	pages := httptest.NewServer(site)
	t.Cleanup(pages.Close)
	b := startChromium(t)
	for _, path := range []string{"film.mp4/hls.m3u8", "film.mp4/hls.fmp4.m3u8", "film.mp4/index.m3u8", "show/hls.m3u8", "show/hls.fmp4.m3u8"} {
		tb := b.open(pages.URL+"/"+path, "")
		eventually(t, func() bool {
			var ready bool
			tb.eval(`Boolean(window.filmed) && document.querySelector("video").readyState >= 2`, &ready)
			return ready
		}, "%s begins: %v", path, tb.errors())
		var length float64
		tb.eval(`document.querySelector("video").duration`, &length)
		require.InDelta(t, 50, length, 0.2, path)
		for _, at := range []float64{30.02, 7.02, 44.5, 2.42, 21.1} {
			var number, width int
			tb.eval(fmt.Sprintf("jump(%v)", at), &number)
			tb.eval(`document.querySelector("video").videoWidth`, &width)
			want, size := at*25-2.5, 320 // B-frames delay all by two pictures
			if strings.HasPrefix(path, "show") && at > 25 {
				want, size = want-25*25-3, 640 // the first lasts until its last picture has been shown
			}
			require.InDelta(t, want, number, 2, "%s at %v s", path, at)
			require.Equal(t, size, width, "%s at %v s", path, at)
		}
		tb.eval(`document.querySelector("video").currentTime = 47`, nil)
		tb.eval(`document.querySelector("video").play()`, nil)
		eventually(t, func() bool {
			var ended bool
			tb.eval(`document.querySelector("video").ended`, &ended)
			return ended
		}, "%s ends", path)
		var problems []string
		tb.eval("problems", &problems)
		require.Empty(t, problems, path)
		require.Empty(t, filtered(tb.errors()), path)
	}
}

// filtered leaves out that a page has no icon.
func filtered(errors []string) (rest []string) {
	icon := regexp.MustCompile(`favicon\.ico$`)
	for _, e := range errors {
		if !icon.MatchString(e) {
			rest = append(rest, e)
		}
	}
	return rest
}
