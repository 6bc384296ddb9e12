package pusher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

var (
	errOff = errors.New("target is off")
	cam    = source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "cam"}
)

// A station is a Hub with proxies whose URLs are created by a target, and what was
// told of it.
type station struct {
	t       *testing.T
	hub     source.Hub
	proxies Proxies
	target  *target
	began   time.Time
	stop    func() // of publish

	mu     sync.Mutex // guards what follows
	states []string   // "seconds status" of every change
}

// newStation starts a station, for use in a bubble of synctest.
func newStation(t *testing.T, change func(*station)) *station {
	s := &station{t: t, target: &target{t: t}, began: time.Now(), stop: func() {}}
	s.proxies = Proxies{Hub: &s.hub, Sink: func(Proxy) source.Sink { return s.target }, OnState: s.told}
	if change != nil {
		change(s)
	}
	t.Cleanup(func() {
		s.stop()
		require.NoError(t, s.proxies.Close())
		require.NoError(t, s.hub.Close())
		require.Zero(t, s.target.open, "writers left open")
	})
	return s
}

func (s *station) told(st ProxyStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = append(s.states, fmt.Sprintf("%.0f %s", time.Since(s.began).Seconds(), st.Status()))
}

func (s *station) history() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.states, ", ")
}

func (s *station) add(p Proxy) (id string) {
	s.t.Helper()
	p.Key, p.URL = cam, "rtmp://target/live/cam"
	id, err := s.proxies.Add(p)
	require.NoError(s.t, err)
	return id
}

func (s *station) stats() ProxyStats {
	s.t.Helper()
	all := s.proxies.List()
	require.Len(s.t, all, 1)
	return all[0]
}

// shots yields a frame each 40 ms, a key frame each second.
type shots struct{ n int }

func (r *shots) Tracks() []*codec.Track { return []*codec.Track{picture} }
func (r *shots) Close() error           { return nil }

func (r *shots) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	select {
	case <-time.After(40 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	t := time.Duration(r.n) * 40 * time.Millisecond
	f := &codec.Frame{Track: picture, DTS: t, PTS: t, Data: make([]byte, 100)}
	if r.n%25 == 0 {
		f.Flags = codec.FlagKey
	}
	r.n++
	return f, nil
}

// publish publishes the stream until it is called off by s.stop.
func (s *station) publish() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		pub, err := s.hub.Publish(ctx, &source.Request{ID: source.NewID(), Key: cam})
		if err != nil {
			return
		}
		_ = pub.SetTracks([]*codec.Track{picture}, true)
		_ = source.Copy(ctx, pub, &shots{})
		_ = pub.Close()
	}()
	s.stop = func() {
		cancel()
		<-done
	}
}

// A target is a Sink that notes what is written to it.
type target struct {
	t     *testing.T
	takes time.Duration // to be created

	mu        sync.Mutex // guards what follows
	off       error      // why it cannot be created or written to
	open      int
	attempts  int
	firsts    []time.Duration // DTS of the first frame of each Writer
	last      time.Duration
	farewells int
}

func (g *target) set(off error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.off = off
}

func (g *target) Create(ctx context.Context, tracks []*codec.Track) (source.Writer, error) {
	select {
	case <-time.After(g.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attempts++
	require.Equal(g.t, []*codec.Track{picture}, tracks)
	if g.off != nil {
		return nil, g.off
	}
	g.open++
	return &written{target: g}, nil
}

type written struct {
	*target
	begun bool
}

func (w *written) WriteFrame(_ context.Context, f *codec.Frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.off != nil {
		return w.off
	}
	if !w.begun {
		require.True(w.t, f.Key())
		w.firsts = append(w.firsts, f.DTS)
		w.begun = true
	}
	w.last = f.DTS
	return nil
}

func (w *written) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	if w.off == nil {
		w.farewells++
	}
	return nil
}

// A push proxy waits for its stream, begins with the GOP, comes back at the
// reference's delays when the target was lost, and waits again when the stream has
// gone.
func TestProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		id := s.add(Proxy{})
		require.NoError(t, s.proxies.Wait(t.Context(), id), "it is idle")
		time.Sleep(time.Hour)
		require.Equal(t, "idle", s.stats().Status())
		s.publish()
		time.Sleep(10300 * time.Millisecond)
		require.NoError(t, s.proxies.Wait(t.Context(), id))
		st := s.stats()
		require.Equal(t, "live", st.Status())
		require.InDelta(t, 2500, st.BytesPerSecond, 100)
		require.InDelta(t, 25700, st.Bytes, 200)
		require.Equal(t, st.Bytes, 100*st.Frames)
		require.InDelta(t, float64(10300*time.Millisecond), float64(time.Since(st.Live)), float64(100*time.Millisecond))

		s.target.set(errOff)
		time.Sleep(12400 * time.Millisecond)
		st = s.stats()
		require.Equal(t, "waiting", st.Status())
		require.ErrorIs(t, st.State.Err, errOff)
		require.InDelta(t, float64(7600*time.Millisecond), float64(time.Until(st.State.Next)), float64(100*time.Millisecond))
		s.target.set(nil)
		time.Sleep(10 * time.Second)
		s.stop() // 32 s
		time.Sleep(10 * time.Second)
		require.Equal(t, "idle", s.stats().Status())
		require.Equal(t, 1, s.target.farewells)
		s.publish()
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, "0 connecting, 0 idle, 3600 connecting, 3600 live, 3610 waiting, 3612 connecting, 3612 waiting, 3615 connecting, 3615 waiting, 3621 connecting, 3621 waiting, 3630 connecting, 3630 live, "+
			"3633 waiting, 3635 connecting, 3635 idle, 3643 connecting, 3643 live", s.history())
		require.EqualValues(t, 2, s.stats().State.Reconnects)
		require.Equal(t, []time.Duration{0, 30 * time.Second, 0}, s.target.firsts, "each begins with the newest key frame")

		found, err := s.proxies.Delete(id)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, 2, s.target.farewells)
		require.Empty(t, s.hub.Stream(cam).Stats().Sessions)
		require.Empty(t, s.proxies.List())
		require.ErrorIs(t, s.proxies.Wait(t.Context(), id), source.ErrNotFound)
	})
}

// The stream is there first: what is pushed begins with the GOP in the Hub, not
// with the next one; also when the target takes its time, then with a newer one.
func TestProxyBeginsWithTheGOP(t *testing.T) {
	for takes, first := range map[time.Duration]time.Duration{0: 10 * time.Second, 5 * time.Second: 15 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, func(s *station) { s.target.takes = takes })
			s.publish()
			time.Sleep(10500 * time.Millisecond)
			s.add(Proxy{})
			time.Sleep(takes + 50*time.Millisecond)
			synctest.Wait()
			require.Equal(t, []time.Duration{first}, s.target.firsts)
			require.GreaterOrEqual(t, s.target.last, takes+10400*time.Millisecond)
		})
	}
}

// What ends a proxy, and with which reason.
func TestProxyEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		proxy Proxy
		off   error
		do    func(s *station)
		want  error
		after time.Duration
	}{
		{"the stream ends", Proxy{EndWithSource: true}, nil, func(s *station) { s.stop() }, io.EOF, 5 * time.Second},
		{"the target ends", Proxy{EndWithSource: true, Attempts: 1}, nil, func(s *station) { s.target.set(io.EOF) }, io.ErrUnexpectedEOF, 7 * time.Second},
		{"it fails too often", Proxy{Attempts: 3}, errOff, nil, errOff, 9 * time.Second},
		{"it cannot work", Proxy{}, source.ErrUnsupported, nil, source.ErrUnsupported, 0},
		{"kicked", Proxy{}, nil, func(s *station) { s.hub.Kick(s.hub.Stream(cam).Stats().Sessions[0].ID) }, source.ErrKicked, 5 * time.Second},
		{"the hub closes", Proxy{}, nil, func(s *station) { s.hub.Close() }, source.ErrClosed, 7 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, func(s *station) { s.target.off = c.off })
				s.publish()
				id := s.add(c.proxy)
				_, err := s.proxies.Add(Proxy{Key: cam, URL: "rtmp://target/live/cam"})
				if s.stats().State.Phase != source.RetryEnded {
					require.ErrorIs(t, err, source.ErrBusy)
				}
				if c.do != nil {
					time.Sleep(5 * time.Second)
					c.do(s)
				}
				for s.stats().State.Phase != source.RetryEnded {
					time.Sleep(10 * time.Millisecond)
				}
				require.ErrorIs(t, s.stats().State.Err, c.want)
				require.Equal(t, errors.Is(c.want, io.EOF), errors.Is(s.stats().State.Err, io.EOF))
				require.InDelta(t, float64(c.after), float64(time.Since(s.began)), float64(200*time.Millisecond))
				require.ErrorIs(t, s.proxies.Wait(t.Context(), id), c.want)
				attempts := s.target.attempts
				time.Sleep(2 * time.Minute)
				require.Equal(t, attempts, s.target.attempts)
				require.Equal(t, 1, strings.Count(s.history(), "ended"), s.history())
				s.add(Proxy{}) // another one may take its place
			})
		})
	}
}

// A proxy that does not ask for its stream does not start a pull on demand, nor
// keep it; one that does is a viewer.
func TestProxyDemand(t *testing.T) {
	for _, demand := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, func(s *station) {
				s.hub.OnMiss = func(context.Context, *source.Request) (source.Source, error) {
					return source.SourceFunc(func(context.Context) (source.Reader, error) { return &shots{}, nil }), nil
				}
			})
			id := s.add(Proxy{Demand: demand})
			time.Sleep(time.Minute)
			require.Equal(t, demand, s.stats().Status() == "live")
			require.Equal(t, demand, s.hub.Stream(cam) != nil)
			if demand {
				require.Equal(t, map[string]int{"push": 1}, s.hub.Stream(cam).Stats().Viewers)
				_, err := s.proxies.Delete(id)
				require.NoError(t, err)
				time.Sleep(time.Minute)
				require.Nil(t, s.hub.Stream(cam), "nobody wants it")
				return
			}
			r, err := s.hub.Play(t.Context(), &source.Request{Key: cam, Schema: "x"})
			require.NoError(t, err)
			time.Sleep(time.Second)
			require.Equal(t, "live", s.stats().Status())
			require.NoError(t, r.Close())
			time.Sleep(time.Minute)
			require.Equal(t, "idle", s.stats().Status())
		})
	}
}

// A target that panics fails, and is created again.
func TestProxyPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := newStation(t, func(s *station) {
			s.proxies.Sink = func(Proxy) source.Sink {
				return source.SinkFunc(func(ctx context.Context, tracks []*codec.Track) (source.Writer, error) {
					switch calls++; calls {
					case 1:
						panic("aerial is broken")
					case 2:
						return nil, nil // which panics when it is written to
					}
					return s.target.Create(ctx, tracks)
				})
			}
		})
		s.publish()
		s.add(Proxy{})
		time.Sleep(20 * time.Second)
		require.Equal(t, "live", s.stats().Status())
		require.Equal(t, 3, calls)
	})
}

// A stream that is asked for and does not come is a failure like others.
func TestProxyDemandInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		id := s.add(Proxy{Demand: true, Attempts: 2})
		require.ErrorIs(t, s.proxies.Wait(t.Context(), id), source.ErrNotFound)
		require.Equal(t, "waiting", s.stats().Status())
		time.Sleep(time.Minute)
		require.Equal(t, "ended", s.stats().Status())
		require.Zero(t, s.target.attempts)
	})
}

// The proxies of one process are those of the next.
func TestProxiesFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pushers.json")
	other := Proxy{ID: "a", Key: cam, URL: "rtsp://user:secret@target/1", Demand: true, Attempts: 3, Timeout: time.Second}
	var id string
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, func(s *station) { s.proxies.File = file })
		require.NoError(t, s.proxies.Load(), "there is no file")
		id = s.add(Proxy{})
		_, err := s.proxies.Add(other)
		require.NoError(t, err)
		_, err = s.proxies.Add(Proxy{Key: source.Key{App: "a"}, URL: "x"})
		require.ErrorIs(t, err, source.ErrBadKey)
		_, err = s.proxies.Add(Proxy{Key: cam})
		require.Error(t, err, "no URL")
	})
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, func(s *station) { s.proxies.File = file })
		require.NoError(t, s.proxies.Load())
		st, ok := s.proxies.Stats(id)
		require.True(t, ok)
		require.Equal(t, Proxy{ID: id, Key: cam, URL: "rtmp://target/live/cam"}, st.Proxy)
		st, ok = s.proxies.Stats("a")
		require.True(t, ok)
		require.Equal(t, other, st.Proxy)
		require.Len(t, s.proxies.List(), 2)
	})
	require.NotContains(t, id, "target", "an ID shows no URL")
	for _, content := range []string{"{", `[{"Key":{"App":"live","Stream":"1"}},{"Key":{"App":"live","Stream":"2"},"URL":"x"}]`} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		p := &Proxies{Hub: &source.Hub{}, File: file}
		require.Error(t, p.Load())
		require.Len(t, p.List(), strings.Count(content, "URL"), "the others are started")
		require.NoError(t, p.Close())
	}
}

func ExampleProxies() {
	hub := &source.Hub{}
	defer hub.Close()
	proxies := &Proxies{Hub: hub}
	defer proxies.Close()

	key := source.Key{App: "live", Stream: "door"}
	id, err := proxies.Add(Proxy{Key: key, URL: "rtmp://example.com/live/door"})
	fmt.Println(id, err)
	found, err := proxies.Delete(id)
	fmt.Println(found, err)
	// Output:
	// __defaultVhost__/live/door/600c0cc96925d23e <nil>
	// true <nil>
}
