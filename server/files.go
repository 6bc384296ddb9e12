package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/mediakit-go/mediakit/internal/limitlog"
	"github.com/mediakit-go/mediakit/internal/livehttp"
)

// Files shows a folder over HTTP: files with ranges, validators and types, and a
// page for each folder, which is its index.html or index.htm, or else a list.
//
// Nothing outside of the folder can be reached, by no path and no symbolic link
// (see [os.Root]; links within the folder work). Names that begin with a dot are
// neither served nor listed. The zero value has no files. Fields must not change
// once it was used.
type Files struct {
	Root    string            // the folder; "" has none
	Virtual map[string]string // other folders, by the first name in the URL's path; they come before what Root has
	NoLists bool              // a folder without an index is answered 404

	// Access is asked before a file or a list is shown, if that exists; nil shows
	// all. Its error is told the visitor as a source.Handler's is, and not kept.
	Access func(context.Context, *AccessRequest) (Access, error)

	NotFound    http.Handler                       // answers for what is not there, status and all; nil: a short text
	AllowOrigin func(origin string) (allowed bool) // which pages may read files; nil: all
	Logger      *slog.Logger                       // who was refused and what failed, at most 10 lines a second of a kind; nil discards

	grants grants
	log    limitlog.Limiter
}

// ServeHTTP answers a request for a file or a folder.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	livehttp.AllowOrigin(h, r, f.AllowOrigin)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		livehttp.Preflight(w, r)
		return
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Expose-Headers", "Accept-Ranges, Content-Range, ETag")
	}
	if err := f.serve(w, r); err != nil {
		f.fail(w, r, err)
	}
}

// A place is where a path of a URL leads to.
type place struct {
	name   string // clean path, without slashes at its ends; "" is the root of the URLs
	root   *os.Root
	local  string // path below root
	folder string // root's, on this machine
}

// file returns where the place is on this machine.
func (p place) file() string { return filepath.Join(p.folder, p.local) }

// serve answers a request, or returns why it has not.
func (f *Files) serve(w http.ResponseWriter, r *http.Request) error {
	name, err := cleanPath(r.URL.Path)
	if err != nil {
		return err
	}
	p, err := f.open(name)
	if err != nil {
		if name == "" && len(f.Virtual) > 0 && errors.Is(err, fs.ErrNotExist) {
			return f.serveFolder(w, r, place{})
		}
		return err
	}
	defer p.root.Close()
	info, err := p.root.Stat(p.local)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return f.serveFolder(w, r, p)
	case !info.Mode().IsRegular(), strings.HasSuffix(r.URL.Path, "/"):
		return fs.ErrNotExist // a pipe, say: it is not even opened, for that would wait for its writer
	}
	return f.serveFile(w, r, p)
}

// open finds the root that a path leads below, which is to be closed.
func (f *Files) open(name string) (place, error) {
	p := place{name: name, folder: f.Root}
	below := name
	first, rest, _ := strings.Cut(name, "/")
	if folder, ok := f.Virtual[first]; ok && first != "" {
		p.folder, below = folder, rest
	}
	if p.folder == "" {
		return p, fs.ErrNotExist
	}
	var err error
	if p.local, err = localPath(below); err != nil {
		return p, errPath
	}
	p.root, err = os.OpenRoot(p.folder)
	return p, err
}

// serveFile answers with a regular file.
func (f *Files) serveFile(w http.ResponseWriter, r *http.Request, p place) error {
	if !f.admit(w, r, "/"+p.name, p.file(), false) {
		return nil
	}
	file, err := p.root.Open(p.local)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	h := w.Header()
	t := contentType(p.name)
	h.Set("Content-Type", t)
	h.Set("ETag", etag(info))
	if c := f.cacheControl(changes(t)); c != "" {
		h.Set("Cache-Control", c)
	}
	http.ServeContent(w, simplifyRange(r, info.Size()), "", info.ModTime(), file)
	return nil
}

// cacheControl returns the directive for what is written again and again, or not:
// nobody may keep what others may not see.
func (f *Files) cacheControl(changes bool) string {
	switch {
	case f.Access != nil && changes:
		return "private, no-cache"
	case f.Access != nil:
		return "private"
	case changes:
		return "no-cache"
	}
	return ""
}

// etag returns a validator for the contents of a file (RFC 9110, section 8.8.3).
func etag(info fs.FileInfo) string {
	return `"` + strconv.FormatInt(info.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36) + `"`
}

// fail answers a request for what cannot be shown. What is wrong stays here.
func (f *Files) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusNotFound
	switch {
	case errors.Is(err, errPath):
		status = http.StatusBadRequest
	case errors.Is(err, fs.ErrPermission):
		status = http.StatusForbidden
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EIO):
		status = http.StatusServiceUnavailable
		f.log.Log(f.Logger, slog.LevelError, "files: cannot read", "path", r.URL.Path, "error", err)
	}
	if status == http.StatusNotFound && f.NotFound != nil {
		f.NotFound.ServeHTTP(w, r)
		return
	}
	http.Error(w, http.StatusText(status), status)
}

// folderPath returns the path of a folder in URLs, with slashes at both ends.
func folderPath(name string) string { return strings.TrimSuffix(path.Join("/", name), "/") + "/" }
