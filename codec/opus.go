package codec

import (
	"bytes"
	"encoding/binary"
)

// opusRate is the clock of every Opus stream, in Hz (RFC 6716, 2; RFC 7587, 4.1).
const opusRate = 48000

// opusPreSkip is what encoders usually need to converge, in samples.
const opusPreSkip = 312

// opusLayouts are the streams, the coupled ones among them and the mapping of
// channels to them that encoders use for mapping family 1 (RFC 7845, 5.1.1.2).
var opusLayouts = [9]struct {
	streams, coupled byte
	mapping          []byte
}{
	1: {1, 0, []byte{0}},
	2: {1, 1, []byte{0, 1}},
	3: {2, 1, []byte{0, 2, 1}},
	4: {2, 2, []byte{0, 1, 2, 3}},
	5: {3, 2, []byte{0, 4, 1, 2, 3}},
	6: {4, 2, []byte{0, 4, 1, 2, 3, 5}},
	7: {4, 3, []byte{0, 4, 1, 2, 3, 5, 6}},
	8: {5, 3, []byte{0, 6, 1, 2, 3, 4, 5, 7}},
}

// NewOpusTrack returns the track of an Opus stream with 1 to 8 channels, in
// the usual layout. Other numbers mean 2, what RTP always says (RFC 7587, 7).
func NewOpusTrack(id, channels int) *Track {
	if channels < 1 || channels > 8 {
		channels = 2
	}
	// OpusSpecificBox (Encapsulation of Opus in ISOBMFF, 4.3.2): version,
	// channels, pre-skip, input sample rate, gain, mapping family.
	b := []byte{0, byte(channels)}
	b = binary.BigEndian.AppendUint16(b, opusPreSkip)
	b = binary.BigEndian.AppendUint32(b, opusRate)
	b = append(b, 0, 0, 0)
	if channels > 2 {
		l := opusLayouts[channels]
		b[len(b)-1] = 1
		b = append(b, l.streams, l.coupled)
		b = append(b, l.mapping...)
	}
	return opusTrack(id, b)
}

// opusTrack keeps config, a dOps, which has been checked.
func opusTrack(id int, config []byte) *Track {
	return &Track{
		ID: id, Codec: Opus, Config: config,
		ClockRate: opusRate, SampleRate: opusRate, Channels: int(config[1]),
	}
}

// opusMagic begins an OpusHead, which is little-endian where dOps is big-endian.
var opusMagic = []byte("OpusHead")

// OpusHead returns the identification header (RFC 7845, 5.1) of an Opus track,
// which Ogg, Matroska and enhanced RTMP have where ISO BMFF has dOps. It is nil
// for a track without a configuration.
func (t *Track) OpusHead() []byte {
	c := t.Config
	if t.Codec != Opus || len(c) < 11 {
		return nil
	}
	b := append([]byte(nil), opusMagic...)
	b = append(b, 1, c[1])
	b = binary.LittleEndian.AppendUint16(b, binary.BigEndian.Uint16(c[2:]))
	b = binary.LittleEndian.AppendUint32(b, binary.BigEndian.Uint32(c[4:]))
	b = binary.LittleEndian.AppendUint16(b, binary.BigEndian.Uint16(c[8:]))
	return append(b, c[10:]...)
}

// trackFromOpus accepts a dOps and an OpusHead.
func trackFromOpus(id int, config []byte) (*Track, error) {
	if len(config) == 0 {
		return NewOpusTrack(id, 0), nil
	}
	var b []byte
	if head, ok := bytes.CutPrefix(config, opusMagic); ok {
		if len(head) < 11 {
			return nil, short("OpusHead")
		}
		b = append(b, 0, head[1])
		b = binary.BigEndian.AppendUint16(b, binary.LittleEndian.Uint16(head[2:]))
		b = binary.BigEndian.AppendUint32(b, binary.LittleEndian.Uint32(head[4:]))
		b = binary.BigEndian.AppendUint16(b, binary.LittleEndian.Uint16(head[8:]))
		b = append(b, head[10:]...)
	} else {
		b = bytes.Clone(config)
	}
	switch {
	case len(b) < 11:
		return nil, short("dOps")
	case b[0] != 0 || b[1] == 0:
		return nil, invalid("dOps: version %d, %d channels", b[0], b[1])
	case b[10] != 0 && len(b) < 13+int(b[1]):
		return nil, short("dOps channel mapping")
	}
	return opusTrack(id, b), nil
}
