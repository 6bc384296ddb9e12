package flv

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// Packet types. The first three are those of AVC and AAC tags too (FLV E.4.2.2,
// E.4.3.2); the others are of Enhanced RTMP v2, "ExVideoTagHeader Section" and
// "ExAudioTagHeader Section".
const (
	packetStart   = 0 // sequence header
	packetFrames  = 1
	packetEnd     = 2
	packetFramesX = 3 // of video: frames without a composition time offset
	packetMeta    = 4 // of video: colour information; of audio: the channels' order
	packetTSStart = 5 // of video: a sequence header as MPEG-TS has it
	packetModEx   = 7 // modifies the packet that follows

	packetMultitrackAudio = 5
	packetMultitrackVideo = 6
)

// How a multitrack packet is laid out.
const (
	oneTrack             = 0
	manyTracks           = 1
	manyTracksManyCodecs = 2
)

// An exPacket is one track's part of an enhanced body.
type exPacket struct {
	kind   codec.Kind
	track  uint8 // as the wire numbers them, for each kind from 0
	fourCC string
	packet uint8
	key    bool
	data   []byte
}

// A cutter takes bytes from the front of b. After a cut beyond the end short is
// set, and all further ones yield nothing.
type cutter struct {
	b     []byte
	short bool
}

func (c *cutter) take(n int) []byte {
	if c.short || n > len(c.b) {
		c.short, c.b = true, nil
		return nil
	}
	s := c.b[:n:n]
	c.b = c.b[n:]
	return s
}

// uint returns the next n bytes as a number.
func (c *cutter) uint(n int) (v int) {
	for _, b := range c.take(n) {
		v = v<<8 | int(b)
	}
	return v
}

// enhanced takes apart an enhanced body, whose first byte is:
//
//	 0 1 2 3 4 5 6 7             0 1 2 3 4 5 6 7
//	+-+-----+-------+           +-------+-------+
//	|1|frame|packet |  video    |   9   |packet |  audio
//	+-+-----+-------+           +-------+-------+
//
// Modifiers, multitrack header and FourCC follow.
func (d *BodyDemuxer) enhanced(dst []*codec.Frame, kind codec.Kind, ts time.Duration, body []byte) ([]*codec.Frame, error) {
	p := exPacket{kind: kind, packet: body[0] & 15}
	multitrack := uint8(packetMultitrackAudio)
	if kind == codec.KindVideo {
		multitrack = packetMultitrackVideo
		frame := body[0] >> 4 & 7
		if frame == frameInfo && p.packet != packetMeta {
			return dst, nil
		}
		p.key = frame == frameKey
	}
	c := cutter{b: body[1:]}
	for p.packet == packetModEx && !c.short {
		n := c.uint(1) + 1
		if n == 256 {
			n = c.uint(2) + 1
		}
		c.take(n)
		p.packet = uint8(c.uint(1)) & 15 // what is modified, 4 bits, is of no interest here
	}
	if p.packet != multitrack {
		p.fourCC, p.data = string(c.take(4)), c.b
		if c.short {
			return dst, invalid("%v body of %d bytes", kind, len(body))
		}
		return d.exPacket(dst, p, ts, body)
	}
	layout := c.uint(1)
	if p.packet = uint8(layout & 15); p.packet == multitrack {
		return dst, invalid("%v multitrack in multitrack", kind)
	}
	if layout >>= 4; layout > manyTracksManyCodecs {
		return dst, invalid("%v multitrack type %d", kind, layout)
	}
	if layout != manyTracksManyCodecs {
		p.fourCC = string(c.take(4))
	}
	var err error
	for more := true; more; more = layout != oneTrack && len(c.b) > 0 {
		if layout == manyTracksManyCodecs {
			p.fourCC = string(c.take(4))
		}
		p.track = uint8(c.uint(1))
		if p.data = c.b; layout != oneTrack {
			p.data = c.take(c.uint(3))
		}
		if c.short {
			return dst, invalid("%v multitrack body of %d bytes is cut", kind, len(body))
		}
		whole := body
		if layout != oneTrack {
			whole = nil // what stands for this track only cannot be told apart
		}
		var e error
		if dst, e = d.exPacket(dst, p, ts, whole); e != nil {
			err = e
		}
	}
	return dst, err
}

// exPacket takes in one track's packet. whole is the body that has it alone.
func (d *BodyDemuxer) exPacket(dst []*codec.Frame, p exPacket, ts time.Duration, whole []byte) ([]*codec.Frame, error) {
	c := codecOfFourCC(p.kind, p.fourCC)
	if c == codec.Opaque && p.packet == packetMeta {
		return dst, nil
	}
	s, err := d.stream(p.kind, p.track)
	if err != nil {
		return dst, err
	}
	if c == codec.Opaque {
		if whole == nil {
			return dst, nil
		}
		return d.opaque(dst, s, p.fourCC, p.packet == packetStart, p.key, ts, whole)
	}
	switch {
	case p.packet == packetStart:
		return dst, d.start(s, c, p.data)
	case p.packet == packetFrames || p.packet == packetFramesX && p.kind == codec.KindVideo:
		var cts time.Duration
		if p.packet == packetFrames && hasOffset(c) {
			if len(p.data) < 3 {
				return dst, invalid("%v frame without composition time", c)
			}
			cts, p.data = offset(p.data), p.data[3:]
		}
		return d.frame(dst, s, c, unit{ts, cts, p.key, p.data})
	}
	return dst, nil // the end of a sequence, colour information, channel order
}

// offset reads a composition time offset, signed 24 bits of milliseconds.
func offset(b []byte) time.Duration {
	return time.Duration(int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8)>>8) * time.Millisecond
}
