package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Limits bound what a peer can make a [Reader] keep. Sizes are bytes.
type Limits struct {
	Streams int // chunk streams
	Media   int // an audio, video or aggregate message
	Other   int // any other message
	Pending int // all messages that have begun and not ended
	Ahead   int // of these, what may be allocated for bytes that have been announced only
	// ControlOnly leaves out messages that are neither commands nor for the
	// connection itself; they are read and forgotten.
	ControlOnly bool
}

// A chunkStream is what the last chunk of a chunk stream said, and the message
// it has begun.
type chunkStream struct {
	id        uint32
	streamID  uint32
	timestamp uint32 // of the message
	delta     uint32 // what a message like the one before adds to it
	stamp     uint32 // the extended timestamp as sent, if extended
	length    uint32
	got       uint32 // bytes of the message that came
	typ       Type
	extended  bool
	body      []byte // nil if the message is left out
}

// A Reader makes messages of chunks (RTMP 1.0, section 5.3). It follows the
// SetChunkSize and Abort messages among them.
//
// An error of the io.Reader, such as a deadline, does no harm: Next can be
// called again and goes on where it stopped.
type Reader struct {
	src     io.Reader
	limits  Limits
	buf     []byte // buf[r:w] was read and not used
	r, w    int
	next    []byte // takes buf's place when that is used up
	bytes   uint64 // read from src
	streams []chunkStream
	open    int // index+1 of the chunk stream whose payload comes next; 0: a header does
	left    int // bytes of that payload
	size    int // of the peer's chunks
	pending int // bytes allocated for messages that have not ended
}

// MinBuffer is the size of the smallest buffer a Reader works with, in bytes. No
// header of a chunk is longer than 18.
const MinBuffer = 32

// NewReader returns a Reader that reads from src through buf, of at least
// MinBuffer bytes.
func NewReader(src io.Reader, buf []byte, l Limits) *Reader {
	return &Reader{src: src, buf: buf[:max(len(buf), MinBuffer)], limits: l, size: DefaultChunkSize}
}

// Bytes returns how many bytes were read.
func (r *Reader) Bytes() uint64 { return r.bytes }

// Use makes the Reader go on with other limits, from another source and through
// another buffer, which get what was read already; nothing refers to the old
// ones afterwards.
func (r *Reader) Use(src io.Reader, buf []byte, l Limits) {
	r.src, r.limits = src, l
	unread := r.buf[r.r:r.w]
	if len(unread) > len(buf) {
		r.next = buf
		buf = make([]byte, len(unread))
	} else {
		r.next = nil
	}
	r.buf, r.r, r.w = buf, 0, copy(buf, unread)
	r.streams = append(make([]chunkStream, 0, len(r.streams)), r.streams...)
	for i := range r.streams {
		if s := &r.streams[i]; r.leftOut(s) {
			r.pending -= cap(s.body)
			s.body = nil
		}
	}
}

// Next returns the next message. It returns io.EOF if the source ends between
// two chunks, else io.ErrUnexpectedEOF. Errors that wrap [ErrInvalid] are final.
func (r *Reader) Next() (Message, error) {
	for {
		if r.open == 0 {
			if err := r.header(); err != nil {
				return Message{}, err
			}
		}
		if err := r.payload(); err != nil {
			return Message{}, err
		}
		s := &r.streams[r.open-1]
		r.open = 0
		if s.got < s.length {
			continue
		}
		m := Message{s.typ, s.streamID, s.timestamp, s.body}
		left := r.leftOut(s)
		r.drop(s)
		if left {
			continue
		}
		switch m.Type {
		case TypeSetChunkSize:
			var size SetChunkSize
			if _, err := size.Unmarshal(m.Body); err != nil {
				return Message{}, err
			}
			r.size = int(size.Size)
		case TypeAbort:
			var abort Abort
			if _, err := abort.Unmarshal(m.Body); err != nil {
				return Message{}, err
			}
			if i := r.find(abort.ChunkStream); i >= 0 {
				r.drop(&r.streams[i])
			}
		default:
			return m, nil
		}
	}
}

// header reads the header of a chunk and notes it in the chunk's stream. It
// changes nothing until all of the header is there.
func (r *Reader) header() error {
	b, err := r.peek(1, false)
	if err != nil {
		return err
	}
	// Basic header (section 5.3.1.1): form and chunk stream in 1, 2 or 3 bytes.
	//
	//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3
	//	+-+-+-+-+-+-+-+-+
	//	|fmt| 2 to 63   |
	//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
	//	|fmt|     0     |    id - 64    |
	//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
	//	|fmt|     1     |   id - 64, lower byte first   |
	//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
	form, id, n := b[0]>>6, uint32(b[0]&63), 1
	if id < 2 {
		n = 2 + int(id)
		if b, err = r.peek(n, true); err != nil {
			return err
		}
		if id = 64 + uint32(b[1]); n == 3 {
			id += uint32(b[2]) << 8
		}
	}
	i := r.find(id)
	var s chunkStream
	switch {
	case i >= 0:
		s = r.streams[i]
	case form != formFull:
		return fmt.Errorf("%w: chunk of form %d on chunk stream %d, which has no header yet", ErrInvalid, form, id)
	case len(r.streams) >= r.limits.Streams:
		return fmt.Errorf("%w: more than %d chunk streams", ErrInvalid, r.limits.Streams)
	default:
		s.id = id
	}
	if form == formNone {
		if n, err = r.continued(&s, n); err != nil {
			return err
		}
	} else if n, err = r.fields(&s, form, n); err != nil {
		return err
	}
	if s.got == 0 {
		if err := r.allowed(&s); err != nil {
			return err
		}
	}
	r.r += n
	if i < 0 {
		i = len(r.streams)
		r.streams = append(r.streams, chunkStream{})
	}
	r.streams[i] = s
	r.open, r.left = i+1, int(min(uint32(r.size), s.length-s.got))
	return nil
}

// fields decodes the message header of a chunk of any form but formNone, which
// begins at n, and returns where it ends (section 5.3.1.2). A message that is
// unfinished then is forgotten: this is the header of another one.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-----------------------------------------------+---------------+
//	|        timestamp or timestamp delta           |    length
//	+-------------------------------+---------------+---------------+
//	              length            |     type      |    message
//	+-------------------------------+---------------+---------------+
//	      stream, lower bytes first                 |  extended timestamp ...
//	+-----------------------------------------------+---------------+
func (r *Reader) fields(s *chunkStream, form uint8, n int) (end int, err error) {
	size := [...]int{formFull: 11, formTyped: 7, formTimed: 3}[form]
	b, err := r.peek(n+size, true)
	if err != nil {
		return 0, err
	}
	b = b[n:]
	stamp := uint24(b)
	end = n + size
	if s.extended = stamp == extended; s.extended {
		if b, err = r.peek(end+4, true); err != nil {
			return 0, err
		}
		stamp = binary.BigEndian.Uint32(b[end:])
		b = b[n:]
		end += 4
	}
	s.stamp, s.delta = stamp, stamp
	if form == formFull {
		s.timestamp = stamp
		s.streamID = binary.LittleEndian.Uint32(b[7:])
	} else {
		s.timestamp += stamp
	}
	if form != formTimed {
		s.length, s.typ = uint24(b[3:]), Type(b[6])
	}
	r.drop(s)
	return end, nil
}

// continued looks at what may follow the basic header of a chunk of formNone,
// which ends at n, and returns where the header ends: the extended timestamp is
// repeated by some senders and not by others. Senders who repeat it send the
// field of the header before, or the message's whole timestamp.
func (r *Reader) continued(s *chunkStream, n int) (end int, err error) {
	if s.got == 0 {
		s.timestamp += s.delta
	}
	if !s.extended {
		return n, nil
	}
	for k := 1; k <= 4; k++ {
		b, err := r.peek(n+k, true)
		if err != nil {
			return 0, err
		}
		if !begins(s.stamp, b[n:n+k]) && !begins(s.timestamp, b[n:n+k]) {
			return n, nil
		}
	}
	return n + 4, nil
}

// begins reports whether the first bytes of v are b.
func begins(v uint32, b []byte) bool {
	for i, x := range b {
		if byte(v>>(24-8*i)) != x {
			return false
		}
	}
	return true
}

// allowed reports a message that is longer than the limits.
func (r *Reader) allowed(s *chunkStream) error {
	limit := r.limits.Other
	if s.typ.media() {
		limit = r.limits.Media
	}
	if int(s.length) > limit {
		return fmt.Errorf("%w: message of type %d has %d bytes, more than %d", ErrInvalid, s.typ, s.length, limit)
	}
	return nil
}

// payload reads the rest of the open chunk.
func (r *Reader) payload() error {
	s := &r.streams[r.open-1]
	left := r.leftOut(s)
	for r.left > 0 {
		n := min(r.left, r.w-r.r)
		switch {
		case n > 0 && left:
			r.r += n
		case n > 0:
			if err := r.grow(s, n); err != nil {
				return err
			}
			s.body = append(s.body, r.buf[r.r:r.r+n]...)
			r.r += n
		case !left && r.left >= len(r.buf): // no use to copy it twice
			if err := r.grow(s, len(r.buf)); err != nil {
				return err
			}
			k := len(s.body)
			var err error
			if n, err = r.read(s.body[k:min(cap(s.body), k+r.left)]); err != nil {
				return unexpected(err)
			}
			s.body = s.body[:k+n]
		default:
			if _, err := r.peek(1, true); err != nil {
				return err
			}
		}
		s.got += uint32(n)
		r.left -= n
	}
	return nil
}

// leftOut reports whether the message of s is read and forgotten.
func (r *Reader) leftOut(s *chunkStream) bool {
	return r.limits.ControlOnly && !s.typ.control()
}

// grow makes room for n bytes in the body of s.
func (r *Reader) grow(s *chunkStream, n int) error {
	have, need := cap(s.body), len(s.body)+n
	if need <= have {
		return nil
	}
	if have == 0 {
		need = max(need, r.limits.Ahead-r.pending)
	}
	size := min(max(need, 2*have), int(s.length))
	if r.pending += size - have; r.pending > r.limits.Pending {
		return fmt.Errorf("%w: unfinished messages have more than %d bytes", ErrInvalid, r.limits.Pending)
	}
	s.body = append(make([]byte, 0, size), s.body...)
	return nil
}

// drop forgets the message of s.
func (r *Reader) drop(s *chunkStream) {
	r.pending -= cap(s.body)
	s.body, s.got = nil, 0
}

func (r *Reader) find(id uint32) int {
	for i := range r.streams {
		if r.streams[i].id == id {
			return i
		}
	}
	return -1
}

// peek returns at least n bytes of what comes next, without using them up. With
// inside, the end of the source is not expected.
func (r *Reader) peek(n int, inside bool) ([]byte, error) {
	for r.w-r.r < n {
		if r.r == r.w {
			r.r, r.w = 0, 0
			if r.next != nil {
				r.buf, r.next = r.next, nil
			}
		} else if r.r+n > len(r.buf) {
			r.w = copy(r.buf, r.buf[r.r:r.w])
			r.r = 0
		}
		k, err := r.read(r.buf[r.w:])
		r.w += k
		if err != nil {
			if inside || r.w > r.r {
				err = unexpected(err)
			}
			return nil, err
		}
	}
	return r.buf[r.r:r.w], nil
}

// read reads at least one byte from the source, or fails.
func (r *Reader) read(b []byte) (int, error) {
	for range 100 {
		n, err := r.src.Read(b)
		r.bytes += uint64(n)
		if n > 0 {
			return n, nil // an error comes again
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
