package hls

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist/primitives"

	"github.com/mediakit-go/mediakit/source"
)

// What a playlist may be.
const (
	maxPlaylist = 1 << 20           // bytes
	maxListed   = 10_000            // segments
	maxSeconds  = 24 * 60 * 60      // of a segment
	maxRange    = math.MaxInt64 / 2 // bytes
)

// A remoteMedia is a media playlist of another server (RFC 8216, 4.3.3).
type remoteMedia struct {
	base     *url.URL // what its URIs are relative to
	target   time.Duration
	holdBack time.Duration  // how far from the end to begin; 0: it does not tell
	start    *time.Duration // EXT-X-START; negative: from the end
	segments []remoteSegment
	ended    bool // nothing will be added
}

// A remoteSegment is a segment of another server, with all that is in force
// where it is listed.
type remoteSegment struct {
	section         // its sequence is the segment's
	epoch    uint64 // discontinuity sequence number
	duration time.Duration
	date     time.Time // of its first sample, zero if unknown
	init     *section  // media initialization section; nil: none
	gap      bool      // it is not there
}

// A section is a resource, or a range of one, that may be encrypted.
type section struct {
	uri          string
	from, length int64 // length is -1 for all of it
	key          *remoteKey
	sequence     uint64 // media sequence number, which is the IV of a key without one
}

// A remoteKey is an EXT-X-KEY in force (RFC 8216, 4.3.2.4).
type remoteKey struct {
	uri string
	iv  []byte // nil: the media sequence number
	err error  // why nothing can be decrypted with it
}

// end returns the sequence number of the segment that will be listed next.
func (p *remoteMedia) end() uint64 {
	if len(p.segments) == 0 {
		return 0
	}
	return p.segments[len(p.segments)-1].sequence + 1
}

// at returns the segment with that sequence number, or nil.
func (p *remoteMedia) at(sequence uint64) *remoteSegment {
	if len(p.segments) == 0 || sequence < p.segments[0].sequence || sequence >= p.end() {
		return nil
	}
	return &p.segments[sequence-p.segments[0].sequence]
}

// after returns how long the segments from sequence on last.
func (p *remoteMedia) after(sequence uint64) (d time.Duration) {
	for i := len(p.segments) - 1; i >= 0 && p.segments[i].sequence >= sequence; i-- {
		d += p.segments[i].duration
	}
	return d
}

// join returns the sequence number of the segment to begin with (RFC 8216bis,
// 6.3.3): of a live stream the last one that is as far from the end as HOLD-BACK
// says, three target durations without it. EXT-X-START changes that.
func (p *remoteMedia) join() uint64 {
	if len(p.segments) == 0 {
		return 0
	}
	back := 3 * p.target
	switch {
	case p.start != nil && *p.start >= 0:
		back = p.after(0) - *p.start
	case p.start != nil:
		back = -*p.start
	case p.ended:
		return p.segments[0].sequence
	case p.holdBack > 0:
		back = p.holdBack
	}
	var d time.Duration
	for i := len(p.segments) - 1; i >= 0; i-- {
		if d += p.segments[i].duration; d >= back {
			return p.segments[i].sequence
		}
	}
	return p.segments[0].sequence
}

// A mediaParser reads a media playlist line by line.
type mediaParser struct {
	remoteMedia
	next     remoteSegment // what was said of the segment whose URI comes next
	extinf   bool          // it has its duration
	ranged   bool          // it is a range
	follows  int64         // where a range without offset begins
	before   string        // the resource it is one of
	sequence uint64
	epoch    uint64
	longest  time.Duration
	keys     bool // the line before was a key, too: one of them will do
	key      *remoteKey
	init     *section
	date     time.Time
}

// parseMedia parses a media playlist that was found at base. Its errors wrap
// ErrInvalid or source.ErrUnsupported.
func parseMedia(base *url.URL, b []byte) (*remoteMedia, error) {
	p := &mediaParser{remoteMedia: remoteMedia{base: base}}
	n := 0
	for line := range lines(b) {
		n++
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if p.target == 0 {
		p.target = p.longest.Round(time.Second) // some leave it out
	}
	if p.target <= 0 {
		return nil, fmt.Errorf("%w: a media playlist without target duration", ErrInvalid)
	}
	return &p.remoteMedia, nil
}

// checkPlaylist tells what b is unless it begins as a playlist does.
func checkPlaylist(b []byte) ([]byte, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if rest, ok := bytes.CutPrefix(b, []byte("#EXTM3U")); ok && (len(rest) == 0 || bytes.IndexByte([]byte("\r\n \t"), rest[0]) >= 0) {
		return rest, nil
	}
	return nil, fmt.Errorf("%w: not a playlist: it begins with %q", ErrInvalid, b[:min(len(b), 16)])
}

// lines yields the lines of b without what ends them.
func lines(b []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for s := string(b); s != ""; {
			var line string
			if line, s = primitives.ReadLine(s); !yield(strings.TrimRight(line, "\r \t")) {
				return
			}
		}
	}
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func (p *mediaParser) line(line string) (err error) {
	if line == "" {
		return nil
	}
	if line[0] != '#' {
		return p.segment(line)
	}
	tag, value, _ := strings.Cut(line, ":")
	if tag == "#EXT-X-KEY" {
		return p.keyTag(value)
	}
	if strings.HasPrefix(tag, "#EXT") {
		p.keys = false
	}
	switch tag {
	case "#EXTINF":
		text, _, _ := strings.Cut(value, ",")
		p.next.duration, err = seconds(text)
		p.extinf = err == nil
		p.longest = max(p.longest, p.next.duration)
	case "#EXT-X-BYTERANGE":
		p.next.from, p.next.length, err = byteRange(value)
		p.ranged = true
	case "#EXT-X-DISCONTINUITY":
		p.epoch++
		p.date = time.Time{}
	case "#EXT-X-GAP":
		p.next.gap = true
	case "#EXT-X-PROGRAM-DATE-TIME":
		p.date = date(value)
	case "#EXT-X-MAP":
		err = p.mapTag(value)
	case "#EXT-X-TARGETDURATION":
		p.target, err = seconds(value)
	case "#EXT-X-MEDIA-SEQUENCE":
		p.sequence, err = p.first(p.sequence, value)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		p.epoch, err = p.first(p.epoch, value)
	case "#EXT-X-SERVER-CONTROL":
		p.holdBack, _ = offset(value, "HOLD-BACK") // it is advice
	case "#EXT-X-START":
		if d, ok := offset(value, "TIME-OFFSET"); ok {
			p.start = &d
		}
	case "#EXT-X-ENDLIST":
		p.ended = true
	case "#EXT-X-SKIP":
		err = invalid("a delta update that nobody asked for")
	case "#EXT-X-DEFINE":
		err = fmt.Errorf("%w: EXT-X-DEFINE", source.ErrUnsupported)
	case "#EXT-X-STREAM-INF":
		err = invalid("a multivariant playlist where a media playlist should be")
	}
	return err
}

// segment ends what was said of a segment with its URI.
func (p *mediaParser) segment(uri string) error {
	if !p.extinf {
		return invalid("a segment without EXTINF")
	}
	if len(p.segments) == maxListed {
		return fmt.Errorf("%w: more than %d segments", source.ErrLimit, maxListed)
	}
	s := p.next
	s.uri, s.key, s.init, s.epoch, s.date = uri, p.key, p.init, p.epoch, p.date
	s.sequence = p.sequence + uint64(len(p.segments))
	if !p.ranged {
		s.length = -1
	} else if s.from < 0 {
		if p.before != uri {
			return invalid("a byte range without offset, and not behind another one")
		}
		s.from = p.follows
	}
	if !p.date.IsZero() {
		p.date = p.date.Add(s.duration)
	}
	p.before, p.follows = "", 0
	if p.ranged {
		p.before, p.follows = uri, s.from+s.length
	}
	p.segments = append(p.segments, s)
	p.next, p.extinf, p.ranged, p.keys = remoteSegment{}, false, false, false
	return nil
}

// first returns the number in a tag that must come before all segments, where it
// does not the number so far.
func (p *mediaParser) first(sofar uint64, value string) (uint64, error) {
	if len(p.segments) > 0 {
		return sofar, nil
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return 0, invalid("%q is no number", value)
	}
	return n, nil
}

// mapTag reads EXT-X-MAP (RFC 8216, 4.3.2.5).
func (p *mediaParser) mapTag(value string) error {
	var a primitives.Attributes
	if err := a.Unmarshal(value); err != nil || a["URI"] == "" {
		return invalid("EXT-X-MAP without URI")
	}
	s := &section{uri: a["URI"], length: -1, key: p.key}
	if s.key != nil && s.key.iv == nil && s.key.err == nil {
		s.sequence = p.sequence + uint64(len(p.segments)) // an IV must be there; some servers mean this
	}
	if text := a["BYTERANGE"]; text != "" {
		var err error
		if s.from, s.length, err = byteRange(text); err != nil {
			return err
		}
		s.from = max(s.from, 0)
	}
	p.init = s
	return nil
}

// keyTag reads EXT-X-KEY. Of several in a row, for one player each, the one
// counts that we can use.
func (p *mediaParser) keyTag(value string) error {
	var a primitives.Attributes
	if err := a.Unmarshal(value); err != nil {
		return invalid("EXT-X-KEY: %v", err)
	}
	if p.keys && p.key != nil && p.key.err == nil {
		return nil
	}
	p.keys = true
	method, format := a["METHOD"], a["KEYFORMAT"]
	if method == "NONE" {
		p.key = nil
		return nil
	}
	k := &remoteKey{uri: a["URI"]}
	p.key = k
	switch {
	case method != "AES-128":
		k.err = fmt.Errorf("%w: encryption by %.32q", source.ErrUnsupported, method)
	case format != "" && format != "identity":
		k.err = fmt.Errorf("%w: a key in the format %.64q", source.ErrUnsupported, format)
	case k.uri == "":
		return invalid("EXT-X-KEY without URI")
	}
	if iv := a["IV"]; iv != "" && k.err == nil {
		text := strings.TrimPrefix(strings.TrimPrefix(iv, "0x"), "0X")
		if len(text) > 32 {
			return invalid("an IV of %d digits", len(text))
		}
		var err error
		if k.iv, err = hex.DecodeString(strings.Repeat("0", 32-len(text)) + text); err != nil {
			return invalid("an IV that is no number")
		}
	}
	return nil
}

// seconds parses a duration.
func seconds(text string) (time.Duration, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(f >= 0 && f <= maxSeconds) {
		return 0, invalid("%.32q is no duration", text)
	}
	return time.Duration(f * float64(time.Second)), nil
}

// offset returns the attribute of that name, which is seconds and may be
// negative.
func offset(value, name string) (d time.Duration, ok bool) {
	var a primitives.Attributes
	if a.Unmarshal(value) != nil {
		return 0, false
	}
	text, minus := strings.CutPrefix(a[name], "-")
	d, err := seconds(text)
	if minus {
		d = -d
	}
	return d, err == nil
}

// byteRange parses a range; from is -1 if it is not told.
func byteRange(text string) (from, length int64, err error) {
	var r primitives.ByteRange
	if err := r.Unmarshal(text); err != nil || r.Length == 0 || r.Length > maxRange || r.Start != nil && *r.Start > maxRange {
		return 0, 0, invalid("%.64q is no byte range", text)
	}
	if r.Start == nil {
		return -1, int64(r.Length), nil
	}
	return int64(*r.Start), int64(r.Length), nil
}

// date parses EXT-X-PROGRAM-DATE-TIME; what is none is the zero Time.
func date(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}
