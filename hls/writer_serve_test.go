package hls

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/hlscheck"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

var serveStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 200_000}

// newServed returns a Writer that was written d of serveStream.
func newServed(t testing.TB, o Options, d time.Duration) *Writer {
	t.Helper()
	w, err := NewWriter(serveStream.Tracks(), o)
	require.NoError(t, err)
	for _, f := range serveStream.Take(d) {
		require.NoError(t, w.WriteFrame(context.Background(), f))
	}
	return w
}

// feed writes serveStream to w from one time to another.
func feed(t testing.TB, w *Writer, from, to time.Duration) {
	t.Helper()
	for _, f := range serveStream.Take(to) {
		if f.DTS >= from {
			require.NoError(t, w.WriteFrame(context.Background(), f))
		}
	}
}

func listOf(t *testing.T, w *Writer) (segments []string, next string) {
	t.Helper()
	p := parseChecked(t, request(w, "GET", w.o.Container.playlist(), "").Body.Bytes())
	for _, s := range p.Segments {
		segments = append(segments, s.URI)
	}
	if p.Hint != nil {
		next = p.Hint.URI
	}
	return segments, next
}

// spanCases are ranges of a complete segment: from and to of the answer, the
// whole of it where to is 0, 416 where from is -1.
var spanCases = []struct {
	header   string
	from, to int // of 1000 bytes
}{
	{"bytes=0-0", 0, 1},
	{"bytes=10-19", 10, 20},
	{"bytes=990-", 990, 1000},
	{"bytes=990-5000", 990, 1000},
	{"bytes=990-9007199254740991", 990, 1000},
	{"bytes=0-99999999999999999999999999", 0, 1000},
	{"bytes=-1", 999, 1000},
	{"bytes=-5000", 0, 1000},
	{"bytes=-99999999999999999999999999", 0, 1000},
	{"bytes= 5-6", 5, 7},
	{"bytes=1000-", -1, 0},
	{"bytes=1000-2000", -1, 0},
	{"bytes=99999999999999999999999999-", -1, 0},
	{"bytes=-0", -1, 0},
	{"bytes=5-4", 0, 0},
	{"bytes=-", 0, 0},
	{"bytes=", 0, 0},
	{"bytes", 0, 0},
	{"bytes=a-b", 0, 0},
	{"bytes=+1-2", 0, 0},
	{"bytes=1--2", 0, 0},
	{"bytes=0-1,4-5", 0, 0},
	{"bytes=" + strings.Repeat("0-1,", 1300) + "0-1", 0, 0},
	{"items=0-1", 0, 0},
}

func TestSpan(t *testing.T) {
	w := newServed(t, Options{Part: -1}, 3*time.Second)
	defer w.Close()
	name := w.list.listed[0].name
	f := w.find(name)
	f.grow(bytes.Repeat([]byte("0123456789"), 100), true, time.Now())
	data := f.content.Load().data
	for _, c := range spanCases {
		for _, method := range []string{"GET", "HEAD"} {
			rec := request(w, method, name, c.header)
			want, status := data, http.StatusOK
			switch {
			case c.from < 0:
				require.Equal(t, http.StatusRequestedRangeNotSatisfiable, rec.Code, c.header)
				require.Equal(t, "bytes */1000", rec.Header().Get("Content-Range"))
				continue
			case c.to > 0:
				want, status = data[c.from:c.to], http.StatusPartialContent
				require.Equal(t, fmt.Sprintf("bytes %d-%d/1000", c.from, c.to-1), rec.Header().Get("Content-Range"))
			}
			require.Equal(t, status, rec.Code, c.header)
			require.Equal(t, fmt.Sprint(len(want)), rec.Header().Get("Content-Length"))
			if method == "HEAD" {
				want = nil
			}
			require.True(t, bytes.Equal(want, rec.Body.Bytes()), c.header)
		}
	}
}

func FuzzSpan(f *testing.F) {
	for _, c := range spanCases {
		f.Add(c.header)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sp, ok := parseSpan(s)
		if !ok {
			return
		}
		for _, size := range []int64{0, 1, 1000} {
			if from, to, ok := sp.of(size); ok && (from < 0 || from >= to || to > size) {
				t.Fatalf("%q of %d is %d to %d", s, size, from, to)
			}
		}
	})
}

func TestServeHeaders(t *testing.T) {
	w := newServed(t, Options{Container: FMP4}, 7*time.Second)
	defer w.Close()
	segments, _ := listOf(t, w)
	for _, c := range []struct{ name, contentType, cache string }{
		{"hls.fmp4.m3u8", "application/vnd.apple.mpegurl", "no-cache"},
		{"init.mp4", "video/mp4", "no-cache"},
		{segments[0], "video/mp4", "max-age=60"},
	} {
		get, head := request(w, "GET", c.name, ""), request(w, "HEAD", c.name, "")
		require.Equal(t, http.StatusOK, get.Code)
		require.Equal(t, get.Result().Header, head.Result().Header)
		require.Zero(t, head.Body.Len())
		h := get.Result().Header
		require.Equal(t, c.contentType, h.Get("Content-Type"))
		require.Equal(t, c.cache, h.Get("Cache-Control"))
		require.Equal(t, fmt.Sprint(get.Body.Len()), h.Get("Content-Length"))
		if etag := h.Get("Etag"); etag != "" {
			r := httptest.NewRequest(http.MethodGet, "/"+c.name, nil)
			r.Header.Set("If-None-Match", `"a", W/`+etag)
			rec := httptest.NewRecorder()
			w.ServeHTTP(rec, r)
			require.Equal(t, http.StatusNotModified, rec.Code)
			require.Zero(t, rec.Body.Len())
			for is, status := range map[string]int{etag: 206, `"other"`: 200, h.Get("Last-Modified"): 206} {
				r = httptest.NewRequest(http.MethodGet, "/"+c.name, nil)
				r.Header.Set("Range", "bytes=1-2")
				r.Header.Set("If-Range", is)
				rec = httptest.NewRecorder()
				w.ServeHTTP(rec, r)
				require.Equal(t, status, rec.Code, is)
			}
		}
	}
}

func TestServeMethods(t *testing.T) {
	w := newServed(t, Options{}, 3*time.Second)
	defer w.Close()
	for method, status := range map[string]int{"OPTIONS": 200, "POST": 405, "PUT": 405, "DELETE": 405} {
		require.Equal(t, status, request(w, method, "hls.m3u8", "").Code, method)
	}
	r := httptest.NewRequest(http.MethodGet, "/hls.m3u8", nil)
	r.Header.Set("Origin", "http://page")
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	require.Equal(t, "http://page", rec.Header().Get("Access-Control-Allow-Origin"))
	for _, name := range []string{"", "x", "hls.fmp4.m3u8", "init.mp4", "2020-03-28/11/09-38_0.ts", "../hls.m3u8", "/hls.m3u8"} {
		require.Equal(t, 404, request(w, "GET", name, "").Code, name)
	}
}

// TestServeQuery: a viewer known by its URLs gets its name in all of them.
func TestServeQuery(t *testing.T) {
	w := newServed(t, Options{Container: FMP4}, 7*time.Second)
	defer w.Close()
	rec := httptest.NewRecorder()
	n := w.serve(rec, httptest.NewRequest(http.MethodGet, "/x/hls.fmp4.m3u8", nil), "hls.fmp4.m3u8", serveOptions{query: "session=abc"})
	require.EqualValues(t, rec.Body.Len(), n)
	p := parseChecked(t, rec.Body.Bytes())
	uris := []string{p.Hint.URI, p.Segments[0].Map}
	for _, s := range p.Segments {
		uris = append(uris, s.URI)
		for _, part := range s.Parts {
			uris = append(uris, part.URI)
		}
	}
	for _, uri := range uris {
		require.True(t, strings.HasSuffix(uri, "?session=abc"), uri)
	}
	require.Equal(t, strings.Count(rec.Body.String(), "URI=")+len(p.Segments), strings.Count(rec.Body.String(), "?session=abc"))
	require.Equal(t, 200, request(w, "GET", strings.Split(uris[2], "?")[0]+"?session=abc", "").Code)
}

// deliveryCases are requests for a playlist that has segments 0 and 1 and the
// parts 0 and 1 of segment 2, of 200 ms each.
var deliveryCases = []struct {
	query  string
	status int           // at once; 0: the request waits
	until  time.Duration // for a playlist that is there when frames up to this time have come
}{
	{query: "", status: 200},
	{query: "a=b&c", status: 200},
	{query: "_HLS_msn=0", status: 200},
	{query: "_HLS_msn=1", status: 200},
	{query: "_HLS_msn=0&_HLS_part=99", status: 200},
	{query: "_HLS_msn=1&_HLS_part=9", status: 200},
	{query: "_HLS_msn=1&_HLS_part=10", status: 200}, // beyond the last: part 0 of the next
	{query: "_HLS_msn=2&_HLS_part=0", status: 200},
	{query: "_HLS_msn=2&_HLS_part=1", status: 200},
	{query: "_HLS_skip=YES", status: 200},
	{query: "_HLS_msn=2&_HLS_part=2", until: 4600 * time.Millisecond},
	{query: "_HLS_part=3&x=1&_HLS_msn=2", until: 4800 * time.Millisecond},
	{query: "_HLS_msn=2&_HLS_part=9", until: 6000 * time.Millisecond},
	{query: "_HLS_msn=2", until: 6000 * time.Millisecond},
	{query: "_HLS_msn=2&_HLS_part=15", until: 6200 * time.Millisecond}, // part 0 of segment 3
	{query: "_HLS_msn=3&_HLS_part=0", until: 6200 * time.Millisecond},
	{query: "_HLS_msn=3", until: 8000 * time.Millisecond},
	{query: "_HLS_msn=2&_HLS_part=17", status: 400},
	{query: "_HLS_msn=3&_HLS_part=15", status: 400},
	{query: "_HLS_msn=4", status: 400},
	{query: "_HLS_msn=18446744073709551615", status: 400},
	{query: "_HLS_msn=9223372036854775807", status: 400},
	{query: "_HLS_msn=2&_HLS_part=4294967296", status: 400},
	{query: "_HLS_part=0", status: 400},
	{query: "_HLS_msn=", status: 400},
	{query: "_HLS_msn=-1", status: 400},
	{query: "_HLS_msn=+1", status: 400},
	{query: "_HLS_msn=1.5", status: 400},
	{query: "_HLS_msn=2&_HLS_part=x", status: 400},
	{query: "_HLS_skip=%zz", status: 400},
}

func TestDelivery(t *testing.T) {
	const begun = 4480 * time.Millisecond
	for _, c := range deliveryCases {
		t.Run(c.query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newServed(t, Options{}, begun)
				defer w.Close()
				var rec *httptest.ResponseRecorder
				go func() { rec = request(w, "GET", "hls.m3u8?"+c.query, "") }()
				synctest.Wait()
				if c.until == 0 {
					require.Equal(t, c.status, rec.Code)
					return
				}
				feed(t, w, begun, c.until)
				synctest.Wait()
				require.Nil(t, rec, "too early")
				feed(t, w, c.until, c.until+40*time.Millisecond)
				synctest.Wait()
				require.NotNil(t, rec, "too late")
				require.Equal(t, 200, rec.Code)
			})
		})
	}
}

func FuzzDelivery(f *testing.F) {
	for _, c := range deliveryCases {
		f.Add(c.query)
	}
	s := &snapshot{sequence: 2, before: 10, parts: 2, part: 210 * time.Millisecond}
	f.Fuzz(func(t *testing.T, query string) {
		d, err := parseDelivery(query)
		if err != nil {
			return
		}
		if s.has(d) && s.beyond(d) {
			t.Fatalf("%+v is there and beyond", d)
		}
		if !d.block && !s.has(d) {
			t.Fatalf("%+v waits", d)
		}
	})
}

func TestDeliveryEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(w *Writer, cancel func())
		status int
		after  time.Duration
	}{
		"nothing comes":  {func(*Writer, func()) {}, 503, 6 * time.Second},
		"peer leaves":    {func(_ *Writer, cancel func()) { cancel() }, 0, 0},
		"stream ends":    {func(w *Writer, _ func()) { _ = w.Close() }, 200, 0},
		"all is deleted": {func(w *Writer, _ func()) { _ = w.Purge() }, 404, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newServed(t, Options{}, 4480*time.Millisecond)
				defer w.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan struct{})
				rec := httptest.NewRecorder()
				rec.Code = 0
				go func() {
					defer close(done)
					w.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "GET", "/hls.m3u8?_HLS_msn=3", nil))
				}()
				synctest.Wait()
				began := time.Now()
				c.end(w, cancel)
				<-done
				require.Equal(t, c.after, time.Since(began))
				if c.status != 404 { // what was sent before all was deleted is fine as well
					require.Equal(t, c.status, rec.Code)
				} else {
					require.Contains(t, []int{200, 404}, rec.Code)
				}
			})
		})
	}
}

func TestFirstPlaylist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := NewWriter(serveStream.Tracks(), Options{})
		require.NoError(t, err)
		codes := make(chan int, 3)
		ask := func() { codes <- request(w, "GET", "hls.m3u8", "").Code }
		go ask()
		began := time.Now()
		require.Equal(t, 404, <-codes)
		require.Equal(t, 20*time.Second, time.Since(began))
		go ask()
		feed(t, w, 0, 1900*time.Millisecond)
		synctest.Wait()
		require.Empty(t, codes)
		require.NoError(t, w.Close()) // what there is becomes the last segment
		require.Equal(t, 200, <-codes)
		p := parseChecked(t, request(w, "GET", "hls.m3u8", "").Body.Bytes())
		require.Len(t, p.Segments, 1)
		require.InDelta(t, 1.9, p.Segments[0].Duration.Seconds(), 0.03)
		require.NoError(t, w.Purge())
		require.Equal(t, 404, request(w, "GET", "hls.m3u8", "").Code)
		require.Equal(t, 404, request(w, "GET", p.Segments[0].URI, "").Code)
	})
}

// A stream is a body as it comes.
type streamed struct {
	*httptest.ResponseRecorder
	got chan []byte
}

func (s *streamed) Write(b []byte) (int, error) {
	s.got <- bytes.Clone(b)
	return len(b), nil
}

// TestGrowing: a segment that is not complete is sent as it comes, from where a
// hint says on.
func TestGrowing(t *testing.T) {
	for _, c := range []struct {
		span, contentRange string
		from               int
		status             int
	}{
		{"", "", 0, 200},
		{"bytes=0-1,3-4", "", 0, 200},
		{"bytes=-100", "", 0, 200},
		{"bytes=%d-", "bytes %d-9007199254740991/*", 1, 206},
		{"bytes=%d-9007199254740991", "bytes %d-9007199254740991/*", 1, 206},
	} {
		t.Run(c.span, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newServed(t, Options{Container: FMP4}, 4480*time.Millisecond)
				defer w.Close()
				p := parse(t, request(w, "GET", "hls.fmp4.m3u8", "").Body.Bytes())
				from := 0
				if c.from > 0 {
					from = int(p.Hint.From)
					c.span, c.contentRange = fmt.Sprintf(c.span, from), fmt.Sprintf(c.contentRange, from)
				}
				s := &streamed{httptest.NewRecorder(), make(chan []byte, 100)}
				r := httptest.NewRequest(http.MethodGet, "/"+p.Hint.URI, nil)
				if c.span != "" {
					r.Header.Set("Range", c.span)
				}
				done := make(chan struct{})
				go func() { defer close(done); w.ServeHTTP(s, r) }()
				synctest.Wait()
				var body []byte
				if c.from == 0 {
					require.Len(t, s.got, 1)
					body = <-s.got
				}
				require.Empty(t, s.got)
				feed(t, w, 4480*time.Millisecond, 4680*time.Millisecond)
				synctest.Wait()
				require.Len(t, s.got, 1, "a part was not sent when it was cut")
				feed(t, w, 4680*time.Millisecond, 6400*time.Millisecond)
				<-done
				close(s.got)
				for b := range s.got {
					body = append(body, b...)
				}
				require.Equal(t, c.status, s.Code)
				require.Equal(t, c.contentRange, s.Header().Get("Content-Range"))
				require.Empty(t, s.Header().Get("Content-Length"))
				whole := request(w, "GET", p.Hint.URI, "").Body.Bytes()
				require.True(t, bytes.Equal(whole[from:], body))
			})
		})
	}
}

// TestGrowingRange: a bounded range waits until all of it is there.
func TestGrowingRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newServed(t, Options{}, 4480*time.Millisecond)
		defer w.Close()
		p := parse(t, request(w, "GET", "hls.m3u8", "").Body.Bytes())
		at := p.Hint.From
		recs := make(chan *httptest.ResponseRecorder, 3)
		ask := func(span string) { recs <- request(w, "GET", p.Hint.URI, span) }
		go ask(fmt.Sprintf("bytes=%d-%d", at, at+99))
		go ask(fmt.Sprintf("bytes=%d-%d", at+100_000_000, at+100_000_001))
		go ask(fmt.Sprintf("bytes=10-%d", at+100_000_001))
		synctest.Wait()
		require.Empty(t, recs)
		feed(t, w, 4480*time.Millisecond, 4680*time.Millisecond)
		rec := <-recs
		require.Equal(t, 206, rec.Code)
		require.Equal(t, fmt.Sprintf("bytes %d-%d/*", at, at+99), rec.Header().Get("Content-Range"))
		require.Equal(t, 100, rec.Body.Len())
		synctest.Wait()
		require.Empty(t, recs)
		feed(t, w, 4680*time.Millisecond, 6100*time.Millisecond)
		codes := []int{(<-recs).Code, (<-recs).Code}
		require.ElementsMatch(t, []int{206, 416}, codes)
	})
}

// TestStalled: a peer that takes nothing is not waited for for ever, and a
// connection whose server sets no deadline has none afterwards.
func TestStalled(t *testing.T) {
	w := newServed(t, Options{Part: -1}, 3*time.Second)
	defer w.Close()
	name := w.list.listed[0].name
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	w.ServeHTTP(d, httptest.NewRequest(http.MethodGet, "/"+name, nil))
	require.Len(t, d.set, 2)
	require.WithinDuration(t, time.Now().Add(stallTimeout), d.set[0], 5*time.Second)
	require.True(t, d.set[1].IsZero())

	d.set, d.fails = nil, true
	ctx := context.WithValue(context.Background(), http.ServerContextKey, &http.Server{WriteTimeout: time.Hour})
	n := w.serve(d, httptest.NewRequestWithContext(ctx, "GET", "/", nil), name, serveOptions{})
	require.Zero(t, n)
	require.WithinDuration(t, time.Now().Add(time.Hour), d.set[1], time.Minute)
}

type deadlines struct {
	*httptest.ResponseRecorder
	set   []time.Time
	fails bool
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

func (d *deadlines) Write(b []byte) (int, error) {
	if d.fails {
		return 0, io.ErrClosedPipe
	}
	return d.ResponseRecorder.Write(b)
}

// TestServeAllocations: serving a segment does not allocate for its size.
func TestServeAllocations(t *testing.T) {
	w := newServed(t, Options{Part: -1}, 3*time.Second)
	defer w.Close()
	r := httptest.NewRequest(http.MethodGet, "/"+w.list.listed[0].name, nil)
	d := discard{http.Header{}}
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { w.ServeHTTP(d, r) }), 8.0)
}

// TestServeTogether: many ask while frames are written, the Writer is closed and
// all is deleted. Nobody gets anything else than a beginning of the truth.
func TestServeTogether(t *testing.T) {
	w, err := NewWriter(serveStream.Tracks(), Options{Container: FMP4, Segment: 400 * time.Millisecond})
	require.NoError(t, err)
	stream := serveStream
	stream.GOP = 400 * time.Millisecond
	var players sync.WaitGroup
	var fetched atomic.Int64
	for i := range 8 {
		players.Go(func() {
			for sequence := uint64(0); ; {
				rec := request(w, http.MethodGet, fmt.Sprintf("hls.fmp4.m3u8?_HLS_msn=%d", sequence), "")
				if rec.Code == http.StatusNotFound {
					return
				}
				p, err := hlscheck.Parse(rec.Body.Bytes())
				if rec.Code != http.StatusOK { // too far ahead, by now
					sequence = 0
					continue
				}
				if err != nil || p.Check() != nil {
					t.Error(err, p.Check())
					return
				}
				sequence = p.Sequence + uint64(len(p.Segments))
				name, span := p.Segments[len(p.Segments)-1].URI, ""
				if p.Hint != nil && i%2 == 0 {
					name, span = p.Hint.URI, fmt.Sprintf("bytes=%d-", p.Hint.From)
				}
				got := request(w, http.MethodGet, name, span)
				if got.Code < 300 && span == "" && !bytes.Equal(got.Body.Bytes()[4:8], []byte("moof")) {
					t.Errorf("%s begins with %q", name, got.Body.Bytes()[:8])
				}
				fetched.Add(1)
			}
		})
	}
	for _, f := range stream.Take(40 * time.Second) {
		require.NoError(t, w.WriteFrame(context.Background(), f))
		runtime.Gosched()
	}
	require.NoError(t, w.Close())
	require.NoError(t, w.Purge())
	players.Wait()
	require.Positive(t, fetched.Load())
}
