package livehttp

import (
	"encoding/binary"
	"fmt"
)

// Bounds for what a player sends, who has nothing to say.
const (
	maxMessage   = 64 << 10 // bytes of a message
	maxFragments = 64       // frames of a message
)

// A closeError says with which status a connection is to be closed.
type closeError struct {
	code int
	text string
}

func (e *closeError) Error() string {
	return fmt.Sprintf("livehttp: WebSocket closed with %d: %s", e.code, e.text)
}

// violation returns the error for a peer that breaks the protocol.
func violation(format string, args ...any) error {
	return &closeError{closeProtocol, fmt.Sprintf(format, args...)}
}

// A parser takes apart the frames of a client (RFC 6455, section 5.2), in
// whatever pieces they come. It keeps nothing but the data of control frames;
// messages are counted and dropped. The zero value is ready for use.
type parser struct {
	// control is called for each PING, PONG and CLOSE frame, with its unmasked
	// data, which it must not keep. An error ends the parsing.
	control func(opcode byte, data []byte) error

	head     [14]byte // of the frame: 2 bytes, length, mask
	got      int      // bytes of it
	need     int
	left     int // bytes of data the frame still has
	mask     int // which byte of the mask is next
	data     [maxControl]byte
	n        int  // bytes in data
	message  int  // bytes of the message so far
	frames   int  // frames of it
	open     bool // its last frame is still to come
	inFrame  bool // the header is complete
	finished bool // a CLOSE frame was seen: what follows is ignored
}

// parse takes in the next bytes. An error is a *closeError or control's; the
// parser is of no use after it.
func (p *parser) parse(b []byte) error {
	for len(b) > 0 && !p.finished {
		if !p.inFrame {
			var err error
			if b, err = p.header(b); err != nil {
				return err
			}
			if !p.inFrame {
				return nil
			}
		} else {
			b = p.payload(b)
		}
		if p.left > 0 {
			continue
		}
		p.inFrame = false
		if err := p.end(); err != nil {
			return err
		}
	}
	return nil
}

// header collects the header of a frame and returns what is behind it.
func (p *parser) header(b []byte) ([]byte, error) {
	if p.got == 0 {
		p.need = 2
	}
	for {
		n := copy(p.head[p.got:p.need], b)
		p.got += n
		b = b[n:]
		if p.got < p.need {
			return nil, nil
		}
		if p.need > 2 {
			break
		}
		if err := p.check(); err != nil {
			return nil, err
		}
	}
	return b, p.begin()
}

// check looks at the first two bytes and tells how long the header is.
func (p *parser) check() error {
	opcode := p.head[0] & 15
	length := p.head[1] &^ bitMasked
	switch {
	case p.head[0]&bitsRSV != 0:
		return violation("reserved bits in frame with opcode %d", opcode)
	case p.head[1]&bitMasked == 0:
		return violation("frame is not masked")
	case opcode > opBinary && opcode < opClose || opcode > opPong:
		return violation("opcode %d", opcode)
	case opcode >= opClose && (p.head[0]&bitFinal == 0 || length > maxControl):
		return violation("control frame is fragmented or too long")
	case opcode == opContinuation && !p.open:
		return violation("continuation of nothing")
	case opcode != opContinuation && opcode < opClose && p.open:
		return violation("message within a message")
	}
	p.need = 2 + 4
	switch length {
	case len16:
		p.need += 2
	case len64:
		p.need += 8
	}
	return nil
}

// begin takes the length of the frame whose header is complete.
func (p *parser) begin() error {
	n := uint64(p.head[1] &^ bitMasked)
	switch n {
	case len16:
		if n = uint64(binary.BigEndian.Uint16(p.head[2:])); n < len16 {
			return violation("length %d in 16 bits", n)
		}
	case len64:
		if n = binary.BigEndian.Uint64(p.head[2:]); n < 1<<16 || n > 1<<63-1 {
			return violation("length %d in 64 bits", n)
		}
	}
	if n > maxMessage {
		return &closeError{closeTooBig, fmt.Sprintf("frame of %d bytes", n)}
	}
	p.inFrame, p.got, p.left, p.n, p.mask = true, 0, int(n), 0, 0
	if p.isControl() {
		return nil
	}
	p.message += int(n)
	p.frames++
	p.open = p.head[0]&bitFinal == 0
	if p.message > maxMessage || p.frames > maxFragments {
		return &closeError{closeTooBig, fmt.Sprintf("message of %d bytes in %d frames", p.message, p.frames)}
	}
	return nil
}

func (p *parser) isControl() bool { return p.head[0]&15 >= opClose }

// payload takes data of the frame and returns what is behind it.
func (p *parser) payload(b []byte) []byte {
	n := min(p.left, len(b))
	p.left -= n
	if p.isControl() {
		mask := p.head[p.need-4 : p.need]
		for _, c := range b[:n] {
			p.data[p.n] = c ^ mask[p.mask&3]
			p.n++
			p.mask++
		}
	}
	return b[n:]
}

// end is called at the end of a frame.
func (p *parser) end() error {
	if !p.isControl() {
		if !p.open {
			p.message, p.frames = 0, 0
		}
		return nil
	}
	p.finished = p.head[0]&15 == opClose
	return p.control(p.head[0]&15, p.data[:p.n])
}

// closeStatus returns the status in the data of a CLOSE frame, or the error for
// data that has none of those allowed (RFC 6455, section 7.4).
func closeStatus(data []byte) (int, error) {
	if len(data) == 0 {
		return closeNone, nil
	}
	if len(data) == 1 {
		return 0, violation("CLOSE frame of one byte")
	}
	code := int(binary.BigEndian.Uint16(data))
	switch {
	case code >= 3000 && code < 5000, code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return code, nil
	}
	return 0, violation("CLOSE frame with status %d", code)
}
