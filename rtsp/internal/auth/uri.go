package auth

import "strings"

// sameURI reports whether the URI in a client's credentials names what it
// requests. Clients send it as an absolute URL or as a path, and with or without
// a slash at the end; for a SETUP, some send that of the stream, of which they
// set up a track.
func sameURI(method, requested, claimed string) bool {
	requested, claimed = path(requested), path(claimed)
	if requested == claimed {
		return true
	}
	if method != "SETUP" {
		return false
	}
	track, ok := strings.CutPrefix(requested, claimed+"/")
	return ok && !strings.Contains(track, "/")
}

// path returns path and query of a URL, without a slash at the end.
func path(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok && !strings.HasPrefix(url, "/") {
		i := strings.IndexAny(rest, "/?")
		if i < 0 {
			i = len(rest)
		}
		url = rest[i:]
	}
	return strings.TrimRight(url, "/")
}
