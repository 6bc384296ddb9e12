package livehttp

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"
)

// maxCookies is how many cookies a Jar takes.
const maxCookies = 64

// A Jar keeps the cookies of the servers of one stream, as many as those need: a
// server cannot fill our memory with them.
type Jar struct {
	jar   *cookiejar.Jar
	mu    sync.Mutex         // guards names
	names map[[2]string]bool // host and name of the cookies there were
}

// NewJar returns an empty Jar.
func NewJar() *Jar {
	jar, _ := cookiejar.New(nil) // it never fails
	return &Jar{jar: jar, names: map[[2]string]bool{}}
}

// SetCookies implements http.CookieJar.
func (j *Jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	var kept []*http.Cookie
	j.mu.Lock()
	for _, c := range cookies {
		key := [2]string{u.Hostname(), c.Name}
		if j.names[key] || len(j.names) < maxCookies {
			j.names[key] = true
			kept = append(kept, c)
		}
	}
	j.mu.Unlock()
	j.jar.SetCookies(u, kept)
}

// Cookies implements http.CookieJar.
func (j *Jar) Cookies(u *url.URL) []*http.Cookie { return j.jar.Cookies(u) }
