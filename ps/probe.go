package ps

import (
	"bytes"
	"errors"
	"io"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// A probe looks into the packets of a stream until it is known what that carries.
// Those before are of no use: pictures cannot be decoded without the parameter sets
// that tell.
type probe struct {
	header pes.Header
	buf    []byte // the beginning of the packet
	open   bool   // there is one

	packets int    // so far
	first   uint64 // time of the first that has one; valid if timed
	timed   bool
	late    bool // it was long enough

	h265, h264 int                   // packets that begin as those of H.265 or H.264
	hits       [len(framedAudio)]int // packets with frames of audio
	unframed   int                   // packets of audio in a row that no frame begins in
	even       bool                  // they have whole milliseconds of G.711
}

// Limits of what a probe looks at.
const (
	probeMost    = 4 << 10 // bytes of a packet
	unframedMost = 10      // packets of audio
	hitsLeast    = 3       // headers of audio frames that stand where the frame before ends
	g711Step     = 8       // bytes in a millisecond
)

// begin begins with a packet.
func (p *probe) begin(h *pes.Header) {
	p.header, p.buf, p.open = *h, p.buf[:0], true
	p.packets++
	if h.HasPTS && !p.timed {
		p.first, p.timed = h.DTS, true
	}
	since := (h.DTS - p.first) & pes.MaxTicks
	p.late = p.late || p.packets > patiencePack || h.HasPTS && since >= patience && since < pes.MaxTicks/2
}

// add takes in payload and returns what it has no room for.
func (p *probe) add(b []byte) (rest []byte) {
	if !p.open {
		return nil
	}
	n := min(len(b), probeMost-len(p.buf))
	p.buf = append(p.buf, b[:n]...)
	return b[n:]
}

// full reports whether there is enough to decide by.
func (p *probe) full() bool { return p.open && len(p.buf) == probeMost }

// video tells what video is of which the map says that it is said, if it does.
func (p *probe) video(said pes.Content, mapped bool) (c pes.Content, ok bool) {
	if mapped && said.Passes() && said.Codec != codec.Opaque {
		return said, true
	}
	if c, ok = findSets(p.buf); ok {
		return c, true
	}
	p.vote()
	switch {
	case !p.late:
		return c, false
	case mapped:
		return said, true
	case p.h265 > p.h264:
		return pes.Content{Codec: codec.H265}, true
	}
	return pes.Content{Codec: codec.H264}, p.h264 > 0
}

// findSets returns which video the parameter sets in b are of: NAL units of that
// kind (H.264, table 7-1; H.265, table 7-1), of MPEG-2 the header of a sequence.
func findSets(b []byte) (c pes.Content, ok bool) {
	for {
		n := bytes.Index(b, prefix)
		if n < 0 || n+5 >= len(b) {
			return c, false
		}
		b = b[n+len(prefix):]
		switch {
		case b[0] == 0xb3:
			return pes.Content{Codec: codec.MPEG2Video}, true
		case b[0]&0x9f == 7 && b[0]&0x60 != 0 && isProfile(b[1]):
			return pes.Content{Codec: codec.H264}, true
		case (b[0] == 32<<1 || b[0] == 33<<1) && b[1] == 1: // in the base layer
			return pes.Content{Codec: codec.H265}, true
		}
	}
}

// isProfile tells whether there is such a profile_idc of H.264 (annex A, G, H).
func isProfile(v byte) bool {
	switch v {
	case 44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 138, 139, 134, 135, 244:
		return true
	}
	return false
}

// vote looks whether the packet begins as one of H.265, all of whose NAL units have
// the same second byte mostly, or of H.264.
func (p *probe) vote() {
	b := p.buf
	n := bytes.Index(b[:min(len(b), 8)], prefix)
	if n < 0 || n+4 >= len(b) {
		return
	}
	b = b[n+len(prefix):]
	switch t := b[0] >> 1; {
	case b[1] == 1 && b[0]&1 == 0 && (t < 10 || t >= 16 && t <= 21 || t >= 32 && t <= 40):
		p.h265++
	case b[0]&0x80 == 0 && b[0]&0x1f >= 1 && b[0]&0x1f <= 12:
		p.h264++
	}
}

// framedAudio are the kinds of audio whose frames are told by what they begin with.
var framedAudio = [...]pes.Content{
	{Codec: codec.AAC}, {Codec: codec.AAC, LATM: true}, {Codec: codec.MP3}, {Codec: codec.AC3},
}

// audio tells what audio is of which the map says that it is said, if it does.
func (p *probe) audio(said pes.Content, mapped bool) (c pes.Content, ok bool) {
	best := 0
	for i, c := range framedAudio {
		if exact(c, p.buf, len(p.buf) == probeMost) {
			return c, true
		}
		if n := findFrames(c, p.buf); n > 1 {
			p.hits[i] += n - 1
		}
		if p.hits[i] > p.hits[best] {
			best = i
		}
	}
	if mapped && isFramed(said) {
		if n, err := said.FrameSize(p.buf); err == nil && n > 0 || findFrames(said, p.buf) > 1 {
			return said, true
		}
	}
	if !mapped && p.hits[best] >= hitsLeast || p.late && p.hits[best] > 0 && !(mapped && isFramed(said)) {
		return framedAudio[best], true
	}
	if mapped && !isFramed(said) {
		return said, true
	}
	if p.unframed == 0 {
		p.even = true
	}
	p.unframed++
	p.even = p.even && len(p.buf)%g711Step == 0
	if p.late || mapped && p.unframed >= unframedMost && p.even {
		if mapped && !p.even {
			return said, true // frames of it may come
		}
		return pes.Content{Codec: codec.PCMA}, true
	}
	return c, false
}

func isFramed(c pes.Content) bool {
	for i := range framedAudio {
		if framedAudio[i].Codec == c.Codec {
			return true
		}
	}
	return false
}

// exact reports whether b is nothing but frames; the last one may be cut if b is.
func exact(c pes.Content, b []byte, cut bool) bool {
	frames := 0
	for len(b) > 0 {
		n, err := c.FrameSize(b)
		switch {
		case err != nil:
			return cut && frames > 0 && errors.Is(err, io.ErrUnexpectedEOF)
		case n > len(b):
			return cut && frames > 0
		}
		b = b[n:]
		frames++
	}
	return frames > 0
}

// findFrames returns how many frames stand behind each other somewhere in b. The
// last may be cut.
func findFrames(c pes.Content, b []byte) (frames int) {
	for ; len(b) > 0; b = b[1:] {
		at := 0
		for frames = 0; at < len(b); frames++ {
			n, err := c.FrameSize(b[at:])
			if errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				frames = 0
				break
			}
			at += n
		}
		if frames > 0 {
			return frames
		}
	}
	return 0
}

// private tells what a private stream is of which nothing is said.
func (p *probe) private() (c pes.Content, ok bool) {
	c = pes.Content{Codec: codec.AC3}
	return c, findFrames(c, p.buf) > 1 || exact(c, p.buf, false)
}
