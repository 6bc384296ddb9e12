package server

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxRanges is how many ranges of a file one request may ask for. With so many
// parts an answer is less than 4 KiB longer than the file.
const maxRanges = 16

// unsatisfiable is a range of no file: http.ServeContent answers it 416.
const unsatisfiable = "bytes=9223372036854775807-"

// A span is a part of a file.
type span struct{ from, to int64 } // to is behind the last byte

// simplifyRange makes a request for ranges of a file one that http.ServeContent
// answers in the right way, and with no more than is in the file: of GET only,
// in bytes, at most 16, sorted, none overlapping or touching another.
func simplifyRange(r *http.Request, size int64) *http.Request {
	asked := r.Header.Get("Range")
	if asked == "" {
		return r
	}
	simple := *r
	simple.Header = r.Header.Clone()
	unit, set, ok := strings.Cut(asked, "=")
	if r.Method != http.MethodGet || ok && !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		simple.Header.Del("Range") // such a header is ignored (RFC 9110, section 14.2)
		return &simple
	}
	simple.Header.Set("Range", formatSpans(parseSpans(set, size)))
	return &simple
}

// parseSpans returns the parts of a file of a size that a range set names (RFC
// 9110, section 14.1.2), in order, and apart from each other. Those that begin
// behind the end are left out. It returns nil if there are none, or too many, or
// if one is malformed.
func parseSpans(set string, size int64) []span {
	if strings.Count(set, ",") >= maxRanges {
		return nil
	}
	spans := make([]span, 0, maxRanges)
	for one := range strings.SplitSeq(set, ",") {
		one = strings.Trim(one, " \t")
		if one == "" {
			continue
		}
		first, last, ok := strings.Cut(one, "-")
		from, hasFrom, ok1 := parsePosition(first)
		to, hasTo, ok2 := parsePosition(last)
		if !ok || !ok1 || !ok2 || !hasFrom && !hasTo || hasFrom && hasTo && from > to {
			return nil
		}
		switch {
		case !hasFrom: // the last so many bytes
			from, to = size-min(to, size), size
		case !hasTo, to >= size:
			to = size
		default:
			to++
		}
		if from < to {
			spans = append(spans, span{from, to})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	apart := spans[:0]
	for _, s := range spans {
		if n := len(apart); n > 0 && s.from <= apart[n-1].to {
			apart[n-1].to = max(apart[n-1].to, s.to)
			continue
		}
		apart = append(apart, s)
	}
	return apart
}

// parsePosition parses a number of digits only, which may be missing. One that
// is too large is larger than any file.
func parsePosition(s string) (n int64, there, ok bool) {
	s = strings.Trim(s, " \t")
	if s == "" {
		return 0, false, true
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	return n, true, true
}

// formatSpans is the reverse of parseSpans.
func formatSpans(spans []span) string {
	if len(spans) == 0 {
		return unsatisfiable
	}
	b := []byte("bytes=")
	for i, s := range spans {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, s.from, 10)
		b = append(b, '-')
		b = strconv.AppendInt(b, s.to-1, 10)
	}
	return string(b)
}
