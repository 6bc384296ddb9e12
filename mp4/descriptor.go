package mp4

import (
	"github.com/mediakit-go/mediakit/codec"
)

// The tags of descriptors that matter here (ISO/IEC 14496-1, 7.2.2.1).
const (
	tagES            = 3
	tagDecoderConfig = 4
	tagSpecificInfo  = 5
	tagSLConfig      = 6
)

// Stream types (ISO/IEC 14496-1, 7.2.6.6).
const (
	streamVisual = 4
	streamAudio  = 5
)

// predefinedMP4 is the SLConfig of elementary streams in MP4 (ISO/IEC 14496-14, 3.1.2).
const predefinedMP4 = 2

// appendESDS appends the content of an esds box (ISO/IEC 14496-14, 5.6): an
// ES_Descriptor with what the decoder needs.
func appendESDS(b []byte, object byte, kind codec.Kind, config []byte) []byte {
	stream := byte(streamVisual)
	if kind == codec.KindAudio {
		stream = streamAudio
	}
	var decoder []byte // DecoderConfigDescriptor (ISO/IEC 14496-1, 7.2.6.6)
	decoder = append(decoder, object, stream<<2|1)
	decoder = appendZeros(decoder, 3+4+4) // bufferSizeDB, maxBitrate, avgBitrate: unknown
	if len(config) > 0 {
		decoder = appendDescriptor(decoder, tagSpecificInfo, config)
	}
	es := []byte{0, 0, 0} // ES_ID, which is 0 in files, and flags
	es = appendDescriptor(es, tagDecoderConfig, decoder)
	es = appendDescriptor(es, tagSLConfig, []byte{predefinedMP4})
	return appendDescriptor(b, tagES, es)
}

// appendDescriptor appends a descriptor with this content, its length in four
// bytes of seven bits (ISO/IEC 14496-1, 8.3.3), as nearly all writers have it.
func appendDescriptor(b []byte, tag byte, content []byte) []byte {
	n := len(content)
	b = append(b, tag, byte(n>>21)|0x80, byte(n>>14)|0x80, byte(n>>7)|0x80, byte(n)&0x7f)
	return append(b, content...)
}

// cutDescriptor reads the descriptor that b begins with.
func cutDescriptor(b []byte) (tag byte, content, rest []byte, err error) {
	r := fields{b: b}
	tag = r.u8()
	n := 0
	for more := true; more; {
		if n > 1<<20 {
			return 0, nil, nil, invalid("descriptor %d is too long", tag)
		}
		v := r.u8()
		n, more = n<<7|int(v&0x7f), v&0x80 != 0
	}
	content = r.take(n)
	if r.over {
		return 0, nil, nil, short("descriptor")
	}
	return tag, content, r.b, nil
}

// parseESDS reads the content of an esds box behind version and flags: the object
// type indication and what configures the decoder, which aliases b.
func parseESDS(b []byte) (object byte, config []byte, err error) {
	tag, es, rest, err := cutDescriptor(b)
	if err != nil {
		return 0, nil, err
	}
	if tag != tagES {
		return 0, nil, invalid("esds: tag %d", tag)
	}
	// ES_Descriptor (ISO/IEC 14496-1, 7.2.6.5). It is all that is in the box; some
	// writers tell a length that is too short.
	r := fields{b: b[len(b)-len(rest)-len(es):]}
	r.skip(2)
	const dependsOn, hasURL, hasOCR = 0x80, 0x40, 0x20
	flags := r.u8()
	if flags&dependsOn != 0 {
		r.skip(2)
	}
	if flags&hasURL != 0 {
		r.skip(int(r.u8()))
	}
	if flags&hasOCR != 0 {
		r.skip(2)
	}
	if r.over {
		return 0, nil, short("esds")
	}
	decoder, err := findDescriptor(r.b, tagDecoderConfig)
	if err != nil {
		return 0, nil, err
	}
	r = fields{b: decoder}
	object = r.u8()
	r.skip(1 + 3 + 4 + 4)
	if r.over {
		return 0, nil, short("esds")
	}
	config, err = findDescriptor(r.b, tagSpecificInfo)
	return object, config, err
}

// findDescriptor returns the content of the first descriptor in b with this tag;
// nil if there is none.
func findDescriptor(b []byte, want byte) ([]byte, error) {
	for len(b) > 0 {
		tag, content, rest, err := cutDescriptor(b)
		if err != nil {
			return nil, err
		}
		if tag == want {
			return content, nil
		}
		b = rest
	}
	return nil, nil
}

// appendPCMConfig appends the content of a pcmC box (ISO/IEC 23003-5, 5.1)
// behind version and flags: the high byte first, 16 bits.
func appendPCMConfig(b []byte) []byte { return append(b, 0, 16) }

// parsePCMConfig tells whether the low byte of a sample comes first.
func parsePCMConfig(b []byte) (little bool, bits int, err error) {
	r := fields{b: b}
	r.full()
	little, bits = r.u8()&1 != 0, int(r.u8())
	if r.over {
		return false, 0, short("pcmC")
	}
	return little, bits, nil
}
