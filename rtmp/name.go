package rtmp

import (
	"net"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

// A target is what a peer says about the stream it wants: the properties of
// connect, and the name given to publish or play.
type target struct {
	tcURL string // such as "rtmp://host:1935/live"
	app   string
	name  string
}

// resolve returns the key that t names and the parameters in it. The app is one
// path element, whatever the peer makes of the URL: app "a/b" and name "c" are
// app "a" and stream "b/c", and "mp4:" may stand before either. Parameters are those
// of the name; if it has none, those of the app or the URL.
func (t target) resolve(vhost func(host string) string) (key source.Key, params string, err error) {
	app, appParams, _ := strings.Cut(t.app, "?")
	name, params, _ := strings.Cut(t.name, "?")
	if params == "" {
		params = appParams
	}
	if params == "" {
		_, params, _ = strings.Cut(t.tcURL, "?")
	}
	var host string
	if vhost != nil {
		host = vhost(hostOf(t.tcURL))
	}
	app, folder, _ := strings.Cut(strings.Trim(app, "/"), "/")
	stream := strings.Trim(folder+"/"+strings.Trim(fileName(name), "/"), "/")
	if folder != "" { // such as "mp4:cam" of a client that takes all but the last element for the app
		stream = fileName(stream)
	}
	key, err = source.ParseKey(host, app+"/"+stream)
	return key, params, err
}

// fileName undoes what Flash players and those that learned from them do to
// the names of files: "mp4:a" and "mp4:a.mp4" are "a.mp4".
func fileName(name string) string {
	ext, rest, ok := strings.Cut(name, ":")
	if !ok {
		return name
	}
	switch ext {
	case "mp4", "m4v", "m4a", "f4v", "f4a", "mov", "3gp", "flv", "mp3", "ts", "mkv":
	default:
		return name
	}
	if strings.HasSuffix(rest, "."+ext) {
		return rest
	}
	return rest + "." + ext
}

// hostOf returns the host in a URL, without port and brackets.
func hostOf(rawURL string) string {
	_, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if host, _, err := net.SplitHostPort(rest); err == nil {
		return host
	}
	return strings.Trim(rest, "[]")
}
