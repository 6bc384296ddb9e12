package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// MinBuffer is the size of the smallest buffer a [Reader] works with, in bytes.
const MinBuffer = 64

// A Reader reads what a peer sends.
//
// An error of the io.Reader, such as a deadline, does no harm: Next can be
// called again and goes on where it stopped.
type Reader struct {
	src    io.Reader
	limits *Limits // without zeros
	size   int     // of buf
	buf    []byte  // buf[r:w] was read and not used
	r, w   int
	bytes  uint64 // read from src

	msg    *message    // that has begun and not ended, or nil
	packet []byte      // that has begun and does not fit into buf, or nil
	left   int         // bytes of packet, or to be skipped, that have not come
	out    Interleaved // what Next has returned, or packet's channel

	lost     bool // out of step: there is garbage
	inRow    int  // bytes of it since the last item
	garbage  uint64
	unwanted int // packets skipped since the last item
	skipped  uint64
}

// NewReader returns a Reader that reads from src through a buffer of size
// bytes, at least MinBuffer. Items may be longer than that.
func NewReader(src io.Reader, size int, l Limits) *Reader {
	r := new(Reader)
	r.Use(src, size, l)
	return r
}

// Use makes the Reader go on with other limits, from another source and through
// another buffer, all of which may be those it has. It may be called after Next
// has returned an item; what was read already is not lost.
func (r *Reader) Use(src io.Reader, size int, l Limits) {
	l = l.orDefaults()
	r.src, r.limits, r.size = src, &l, max(size, MinBuffer)
	if r.r < r.w {
		unread := r.buf[r.r:r.w]
		buf := make([]byte, max(r.size, len(unread)))
		r.r, r.w = 0, copy(buf, unread)
		r.buf = buf
	} else {
		r.r, r.w, r.buf = 0, 0, nil
	}
}

// Bytes returns how many bytes were read.
func (r *Reader) Bytes() uint64 { return r.bytes }

// Garbage returns how many bytes were skipped that belonged to nothing.
func (r *Reader) Garbage() uint64 { return r.garbage }

// Skipped returns how many packets were skipped.
func (r *Reader) Skipped() uint64 { return r.skipped }

// Unread hands over what was read and not used. The Reader forgets it.
func (r *Reader) Unread() []byte {
	b := r.buf[r.r:r.w]
	r.buf, r.r, r.w = nil, 0, 0
	return b
}

// Next returns the next item; an Interleaved is good until the next call, its
// payload for as long as one likes. It returns io.EOF if the source ends between
// two items, else io.ErrUnexpectedEOF. Errors that wrap [ErrInvalid] are final.
func (r *Reader) Next() (Item, error) {
	for {
		var item Item
		var err error
		switch {
		case r.msg != nil:
			item, err = r.message()
		case r.packet != nil:
			item, err = r.rest()
		case r.left > 0:
			err = r.skip()
		default:
			item, err = r.begin()
		}
		if item != nil {
			r.inRow, r.unwanted = 0, 0
		}
		if item != nil || err != nil {
			return item, err
		}
	}
}

// begin looks at how the next item begins. It returns an item if that is a
// packet which is there as a whole.
func (r *Reader) begin() (Item, error) {
	b, err := r.peek(1, r.lost)
	if err != nil {
		return nil, err
	}
	if r.lost {
		if ok, err := r.find(resumes); !ok {
			return nil, err
		}
		r.lost = false
		b = r.buf[r.r:r.w]
	}
	switch c := b[0]; {
	case c == '\r' || c == '\n':
		r.r++
		return nil, nil
	case c == '$':
		return r.beginPacket()
	case r.limits.Garbage > 0:
		if ok, err := r.find(continues); !ok {
			return nil, err
		}
	case !isLetter(c):
		return nil, &Error{Status: 400, Text: fmt.Sprintf("neither a message nor a packet begins with %#x", c)}
	}
	r.msg = new(message)
	return nil, nil
}

// beginPacket reads a packet's header, and the packet if it fits into the buffer.
func (r *Reader) beginPacket() (Item, error) {
	b, err := r.peek(packetHeader, true)
	if err != nil {
		return nil, err
	}
	channel, n := b[1], int(binary.BigEndian.Uint16(b[2:]))
	if n > r.limits.Packet || r.limits.Wanted == nil || !r.limits.Wanted(channel) {
		r.r += packetHeader
		r.left = n
		r.skipped++
		if r.unwanted++; r.limits.Unwanted > 0 && r.unwanted >= r.limits.Unwanted {
			return nil, &Error{Status: 400, Text: fmt.Sprintf("%d packets in a row that nobody asked for", r.unwanted)}
		}
		return nil, nil
	}
	if packetHeader+n > r.size {
		r.r += packetHeader
		r.packet, r.left, r.out.Channel = []byte{}, n, channel
		return nil, nil
	}
	if b, err = r.peek(packetHeader+n, true); err != nil {
		return nil, err
	}
	payload := make([]byte, n)
	copy(payload, b[packetHeader:])
	r.r += packetHeader + n
	r.out = Interleaved{channel, payload}
	return &r.out, nil
}

// rest reads the rest of a packet that does not fit into the buffer.
func (r *Reader) rest() (Item, error) {
	var err error
	if r.packet, err = r.fill(r.packet, &r.left); err != nil {
		return nil, err
	}
	r.out.Payload, r.packet = r.packet, nil
	return &r.out, nil
}

// skip reads and forgets bytes.
func (r *Reader) skip() error {
	for r.left > 0 {
		b, err := r.peek(1, true)
		if err != nil {
			return err
		}
		n := min(len(b), r.left)
		r.r += n
		r.left -= n
	}
	return nil
}

// fill appends the next *left bytes to b, which grows as they come, and counts
// *left down.
func (r *Reader) fill(b []byte, left *int) ([]byte, error) {
	for *left > 0 {
		in, err := r.peek(1, true)
		if err != nil {
			return b, err
		}
		n := min(len(in), *left)
		if len(b)+n > cap(b) {
			b = append(make([]byte, 0, min(max(2*cap(b), len(b)+n), len(b)+*left)), b...)
		}
		b = append(b, in[:n]...)
		r.r += n
		*left -= n
	}
	return b, nil
}

// peek returns at least n bytes of what comes next, without using them up; n is
// not above the buffer's size. With inside, the end of the source is not
// expected.
func (r *Reader) peek(n int, inside bool) ([]byte, error) {
	for r.w-r.r < n {
		switch {
		case r.r == r.w:
			r.r, r.w = 0, 0
			if len(r.buf) != r.size {
				r.buf = make([]byte, r.size)
			}
		case r.r+n > len(r.buf):
			r.w = copy(r.buf, r.buf[r.r:r.w])
			r.r = 0
		}
		k, err := r.read(r.buf[r.w:])
		r.w += k
		if err != nil {
			if err == io.EOF && (inside || r.w > r.r) {
				err = io.ErrUnexpectedEOF
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

func isLetter(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }
