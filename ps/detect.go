package ps

import (
	"bytes"
	"encoding/binary"

	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/ts"
)

// A finding is what a packet tells of what its sender sends.
type finding struct {
	payload Payload // PayloadAuto: nothing
	certain bool    // else several packets have to tell the same
	form    rtp.Payload
}

// inspect tells what a packet carries, as far as it shows. It knows the beginnings
// of the three payloads only: what is in the midst of a picture tells nothing.
func inspect(p *rtp.Packet, o *ReceiveOptions) finding {
	b, types := p.Payload, o.Types.orDefaults()
	wants := func(x Payload) bool { return o.Payload == PayloadAuto || o.Payload == x }
	switch {
	case len(b) == 0:
	case wants(PayloadPS) && beginsPS(b):
		return finding{payload: PayloadPS, certain: true}
	case wants(PayloadTS) && !isStaticAudio(p.PayloadType) && beginsTS(b, o.Payload == PayloadTS || p.PayloadType == typeMP2T):
		return finding{payload: PayloadTS, certain: true}
	case wants(PayloadES) && (types.PS == 0 || types.PS != p.PayloadType || o.Payload == PayloadES):
		return inspectElementary(p, types)
	}
	return finding{}
}

// contradiction tells what a packet is that cannot be of a sender of payload, if its
// header is that of the sender's: only what is certain counts. Of elementary streams,
// it tells which one it is.
func contradiction(p *rtp.Packet, payload Payload, o *ReceiveOptions) finding {
	b, types := p.Payload, o.Types.orDefaults()
	switch {
	case o.Payload != PayloadAuto || len(b) == 0:
	case payload == PayloadTS && beginsTS(b, false):
	case payload != PayloadPS && beginsPS(b):
		return finding{payload: PayloadPS, certain: true}
	case payload != PayloadTS && len(b) > ts.PacketSize && !isStaticAudio(p.PayloadType) && beginsTS(b, false):
		return finding{payload: PayloadTS, certain: true}
	case p.PayloadType >= 96 && p.PayloadType != types.PS:
		f, _ := findSPS(p)
		return f
	}
	return finding{}
}

// goesOn reports whether b may be a later payload of what was found for certain. All
// those of transport streams and of video show it, those of program streams do not.
func (f *finding) goesOn(b []byte) bool {
	switch {
	case f.payload == PayloadTS:
		return beginsTS(b, false)
	case f.form.Encoding == "H264":
		return isH264(b)
	case f.form.Encoding == "H265":
		return isH265(b)
	}
	return true
}

// typeMP2T is the payload type of transport streams (RFC 3551, 6).
const typeMP2T = 33

// isStaticAudio reports whether RFC 3551 assigns a payload type to audio.
func isStaticAudio(payloadType uint8) bool { return payloadType < 24 }

// longestTable is how long a system header or a program stream map is at most, in
// bytes.
const longestTable = 1024

// beginsPS reports whether b, the payload of a packet, has the beginning of a
// program stream: a pack header, which may be anywhere as some senders cut without
// regard to packs; else, at its beginning, a system header, a program stream map or
// a PES packet, for some senders leave out what is before those.
func beginsPS(b []byte) bool {
	if len(b) >= 6 && b[0] == 0 && b[1] == 0 && b[2] == 1 {
		size := int(binary.BigEndian.Uint16(b[4:]))
		switch id := b[3]; {
		case id == codePack:
			if b[4]>>6 == 1 || b[4]>>4 == 2 { // marker bits are wrong with some
				return true
			}
		case id == codeSystem || id == pes.IDMap:
			if size >= 6 && size <= longestTable {
				return true
			}
		case id == pes.IDPrivate1 || pes.IsAudio(id) || pes.IsVideo(id):
			if len(b) >= 9 && b[6]>>6 == 2 && (size == 0 || 3+int(b[8]) <= size) {
				return true
			}
		}
	}
	for {
		i := bytes.Index(b, []byte(packStartCode))
		if i < 0 {
			return false
		}
		b = b[i+len(packStartCode):]
		if len(b) >= 6 && (isPack2(b) || isPack1(b)) {
			return true
		}
	}
}

const packStartCode = "\x00\x00\x01\xba"

// isPack2 reports whether b is the beginning of an MPEG-2 pack header behind its
// start code (ISO/IEC 13818-1, 2.5.3.3): 01, and four marker bits in six bytes.
func isPack2(b []byte) bool {
	return b[0]&0xc4 == 0x44 && b[2]&4 == 4 && b[4]&4 == 4 && b[5]&1 == 1
}

// isPack1 reports whether b is that of an MPEG-1 pack header (ISO/IEC 11172-1,
// 2.4.3.2): 0010, and three marker bits in five bytes.
func isPack1(b []byte) bool {
	return b[0]&0xf1 == 0x21 && b[2]&1 == 1 && b[4]&1 == 1
}

// tsSyncByte is what a transport packet begins with (ISO/IEC 13818-1, 2.4.3.3).
const tsSyncByte = 0x47

// beginsTS reports whether b, the payload of a packet, is of a transport stream:
// whole packets. If it is expected to be, the packets may begin anywhere.
func beginsTS(b []byte, expected bool) bool {
	if len(b)%ts.PacketSize == 0 && len(b) > 0 && inSync(b) {
		// One packet alone: not the one or the other that is in no stream.
		return len(b) > ts.PacketSize || b[1]&0x80 == 0 && b[3]&0x30 != 0
	}
	if !expected {
		return false
	}
	for i := 0; i < ts.PacketSize && len(b)-i > ts.PacketSize; i++ {
		if inSync(b[i:]) {
			return true
		}
	}
	return false
}

// inSync reports whether b has sync bytes wherever a packet begins.
func inSync(b []byte) bool {
	for i := 0; i < len(b); i += ts.PacketSize {
		if b[i] != tsSyncByte {
			return false
		}
	}
	return true
}
