package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
)

// A wiring makes connections for one of the two writers.
type wiring struct {
	name  string
	slow  bool                                         // waiting costs real time
	run   func(t *testing.T, body func(t *testing.T))  //
	conns func(t *testing.T) (viewer, server net.Conn) // with small buffers
}

// wirings are the goroutine's, in virtual time, and the loop's.
var wirings = []wiring{
	{
		name: "goroutine",
		run:  func(t *testing.T, body func(t *testing.T)) { synctest.Test(t, body) },
		conns: func(*testing.T) (viewer, server net.Conn) {
			return memnet.Pipe(8 << 10)
		},
	},
	{
		name: "loop", slow: true,
		run: func(t *testing.T, body func(t *testing.T)) { body(t) },
		conns: func(t *testing.T) (viewer, server net.Conn) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer ln.Close()
			viewer, err = net.Dial("tcp", ln.Addr().String())
			require.NoError(t, err)
			server, err = ln.Accept()
			require.NoError(t, err)
			require.NoError(t, viewer.(*net.TCPConn).SetReadBuffer(64<<10))
			require.NoError(t, server.(*net.TCPConn).SetWriteBuffer(32<<10))
			return viewer, server
		},
	},
}

// A watcher is a viewer's end of a delivery, and what it has read.
type watcher struct {
	net.Conn
	d    *Delivery
	done chan error // the reason of the end
	mu   sync.Mutex
	got  bytes.Buffer
	eof  chan struct{}
}

// watch starts a delivery; reading from the server's side ends it as a server would.
func (s *scene) watch(w wiring, v ViewerOptions, o DeliverOptions) *watcher {
	s.t.Helper()
	viewer, server := w.conns(s.t.(*testing.T))
	x := &watcher{Conn: viewer, done: make(chan error, 1), eof: make(chan struct{})}
	x.d = s.feed(s.play(v), textFormat(nil)).Deliver(server, o)
	go func() {
		_, err := io.Copy(io.Discard, server)
		x.done <- x.d.Close(err)
	}()
	return x
}

// read reads all there is, in pieces of up to n bytes.
func (x *watcher) read(n int) {
	defer close(x.eof)
	b := make([]byte, n)
	for {
		n, err := x.Conn.Read(b)
		x.mu.Lock()
		x.got.Write(b[:n])
		x.mu.Unlock()
		if err != nil {
			x.Conn.Close()
			return
		}
	}
}

func (x *watcher) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.got.String()
}

// has waits until what was read ends with s.
func (x *watcher) has(t *testing.T, s string) {
	t.Helper()
	until(t, s, func() bool { return strings.HasSuffix(x.text(), s) })
}

// inLoop tells whether a loop serves x.
func (x *watcher) inLoop() bool {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	return x.d.shard != nil
}

func onBoth(t *testing.T, body func(t *testing.T, w wiring)) {
	for _, w := range wirings {
		t.Run(w.name, func(t *testing.T) { w.run(t, func(t *testing.T) { body(t, w) }) })
	}
}

// TestDelivery: everybody gets the same bytes, all of them, however they read.
func TestDelivery(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video, audio)
		var viewers []*watcher
		for i := range 12 {
			x := s.watch(w, ViewerOptions{MaxLag: time.Hour}, DeliverOptions{
				Prefix: []byte("prefix\n"), Header: func(h []byte) []byte { return append([]byte("my "), h...) },
				Trailer: []byte("bye\n"), Framed: i%2 == 1, MergeWindow: time.Duration(i%3) * 10 * ms,
			})
			viewers = append(viewers, x)
			go x.read([]int{3, 17, 4096, 65536}[i%4])
		}
		want := [2]strings.Builder{}
		for n := range 300 {
			f, a := frame(video, n, n%25 == 0), frame(audio, n, true)
			f.Data = make([]byte, 100+n*3)
			s.write(p, f, a)
			for i, mark := range []string{"", "ws "} {
				want[i].WriteString(mark + textLine(f) + mark + textLine(a))
			}
			if n%10 == 0 {
				time.Sleep(ms)
			}
		}
		require.NoError(t, p.Close())
		for i, x := range viewers {
			<-x.eof
			require.Equal(t, io.EOF, <-x.done)
			if got := x.text(); got != "prefix\nmy header 1=01 2=02\n"+want[i%2].String()+"bye\n" {
				t.Fatalf("viewer %d got %d bytes, beginning %q", i, len(got), got[:100])
			}
			require.Error(t, x.d.Control([]byte("late")))
		}
	})
}

// TestDeliveryControl writes replies between packets while a viewer is slow.
func TestDeliveryControl(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		x := s.watch(w, ViewerOptions{MaxLag: time.Hour}, DeliverOptions{})
		go x.read(8000)
		x.has(t, "header 1=01\n")
		require.NoError(t, x.d.Control([]byte("pong first\n")))
		x.has(t, "pong first\n")
		const frames = 300
		var work sync.WaitGroup
		work.Go(func() {
			for i := range frames {
				require.NoError(t, x.d.Control([]byte(fmt.Sprintf("pong %d\n", i))))
				time.Sleep(ms / 10)
			}
		})
		for n := range frames {
			f := frame(video, n, n%25 == 0)
			f.Data = make([]byte, 2000)
			s.write(p, f)
			time.Sleep(ms / 10)
		}
		work.Wait()
		until(t, "all", func() bool { return strings.Count(x.text(), "\n") == 2+2*frames })
		require.NoError(t, p.Close())
		<-x.eof
		<-x.done
		pongs, packets := 0, 0
		for line := range strings.Lines(x.text()) {
			switch {
			case strings.HasPrefix(line, "pong first"), strings.HasPrefix(line, "header"):
			case strings.HasPrefix(line, "pong"):
				require.Equal(t, fmt.Sprintf("pong %d\n", pongs), line)
				pongs++
			default:
				f := frame(video, packets, packets%25 == 0)
				f.Data = make([]byte, 2000)
				require.Equal(t, textLine(f), line)
				packets++
			}
		}
	})
}

func TestDeliveryControlFlood(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		s.publish(video)
		x := s.watch(w, ViewerOptions{}, DeliverOptions{})
		defer x.Conn.Close()
		var err error
		for n := 0; err == nil; n++ {
			err = x.d.Control(make([]byte, 1<<10))
			require.Less(t, n, 100_000)
		}
		require.ErrorIs(t, err, ErrStalled)
		require.ErrorIs(t, <-x.done, ErrStalled)
	})
}

func TestDeliveryPause(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		x := s.watch(w, ViewerOptions{}, DeliverOptions{Trailer: []byte("bye\n")})
		go x.read(1000)
		s.write(p, frame(video, 0, true), frame(video, 1, false))
		x.has(t, "40:1-\n")
		x.d.Pause(true)
		require.NoError(t, x.d.Control([]byte("paused\n")))
		x.has(t, "paused\n")
		s.write(p, frame(video, 2, false), frame(video2, 3, true), frame(video2, 4, false))
		require.NoError(t, x.d.Control([]byte("still\n")))
		x.has(t, "paused\nstill\n")
		x.d.Pause(false)
		x.has(t, "still\nconfig 1=11\n120:1K\n160:1-\n")
		x.d.Pause(true)
		require.NoError(t, x.d.Control([]byte("again\n")))
		x.has(t, "again\n")
		s.write(p, frame(video2, 5, false))
		require.NoError(t, p.Close())
		<-x.eof
		require.Equal(t, io.EOF, <-x.done)
		require.True(t, strings.HasSuffix(x.text(), "again\nbye\n"), "the end comes to who is paused")
	})
}

// TestDeliverySlow: viewers who stop or read slowly lose what they must, the
// others nothing.
func TestDeliverySlow(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		stall := 10 * time.Second
		if w.slow {
			stall = 300 * ms
		}
		good := s.watch(w, ViewerOptions{MaxLag: time.Hour}, DeliverOptions{})
		go good.read(64 << 10)
		stops := s.watch(w, ViewerOptions{}, DeliverOptions{StallTimeout: stall})
		defer stops.Conn.Close()
		jumps := s.watch(w, ViewerOptions{MaxLag: 200 * ms}, DeliverOptions{StallTimeout: time.Hour})
		cut := s.watch(w, ViewerOptions{Slow: SlowCut, MaxLag: 200 * ms}, DeliverOptions{StallTimeout: time.Hour})
		var want strings.Builder
		want.WriteString("header 1=01\n")
		const frames = 160
		for n := range frames {
			f := frame(video, n, n%25 == 0)
			f.Data = make([]byte, 20000)
			s.write(p, f)
			want.WriteString(textLine(f))
			if w.slow {
				until(t, "the good one", func() bool { return len(good.text()) == want.Len() })
			} else {
				time.Sleep(40 * ms)
			}
		}
		require.ErrorIs(t, <-stops.done, ErrStalled)
		go jumps.read(64 << 10)
		go cut.read(64 << 10)
		require.ErrorIs(t, <-cut.done, ErrLagged)
		last := frame(video, frames, true)
		s.write(p, last)
		want.WriteString(textLine(last))
		jumps.has(t, textLine(last))
		require.NoError(t, p.Close())
		for _, x := range []*watcher{good, jumps} {
			<-x.eof
			require.Equal(t, io.EOF, <-x.done)
		}
		require.True(t, good.text() == want.String(), "the good one lost something")
		// Whole packets only, and a key frame after each gap.
		lines, skipped, at := 0, 0, -1
		for line := range strings.Lines(strings.TrimPrefix(jumps.text(), "header 1=01\n")) {
			require.Contains(t, want.String(), "\n"+line)
			var dts int
			_, err := fmt.Sscan(line[:strings.Index(line, ":")], &dts)
			require.NoError(t, err)
			if n := dts / 40; n != at+1 {
				require.Contains(t, line, ":1K")
				skipped += n - at - 1
			}
			at = dts / 40
			lines++
		}
		require.Equal(t, frames+1, lines+skipped)
		st := jumps.d.cursor.sub.Stats()
		require.Positive(t, st.Jumps)
		require.EqualValues(t, lines, st.Frames)
	})
}

// TestDeliveryPartial cuts a write after every byte.
func TestDeliveryPartial(t *testing.T) {
	for size := 1; size <= 64; size++ {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, StreamOptions{})
			p := s.publish(video)
			w := wiring{conns: func(*testing.T) (viewer, server net.Conn) { return memnet.Pipe(size) }}
			x := s.watch(w, ViewerOptions{}, DeliverOptions{StallTimeout: time.Second})
			want := "header 1=01\n"
			for n := range 4 {
				s.write(p, frame(video, n, n == 0))
				want += textLine(frame(video, n, n == 0))
			}
			time.Sleep(900 * ms) // a byte each, just in time
			go func() {
				for range 5 {
					b := make([]byte, 1)
					_, err := x.Conn.Read(b)
					require.NoError(t, err)
					x.mu.Lock()
					x.got.Write(b)
					x.mu.Unlock()
					time.Sleep(900 * ms)
				}
				require.NoError(t, x.d.Control([]byte("pong\n")))
				x.read(3)
			}()
			until(t, "all", func() bool { return len(x.text()) == len(want)+5 })
			require.NoError(t, p.Close())
			<-x.eof
			require.Equal(t, want, strings.Replace(x.text(), "pong\n", "", 1))
			require.True(t, strings.HasPrefix(x.text(), "pong") || strings.Contains(x.text(), "\npong\n"), "in mid-packet")
		})
	}
}

// A writeCounter counts the writes to a connection.
type writeCounter struct {
	*memnet.Conn
	writes atomic.Int64
}

func (c *writeCounter) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// TestDeliveryBatches counts writes: ten seconds with 25 video frames a second,
// and an audio frame 10 ms after each.
func TestDeliveryBatches(t *testing.T) {
	for _, c := range []struct {
		name     string
		window   time.Duration
		video    bool
		min, max int64
		delay    time.Duration // of an audio frame, when no video comes
	}{
		{"a video frame each", 0, true, 250, 252, 50 * ms},
		{"merged", 100 * ms, true, 80, 101, 100 * ms},
		{"merged more", 300 * ms, true, 28, 35, 300 * ms},
		{"audio only", 0, false, 250, 252, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, StreamOptions{})
				p := s.publish(audio)
				if c.video {
					require.NoError(t, p.Close())
					p = s.publish(video, audio)
				}
				viewer, server := memnet.Pipe(0)
				counter := &writeCounter{Conn: server}
				d := s.feed(s.play(ViewerOptions{}), textFormat(nil)).Deliver(counter, DeliverOptions{MergeWindow: c.window})
				var last time.Time
				go func() {
					b := make([]byte, 64<<10)
					for {
						if _, err := viewer.Read(b); err != nil {
							return
						}
						last = time.Now()
					}
				}()
				synctest.Wait()
				before := counter.writes.Load()
				for n := range 250 {
					if c.video {
						s.write(p, frame(video, n, n%25 == 0))
					}
					time.Sleep(10 * ms)
					s.write(p, frame(audio, n, true))
					time.Sleep(30 * ms)
				}
				time.Sleep(time.Second)
				require.GreaterOrEqual(t, counter.writes.Load()-before, c.min)
				require.LessOrEqual(t, counter.writes.Load()-before, c.max)
				wrote := time.Now()
				s.write(p, frame(audio, 300, true))
				time.Sleep(time.Second)
				synctest.Wait()
				require.Equal(t, c.delay, last.Sub(wrote))
				d.Close(nil)
				viewer.Close()
			})
		})
	}
}

func TestDeliveryKick(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		for _, reads := range []bool{true, false} {
			for _, slow := range []SlowPolicy{SlowJump, SlowBlock} {
				x := s.watch(w, ViewerOptions{Slow: slow}, DeliverOptions{Trailer: []byte("bye\n")})
				if reads {
					go x.read(1000)
					x.has(t, "\n")
				}
				f := frame(video, 0, true)
				f.Data = make([]byte, 4<<20) // does not fit
				s.write(p, f)
				require.True(t, s.Kick(x.d.cursor.sub.req.ID))
				require.ErrorIs(t, <-x.done, ErrKicked)
				require.ErrorIs(t, x.d.cursor.sub.Stats().Err, ErrKicked)
				require.NotContains(t, x.text(), "bye")
				x.Conn.Close()
			}
		}
	})
}

// TestDeliveryLoop: who is up to date is served by a loop, who is not is not.
func TestDeliveryLoop(t *testing.T) {
	s := newScene(t, StreamOptions{})
	p := s.publish(video)
	w := wirings[1]
	x := s.watch(w, ViewerOptions{MaxLag: time.Hour}, DeliverOptions{})
	time.Sleep(20 * ms)
	require.False(t, x.inLoop(), "not before the first key frame")
	s.write(p, frame(video, 0, false), frame(video, 1, true))
	until(t, "the loop", x.inLoop)
	for n := 2; x.inLoop(); n++ {
		f := frame(video, n, false)
		f.Data = make([]byte, 10000)
		s.write(p, f)
		time.Sleep(ms)
		require.Less(t, n, 5000)
	}
	go x.read(64 << 10)
	until(t, "the loop again", x.inLoop)
	require.NotContains(t, x.text(), "\n0:1-")
	// The other side goes.
	x.Conn.Close()
	<-x.done
	until(t, "the loop's end", func() bool {
		shard := x.d.cursor.feed.shards[0]
		shard.mu.Lock()
		defer shard.mu.Unlock()
		return !shard.running && shard.size.Load() == 0
	})
}

// TestDeliveriesLeaveNothing connects and disconnects while a stream runs.
func TestDeliveriesLeaveNothing(t *testing.T) {
	s := newScene(t, StreamOptions{})
	s.OnEvent = nil
	p := s.publish(video)
	ctx, cancel := context.WithCancel(context.Background())
	var work, viewers sync.WaitGroup
	work.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_ = p.WriteFrame(ctx, frame(video, n, n%5 == 0))
			time.Sleep(ms)
		}
	})
	goroutines := runtime.NumGoroutine()
	for range 4 {
		viewers.Go(func() {
			for i := range 250 {
				x := s.watch(wirings[1], ViewerOptions{}, DeliverOptions{})
				if i%3 > 0 {
					b := make([]byte, 100)
					_, err := io.ReadFull(x.Conn, b[:i%100])
					require.NoError(t, err)
				}
				if i%2 == 0 {
					go x.d.Close(nil)
				}
				x.Conn.Close()
				<-x.done
			}
		})
	}
	viewers.Wait()
	until(t, "the goroutines' end", func() bool { return runtime.NumGoroutine() <= goroutines })
	require.Empty(t, s.Stream(testKey).Stats().Sessions)
	require.Empty(t, s.Stream(testKey).Stats().Feeds)
	cancel()
	work.Wait()
	require.Empty(t, openSockets(t))
}
