package handshake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
)

// The keys of Adobe's programs, published long ago. The text alone signs C1 and
// S1; text and secret sign C2 and S2.
const (
	keySecret = "\xF0\xEE\xC2\x4A\x80\x68\xBE\xE8\x2E\x00\xD0\xD1\x02\x9E\x7E\x57" +
		"\x6E\xEC\x5D\x2D\x29\x80\x6F\xAB\x93\xB8\xE6\x36\xCF\xEB\x31\xAE"

	serverKey  = "Genuine Adobe Flash Media Server 001" + keySecret
	serverText = 36
	playerKey  = "Genuine Adobe Flash Player 001" + keySecret
	playerText = 30
)

// A scheme is a place for the digest in C1 and S1. The 1528 bytes after the
// version are two blocks of 764, one for the digest and one for a Diffie-Hellman
// key, which is of use in encrypted RTMP only:
//
//	+----------+----------------------+---------------------------------+
//	| offset 4 | offset mod 728 bytes | digest 32 |    up to 728 bytes   |
//	+----------+----------------------+---------------------------------+
//
// The offset is the sum of its four bytes.
type scheme int

// The schemes differ in which block is the digest's: the first or the second.
// Players use the one or the other; a server answers in the client's.
var schemes = [...]scheme{randomAt, randomAt + 764}

// digest returns where the digest is in b.
func (s scheme) digest(b []byte) (from, to int) {
	sum := 0
	for _, x := range b[s : s+4] {
		sum += int(x)
	}
	from = int(s) + 4 + sum%728
	return from, from + sha256.Size
}

// compute returns the digest of b, which is that of all bytes but its own.
func (s scheme) compute(b []byte, key string) []byte {
	from, to := s.digest(b)
	h := hmac.New(sha256.New, []byte(key))
	h.Write(b[:from])
	h.Write(b[to:])
	return h.Sum(nil)
}

// sign puts the digest into b.
func (s scheme) sign(b []byte, key string) {
	from, to := s.digest(b)
	copy(b[from:to], s.compute(b, key))
}

// verify returns the digest in b and whether it is right.
func (s scheme) verify(b []byte, key string) (digest []byte, ok bool) {
	from, to := s.digest(b)
	return b[from:to], hmac.Equal(b[from:to], s.compute(b, key))
}

// respond makes b, a C2 or S2, the answer to a peer who sent digest: random
// bytes, then their signature with a key made of ours and the peer's digest.
func respond(b []byte, key string, digest []byte) {
	const end = Size - sha256.Size
	rand.Read(b[:end])
	copy(b[end:Size], sum(sum([]byte(key), digest), b[:end]))
}

func sum(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}
