package hls

import (
	"net/http"
	"strings"
)

const playlistMultivariant = "index.m3u8"

const playlistType = "application/vnd.apple.mpegurl" // RFC 8216, section 4

// A routeKind is what a URL asks for.
type routeKind uint8

const (
	mediaRoute routeKind = iota
	multivariantRoute
	segmentRoute // or an initialization segment
	vodRoute     // the same of a file
)

// A route is what a URL asks for of a stream.
type route struct {
	kind      routeKind
	container Container
	name      string // relative to the stream, as a Writer knows it
}

// parseRoute splits the URL of a request into a stream's path and what is asked
// for of it. It reports false if the URL is none of ours.
func parseRoute(r *http.Request) (stream string, rt route, ok bool) {
	i := strings.LastIndexByte(r.URL.Path, '/')
	if i < 1 {
		return "", route{}, false
	}
	stream, name := r.URL.Path[:i], r.URL.Path[i+1:]
	switch {
	case strings.EqualFold(name, TS.playlist()):
		return stream, route{mediaRoute, TS, TS.playlist()}, true
	case strings.EqualFold(name, FMP4.playlist()):
		return stream, route{mediaRoute, FMP4, FMP4.playlist()}, true
	case strings.EqualFold(name, TS.delayed()):
		return stream, route{mediaRoute, TS, TS.delayed()}, true
	case strings.EqualFold(name, FMP4.delayed()):
		return stream, route{mediaRoute, FMP4, FMP4.delayed()}, true
	case strings.EqualFold(name, playlistMultivariant):
		if c, _ := queryValue(r.URL.RawQuery, containerParam); c == "ts" {
			return stream, route{multivariantRoute, TS, TS.playlist()}, true
		}
		return stream, route{multivariantRoute, FMP4, FMP4.playlist()}, true
	case isInit(name):
		return stream, route{segmentRoute, FMP4, name}, true
	}
	if c, _, _, ok := vodName(name); ok {
		return stream, route{vodRoute, c, name}, true
	}
	container, ok := segmentContainer(name)
	if !ok {
		return "", route{}, false
	}
	stream, ok = cutFolder(stream, isHour)
	if ok {
		stream, ok = cutFolder(stream, isDate)
	}
	if !ok || stream == "" {
		return "", route{}, false
	}
	return stream, route{segmentRoute, container, r.URL.Path[len(stream)+1:]}, true
}

// cutFolder takes the last element off a path if it is what it shall be.
func cutFolder(path string, is func(string) bool) (rest string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 || !is(path[i+1:]) {
		return "", false
	}
	return path[:i], true
}

// isDate reports whether s looks like 2020-03-28.
func isDate(s string) bool { return matches(s, "0000-00-00") }

// isHour reports whether s looks like 11.
func isHour(s string) bool { return matches(s, "00") }

// isInit reports whether s is init.mp4, or init-1.mp4 and so on.
func isInit(s string) bool {
	n, ok := strings.CutSuffix(s, ".mp4")
	if n == "init" {
		return ok
	}
	n, numbered := strings.CutPrefix(n, "init-")
	return ok && numbered && isNumber(n)
}

// segmentContainer returns the container of a segment's name, which looks like
// 09-38_0.ts.
func segmentContainer(s string) (Container, bool) {
	const minute = "00-00_"
	container := TS
	n, ok := strings.CutSuffix(s, TS.extension())
	if !ok {
		container = FMP4
		n, ok = strings.CutSuffix(s, FMP4.extension())
	}
	return container, ok && len(n) > len(minute) && matches(n[:len(minute)], minute) && isNumber(n[len(minute):])
}

// matches reports whether s has a digit wherever form has a 0, and is form
// elsewhere.
func matches(s, form string) bool {
	if len(s) != len(form) {
		return false
	}
	for i := range len(s) {
		if form[i] == '0' && !isDigit(s[i]) || form[i] != '0' && s[i] != form[i] {
			return false
		}
	}
	return true
}

func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != "" && len(s) < 20
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
