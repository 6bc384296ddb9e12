package pes

import (
	"bytes"

	"github.com/mediakit-go/mediakit/codec"
)

// Each Opus packet stands behind a control header (ETSI TS 101 154, Opus in
// MPEG-2 TS, table 6-7):
//
//	11 bits 0x3ff, 1 start_trim_flag, 1 end_trim_flag, 1 control_extension_flag, 2 reserved
//	the size of the packet: bytes of 255, then one that is less
//	as flagged: 16 bits start_trim, 16 bits end_trim, 8 bits and so many bytes of extension
const (
	opusPrefix     = 0x7fe0
	opusPrefixMask = 0xffe0
	opusStartTrim  = 0x10
	opusEndTrim    = 0x08
	opusExtension  = 0x04
)

// AppendOpusControl appends the control header of a packet of n bytes.
func AppendOpusControl(b []byte, n int) []byte {
	b = append(b, opusPrefix>>8, opusPrefix&0xff)
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(n))
}

// OpusControlLen returns the length of that header.
func OpusControlLen(n int) int { return 3 + n/255 }

// hasOpusControl reports whether b begins with a control header. An Opus packet
// cannot begin so: it would have 640 ms.
func hasOpusControl(b []byte) bool {
	return len(b) >= 2 && (int(b[0])<<8|int(b[1]))&opusPrefixMask == opusPrefix
}

// cutOpus returns the first Opus packet of b and what follows it; false if there
// is none.
func cutOpus(b []byte) (opus, rest []byte, ok bool) {
	if len(b) < 3 || !hasOpusControl(b) {
		return nil, nil, false
	}
	flags, size := b[1], 0
	b = b[2:]
	for more := true; more; b = b[1:] {
		if len(b) == 0 {
			return nil, nil, false
		}
		size += int(b[0])
		more = b[0] == 255
	}
	skip := 0
	if flags&opusStartTrim != 0 {
		skip += 2
	}
	if flags&opusEndTrim != 0 {
		skip += 2
	}
	if flags&opusExtension != 0 {
		if len(b) <= skip {
			return nil, nil, false
		}
		skip += 1 + int(b[skip])
	}
	if skip+size > len(b) {
		return nil, nil, false
	}
	b = b[skip:]
	return b[:size:size], b[size:], true
}

// OpusDescriptor returns the descriptor that tells the channels of t; false if
// they are not in the usual layout of so many.
func OpusDescriptor(t *codec.Track) ([]byte, bool) {
	n := max(t.Channels, 1)
	usual := codec.NewOpusTrack(t.ID, n).Config
	const family = 10 // where the mapping begins in dOps
	if n > 8 || len(t.Config) > 0 && (len(t.Config) <= family || !bytes.Equal(t.Config[family:], usual[family:])) {
		return nil, false
	}
	return []byte{tagExtension, 2, tagOpus, byte(n)}, true
}

// opusChannels returns how many channels a descriptor tells, from its
// channel_config_code on; 0 if it does not.
func opusChannels(b []byte) int {
	switch code := b[0]; {
	case code == 0, code == 0x80: // dual mono
		return 2
	case code <= 8:
		return int(code)
	case code == 0x81 && len(b) > 1:
		return int(b[1])
	case code >= 0x82 && code <= 0x88:
		return int(code-0x82) + 1
	}
	return 0
}
