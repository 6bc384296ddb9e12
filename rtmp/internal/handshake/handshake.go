// Package handshake makes and checks the packets with which an RTMP connection
// begins (RTMP 1.0, section 5.2).
//
// The simple handshake echoes random bytes. In the digest handshake, which the
// specification does not have, each side proves to know a published key:
// [Answer] does what a server has to do, [Offer] and [Finish] what a client has
// to.
package handshake

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrInvalid is wrapped by the errors of packets that no RTMP peer sends.
var ErrInvalid = errors.New("rtmp: bad handshake")

// Version is the only content of C0 and S0 (section 5.2.2).
const Version = 3

// Sizes of what goes over the wire.
const (
	Size    = 1536       // C1, S1, C2 and S2
	Opening = 1 + Size   // C0 and C1; S0 and S1
	Reply   = 1 + 2*Size // S0, S1 and S2
)

// CheckVersion returns an error if b, the first byte of a peer, is no C0 or S0.
func CheckVersion(b byte) error {
	switch b {
	case Version:
		return nil
	case 6, 8:
		return fmt.Errorf("%w: encrypted RTMP (version %d) is not supported", ErrInvalid, b)
	case 22:
		return fmt.Errorf("%w: the peer speaks TLS", ErrInvalid)
	case 'C', 'D', 'G', 'H', 'O', 'P':
		return fmt.Errorf("%w: the peer speaks HTTP or RTSP", ErrInvalid)
	}
	return fmt.Errorf("%w: version %d", ErrInvalid, b)
}

// C1 and S1 (section 5.2.3). In the simple handshake the version is zero.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|                             time                              |
//	+---------------------------------------------------------------+
//	|                       version, or zero                        |
//	+---------------------------------------------------------------+
//	|            1528 random bytes, among them the digest           |
//	+---------------------------------------------------------------+
const (
	versionAt = 4
	randomAt  = 8
)

// Versions that we name in the digest handshake: those of programs all peers
// know to support it.
const (
	clientVersion = 0x0900_7C02 // Flash Player 9.0.124.2
	serverVersion = 0x0405_0001 // Flash Media Server 4.5
)

// Answer writes S0, S1 and S2 for the C1 of a client to dst, of Reply bytes, and
// reports whether it took part in the digest handshake.
func Answer(dst, c1 []byte) (digest bool) {
	dst[0] = Version
	s1, s2 := dst[1:Opening], dst[Opening:Reply]
	fill(s1, 0)
	if binary.BigEndian.Uint32(c1[versionAt:]) != 0 {
		for _, sch := range schemes {
			if d, ok := sch.verify(c1, playerKey[:playerText]); ok {
				fill(s1, serverVersion)
				sch.sign(s1, serverKey[:serverText])
				respond(s2, serverKey, d)
				return true
			}
		}
	}
	copy(s2, c1)
	return false
}

// Offer writes C0 and C1 to dst, of Opening bytes.
func Offer(dst []byte, digest bool) {
	dst[0] = Version
	c1 := dst[1:Opening]
	if !digest {
		fill(c1, 0)
		return
	}
	fill(c1, clientVersion)
	schemes[0].sign(c1, playerKey[:playerText])
}

// Finish writes C2 to dst, of Size bytes, the client's answer to S1. It reports
// whether the server takes part in the digest handshake; many do not, whatever
// they were offered.
func Finish(dst, s1 []byte) (digest bool) {
	if binary.BigEndian.Uint32(s1[versionAt:]) != 0 {
		for _, sch := range schemes {
			if d, ok := sch.verify(s1, serverKey[:serverText]); ok {
				respond(dst, playerKey, d)
				return true
			}
		}
	}
	copy(dst, s1)
	return false
}

// fill makes b a C1 or S1 without a digest. Its time is zero: nobody uses it.
func fill(b []byte, version uint32) {
	clear(b[:versionAt])
	binary.BigEndian.PutUint32(b[versionAt:], version)
	rand.Read(b[randomAt:])
}
