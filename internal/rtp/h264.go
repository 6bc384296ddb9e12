package rtp

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/mediakit-go/mediakit/codec"
)

// videoClock is the clock of all video here, in Hz.
const videoClock = 90000

// h264Carriage is H.264 by RFC 6184: sent in packetization mode 1, that is, single
// NAL units, STAP-A and FU-A in decoding order. STAP-B and FU-B are read too,
// but not put into another order.
func h264Carriage() carriage {
	return carriage{
		codec: codec.H264,
		names: []string{"H264"},
		describe: func(t *codec.Track, p *Payload) bool {
			p.ClockRate = videoClock
			p.Params = []Parameter{{"packetization-mode", "1"}}
			sets := t.ParameterSets()
			if len(sets) == 0 {
				return true
			}
			if len(sets[0]) >= 4 { // the SPS comes first
				p.Params = append(p.Params, Parameter{"profile-level-id", strings.ToUpper(hex.EncodeToString(sets[0][1:4]))})
			}
			p.Params = append(p.Params, Parameter{"sprop-parameter-sets", sprop(sets)})
			return true
		},
		track: func(p *Payload, t *codec.Track) (*codec.Track, error) {
			return withSets(t, spropSets(p.Param("sprop-parameter-sets"))), nil
		},
		packer: func(t *codec.Track) packer { return newNALUPacker(h264Format(), t) },
		unpacker: func(_ *Payload, t *codec.Track) (Depacketizer, error) {
			return newNALUUnpacker(h264Format(), t), nil
		},
	}
}

// sprop returns parameter sets as attributes hold them.
func sprop(sets [][]byte) string {
	s := make([]string, len(sets))
	for i, nalu := range sets {
		s[i] = base64.StdEncoding.EncodeToString(nalu)
	}
	return strings.Join(s, ",")
}

// Types of packets (RFC 6184, table 1).
const (
	stapA  = 24
	stapB  = 25
	mtap16 = 26
	mtap24 = 27
	fuA    = 28
	fuB    = 29
)

// h264Format is the format of NAL units (H.264, 7.3.1) and payloads.
//
//	 0 1 2 3 4 5 6 7
//	+-+-+-+-+-+-+-+-+
//	|F|NRI|  Type   |
//	+-+-+-+-+-+-+-+-+
func h264Format() *naluFormat {
	return &naluFormat{
		header: 1, mask: 0x1f,
		aggregate: stapA, fragment: fuA,
		pictures: [2]byte{1, 5},
		leading:  [2]byte{1, 0}, // the type does not tell
		sets:     [3]byte{7, 8, 13},
		opening:  [2]byte{9, 7},
		unpack:   unpackH264,
	}
}

func unpackH264(u *naluUnpacker, b []byte) error {
	switch kind := b[0] & 0x1f; kind {
	case stapA:
		return u.aggregate(b[1:], 0)
	case stapB: // DON, 2 bytes
		if len(b) < 3 {
			u.drop()
			return invalid("STAP-B of %d bytes", len(b))
		}
		return u.aggregate(b[3:], 0)
	case fuA, fuB:
		header := 2
		if kind == fuB {
			header = 4 // DON
		}
		if len(b) < header {
			u.drop()
			return invalid("FU of %d bytes", len(b))
		}
		nalu := [1]byte{b[0]&0xe0 | b[1]&0x1f}
		return u.fragment(nalu[:], b[1], b[header:])
	case mtap16, mtap24: // units of several pictures
		u.drop()
		return invalid("MTAP, which is of the interleaved mode")
	case 0, 30, 31:
		return invalid("NAL unit of type %d", kind)
	}
	return u.unit(b)
}

// isH264Reference reads nal_ref_idc.
func isH264Reference(slice []byte) bool { return slice[0]&0x60 != 0 }

// mergeH264 keeps F if any unit has it, and the highest NRI (RFC 6184, 5.7.1).
func mergeH264(h *[2]byte, nalu []byte) {
	h[0] = h[0]&0x80 | nalu[0]&0x80 | max(h[0]&0x60, nalu[0]&0x60)
}
