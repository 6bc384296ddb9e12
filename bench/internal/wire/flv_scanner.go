package wire

import (
	"errors"
	"fmt"
)

// An FLVScanner finds the tags of an FLV stream.
type FLVScanner struct {
	onMessage func(Message)
	state     flvState
	header    [13]byte
	have      int
	want      int // bytes of the body to come
	msg       Message
	head      head
}

type flvState uint8

const (
	flvFileHeader flvState = iota // 9 bytes and PreviousTagSize0
	flvTagHeader                  // 11 bytes
	flvBody
	flvTagSize // PreviousTagSize
)

// NewFLVScanner returns a scanner for a stream that begins with the file
// header, or at a tag if tagsOnly is set.
func NewFLVScanner(tagsOnly bool, onMessage func(Message)) *FLVScanner {
	s := &FLVScanner{onMessage: onMessage}
	if tagsOnly {
		s.state = flvTagHeader
	}
	return s
}

// Scan implements Scanner.
func (s *FLVScanner) Scan(b []byte) error {
	for len(b) > 0 {
		if s.state == flvBody {
			n := min(s.want, len(b))
			s.head.add(b[:n])
			s.want -= n
			b = b[n:]
			if s.want > 0 {
				return nil
			}
			s.msg.Head = s.head.buf[:s.head.n]
			s.msg.Key = keyTag(s.msg.Type, s.msg.Head)
			s.onMessage(s.msg)
			s.state = flvTagSize
			continue
		}
		size := [...]int{flvFileHeader: 13, flvTagHeader: 11, flvTagSize: 4}[s.state]
		n := copy(s.header[s.have:size], b)
		s.have += n
		b = b[n:]
		if s.have < size {
			return nil
		}
		s.have = 0
		if err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// next takes the complete header of the state.
func (s *FLVScanner) next() error {
	h := s.header[:]
	switch s.state {
	case flvFileHeader:
		if string(h[:3]) != "FLV" {
			return fmt.Errorf("wire: no FLV header: % x", h)
		}
		s.state = flvTagHeader
	case flvTagSize:
		s.state = flvTagHeader
	case flvTagHeader:
		switch h[0] {
		case 8, 9, 18:
		default:
			return fmt.Errorf("wire: FLV tag of type %d", h[0])
		}
		s.want = int(h[1])<<16 | int(h[2])<<8 | int(h[3])
		if s.want == 0 {
			return errors.New("wire: empty FLV tag")
		}
		s.msg = Message{Type: h[0], Size: s.want}
		s.head.n = 0
		s.state = flvBody
	}
	return nil
}
