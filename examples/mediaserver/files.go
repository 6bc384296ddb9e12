package main

import (
	"net/http"
	"os"
	"path"
	"strings"
)

// An archive answers requests for files that have an FLV file's name: those are
// also, in their older form, URLs of live streams. Anything else goes to next.
type archive struct {
	root  string
	files http.Handler
	next  http.Handler
}

// ServeHTTP implements http.Handler.
func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.EqualFold(path.Ext(r.URL.Path), ".flv") && a.has(r.URL.Path) {
		a.files.ServeHTTP(w, r)
		return
	}
	a.next.ServeHTTP(w, r)
}

// has reports whether there is a file of that name.
func (a *archive) has(name string) bool {
	if a.root == "" {
		return false
	}
	root, err := os.OpenRoot(a.root)
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }()
	st, err := root.Stat(strings.TrimPrefix(path.Clean(name), "/"))
	return err == nil && st.Mode().IsRegular()
}
