package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"
)

// consoleFiles holds the files of the console. Those in vendor are other people's, see
// vendor/README.md.
//
//go:embed console
var consoleFiles embed.FS

// assets are the files of a page, ready to be sent.
type assets struct {
	once  sync.Once
	files map[string]*asset // by name; the page itself is ""
}

// An asset is a file with what is sent with it.
type asset struct {
	contentType, cache, etag string
	body                     []byte
	gzipped                  func() []byte // made when it is first asked for
}

// find returns the file called name, nil if there is none.
func (a *assets) find(name string) *asset {
	a.once.Do(a.load)
	return a.files[name]
}

func (a *assets) load() {
	a.files = map[string]*asset{}
	_ = fs.WalkDir(consoleFiles, "console", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := consoleFiles.ReadFile(name)
		if err != nil {
			return err
		}
		short := strings.TrimPrefix(name, "console/")
		sum := sha256.Sum256(body)
		f := &asset{
			contentType: contentType(name), body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`,
			cache:   "no-cache", // ask each time whether it has changed
			gzipped: sync.OnceValue(func() []byte { return compress(body) }),
		}
		if strings.HasPrefix(short, "vendor/") { // the version is in the name
			f.cache = "public, max-age=31536000, immutable"
		}
		if short == "index.html" {
			a.files[""] = f
		}
		a.files[short] = f
		return nil
	})
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // which is a level
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

// serve answers with the file.
func (f *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", f.cache)
	h.Set("Vary", "Accept-Encoding")
	body, etag := f.body, f.etag
	if takesGzip(r) {
		body, etag = f.gzipped(), strings.TrimSuffix(etag, `"`)+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip reports whether the browser wants gzip. Which other codings it
// prefers, and how much, is no matter: there is no other.
func takesGzip(r *http.Request) bool {
	for c := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(c), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.Trim(strings.ToLower(strings.ReplaceAll(params, " ", "")), "0.") != "q="
		}
	}
	return false
}
