package player

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/source"
)

// A source that comes and goes: attempts come at the reference's delays, viewers
// stay within the linger time and see one stream, and later ones another.
func TestProxyPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &camera{}
		c.off.Store(true)
		s := newStudio(t, c, nil)
		s.add(t, Proxy{})
		require.ErrorIs(t, s.proxies.Wait(t.Context(), cam), errOff)
		st := s.stats(t)
		require.Equal(t, "waiting", st.Status())
		require.Equal(t, time.Now().Add(3*time.Second), st.State.Next)
		time.Sleep(7 * time.Second) // attempts at 0 and 3 s
		c.off.Store(false)          // and at 9 s
		v := s.watch(t)
		require.NoError(t, s.proxies.Wait(t.Context(), cam))
		time.Sleep(11 * time.Second)
		st = s.stats(t)
		require.Equal(t, "live", st.Status())
		require.InDelta(t, float64(11*time.Second), float64(time.Since(st.Live)), float64(time.Second))
		require.EqualValues(t, 3, st.State.Attempts)
		require.InDelta(t, 2500, st.BytesPerSecond, 100)
		require.InDelta(t, 27500, st.Bytes, 1000)
		require.Equal(t, st.Bytes, st.Frames*100)

		c.off.Store(true) // at 20 s, for 40 s: viewers stay
		time.Sleep(40 * time.Second)
		require.True(t, v.watching())
		st = s.stats(t)
		require.ErrorIs(t, st.State.Err, errOff)
		require.Zero(t, st.BytesPerSecond)
		require.Zero(t, st.Live)
		c.off.Store(false)
		time.Sleep(20 * time.Second)
		require.True(t, v.watching())
		require.Equal(t, 1, v.breaks)
		require.EqualValues(t, 1, s.stats(t).State.Reconnects)

		c.off.Store(true) // at 80 s, for longer than they want
		time.Sleep(61 * time.Second)
		require.False(t, v.watching())
		require.ErrorIs(t, v.err, io.EOF)
		v.leave()
		require.Nil(t, s.hub.Stream(cam))
		require.Equal(t, "waiting", s.stats(t).Status())
		c.off.Store(false)
		time.Sleep(60 * time.Second)
		v = s.watch(t)
		time.Sleep(time.Second)
		v.leave()
		require.NotZero(t, v.frames)
		require.EqualValues(t, 2, s.stats(t).State.Reconnects)
		require.Equal(t, "0 connecting, 0 waiting, 3 connecting, 3 waiting, 9 connecting, 9 live, "+
			"20 waiting, 22 connecting, 22 waiting, 25 connecting, 25 waiting, 31 connecting, 31 waiting, 40 connecting, 40 waiting, 52 connecting, 52 waiting, "+
			"67 connecting, 67 live, "+
			"80 waiting, 82 connecting, 82 waiting, 85 connecting, 85 waiting, 91 connecting, 91 waiting, 100 connecting, 100 waiting, 112 connecting, 112 waiting, "+
			"127 connecting, 127 waiting, 145 connecting, 145 live", s.history())
	})
}

// How long viewers wait is a setting.
func TestProxyLinger(t *testing.T) {
	for _, c := range []struct{ option, want time.Duration }{
		{0, time.Minute}, {5 * time.Second, 5 * time.Second}, {-1, 0},
	} {
		for _, onDemand := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, &camera{}, nil)
				s.add(t, Proxy{OnDemand: onDemand, Options: source.StreamOptions{Linger: c.option}})
				v := s.watch(t)
				time.Sleep(10 * time.Second)
				s.camera.off.Store(true)
				lost := time.Now()
				<-v.done
				require.InDelta(t, float64(c.want), float64(time.Since(lost)), float64(100*time.Millisecond))
				require.ErrorIs(t, v.err, io.EOF)
				v.leave()
				s.camera.off.Store(false)
				v = s.watch(t)
				v.leave()
			})
		}
	}
}

// Nobody watches: nothing is opened. The first viewer opens the source, the last
// one's leaving closes it after a while.
func TestProxyOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, &camera{}, nil)
		s.add(t, Proxy{OnDemand: true})
		require.NoError(t, s.proxies.Wait(t.Context(), cam), "there is nothing to wait for")
		time.Sleep(time.Hour)
		require.Zero(t, s.camera.opened.Load())
		require.Equal(t, "idle", s.stats(t).Status())
		for n := range 3 {
			a, b := s.watch(t), s.watch(t)
			time.Sleep(10 * time.Second)
			require.EqualValues(t, n+1, s.camera.opened.Load())
			require.Equal(t, "live", s.stats(t).Status())
			a.leave()
			time.Sleep(time.Minute)
			require.True(t, b.watching())
			b.leave()
			time.Sleep(19 * time.Second)
			require.EqualValues(t, n, s.camera.closed.Load())
			time.Sleep(2 * time.Second)
			require.EqualValues(t, n+1, s.camera.closed.Load())
			require.Equal(t, "idle", s.stats(t).Status())
			require.EqualValues(t, n+1, s.stats(t).State.Attempts)
			require.Empty(t, s.hub.Streams())
		}
		require.NoError(t, s.stats(t).State.Err, "to be left is no failure")
	})
}

// A source that is off is given up when nobody waits for it any more; what was
// wrong is kept.
func TestProxyOnDemandOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &camera{}
		c.off.Store(true)
		s := newStudio(t, c, nil)
		s.add(t, Proxy{OnDemand: true})
		for range 2 {
			_, err := s.hub.Play(t.Context(), &source.Request{Key: cam})
			require.ErrorIs(t, err, source.ErrNotFound)
			opened := c.opened.Load()
			time.Sleep(time.Hour)
			require.Equal(t, opened, c.opened.Load())
			require.Equal(t, "idle", s.stats(t).Status())
			require.ErrorIs(t, s.stats(t).State.Err, errOff)
		}
		require.EqualValues(t, 6, s.stats(t).State.Attempts, "twice at 0, 3 and 9 s")
		// With so many attempts, who waits is told at once.
		found, err := s.proxies.Delete(cam)
		require.NoError(t, err)
		require.True(t, found)
		s.add(t, Proxy{OnDemand: true, Attempts: 1})
		before := time.Now()
		_, err = s.hub.Play(t.Context(), &source.Request{Key: cam})
		require.ErrorIs(t, err, errOff)
		require.Equal(t, before, time.Now())
		synctest.Wait()
		require.Equal(t, "idle", s.stats(t).Status())
	})
}

// What ends a proxy, and with which reason.
func TestProxyEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		proxy  Proxy
		camera *camera
		do     func(s *studio)
		want   error
		after  time.Duration
	}{
		{"it fails too often", Proxy{Attempts: 3}, &camera{refusal: errOff}, nil, errOff, 9 * time.Second},
		{"it cannot work", Proxy{}, &camera{refusal: source.ErrUnsupported}, nil, source.ErrUnsupported, 0},
		{"graceful end", Proxy{EndAtEOF: true}, &camera{frames: 100}, nil, io.EOF, 4 * time.Second},
		{"kicked", Proxy{}, &camera{}, func(s *studio) { s.hub.Kick(s.hub.Stream(cam).Stats().Publisher.ID) }, source.ErrKicked, 5 * time.Second},
		{"ended", Proxy{}, &camera{}, func(s *studio) { s.hub.Stream(cam).End(nil) }, io.EOF, 5 * time.Second},
		{"ended while away", Proxy{}, &camera{}, func(s *studio) {
			s.camera.off.Store(true)
			time.Sleep(10 * time.Second)
			s.hub.Stream(cam).End(source.ErrKicked)
		}, source.ErrKicked, 15 * time.Second},
		{"nobody watches", Proxy{Options: source.StreamOptions{IdleClose: 7 * time.Second}}, &camera{}, nil, source.ErrIdle, 7 * time.Second},
		{"the hub closes", Proxy{}, &camera{}, func(s *studio) { s.hub.Close() }, source.ErrClosed, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.camera.off.Store(c.camera.refusal != nil)
				s := newStudio(t, c.camera, nil)
				s.add(t, c.proxy)
				require.ErrorIs(t, s.proxies.Add(Proxy{Key: cam, URL: "x"}), source.ErrBusy)
				if c.do != nil {
					time.Sleep(5 * time.Second)
					c.do(s)
				}
				for s.stats(t).State.Phase != source.RetryEnded {
					time.Sleep(10 * time.Millisecond)
				}
				require.ErrorIs(t, s.stats(t).State.Err, c.want)
				require.InDelta(t, float64(c.after), float64(time.Since(s.began)), float64(100*time.Millisecond))
				require.ErrorIs(t, s.proxies.Wait(t.Context(), cam), c.want)
				opened := c.camera.opened.Load()
				time.Sleep(2 * time.Minute)
				require.Equal(t, opened, c.camera.opened.Load())
				require.Nil(t, s.hub.Stream(cam))
				require.True(t, strings.HasSuffix(s.history(), " ended"), s.history())
				require.Equal(t, 1, strings.Count(s.history(), "ended"), s.history())
				told := s.history()
				s.add(t, Proxy{OnDemand: true}) // another one may take its place
				require.Error(t, s.proxies.Add(Proxy{Key: cam, URL: "x", OnDemand: true}))
				require.Equal(t, "idle", s.stats(t).Status())
				require.Equal(t, told, s.history(), "nothing has changed")
			})
		})
	}
}

// On demand nothing is the end.
func TestProxyOnDemandGoesOn(t *testing.T) {
	for _, end := range []func(s *studio){
		func(s *studio) { s.hub.Kick(s.hub.Stream(cam).Stats().Publisher.ID) },
		func(s *studio) { s.hub.Stream(cam).End(nil) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStudio(t, &camera{}, nil)
			s.add(t, Proxy{OnDemand: true})
			for range 2 {
				v := s.watch(t)
				time.Sleep(time.Second)
				end(s)
				<-v.done
				v.leave()
				require.ErrorIs(t, v.err, io.EOF)
				synctest.Wait()
				require.Equal(t, "idle", s.stats(t).Status())
			}
		})
	}
}

// Delete and Close end the streams, whatever the proxies are at.
func TestProxyDelete(t *testing.T) {
	for _, c := range []struct {
		name     string
		onDemand bool
		off      bool
	}{{"live", false, false}, {"waiting", false, true}, {"on demand", true, false}, {"on demand, waiting", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, &camera{}, nil)
				s.add(t, Proxy{OnDemand: c.onDemand})
				v := s.watch(t)
				time.Sleep(time.Second)
				s.camera.off.Store(c.off)
				time.Sleep(5 * time.Second)
				require.True(t, v.watching())
				before := time.Now()
				found, err := s.proxies.Delete(cam)
				require.NoError(t, err)
				require.True(t, found)
				<-v.done
				v.leave()
				require.Equal(t, before, time.Now())
				require.Empty(t, s.proxies.List())
				synctest.Wait()
				require.Empty(t, s.hub.Streams())
				found, err = s.proxies.Delete(cam)
				require.NoError(t, err)
				require.False(t, found)
				require.ErrorIs(t, s.proxies.Wait(t.Context(), cam), source.ErrNotFound)
			})
		})
	}
}

// A name that somebody publishes is left to him, and taken when he has gone.
func TestProxyBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, &camera{}, nil)
		pub, err := s.hub.Publish(t.Context(), &source.Request{ID: source.NewID(), Key: cam})
		require.NoError(t, err)
		s.add(t, Proxy{})
		require.ErrorIs(t, s.proxies.Wait(t.Context(), cam), source.ErrBusy)
		time.Sleep(time.Minute)
		require.Zero(t, s.camera.opened.Load(), "the camera is left alone")
		require.NoError(t, pub.Close())
		time.Sleep(time.Minute)
		require.Equal(t, "live", s.stats(t).Status())
		require.EqualValues(t, 1, s.camera.opened.Load())
	})
}

// What no proxy has is Next's, or waited for.
func TestProxiesNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := newStudio(t, &camera{}, func(s *studio) {
			s.proxies.Next = func(context.Context, *source.Request) (source.Source, error) {
				asked++
				return nil, source.ErrForbidden
			}
		})
		_, err := s.hub.Play(t.Context(), &source.Request{Key: cam})
		require.ErrorIs(t, err, source.ErrForbidden)
		s.camera.off.Store(true)
		s.add(t, Proxy{}) // not on demand: waited for, not asked
		_, err = s.hub.Play(t.Context(), &source.Request{Key: cam})
		require.ErrorIs(t, err, source.ErrNotFound)
		require.Equal(t, 1, asked)
	})
}

// A source that panics fails, and is opened again.
func TestProxyPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := newStudio(t, &camera{panics: 3}, func(s *studio) { s.proxies.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		s.add(t, Proxy{})
		time.Sleep(30 * time.Second)
		st := s.stats(t)
		require.Equal(t, "live", st.Status())
		require.ErrorContains(t, st.State.Err, "lens is broken")
		require.EqualValues(t, 4, st.State.Attempts, "once in opening, twice in reading")
		found, err := s.proxies.Delete(cam)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, 3, strings.Count(log.String(), "studio_test.go"), "stacks are logged")
	})
}

// Silent audio is the stream's option, as are all others.
func TestProxyOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, &camera{}, nil)
		s.add(t, Proxy{Options: source.StreamOptions{SilentAudio: true, PacedDelay: 150 * time.Millisecond}})
		v := s.watch(t)
		require.Len(t, v.reader.Tracks(), 2)
		time.Sleep(5 * time.Second)
		v.leave()
		require.Equal(t, []codec.Kind{codec.KindVideo, codec.KindAudio}, []codec.Kind{v.reader.Tracks()[0].Kind(), v.reader.Tracks()[1].Kind()})
		require.Len(t, v.last, 2, "both have frames")
	})
}

// The proxies of one process are those of the next.
func TestProxiesFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "proxies.json")
	want := []Proxy{
		{Key: source.Key{Vhost: "a", App: "live", Stream: "1"}, URL: "rtsp://user:secret@camera/1", OnDemand: true, Timeout: time.Second},
		{Key: cam, URL: "a.mp4", Loop: true, Attempts: 3, Options: source.StreamOptions{SilentAudio: true, IdleClose: time.Minute}},
	}
	synctest.Test(t, func(t *testing.T) {
		c := &camera{}
		c.off.Store(true)
		s := newStudio(t, c, func(s *studio) { s.proxies.File = file })
		require.NoError(t, s.proxies.Load(), "there is no file")
		require.NoError(t, s.proxies.Add(want[0]))
		short := want[1]
		short.Key.Vhost = ""
		require.NoError(t, s.proxies.Add(short))
		require.ErrorIs(t, s.proxies.Add(Proxy{Key: source.Key{App: "a"}, URL: "x"}), source.ErrBadKey)
		require.Error(t, s.proxies.Add(Proxy{Key: source.Key{App: "a", Stream: "b"}}), "no URL")
	})
	synctest.Test(t, func(t *testing.T) {
		c := &camera{}
		c.off.Store(true)
		s := newStudio(t, c, func(s *studio) { s.proxies.File = file })
		require.NoError(t, s.proxies.Load())
		var got []Proxy
		for _, st := range s.proxies.List() {
			got = append(got, st.Proxy)
		}
		require.Equal(t, []Proxy{want[1], want[0]}, got)
		found, err := s.proxies.Delete(source.Key{App: cam.App, Stream: cam.Stream})
		require.NoError(t, err)
		require.True(t, found, "without its Vhost")
	})
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(b), `"URL": "rtsp://user:secret@camera/1"`)
	require.NotContains(t, string(b), "a.mp4")

	for _, content := range []string{"{", `[{"Key":{"App":"live","Stream":"1"}},{"Key":{"App":"live","Stream":"2"},"URL":"x","OnDemand":true}]`} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		p := &Proxies{Hub: &source.Hub{}, File: file}
		require.Error(t, p.Load())
		require.Len(t, p.List(), strings.Count(content, "OnDemand"), "the others are started")
		require.NoError(t, p.Close())
	}
}

// A file is a live stream of any name: it plays in real time, once or for ever.
func TestProxyFile(t *testing.T) {
	path, _ := writeFilm(t, ".flv", 2*time.Second)
	hub := &source.Hub{}
	defer hub.Close()
	proxies := &Proxies{Hub: hub}
	defer proxies.Close()
	for _, loop := range []bool{false, true} {
		key := source.Key{App: "any", Stream: fmt.Sprint("name/", loop)}
		require.NoError(t, proxies.Add(Proxy{Key: key, URL: path, Loop: loop}))
		key.Vhost = source.DefaultVhost
		require.NoError(t, proxies.Wait(filmtest.Soon(t), key))
		r, err := hub.Play(filmtest.Soon(t), &source.Request{Key: key, Schema: "x"})
		require.NoError(t, err)
		seen := &witness{t: t, name: key.Stream}
		for f, err := range source.Frames(filmtest.Soon(t), r) {
			require.NoError(t, err)
			seen.see(f)
			if f.DTS > 3*time.Second {
				break
			}
		}
		require.NoError(t, r.Close())
		_, err = r.ReadFrame(filmtest.Soon(t))
		require.Equal(t, loop, !errors.Is(err, io.EOF))
		if !loop {
			require.Eventually(t, func() bool {
				st, _ := proxies.Stats(key)
				return st.Status() == "ended" && errors.Is(st.State.Err, io.EOF)
			}, time.Minute, time.Millisecond)
		}
	}
	key := source.Key{App: "live", Stream: "none", Vhost: source.DefaultVhost}
	require.NoError(t, proxies.Add(Proxy{Key: key, URL: path + ".none"}))
	require.ErrorIs(t, proxies.Wait(filmtest.Soon(t), key), os.ErrNotExist)
}

func ExampleProxies() {
	hub := &source.Hub{}
	defer hub.Close()
	proxies := &Proxies{Hub: hub}
	defer proxies.Close()
	hub.OnMiss = proxies.OnMiss // for proxies on demand

	key := source.Key{App: "live", Stream: "door"}
	err := proxies.Add(Proxy{Key: key, URL: "rtsp://192.168.1.20/stream1", OnDemand: true})
	fmt.Println(err)
	for _, p := range proxies.List() {
		fmt.Println(p.Key, p.Status())
	}
	// Output:
	// <nil>
	// __defaultVhost__/live/door idle
}
