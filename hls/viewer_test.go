package hls

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// Playlists and segments are one viewer, whose bytes are counted exactly and who
// ends after 60 s of silence, however its client is known.
func TestOneViewer(t *testing.T) {
	const segment = "/live/t/" + fakeSegment + ".ts"
	for _, c := range []struct {
		name   string
		client func(*site) *client
		urls   func(first string) []string // asked for in turn; first is what playlist answered
		first  string
	}{
		{"cookie", (*site).browser, func(string) []string {
			return []string{segment, "/live/t/hls.m3u8", segment}
		}, "/live/t/hls.m3u8"},
		{"cookie without a path's case", (*site).browser, func(string) []string {
			return []string{"/live/t/HLS.M3U8", segment}
		}, "/live/t/Hls.m3u8"},
		{"multivariant playlist", (*site).client, func(first string) []string {
			uri := "/live/t/" + lastLine(first)
			_, session, _ := strings.Cut(uri, "?")
			return []string{uri, segment + "?" + session, uri, segment + "?" + session}
		}, "/live/t/index.m3u8?container=ts"},
		{"multivariant playlist and cookie", (*site).browser, func(first string) []string {
			uri := "/live/t/" + lastLine(first)
			return []string{uri, segment, uri, segment}
		}, "/live/t/index.m3u8?container=ts"},
		{"query", (*site).client, func(string) []string {
			return []string{"/live/t/hls.m3u8?u=1", segment + "?u=1", "/live/t/hls.m3u8?u=1&_HLS_msn=7&_HLS_part=1"}
		}, "/live/t/hls.m3u8?u=1"},
		{"session of old", (*site).client, func(first string) []string {
			_, session, _ := strings.Cut(lastLine(first), "?")
			return []string{segment + "?" + session, "/live/t/hls.m3u8?session=OLD", segment + "?" + session, "/live/t/hls.m3u8?session=OLD"}
		}, "/live/t/hls.m3u8?session=OLD"},
		{"address", (*site).client, func(string) []string {
			return []string{segment, "/live/t/hls.m3u8", segment}
		}, "/live/t/hls.m3u8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, &Handler{})
				defer s.close()
				s.publish()
				var final []source.SessionStats
				s.h.Handler = playFunc(func(ctx context.Context, r *source.Request) (source.Reader, error) {
					r.OnEnd(func(st source.SessionStats) { final = append(final, st) })
					return s.hub.Play(ctx, r)
				})
				player := c.client(s)
				urls := c.urls(player.requireStatus(http.StatusOK, c.first).Body.String())
				for i, url := range urls {
					player.address = fmt.Sprintf("192.0.2.1:%d", 5000+i) // another connection
					time.Sleep(59 * time.Second)
					player.requireStatus(http.StatusOK, url)
				}
				require.Len(t, s.played(), 1)
				require.Equal(t, 1, s.h.Viewers())
				st := s.hub.Stream(siteKey).Stats()
				require.Equal(t, map[string]int{"hls": 1}, st.Viewers)
				time.Sleep(60*time.Second - 1)
				require.Empty(t, s.ended())
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				require.Len(t, s.ended(), 1)
				require.Equal(t, s.ended(), final)
				require.EqualValues(t, player.bytes, final[0].Bytes)
				require.Equal(t, io.EOF, final[0].Err)
				require.Zero(t, final[0].Lag)
				require.Equal(t, s.played()[0].ID, final[0].ID)
				require.Equal(t, []string{"hls", "http-hls"}, []string{final[0].Schema, final[0].Protocol})
				require.Zero(t, s.h.Viewers())
				require.Equal(t, map[string]int{}, s.hub.Stream(siteKey).Stats().Viewers)
			})
		})
	}
}

// lastLine returns the last line of a playlist: a URI.
func lastLine(playlist string) string {
	lines := strings.Split(strings.TrimSpace(playlist), "\n")
	return lines[len(lines)-1]
}

// What differs makes another viewer, for whom the source.Handler is asked: nobody
// watches in the name of another.
func TestTwoViewers(t *testing.T) {
	for name, change := range map[string]func(*client) (url string){
		"address":       func(c *client) string { c.address = "192.0.2.99:4711"; return "" },
		"query":         func(*client) string { return "?u=2" },
		"agent":         func(c *client) string { c.header.Set("User-Agent", "other"); return "" },
		"login":         func(c *client) string { c.header.Set("Authorization", "Basic x"); return "" },
		"cookie":        func(c *client) string { c.header.Set("Cookie", "user=1"); return "" },
		"page":          func(c *client) string { c.header.Set("Referer", "https://other/"); return "" },
		"forwarded for": func(c *client) string { c.header.Set("X-Forwarded-For", "198.51.100.1"); return "" },
		"id shown": func(c *client) string { // the first one is known by its own by now
			first := c.s.client()
			first.cookie = cookieName + "=" + firstID(c.s)
			first.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
			return ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, &Handler{})
			defer s.close()
			s.publish()
			s.client().requireStatus(http.StatusOK, "/live/t/hls.m3u8")
			second := s.client()
			query := change(second)
			second.requireStatus(http.StatusOK, "/live/t/hls.m3u8"+query)
			require.Len(t, s.played(), 2)
			require.Equal(t, 2, s.h.Viewers())
		})
	}
}

// firstID returns the id of the only session.
func firstID(s *site) string {
	for k := range s.h.audiences[siteKey].sessions {
		return k.id
	}
	return ""
}

// The requests of a client that has no id yet make one session.
func TestConcurrentRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		defer s.close()
		var requests sync.WaitGroup
		var mu sync.Mutex
		cookies := map[string]int{}
		for range 50 {
			requests.Go(func() {
				c := s.browser()
				c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
				mu.Lock()
				defer mu.Unlock()
				cookies[c.cookie]++
			})
		}
		synctest.Wait() // all wait for the stream
		require.Equal(t, 1, s.h.Viewers())
		s.publish()
		requests.Wait()
		require.Len(t, s.played(), 1)
		require.Len(t, s.cut(), 1)
		require.Len(t, cookies, 1)
	})
}

// Cookies and sessions that we did not make mean nothing, and cost nothing
// (limits H14).
func TestMadeUpIDs(t *testing.T) {
	s := newSite(t, &Handler{})
	defer s.close()
	s.publish()
	c := s.client()
	for i := range 3000 {
		c.cookie = fmt.Sprintf("%s=%026d", cookieName, i)
		w := c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.NotContains(t, w.Header().Get("Set-Cookie"), fmt.Sprintf("%026d", i)) // ids are ours
	}
	c.cookie = strings.Repeat(cookieName+"=x; ", 3000)
	c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
	require.Equal(t, 1, s.h.Viewers())
	require.Len(t, s.played(), 1)

	s.h.Handler = playFunc(func(context.Context, *source.Request) (source.Reader, error) { return nil, source.ErrForbidden })
	for i := range 1000 {
		c := s.client()
		c.cookie = fmt.Sprintf("%s=%d", cookieName, i)
		c.requireStatus(http.StatusForbidden, fmt.Sprintf("/live/%d/hls.m3u8?session=%d", i, i))
	}
	require.Len(t, s.h.audiences, 1)
	require.Equal(t, 1, s.h.Viewers())
}

// What is kept of a request as long as its session is bounded (limits H5).
func TestLargeHeader(t *testing.T) {
	s := newSite(t, &Handler{})
	defer s.close()
	s.publish()
	c := s.client()
	c.requireStatus(http.StatusOK, "/live/t/hls.m3u8?"+strings.Repeat("x", maxRequest-100))
	c.requireStatus(http.StatusRequestHeaderFieldsTooLarge, "/live/t/hls.m3u8?"+strings.Repeat("x", maxRequest))
	c.cookie = strings.Repeat("a=x; ", maxRequest/4)
	c.requireStatus(http.StatusRequestHeaderFieldsTooLarge, "/live/t/hls.m3u8")
	require.Equal(t, 1, s.h.Viewers())
}

// Segments without a session are served, charged to nobody, and make none.
func TestSegmentsWithoutSession(t *testing.T) {
	s := newSite(t, &Handler{})
	defer s.close()
	s.publish()
	const segment = "/live/t/" + fakeSegment + ".ts"
	s.client().requireStatus(http.StatusNotFound, segment)
	c := s.browser()
	c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
	for i := range 1000 {
		other := s.client()
		other.address = fmt.Sprintf("198.51.100.%d:%d", i%250, i)
		other.requireStatus(http.StatusOK, fmt.Sprintf("%s?session=%d", segment, i))
	}
	require.Equal(t, 1, s.h.Viewers())
	for _, st := range s.hub.Stream(siteKey).Stats().Sessions {
		require.True(t, st.Passive || st.Bytes == uint64(c.bytes))
	}
	s.client().requireStatus(http.StatusNotFound, "/live/t/"+fakeSegment+".mp4") // that container is not cut
}

// There is a limit to the sessions of a stream: who has been silent longest goes.
func TestMaxSessions(t *testing.T) {
	for _, c := range []struct{ set, limit int }{{0, 10_000}, {100, 100}} {
		s := newSite(t, &Handler{MaxSessions: c.set})
		s.publish()
		viewer := s.browser()
		viewer.address = "192.0.2.2:1"
		viewer.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		flood := s.client()
		for i := range c.limit + 500 {
			if i%50 == 0 {
				viewer.requireStatus(http.StatusOK, "/live/t/"+fakeSegment+".ts")
			}
			flood.requireStatus(http.StatusOK, fmt.Sprintf("/live/t/hls.m3u8?%d", i))
			require.LessOrEqual(t, s.h.Viewers(), c.limit)
		}
		st := s.h.Stats()
		require.Equal(t, c.limit, st.Viewers)
		require.EqualValues(t, 501, st.Evicted)
		require.EqualValues(t, c.limit+501, st.Sessions)
		viewer.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.EqualValues(t, c.limit+501, s.h.Stats().Sessions) // it is still the same
		require.Eventually(t, func() bool { return len(s.ended()) == 501 }, 30*time.Second, time.Millisecond)
		for _, e := range s.ended() {
			require.ErrorIs(t, e.Err, source.ErrLimit)
		}
		s.close()
	}
}

// Who is kicked is told so until the session would have timed out, and nobody else
// is.
func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		defer s.close()
		s.publish()
		c, other := s.browser(), s.browser()
		other.address = "192.0.2.2:1"
		for _, c := range []*client{c, other} {
			c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
			c.requireStatus(http.StatusOK, "/live/t/"+fakeSegment+".ts")
		}
		require.True(t, s.hub.Kick(s.played()[0].ID))
		synctest.Wait()
		require.Len(t, s.ended(), 1)
		require.ErrorIs(t, s.ended()[0].Err, source.ErrKicked)
		require.EqualValues(t, c.bytes, s.ended()[0].Bytes)
		require.Equal(t, 1, s.h.Viewers())
		for range 6 {
			time.Sleep(9 * time.Second)
			require.Equal(t, "ended by the operator\n", c.requireStatus(http.StatusForbidden, "/live/t/hls.m3u8").Body.String())
			c.requireStatus(http.StatusForbidden, "/live/t/"+fakeSegment+".ts")
			other.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		}
		require.Len(t, s.played(), 2)
		time.Sleep(9 * time.Second)
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.Len(t, s.played(), 3)
		require.Equal(t, 2, s.h.Viewers())

		require.True(t, s.hub.Kick(s.played()[2].ID)) // and shut down while it is remembered
		synctest.Wait()
	})
}

// A client has one id in both containers, and a session in each.
func TestBothContainers(t *testing.T) {
	s := newSite(t, &Handler{})
	defer s.close()
	s.publish()
	c := s.browser()
	for range 3 {
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		c.requireStatus(http.StatusOK, "/live/t/hls.fmp4.m3u8")
		c.requireStatus(http.StatusOK, "/live/t/"+fakeSegment+".ts")
		c.requireStatus(http.StatusOK, "/live/t/"+fakeSegment+".mp4")
	}
	require.Len(t, s.played(), 2)
	require.Equal(t, map[string]int{"hls": 1, "hls.fmp4": 1}, s.hub.Stream(siteKey).Stats().Viewers)
	require.NotEqual(t, s.played()[0].ID, s.played()[1].ID)
	require.NotContains(t, c.cookie, s.played()[0].ID) // which others may know
}

// A request that takes long keeps its session.
func TestLongRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{SessionTimeout: 5 * time.Second})
		defer s.close()
		s.publish()
		cut := s.h.newCutter
		s.h.newCutter = func(tracks []*codec.Track, o Options, from position) (cutter, error) {
			c, err := cut(tracks, o, from)
			return slowCutter{c.(*fakeCutter)}, err
		}
		c := s.client()
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		time.Sleep(4 * time.Second)
		require.Empty(t, s.ended())
		time.Sleep(2 * time.Second)
		require.Len(t, s.ended(), 1)
		require.EqualValues(t, c.bytes, s.ended()[0].Bytes)
	})
}

// A slowCutter answers after a minute.
type slowCutter struct{ *fakeCutter }

func (c slowCutter) serve(w http.ResponseWriter, r *http.Request, name string, o serveOptions) int64 {
	time.Sleep(time.Minute)
	return c.fakeCutter.serve(w, r, name, o)
}

// A Reader that is wrapped is kept and closed; one that is no subscription is cut
// for its viewer alone, whose URIs carry the session.
func TestReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		defer s.close()
		pub := s.publish()
		wrapped := &wrapper{}
		s.h.Handler = playFunc(func(ctx context.Context, r *source.Request) (source.Reader, error) {
			rd, err := s.hub.Play(ctx, r)
			switch r.Params {
			case "wrap":
				wrapped.Reader = rd
				return wrapped, err
			case "block":
				rd.Close()
				r.Viewer.Slow = source.SlowBlock
				return s.hub.Play(ctx, r)
			}
			return source.Filter(rd, func(f *codec.Frame) (*codec.Frame, error) { return f, nil }), err
		})
		c := s.client()
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8?wrap")
		require.True(t, s.hub.Kick(s.played()[0].ID))
		synctest.Wait()
		require.Equal(t, 1, wrapped.closed)
		require.EqualValues(t, c.bytes, s.ended()[0].Bytes)

		for i, query := range []string{"own=1", "own=2", "block"} {
			c := s.client()
			w := c.requireStatus(http.StatusOK, "/live/t/hls.m3u8?"+query)
			require.Len(t, s.cut(), 2+i)
			require.Contains(t, lastLine(w.Body.String()), "?session=")
			c.requireStatus(http.StatusOK, "/live/t/"+lastLine(w.Body.String()))
		}
		for range 500 { // a viewer nobody reads for would keep the publisher
			s.write(pub)
		}
		synctest.Wait()
		for _, c := range s.cut()[1:] {
			frames, _, _ := c.state()
			require.Equal(t, 501, frames)
		}
		require.NoError(t, pub.Close())
		time.Sleep(5 * time.Second)
		require.Contains(t, s.client().requireStatus(http.StatusOK, "/live/t/hls.m3u8?own=1").Body.String(), "ENDLIST")
		time.Sleep(6 * time.Second)
		require.Zero(t, s.h.Viewers())
		require.Zero(t, s.h.Stats().Muxings)
	})
}

// A wrapper is what middleware puts around a Reader to watch it.
type wrapper struct {
	source.Reader
	closed int
}

func (w *wrapper) Unwrap() source.Reader { return w.Reader }

func (w *wrapper) Close() error {
	w.closed++
	return w.Reader.Close()
}

func TestMultivariant(t *testing.T) {
	s := newSite(t, &Handler{})
	defer s.close()
	s.publish()
	w := s.client().requireStatus(http.StatusOK, "/live/t/index.m3u8?session=old&token=a%22b&container=fmp4&_HLS_msn=1&x=<y>")
	require.Equal(t, playlistType, w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1500000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=30.000
hls.fmp4.m3u8?session=`+firstID(s)+`&token=a%22b&x=%3Cy%3E
`, w.Body.String())
	require.Equal(t, "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-STREAM-INF:BANDWIDTH=64000\nx\n", variantInfo{Bandwidth: 64000}.multivariant("x"))
	require.Equal(t, "hls.m3u8?session=A&%0A%22%23", variantURI("hls.m3u8", "A", "\n\"#")) // limits H13
}

func TestFingerprint(t *testing.T) {
	base := func() *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/live/t/hls.m3u8?a=1", nil)
		r.Header.Set("User-Agent", "x")
		return r
	}
	same := base()
	same.RemoteAddr = strings.Replace(same.RemoteAddr, ":1234", ":99", 1)
	same.URL.RawQuery = "_HLS_msn=1&a=1&_HLS_part=0"
	same.Header.Set("Cookie", cookieName+"=x; "+cookieName+"=y")
	same.Header.Set("Range", "bytes=0-")
	require.Equal(t, fingerprintOf(base()), fingerprintOf(same))
	moved := base() // what is hashed does not run together
	moved.Header.Set("User-Agent", "")
	moved.Header.Set("Authorization", "x")
	require.NotEqual(t, fingerprintOf(base()), fingerprintOf(moved))
	long := base()
	long.Header.Set("User-Agent", strings.Repeat("x", 10_000))
	other := base()
	other.Header.Set("User-Agent", strings.Repeat("x", 9_999)+"y")
	require.NotEqual(t, fingerprintOf(long), fingerprintOf(other))
}
