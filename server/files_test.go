package server

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFile(t *testing.T) {
	www := tree(t)
	h := &Files{Root: www}
	w := fetch(h, "/a.txt")
	require.Equal(t, 200, w.Code)
	require.Equal(t, "content of a", w.Body.String())
	require.Equal(t, "12", w.Header().Get("Content-Length"))
	require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	tag, date := w.Header().Get("ETag"), w.Header().Get("Last-Modified")
	require.Regexp(t, `^"[0-9a-z]+-[0-9a-z]+"$`, tag)
	past := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		status int
		header []string
	}{
		{304, []string{"If-None-Match", tag}},
		{304, []string{"If-None-Match", `"x", W/` + tag}},
		{304, []string{"If-None-Match", "*"}},
		{200, []string{"If-None-Match", `"x"`}},
		{304, []string{"If-Modified-Since", date}},
		{200, []string{"If-Modified-Since", past}},
		{200, []string{"If-None-Match", `"x"`, "If-Modified-Since", date}},
		{412, []string{"If-Unmodified-Since", past}},
		{200, []string{"If-Match", tag}},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := ask(h, method, "/a.txt", c.header...)
			require.Equal(t, c.status, w.Code, "%v", c.header)
			require.Equal(t, c.status == 200 && method == "GET", w.Body.Len() > 0, "%v", c.header)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(www, "a.txt"), []byte("a new content"), 0o600))
	w = fetch(h, "/a.txt", "If-None-Match", tag)
	require.Equal(t, 200, w.Code)
	require.Equal(t, "a new content", w.Body.String())

	w = ask(h, http.MethodHead, "/a.txt")
	require.Equal(t, "13", w.Header().Get("Content-Length"))
	require.Zero(t, w.Body.Len())
}

func TestMethods(t *testing.T) {
	h := &Files{Root: tree(t)}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "MOVE"} {
		w := ask(h, method, "/a.txt")
		require.Equal(t, 405, w.Code, method)
		require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Allow"))
	}
	w := ask(h, http.MethodOptions, "/a.txt", "Origin", "http://page", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "range")
	require.Equal(t, 200, w.Code)
	require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Allow"))
	require.Equal(t, "http://page", w.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, "range", w.Header().Get("Access-Control-Allow-Headers"))
}

func TestOrigins(t *testing.T) {
	h := &Files{Root: tree(t), AllowOrigin: func(origin string) bool { return origin == "http://good" }}
	for _, path := range []string{"/a.txt", "/", "/none"} {
		w := fetch(h, path, "Origin", "http://good")
		require.Equal(t, "http://good", w.Header().Get("Access-Control-Allow-Origin"))
		require.Equal(t, "true", w.Header().Get("Access-Control-Allow-Credentials"))
		require.Contains(t, w.Header().Get("Access-Control-Expose-Headers"), "Content-Range")
		require.Contains(t, w.Header().Values("Vary"), "Origin")
		for _, header := range [][]string{{"Origin", "http://bad"}, nil} {
			w = fetch(h, path, header...)
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
			require.Contains(t, w.Header().Values("Vary"), "Origin")
		}
	}
	require.NotEmpty(t, fetch(&Files{Root: h.Root}, "/a.txt", "Origin", "http://bad").Header().Get("Access-Control-Allow-Origin"))
}

func TestContentType(t *testing.T) {
	for name, want := range map[string]string{
		"hls.m3u8": "application/vnd.apple.mpegurl", "a.TS": "video/mp2t", "a.m4s": "video/iso.segment", "init.mp4": "video/mp4", "a.FLV": "video/x-flv",
		"a.html": "text/html; charset=utf-8", "a.js": "text/javascript; charset=utf-8", "a.unheardof": "text/plain; charset=utf-8", "README": "text/plain; charset=utf-8",
		"a.mp4.unheardof": "text/plain; charset=utf-8", "a.": "text/plain; charset=utf-8", "a.png": "image/png",
	} {
		require.Equal(t, want, contentType(name), name)
	}
	for ext, kind := range contentTypes {
		require.Regexp(t, `^\.[a-z0-9]+$`, ext)
		require.Regexp(t, `^[a-z]+/[a-z0-9.+-]+(; charset=utf-8)?$`, kind)
		require.Equal(t, strings.HasPrefix(kind, "text/"), strings.Contains(kind, "charset"), ext)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hls.m3u8"), []byte("#EXTM3U"), 0o600))
	w := fetch(&Files{Root: dir}, "/hls.m3u8")
	require.Equal(t, "no-cache", w.Header().Get("Cache-Control"))
}

// TestNothing: the zero value has no files.
func TestNothing(t *testing.T) {
	for _, path := range []string{"/", "/files.go", "/none/", "/doc.go"} {
		require.Equal(t, 404, fetch(&Files{}, path).Code, path)
		require.Equal(t, 404, fetch(&Files{Root: filepath.Join(t.TempDir(), "none")}, path).Code, path)
	}
}

func TestNotFound(t *testing.T) {
	h := &Files{Root: tree(t), NotFound: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<h1>gone</h1>")
	})}
	for _, path := range []string{"/none", "/none/", "/.hidden", "/a.txt/", "/a.txt/b"} {
		w := fetch(h, path)
		require.Equal(t, 404, w.Code, path)
		require.Equal(t, "<h1>gone</h1>", w.Body.String())
	}
	require.Equal(t, 400, fetch(h, "/%00").Code)
}

// TestFolder: the index of a folder, a list of what is in there, and the way to it.
func TestFolder(t *testing.T) {
	www := tree(t)
	h := &Files{Root: www}
	w := fetch(h, "/page/")
	require.Equal(t, "<p>the page", w.Body.String())
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.NoError(t, os.WriteFile(filepath.Join(www, "page", "index.html"), []byte("better"), 0o600))
	require.Equal(t, "better", fetch(h, "/page/").Body.String())
	require.NoError(t, os.MkdirAll(filepath.Join(www, "sub", "index.html"), 0o700), "a folder is no page")

	w = fetch(h, "/sub/")
	require.Equal(t, 200, w.Code)
	require.Equal(t, []string{"/", "../", "./index.html/", "./b.txt"}, links(w.Body.String()))
	require.Contains(t, w.Body.String(), "12 B")
	require.Equal(t, "no-cache", w.Header().Get("Cache-Control"))
	head := ask(h, http.MethodHead, "/sub/")
	require.Equal(t, w.Header(), head.Header())
	require.Zero(t, head.Body.Len())

	h.NoLists = true
	require.Equal(t, 404, fetch(h, "/sub/").Code)
	require.Equal(t, 404, fetch(h, "/").Code)
	require.Equal(t, "better", fetch(h, "/page/").Body.String())
}

var href = regexp.MustCompile(`href="([^"]*)"`)

// links returns where a page leads to.
func links(page string) (all []string) {
	for _, m := range href.FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestListing: names are escaped, sorted, and each link leads to its file. What
// cannot be asked for is not listed.
func TestListing(t *testing.T) {
	top := t.TempDir()
	www := filepath.Join(top, "www")
	require.NoError(t, os.Mkdir(www, 0o700))
	names := []string{"z", `<script>alert('1')</script>`, `a"b`, "a&amp;b", "a b", "javascript:alert(1)", "a%2fb", "a?b#c", "ä.txt", "..;", ".hidden", "..x", `back\slash`, "line\nbreak", "bad\xff", "Z"}
	var want []string
	for _, name := range names {
		if os.WriteFile(filepath.Join(www, name), []byte(name), 0o600) != nil {
			continue // not every system has every name
		}
		if !slices.Contains([]string{"..;", ".hidden", "..x", `back\slash`, "line\nbreak", "bad\xff"}, name) {
			want = append(want, name)
		}
	}
	require.NoError(t, os.Mkdir(filepath.Join(www, "middle"), 0o700))
	_ = os.Symlink("z", filepath.Join(www, "zz"))
	if os.Symlink(top, filepath.Join(www, "outside")) == nil {
		want = append(want, "zz")
		require.NoError(t, os.Symlink("none", filepath.Join(www, "nowhere")))
		require.NoError(t, os.Symlink("../..", filepath.Join(www, "top")))
	}
	slices.Sort(want)
	addr := serving(t, &HTTP{Handler: &Files{Root: www}})
	read := func(u *url.URL) string {
		resp, err := http.Get(u.String())
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode, u)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(b)
	}
	defer http.DefaultClient.CloseIdleConnections()
	base, err := url.Parse("http://" + addr + "/")
	require.NoError(t, err)
	page := read(base)
	require.NotContains(t, page, "<script")
	all := links(page)
	require.Equal(t, "./middle/", all[0], "folders come first")
	var got []string
	for _, link := range all[1:] {
		link = strings.ReplaceAll(strings.ReplaceAll(link, "&amp;", "&"), "&#39;", "'")
		u, err := base.Parse(link)
		require.NoError(t, err)
		require.Equal(t, base.Host, u.Host)
		name := read(u)
		if strings.HasSuffix(u.Path, "/zz") {
			name = "zz"
		}
		got = append(got, name)
	}
	require.Equal(t, want, got)
}

// TestManyEntries: a folder is not read to its end.
func TestManyEntries(t *testing.T) {
	dir := t.TempDir()
	for i := range maxEntries + 10 {
		f, err := os.Create(filepath.Join(dir, "f"+string(rune('a'+i%26))+strings.Repeat("x", i%7)+time.Duration(i).String()))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	h := &Files{Root: dir}
	page := fetch(h, "/").Body.String()
	require.Len(t, links(page), maxEntries)
	require.Contains(t, page, "and more")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.html"), []byte("found"), 0o600))
	require.Equal(t, "found", fetch(h, "/").Body.String())
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KB", 1536: "1.5 KB", 5 << 20: "5.0 MB", 3 << 30: "3.0 GB", 1 << 50: "1048576.0 GB"} {
		require.Equal(t, want, formatSize(n))
	}
}

// TestFolderURL: the URL of a folder ends in a slash, and the way there leads to
// no other host, whatever was stripped from the URL before.
func TestFolderURL(t *testing.T) {
	www := tree(t)
	files := &Files{Root: www}
	require.NoError(t, os.MkdirAll(filepath.Join(www, "a:b", "evil.com"), 0o700))
	for _, c := range []struct{ prefix, ask, to string }{
		{"", "/sub", "/sub/"},
		{"", "/sub?x=1&y=%0a", "/sub/?x=1&y=%0a"},
		{"", "/a:b", "/a:b/"},
		{"", "/a%3Ab", "/a%3Ab/"},
		{"", "/a:b/evil.com", "/a:b/evil.com/"},
		{"", "//sub", "//sub/"},
		{"/files", "/files", "/files/"},
		{"/files", "/files/sub", "/files/sub/"},
		{"/files/", "/files/sub", "/files/sub/"},
	} {
		h := http.StripPrefix(c.prefix, files)
		w := fetch(h, "http://host"+c.ask)
		require.Equal(t, http.StatusMovedPermanently, w.Code, c.ask)
		base := &url.URL{Scheme: "http", Host: "host", Path: strings.SplitN(c.ask, "?", 2)[0]}
		if u, err := url.Parse("http://host" + c.ask); err == nil {
			base = u
		}
		to, err := base.Parse(w.Header().Get("Location"))
		require.NoError(t, err)
		require.Equal(t, "http://host"+c.to, to.String(), "%s by %s", c.ask, w.Header().Get("Location"))
		require.Equal(t, 200, fetch(h, to.String()).Code, to)
	}
	// A stripped root has nothing left to end in.
	require.Equal(t, 200, fetch(http.StripPrefix("/files/", files), "/files/").Code)
	require.Contains(t, links(fetch(http.StripPrefix("/files", files), "/files/sub/").Body.String()), "/files/")
}

// TestVirtual folders are served beside the root, and listed there.
func TestVirtual(t *testing.T) {
	www := tree(t)
	other := filepath.Join(www, "..", "other")
	h := &Files{Root: www, Virtual: map[string]string{"v": other, "sub": other, "gone": filepath.Join(other, "none"), ".h": other}}
	require.Equal(t, "other", fetch(h, "/v/o.txt").Body.String())
	require.Equal(t, "other", fetch(h, "/sub/o.txt").Body.String(), "it covers the real one")
	require.Equal(t, 404, fetch(h, "/sub/b.txt").Code)
	require.Equal(t, 404, fetch(h, "/gone/a").Code)
	require.Equal(t, 404, fetch(h, "/.h/o.txt").Code)
	require.Equal(t, 404, fetch(h, "/v/v/o.txt").Code)
	require.Equal(t, 301, fetch(h, "/v").Code)
	require.Equal(t, []string{"/", "../", "./o.txt"}, links(fetch(h, "/v/").Body.String()))
	all := links(fetch(h, "/").Body.String())
	require.Contains(t, all, "./v/")
	require.Equal(t, 1, strings.Count(strings.Join(all, " "), "./sub/"))

	h = &Files{Virtual: map[string]string{"v": other}}
	require.Equal(t, []string{"./v/"}, links(fetch(h, "/").Body.String()))
	require.Equal(t, "other", fetch(h, "/v/o.txt").Body.String())
	require.Equal(t, 404, fetch(h, "/other").Code)
	h.NoLists = true
	require.Equal(t, 404, fetch(h, "/").Code)
}

// A readerFrom notes what it is given to read from.
type readerFrom struct {
	*httptest.ResponseRecorder
	from io.Reader
}

func (w *readerFrom) ReadFrom(r io.Reader) (int64, error) {
	w.from = r
	return io.Copy(w.ResponseRecorder, r)
}

// TestSendfile: a file, and a range of one, comes in the form that the system
// can send without copying.
func TestSendfile(t *testing.T) {
	h, content := fileOf(t, 10_000)
	for header, want := range map[string][]byte{"": content, "bytes=5-": content[5:], "bytes=0-99,50-150": content[:151]} {
		w := &readerFrom{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodGet, "/f.mp4", nil)
		if header != "" {
			r.Header.Set("Range", header)
		}
		h.ServeHTTP(w, r)
		require.Equal(t, want, w.Body.Bytes())
		part, ok := w.from.(*io.LimitedReader)
		require.True(t, ok, "%T", w.from)
		require.IsType(t, (*os.File)(nil), part.R)
	}
}

// TestDescriptors: no request leaves one open.
func TestDescriptors(t *testing.T) {
	dir := "/proc/self/fd"
	open := func() int {
		all, err := os.ReadDir(dir)
		if err != nil {
			t.Skip("no " + dir)
		}
		return len(all)
	}
	h := &Files{Root: tree(t), Access: func(_ context.Context, r *AccessRequest) (Access, error) {
		return Access{Refusal: r.Request.URL.RawQuery}, nil
	}}
	before := open()
	for range 20 {
		for _, target := range []string{"/", "/a.txt", "/sub", "/sub/", "/page/", "/none", "/out", "/a.txt/x", "/a.txt?no", "/sub/?no", "/.x", "/%00"} {
			fetch(h, target)
			fetch(h, target, "Range", "bytes=0-0,2-2")
		}
	}
	require.Equal(t, before, open())
}
