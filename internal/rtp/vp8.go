package rtp

import "github.com/mediakit-go/mediakit/codec"

// vp8Carriage is VP8 by RFC 7741, sent without the optional fields.
func vp8Carriage() carriage {
	return carriage{
		codec: codec.VP8,
		names: []string{"VP8"},
		describe: func(_ *codec.Track, p *Payload) bool {
			p.ClockRate = videoClock
			return true
		},
		track: func(_ *Payload, t *codec.Track) (*codec.Track, error) {
			t2, err := codec.NewVP8Track(t.ID, nil) // the size comes with the first key frame
			if err == nil {
				t2.ClockRate = t.ClockRate
			}
			return t2, err
		},
		packer: func(*codec.Track) packer { return vpxPacker{vp8Descriptor} },
		unpacker: func(_ *Payload, t *codec.Track) (Depacketizer, error) {
			return &vpxUnpacker{assembly: assembly{track: t}, parse: parseVP8}, nil
		},
	}
}

func vp8Descriptor(f *codec.Frame, first, _ bool) byte {
	var d byte
	if first {
		d |= 0x10
	}
	if f.Has(codec.FlagDisposable) {
		d |= 0x20
	}
	return d
}

// parseVP8 reads a payload descriptor (RFC 7741, 4.2).
//
//	     0 1 2 3 4 5 6 7
//	    +-+-+-+-+-+-+-+-+
//	    |X|R|N|S|R| PID |  N: not a reference, S: a partition begins, PID: its number
//	    +-+-+-+-+-+-+-+-+
//	X:  |I|L|T|K| RSV   |
//	    +-+-+-+-+-+-+-+-+
//	I:  |M| PictureID   |  M: 15 bits
//	L:  |   TL0PICIDX   |
//	T/K:|TID|Y| KEYIDX  |
//	    +-+-+-+-+-+-+-+-+
func parseVP8(b []byte) (vpxDescriptor, error) {
	at := func(i int) byte {
		if i < len(b) {
			return b[i]
		}
		return 0
	}
	d := vpxDescriptor{size: 1, start: at(0)&0x17 == 0x10, disposable: at(0)&0x20 != 0}
	if at(0)&0x80 != 0 {
		x := at(1)
		d.size++
		if x&0x80 != 0 {
			d.size += 1 + int(at(d.size)>>7)
		}
		if x&0x40 != 0 {
			d.size++
		}
		if x&0x30 != 0 {
			d.size++
		}
	}
	if len(b) <= d.size {
		return d, invalid("VP8 payload of %d bytes", len(b))
	}
	return d, nil
}
