package rtp

import (
	"strconv"

	"github.com/mediakit-go/mediakit/codec"
)

// vp9Carriage is VP9 by RFC 9628, sent in the non-flexible mode without the
// optional fields.
func vp9Carriage() carriage {
	return carriage{
		codec: codec.VP9,
		names: []string{"VP9"},
		describe: func(t *codec.Track, p *Payload) bool {
			p.ClockRate = videoClock
			if t.Width > 0 && len(t.Config) > vpcProfile { // else nobody has told yet
				p.Params = []Parameter{{"profile-id", strconv.Itoa(int(t.Config[vpcProfile]))}}
			}
			return true
		},
		track: func(_ *Payload, t *codec.Track) (*codec.Track, error) {
			return t, nil // the profile alone makes no configuration; key frames tell all of it
		},
		packer: func(*codec.Track) packer { return vpxPacker{vp9Descriptor} },
		unpacker: func(_ *Payload, t *codec.Track) (Depacketizer, error) {
			return &vpxUnpacker{assembly: assembly{track: t}, parse: parseVP9}, nil
		},
	}
}

// vpcProfile is where a vpcC has the profile.
const vpcProfile = 4

func vp9Descriptor(f *codec.Frame, first, last bool) byte {
	var d byte
	if !f.Key() {
		d |= 0x40
	}
	if first {
		d |= 0x08
	}
	if last {
		d |= 0x04
	}
	return d
}

// parseVP9 reads a payload descriptor (RFC 9628, 4.2).
//
//	     0 1 2 3 4 5 6 7
//	    +-+-+-+-+-+-+-+-+
//	    |I|P|L|F|B|E|V|Z|  P: inter picture, F: flexible mode, B, E: a frame begins, ends
//	    +-+-+-+-+-+-+-+-+
//	I:  |M| PICTURE ID  |  M: 15 bits
//	L:  | TID |U| SID |D|  SID: spatial layer
//	    |   TL0PICIDX   |  L without F
//	P,F:| P_DIFF      |N|  up to three, N: another one follows
//	V:  | N_S |Y|G|-|-|-|  scalability structure
//	    +-+-+-+-+-+-+-+-+
func parseVP9(b []byte) (vpxDescriptor, error) {
	at := func(i int) int {
		if i < len(b) {
			return int(b[i])
		}
		return 0
	}
	first := at(0)
	d := vpxDescriptor{size: 1, start: first&0x08 != 0}
	if first&0x80 != 0 { // I
		d.size += 1 + at(d.size)>>7
	}
	if first&0x20 != 0 { // L
		d.start = d.start && at(d.size)&0x0e == 0
		d.size++
		if first&0x10 == 0 {
			d.size++
		}
	}
	if first&0x50 == 0x50 { // P, F
		for more, n := 1, 0; more == 1 && n < 3; n++ {
			more = at(d.size) & 1
			d.size++
		}
	}
	if first&0x02 != 0 { // V
		v := at(d.size)
		d.size++
		if v&0x10 != 0 { // Y: sizes of the layers
			d.size += 4 * (v>>5 + 1)
		}
		if v&0x08 != 0 { // G: a group of pictures, each with up to three references
			n := at(d.size)
			d.size++
			for range n {
				d.size += 1 + at(d.size)>>2&3
			}
		}
	}
	if len(b) <= d.size {
		return d, invalid("VP9 payload of %d bytes", len(b))
	}
	return d, nil
}
