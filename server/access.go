package server

import (
	"crypto/sha256"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// accessCookie is the name of the cookie that visitors are known by.
const accessCookie = "mediakit_access"

// maxAccessCookies is how many cookies of that name are looked at: there is one
// for each folder that the visitor was let into.
const maxAccessCookies = 8

// An AccessRequest is what somebody wants to see. Its paths are those of the
// request: whoever decides by them has to ignore case where the system does.
type AccessRequest struct {
	Path    string        // in the URL, decoded and clean, as in "/record/a.mp4"; that of a folder ends in a slash
	File    string        // the file or folder on this machine
	Dir     bool          // it is a folder, of which a list will be shown
	Request *http.Request // whose query, header and address may decide; it must not be changed
}

// An Access is the answer to an AccessRequest.
type Access struct {
	Refusal string        // why the visitor may not see it, which he is told; "" lets him
	Folder  string        // what the answer is good for, as in "/record/", and all below it; "" is the folder of what was asked for
	For     time.Duration // how long it is good for; 0: the next request is asked about again
}

// admit asks whether the visitor may see what is in file, unless he was answered
// before. It answers the request when he may not.
func (f *Files) admit(w http.ResponseWriter, r *http.Request, urlPath, file string, dir bool) bool {
	if f.Access == nil {
		return true
	}
	who := visitorOf(r)
	g, known := f.grants.find(who, urlPath, time.Now())
	if !known {
		a, err := f.Access(r.Context(), &AccessRequest{Path: urlPath, File: file, Dir: dir, Request: r})
		if err != nil {
			if r.Context().Err() == nil {
				f.refused(r, urlPath, err)
				livehttp.Refuse(w, r, err)
			}
			return false
		}
		g = grant{refusal: a.Refusal, folder: a.Folder}
		if g.folder == "" {
			g.folder = path.Dir(urlPath) // which keeps a folder's path, but for the slash
		}
		if a.For > 0 {
			g = f.grants.add(who, g, a.For, time.Now())
		}
	}
	if g.id != "" && !who.has(g.id) {
		g.setCookie(w, r)
	}
	if g.refusal != "" {
		err := source.Refuse(source.ErrUnauthorized, g.refusal)
		f.refused(r, urlPath, err)
		livehttp.Refuse(w, r, err)
		return false
	}
	return true
}

// A visitor is who asks: known by cookies, else by the query of the URL, which
// players without cookies repeat with every request.
type visitor struct {
	ids   []string // from cookies
	query queryKey
}

// A queryKey stands for a query and the address it came from, so that nobody
// elsewhere can be taken for the visitor. Zero stands for no query.
type queryKey [sha256.Size]byte

func visitorOf(r *http.Request) visitor {
	var v visitor
	for _, c := range r.CookiesNamed(accessCookie) {
		if len(v.ids) == maxAccessCookies {
			break
		}
		v.ids = append(v.ids, c.Value)
	}
	if r.URL.RawQuery != "" {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		v.query = sha256.Sum256([]byte(host + "?" + r.URL.RawQuery))
	}
	return v
}

// has reports whether the visitor has the cookie of a grant.
func (v visitor) has(id string) bool {
	for _, have := range v.ids {
		if have == id {
			return true
		}
	}
	return false
}

// setCookie gives the visitor the cookie by which the grant is found again. Pages
// of other sites cannot use it.
func (g grant) setCookie(w http.ResponseWriter, r *http.Request) {
	folder := url.URL{Path: prefixOf(r) + strings.Trim(g.folder, "/")}
	http.SetCookie(w, &http.Cookie{
		Name:     accessCookie,
		Value:    g.id,
		Path:     strings.ReplaceAll(folder.EscapedPath(), ";", "%3B"),
		MaxAge:   int(max(1, min(time.Until(g.until)/time.Second, 1<<31-1))),
		HttpOnly: true,
		Secure:   r.TLS != nil,
		SameSite: http.SameSiteLaxMode,
	})
}

// prefixOf returns the part of the path that was stripped from the URL before a
// Files got the request, with a slash at its end.
func prefixOf(r *http.Request) string {
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		if prefix, ok := strings.CutSuffix(u.Path, r.URL.Path); ok {
			return strings.TrimSuffix(prefix, "/") + "/"
		}
	}
	return "/"
}

// refused writes a line about somebody who was not let in.
func (f *Files) refused(r *http.Request, path string, err error) {
	f.log.Log(f.Logger, slog.LevelWarn, "files: refused", "path", path, "remote", r.RemoteAddr, "error", err)
}
