package auth

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// An algorithm is how digests are made (RFC 7616, section 3.2).
type algorithm string

const (
	algorithmMD5    algorithm = "MD5"
	algorithmSHA256 algorithm = "SHA-256"
)

// sum returns the digest of the parts with colons between them, in hexadecimal.
func (a algorithm) sum(parts ...string) string {
	s := []byte(strings.Join(parts, ":"))
	if a == algorithmSHA256 {
		d := sha256.Sum256(s)
		return hex.EncodeToString(d[:])
	}
	d := md5.Sum(s)
	return hex.EncodeToString(d[:])
}

// algorithmOf returns the algorithm that has made a digest, by its length.
func algorithmOf(digest string) algorithm {
	if len(digest) == 2*sha256.Size {
		return algorithmSHA256
	}
	return algorithmMD5
}

// A digest is the credentials of the scheme of that name.
type digest struct {
	user, realm, nonce, uri, response string
	algorithm                         algorithm
	qop, nc, cnonce                   string // with qop empty, the others are not used (RFC 2069)
}

// parseDigest parses the parameters of an Authorization header.
func parseDigest(s string) (*digest, bool) {
	p, err := parseParams(s)
	if err != nil {
		return nil, false
	}
	d := &digest{
		user: p["username"], realm: p["realm"], nonce: p["nonce"], uri: p["uri"], response: strings.ToLower(p["response"]),
		qop: strings.ToLower(p["qop"]), nc: p["nc"], cnonce: p["cnonce"],
	}
	switch a := algorithm(strings.ToUpper(p["algorithm"])); a {
	case "", algorithmMD5:
		d.algorithm = algorithmMD5
	case algorithmSHA256:
		d.algorithm = a
	default:
		return nil, false
	}
	switch d.qop {
	case "":
	case "auth":
		if d.nc == "" || d.cnonce == "" {
			return nil, false
		}
	default:
		return nil, false
	}
	return d, d.user != "" && d.nonce != "" && d.uri != "" && d.response != ""
}

// want returns the response of a client that knows ha1, the digest of user,
// realm and password (RFC 7616, section 3.4.1).
func (d *digest) want(ha1, method string) string {
	ha2 := d.algorithm.sum(method, d.uri)
	if d.qop == "" {
		return d.algorithm.sum(ha1, d.nonce, ha2)
	}
	return d.algorithm.sum(ha1, d.nonce, d.nc, d.cnonce, d.qop, ha2)
}
