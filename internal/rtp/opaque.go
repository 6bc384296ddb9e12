package rtp

import (
	"strings"

	"github.com/mediakit-go/mediakit/codec"
)

// wireRTP is the Wire of opaque tracks that this package makes and sends.
const wireRTP = "rtp"

// opaqueCarriage is how what is not converted travels: a frame is the payload of
// one packet, sent as it came. Name is the encoding, ClockRate and Channels are
// those of the rtpmap, Params is the fmtp, so that Describe gives them back.
// Encodings that package codec has a name for have their Codec as well.
func opaqueCarriage() carriage {
	return carriage{
		codec: codec.Opaque,
		describe: func(t *codec.Track, p *Payload) bool {
			p.Encoding, p.Channels, p.Params = t.Name, t.Channels, ParseParams(t.Params)
			return p.Encoding != ""
		},
		track: func(p *Payload, t *codec.Track) (*codec.Track, error) {
			t.Wire, t.WireKind = wireRTP, p.Kind
			t.Name, t.Channels, t.Params = p.Encoding, p.Channels, p.FMTP()
			if t.Codec = passedThrough(p.Encoding); t.Codec.Kind() != p.Kind {
				t.Codec = codec.Opaque
			}
			return t, nil
		},
		packer:   func(*codec.Track) packer { return opaquePacker{} },
		unpacker: func(_ *Payload, t *codec.Track) (Depacketizer, error) { return &opaqueUnpacker{track: t}, nil },
	}
}

// passedThrough returns the codec of an encoding that is recognised but not
// converted; Opaque if it is not recognised.
func passedThrough(encoding string) codec.Codec {
	name := strings.ToUpper(encoding)
	switch name {
	case "H266": // RFC 9328
		return codec.H266
	case "G722":
		return codec.G722
	case "G723":
		return codec.G723
	case "G728":
		return codec.G728
	case "G729":
		return codec.G729
	case "DVI4":
		return codec.ADPCM
	}
	if strings.HasPrefix(name, "G726-") || strings.HasPrefix(name, "AAL2-G726-") {
		return codec.ADPCM
	}
	return codec.Opaque
}

type opaquePacker struct{}

func (opaquePacker) pack(w *packetWriter, f *codec.Frame) error {
	return w.whole(f.Data, f.Has(codec.FlagMarker))
}

// whole writes a packet with a payload that must not be split, even if it
// exceeds what packets are meant to have.
func (w *packetWriter) whole(payload []byte, marker bool) error {
	if len(payload) > maxPayload {
		return invalid("payload of %d bytes in one packet", len(payload))
	}
	w.packet(len(payload), marker)
	w.b = append(w.b, payload...)
	return nil
}

// maxPayload is what fits into an interleaved packet, whose length has 16 bits.
const maxPayload = 0xffff - headerSize

// An opaqueUnpacker yields each payload as a unit. Nobody knows where decoding
// can start; so that viewers can, every new timestamp counts as a key. A unit
// with FlagCorrupt is whole, but packets before it are missing: who puts payloads
// together has to know.
type opaqueUnpacker struct {
	track *codec.Track
	begun bool
	last  uint32 // timestamp
	lost  bool   // packets before the next unit are missing
}

func (u *opaqueUnpacker) Append(dst []Unit, p *Packet, lost bool) ([]Unit, error) {
	u.lost = u.lost || lost
	if len(p.Payload) == 0 {
		return dst, nil // keeps a path open (RFC 6263, 4.1)
	}
	unit := Unit{Track: u.track, Timestamp: p.Timestamp, Data: p.Payload}
	if !u.begun || p.Timestamp != u.last {
		unit.Flags |= codec.FlagKey
	}
	if p.Marker {
		unit.Flags |= codec.FlagMarker
	}
	if u.lost {
		unit.Flags |= codec.FlagCorrupt
	}
	u.begun, u.last, u.lost = true, p.Timestamp, false
	return append(dst, unit), nil
}
