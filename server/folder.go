package server

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxEntries is how many entries of a folder are looked at.
const maxEntries = 10_000

// indexes are the pages that stand for their folder, in any case, best first.
var indexes = []string{"index.html", "index.htm"}

// serveFolder answers with the index of a folder, or with a list of what is in
// there. A zero place is the root, where there are only virtual folders.
func (f *Files) serveFolder(w http.ResponseWriter, r *http.Request, p place) error {
	if to, ok := folderURL(r); !ok {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusMovedPermanently)
		return nil
	}
	var names []string
	more := false
	if p.root != nil {
		index, ok := findIndex(p, indexes)
		if !ok {
			var err error
			if names, more, err = readNames(p.root, p.local); err != nil {
				return err
			}
			index, ok = findIndex(p, names)
		}
		if ok {
			p.name, p.local = path.Join(p.name, index), filepath.Join(p.local, index)
			return f.serveFile(w, r, p)
		}
	}
	if f.NoLists {
		return fs.ErrNotExist
	}
	if !f.admit(w, r, folderPath(p.name), p.file(), true) {
		return nil
	}
	l := listing{path: folderPath(p.name), home: prefixOf(r), more: more}
	if p.name == "" {
		for name := range f.Virtual {
			if name != "" && !hidden(name) {
				l.entries = append(l.entries, entry{name: name, dir: true})
			}
		}
	}
	for _, name := range names {
		if _, covered := f.Virtual[name]; covered && p.name == "" {
			continue
		}
		if e, ok := stat(p, name); ok {
			l.entries = append(l.entries, e)
		}
	}
	w.Header().Set("Cache-Control", f.cacheControl(true))
	l.serve(w, r)
	return nil
}

// folderURL reports whether r's URL is that of a folder: with a slash at its end,
// for links in a page are relative to its folder. Else it returns the URL that
// is, itself relative, so that it leads to no other host.
func folderURL(r *http.Request) (to string, ok bool) {
	uri, query, _ := strings.Cut(cmp.Or(r.RequestURI, r.URL.RequestURI()), "?")
	last := uri[strings.LastIndexByte(uri, '/')+1:]
	if last == "" || strings.HasSuffix(r.URL.Path, "/") {
		return "", true
	}
	to = "./" + last + "/"
	if query != "" {
		to += "?" + query
	}
	return to, false
}

// readNames returns the names in a folder, sorted, that are neither hidden nor such that
// no URL leads to them, and whether there are more than are looked at.
func readNames(root *os.Root, local string) (names []string, more bool, err error) {
	dir, err := root.Open(local)
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	all, err := dir.Readdirnames(maxEntries + 1)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	if more = len(all) > maxEntries; more {
		all = all[:maxEntries]
	}
	names = slices.DeleteFunc(all, func(name string) bool {
		clean, err := cleanPath(name)
		return err != nil || clean != name
	})
	slices.Sort(names)
	return names, more, nil
}

// findIndex returns the first of names that is the page that stands for a folder.
func findIndex(p place, names []string) (string, bool) {
	for _, index := range indexes {
		for _, name := range names {
			if strings.EqualFold(name, index) {
				if e, ok := stat(p, name); ok && !e.dir {
					return name, true
				}
			}
		}
	}
	return "", false
}

// An entry is a line of a listing.
type entry struct {
	name string
	dir  bool
	size int64
	time time.Time // zero: unknown
}

// stat looks at an entry of the folder p. It reports whether that can be served:
// a link that leads out of the root cannot, nor can a device.
func stat(p place, name string) (entry, bool) {
	info, err := p.root.Stat(filepath.Join(p.local, name))
	if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
		return entry{}, false
	}
	return entry{name, info.IsDir(), info.Size(), info.ModTime()}, true
}

// A listing is the page about a folder without an index.
type listing struct {
	path    string // of the folder, as in "/record/"
	home    string // of the root, where another handler may have put that
	entries []entry
	more    bool // there are more entries than these
}

func (l *listing) serve(w http.ResponseWriter, r *http.Request) {
	b := l.page()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // the visitor may have gone
	}
}

// page returns the listing as HTML, folders first.
func (l *listing) page() []byte {
	slices.SortFunc(l.entries, func(a, b entry) int {
		if a.dir != b.dir {
			if a.dir {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.name, b.name)
	})
	var b bytes.Buffer
	title := html.EscapeString(l.path)
	fmt.Fprintf(&b, `<!DOCTYPE html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%s</title>
<style>body{font-family:sans-serif}td{padding:0 1em 0 0}td+td{text-align:right}</style>
</head><body><h1>%s</h1>
<table>
`, title, title)
	if l.path != "/" {
		home := url.URL{Path: l.home}
		fmt.Fprintf(&b, "<tr><td><a href=\"%s\">/</a></td></tr>\n<tr><td><a href=\"../\">../</a></td></tr>\n", html.EscapeString(home.EscapedPath()))
	}
	for _, e := range l.entries {
		slash, size := "/", ""
		if !e.dir {
			slash, size = "", formatSize(e.size)
		}
		date := ""
		if !e.time.IsZero() {
			date = e.time.UTC().Format("2006-01-02 15:04:05")
		}
		// "./" keeps a colon in the name from making it a scheme.
		fmt.Fprintf(&b, "<tr><td><a href=\"./%s%s\">%s%[2]s</a></td><td>%[4]s</td><td>%[5]s</td></tr>\n",
			html.EscapeString(url.PathEscape(e.name)), slash, html.EscapeString(e.name), size, date)
	}
	b.WriteString("</table>\n")
	if l.more {
		fmt.Fprintf(&b, "<p>and more than these %d</p>\n", maxEntries)
	}
	b.WriteString("</body></html>\n")
	return b.Bytes()
}

// formatSize returns a number of bytes for people.
func formatSize(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
}
