package hls

import (
	"bytes"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A delivery is what the query of a request for a playlist asks for
// (draft-pantos-hls-rfc8216bis, 6.2.5).
type delivery struct {
	block    bool   // wait until the playlist has what follows
	sequence uint64 // media sequence number
	part     int    // its part; -1: the whole segment
	skip     bool   // a delta update is fine
}

var errDelivery = errors.New("hls: bad delivery directives")

// maxPart bounds the part that is asked for; no segment has as many.
const maxPart = 1 << 20

// parseDelivery finds the delivery directives in a query. What else is there is not
// looked at, and may be anything.
func parseDelivery(query string) (d delivery, err error) {
	d.part = -1
	if !strings.Contains(query, "_HLS_") {
		return d, nil
	}
	var part bool
	for query != "" && err == nil {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "_HLS_msn":
			d.block = true
			d.sequence, err = strconv.ParseUint(value, 10, 63)
		case "_HLS_part":
			part = true
			var n uint64
			n, err = strconv.ParseUint(value, 10, 31)
			d.part = int(min(n, maxPart))
		case "_HLS_skip":
			value, err = url.QueryUnescape(value)
			d.skip = value == "YES" || value == "v2"
		}
	}
	if err != nil || part && !d.block {
		return d, errDelivery
	}
	return d, nil
}

// has reports whether s has what is asked for. A part beyond the last one of its
// segment is the first one of the next.
func (s *snapshot) has(d delivery) bool {
	switch {
	case !d.block || s.ended || d.sequence+1 < s.sequence:
		return true
	case d.sequence+1 == s.sequence:
		return d.part < s.before || s.parts > 0
	}
	return d.sequence == s.sequence && d.part >= 0 && d.part < s.parts
}

// advance is how many parts that are not there yet may be asked for.
func (s *snapshot) advance() int {
	if s.part <= 0 || s.part >= time.Second {
		return 3
	}
	return int((3*time.Second + s.part - 1) / s.part)
}

// beyond reports whether more is asked for than will be there soon.
func (s *snapshot) beyond(d delivery) bool {
	switch {
	case !d.block || s.ended || d.sequence < s.sequence:
		return false
	case d.sequence > s.sequence+1:
		return true
	}
	parts := s.parts
	if d.sequence > s.sequence {
		parts = 0
	}
	return d.part >= parts+s.advance()
}

// addQuery appends text with the query added to every URI in it: the lines that
// are no tags, and the attributes called URI.
func addQuery(dst, text []byte, query string) []byte {
	attribute := []byte(`URI="`)
	for line := range bytes.Lines(text) {
		at := len(bytes.TrimRight(line, "\r\n"))
		if line[0] == '#' {
			i := bytes.Index(line, attribute)
			if i < 0 {
				dst = append(dst, line...)
				continue
			}
			i += len(attribute)
			at = i + max(0, bytes.IndexByte(line[i:], '"'))
		}
		dst = append(dst, line[:at]...)
		if at > 0 {
			dst = append(append(dst, '?'), query...)
		}
		dst = append(dst, line[at:]...)
	}
	return dst
}
