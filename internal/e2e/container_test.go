package e2e

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/source"
)

// A container is a form of a stream.
type container struct {
	name, suffix string
	ts, hls      bool
}

// containers are the forms in which a stream is shown over HTTP besides FLV, and
// what ffmpeg reads of them.
var containers = []container{
	{"HLS of TS", "/hls.m3u8", true, true},
	{"HLS of fMP4", "/hls.fmp4.m3u8", false, true},
	{"TS", ".live.ts", true, false},
	{"fMP4", ".live.mp4", false, false},
}

// A showing is a stream of TestContainers.
type showing struct {
	by           string // "rtmp" or "rtsp"
	video, audio string
	schemes      []string // of its viewers
}

func (w showing) String() string { return w.video + " " + w.audio + " by " + w.by }

// clip returns what is published. What is not pushed by us has a form that
// every program reads.
func (w showing) clip(d time.Duration) clip {
	c := clip{video: w.video, audio: w.audio, bframes: 2, duration: d}
	if w.g711() {
		c.form = "mkv"
	}
	return c
}

func (w showing) g711() bool { return strings.HasSuffix(w.audio, "law") }

// publish publishes the clip and returns what waits for the end of that. ffmpeg
// does unless it cannot.
func (w showing) publish(t *testing.T, s *server, c clip, name string) (wait func()) {
	switch {
	case w.by == "rtsp":
		p := publishRTSP(t, c.file(t), s.url("rtsp", name), "tcp")
		return func() { p.ok(2 * patience) }
	case w.video == "h264" && w.audio != "opus":
		p := publish(t, c.file(t), s.url("rtmp", name))
		return func() { p.ok(2 * patience) }
	}
	f := w.film(t, c.duration)
	done := make(chan error, 1)
	go func() {
		out, err := (&rtmp.Client{}).Create(t.Context(), s.url("rtmp", name), f.Tracks())
		if err == nil {
			err = source.Copy(t.Context(), out, f)
			out.Close()
		}
		done <- err
	}()
	return func() { require.NoError(t, <-done) }
}

// film returns the clip as a film.
func (w showing) film(t *testing.T, d time.Duration) *film {
	if !w.g711() {
		return load(t, w.clip(d))
	}
	return w.clip(d).spoken(t)
}

// spoken returns a clip with G.711, which MP4 files of ffmpeg cannot hold, as a film:
// its sound is cut from a file of bare samples.
func (c clip) spoken(t testing.TB) *film {
	t.Helper()
	law, d := c.audio, c.duration
	f := &film{}
	if c.audio, c.form = "", ""; c.video != "" {
		f = load(t, c)
	}
	form := map[string]string{"alaw": "al", "mulaw": "ul"}[law]
	b, err := os.ReadFile(clip{audio: law, form: form, duration: d}.file(t))
	require.NoError(t, err)
	track := codec.NewG711Track(len(f.tracks), map[string]codec.Codec{"al": codec.PCMA, "ul": codec.PCMU}[form], 8000, 1)
	f.tracks = append(f.tracks, track)
	at := time.Duration(0)
	for part := range slices.Chunk(b, 160) {
		f.frames = append(f.frames, &codec.Frame{Track: track, DTS: at, PTS: at, Flags: codec.FlagKey, Data: bytes.Clone(part)})
		at += 20 * time.Millisecond
	}
	slices.SortStableFunc(f.frames, byDTS)
	return f
}

// TestContainers publishes by RTMP and RTSP what they can carry of H.264, H.265,
// AAC, Opus and G.711, for a minute, and has all of it watched by HLS, as TS and
// as fMP4, over HTTP and HTTPS, and over WebSockets: viewers see every picture
// and hear every packet of sound that was published. It runs alone.
func TestContainers(t *testing.T) {
	d := time.Minute
	if testing.Short() {
		d = 15 * time.Second
	}
	plain, all := []string{"http"}, []string{"http", "https", "ws", "wss"}
	streams := []showing{
		{"rtmp", "h264", "aac", all},
		{"rtmp", "h264", "opus", plain},
		{"rtmp", "h264", "alaw", plain},
		{"rtmp", "h265", "aac", plain},
		{"rtmp", "h265", "opus", plain},
		{"rtmp", "h265", "mulaw", plain},
		{"rtsp", "h264", "aac", plain},
		{"rtsp", "h264", "opus", plain},
		{"rtsp", "h264", "mulaw", plain},
		{"rtsp", "h265", "aac", all},
		{"rtsp", "h265", "opus", plain},
		{"rtsp", "h265", "alaw", plain},
	}
	originals := map[clip]*screening{}
	for _, w := range streams {
		if c := w.clip(d); originals[c] == nil {
			originals[c] = screen(t, c.file(t))
		}
	}
	for _, o := range originals {
		o.wait()
	}

	hub := &source.Hub{MaxWait: 2 * patience}
	s := serveViewers(t, hub, hub, source.ViewerOptions{MaxLag: patience}) // it is much to ask of a machine
	var watchers []*watcher
	for i, w := range streams {
		for _, form := range containers {
			for _, scheme := range w.schemes {
				if !form.hls || scheme[0] == 'h' {
					watchers = append(watchers, watch(t, s, w, fmt.Sprintf("live/%d", i), form, scheme))
				}
			}
		}
	}
	s.viewers(t, len(watchers))
	var publishing []func()
	for i, w := range streams {
		publishing = append(publishing, w.publish(t, s, w.clip(d), fmt.Sprintf("live/%d", i)))
	}
	// Others come and look while it runs.
	probes := map[string]*process{}
	for i := range streams {
		for _, form := range containers {
			url := s.at("http", fmt.Sprintf("live/%d%s", i, form.suffix))
			probes[url] = start(t, "ffprobe", "-v", "error", "-show_streams", "-of", "json", url)
		}
	}
	for i, w := range streams {
		file := probeFile(t, "ffprobe", w.clip(d).file(t))
		for _, form := range containers {
			url := s.at("http", fmt.Sprintf("live/%d%s", i, form.suffix))
			t.Run(w.String()+"/probe/"+form.name, func(t *testing.T) {
				got := parseProbe(t, probes[url].ok(2*patience))
				if w.g711() && form.ts { // which is something private to ffprobe
					require.Equal(t, file.stream(t, "video").Codec, got.stream(t, "video").Codec)
					return
				}
				requireSameStreams(t, file, got)
			})
		}
	}
	for _, wait := range publishing {
		wait()
	}
	for _, v := range watchers {
		t.Run(v.of.String()+"/"+v.scheme+"/"+v.form.name, func(t *testing.T) {
			v.require(t, originals[v.of.clip(d)])
		})
	}
}

// A watcher watches a stream in a form: ffmpeg does, and our client over
// WebSockets, of which that knows nothing.
type watcher struct {
	of     showing
	form   container
	scheme string
	screen *screening
	record *recording
}

func watch(t *testing.T, s *server, w showing, name string, form container, scheme string) *watcher {
	v := &watcher{of: w, form: form, scheme: scheme}
	url := s.at(scheme, name+form.suffix+"?by="+scheme) // two players of a host that send the same are one viewer
	if scheme[0] == 'w' {
		v.record = record(t, url)
	} else {
		v.screen = v.screening(t, url)
	}
	return v
}

// screening has ffmpeg watch url.
func (v *watcher) screening(t *testing.T, url string) *screening {
	p := projector{input: []string{"-threads", "1"}, abrupt: !v.form.hls && v.record == nil}
	switch {
	case v.of.g711() && v.form.ts: // a stream type that it does not know
		p.kinds = []string{"video"}
		p.known = []string{"probed stream 1 failed", "Could not find codec parameters for stream 1", "Consider increasing the value"}
	case v.of.audio == "aac" && v.form.ts: // or every packet would begin with its ADTS header
		p.sound = []string{"-bsf:a", "aac_adtstoasc"}
	}
	return p.screen(t, url)
}

// require requires that what was seen and heard is what the original has.
func (v *watcher) require(t *testing.T, original *screening) {
	if v.record != nil {
		v.record.t = t
		v.screen = v.screening(t, v.record.wait())
	}
	v.screen.p.t = t
	want, got := original.read(), v.screen.wait()
	early, late := 0, 0
	if v.form.hls {
		late = 50 // who comes to a playlist is not at its beginning
	}
	if v.of.by == "rtsp" {
		early = forgotten
	}
	_, video := requireSamePackets(t, want, got, "video", late+3)
	switch {
	case v.of.g711() && v.form.ts:
	case v.of.g711():
		requireSound(t, original, v.screen)
	default:
		_, audio := requireSamePackets(t, want, got, "audio", 2*late+early)
		require.InDelta(t, video, audio, float64(3*time.Millisecond), "audio and video are out of step")
	}
}
