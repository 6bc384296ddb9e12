package server

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rangeCases are Range headers for a file of 100 bytes.
var rangeCases = []struct {
	header string
	status int
	want   string // the spans that are sent, as from-to
}{
	{"bytes=0-0", 206, "0-0"},
	{"bytes=0-9", 206, "0-9"},
	{"bytes=90-", 206, "90-99"},
	{"bytes=90-1000", 206, "90-99"},
	{"bytes=0-99999999999999999999999", 206, "0-99"},
	{"bytes=-10", 206, "90-99"},
	{"bytes=-100", 206, "0-99"},
	{"bytes=-9223372036854775808", 206, "0-99"},
	{"bytes=-99999999999999999999999", 206, "0-99"},
	{"bytes=0-", 206, "0-99"},
	{"Bytes = 5-6", 206, "5-6"},
	{"bytes= 5 - 6 ", 206, "5-6"},
	{"bytes=5-6,,", 206, "5-6"},
	{"bytes=200-,5-6", 206, "5-6"}, // what is behind the end is left out
	{"bytes=5-6,-0", 206, "5-6"},

	{"bytes=0-0,99-99", 206, "0-0 99-99"},
	{"bytes=50-59,10-19", 206, "10-19 50-59"},
	{"bytes=0-50,40-60", 206, "0-60"},
	{"bytes=0-9,10-19", 206, "0-19"},
	{"bytes=0-,0-,-100", 206, "0-99"},
	{"bytes=5-6,0-99", 206, "0-99"},
	{"bytes=" + repeatRange(16, func(i int) string { return fmt.Sprintf("%d-%d", i*6, i*6) }), 206, "0-0 6-6 12-12 18-18 24-24 30-30 36-36 42-42 48-48 54-54 60-60 66-66 72-72 78-78 84-84 90-90"},

	{"bytes=" + repeatRange(17, func(i int) string { return fmt.Sprintf("%d-%d", i*2, i*2) }), 416, ""},
	{"bytes=" + repeatRange(1300, func(int) string { return "0-" }), 416, ""},
	{"bytes=" + strings.Repeat(",", 60_000), 416, ""},
	{"bytes=100-", 416, ""},
	{"bytes=100-200,300-", 416, ""},
	{"bytes=9223372036854775807-9223372036854775807", 416, ""},
	{"bytes=9223372036854775808-", 416, ""},
	{"bytes=18446744073709551616-18446744073709551617", 416, ""},
	{"bytes=-0", 416, ""},
	{"bytes=9-0", 416, ""},
	{"bytes=5-6,9-0", 416, ""},
	{"bytes=", 416, ""},
	{"bytes", 416, ""},
	{"bytes=-", 416, ""},
	{"bytes=--5", 416, ""},
	{"bytes=+1-2", 416, ""},
	{"bytes=0x1-2", 416, ""},
	{"bytes=a-b", 416, ""},
	{"bytes=1-2-3", 416, ""},
	{"bytes=1", 416, ""},
	{"bytes=1 2-3", 416, ""},

	{"pages=1-2", 200, ""}, // not our unit
	{"=1-2", 200, ""},
}

func repeatRange(n int, one func(i int) string) string {
	var all []string
	for i := range n {
		all = append(all, one(i))
	}
	return strings.Join(all, ",")
}

// fileOf returns a Files with /f.bin of size bytes, and those.
func fileOf(t testing.TB, size int) (*Files, []byte) {
	t.Helper()
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f.mp4"), b, 0o600))
	return &Files{Root: dir}, b
}

func TestRanges(t *testing.T) {
	h, content := fileOf(t, 100)
	for _, c := range rangeCases {
		w := fetch(h, "/f.mp4", "Range", c.header)
		require.Equal(t, c.status, w.Code, "%.80s", c.header)
		switch c.status {
		case http.StatusOK:
			require.Equal(t, content, w.Body.Bytes(), "%.80s", c.header)
			require.Empty(t, w.Header().Get("Content-Range"))
		case http.StatusRequestedRangeNotSatisfiable:
			require.Equal(t, "bytes */100", w.Header().Get("Content-Range"), "%.80s", c.header)
			require.Less(t, w.Body.Len(), 100)
		default:
			require.Equal(t, c.want, sentSpans(t, w, content), "%.80s", c.header)
		}
	}
}

// sentSpans returns the parts of content that an answer has, and looks whether
// they are what they are said to be.
func sentSpans(t *testing.T, w *httptest.ResponseRecorder, content []byte) string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	require.NoError(t, err)
	var all []string
	check := func(contentRange string, b []byte) {
		var from, to, size int
		_, err := fmt.Sscanf(contentRange, "bytes %d-%d/%d", &from, &to, &size)
		require.NoError(t, err, contentRange)
		require.Equal(t, len(content), size)
		require.Equal(t, content[from:to+1], b)
		all = append(all, fmt.Sprintf("%d-%d", from, to))
	}
	if kind == "video/mp4" {
		require.Equal(t, fmt.Sprint(w.Body.Len()), w.Header().Get("Content-Length"))
		check(w.Header().Get("Content-Range"), w.Body.Bytes())
		return all[0]
	}
	require.Equal(t, "multipart/byteranges", kind)
	for mr := multipart.NewReader(w.Body, params["boundary"]); ; {
		part, err := mr.NextPart()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.Equal(t, "video/mp4", part.Header.Get("Content-Type"))
		b, err := io.ReadAll(part)
		require.NoError(t, err)
		check(part.Header.Get("Content-Range"), b)
	}
	return strings.Join(all, " ")
}

// TestRangeBombs: whatever the ranges, an answer comes, and is at most 4 KiB
// longer than the file (H4). Counted at the wire.
func TestRangeBombs(t *testing.T) {
	const size = 20_000
	h, _ := fileOf(t, size)
	c := &rawClient{t: t, addr: serving(t, &HTTP{Handler: h})}
	defer c.close()
	bombs := []string{
		"bytes=" + repeatRange(16, func(i int) string { return fmt.Sprintf("%d-%d", i*1250, i*1250+1248) }), // all but 16 bytes, in parts
		"bytes=" + repeatRange(16, func(int) string { return "0-" }),
		"bytes=" + repeatRange(1300, func(i int) string { return fmt.Sprintf("%d-", i) }),
		"bytes=" + repeatRange(16, func(i int) string { return fmt.Sprintf("-%d", size-i) }),
	}
	for _, r := range rangeCases {
		bombs = append(bombs, r.header)
	}
	for _, bomb := range bombs {
		if len(bomb) > 50_000 {
			continue // net/http refuses the header
		}
		resp, b := c.ask("GET /f.mp4 HTTP/1.1\r\nHost: x\r\nRange: " + bomb + "\r\n\r\n")
		var head bytes.Buffer
		require.NoError(t, resp.Header.Write(&head))
		require.LessOrEqual(t, head.Len()+len(b), size+4<<10, "%.80s", bomb)
	}
}

// TestRangeConditions: preconditions come before ranges (RFC 9110, section 13.2.2).
func TestRangeConditions(t *testing.T) {
	h, content := fileOf(t, 100)
	w := fetch(h, "/f.mp4")
	tag, date := w.Header().Get("ETag"), w.Header().Get("Last-Modified")
	require.Equal(t, "bytes", w.Header().Get("Accept-Ranges"))
	for _, c := range []struct {
		status int
		header []string
	}{
		{206, []string{"Range", "bytes=1-2", "If-Range", tag}},
		{200, []string{"Range", "bytes=1-2", "If-Range", `"other"`}},
		{200, []string{"Range", "bytes=1-2", "If-Range", "W/" + tag}},
		{206, []string{"Range", "bytes=1-2", "If-Range", date}},
		{200, []string{"Range", "bytes=1-2", "If-Range", time.Unix(0, 0).UTC().Format(http.TimeFormat)}},
		{200, []string{"Range", "bytes=9-1", "If-Range", `"other"`}}, // though the range is none
		{304, []string{"Range", "bytes=9-1", "If-None-Match", tag}},
		{412, []string{"Range", "bytes=9-1", "If-Match", `"other"`}},
		{206, []string{"Range", "bytes=1-2", "If-Match", tag}},
	} {
		w := fetch(h, "/f.mp4", c.header...)
		require.Equal(t, c.status, w.Code, "%v", c.header)
		if c.status == 200 {
			require.Equal(t, content, w.Body.Bytes())
		}
	}
	// Of HEAD, ranges are not defined.
	w = ask(h, http.MethodHead, "/f.mp4", "Range", "bytes=1-2")
	require.Equal(t, 200, w.Code)
	require.Equal(t, "100", w.Header().Get("Content-Length"))
	require.Zero(t, w.Body.Len())
	// Of an empty file there are none.
	empty, _ := fileOf(t, 0)
	for _, header := range []string{"bytes=0-", "bytes=-5", "bytes=0-0,5-6"} {
		w := fetch(empty, "/f.mp4", "Range", header)
		require.Equal(t, 200, w.Code)
		require.Equal(t, "0", w.Header().Get("Content-Length"))
	}
}

func FuzzRange(f *testing.F) {
	for _, c := range rangeCases {
		if len(c.header) < 1000 {
			f.Add(c.header, int64(100))
		}
	}
	f.Add("bytes=0-,-1", int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		_, set, _ := strings.Cut(header, "=")
		size &= math.MaxInt64
		spans := parseSpans(set, size)
		if len(spans) > maxRanges {
			t.Fatalf("%d spans", len(spans))
		}
		for i, s := range spans {
			if s.from < 0 || s.from >= s.to || s.to > size || i > 0 && s.from <= spans[i-1].to {
				t.Fatalf("%+v of %d bytes", spans, size)
			}
		}
		_, set, _ = strings.Cut(formatSpans(spans), "=")
		again := parseSpans(set, size)
		if fmt.Sprint(again) != fmt.Sprint(spans) {
			t.Fatalf("%+v came back as %+v", spans, again)
		}
		if size > 1<<12 {
			return
		}
		// What net/http makes of it.
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Range", header)
		w := httptest.NewRecorder()
		content := bytes.Repeat([]byte{'x'}, int(size))
		http.ServeContent(w, simplifyRange(r, size), "f.mp4", time.Time{}, bytes.NewReader(content))
		if w.Body.Len() > len(content)+4<<10 {
			t.Fatalf("%d bytes of %d", w.Body.Len(), size)
		}
		if want := len(spans) > 0; header != "" && size > 0 && (w.Code == http.StatusPartialContent) != want && w.Code != http.StatusOK {
			t.Fatalf("%d for %q of %d bytes", w.Code, header, size)
		}
	})
}
