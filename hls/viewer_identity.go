package hls

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
)

const (
	cookieName     = "mediakit_hls"
	sessionParam   = "session"   // of a query: the id of the client
	containerParam = "container" // of a query: "ts" or "fmp4", for the multivariant playlist
	directives     = "_HLS_"     // prefix of the parameters that the protocol defines

	maxIDs = 4 // of a request that are looked at
)

// proofHeaders are what of a header a source.Handler may judge a peer by.
var proofHeaders = [...]string{
	"User-Agent", "Authorization", "Origin", "Referer", "X-Forwarded-For", "X-Real-Ip", "Forwarded",
}

// A fingerprint is what a client is known by that shows no id of ours.
type fingerprint [sha256.Size]byte

// fingerprintOf returns the fingerprint of the client that made a request.
func fingerprintOf(r *http.Request) fingerprint {
	sum := sha256.New()
	var buf [256]byte
	b := buf[:0]
	add := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
		if len(b) > 128 {
			sum.Write(b)
			b = b[:0]
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	add(host)
	add(queryWithout(r.URL.RawQuery, isDirective))
	for _, name := range proofHeaders {
		for _, v := range r.Header[name] {
			add(v)
		}
		add("")
	}
	eachCookie(r.Header, func(name, pair string) bool {
		if name != cookieName {
			add(pair)
		}
		return true
	})
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		add(string(r.TLS.PeerCertificates[0].Raw))
	}
	sum.Write(b)
	var p fingerprint
	sum.Sum(p[:0])
	return p
}

// eachCookie calls fn for the name=value pairs of the cookies until it says false.
func eachCookie(h http.Header, fn func(name, pair string) bool) {
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			name, _, _ := strings.Cut(pair, "=")
			if pair != "" && !fn(name, pair) {
				return
			}
		}
	}
}

// idsOf appends the ids that a request shows, the most specific cookie first.
func idsOf(dst []string, r *http.Request) []string {
	eachCookie(r.Header, func(name, pair string) bool {
		if name == cookieName {
			dst = append(dst, strings.Trim(pair[min(len(pair), len(name)+1):], `"`))
		}
		return len(dst) < maxIDs-1
	})
	if id, ok := queryValue(r.URL.RawQuery, sessionParam); ok {
		dst = append(dst, id)
	}
	return dst
}

// offerCookie tells the client its id, unless it has shown it.
func (h *Handler) offerCookie(w http.ResponseWriter, r *http.Request, id string) {
	var buf [maxIDs]string
	for _, shown := range idsOf(buf[:0], r) {
		if shown == id {
			return
		}
	}
	path, _, _ := strings.Cut(r.RequestURI, "?") // as the client wrote it, whatever http.StripPrefix did
	if !strings.HasPrefix(path, "/") {
		path = r.URL.EscapedPath()
	}
	path = path[:strings.LastIndexByte(path, '/')+1]
	if strings.ContainsRune(path, ';') { // which no cookie can say
		return
	}
	c := http.Cookie{
		Name: cookieName, Value: id, Path: path, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	}
	if c.Secure && h.AllowOrigin != nil { // pages elsewhere are known
		c.SameSite = http.SameSiteNoneMode
	}
	http.SetCookie(w, &c)
}

// requestParams returns what of a query concerns a source.Handler.
func requestParams(query string) string {
	return queryWithout(query, func(name string) bool { return isDirective(name) || name == sessionParam })
}

// variantParams returns what of a query is repeated in the multivariant
// playlist's URI.
func variantParams(query string) string {
	return queryWithout(query, func(name string) bool {
		return isDirective(name) || name == sessionParam || name == containerParam
	})
}

func isDirective(name string) bool { return strings.HasPrefix(name, directives) }

// queryWithout returns a raw query without the parameters that drop names.
func queryWithout(query string, drop func(name string) bool) string {
	if query == "" {
		return ""
	}
	var b strings.Builder
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if pair == "" || drop(name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pair)
	}
	return b.String()
}

// queryValue returns the value of a parameter in a raw query.
func queryValue(query, name string) (value string, ok bool) {
	for pair := range strings.SplitSeq(query, "&") {
		if k, v, _ := strings.Cut(pair, "="); k == name {
			return v, true
		}
	}
	return "", false
}
