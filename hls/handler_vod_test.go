package hls

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// A library is a source.Handler that has one film, /record/film.mp4, for whoever
// says the word.
type library struct {
	mu       sync.Mutex // guards what follows
	media    []*fakeMedium
	viewings []*source.Viewing
	ends     []source.SessionStats
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
	m := fileOf(20 * time.Second)
	v := source.Account(req, source.Pace(m))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.media, l.viewings = append(l.media, m), append(l.viewings, v)
	return v, nil
}

func (l *library) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}

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
