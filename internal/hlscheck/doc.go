// Package hlscheck tells what is wrong with a media playlist of HLS, and with two
// that follow each other. It is written from the rules of RFC 8216 and
// draft-pantos-hls-rfc8216bis, shares nothing with the code that makes playlists,
// and is stricter than players are:
//
//	p, err := hlscheck.Parse(text)
//	err = p.Check()
//	err = hlscheck.Follows(previous, p, false)
//
// Errors name the clause. Multivariant playlists and keys are not looked at.
// Reading: line.go, parse.go, check.go, follows.go.
package hlscheck
