package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A fit says whether bytes are the beginning of something.
type fit uint8

const (
	no    fit = iota
	maybe     // more bytes are needed to tell
	yes
)

// find reports whether what comes next begins as test says. If not, a byte of it
// is skipped as garbage.
func (r *Reader) find(test func(b []byte, l *Limits) fit) (bool, error) {
	for n := 1; ; n++ {
		b, err := r.peek(n, true)
		if err != nil {
			return false, err
		}
		n = len(b)
		switch test(b, r.limits) {
		case yes:
			return true, nil
		case no:
			return false, r.discard(1)
		}
	}
}

// discard takes n bytes for garbage that were used up or come next.
func (r *Reader) discard(n int) error {
	r.lost = true
	r.r += n
	return r.lose(n)
}

// lose counts n bytes of garbage.
func (r *Reader) lose(n int) error {
	r.garbage += uint64(n)
	if r.inRow += n; r.inRow > r.limits.Garbage {
		return &Error{Status: 400, Text: fmt.Sprintf("%d bytes that are neither messages nor packets", r.inRow)}
	}
	return nil
}

// longestMethod is the length of the longest method that is believed to be one.
const longestMethod = 32

// continues tells whether b is the first line of a message, where one is
// expected: anything may be the method of a request.
func continues(b []byte, _ *Limits) fit {
	for i, c := range b {
		switch {
		case i > longestMethod:
			return no
		case c == ' ' && i > 0:
			return yes
		case c == '/':
			return starts(b, "RTSP/", "HTTP/")
		case !isLetter(c) && c != '_' && c != '-':
			return no
		}
	}
	return maybe
}

// resumes tells whether b is the beginning of a packet or message, where
// anything may come.
func resumes(b []byte, l *Limits) fit {
	if b[0] != '$' {
		return starts(b, "OPTIONS ", "DESCRIBE ", "ANNOUNCE ", "SETUP ", "PLAY ", "PAUSE ", "RECORD ", "TEARDOWN ",
			"GET_PARAMETER ", "SET_PARAMETER ", "REDIRECT ", "RTSP/")
	}
	const smallest, version = 4, 2 // both of RTCP packets, and of what precedes a payload of RTP
	if len(b) > 1 && (l.Wanted == nil || !l.Wanted(b[1])) ||
		len(b) >= packetHeader && (binary.BigEndian.Uint16(b[2:]) < smallest || int(binary.BigEndian.Uint16(b[2:])) > l.Packet) ||
		len(b) > packetHeader && b[packetHeader]>>6 != version {
		return no
	}
	if len(b) > packetHeader {
		return yes
	}
	return maybe
}

// starts tells whether b begins with one of the words.
func starts(b []byte, words ...string) fit {
	f := no
	for _, w := range words {
		switch n := min(len(w), len(b)); {
		case !bytes.Equal(b[:n], []byte(w[:n])):
		case n == len(w):
			return yes
		default:
			f = maybe
		}
	}
	return f
}
