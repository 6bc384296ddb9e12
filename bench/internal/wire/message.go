// Package wire is the viewers' and publishers' side of RTMP, HTTP-FLV and
// WebSocket-FLV, as little of it as a benchmark needs: clients that ask for a
// stream over a blocking connection, and scanners that afterwards find the
// messages in the bytes as they come. It shares no code with the servers it
// measures.
package wire

// HeadSize is how much of a message a scanner keeps.
const HeadSize = 512

// A Message is an RTMP message or an FLV tag.
type Message struct {
	Type byte   // 8 audio, 9 video, 18 AMF0 data, 20 AMF0 command, …
	Size int    // bytes of the body
	Head []byte // the first HeadSize bytes of the body; valid during the call
}

// Key reports whether m is a key frame of video, not a decoder configuration.
func (m Message) Key() bool {
	if m.Type != 9 || len(m.Head) < 2 {
		return false
	}
	if b := m.Head[0]; b&0x80 != 0 { // Enhanced RTMP: packet types 1 and 3 hold frames
		return b>>4&7 == 1 && (b&15 == 1 || b&15 == 3)
	}
	return m.Head[0]>>4 == 1 && m.Head[1] == 1
}

// A Scanner finds messages in a stream of bytes that comes in pieces.
type Scanner interface {
	// Scan takes the next bytes and calls the function the scanner was made
	// with for every message that ends in them.
	Scan(b []byte) error
}

// head collects the first HeadSize bytes of a body.
type head struct {
	buf [HeadSize]byte
	n   int
}

func (h *head) add(b []byte) { h.n += copy(h.buf[h.n:], b) }
