// Package auth is the server's side of a login: Basic (RFC 7617) and Digest with
// MD5 and SHA-256 (RFC 7616), as RTSP clients do them.
//
// A [Verifier] makes the WWW-Authenticate headers for a source.Challenge and
// judges what comes back:
//
//	user, stale, err := v.Verify(ctx, c, h.Get("Authorization"), method, url)
//	if err != nil {
//		for _, line := range v.Challenge(c, stale) {
//			h.Add("WWW-Authenticate", line)
//		}
//		…
//
// It keeps nothing about clients: a nonce is its own proof of when it was made.
//
// verifier.go (the judgement), nonce.go, digest.go (responses), params.go (the
// header), uri.go (which path a client meant).
package auth
