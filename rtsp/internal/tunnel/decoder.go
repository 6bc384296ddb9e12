package tunnel

import (
	"fmt"
	"io"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
)

// A decoder decodes base64 (RFC 4648, section 4) as it comes, in pieces of any
// size. Clients encode each of their requests by itself: padding may stand
// anywhere between two groups of 4 characters.
//
// A byte is handed out as soon as its bits are there, so that what was decoded
// is never longer than what was read, and needs no room of its own.
type decoder struct {
	src  io.Reader
	bits uint16 // that were read and not handed out, the last 0 to 6
	n    int    // characters of the group that came, or paddedOnce
	err  error  // of a character that was read, after what was decoded before it
}

// Read decodes into b.
func (d *decoder) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for range 100 {
		if d.err != nil {
			return 0, d.err
		}
		n, err := d.src.Read(b)
		if n, d.err = d.decode(b[:n]); n > 0 {
			return n, nil // another error comes again
		}
		if d.err != nil {
			return 0, d.err
		}
		if err == io.EOF && d.n > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// decode decodes b in place and returns how many bytes that gave.
func (d *decoder) decode(b []byte) (n int, err error) {
	for _, c := range b {
		switch v := values[c]; {
		case v == blank:
		case v < padding && d.n != paddedOnce:
			d.bits = d.bits<<6 | uint16(v)
			if d.n > 0 { // 12, 4+6 or 2+6 bits are there
				b[n] = byte(d.bits >> (6 - 2*d.n))
				n++
			}
			d.n = (d.n + 1) % 4
		case v == padding && d.n == 2:
			d.n = paddedOnce
		case v == padding && (d.n == 3 || d.n == paddedOnce):
			d.n = 0
		default:
			return n, &wire.Error{Status: 400, Text: fmt.Sprintf("%q in base64", c)}
		}
	}
	return n, nil
}

// What characters mean, beside the values of 6 bits.
const (
	padding = 64 + iota
	blank
	invalid
)

// paddedOnce stands for a group of 2 characters and padding, of which more must
// follow.
const paddedOnce = 4

// values are the meanings of all characters.
var values = func() (t [256]uint8) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = invalid
	}
	for i, c := range []byte(alphabet) {
		t[c] = uint8(i)
	}
	for _, c := range []byte(" \t\r\n") {
		t[c] = blank
	}
	t['='] = padding
	return t
}()
