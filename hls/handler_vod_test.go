package hls

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A library is a source.Handler that has one film, /record/film.mp4, for whoever
// says the word.
type library struct {
	mu       sync.Mutex // guards what follows
	media    []*fakeMedium
	viewings []*source.Viewing
	ends     []source.SessionStats
	open     int // media that do not rest
	most     int // of them at once
	rest     bool
}

// A restful is a medium that can rest.
type restful struct {
	*fakeMedium
	l     *library
	awake bool // guarded by l's lock
}

// opened returns how many media do not rest.
func (l *library) opened() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// ended returns the sessions that are over.
func (l *library) ended() []source.SessionStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ends)
}

// wake opens or closes the medium.
func (m *restful) wake(awake bool) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	switch {
	case awake && !m.awake:
		m.l.open++
		m.l.most = max(m.l.most, m.l.open)
	case !awake && m.awake:
		m.l.open--
	}
	m.awake = awake
}

func (m *restful) isAwake() bool {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.awake
}

func (m *restful) Rest() {
	m.at = len(m.frames) // where it was is forgotten
	m.wake(false)
}

func (m *restful) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if !m.isAwake() {
		return nil, io.ErrClosedPipe
	}
	return m.fakeMedium.ReadFrame(ctx)
}

func (m *restful) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	m.wake(true)
	return m.fakeMedium.Seek(ctx, t)
}

func (m *restful) KeyTimes(ctx context.Context) ([]time.Duration, error) {
	m.wake(true)
	return m.fakeMedium.KeyTimes(ctx)
}

func (m *restful) Close() error {
	m.wake(false)
	return m.fakeMedium.Close()
}

func (l *library) Play(_ context.Context, req *source.Request) (source.Reader, error) {
	switch {
	case req.Key.Path() != "record/film.mp4":
		return nil, source.ErrNotFound
	case req.Query().Get("token") != "word":
		return nil, source.ErrUnauthorized
	}
	req.OnEnd(func(s source.SessionStats) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ends = append(l.ends, s)
	})
	m := newMedium(serveStream.Tracks(), filmFrames(), 20*time.Second)
	r := source.Reader(m)
	if l.rest {
		f := &restful{fakeMedium: m, l: l}
		f.wake(true)
		r = f
	}
	v := source.Account(req, source.Pace(r))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.media, l.viewings = append(l.media, m), append(l.viewings, v)
	return v, nil
}

func (l *library) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}

// filmFrames are those of the film.
var filmFrames = sync.OnceValue(func() []*codec.Frame { return serveStream.Take(20 * time.Second) })

// newLibrary returns a site with a library.
func newLibrary(t *testing.T, h *Handler) (*site, *library) {
	l := &library{}
	h.Handler = l
	return newSite(t, h), l
}

const filmURL = "/record/film.mp4/"

// film asks for a playlist and returns the URLs in it.
func (c *client) film(name string) (urls []string) {
	c.s.t.Helper()
	list := parseQueried(c.requireStatus(http.StatusOK, filmURL+name).Body.String())
	for _, uri := range list {
		urls = append(urls, filmURL+uri)
	}
	return urls
}

// parseQueried returns the URIs in a playlist.
func parseQueried(text string) (uris []string) {
	for line := range strings.Lines(text) {
		if uri, ok := strings.CutPrefix(line, `#EXT-X-MAP:URI="`); ok {
			uris = append(uris, strings.TrimSuffix(uri, "\"\n"))
		}
		if !strings.HasPrefix(line, "#") {
			uris = append(uris, strings.TrimSpace(line))
		}
	}
	return uris
}

// TestVODSession: a viewer is a session with a file of its own, which its bytes are
// charged to. One who paused for long continues, if it is still let in.
func TestVODSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newLibrary(t, &Handler{})
		defer s.close()
		c := s.client()
		c.requireStatus(http.StatusUnauthorized, filmURL+"hls.fmp4.m3u8")
		urls := c.film("hls.fmp4.m3u8?token=word&start=5")
		require.Len(t, urls, 11)
		require.Contains(t, urls[3], "&token=word&start=5")
		for _, u := range urls[:5] {
			c.requireStatus(http.StatusOK, u)
		}
		require.Equal(t, 1, s.h.Viewers())
		time.Sleep(61 * time.Second)
		require.Zero(t, s.h.Viewers())
		require.True(t, l.media[0].isClosed())
		require.Len(t, l.ends, 1)
		require.EqualValues(t, c.bytes-len("Unauthorized\n"), l.ends[0].Bytes)
		require.Equal(t, "hls.fmp4", l.ends[0].Schema)
		require.Equal(t, io.EOF, l.ends[0].Err)

		for _, u := range urls[5:] {
			c.requireStatus(http.StatusOK, u)
		}
		require.Equal(t, 1, s.h.Viewers())
		require.Len(t, l.media, 2, "the session goes on")
		time.Sleep(61 * time.Second)
		c.requireStatus(http.StatusUnauthorized, strings.Replace(urls[7], "word", "other", 1))
	})
}

// TestVODViewers: viewers have nothing in common, whatever they look like, but what
// one has fetched need not be made for the next.
func TestVODViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newLibrary(t, &Handler{})
		defer s.close()
		one, two := s.browser(), s.browser()
		a := one.film("hls.m3u8?token=word")
		late := one.requireStatus(http.StatusOK, a[8]).Body.Bytes()
		b := two.film("hls.m3u8?token=word")
		require.NotEqual(t, a, b)
		require.Len(t, l.media, 2)
		first := two.requireStatus(http.StatusOK, b[0]).Body.Bytes()
		require.Equal(t, []int{1, 1}, []int{l.media[0].seeks, l.media[1].seeks})
		require.Equal(t, late, two.requireStatus(http.StatusOK, b[8]).Body.Bytes())
		require.Equal(t, first, one.requireStatus(http.StatusOK, a[0]).Body.Bytes())
		require.Equal(t, []int{1, 1}, []int{l.media[0].seeks, l.media[1].seeks})

		l.viewings[0].Kick(nil)
		synctest.Wait()
		one.requireStatus(http.StatusForbidden, a[1])
		two.requireStatus(http.StatusOK, b[1])
	})
}

// TestVODFlood: who makes up viewers does not have a film opened for each. They are
// sessions all the same, of which each can go on, and is told of once.
func TestVODFlood(t *testing.T) {
	const crowd = 2000
	synctest.Test(t, func(t *testing.T) {
		s, l := newLibrary(t, &Handler{})
		l.rest = true
		defer s.close()
		var clients []*client
		var urls [][]string
		for i := range crowd {
			c := s.client()
			c.header.Set("User-Agent", strconv.Itoa(i))
			clients, urls = append(clients, c), append(urls, c.film("hls.m3u8?token=word"))
		}
		require.Equal(t, crowd, s.h.Viewers())
		require.Len(t, l.media, crowd)
		require.Equal(t, maxAwake, l.opened())
		require.LessOrEqual(t, l.most, maxAwake+1, "but for the one that is asked for")
		time.Sleep(awakeFor)
		synctest.Wait()
		require.Zero(t, l.opened())
		require.Equal(t, crowd, s.h.Viewers())

		for i, c := range clients[:maxAwake+10] { // each asks for a segment that no other one had made
			s.h.shelf.clear()
			c.requireStatus(http.StatusOK, urls[i][i%10])
			require.LessOrEqual(t, l.opened(), maxAwake)
		}
		require.Equal(t, maxAwake, l.opened())
		for _, u := range urls[0] {
			clients[0].requireStatus(http.StatusOK, u)
		}
		time.Sleep(awakeFor)
		synctest.Wait()
		require.Zero(t, l.opened())
		clients[1].requireStatus(http.StatusOK, urls[1][1])
		require.Zero(t, l.opened(), "somebody has had it made")
		require.Len(t, l.media, crowd, "nobody is asked again")
		require.Empty(t, l.ended())

		time.Sleep(61 * time.Second)
		require.Zero(t, s.h.Viewers())
		ends := l.ended()
		require.Len(t, ends, crowd)
		bytes := map[string]uint64{}
		for _, e := range ends {
			bytes[e.ID] = e.Bytes
		}
		require.Len(t, bytes, crowd)
		for i, c := range clients {
			require.EqualValues(t, c.bytes, bytes[l.viewings[i].Request().ID])
		}
	})
}

// TestVODRest: a film that is being read does not rest, one that nobody reads does.
func TestVODRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newLibrary(t, &Handler{})
		l.rest = true
		defer s.close()
		c := s.client()
		urls := c.film("hls.m3u8?token=word")
		c.requireStatus(http.StatusOK, urls[0])
		var v *vod
		for m := range s.h.muxings {
			v = m.cutter.(*vod)
		}
		require.NoError(t, v.enter(t.Context()))
		time.Sleep(2 * awakeFor)
		require.Equal(t, 1, l.opened())
		v.leave()
		time.Sleep(awakeFor - 1)
		require.Equal(t, 1, l.opened())
		time.Sleep(time.Second)
		require.Zero(t, l.opened())
		c.requireStatus(http.StatusOK, urls[1])
		require.Equal(t, 1, l.opened())
		require.Equal(t, 2, l.media[0].seeks)
		c.requireStatus(http.StatusOK, urls[2])
		require.Equal(t, 2, l.media[0].seeks, "it was where the last segment ended")
		l.viewings[0].Kick(nil)
		synctest.Wait()
		require.Zero(t, l.opened())
		s.h.ward.mu.Lock()
		defer s.h.ward.mu.Unlock()
		require.Nil(t, s.h.ward.timer)
		require.Zero(t, s.h.ward.awake.Len())
	})
}

// TestVODDamage: what cannot be read is reported, and not there.
func TestVODDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, l := newLibrary(t, &Handler{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		defer s.close()
		c := s.client()
		urls := c.film("hls.m3u8?token=word")
		l.media[0].fails, l.media[0].mended = 2*time.Second, 4*time.Second
		c.requireStatus(http.StatusNotFound, urls[1])
		require.Contains(t, log.String(), `msg="hls: cannot be read" stream=record/film.mp4 error="`+io.ErrNoProgress.Error())
		c.requireStatus(http.StatusOK, urls[2])
	})
}

// TestVODMultivariant: a multivariant playlist leads to the film.
func TestVODMultivariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newLibrary(t, &Handler{})
		defer s.close()
		c := s.client()
		w := c.requireStatus(http.StatusOK, filmURL+"index.m3u8?token=word")
		requireVariant(t, w.Body.Bytes())
		uri := lastLine(w.Body.String())
		require.Contains(t, uri, "token=word")
		urls := c.film(uri)
		require.Len(t, urls, 11)
		c.requireStatus(http.StatusOK, urls[1])
		require.Equal(t, 1, s.h.Viewers())
	})
}

// TestVODOthers: nobody is asked for what only looks like a segment of a film, and
// Next has what is not found.
func TestVODOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		s, l := newLibrary(t, &Handler{Next: next})
		defer s.close()
		s.h.Handler = playFunc(func(ctx context.Context, r *source.Request) (source.Reader, error) {
			asked++
			return l.Play(ctx, r)
		})
		c := s.client()
		c.requireStatus(http.StatusTeapot, filmURL+"vod-0.ts")
		c.requireStatus(http.StatusTeapot, filmURL+"vod-init-0.mp4?token=word")
		c.requireStatus(http.StatusTeapot, "/vod-0.ts?session=x")
		require.Zero(t, asked)
		c.requireStatus(http.StatusTeapot, "/record/none.mp4/vod-0.ts?session=x")
		require.Equal(t, 1, asked)
		c.requireStatus(http.StatusTeapot, "/record/none.mp4/hls.m3u8")
	})
}
