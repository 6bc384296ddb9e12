package livehttp

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

var contentRanges = []struct {
	text       string
	from, size int64
	ok         bool
}{
	{"bytes 0-9/100", 0, 100, true},
	{"bytes 10-99/*", 10, -1, true},
	{"bytes */100", -1, 100, true},
	{"bytes */*", -1, -1, true},
	{"", 0, 0, false},
	{"bytes", 0, 0, false},
	{"bytes 0-9", 0, 0, false},
	{"octets 0-9/100", 0, 0, false},
	{"bytes 9/100", 0, 0, false},
	{"bytes -9/100", 0, 0, false},
	{"bytes -1-9/100", 0, 0, false},
	{"bytes x-9/100", 0, 0, false},
	{"bytes 0-9/-1", 0, 0, false},
	{"bytes 99999999999999999999-9/100", 0, 0, false},
}

func TestContentRange(t *testing.T) {
	for _, c := range contentRanges {
		from, size, ok := ContentRange(http.Header{"Content-Range": {c.text}})
		require.Equal(t, c.ok, ok, c.text)
		require.Equal(t, c.from, from, c.text)
		require.Equal(t, c.size, size, c.text)
	}
}

func FuzzContentRange(f *testing.F) {
	for _, c := range contentRanges {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if from, size, ok := ContentRange(http.Header{"Content-Range": {text}}); from < -1 || size < -1 || !ok && from|size != 0 {
			t.Fatalf("%q: %d of %d, %v", text, from, size, ok)
		}
	})
}

// Credentials stay with the server they were meant for.
func TestFetcher(t *testing.T) {
	var got []http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header)
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/here":
			_, _ = io.WriteString(w, "here")
		default:
			http.Error(w, "not today", http.StatusForbidden)
		}
	}))
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	header := http.Header{"Authorization": {"x"}, "cookie": {"y"}, "X-App": {"z"}, "User-Agent": {"tester"}}
	f := &Fetcher{HTTP: srv.Client(), Header: header, Origin: u.Host, Silence: time.Minute}
	a, err := f.Do(t.Context(), Fetch{URL: u.JoinPath("moved"), Header: http.Header{"Range": {"bytes=0-"}}, OK: []int{200}})
	require.NoError(t, err)
	b, err := io.ReadAll(a)
	require.NoError(t, err)
	require.Equal(t, "here", string(b))
	require.Equal(t, "/here", a.URL.Path)
	require.EqualValues(t, 4, a.Length)
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	require.Equal(t, "x", got[0].Get("Authorization"))
	require.Equal(t, "y", got[0].Get("Cookie"))
	require.Equal(t, "bytes=0-", got[0].Get("Range"))

	f.Origin = "elsewhere"
	_, err = f.Do(t.Context(), Fetch{URL: u, OK: []int{200}})
	require.ErrorIs(t, err, source.ErrForbidden)
	require.ErrorContains(t, err, "not today")
	last := got[len(got)-1]
	require.Empty(t, last.Get("Authorization")+last.Get("Cookie"))
	require.Equal(t, "z", last.Get("X-App"))
	require.Equal(t, "tester", last.Get("User-Agent"))
	srv.Client().CloseIdleConnections()
}

// The silence of a server, and who asks, end an answer.
func TestFetcherEnds(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("x"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	for _, silence := range []time.Duration{20 * time.Millisecond, -1} {
		f := &Fetcher{HTTP: srv.Client(), Silence: silence}
		ctx, cancel := context.WithCancel(t.Context())
		a, err := f.Do(ctx, Fetch{URL: u, OK: []int{200}})
		require.NoError(t, err)
		_, err = io.ReadFull(a, make([]byte, 1))
		require.NoError(t, err)
		want := source.ErrTimeout
		if silence < 0 {
			cancel()
			want = context.Canceled
		}
		_, err = io.ReadAll(a)
		require.ErrorIs(t, err, want)
		require.NoError(t, a.Close())
		cancel()
	}
	srv.Client().CloseIdleConnections()
}
