package rtsp

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// A login answers the challenges of a server: Digest (RFC 7616) and Basic (RFC
// 7617).
type login struct {
	user     string
	password string
	hashed   bool // password is a HA1
	ok       bool // there are a user and a password

	asked *challenge // the latest; nil before
	uses  uint32     // of its nonce
}

// A challenge is one way to log in that a server offers.
type challenge struct {
	scheme string // lower case
	params []challengeParam
}

type challengeParam struct{ name, value string }

func (c *challenge) param(name string) string {
	for _, p := range c.params {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// The ways to log in, the worst one first.
const (
	loginNone = iota
	loginBasic
	loginMD5
	loginSHA256
)

// way returns the way to log in that c is.
func (c *challenge) way() int {
	switch {
	case c.scheme == "basic":
		return loginBasic
	case c.scheme != "digest" || c.param("nonce") == "":
		return loginNone
	}
	switch strings.ToUpper(c.param("algorithm")) {
	case "", "MD5":
		return loginMD5
	case "SHA-256":
		return loginSHA256
	}
	return loginNone
}

// can reports whether l can answer c.
func (l *login) can(c *challenge) bool {
	if !l.hashed {
		return l.ok && c.way() != loginNone
	}
	switch c.way() { // a HA1 is good for its algorithm
	case loginMD5:
		return l.ok && len(l.password) == 2*md5.Size
	case loginSHA256:
		return l.ok && len(l.password) == 2*sha256.Size
	}
	return false
}

// learn takes in the WWW-Authenticate headers of a refusal, for a request that
// had the Authorization header sent. It reports whether another attempt makes
// sense, and whether the one before was wrong only for the age of its nonce.
func (l *login) learn(headers []string, sent string) (again, stale bool) {
	var best *challenge
	for _, h := range headers {
		for _, c := range parseChallenges(h) {
			if l.can(&c) && (best == nil || c.way() > best.way()) {
				best = &c
			}
		}
	}
	if best == nil {
		return false, false
	}
	again = sent == "" || best.way() != loginBasic && best.param("nonce") != l.asked.param("nonce")
	l.asked, l.uses = best, 0
	return again, again && strings.EqualFold(best.param("stale"), "true")
}

// authorization returns the Authorization header of a request, "" as long as
// nobody has asked for one.
func (l *login) authorization(method, uri string) string {
	c := l.asked
	if c == nil {
		return ""
	}
	if c.way() == loginBasic {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(l.user+":"+l.password))
	}
	hash := md5Hex
	if c.way() == loginSHA256 {
		hash = sha256Hex
	}
	realm, nonce := c.param("realm"), c.param("nonce")
	ha1 := strings.ToLower(l.password)
	if !l.hashed {
		ha1 = hash(l.user + ":" + realm + ":" + l.password)
	}
	ha2 := hash(method + ":" + uri)
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username=%s, realm=%s, nonce=%s, uri=%s`, quote(l.user), quote(realm), quote(nonce), quote(uri))
	if offersAuth(c.param("qop")) {
		l.uses++
		nc, cnonce := fmt.Sprintf("%08x", l.uses), strings.ToLower(rand.Text())
		fmt.Fprintf(&b, `, response="%s", qop=auth, nc=%s, cnonce="%s"`,
			hash(ha1+":"+nonce+":"+nc+":"+cnonce+":auth:"+ha2), nc, cnonce)
	} else {
		fmt.Fprintf(&b, `, response="%s"`, hash(ha1+":"+nonce+":"+ha2))
	}
	if a := c.param("algorithm"); a != "" {
		b.WriteString(", algorithm=" + a)
	}
	if o := c.param("opaque"); o != "" {
		b.WriteString(", opaque=" + quote(o))
	}
	return b.String()
}

// offersAuth reports whether the qualities of protection that a server offers
// have auth among them.
func offersAuth(qop string) bool {
	for q := range strings.SplitSeq(qop, ",") {
		if strings.EqualFold(strings.TrimSpace(q), "auth") {
			return true
		}
	}
	return false
}

func md5Hex(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

func sha256Hex(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// quote returns s as a quoted string (RFC 9110, 5.6.4).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// maxChallengeParams is how many parameters of a challenge are read.
const maxChallengeParams = 32

// parseChallenges decodes a WWW-Authenticate header (RFC 9110, 11.6.1), which
// may have several challenges. Values may have single quotes or none, and
// parameters nothing between them.
func parseChallenges(s string) []challenge {
	var all []challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return all
		}
		i := strings.IndexAny(s, " \t,=")
		if i < 0 {
			i = len(s)
		}
		name := strings.ToLower(s[:i])
		s = strings.TrimLeft(s[i:], " \t")
		if !strings.HasPrefix(s, "=") {
			all = append(all, challenge{scheme: name})
			continue
		}
		var value string
		value, s = cutValue(strings.TrimLeft(s[1:], " \t"))
		if len(all) > 0 {
			if c := &all[len(all)-1]; len(c.params) < maxChallengeParams {
				c.params = append(c.params, challengeParam{name, value})
			}
		}
	}
}

// cutValue returns the value at the start of s and what is after it.
func cutValue(s string) (value, rest string) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		i := strings.IndexByte(s, ',')
		if i < 0 {
			i = len(s)
		}
		return strings.TrimSpace(s[:i]), s[i:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "" // never closed
}
