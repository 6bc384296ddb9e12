package livehttp

import (
	"net/http"
	"strings"
)

// StreamPath returns the path of the stream that r asks for, /app/stream, if its
// URL ends in one of the suffixes, in any case, or has schema=… in its query. The
// longer of two suffixes that end alike comes first.
func StreamPath(r *http.Request, schema string, suffixes ...string) (path string, ok bool) {
	for _, suffix := range suffixes {
		if n := len(r.URL.Path) - len(suffix); n > 0 && strings.EqualFold(r.URL.Path[n:], suffix) {
			return r.URL.Path[:n], true
		}
	}
	return r.URL.Path, r.URL.Query().Get("schema") == schema
}
