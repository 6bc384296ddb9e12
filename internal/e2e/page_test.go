package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/pusher"
	console "github.com/mediakit-go/mediakit/server"
	"github.com/mediakit-go/mediakit/source"
)

// pageForms are the forms that the console's page plays, by the names it has for
// them.
var pageForms = []string{
	"ll-hls", "ll-hls-ts", "hls-fmp4", "hls-ts", "http-flv", "ws-flv", "http-ts", "ws-ts", "http-fmp4", "ws-fmp4",
}

// hlsForms are those that hls.js plays.
var hlsForms = pageForms[:4]

// openForms opens the page for a stream, such as "live/t", once for every form.
func openForms(b *chromium, root, name string, forms []string) map[string]*tab {
	tabs := map[string]*tab{}
	for _, form := range forms {
		tabs[form] = b.open(fmt.Sprintf("%s/#/%s?play=%s", root, name, form), observer)
	}
	return tabs
}

// requireQuiet checks that no tab has reported an error.
func requireQuiet(t testing.TB, tabs map[string]*tab) {
	t.Helper()
	for form, tb := range tabs {
		require.Empty(t, tb.errors(), form)
	}
}

// requireWaiting waits until every tab says that it waits for the stream.
func requireWaiting(t testing.TB, tabs map[string]*tab) {
	t.Helper()
	for form, tb := range tabs {
		eventually(t, func() bool { return strings.Contains(tb.look().Words, "Nobody publishes") }, "%s waits", form)
	}
}

// TestPagePlays shows what the ready server's page is for: a stream is played in
// every form a browser can, each for half a minute from its start on without a
// stall. It says how late each picture was on the screen, from the moment it was
// sent to the server on. It runs alone, and half of the forms at a time: that is
// much to ask of a busy machine.
func TestPagePlays(t *testing.T) {
	for forms := range slices.Chunk(pageForms, (len(pageForms)+1)/2) {
		t.Run(strings.Join(forms, ","), func(t *testing.T) { playForms(t, forms) })
	}
}

func playForms(t *testing.T, forms []string) {
	length := 30 * time.Second
	if testing.Short() {
		length = 5 * time.Second
	}
	b := startChromium(t)
	f := load(t, clip{video: "h264", audio: "aac", gop: 50, numbered: true, duration: 2*time.Minute + length})
	_, s := mediaserver(t)
	tabs := openForms(b, "http://"+s.addrs["http"], "live/t", forms)
	requireWaiting(t, tabs)
	w, err := pusher.Sink(s.url("rtmp", "live/t")).Create(t.Context(), f.Tracks())
	require.NoError(t, err)
	sent := make(chan error, 1)
	go func() { sent <- source.Copy(t.Context(), w, f) }()
	defer func() {
		w.Close()
		<-sent
	}()

	for _, form := range forms {
		eventually(t, func() bool { return tabs[form].look().Begun }, "%s begins: %+v", form, tabs[form])
	}
	for _, form := range forms {
		var got sighting
		within(t, length+patience, func() bool { got = tabs[form].look(); return got.Elapsed >= length.Seconds() }, "%s plays", form)
		t.Logf("%-10s %5.1f of %4.1f s, %d stalls, %4d frames, %d dropped; on the screen %s after it was sent; the page says %q",
			form, got.Advanced, got.Elapsed, len(got.Stalls), got.Frames, got.Dropped, lateness(t, f, got), got.Latency)
	}
	for _, form := range forms {
		t.Run(form, func(t *testing.T) {
			got := tabs[form].look()
			require.Empty(t, got.Stalls)
			require.GreaterOrEqual(t, got.Advanced, got.Elapsed-2)
			require.Empty(t, got.Words)
		})
	}
	requireQuiet(t, tabs)
	for _, scheme := range []string{"light", "dark"} {
		tabs[forms[len(forms)-1]].screenshot(filepath.Join(t.ArtifactDir(), scheme+".png"), 1280, 1700, scheme)
	}
}

// lateness tells how long after it was sent a picture of f is on the screen: the
// median and the most.
func lateness(t testing.TB, f *film, got sighting) string {
	t.Helper()
	require.NotEmpty(t, got.Pictures)
	var late []time.Duration
	for _, p := range got.Pictures {
		at := f.start.Add(time.Duration(p.Number) * time.Second / 25)
		late = append(late, time.UnixMicro(int64(p.Clock*1000)).Sub(at).Round(time.Millisecond))
	}
	slices.Sort(late)
	require.Positive(t, late[0], "shown before it was sent: the numbers are read wrongly")
	return fmt.Sprintf("%s, at most %s,", late[len(late)/2], late[len(late)-1])
}

// TestPageElsewhere has the page on another origin than the streams. Forms of all
// kinds play, and tell of the stream's end; when it returns they play again.
func TestPageElsewhere(t *testing.T) {
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: time.Minute}
	c.file(t)
	hub := &source.Hub{}
	s := serve(t, hub)
	site := httptest.NewServer(&console.Console{Hub: hub, RTMP: s.addrs["rtmp"], Media: s.at("http", "")})
	t.Cleanup(site.Close)
	b := startChromium(t)
	tabs := openForms(b, site.URL, "live/t", []string{"ll-hls", "hls-ts", "http-flv", "ws-ts", "http-fmp4", "ws-fmp4"})
	requireWaiting(t, tabs)
	pub := publish(t, c.file(t), s.url("rtmp", "live/t"))
	plays := func(frames int) {
		for form, tb := range tabs {
			var got sighting
			eventually(t, func() bool { got = tb.look(); return got.Words == "" && got.Frames >= frames && got.Height == 192 }, "%s plays: %+v", form, &got)
		}
	}
	plays(50)
	requireQuiet(t, tabs)
	pub.signal(syscall.SIGINT) // which makes ffmpeg say goodbye
	for form, tb := range tabs {
		var got sighting
		eventually(t, func() bool { got = tb.look(); return strings.Contains(got.Words, "has ended") }, "%s ends: %+v", form, &got)
	}
	publish(t, c.file(t), s.url("rtmp", "live/t"))
	plays(25)
}

// TestPageChanges has hls.js go on when a publisher is lost and another one with
// a picture of another size takes the name, and when one changes the size itself.
func TestPageChanges(t *testing.T) {
	small := clip{video: "h264", audio: "aac", bframes: 2, duration: 12 * time.Second}
	large := small
	large.size = "640x360"
	b := startChromium(t)
	_, s := mediaserver(t)
	both := load(t, small).then(load(t, large))

	returned := openForms(b, "http://"+s.addrs["http"], "live/returns", hlsForms)
	changed := openForms(b, "http://"+s.addrs["http"], "live/changes", hlsForms)
	requirePicture := func(tabs map[string]*tab, height, frames int) {
		for form, tb := range tabs {
			var got sighting
			eventually(t, func() bool { got = tb.look(); return got.Height == height && got.Frames >= frames && got.Words == "" }, "%s plays: %+v", form, &got)
		}
	}
	first := publish(t, small.file(t), s.url("rtmp", "live/returns"), "-stream_loop", "-1")
	requirePicture(returned, 192, 25)
	first.kill()
	second := publish(t, large.file(t), s.url("rtmp", "live/returns"), "-stream_loop", "-1")
	go push(t, both, s.url("rtmp", "live/changes"))
	requirePicture(changed, 192, 25)
	before := map[string]int{}
	for form, tb := range returned {
		before[form] = tb.look().Frames
	}
	requirePicture(returned, 360, 0)
	for form, tb := range returned {
		eventually(t, func() bool { return tb.look().Frames > before[form]+50 }, "%s goes on", form)
	}
	requirePicture(changed, 360, 0)
	second.signal(syscall.SIGINT)
	for _, tabs := range []map[string]*tab{returned, changed} {
		for form, tb := range tabs {
			var got sighting
			eventually(t, func() bool { got = tb.look(); return strings.Contains(got.Words, "has ended") }, "%s ends: %+v", form, &got)
		}
	}
}

// TestPageUse uses the page as people do: with nothing published, with names that
// are markup, by keyboard, and with a server that has gone.
func TestPageUse(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: time.Minute}
	hub := &source.Hub{}
	s := serve(t, hub)
	site := httptest.NewServer(&console.Console{Hub: hub, RTMP: s.addrs["rtmp"], RTSP: s.addrs["rtsp"], Media: s.at("http", "")})
	t.Cleanup(site.Close)
	b := startChromium(t)
	tb := b.open(site.URL, observer)
	eventually(t, func() bool { return tb.text("#summary") == "0 streams" }, "the list is there")
	for _, line := range []string{"Nothing is published yet", "-f flv rtmp://" + s.addrs["rtmp"] + "/live/test", "OBS Studio", "-f rtsp"} {
		require.Contains(t, tb.text("#view"), line)
	}

	const evil = `live/<img src=x onerror=alert(1)>"'&`
	key, err := source.ParseKey("", evil)
	require.NoError(t, err)
	pub, err := hub.Publish(t.Context(), &source.Request{ID: source.NewID(), Schema: "rtmp", Key: key})
	require.NoError(t, err)
	defer pub.Close()
	publish(t, c.file(t), s.url("rtmp", "live/door"), "-stream_loop", "-1")
	eventually(t, func() bool { return tb.text("#summary") == "2 streams" }, "two streams are published")
	eventually(t, func() bool { return strings.Contains(tb.text("#streams"), evil) }, "the name is shown as it is")

	press := func(keys ...string) {
		for _, key := range keys {
			tb.press(key)
		}
	}
	press("/", "d", "O", "o", "r")
	eventually(t, func() bool { return !strings.Contains(tb.text("#streams"), "img") }, "the search finds what is searched")
	press("Tab", "Enter")
	var got sighting
	eventually(t, func() bool { got = tb.look(); return got.Frames > 25 && got.Words == "" }, "the stream that was picked plays: %+v", &got)
	tb.eval(`(() => {
		const select = document.querySelector(".heading select");
		for (const option of select.options) {
			select.value = option.value;
			select.dispatchEvent(new Event("change"));
		}
		select.value = "ws-fmp4";
		select.dispatchEvent(new Event("change"));
	})()`, nil)
	eventually(t, func() bool { got = tb.look(); return got.Frames > 25 && got.Words == "" && got.Width > 0 }, "the last form that was chosen plays: %+v", &got)
	var urls []string
	tb.eval(`[...document.querySelectorAll(".urls input")].map((i) => i.value)`, &urls)
	require.Equal(t, []string{
		s.url("rtmp", "live/door"), s.url("rtsp", "live/door"),
		s.at("http", "live/door/index.m3u8"), s.at("http", "live/door/hls.fmp4.m3u8"), s.at("http", "live/door/hls.m3u8"),
		s.at("http", "live/door.live.flv"), s.at("ws", "live/door.live.flv"), s.at("http", "live/door.live.ts"), s.at("ws", "live/door.live.ts"),
		s.at("http", "live/door.live.mp4"), s.at("ws", "live/door.live.mp4"),
	}, urls)
	eventually(t, func() bool {
		viewers := hub.Stream(source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "door"}).Stats().Viewers
		return len(viewers) == 1
	}, "it is a viewer")

	tb.eval(`location.hash = "#/" + encodeURIComponent("live") + "/" + encodeURIComponent('<img src=x onerror=alert(1)>"\'&')`, nil)
	eventually(t, func() bool { return strings.Contains(tb.text("#view h2"), "<img src=x") }, "the name is shown as it is")
	var images int
	tb.eval(`document.querySelectorAll("img").length`, &images)
	require.Equal(t, 1, images, "the icon's")
	eventually(t, func() bool {
		return len(hub.Stream(source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "door"}).Stats().Viewers) == 0
	}, "the viewer has left")
	require.Empty(t, tb.errors())
	for _, x := range []struct {
		name, scheme  string
		width, height int
	}{{"narrow", "light", 420, 1500}, {"pending", "dark", 1280, 900}} {
		tb.screenshot(filepath.Join(t.ArtifactDir(), x.name+".png"), x.width, x.height, x.scheme)
	}

	site.CloseClientConnections()
	site.Close()
	eventually(t, func() bool { return strings.Contains(tb.text("#trouble"), "does not answer") }, "it tells that the server has gone")
}

// TestPageCodecs has the page's own reader of MP4 name the codecs of every
// initialization segment as package codec does.
func TestPageCodecs(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(&console.Console{})
	t.Cleanup(site.Close)
	b := startChromium(t)
	tb := b.open(site.URL, "")
	eventually(t, func() bool { return tb.text("#summary") == "0 streams" }, "the page is there")
	tracks := []*codec.Track{{ID: 1, Codec: codec.MPEG2Video, Width: 320, Height: 192}}
	for _, c := range []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.VP8, codec.VP9, codec.AAC, codec.Opus, codec.MP3, codec.AC3} {
		tracks = append(tracks, testmedia.Track(1, c))
	}
	for _, track := range tracks {
		mux, err := mp4.NewMuxer([]*codec.Track{track})
		require.NoError(t, err, track)
		var got string
		tb.eval(fmt.Sprintf(`(async () => {
			const { Boxes, mimeType } = await import("./mp4.js");
			const boxes = new Boxes(), init = Uint8Array.from(atob(%q), (c) => c.charCodeAt(0)), found = [];
			for (const byte of init) found.push(...boxes.push(Uint8Array.of(byte)));
			return mimeType(found.find(([name]) => name === "moov")[1]);
		})()`, base64.StdEncoding.EncodeToString(mux.Init())), &got)
		require.Equal(t, fmt.Sprintf("%s/mp4; codecs=%q", track.Kind(), track.CodecString()), got, track)
	}
}
