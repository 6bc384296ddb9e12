package ts

import "bytes"

// A synchronizer finds the packets in a stream of bytes that comes in pieces.
// They stand behind each other, or with 4 bytes before each (a time, in M2TS), or
// 16 bytes behind each (Reed-Solomon).
type synchronizer struct {
	rest   []byte // of the piece before: less than a packet, or where none was found less than three
	stride int    // from packet to packet; 0 while there is no sync
	skip   int    // bytes before the next packet
}

// The distances there are.
var strides = [...]int{PacketSize, 192, 204}

const (
	maxStride = 204
	syncs     = 3 // sync bytes in a row that are believed
)

// add calls fn for each packet that b completes. fn must not keep it. Bytes that
// are no packets are skipped.
func (s *synchronizer) add(b []byte, fn func(packet []byte)) {
	for len(s.rest) > 0 && len(b) > 0 {
		n := min(len(b), maxStride) // a little at a time, so that the rest is served from b itself
		have := len(s.rest)
		s.rest = append(s.rest, b[:n]...)
		used := s.take(s.rest, fn)
		if used >= have { // the rest is used up, and a part of b maybe
			b = b[used-have:]
			s.rest = s.rest[:0]
			break
		}
		s.rest = s.rest[:copy(s.rest, s.rest[used:])]
		b = b[n:]
	}
	if len(s.rest) == 0 {
		used := s.take(b, fn)
		s.rest = append(s.rest, b[used:]...)
	}
}

// take takes packets from the beginning of b and returns how many bytes are done
// with.
func (s *synchronizer) take(b []byte, fn func(packet []byte)) (used int) {
	at := 0
	for {
		if s.skip > 0 {
			n := min(s.skip, len(b)-at)
			at += n
			s.skip -= n
		}
		if s.stride == 0 {
			n, stride := findSync(b[at:])
			at += n
			if s.stride = stride; stride == 0 {
				return at
			}
		}
		if len(b)-at < PacketSize {
			return at
		}
		next := at + s.stride
		switch {
		case s.holds(b, at) && (next >= len(b) || s.holds(b, next) || s.holds(b, next+s.stride)):
			fn(b[at : at+PacketSize])
			at, s.skip = at+PacketSize, s.stride-PacketSize
		case !s.holds(b, at) && next < len(b) && s.holds(b, next): // the sync byte is damaged
			at = next
		default: // bytes are missing, or too many
			s.stride, s.skip = 0, 0
			at++
		}
	}
}

// holds reports whether there is a sync byte at a position.
func (s *synchronizer) holds(b []byte, at int) bool { return at < len(b) && b[at] == syncByte }

// findSync returns where the first packet of b begins and the distance to the
// next one, 0 if there are too few bytes to tell: those before at are no packets.
func findSync(b []byte) (at, stride int) {
	for {
		n := bytes.IndexByte(b[at:], syncByte)
		if n < 0 {
			return len(b), 0
		}
		at += n
		open := false
		for _, d := range strides {
			i := 1
			for i < syncs && at+i*d < len(b) && b[at+i*d] == syncByte {
				i++
			}
			if i == syncs {
				return at, d
			}
			open = open || at+i*d >= len(b)
		}
		if open {
			return at, 0
		}
		at++
	}
}

// flush takes what is left at the end, where three sync bytes cannot be.
func (s *synchronizer) flush(fn func(packet []byte)) {
	b := s.rest
	for _, d := range strides {
		if s.stride > 0 || len(b) < PacketSize || b[0] != syncByte || len(b) > d && b[d] != syncByte {
			continue
		}
		for ; len(b) >= PacketSize && b[0] == syncByte; b = b[min(d, len(b)):] {
			fn(b[:PacketSize])
		}
		break
	}
	s.rest, s.skip = s.rest[:0], 0
	s.stride = 0
}
