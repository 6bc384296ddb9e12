package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/source"
)

// An attempt is what a proxy told of its state, and when.
type attempt struct {
	status string
	state  source.RetryState
	at     time.Time
}

// A logbook has what proxies told, by their names.
type logbook struct {
	mu  sync.Mutex // guards all
	all map[string][]attempt
}

func (b *logbook) note(name, status string, s source.RetryState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[string][]attempt{}
	}
	b.all[name] = append(b.all[name], attempt{status, s, time.Now()})
}

// of returns what was told by one proxy.
func (b *logbook) of(name string) []attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[name]
}

// requireDelays checks that no attempt came earlier than the reference's law says,
// which is 2 s after a stream that had worked, and then 3 s more with each failure,
// and that none was announced for later.
func (b *logbook) requireDelays(t testing.TB, name string) {
	t.Helper()
	all := b.of(name)
	for i, a := range all {
		if a.status != "waiting" {
			continue
		}
		wait := 2 * time.Second
		wait = max(wait, time.Duration(3*a.state.Failures)*time.Second)
		require.LessOrEqual(t, a.state.Next.Sub(a.at), wait, "%s: announced after failure %d", name, a.state.Failures)
		if i+1 < len(all) {
			require.Equal(t, "connecting", all[i+1].status, name)
			require.GreaterOrEqual(t, all[i+1].at.Sub(a.at), wait-50*time.Millisecond, "%s: attempt after failure %d", name, a.state.Failures)
		}
	}
}

// A patient is a viewer who stays, whatever happens, and checks that the stream is
// one.
type patient struct {
	name   string
	frames atomic.Int64
	cancel context.CancelFunc
	done   chan error // why it ended; nil when it was told to
}

// attend starts a viewer with our client.
func attend(t testing.TB, name, url string) *patient {
	t.Helper()
	r, err := (&player.Client{Timeout: patience, ReadTimeout: patience}).Open(t.Context(), url)
	require.NoError(t, err, name)
	ctx, cancel := context.WithCancel(context.Background())
	p := &patient{name: name, cancel: cancel, done: make(chan error, 1)}
	go func() {
		err := p.watch(ctx, r)
		if ctx.Err() != nil {
			err = nil
		}
		_ = r.Close()
		p.done <- err
	}()
	t.Cleanup(cancel)
	return p
}

// watch reads frames: of each track, none is before the last one, nor far behind it.
func (p *patient) watch(ctx context.Context, r source.Reader) error {
	last := map[int]time.Duration{}
	for {
		f, err := r.ReadFrame(ctx)
		if err != nil {
			return fmt.Errorf("%s after %d frames: %w", p.name, p.frames.Load(), err)
		}
		if before, ok := last[f.Track.ID]; ok && (f.DTS < before || f.DTS > before+4*time.Second) {
			return fmt.Errorf("%s: %v at %v after one at %v", p.name, f.Track.Kind(), f.DTS, before)
		}
		last[f.Track.ID] = f.DTS
		p.frames.Add(1)
	}
}

// leave ends the watching and fails the test if it had ended, or saw something.
func (p *patient) leave(t testing.TB) {
	t.Helper()
	p.cancel()
	require.NoError(t, <-p.done)
}

// forms are how a stream can be pulled from a server, by name.
func forms(s *server, stream string) map[string]string {
	return map[string]string{
		"rtsp": s.at("rtsp", stream), "rtmp": s.at("rtmp", stream), "flv": s.at("http", stream+".live.flv"), "ws": s.at("ws", stream+".live.flv"),
		"ts": s.at("http", stream+".live.ts"), "mp4": s.at("http", stream+".live.mp4"),
		"hls": s.at("http", stream+"/hls.m3u8"), "hls.fmp4": s.at("http", stream+"/hls.fmp4.m3u8"),
	}
}

// TestProxiesSurviveTheirOrigin kills a server to which a stream is pushed and from
// which it is pulled in every way, and starts it again: both kinds of proxies come
// back at the reference's delays, viewers stay and see one stream.
func TestProxiesSurviveTheirOrigin(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 10 * time.Second}
	var log logbook
	args := []string{"-rtmp", freeAddr(t), "-rtsp", freeAddr(t), "-http", freeAddr(t)}
	process, origin := mediaserver(t, args...)

	// A film is a live stream of a hub, from where it is pushed to the origin.
	studio := &source.Hub{}
	defer studio.Close()
	films := &player.Proxies{Hub: studio}
	defer films.Close()
	film := source.Key{Vhost: source.DefaultVhost, App: "films", Stream: "1"}
	require.NoError(t, films.Add(player.Proxy{Key: film, URL: c.file(t), Loop: true}))
	pushers := &pusher.Proxies{Hub: studio, OnState: func(s pusher.ProxyStats) { log.note(s.ID, s.Status(), s.State) }}
	defer pushers.Close()
	for id, url := range map[string]string{"push by RTMP": origin.at("rtmp", "live/t"), "push by RTSP": origin.at("rtsp", "live/u")} {
		_, err := pushers.Add(pusher.Proxy{ID: id, Key: film, URL: url})
		require.NoError(t, err)
	}

	// From there it is pulled to another hub, in front of which are viewers.
	edge := &source.Hub{}
	pulls := &player.Proxies{Hub: edge, OnState: func(s player.ProxyStats) { log.note(s.Key.Stream, s.Status(), s.State) }}
	defer pulls.Close()
	s := serve(t, edge)
	keys := map[string]source.Key{}
	pulled := forms(origin, "live/t")
	pulled["rtsp.pushed"] = origin.at("rtsp", "live/u")
	for name, url := range pulled {
		keys[name] = source.Key{Vhost: source.DefaultVhost, App: "edge", Stream: name}
		require.NoError(t, pulls.Add(player.Proxy{Key: keys[name], URL: url}))
	}
	stats := func(name string) player.ProxyStats {
		st, ok := pulls.Stats(keys[name])
		require.True(t, ok)
		return st
	}
	viewers := map[string]*patient{}
	for name := range keys {
		viewers[name] = attend(t, name, s.at("rtmp", "edge/"+name))
	}
	decoder := start(t, "ffmpeg", "-v", "warning", "-progress", "pipe:1", "-stats_period", "0.2", "-i", s.url("http", "edge/rtsp"),
		"-fps_mode", "passthrough", "-af", ownClock, "-f", "null", "-")
	decoded := func() int { return lastFrame(decoder.stdout.String()) }
	watched := func(n int64) {
		t.Helper()
		before := map[string]int64{}
		for name, v := range viewers {
			before[name] = v.frames.Load()
		}
		for name, v := range viewers {
			eventually(t, func() bool { return v.frames.Load() > before[name]+n }, "%s: %d frames more", name, n)
		}
	}
	watched(50)
	eventually(t, func() bool { return decoded() > 25 }, "ffmpeg decodes")

	process.kill()
	for name := range keys {
		failures := 2
		if strings.HasPrefix(name, "hls") { // which notice late
			failures = 0
		}
		eventually(t, func() bool {
			st := stats(name)
			return st.Status() != "live" && st.State.Failures >= failures
		}, "%s: the source is away", name)
	}
	mediaserver(t, args...)
	for name := range keys {
		eventually(t, func() bool { return stats(name).Status() == "live" }, "%s: the source is back", name)
		require.EqualValues(t, 1, stats(name).State.Reconnects, name)
	}
	before := decoded()
	watched(50)
	eventually(t, func() bool { return decoded() > before+25 }, "ffmpeg decodes on")
	for name, v := range viewers {
		v.leave(t)
		log.requireDelays(t, name)
	}
	for _, st := range pushers.List() {
		require.Equal(t, "live", st.Status(), st.ID)
		require.EqualValues(t, 1, st.State.Reconnects, st.ID)
		require.Greater(t, len(log.of(st.ID)), 4)
		log.requireDelays(t, st.ID)
	}
	require.Empty(t, complaints(decoder.stderr.String()))
}

// TestProxiesOnDemand: while nobody watches nothing is pulled; the first viewer
// starts it, the last one's leaving ends it after a while, and nothing is left.
func TestProxiesOnDemand(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 10 * time.Second}
	studio := &source.Hub{}
	origin := serve(t, studio)
	films := &player.Proxies{Hub: studio}
	defer films.Close()
	film := source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"}
	require.NoError(t, films.Add(player.Proxy{Key: film, URL: c.file(t), Loop: true}))
	require.NoError(t, films.Wait(t.Context(), film))
	sessions := func() int { return len(studio.Stream(film).Stats().Sessions) }

	edge := &source.Hub{}
	pulls := &player.Proxies{Hub: edge}
	edge.OnMiss = pulls.OnMiss
	defer pulls.Close()
	s := serve(t, edge)
	kinds := forms(origin, "live/t")
	for name, url := range kinds {
		key := source.Key{App: "edge", Stream: name}
		require.NoError(t, pulls.Add(player.Proxy{Key: key, URL: url, OnDemand: true, Options: source.StreamOptions{IdleClose: time.Second}}))
	}
	status := func(name string) string {
		st, ok := pulls.Stats(source.Key{Vhost: source.DefaultVhost, App: "edge", Stream: name})
		require.True(t, ok)
		return st.Status()
	}
	require.Zero(t, origin.plays.Load(), "nobody was asked")
	for round := range 2 {
		var viewers []*patient
		for name := range kinds {
			require.Equal(t, "idle", status(name))
			for _, scheme := range []string{"rtmp", "http"} {
				viewers = append(viewers, attend(t, name, s.url(scheme, "edge/"+name)))
			}
			eventually(t, func() bool { return status(name) == "live" }, "%s is pulled", name)
		}
		for _, v := range viewers {
			eventually(t, func() bool { return v.frames.Load() > 25 }, "%s is watched", v.name)
		}
		require.LessOrEqual(t, origin.plays.Load(), int64((round+1)*len(kinds)), "one pull of each for all who watch")
		for _, v := range viewers {
			v.leave(t)
		}
		for name := range kinds {
			eventually(t, func() bool { return status(name) == "idle" }, "%s rests", name)
		}
		require.Empty(t, edge.Streams())
		if round == 0 { // HLS sessions last for a minute, whoever the player is
			eventually(t, func() bool { return sessions() <= 4 }, "the origin's viewers have left")
		}
	}
	for _, st := range pulls.List() {
		require.NoError(t, st.State.Err, st.Key)
		require.EqualValues(t, 2, st.State.Attempts, st.Key)
	}
}

// TestProxyFile shows a file under the name of a live stream, to ffmpeg.
func TestProxyFile(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 4 * time.Second}
	published := probeFile(t, "ffprobe", c.file(t))
	hub := &source.Hub{}
	s := serve(t, hub)
	viewers := []*recording{record(t, s.url("http", "any/name")), record(t, s.url("rtmp", "any/name"))}
	s.viewers(t, 2)
	films := &player.Proxies{Hub: hub}
	defer films.Close()
	require.NoError(t, films.Add(player.Proxy{Key: source.Key{App: "any", Stream: "name"}, URL: c.file(t)}))
	for _, v := range viewers {
		requireSame(t, published, probeFile(t, "ffprobe", v.wait()), 0)
	}
}

// TestPushToFFmpeg sends a stream as datagrams to ffmpeg, which keeps what comes:
// it is what was published.
func TestPushToFFmpeg(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 10 * time.Second}
	for _, scheme := range []string{"udp", "rtp"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			published, sent := load(t, c), load(t, c)
			to := scheme + "://" + freeAddr(t)
			path := filepath.Join(t.TempDir(), "got.ts")
			receiver := start(t, "ffmpeg", "-v", "error", "-analyzeduration", "2M", "-i", to, "-c", "copy", path)
			ctx, cancel := context.WithCancel(t.Context())
			var pushing sync.WaitGroup
			pushing.Go(func() {
				_ = pusher.Push(ctx, pusher.Sink(to), source.SourceFunc(func(context.Context) (source.Reader, error) { return sent, nil }))
			})
			got := recordedBy(receiver, path)
			eventually(t, func() bool { return got.size() > 100_000 }, "something comes by %s", scheme)
			receiver.signal(syscall.SIGINT)
			_ = receiver.wait(patience) // an error, by its own account
			cancel()
			pushing.Wait()
			published.requireLike(t, play(t, path)(), exactness{tick: byFLV.tick, late: true, early: anyPart})
		})
	}
}

// TestPullAndPush runs the example: a film goes to a server and to a file.
func TestPullAndPush(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 4 * time.Second}
	published := probeFile(t, "ffprobe", c.file(t))
	_, err := programs() // which takes its time
	require.NoError(t, err)
	s := serve(t, nil)
	viewer := record(t, s.url("http", "live/t"))
	s.viewers(t, 1)
	path := filepath.Join(t.TempDir(), "copy.mp4")
	p := example(t, "pull-and-push", c.file(t), s.url("rtmp", "live/t"), path)
	out := p.ok(patience)
	require.Contains(t, out, c.file(t)+": live\n")
	require.Contains(t, out, s.url("rtmp", "live/t")+": live\n")
	requireSame(t, published, probeFile(t, "ffprobe", viewer.wait()), anyPart)
	requireSame(t, published, probeFile(t, "ffprobe", path), anyPart)
}
