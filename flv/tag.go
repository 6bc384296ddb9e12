package flv

import (
	"encoding/binary"

	"github.com/mediakit-go/mediakit/codec"
)

// Lengths in bytes.
const (
	fileHeader = 9
	tagHeader  = 11
	tagSize    = 4         // PreviousTagSize, behind each tag
	maxTag     = 1<<24 - 1 // what the 24-bit data size can tell
)

// appendFileHeader appends the FLV header (FLV E.2) and PreviousTagSize0.
func appendFileHeader(b []byte, video, audio bool) []byte {
	var flags byte
	if video {
		flags |= flagVideo
	}
	if audio {
		flags |= flagAudio
	}
	b = append(b, 'F', 'L', 'V', 1, flags)
	b = binary.BigEndian.AppendUint32(b, fileHeader)
	return append(b, 0, 0, 0, 0)
}

// The flags in the FLV header.
const (
	flagVideo = 1
	flagAudio = 4
)

// tagLen returns the length of the tag that holds b, with its PreviousTagSize.
func tagLen(b *Body) int { return tagHeader + b.Len() + tagSize }

// appendTag appends the tag that holds body, and its PreviousTagSize (FLV E.4.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     type      |                   data size                   |
//	+---------------+-----------------------------------------------+
//	|          time in ms, lower 24 bits            |  upper 8 bits |
//	+-----------------------------------------------+---------------+
//	|                   stream, always 0            |     data …
//	+-----------------------------------------------+
func appendTag(b []byte, body *Body) []byte {
	size := uint32(body.Len())
	ms := uint32(codec.Ticks(body.DTS, 1000))
	b = binary.BigEndian.AppendUint32(b, uint32(body.Type)<<24|size)
	b = binary.BigEndian.AppendUint32(b, ms<<8|ms>>24)
	b = append(b, 0, 0, 0)
	b = append(b, body.Head...)
	b = append(b, body.Data...)
	return binary.BigEndian.AppendUint32(b, tagHeader+size)
}

// looksLikeTag reports whether the header h may be that of a tag: its type is one of
// ours, and its stream 0.
func looksLikeTag(h []byte) bool {
	switch TagType(h[0]) {
	case TagAudio, TagVideo, TagScript:
		return h[8]|h[9]|h[10] == 0
	}
	return false
}

// isSize reports whether b is the PreviousTagSize of a tag with that many bytes of
// data. Some writers do not count the tag's header.
func isSize(b []byte, size int) bool {
	n := int64(binary.BigEndian.Uint32(b))
	return n == int64(size)+tagHeader || n == int64(size)
}

// checkTag returns an error if body is larger than a tag can be.
func checkTag(body *Body) error {
	if body.Len() > maxTag {
		return invalid("%v tag of %d bytes", body.Type, body.Len())
	}
	return nil
}
