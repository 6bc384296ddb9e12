package e2e

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// howLong returns what an environment variable says, or d.
func howLong(t *testing.T, variable string, d time.Duration) time.Duration {
	t.Helper()
	if v := os.Getenv(variable); v != "" {
		var err error
		d, err = time.ParseDuration(v)
		require.NoError(t, err)
	}
	return d
}

// TestSoak has 20 publishers, of which some are cut off and return, and 200
// viewers of every kind who come and go. What a viewer sees is what was published,
// frame by frame, and in the end nothing is left.
//
// It takes 30 s, or what MEDIAKIT_SOAK says, such as "3m".
func TestSoak(t *testing.T) {
	length := howLong(t, "MEDIAKIT_SOAK", 30*time.Second)
	before := settledHeap()
	goroutines := runtime.NumGoroutine()

	hub := &source.Hub{Options: source.StreamOptions{IdleClose: 0}}
	s := serve(t, hub)
	hub.OnMiss = func(_ context.Context, r *source.Request) (source.Source, error) {
		name, ok := strings.CutPrefix(r.Key.Stream, "of-")
		if r.Key.App != "pull" || !ok {
			return nil, source.ErrNotFound
		}
		r.Options.IdleClose = 2 * time.Second
		scheme := []string{"rtmp", "rtsp", "http"}[len(name)%3]
		return (&player.Client{Transport: rtsp.TransportTCP}).Source(s.url(scheme, "live/"+name)), nil
	}

	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	var running sync.WaitGroup
	var cuts atomic.Int64
	shows := make([]*show, 20)
	for i := range shows {
		scheme, transport := "rtmp", rtsp.TransportTCP
		switch {
		case i >= 18:
			scheme, transport = "rtsp", rtsp.TransportUDP
		case i >= 10:
			scheme = "rtsp"
		}
		x := newShow(fmt.Sprintf("%s%d", strings.Repeat("s", 1+i%3), i), uint64(i+1), length+10*time.Second)
		x.cut = i < 4
		shows[i] = x
		running.Go(func() { x.publish(ctx, t, s.url(scheme, "live/"+x.name), transport, &cuts) })
	}
	for _, x := range shows {
		eventually(t, func() bool {
			return hub.Stream(source.Key{Vhost: source.DefaultVhost, App: "live", Stream: x.name}) != nil
		}, "%s is published", x.name)
	}

	var watched, frames atomic.Int64
	for i := range 200 {
		running.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			for ctx.Err() == nil {
				x, way := shows[random.IntN(len(shows))], random.IntN(12)
				n, err := x.watch(ctx, s, way, time.Duration(2+random.IntN(8))*time.Second)
				frames.Add(int64(n))
				if !assert.NoError(t, err, "viewer %d of %s, way %d, after %d frames", i, x.name, way, n) {
					return
				}
				watched.Add(1)
			}
		})
	}

	var heaps []uint64
	for ctx.Err() == nil {
		select {
		case <-time.After(length / 6):
			heaps = append(heaps, settledHeap()>>20)
		case <-ctx.Done():
		}
	}
	running.Wait()
	t.Logf("%d times somebody watched, %d frames in all, publishers cut off %d times; MiB of heap on the way: %d",
		watched.Load(), frames.Load(), cuts.Load(), heaps)
	require.GreaterOrEqual(t, watched.Load(), int64(200))
	require.NotZero(t, cuts.Load())
	if length >= time.Minute { // before that there is nothing steady
		require.Less(t, heaps[len(heaps)-1], max(heaps[0], heaps[1])+32, "memory is steady")
	}

	hub.Close()
	clear(shows)
	eventually(t, func() bool { return len(hub.Streams()) == 0 }, "no stream is left")
	eventually(t, func() bool { return runtime.NumGoroutine() < goroutines+60 }, "servers and idle sessions are left") // of HLS, for a while
	after := settledHeap()
	t.Logf("%d KiB of heap more than before", (int64(after)-int64(before))>>10)
	require.Less(t, after, before+16<<20, "nothing much is left")
}

// settledHeap returns the bytes of live objects.
func settledHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A show is a stream whose frames are known by their content.
type show struct {
	name   string
	cut    bool // its publisher is cut off now and then
	media  testmedia.Stream
	seed   maphash.Seed
	places [4]map[uint64][]int // of frames among those of their kind, by hash; some frames are alike
}

func newShow(name string, seed uint64, length time.Duration) *show {
	x := &show{name: name, seed: maphash.MakeSeed()}
	x.media = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 250_000, FPS: 15, GOP: time.Second, Seed: seed}
	var n [4]int
	for f := range x.media.Frames() {
		if f.DTS > length {
			break
		}
		kind := f.Track.Kind()
		if x.places[kind] == nil {
			x.places[kind] = map[uint64][]int{}
		}
		hash := maphash.Bytes(x.seed, f.Data)
		x.places[kind][hash] = append(x.places[kind][hash], n[kind])
		n[kind]++
	}
	return x
}

// publish publishes the show until ctx ends.
func (x *show) publish(ctx context.Context, t *testing.T, url string, transport rtsp.Transport, cuts *atomic.Int64) {
	var conn net.Conn
	c := &pusher.Client{Transport: transport, Dial: func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
		return conn, err
	}}
	start := time.Now()
	var w source.Writer
	since := start
	for f := range x.media.Frames() {
		time.Sleep(time.Until(start.Add(f.DTS)))
		if ctx.Err() != nil {
			break
		}
		if x.cut && w != nil && time.Since(since) > 9*time.Second {
			_ = conn.Close()
			_ = w.Close()
			w = nil
			cuts.Add(1)
		}
		if w == nil {
			since = time.Now()
			var err error
			if w, err = c.Create(ctx, url, x.media.Tracks()); err != nil {
				w = nil
				if errors.Is(err, source.ErrBusy) || ctx.Err() != nil { // the server has not noticed yet
					continue
				}
				assert.NoError(t, err, "publishing %s", x.name)
				return
			}
		}
		if err := w.WriteFrame(ctx, f); err != nil {
			if ctx.Err() == nil {
				assert.NoError(t, err, "publishing %s", x.name)
			}
			break
		}
	}
	if w != nil {
		_ = w.Close()
	}
}

// watch watches the show one of 12 ways for d and returns how many frames it saw.
// It fails if they are not those that were published, all of them, in order.
func (x *show) watch(ctx context.Context, s *server, way int, d time.Duration) (n int, err error) {
	transport, lossy := rtsp.TransportTCP, false
	var url string
	live := "live/" + x.name
	switch way {
	case 0:
		url = s.url("rtmp", live)
	case 1:
		url = s.url("rtsp", live)
	case 2:
		url, transport, lossy = s.url("rtsp", live), rtsp.TransportUDP, true
	case 3:
		url = s.url("http", live)
	case 4:
		url = s.url("ws", live)
	case 5:
		url = s.at("http", live+".live.ts")
	case 6:
		url = s.at("ws", live+".live.ts")
	case 7:
		url = s.at("http", live+".live.mp4")
	case 8:
		url = s.at("ws", live+".live.mp4")
	case 9:
		url = s.at("http", live+"/hls.m3u8")
	case 10:
		url = s.at("http", live+"/hls.fmp4.m3u8")
	case 11:
		url = s.url("rtmp", "pull/of-"+x.name)
	}
	ctx, cancel := context.WithTimeout(ctx, d+5*time.Second)
	defer cancel()
	r, err := (&player.Client{Transport: transport, Timeout: patience, ReadTimeout: patience}).Open(ctx, url)
	if err != nil {
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < time.Second { // dialers look at it themselves
			return 0, nil
		}
		return 0, err
	}
	defer r.Close()
	ctx, cancel = context.WithTimeout(ctx, d)
	defer cancel()
	var at [4][]int // where it can be
	for {
		f, err := r.ReadFrame(ctx)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, io.EOF) {
				return n, nil
			}
			return n, err
		}
		n++
		kind := f.Track.Kind()
		places := x.places[kind][maphash.Bytes(x.seed, f.Data)]
		if len(places) == 0 {
			return n, fmt.Errorf("%v at %v of %d bytes is not of the show", kind, f.DTS, len(f.Data))
		}
		next := slices.DeleteFunc(slices.Clone(places), func(p int) bool { return !slices.Contains(at[kind], p-1) })
		if (x.cut || lossy) && len(next) == 0 && len(at[kind]) > 0 {
			next = slices.DeleteFunc(slices.Clone(places), func(p int) bool { return p <= at[kind][0] })
		} else if len(at[kind]) == 0 {
			next = places
		}
		if len(next) == 0 {
			return n, fmt.Errorf("%v %v follows %v", kind, places, at[kind])
		}
		at[kind] = next
	}
}
