package wire

import (
	"encoding/binary"
	"fmt"
)

// An FMP4Scanner finds the media data of movie fragments (ISO/IEC 14496-12), of
// which each has one frame. A frame is of video if isVideo says so.
type FMP4Scanner struct {
	onMessage func(Message)
	isVideo   func(head []byte) bool
	header    [8]byte
	have      int
	want      int  // bytes of the box to come
	media     bool // the box is an mdat
	size      int
	head      head
}

// NewFMP4Scanner returns a scanner for a stream that begins at a box.
func NewFMP4Scanner(isVideo func(head []byte) bool, onMessage func(Message)) *FMP4Scanner {
	return &FMP4Scanner{isVideo: isVideo, onMessage: onMessage}
}

// Scan implements Scanner.
func (s *FMP4Scanner) Scan(b []byte) error {
	for len(b) > 0 {
		if s.want > 0 {
			n := min(s.want, len(b))
			if s.media {
				s.head.add(b[:n])
			}
			s.want -= n
			b = b[n:]
			if s.want == 0 && s.media {
				s.found()
			}
			continue
		}
		n := copy(s.header[s.have:], b)
		s.have += n
		b = b[n:]
		if s.have < len(s.header) {
			return nil
		}
		s.have = 0
		if s.want = int(binary.BigEndian.Uint32(s.header[:])) - len(s.header); s.want < 0 {
			return fmt.Errorf("wire: box of %d bytes", s.want+len(s.header))
		}
		s.media, s.size = string(s.header[4:]) == "mdat", s.want
		s.head.n = 0
	}
	return nil
}

// found reports the frame.
func (s *FMP4Scanner) found() {
	m := Message{Type: typeAudio, Size: s.size, Head: s.head.buf[:s.head.n]}
	if s.isVideo(m.Head) {
		m.Type = typeVideo
		m.Key = len(m.Head) > 4 && m.Head[4]&0x1f == 5 // after its length, an IDR slice of H.264
	}
	s.onMessage(m)
}
