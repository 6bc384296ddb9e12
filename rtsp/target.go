package rtsp

import (
	"net"
	"net/url"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

// A target is what the URL of a request names (RFC 2326, 3.2).
type target struct {
	host  string // without port and brackets
	path  string // with its escapes
	query string // without "?"
}

// splitURL takes a URL apart; it may be a path only.
func splitURL(raw string) target {
	var t target
	if _, rest, ok := strings.Cut(raw, "://"); ok {
		end := len(rest)
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			end = i
		}
		authority := rest[:end]
		raw = rest[end:]
		authority = authority[strings.LastIndexByte(authority, '@')+1:]
		t.host = strings.Trim(authority, "[]")
		if host, _, err := net.SplitHostPort(authority); err == nil {
			t.host = host
		}
	}
	raw, _, _ = strings.Cut(raw, "#")
	t.path, t.query, _ = strings.Cut(raw, "?")
	return t
}

// resolve returns the key and the parameters that a URL names. A slash and
// ".sdp" at the end of the path are not part of the name.
func (s *Server) resolve(raw string) (key source.Key, params string, err error) {
	t := splitURL(raw)
	path := t.path
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded
	}
	path = strings.TrimSuffix(strings.TrimRight(path, "/"), ".sdp")
	host := ""
	if s.Vhost != nil {
		host = s.Vhost(t.host)
	}
	key, err = source.ParseKey(host, path)
	return key, strings.TrimRight(t.query, "/"), err
}

// cutControl takes the control attribute of one of our own medias off the end of
// a URL, or of what comes before its query, and what joins them. ok is false if
// there is none.
func cutControl(raw string) (base string, ok bool) {
	if base, ok = cutEnd(raw); ok {
		return base, true
	}
	before, query, _ := strings.Cut(raw, "?")
	if base, ok = cutEnd(before); ok {
		return base + "?" + query, true
	}
	return raw, false
}

// cutEnd is cutControl for what is at the very end.
func cutEnd(raw string) (base string, ok bool) {
	i := strings.LastIndexAny(raw, "/?&")
	if i < 0 {
		return raw, false
	}
	name, number, ok := strings.Cut(raw[i+1:], "=")
	if !ok || name != "trackID" || strings.ContainsAny(number, "=") {
		return raw, false
	}
	return raw[:i], true
}

// findMedia returns which of the medias a URL means, base being the one that was
// described or announced; -1 if none. Peers join base and control as they see fit,
// or take the control for the whole: with one media there is no choice.
func findMedia(medias []media, base, raw string) int {
	base, raw = strings.TrimRight(base, "/"), strings.TrimRight(raw, "/")
	path, _, _ := strings.Cut(raw, "?")
	matches := []func(control, whole string) bool{
		func(_, whole string) bool { return raw == whole },
		func(control, _ string) bool {
			return strings.HasSuffix(raw, "/"+control) || strings.HasSuffix(path, "/"+control)
		},
		func(_, whole string) bool {
			rest, ok := strings.CutPrefix(raw, whole)
			return ok && strings.ContainsAny(rest[:1], "/?&;")
		},
	}
	for _, match := range matches {
		for i := range medias {
			control := strings.TrimRight(medias[i].control, "/")
			whole := control
			if !strings.Contains(control, "://") {
				control = strings.TrimLeft(control, "/")
				whole = base + "/" + control
			}
			if control != "" && match(control, whole) {
				return i
			}
		}
	}
	if len(medias) == 1 {
		return 0
	}
	return -1
}
