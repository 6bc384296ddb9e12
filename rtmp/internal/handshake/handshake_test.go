package handshake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// answers reports whether b, a C2 or S2, was made by respond.
func answers(b []byte, key string, digest []byte) bool {
	const end = Size - sha256.Size
	return hmac.Equal(b[end:Size], sum(sum([]byte(key), digest), b[:end]))
}

var versionCases = []struct {
	name string
	c0   byte
	ok   bool
}{
	{"RTMP", 3, true},
	{"encrypted", 6, false},
	{"TLS", 0x16, false},
	{"HTTP GET", 'G', false},
	{"OPTIONS", 'O', false},
	{"0", 0, false},
	{"garbage", 0xff, false},
}

func TestCheckVersion(t *testing.T) {
	for _, c := range versionCases {
		if err := CheckVersion(c.c0); c.ok {
			require.NoError(t, err, c.name)
		} else {
			require.ErrorIs(t, err, ErrInvalid, c.name)
		}
	}
}

// c1Cases are what clients send; scheme is -1 for those without a digest.
var c1Cases = []struct {
	name   string
	c1     func() []byte
	scheme int
}{
	{"simple", func() []byte { return offer(false) }, -1},
	{"digest in the first block", func() []byte { return offer(true) }, 0},
	{"digest in the second block", func() []byte {
		c1 := offer(true)
		fill(c1, clientVersion)
		schemes[1].sign(c1, playerKey[:playerText])
		return c1
	}, 1},
	{"version without digest", func() []byte {
		c1 := offer(true)
		c1[700] ^= 1
		return c1
	}, -1},
	{"largest offsets", func() []byte { return bytes.Repeat([]byte{0xff}, Size) }, -1},
	{"largest offset, signed", func() []byte {
		c1 := bytes.Repeat([]byte{0xff}, Size)
		c1[772], c1[773], c1[774], c1[775] = 255, 255, 217, 0 // 727
		schemes[1].sign(c1, playerKey[:playerText])
		return c1
	}, 1},
	{"zeros", func() []byte { return make([]byte, Size) }, -1},
}

func offer(digest bool) []byte {
	b := make([]byte, Opening)
	Offer(b, digest)
	return b[1:]
}

func TestAnswer(t *testing.T) {
	for _, c := range c1Cases {
		t.Run(c.name, func(t *testing.T) {
			c1 := c.c1()
			reply := make([]byte, Reply)
			digest := Answer(reply, c1)
			require.Equal(t, c.scheme >= 0, digest)
			require.EqualValues(t, Version, reply[0])
			s1, s2 := reply[1:Opening], reply[Opening:]
			require.Zero(t, binary.BigEndian.Uint32(s1))
			if !digest {
				require.Zero(t, binary.BigEndian.Uint32(s1[4:]))
				require.Equal(t, c1, s2)
				return
			}
			require.NotZero(t, binary.BigEndian.Uint32(s1[4:]))
			theirs, ok := schemes[c.scheme].verify(c1, playerKey[:playerText])
			require.True(t, ok)
			require.True(t, answers(s2, serverKey, theirs))
			ours, ok := schemes[c.scheme].verify(s1, serverKey[:serverText])
			require.True(t, ok, "S1 is not in the client's scheme")

			c2 := make([]byte, Size)
			require.True(t, Finish(c2, s1))
			require.True(t, answers(c2, playerKey, ours))
		})
	}
}

// TestFinishSimple has a client that offered the digest and a server that has
// none.
func TestFinishSimple(t *testing.T) {
	s1, c2 := offer(false), make([]byte, Size)
	require.False(t, Finish(c2, s1))
	require.Equal(t, s1, c2)
	s1[5] = 1 // a version and no digest
	require.False(t, Finish(c2, s1))
	require.Equal(t, s1, c2)
}

// TestDigestPlace computes by hand where the digest is.
func TestDigestPlace(t *testing.T) {
	b := make([]byte, Size)
	copy(b[8:], []byte{1, 2, 3, 4})
	copy(b[772:], []byte{255, 255, 255, 255})
	from, to := schemes[0].digest(b)
	require.Equal(t, [2]int{8 + 4 + 10, 8 + 4 + 10 + 32}, [2]int{from, to})
	from, to = schemes[1].digest(b)
	require.Equal(t, [2]int{772 + 4 + 1020 - 728, 772 + 4 + 1020 - 728 + 32}, [2]int{from, to})
}

// TestDigestFits holds that no offset leads outside.
func TestDigestFits(t *testing.T) {
	for sum := range 4*255 + 1 {
		b := make([]byte, Size)
		for i, left := 0, sum; i < 4; i++ {
			k := min(left, 255)
			b[8+i], b[772+i] = byte(k), byte(k)
			left -= k
		}
		for _, s := range schemes {
			from, to := s.digest(b)
			require.GreaterOrEqual(t, from, int(s)+4)
			require.LessOrEqual(t, to, int(s)+764)
		}
	}
}

const goldenDigest = "\xa0\x9a\x84\xdb\xbb\x40\xe0\x42\x54\xe9\x32\xe7\x47\x1c\x83\x58" +
	"\xdd\x8a\xaf\xb8\x39\xac\x46\x52\x91\x68\x2d\x7a\xab\x2f\xdb\xa4"

// TestAnswerGolden has a C1 without random bytes, whose digest was computed by
// another program (openssl dgst -sha256 -hmac "Genuine Adobe Flash Player 001"
// of 1504 bytes).
func TestAnswerGolden(t *testing.T) {
	c1 := make([]byte, Size)
	c1[4] = 9
	copy(c1[12:], goldenDigest)
	reply := make([]byte, Reply)
	require.True(t, Answer(reply, c1))
	require.True(t, answers(reply[Opening:], serverKey, []byte(goldenDigest)))
}

func FuzzHandshake(f *testing.F) {
	for _, c := range c1Cases {
		f.Add(c.c1())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c1 := make([]byte, Size)
		copy(c1, b)
		reply, c2 := make([]byte, Reply), make([]byte, Size)
		if !Answer(reply, c1) {
			require.Equal(t, c1, reply[Opening:])
		}
		Finish(c2, c1)
		Finish(c2, reply[1:Opening])
	})
}

func BenchmarkAnswer(b *testing.B) {
	c1, reply := offer(true), make([]byte, Reply)
	for b.Loop() {
		Answer(reply, c1)
	}
}
