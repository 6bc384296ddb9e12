package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// nonceLife is how long a nonce is good for.
const nonceLife = 300 * time.Second

// A nonce is, in base64, when it was made, a random number and a proof of both:
//
//	+----------------------+--------------------------+--------------------+
//	|  time, 8 bytes, ns   |     random, 16 bytes     |   HMAC, 16 bytes   |
//	+----------------------+--------------------------+--------------------+
const (
	nonceTime   = 8
	nonceRandom = 16
	nonceProof  = 16
	nonceSize   = nonceTime + nonceRandom + nonceProof
)

// A mint makes nonces and knows its own. The time in them is its own, too: that
// of the system's clock may jump.
type mint struct {
	key   [sha256.Size]byte
	began time.Time
}

func newMint() *mint {
	m := &mint{began: time.Now()}
	_, _ = rand.Read(m.key[:]) // it does not fail
	return m
}

// nonce returns a new nonce for a realm.
func (m *mint) nonce(realm string) string {
	var b [nonceSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Since(m.began)))
	_, _ = rand.Read(b[nonceTime : nonceTime+nonceRandom])
	copy(b[nonceTime+nonceRandom:], m.proof(b[:], realm))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// fresh reports whether a nonce was made by m for this realm, not too long ago.
func (m *mint) fresh(nonce, realm string) bool {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != nonceSize || !hmac.Equal(b[nonceTime+nonceRandom:], m.proof(b, realm)) {
		return false
	}
	age := time.Since(m.began) - time.Duration(binary.BigEndian.Uint64(b))
	return age <= nonceLife
}

// proof returns the proof for a nonce's time and random number.
func (m *mint) proof(nonce []byte, realm string) []byte {
	h := hmac.New(sha256.New, m.key[:])
	h.Write(nonce[:nonceTime+nonceRandom])
	h.Write([]byte(realm))
	return h.Sum(nil)[:nonceProof]
}
