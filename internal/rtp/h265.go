package rtp

import (
	"strconv"

	"github.com/mediakit-go/mediakit/codec"
)

// h265Carriage is H.265 by RFC 7798, sent without decoding order numbers. Those
// of others are skipped; units are not put into another order.
func h265Carriage() carriage {
	return carriage{
		codec: codec.H265,
		names: []string{"H265", "HEVC"},
		describe: func(t *codec.Track, p *Payload) bool {
			p.ClockRate = videoClock
			var lists [3][][]byte
			for _, nalu := range t.ParameterSets() {
				if i := nalu[0]>>1&0x3f - h265VPS; i < 3 {
					lists[i] = append(lists[i], nalu)
				}
			}
			for i, name := range h265Sprops() {
				if len(lists[i]) > 0 {
					p.Params = append(p.Params, Parameter{name, sprop(lists[i])})
				}
			}
			return true
		},
		track: func(p *Payload, t *codec.Track) (*codec.Track, error) {
			for _, name := range h265Sprops() {
				t = withSets(t, spropSets(p.Param(name)))
			}
			return t, nil
		},
		packer: func(t *codec.Track) packer { return newNALUPacker(h265Format(), t) },
		unpacker: func(p *Payload, t *codec.Track) (Depacketizer, error) {
			u := newNALUUnpacker(h265Format(), t)
			n, err := strconv.Atoi(p.Param("sprop-max-don-diff"))
			u.don = err == nil && n > 0
			return u, nil
		},
	}
}

func h265Sprops() [3]string { return [3]string{"sprop-vps", "sprop-sps", "sprop-pps"} }

// Types of NAL units (H.265, table 7-1) and packets (RFC 7798, 4.4).
const (
	h265VPS  = 32
	h265AP   = 48
	h265FU   = 49
	h265PACI = 50
)

// h265Format is the format of NAL units (H.265, 7.3.1.2) and payloads.
//
//	 0                   1
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|F|   Type    |  LayerId  | TID |
//	+-------------+-----------------+
func h265Format() *naluFormat {
	return &naluFormat{
		header: 2, shift: 1, mask: 0x3f,
		aggregate: h265AP, fragment: h265FU,
		pictures: [2]byte{0, 31},
		leading:  [2]byte{8, 9}, // RASL_N, RASL_R
		sets:     [3]byte{32, 33, 34},
		opening:  [2]byte{35, 32},
		unpack:   unpackH265,
	}
}

func unpackH265(u *naluUnpacker, b []byte) error {
	don := 0 // size of DONL
	if u.don {
		don = 2
	}
	switch kind := b[0] >> 1 & 0x3f; {
	case kind == h265AP:
		if len(b) < 2+don {
			u.drop()
			return invalid("aggregation packet of %d bytes", len(b))
		}
		return u.aggregate(b[2+don:], don/2) // DOND has one byte
	case kind == h265FU:
		header := 3
		if len(b) > 2 && b[2]&0x80 != 0 { // the first one
			header += don
		}
		if len(b) < header {
			u.drop()
			return invalid("FU of %d bytes", len(b))
		}
		nalu := [2]byte{b[0]&0x81 | b[2]&0x3f<<1, b[1]}
		return u.fragment(nalu[:], b[2], b[header:])
	case kind == h265PACI:
		// A, cType (6), PHSsize (5), F0..2, Y; then the extension (4.4.4). The
		// packet inside has the header with the type cType and A as its F.
		if len(b) < 4 {
			u.drop()
			return invalid("PACI packet of %d bytes", len(b))
		}
		skip := 2 + int(b[2]&1<<4|b[3]>>4)
		header := [2]byte{b[2]&0xfe | b[0]&1, b[1]}
		if len(b) < skip+2 || header[0]>>1&0x3f == h265PACI {
			u.drop()
			return invalid("PACI packet of %d bytes", len(b))
		}
		b = b[skip:]
		copy(b, header[:])
		return u.payload(b)
	case kind > h265PACI:
		return invalid("NAL unit of type %d", kind)
	}
	if u.don {
		if len(b) < 4 {
			u.drop()
			return invalid("payload of %d bytes", len(b))
		}
		b[2], b[3] = b[0], b[1]
		b = b[2:]
	}
	return u.unit(b)
}

// isH265Reference tells sub-layer reference pictures, whose types below 16 are
// odd; even the others may be referred to in higher sub-layers.
func isH265Reference(t *codec.Track, slice []byte) bool {
	kind, temporal := slice[0]>>1&0x3f, int(slice[1]&7) // nuh_temporal_id_plus1
	layers := 7
	if len(t.Config) > 21 {
		layers = int(t.Config[21] >> 3 & 7) // numTemporalLayers of the hvcC
	}
	return kind >= 16 || kind&1 != 0 || temporal < layers
}

// mergeH265 keeps F if any unit has it, the lowest LayerId and TID (RFC 7798,
// 4.4.2).
func mergeH265(h *[2]byte, nalu []byte) {
	layer := min(uint(h[0]&1)<<5|uint(h[1]>>3), uint(nalu[0]&1)<<5|uint(nalu[1]>>3))
	h[0] = (h[0]|nalu[0])&0x80 | byte(layer>>5)
	h[1] = byte(layer<<3) | min(h[1]&7, nalu[1]&7)
}
