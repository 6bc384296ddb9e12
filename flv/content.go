package flv

import "github.com/mediakit-go/mediakit/codec"

// A content is what is in a body, as far as its beginning tells.
type content uint8

const (
	contentOther  content = iota
	contentConfig         // a sequence header
	contentFrame
)

// contentOf tells what is in a body that begins with b, and whether it says of
// itself that a viewer can start with it.
func contentOf(typ TagType, b []byte) (c content, key bool) {
	if len(b) < 2 {
		return contentOther, false
	}
	packet := b[1]
	switch {
	case typ == TagVideo && b[0]&0x80 != 0:
		if key = b[0]>>4&7 == frameKey; b[0]>>4&7 == frameInfo {
			return contentOther, false
		}
		packet = packetOf(b, packetMultitrackVideo)
	case typ == TagVideo:
		if key = b[0]>>4 == frameKey; b[0]>>4 == frameInfo {
			return contentOther, false
		}
		if codecOfID(codec.KindVideo, b[0]&15) == codec.Opaque {
			return contentFrame, key
		}
	case typ == TagAudio && b[0]>>4 == idExAudio:
		key, packet = true, packetOf(b, packetMultitrackAudio)
	case typ == TagAudio && b[0]>>4 == idAAC:
		key = true
	case typ == TagAudio:
		return contentFrame, true
	default:
		return contentOther, false
	}
	switch packet {
	case packetStart:
		return contentConfig, key
	case packetFrames, packetFramesX:
		return contentFrame, key
	}
	return contentOther, false
}

// packetOf returns the type of the packet in the enhanced body that begins with b.
// Of one with long modifiers it is not known: then it is a frame.
func packetOf(b []byte, multitrack byte) byte {
	packet := b[0] & 15
	c := cutter{b: b[1:]}
	for packet == packetModEx && !c.short {
		n := c.uint(1) + 1
		if n == 256 {
			n = c.uint(2) + 1
		}
		c.take(n)
		packet = byte(c.uint(1)) & 15
	}
	if packet == multitrack {
		packet = byte(c.uint(1)) & 15
	}
	if c.short {
		return packetFrames
	}
	return packet
}
