package ps

import (
	"bytes"
	"encoding/binary"

	"github.com/mediakit-go/mediakit/internal/pes"
)

// A packetReader finds the headers in a program stream, which comes in pieces, and
// gives what is in packets to a Demuxer.
//
// Lengths are not trusted. In the middle of a packet, too, a header counts that
// cannot be there by chance: no start code in video is above 0xb8, and what else may
// hold such bytes is told by the marker bits that headers have. What follows the end
// of a packet of video is of that packet if it is no header.
type packetReader struct {
	rest  []byte // of the piece before: what may be a header
	body  body   // what the packet has
	left  int    // bytes of it that are to come; open: until the next header
	known [256]bool

	short  []byte // the body of a map or a system header
	over   int    // bytes of a packet of video beyond its length; -1: it has not ended by that
	lies   int    // packets of video in a row whose length was wrong
	honest bool   // the last packet was as long as it said, if a header follows
}

// A body is what a packet has.
type body uint8

const (
	bodySkipped body = iota
	bodyStream
	bodyMap
	bodySystem
)

const (
	open      = -1
	joinBytes = 64 // that the rest is joined with at a time, so that most is served from the piece itself
	beginning = 12 // bytes of payload that come with the header, as it must be told what they begin
	believed  = 8  // lies in a row after which they are how the sender is
)

var prefix = []byte{0, 0, 1} // of start codes

// inside reports whether a packet has not ended whose length is known, or a header.
func (r *packetReader) inside() bool { return r.left > 0 || len(r.rest) > 0 }

// lose gives up what has begun: the next header is searched for.
func (r *packetReader) lose() {
	r.rest, r.short = r.rest[:0], r.short[:0]
	r.body, r.left, r.over, r.honest = bodySkipped, open, -1, false
}

// add takes in b.
func (r *packetReader) add(b []byte, d *Demuxer) {
	for len(r.rest) > 0 && len(b) > 0 {
		n := min(len(b), joinBytes)
		have := len(r.rest)
		r.rest = append(r.rest, b[:n]...)
		used := r.take(r.rest, false, d)
		if used >= have {
			b = b[used-have:]
			r.rest = r.rest[:0]
			break
		}
		r.rest = r.rest[:copy(r.rest, r.rest[used:])]
		b = b[n:]
	}
	if len(r.rest) == 0 {
		used := r.take(b, false, d)
		r.rest = append(r.rest, b[used:]...)
	}
}

// settle takes in what was waiting for more to come, as far as that is not needed.
func (r *packetReader) settle(d *Demuxer) {
	if len(r.rest) > 0 {
		used := r.take(r.rest, true, d)
		r.rest = r.rest[:copy(r.rest, r.rest[used:])]
	}
}

// take takes in the beginning of b and returns how many bytes are done with. final
// tells that nothing follows for now.
func (r *packetReader) take(b []byte, final bool, d *Demuxer) (used int) {
	for used < len(b) {
		var n int
		var more bool
		if r.left != 0 {
			n, more = r.takeBody(b[used:], final, d)
		} else {
			n, more = r.takeHeader(b[used:], final, d)
		}
		used += n
		if more {
			break
		}
	}
	return used
}

// takeBody takes in what is in a packet. It reports more if the rest of b may be a
// header.
func (r *packetReader) takeBody(b []byte, final bool, d *Demuxer) (used int, more bool) {
	part, seen, whole := b, b, false
	if r.left > 0 && r.left <= len(b) {
		part, whole = b[:r.left], true
		seen = b[:min(r.left+len(prefix)-1, len(b))] // a header may begin before the end
	}
	for at := 0; ; at += len(prefix) {
		n := bytes.Index(seen[at:], prefix)
		if n < 0 {
			break
		}
		if at += n; at+len(prefix) >= len(b) {
			break
		}
		switch l := r.likeness(b[at:]); {
		case l == like:
			r.deliver(part[:at], d)
			r.end(true, d)
			return at, false
		case l == unclear:
			r.deliver(part[:at], d)
			r.spend(at)
			return at, true
		}
	}
	if !final && (!whole || r.body != bodyStream && len(part) == len(b)) { // media should not wait for what follows
		held := tail(part)
		part, more = part[:len(part)-held], held > 0
		whole = whole && !more
	}
	r.deliver(part, d)
	r.spend(len(part))
	if whole {
		r.end(false, d)
	}
	return len(part), more
}

// tail returns how many bytes at the end of b may begin a start code.
func tail(b []byte) int {
	switch {
	case bytes.HasSuffix(b, prefix):
		return 3
	case bytes.HasSuffix(b, prefix[:2]):
		return 2
	case bytes.HasSuffix(b, prefix[:1]):
		return 1
	}
	return 0
}

// likeness tells whether b, which begins with a start code, is a header.
func (r *packetReader) likeness(b []byte) likeness {
	switch id := b[3]; {
	case id < codePack:
		return unlike
	case id == codePack:
		return packLikeness(b)
	case id == codeSystem:
		return systemLikeness(b)
	case id == pes.IDMap:
		return mapLikeness(b)
	case id == pes.IDPadding:
		if len(b) < 8 {
			return unclear
		}
		return likeIf((b[6] == 0xff || b[6] == 0x0f) && b[7] == 0xff)
	case pes.IsAudio(id), pes.IsVideo(id), id == pes.IDPrivate1 && r.known[id]:
		return packetLikeness(b, r.known[id])
	}
	return unlike
}

// spend counts n bytes of the packet.
func (r *packetReader) spend(n int) {
	if r.left > 0 {
		r.left -= n
	}
}

// deliver gives b to whom it is for.
func (r *packetReader) deliver(b []byte, d *Demuxer) {
	if len(b) == 0 {
		return
	}
	switch r.body {
	case bodyStream:
		if r.over >= 0 && r.left == open {
			r.over += len(b)
		}
		d.takePayload(b)
	case bodyMap, bodySystem:
		if len(r.short)+len(b) <= maxMap {
			r.short = append(r.short, b...)
		}
	}
}

// end ends the packet; early tells that it has an end which its length does not tell.
func (r *packetReader) end(early bool, d *Demuxer) {
	switch r.body {
	case bodyStream:
		d.endPacket(r.judge(early))
	case bodyMap:
		d.takeMap(r.short)
	case bodySystem:
		d.takeSystem(r.short)
	}
	r.honest = !early
	r.left, r.over, r.short = 0, -1, r.short[:0]
	if r.body != bodyStream {
		r.body = bodySkipped
	}
}

// judge reports whether the length of a packet of video was wrong, unless those of
// the sender always are. One that was not told is not; nor is one of which the
// length has only 16 bits, as some cameras write it.
func (r *packetReader) judge(early bool) (wrong bool) {
	if !early || r.left <= 0 && (r.over <= 0 || r.over%(1<<16) == 0) {
		return false
	}
	r.lies = min(r.lies+1, believed)
	return r.lies < believed
}

// takeHeader takes in the header that stands at the beginning of b. It reports more
// if b is too short to have all of it.
func (r *packetReader) takeHeader(b []byte, final bool, d *Demuxer) (used int, more bool) {
	if n := min(len(b), len(prefix)); !bytes.Equal(b[:n], prefix[:n]) {
		return r.stray(b, d), false
	}
	if len(b) <= len(prefix) {
		return 0, true
	}
	if b[3] < codeEnd {
		return r.stray(b, d), false
	}
	if r.honest && r.body == bodyStream {
		r.lies, r.honest = 0, false
	}
	switch id := b[3]; {
	case id == codeEnd, len(b) > 7 && bytes.Equal(b[4:7], prefix) && b[7] > codeEnd: // nothing, or nothing else of it
		r.body = bodySkipped
		return 4, false
	case id == codePack:
		n, clock, more, ok := parsePack(b)
		switch {
		case more:
			return 0, true
		case !ok:
			return r.search(4), false
		}
		r.body = bodySkipped
		d.takePack(clock)
		return n, false
	case pes.HasFlags(id) && id != codeSystem:
		return r.takePacket(b, final, d)
	default:
		if len(b) < pes.Prefix {
			return 0, true
		}
		switch id {
		case codeSystem:
			r.body = bodySystem
		case pes.IDMap:
			r.body = bodyMap
			r.short = append(r.short, b[:pes.Prefix]...)
		default:
			r.body = bodySkipped
		}
		if r.left = int(binary.BigEndian.Uint16(b[4:])); r.left == 0 {
			r.end(false, d)
		}
		return pes.Prefix, false
	}
}

// takePacket takes in the header of a PES packet that has flags, and the beginning
// of its payload.
func (r *packetReader) takePacket(b []byte, final bool, d *Demuxer) (used int, more bool) {
	h, more, ok := parsePES(b)
	switch {
	case more:
		return 0, true
	case !ok:
		return r.search(4), false
	}
	used = h.Header + beginning
	if h.Size > 0 {
		used = min(used, h.Size)
	}
	if used > len(b) {
		if !final {
			return 0, true
		}
		used = len(b)
	}
	first := b[h.Header:used]
	for at := 0; ; at += len(prefix) { // the packet may have nothing, whatever it says
		n := bytes.Index(first[at:], prefix)
		if n < 0 {
			break
		}
		if at += n; at+len(prefix) == len(first) || first[at+len(prefix)] >= codePack {
			first = first[:at]
			break
		}
	}
	used = h.Header + len(first)
	r.known[h.ID] = true
	r.body, r.left, r.over, r.honest = bodySkipped, open, -1, false
	if d.beginPacket(&h, first) {
		r.body = bodyStream
	}
	if h.Size > 0 {
		if r.left = h.Size - used; r.left == 0 {
			r.end(false, d)
		}
	}
	return used, false
}

// stray takes in what stands where a header should: zeros may, what is behind video
// is of that, and the rest is skipped.
func (r *packetReader) stray(b []byte, d *Demuxer) (used int) {
	zeros := 0
	for zeros < len(b) && b[zeros] == 0 {
		zeros++
	}
	if zeros > 2 { // two may be of a start code
		return zeros - 2
	}
	if r.body != bodyStream || !d.wantsMore() {
		r.body = bodySkipped
	}
	r.left, r.over, r.honest = open, 0, false
	return 0
}

// search skips n bytes, and what follows up to the next header.
func (r *packetReader) search(n int) int {
	r.body, r.left = bodySkipped, open
	return n
}
