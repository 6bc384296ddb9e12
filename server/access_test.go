package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// A gatekeeper answers AccessRequests and keeps what was asked.
type gatekeeper struct {
	answer Access
	err    error
	asked  []string
}

func (g *gatekeeper) access(_ context.Context, r *AccessRequest) (Access, error) {
	kind := "file"
	if r.Dir {
		kind = "folder"
	}
	g.asked = append(g.asked, kind+" "+r.Path)
	return g.answer, g.err
}

// count returns how often it was asked since the last call.
func (g *gatekeeper) count() int {
	n := len(g.asked)
	g.asked = nil
	return n
}

func TestAccessAsks(t *testing.T) {
	www := tree(t)
	var got []AccessRequest
	h := &Files{Root: www, Virtual: map[string]string{"v": filepath.Join(www, "..", "other")}, Access: func(_ context.Context, r *AccessRequest) (Access, error) {
		got = append(got, AccessRequest{r.Path, r.File, r.Dir, nil})
		return Access{}, nil
	}}
	for _, c := range []struct {
		target string
		want   AccessRequest
	}{
		{"/a.txt", AccessRequest{"/a.txt", filepath.Join(www, "a.txt"), false, nil}},
		{"//sub%2f/b.txt?x=1", AccessRequest{"/sub/b.txt", filepath.Join(www, "sub", "b.txt"), false, nil}},
		{"/sub/", AccessRequest{"/sub/", filepath.Join(www, "sub"), true, nil}},
		{"/", AccessRequest{"/", www, true, nil}},
		{"/page/", AccessRequest{"/page/Index.HTM", filepath.Join(www, "page", "Index.HTM"), false, nil}},
		{"/v/o.txt", AccessRequest{"/v/o.txt", filepath.Join(www, "..", "other", "o.txt"), false, nil}},
		{"/v/", AccessRequest{"/v/", filepath.Join(www, "..", "other"), true, nil}},
	} {
		got = nil
		w := fetch(h, c.target)
		require.Equal(t, 200, w.Code, c.target)
		require.Equal(t, []AccessRequest{c.want}, got, "%s: once, in the form all know it by", c.target)
		require.Empty(t, w.Header().Get("Set-Cookie"), "the answer is not kept")
		require.Contains(t, w.Header().Get("Cache-Control"), "private")
	}
	got = nil
	for _, target := range []string{"/none", "/.hidden", "/%00", "/out", "/sub", "/a.txt/"} {
		fetch(h, target)
	}
	ask(h, http.MethodOptions, "/a.txt")
	ask(h, http.MethodPost, "/a.txt")
	require.Empty(t, got, "nobody is asked for what is not there")
	ask(h, http.MethodHead, "/a.txt")
	require.Len(t, got, 1)
}

func TestAccessRefuses(t *testing.T) {
	var keeper gatekeeper
	h := &Files{Root: tree(t), Access: keeper.access}
	for _, c := range []struct {
		answer Access
		err    error
		status int
		text   string
	}{
		{Access{Refusal: "not today"}, nil, 401, "not today\n"},
		{Access{Refusal: "<b>no</b>"}, nil, 401, "<b>no</b>\n"},
		{Access{}, source.ErrForbidden, 403, "Forbidden\n"},
		{Access{}, source.Refuse(source.ErrUnauthorized, "who are you?"), 401, "who are you?\n"},
		{Access{}, fmt.Errorf("dial 10.0.0.1: %w", context.DeadlineExceeded), 504, "Gateway Timeout\n"},
		{Access{}, errors.New("secret host is down"), 500, "Internal Server Error\n"},
		{Access{For: time.Hour}, errors.New("an answer that is none"), 500, "Internal Server Error\n"},
	} {
		keeper.answer, keeper.err = c.answer, c.err
		for _, target := range []string{"/a.txt", "/sub/", "/page/"} {
			w := fetch(h, target)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.text, w.Body.String())
			require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
			require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
			require.Empty(t, w.Header().Values("Set-Cookie"))
		}
		require.Equal(t, 3, keeper.count())
	}
}

// A browser keeps cookies, as far as their folders go.
type browser struct {
	t    *testing.T
	h    http.Handler
	jar  http.CookieJar
	host string // it comes from
}

func newBrowser(t *testing.T, h http.Handler) *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t, h, jar, "192.0.2.1"}
}

func (b *browser) get(target string) *httptest.ResponseRecorder {
	u, err := url.Parse("http://host" + target)
	require.NoError(b.t, err)
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.RemoteAddr = b.host + ":1234"
	w := httptest.NewRecorder()
	if b.jar != nil {
		for _, c := range b.jar.Cookies(u) {
			r.AddCookie(c)
		}
	}
	b.h.ServeHTTP(w, r)
	if b.jar != nil {
		b.jar.SetCookies(u, w.Result().Cookies())
	}
	return w
}

// TestAccessCookie: an answer is kept for a time, for a folder, for one visitor.
func TestAccessCookie(t *testing.T) {
	www := tree(t)
	require.NoError(t, os.MkdirAll(filepath.Join(www, "sub", "deep"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(www, "sub", "deep", "c.txt"), []byte("c"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(www, "sub2"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(www, "sub2", "d.txt"), []byte("d"), 0o600))
	synctest.Test(t, func(t *testing.T) {
		keeper := gatekeeper{answer: Access{For: time.Minute}}
		h := &Files{Root: www, Access: keeper.access}
		b := newBrowser(t, h)
		w := b.get("/sub/b.txt")
		require.Equal(t, 200, w.Code)
		require.Equal(t, 1, keeper.count())
		c := w.Result().Cookies()[0]
		require.Equal(t, "mediakit_access", c.Name)
		require.GreaterOrEqual(t, len(c.Value), 26, "128 bits of chance")
		require.Equal(t, "/sub", c.Path)
		require.Equal(t, 60, c.MaxAge)
		require.True(t, c.HttpOnly)
		require.False(t, c.Secure)
		require.Equal(t, http.SameSiteLaxMode, c.SameSite)

		require.Empty(t, b.get("/sub/b.txt").Result().Cookies(), "it has one")
		b.get("/sub/deep/c.txt")
		b.get("/sub/?x=1")
		require.Zero(t, keeper.count(), "let in below the folder")
		b.get("/sub2/d.txt")
		require.Equal(t, 1, keeper.count(), "not let into the next one")
		b.get("/sub2/d.txt")
		b.get("/sub/b.txt")
		require.Zero(t, keeper.count(), "has two cookies")
		newBrowser(t, h).get("/sub/b.txt")
		require.Equal(t, 1, keeper.count(), "another visitor")

		time.Sleep(59 * time.Second)
		b.get("/sub/b.txt")
		require.Zero(t, keeper.count())
		time.Sleep(time.Second)
		b.get("/sub/b.txt")
		require.Equal(t, 1, keeper.count(), "the time is over")

		// A cookie that somebody made up, or took elsewhere, is worth nothing.
		for _, id := range []string{"", "x", strings.Repeat("A", 26), strings.Repeat("x", 10_000)} {
			fetch(h, "/sub/b.txt", "Cookie", accessCookie+"="+id)
			require.Equal(t, 1, keeper.count())
		}
		b.get("/a.txt")
		require.Equal(t, 1, keeper.count())
		fetch(h, "/a.txt", "Cookie", accessCookie+"="+c.Value)
		require.Equal(t, 1, keeper.count())

		// Whoever says which folder may say a larger one.
		keeper.answer.Folder = "/"
		b.get("/sub2/")
		keeper.count()
		b = newBrowser(t, h)
		require.Equal(t, "/", b.get("/sub/deep/").Result().Cookies()[0].Path)
		b.get("/a.txt")
		b.get("/")
		require.Equal(t, 1, keeper.count())
	})
}

// TestAccessQuery: players without cookies are known by the query they repeat.
func TestAccessQuery(t *testing.T) {
	keeper := gatekeeper{answer: Access{For: time.Minute}}
	h := &Files{Root: tree(t), Access: keeper.access}
	b := &browser{t: t, h: h, host: "192.0.2.1"}
	require.NotEmpty(t, b.get("/sub/b.txt?token=1").Result().Cookies(), "perhaps it takes one")
	b.get("/sub/?token=1")
	require.Equal(t, 1, keeper.count())
	b.get("/sub/?token=2")
	require.Equal(t, 1, keeper.count())
	b.get("/sub/")
	b.get("/sub/")
	require.Equal(t, 2, keeper.count(), "without a query nothing is known")
	b.get("/a.txt?token=1")
	require.Equal(t, 1, keeper.count(), "another folder")
	elsewhere := &browser{t: t, h: h, host: "192.0.2.2"}
	elsewhere.get("/sub/?token=2")
	require.Equal(t, 1, keeper.count(), "the same query from another address is somebody else")
}

// TestAccessRefusalKept: a refusal is repeated until the query changes.
func TestAccessRefusalKept(t *testing.T) {
	for _, cookies := range []bool{true, false} {
		keeper := gatekeeper{answer: Access{Refusal: "no", For: time.Minute}}
		h := &Files{Root: tree(t), Access: keeper.access}
		b := newBrowser(t, h)
		if !cookies {
			b.jar = nil
		}
		refused := func(target string) {
			w := b.get(target)
			require.Equal(t, 401, w.Code)
			require.Equal(t, "no\n", w.Body.String())
		}
		refused("/sub/b.txt?pw=1")
		refused("/sub/b.txt?pw=1")
		refused("/sub/?pw=1")
		require.Equal(t, 1, keeper.count())
		refused("/sub/b.txt")
		if cookies {
			require.Zero(t, keeper.count(), "no query is no other query")
		} else {
			require.Equal(t, 1, keeper.count(), "may be anybody")
		}
		refused("/sub/b.txt?pw=2")
		require.Equal(t, 1, keeper.count())
		keeper.answer = Access{For: time.Minute}
		require.Equal(t, 200, b.get("/sub/b.txt?pw=3").Code)
		require.Equal(t, 200, b.get("/sub/b.txt?pw=3").Code)
		require.Equal(t, 1, keeper.count())
		if cookies {
			require.Equal(t, 200, b.get("/sub/b.txt").Code, "let in, whatever the query")
			require.Equal(t, 200, b.get("/sub/b.txt?pw=4").Code)
			require.Zero(t, keeper.count())
		}
	}
}

// TestAccessFlood: visitors without number are remembered in bounded memory.
func TestAccessFlood(t *testing.T) {
	keeper := gatekeeper{answer: Access{For: time.Hour, Refusal: strings.Repeat("no", maxRefusal)}}
	h := &Files{Root: tree(t), Access: keeper.access}
	for i := range maxGrants + 500 {
		fetch(h, fmt.Sprintf("/a.txt?q=%d", i))
	}
	require.Equal(t, maxGrants+500, keeper.count())
	g := &h.grants
	require.Equal(t, maxGrants, g.byAge.Len())
	require.Len(t, g.byID, maxGrants)
	require.Len(t, g.byQuery, maxGrants)
	require.Len(t, g.byAge.Front().Value.(*grant).refusal, maxRefusal)
	fetch(h, "/a.txt?q=0")
	require.Equal(t, 1, keeper.count(), "the oldest were forgotten")
	fetch(h, fmt.Sprintf("/a.txt?q=%d", maxGrants+499))
	require.Zero(t, keeper.count())
	// The same query again and again, kept for no time to speak of.
	keeper.answer.For = 1
	for range 500 {
		fetch(h, "/a.txt?same")
	}
	require.LessOrEqual(t, g.byAge.Len(), maxGrants)
	require.LessOrEqual(t, len(g.byQuery), g.byAge.Len())
	require.Len(t, g.byID, g.byAge.Len())
	// Thousands of cookies in a request.
	fetch(h, "/a.txt", "Cookie", strings.Repeat(accessCookie+"=x; ", 2000))
	require.Equal(t, 501, keeper.count())
}

// TestAccessTogether: many visitors at once, some of them the same.
func TestAccessTogether(t *testing.T) {
	var asked atomic.Int64
	h := &Files{Root: tree(t), Access: func(context.Context, *AccessRequest) (Access, error) {
		return Access{For: time.Duration(asked.Add(1)%3) * time.Millisecond}, nil
	}}
	var visiting sync.WaitGroup
	for range 8 {
		visiting.Go(func() {
			for i := range 200 {
				w := fetch(h, fmt.Sprintf("/a.txt?%d", i%5))
				if w.Code != http.StatusOK {
					t.Errorf("%d", w.Code)
				}
			}
		})
	}
	visiting.Wait()
	require.Positive(t, asked.Load())
	require.Len(t, h.grants.byID, h.grants.byAge.Len())
}

// TestAccessMounted: the cookie's path is that of the URL, whatever was stripped.
func TestAccessMounted(t *testing.T) {
	keeper := gatekeeper{answer: Access{For: time.Minute}}
	www := tree(t)
	require.NoError(t, os.Mkdir(filepath.Join(www, "ä;b c"), 0o700))
	for _, c := range []struct{ prefix, target, path string }{
		{"/files", "/files/sub/b.txt", "/files/sub"},
		{"/files/", "/files/sub/b.txt", "/files/sub"},
		{"/files/", "/files/a.txt", "/files/"},
		{"/files/", "/files/", "/files/"},
		{"", "/%C3%A4%3Bb%20c/", "/%C3%A4%3Bb%20c"},
		{"", "/sub%2fb.txt", "/sub"},
	} {
		w := fetch(http.StripPrefix(c.prefix, &Files{Root: www, Access: keeper.access}), c.target)
		require.Equal(t, 200, w.Code, c.target)
		require.Equal(t, c.path, w.Result().Cookies()[0].Path)
	}
}

// TestAccessGone: who left while his request was decided on is not answered.
func TestAccessGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := &Files{Root: tree(t), Access: func(ctx context.Context, _ *AccessRequest) (Access, error) {
		cancel()
		<-ctx.Done()
		return Access{}, ctx.Err()
	}}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/a.txt", nil))
	require.Zero(t, w.Body.Len())
}
