package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An RTMPScanner finds the messages in a chunk stream (RTMP 1.0, section 5.3).
type RTMPScanner struct {
	onMessage func(Message)
	chunkSize int
	streams   map[int]*rtmpStream

	header [18]byte // of a chunk, as far as it came
	have   int
	cur    *rtmpStream // whose chunk data comes; nil in a header
	want   int         // bytes of the chunk to come
}

// rtmpStream is the state of one chunk stream.
type rtmpStream struct {
	typ      byte
	length   int
	extended bool
	got      int
	head     head
}

// maxChunkStreams and maxMessage are what no server in the benchmark exceeds.
const (
	maxChunkStreams = 64
	maxMessage      = 16 << 20
)

// NewRTMPScanner returns a scanner for the bytes that follow the handshake.
func NewRTMPScanner(onMessage func(Message)) *RTMPScanner {
	return &RTMPScanner{onMessage: onMessage, chunkSize: 128, streams: map[int]*rtmpStream{}}
}

// Scan implements Scanner.
func (s *RTMPScanner) Scan(b []byte) error {
	for len(b) > 0 {
		if s.cur == nil {
			s.header[s.have] = b[0]
			s.have++
			b = b[1:]
			if err := s.parseHeader(); err != nil {
				return err
			}
			continue
		}
		n := min(s.want, len(b))
		s.cur.head.add(b[:n])
		s.cur.got += n
		s.want -= n
		b = b[n:]
		if s.want == 0 {
			if err := s.endChunk(); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseHeader looks whether the chunk header is complete, and if so starts the chunk.
func (s *RTMPScanner) parseHeader() error {
	h := s.header[:s.have]
	basic, id := 1, int(h[0]&63)
	switch id {
	case 0:
		basic = 2
	case 1:
		basic = 3
	}
	if len(h) < basic {
		return nil
	}
	switch basic {
	case 2:
		id = 64 + int(h[1])
	case 3:
		id = 64 + int(h[1]) + int(h[2])<<8
	}
	format := h[0] >> 6
	size := basic + [4]int{11, 7, 3, 0}[format]
	if len(h) < size {
		return nil
	}
	st := s.streams[id]
	if st == nil {
		if format == 3 || len(s.streams) >= maxChunkStreams {
			return fmt.Errorf("wire: chunk of type %d on chunk stream %d", format, id)
		}
		st = &rtmpStream{}
		s.streams[id] = st
	}
	m := h[basic:]
	extended := st.extended
	if format < 3 {
		extended = m[0] == 0xff && m[1] == 0xff && m[2] == 0xff
	}
	if extended {
		if size += 4; len(h) < size {
			return nil
		}
	}
	st.extended = extended
	if format < 3 && st.got > 0 {
		return fmt.Errorf("wire: message on chunk stream %d interrupted", id)
	}
	if format < 2 {
		st.length = int(m[3])<<16 | int(m[4])<<8 | int(m[5])
		st.typ = m[6]
	}
	if st.length == 0 || st.length > maxMessage {
		return fmt.Errorf("wire: message of %d bytes", st.length)
	}
	if st.got == 0 {
		st.head.n = 0
	}
	s.have = 0
	s.cur = st
	s.want = min(s.chunkSize, st.length-st.got)
	return nil
}

// endChunk ends a chunk and perhaps the message.
func (s *RTMPScanner) endChunk() error {
	st := s.cur
	s.cur = nil
	if st.got < st.length {
		return nil
	}
	st.got = 0
	m := Message{Type: st.typ, Size: st.length, Head: st.head.buf[:st.head.n]}
	m.Key = keyTag(m.Type, m.Head)
	if m.Type == 1 { // Set Chunk Size
		if len(m.Head) < 4 {
			return errors.New("wire: short Set Chunk Size")
		}
		n := binary.BigEndian.Uint32(m.Head)
		if n == 0 || n > 1<<31-1 {
			return fmt.Errorf("wire: chunk size %d", n)
		}
		s.chunkSize = int(n)
	}
	s.onMessage(m)
	return nil
}
