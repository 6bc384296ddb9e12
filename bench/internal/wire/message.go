// Package wire is the viewers' and publishers' side of RTMP, RTSP, and FLV,
// MPEG-TS and fragmented MP4 by HTTP and WebSocket, as little of it as a benchmark needs: clients that ask
// for a stream over a blocking connection, and scanners that afterwards find the
// messages in the bytes as they come. The viewers share no code with the servers
// they measure; who publishes by RTSP packs its frames as our server does.
package wire

// HeadSize is how much of a message a scanner keeps.
const HeadSize = 512

// The types of messages that have frames, as RTMP and FLV number them.
const (
	typeAudio = 8
	typeVideo = 9
)

// A Message is an RTMP message, an FLV tag, a PES packet after its first six
// bytes, the media data of a movie fragment, or the payloads of the RTP packets of
// one frame.
type Message struct {
	Type byte   // 8 audio, 9 video, 18 AMF0 data, 20 AMF0 command, …
	Key  bool   // a key frame of video, not a decoder configuration
	Size int    // bytes of the body
	Head []byte // the first HeadSize bytes of the body; valid during the call
}

// keyTag reports whether the body of an FLV tag, which begins with head, is a
// key frame of video.
func keyTag(typ byte, head []byte) bool {
	if typ != typeVideo || len(head) < 2 {
		return false
	}
	if b := head[0]; b&0x80 != 0 { // Enhanced RTMP: packet types 1 and 3 hold frames
		return b>>4&7 == 1 && (b&15 == 1 || b&15 == 3)
	}
	return head[0]>>4 == 1 && head[1] == 1
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
