package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

// The first request for a playlist starts to cut, for everybody; nothing before
// it does (limits G14).
func TestOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		defer s.close()
		pub := s.publish()
		synctest.Wait()
		require.Empty(t, s.cut())
		require.Len(t, s.hub.Stream(siteKey).Stats().Sessions, 0)

		var players sync.WaitGroup
		for i := range 50 {
			players.Go(func() {
				c := s.client()
				c.address = fmt.Sprintf("192.0.2.%d:1", i)
				c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
			})
		}
		players.Wait()
		require.Len(t, s.cut(), 1)
		require.Equal(t, 50, s.h.Viewers())
		require.Equal(t, map[string]int{"hls": 50}, s.hub.Stream(siteKey).Stats().Viewers)
		s.write(pub)
		synctest.Wait()
		frames, _, _ := s.cut()[0].state()
		require.Equal(t, 2, frames) // from the newest key frame on

		s.client().requireStatus(http.StatusOK, "/live/t/hls.fmp4.m3u8")
		require.Len(t, s.cut(), 2)
		require.Equal(t, map[string]int{"hls": 50, "hls.fmp4": 1}, s.hub.Stream(siteKey).Stats().Viewers)
	})
}

// After the last session a stream is cut for IdleTimeout; whoever comes until then
// continues.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		defer s.close()
		s.publish()
		c := s.client()
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		time.Sleep(60*time.Second + 19*time.Second)
		require.Zero(t, s.h.Viewers())
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.Len(t, s.cut(), 1)
		time.Sleep(60*time.Second + 19*time.Second)
		require.Equal(t, 1, s.h.Stats().Muxings)
		time.Sleep(2 * time.Second)
		require.Zero(t, s.h.Stats().Muxings)
		_, closed, purged := s.cut()[0].state()
		require.True(t, closed && purged)
		require.Empty(t, s.hub.Stream(siteKey).Stats().Sessions)

		// A player that polls all the same sees the numbers go on.
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.Len(t, s.cut(), 2)
		require.Equal(t, position{1, 1, 1}, s.cut()[1].from)
		time.Sleep(10 * time.Minute)
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.Equal(t, position{}, s.cut()[2].from)
		require.Len(t, s.h.latest, 1)
	})
}

// A publisher who returns in time continues what is cut, and the sessions.
func TestPublisherReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		defer s.close()
		pub := s.publish()
		c := s.client()
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.NoError(t, pub.CloseWithError(io.ErrUnexpectedEOF))
		time.Sleep(10 * time.Second)
		s.publish()
		w := c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.NotContains(t, w.Body.String(), "ENDLIST")
		require.Len(t, s.cut(), 1)
		require.Len(t, s.played(), 1)
	})
}

// A stream that has ended can be fetched for Keep by those who watched, while
// those who come get the one that is published now.
func TestStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		defer s.close()
		pub := s.publish()
		c := s.browser()
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.NoError(t, pub.Close())
		time.Sleep(5 * time.Second)
		require.Contains(t, c.requireStatus(http.StatusOK, "/live/t/hls.m3u8").Body.String(), "ENDLIST")

		s.publish()
		later := s.browser()
		later.address = "192.0.2.2:1"
		w := later.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.Contains(t, w.Body.String(), "SEQUENCE:1\n")
		require.NotContains(t, w.Body.String(), "ENDLIST")
		require.Equal(t, position{1, 1, 1}, s.cut()[1].from)
		c.requireStatus(http.StatusOK, "/live/t/"+fakeSegment+".ts")
		require.Contains(t, c.requireStatus(http.StatusOK, "/live/t/hls.m3u8").Body.String(), "ENDLIST")
		require.Empty(t, s.ended())

		time.Sleep(5*time.Second + time.Millisecond)
		require.Len(t, s.ended(), 1)
		require.Equal(t, io.EOF, s.ended()[0].Err)
		require.EqualValues(t, c.bytes, s.ended()[0].Bytes)
		_, _, purged := s.cut()[0].state()
		require.True(t, purged)

		// Its player, should it poll once more, watches the new one.
		w = c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.NotContains(t, w.Body.String(), "ENDLIST")
		require.Len(t, s.played(), 3)
	})
}

// What fails to be cut ends its viewers; the next one starts anew.
func TestCutterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{Keep: -1})
		defer s.close()
		pub := s.publish()
		c := s.client()
		good := s.h.newCutter
		s.h.newCutter = func([]*codec.Track, Options, position) (cutter, error) { return &fakeCutter{panics: true}, nil }
		c.get("/live/t/hls.m3u8") // an answer, if it was faster, else none
		synctest.Wait()
		require.Zero(t, s.h.Viewers())
		require.EqualValues(t, 1, s.h.Panics())

		s.h.newCutter = func([]*codec.Track, Options, position) (cutter, error) { return nil, source.ErrUnsupported }
		c.requireStatus(http.StatusNotAcceptable, "/live/t/hls.m3u8")
		require.Zero(t, s.h.Viewers())
		require.Empty(t, s.hub.Stream(siteKey).Stats().Sessions)

		s.h.newCutter = good
		s.write(pub)
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
	})
}

// Each stream has a folder of its own below Options.Dir, and a new one waits until
// the old one's files are deleted.
func TestFolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vhost := ""
		s := newSite(t, &Handler{Options: Options{Dir: "root", Container: FMP4, Segments: 7}, Vhost: func(*http.Request) string { return vhost }})
		defer s.close()
		pub := s.publish()
		s.client().requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		o := s.cut()[0].options
		require.Equal(t, Options{Dir: filepath.Join("root", "live", "t"), Container: TS, Segments: 7}, o)

		require.NoError(t, pub.Close())
		synctest.Wait()
		s.publish()
		other := s.client()
		other.address = "192.0.2.2:1"
		other.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		_, _, purged := s.cut()[0].state()
		require.True(t, purged)
		require.Len(t, s.cut(), 2)

		vhost = "example.com"
		p, err := s.hub.Publish(t.Context(), &source.Request{Key: source.Key{Vhost: vhost, App: "a", Stream: "b/c"}})
		require.NoError(t, err)
		require.NoError(t, p.SetTracks([]*codec.Track{siteAudio}, true))
		s.client().requireStatus(http.StatusOK, "/a/b/c/hls.m3u8")
		require.Equal(t, filepath.Join("root", "example.com", "a", "b", "c"), s.cut()[2].options.Dir)

		vhost = "../.."
		p, err = s.hub.Publish(t.Context(), &source.Request{Key: source.Key{Vhost: vhost, App: "a", Stream: "b"}})
		require.NoError(t, err)
		require.NoError(t, p.SetTracks([]*codec.Track{siteAudio}, true))
		s.client().requireStatus(http.StatusNotFound, "/a/b/hls.m3u8")
	})
}

// A stream that is missing is waited for, then not found (limits H14).
func TestMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		defer s.close()
		began := time.Now()
		s.client().requireStatus(http.StatusNotFound, "/live/t/hls.m3u8")
		require.Equal(t, 15*time.Second, time.Since(began))
		require.Empty(t, s.h.audiences)

		time.AfterFunc(5*time.Second, func() { s.publish() })
		s.client().requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.Equal(t, 20*time.Second, time.Since(began))

		s.h.Next = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		for _, url := range []string{"/live/other/hls.m3u8", "/live/t", "/live/other/" + fakeSegment + ".ts", "/live/other/init.mp4"} {
			s.client().requireStatus(http.StatusTeapot, url)
		}
		s.client().requireStatus(http.StatusNotFound, "/live/t/"+fakeSegment+"9.ts")
		s.client().requireStatus(http.StatusNotFound, "/live/t/init.mp4")
		require.Equal(t, http.StatusTeapot, s.client().do(t.Context(), http.MethodHead, "/live/other/index.m3u8").Code)
		require.Equal(t, http.StatusOK, s.client().do(t.Context(), http.MethodHead, "/live/t/index.m3u8").Code)
	})
}

// Whoever gives up waiting is forgotten, and the Handler told.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan context.Context, 10)
		s := newSite(t, &Handler{})
		s.h.Handler = playFunc(func(ctx context.Context, _ *source.Request) (source.Reader, error) {
			asked <- ctx
			<-ctx.Done()
			return nil, ctx.Err()
		})
		defer s.close()
		first, second := newGiver(s), newGiver(s)
		first.start()
		second.start()
		synctest.Wait()
		require.Len(t, asked, 1) // they look the same
		require.Equal(t, 1, s.h.Viewers())
		ctx := <-asked
		first.cancel()
		<-first.done
		require.NoError(t, ctx.Err())
		second.cancel()
		<-second.done
		synctest.Wait()
		require.Error(t, ctx.Err())
		require.Zero(t, s.h.Viewers())
		require.Empty(t, s.h.audiences)
	})
}

// A stream that is found when nobody waits any more is given back.
func TestFoundTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{IdleTimeout: -1})
		defer s.close()
		s.publish()
		found := make(chan struct{})
		s.h.Handler = playFunc(func(_ context.Context, r *source.Request) (source.Reader, error) {
			<-found
			return s.hub.Play(context.Background(), r)
		})
		g := newGiver(s)
		g.start()
		synctest.Wait()
		g.cancel()
		<-g.done
		close(found)
		synctest.Wait()
		require.Len(t, s.ended(), 1)
		require.Zero(t, s.h.Viewers())
		require.Zero(t, s.h.Stats().Muxings)
		require.Empty(t, s.hub.Stream(siteKey).Stats().Sessions)
	})
}

// Two hubs may have streams of one name: the newer one is shown.
func TestOtherStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, other := newSite(t, &Handler{}), newSite(t, &Handler{})
		defer other.close()
		defer s.close()
		s.publish()
		other.publish()
		s.client().requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		s.h.Handler = other.hub
		c := s.client()
		c.header.Set("User-Agent", "other")
		require.Contains(t, c.requireStatus(http.StatusOK, "/live/t/hls.m3u8").Body.String(), "SEQUENCE:1\n")
		synctest.Wait()
		require.Equal(t, 1, s.h.Viewers())
		require.Len(t, s.ended(), 1)
	})
}

// A giver is a request that is given up.
type giver struct {
	c      *client
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

func newGiver(s *site) *giver {
	g := &giver{c: s.client(), done: make(chan struct{})}
	g.ctx, g.cancel = context.WithCancel(s.t.Context())
	return g
}

func (g *giver) start() {
	go func() {
		defer close(g.done)
		g.c.do(g.ctx, http.MethodGet, "/live/t/hls.m3u8")
	}()
}

// A playFunc is a Handler that only plays.
type playFunc func(context.Context, *source.Request) (source.Reader, error)

func (f playFunc) Play(ctx context.Context, r *source.Request) (source.Reader, error) {
	return f(ctx, r)
}

func (playFunc) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}

// What a Handler answers is what the peer is told; nothing is left of the attempt.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{source.Refuse(source.ErrUnauthorized, "token?"), http.StatusUnauthorized},
		{&source.Challenge{Realm: "r", Basic: true}, http.StatusUnauthorized},
		{source.ErrForbidden, http.StatusForbidden},
		{source.ErrNotFound, http.StatusNotFound},
		{source.ErrBadKey, http.StatusNotFound},
		{source.ErrUnsupported, http.StatusNotAcceptable},
		{source.ErrLimit, http.StatusServiceUnavailable},
		{source.ErrClosed, http.StatusServiceUnavailable},
		{source.ErrTimeout, http.StatusGatewayTimeout},
		{errors.New("other"), http.StatusInternalServerError},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			for _, url := range []string{"/live/t/hls.m3u8", "/live/t/hls.fmp4.m3u8", "/live/t/index.m3u8"} {
				s := newSite(t, &Handler{Handler: playFunc(func(context.Context, *source.Request) (source.Reader, error) { return nil, c.err })})
				w := s.client().requireStatus(c.status, url)
				if text := source.RefusalText(c.err); text != "" {
					require.Equal(t, text+"\n", w.Body.String())
				}
				require.Empty(t, w.Result().Cookies())
				s.close()
				require.EqualValues(t, 1, s.h.Stats().Refused)
			}
		})
	}
	t.Run("no handler", func(t *testing.T) {
		w := httptest.NewRecorder()
		h := &Handler{}
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/live/t/hls.m3u8", nil))
		require.Equal(t, http.StatusNotFound, w.Code)
		require.NoError(t, h.Shutdown(t.Context()))
	})
	t.Run("bad name", func(t *testing.T) {
		s := newSite(t, &Handler{})
		for _, url := range []string{"/live/hls.m3u8", "/live/../x/t/../hls.m3u8", "/live/%2e%2e/hls.m3u8", "/live/a%0ab/hls.m3u8", "/live/a%00b/index.m3u8", "/live/" + strings.Repeat("x", 300) + "/hls.m3u8"} {
			s.client().requireStatus(http.StatusNotFound, url)
		}
		require.Empty(t, s.h.audiences)
	})
}

// A login is asked for once.
func TestChallenge(t *testing.T) {
	s := newSite(t, &Handler{})
	defer s.close()
	s.publish()
	s.h.Handler = playFunc(func(ctx context.Context, r *source.Request) (source.Reader, error) {
		if r.User == "" {
			return nil, &source.Challenge{Realm: "r", Basic: true, Secret: func(context.Context, string, bool) (string, bool, error) { return "secret", false, nil }}
		}
		return s.hub.Play(ctx, r)
	})
	c := s.browser()
	c.requireStatus(http.StatusUnauthorized, "/live/t/hls.m3u8")
	c.header.Set("Authorization", "Basic dTp3cm9uZw==")
	c.requireStatus(http.StatusUnauthorized, "/live/t/hls.m3u8")
	c.header.Set("Authorization", "Basic dTpzZWNyZXQ=")
	c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
	stranger := s.client() // who looks the same but for the login
	stranger.requireStatus(http.StatusUnauthorized, "/live/t/hls.m3u8")
	c.header.Del("Authorization")
	c.requireStatus(http.StatusOK, "/live/t/hls.m3u8") // by the cookie
}

func TestMaxViewers(t *testing.T) {
	s := newSite(t, &Handler{MaxViewers: 1})
	defer s.close()
	s.publish()
	c := s.client()
	c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
	c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
	c.requireStatus(http.StatusServiceUnavailable, "/live/t/hls.fmp4.m3u8")
	c.requireStatus(http.StatusServiceUnavailable, "/live/other/hls.m3u8")
	require.Len(t, s.h.audiences, 1)
}

func TestMethods(t *testing.T) {
	s := newSite(t, &Handler{AllowOrigin: func(o string) bool { return o == "https://good" }})
	defer s.close()
	s.publish()
	c := s.client()
	c.header.Set("Origin", "https://good")
	w := c.do(t.Context(), http.MethodOptions, "/live/t/hls.m3u8")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Access-Control-Allow-Methods"))
	require.Equal(t, "https://good", w.Header().Get("Access-Control-Allow-Origin"))

	w = c.do(t.Context(), http.MethodHead, "/live/t/index.m3u8")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, playlistType, w.Header().Get("Content-Type"))
	require.Zero(t, w.Body.Len())
	require.Empty(t, s.played())

	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, "NONSENSE"} {
		w = c.do(t.Context(), method, "/live/t/hls.m3u8")
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Allow"))
	}
	c.header.Set("Origin", "https://bad")
	w = c.requireStatus(http.StatusOK, "/live/t/hls.m3u8") // a browser keeps it from the page
	require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, http.StatusOK, c.do(t.Context(), http.MethodHead, "/live/t/"+fakeSegment+".ts").Code)
}

// What a source.Handler is told.
func TestRequest(t *testing.T) {
	s := newSite(t, &Handler{Vhost: func(r *http.Request) string { return r.Host }})
	var asked []*source.Request
	s.h.Handler = playFunc(func(_ context.Context, r *source.Request) (source.Reader, error) {
		asked = append(asked, r)
		return nil, source.ErrForbidden
	})
	defer s.close()
	for _, url := range []string{
		"http://a/live/x/y/hls.m3u8?token=1%202&x&_HLS_msn=7&session=made-up",
		"https://b/live/x/index.m3u8?_HLS_skip=YES",
	} {
		r := httptest.NewRequest(http.MethodGet, url, nil)
		r.Header.Set("X-Mine", "1")
		s.h.ServeHTTP(httptest.NewRecorder(), r)
	}
	require.Len(t, asked, 2)
	a, b := asked[0], asked[1]
	require.Equal(t, source.Key{Vhost: "a", App: "live", Stream: "x/y"}, a.Key)
	require.Equal(t, []string{"hls", "http-hls", "token=1%202&x"}, []string{a.Schema, a.Protocol, a.Params})
	require.Equal(t, "1", a.Header.Get("X-Mine"))
	require.Equal(t, "192.0.2.1:1234", a.Remote.String())
	require.Equal(t, []string{"hls.fmp4", "https-hls", ""}, []string{b.Schema, b.Protocol, b.Params})
	require.NotNil(t, b.TLS)
	require.NotEqual(t, a.ID, b.ID)
	require.False(t, a.Passive)
}

// Whatever way a path is written, the source.Handler is asked for the stream that
// is shown, and never for one outside of the tree of names (limits H1, H9).
func TestPathVariants(t *testing.T) {
	for path, want := range map[string]string{
		"/live/t/hls.m3u8":           "live/t",
		"/live/t/HLS.M3U8":           "live/t",
		"//live/t/hls.m3u8":          "live/t",
		"/live//t/hls.m3u8":          "live/t",
		"/live/t//hls.m3u8":          "live/t",
		"/%6cive/%74/hls%2em3u8":     "live/t",
		"/live%2ft/hls.m3u8":         "live/t",
		"/live/t;x/hls.m3u8":         "live/t;x",
		"/live/%252e%252e/hls.m3u8":  "live/%2e%2e",
		"/live/a//b/hls.m3u8":        "",
		"/live/./t/hls.m3u8":         "",
		"/live/../live/t/hls.m3u8":   "",
		"/live/%2e%2e/t/index.m3u8":  "",
		"/live/..%2f..%2fx/hls.m3u8": "",
		"/../live/t/hls.fmp4.m3u8":   "",
		"/live/t%0d%0ax/hls.m3u8":    "",
		"/live/t%00/hls.m3u8":        "",
		"/live/t%7f/hls.m3u8":        "",
	} {
		var asked []string
		h := &Handler{Handler: playFunc(func(_ context.Context, r *source.Request) (source.Reader, error) {
			asked = append(asked, r.Key.Path())
			return nil, source.ErrNotFound
		})}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusNotFound, w.Code)
		require.NoError(t, h.Shutdown(t.Context()))
		if want == "" {
			require.Empty(t, asked, path)
		} else {
			require.Equal(t, []string{want}, asked, path)
		}
	}
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		pub := s.publish()
		c := s.browser()
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		waiting := newGiver(s)
		waiting.c.header.Set("User-Agent", "waiting")
		status := make(chan int)
		go func() { status <- waiting.c.get("/live/other/hls.m3u8").Code }()
		synctest.Wait()
		require.Equal(t, 2, s.h.Viewers())
		began := time.Now()
		require.NoError(t, s.h.Shutdown(t.Context()))
		require.Zero(t, time.Since(began))
		require.Equal(t, http.StatusServiceUnavailable, <-status)
		require.Len(t, s.ended(), 1)
		require.ErrorIs(t, s.ended()[0].Err, source.ErrClosed)
		c.requireStatus(http.StatusServiceUnavailable, "/live/t/hls.m3u8")
		c.requireStatus(http.StatusNotFound, "/live/t/"+fakeSegment+".ts")
		s.write(pub)
		s.close() // again
	})
}

// While the rest of a stream is kept, and nobody is left, Shutdown does not wait.
func TestShutdownKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{SessionTimeout: time.Second})
		for range 2 {
			pub := s.publish()
			c := s.client()
			c.address = fmt.Sprintf("192.0.2.%d:1", len(s.cut()))
			c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
			require.NoError(t, pub.Close())
			time.Sleep(2 * time.Second)
		}
		require.Equal(t, 2, s.h.Stats().Muxings)
		began := time.Now()
		s.close()
		require.Zero(t, time.Since(began))
	})
}

// A source.Handler that does not care does not keep Shutdown for ever.
func TestShutdownGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		s := newSite(t, &Handler{Handler: playFunc(func(context.Context, *source.Request) (source.Reader, error) {
			<-free
			return nil, source.ErrNotFound
		})})
		g := newGiver(s)
		g.start()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.h.Shutdown(ctx), context.DeadlineExceeded)
		close(free)
		<-g.done
		s.close()
	})
}

// A panic ends one request (limits G1).
func TestPanics(t *testing.T) {
	s := newSite(t, &Handler{})
	s.publish()
	s.h.Handler = playFunc(func(ctx context.Context, r *source.Request) (source.Reader, error) {
		if r.Params == "panic" {
			panic("play")
		}
		return s.hub.Play(ctx, r)
	})
	s.client().requireStatus(http.StatusInternalServerError, "/live/t/hls.m3u8?panic")
	require.EqualValues(t, 1, s.h.Panics())
	s.client().requireStatus(http.StatusOK, "/live/t/hls.m3u8")
	s.h.AllowOrigin = func(string) bool { panic("origin") }
	c := s.client()
	c.header.Set("Origin", "x")
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { c.get("/live/t/hls.m3u8") })
	require.EqualValues(t, 2, s.h.Stats().Panics)
	s.close()
}

// The log is bounded, and has nothing in it that lets others in (limits G13).
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newSite(t, &Handler{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		defer s.close()
		pub := s.publish()
		c := s.browser()
		c.header.Set("Authorization", "Basic c2VjcmV0")
		c.requireStatus(http.StatusOK, "/live/t/index.m3u8?token=hidden")
		s.h.MaxViewers = 1
		for i := range 1000 {
			s.client().requireStatus(http.StatusServiceUnavailable, fmt.Sprintf("/live/t/hls.m3u8?token=hidden&n=%d", i))
		}
		s.h.MaxViewers = 0
		s.h.Handler = playFunc(func(context.Context, *source.Request) (source.Reader, error) { return nil, source.ErrForbidden })
		for i := range 1000 {
			s.client().requireStatus(http.StatusForbidden, fmt.Sprintf("/live/t/hls.m3u8?token=hidden&n=%d", i))
		}
		require.NoError(t, pub.Close())
		time.Sleep(time.Minute)
		synctest.Wait()
		text := log.String()
		require.Contains(t, text, "playing ended")
		require.Equal(t, 10, strings.Count(text, "hls: refused"))
		require.Less(t, strings.Count(text, "\n"), 100)
		_, id, _ := strings.Cut(c.cookie, "=")
		require.NotEmpty(t, id)
		for _, secret := range []string{"hidden", "c2VjcmV0", id} {
			require.NotContains(t, text, secret)
		}
	})
}

// Over TLS the cookie is for TLS only, and goes to pages elsewhere only where
// somebody said which.
func TestCookie(t *testing.T) {
	s := newSite(t, &Handler{})
	defer s.close()
	s.publish()
	get := func(url string) *http.Cookie {
		r := httptest.NewRequest(http.MethodGet, url, nil)
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code)
		if len(w.Result().Cookies()) == 0 {
			return nil
		}
		c := w.Result().Cookies()[0]
		require.Equal(t, "mediakit_hls", c.Name)
		require.GreaterOrEqual(t, len(c.Value)*5, 128) // base 32
		require.True(t, c.HttpOnly)
		return c
	}
	c := get("http://x/live/t/hls.m3u8")
	require.Equal(t, "/live/t/", c.Path)
	require.Equal(t, []any{false, http.SameSiteLaxMode}, []any{c.Secure, c.SameSite})
	c = get("https://x/live/t/hls.m3u8")
	require.Equal(t, []any{true, http.SameSiteLaxMode}, []any{c.Secure, c.SameSite})
	s.h.AllowOrigin = func(string) bool { return true }
	c = get("https://x/live//t/hls.m3u8?other")
	require.Equal(t, []any{true, http.SameSiteNoneMode}, []any{c.Secure, c.SameSite})
	require.Equal(t, "/live//t/", c.Path) // as the client wrote it
	require.Nil(t, get("https://x/live/t/hls.m3u8?session="+c.Value))

	r := httptest.NewRequest(http.MethodGet, "/prefix/live/%74/hls.m3u8", nil)
	w := httptest.NewRecorder()
	http.StripPrefix("/prefix", s.h).ServeHTTP(w, r)
	require.Equal(t, "/prefix/live/%74/", w.Result().Cookies()[0].Path)
}
