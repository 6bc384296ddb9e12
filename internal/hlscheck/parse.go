package hlscheck

import (
	"strings"
	"time"
)

// once are the tags that may stand in a playlist once only; those of value true
// come before the first segment (RFC 8216, 4.3.3; bis, 4.4.3).
var once = map[string]bool{
	"EXTM3U": true, "EXT-X-VERSION": true, "EXT-X-TARGETDURATION": true, "EXT-X-MEDIA-SEQUENCE": true,
	"EXT-X-DISCONTINUITY-SEQUENCE": true, "EXT-X-PLAYLIST-TYPE": true, "EXT-X-SERVER-CONTROL": true,
	"EXT-X-PART-INF": true, "EXT-X-INDEPENDENT-SEGMENTS": true, "EXT-X-SKIP": true, "EXT-X-ENDLIST": false,
}

// maxSkipped is more than any playlist has.
const maxSkipped = 1_000_000

// A parser reads a playlist line by line.
type parser struct {
	p       *Playlist
	s       Segment // that is coming
	begun   bool    // there was a segment, or a tag of one
	inf     bool    // an EXTINF waits for its URI
	mapping string  // URI of the newest EXT-X-MAP
}

// Parse reads a media playlist. Tags that nobody knows are errors.
func Parse(text []byte) (*Playlist, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	ps := parser{p: &Playlist{Version: 1, tags: map[string]int{}}}
	body, ok := strings.CutSuffix(string(text), "\n")
	if !ok {
		return nil, wrong("4.1", "last line has no end")
	}
	for i, line := range strings.Split(body, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if i == 0 && line != "#EXTM3U" {
			return nil, wrong("4.3.1.1", "begins with %q", line)
		}
		if err := ps.line(line); err != nil {
			return nil, err
		}
	}
	switch {
	case ps.inf:
		return nil, wrong("4.3.2.1", "EXTINF without URI")
	case ps.p.tags["EXT-X-TARGETDURATION"] == 0:
		return nil, wrong("4.3.3.1", "no target duration")
	case len(ps.s.Parts) == 0 && (ps.s.Discont || !ps.s.Date.IsZero() || ps.s.Gap):
		return nil, wrong("4.3.2", "tags of a segment that is not there")
	}
	ps.s.Map = ps.mapping
	ps.p.Next = ps.s
	return ps.p, nil
}

func (ps *parser) line(line string) error {
	switch {
	case line == "" || strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "#EXT"):
		return nil
	case !strings.HasPrefix(line, "#"):
		return ps.uri(line)
	}
	name, value, _ := strings.Cut(line[1:], ":")
	ps.p.tags[name]++
	before, single := once[name]
	switch {
	case single && ps.p.tags[name] > 1:
		return wrong("4.3.3", "%s twice", name)
	case before && ps.begun:
		return wrong("4.3.3", "%s after the first segment", name)
	case ps.p.Ended:
		return wrong("4.3.3.4", "%s after the end", name)
	}
	if single {
		return ps.playlistTag(name, value)
	}
	ps.begun = true
	return ps.segmentTag(name, value)
}

// playlistTag reads a tag that stands there once.
func (ps *parser) playlistTag(name, value string) (err error) {
	p := ps.p
	var n uint64
	switch name {
	case "EXTM3U", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-ENDLIST":
		p.Independent = p.Independent || name == "EXT-X-INDEPENDENT-SEGMENTS"
		p.Ended = p.Ended || name == "EXT-X-ENDLIST"
		if value != "" {
			err = wrong("4.3", "%s:%s", name, value)
		}
	case "EXT-X-VERSION":
		n, err = integer(value)
		p.Version = int(n)
	case "EXT-X-TARGETDURATION":
		n, err = integer(value)
		p.Target = time.Duration(n) * time.Second
	case "EXT-X-MEDIA-SEQUENCE":
		p.Sequence, err = integer(value)
	case "EXT-X-DISCONTINUITY-SEQUENCE":
		p.Discontinuity, err = integer(value)
	case "EXT-X-PLAYLIST-TYPE":
		if p.Type = value; value != "EVENT" && value != "VOD" {
			err = wrong("4.3.3.5", "type %q", value)
		}
	default:
		err = ps.listTag(name, value)
	}
	return err
}

// listTag reads a tag that stands there once and has attributes.
func (ps *parser) listTag(name, value string) error {
	items, err := attributes(value)
	if err != nil {
		return err
	}
	l := list{tag: name, items: items}
	switch name {
	case "EXT-X-SERVER-CONTROL":
		ps.p.Control = Control{
			Block: l.yes("CAN-BLOCK-RELOAD"), HoldBack: l.seconds("HOLD-BACK", false),
			PartHoldBack: l.seconds("PART-HOLD-BACK", false), Skips: l.seconds("CAN-SKIP-UNTIL", false),
		}
	case "EXT-X-PART-INF":
		ps.p.PartTarget = l.seconds("PART-TARGET", true)
	case "EXT-X-SKIP":
		ps.p.Skipped = int(l.number("SKIPPED-SEGMENTS", true))
		ps.begun = true
		if ps.p.Skipped <= 0 || ps.p.Skipped > maxSkipped {
			return wrong("bis 4.4.5.2", "skips %s", value)
		}
	}
	return l.end()
}

// segmentTag reads a tag of a segment.
func (ps *parser) segmentTag(name, value string) (err error) {
	s := &ps.s
	if ps.inf && name != "EXT-X-BYTERANGE" && name != "EXT-X-GAP" {
		return wrong("4.3.2.1", "%s between EXTINF and its URI", name)
	}
	if ps.p.Hint != nil && name != "EXT-X-PRELOAD-HINT" {
		return wrong("bis 4.4.5.3", "%s after the hint", name)
	}
	switch name {
	case "EXTINF":
		ps.inf = true
		seconds, title, comma := strings.Cut(value, ",")
		if !comma {
			return wrong("4.3.2.1", "EXTINF without a comma")
		}
		s.Title = title
		s.Duration, err = decimal(seconds)
		if err == nil && strings.Contains(seconds, ".") && ps.p.Version < 3 {
			err = wrong("7", "EXTINF is no integer in version %d", ps.p.Version)
		}
	case "EXT-X-DISCONTINUITY":
		if s.Discont || len(s.Parts) > 0 {
			err = wrong("4.3.2.3", "discontinuity twice, or after parts")
		}
		s.Discont = true
	case "EXT-X-GAP":
		s.Gap = true
	case "EXT-X-BYTERANGE":
		s.Range = value
	case "EXT-X-PROGRAM-DATE-TIME":
		if s.Date, err = time.Parse("2006-01-02T15:04:05.999999999Z07:00", value); err != nil {
			err = wrong("4.3.2.6", "date %q", value)
		}
	case "EXT-X-MAP", "EXT-X-PART", "EXT-X-PRELOAD-HINT":
		err = ps.segmentList(name, value)
	default:
		err = wrong("4.1", "tag %s", name)
	}
	return err
}

// segmentList reads a tag of a segment that has attributes.
func (ps *parser) segmentList(name, value string) error {
	items, err := attributes(value)
	if err != nil {
		return err
	}
	l := list{tag: name, items: items}
	uri, _ := l.take("URI", true, true)
	switch name {
	case "EXT-X-MAP":
		ps.mapping = uri
	case "EXT-X-PART":
		part := Part{URI: uri, Duration: l.seconds("DURATION", true), Independent: l.yes("INDEPENDENT"), Gap: l.yes("GAP")}
		if r, ok := l.take("BYTERANGE", true, false); ok {
			size, from, explicit := strings.Cut(r, "@")
			n, err := integer(size)
			m, err2 := integer(from)
			if err != nil || err2 != nil || !explicit || n == 0 {
				return wrong("bis 4.4.4.9", "byte range %q", r)
			}
			part.Size, part.From = int64(n), int64(m)
		}
		ps.s.Parts = append(ps.s.Parts, part)
	case "EXT-X-PRELOAD-HINT":
		if kind, _ := l.take("TYPE", false, true); kind != "PART" || ps.p.Hint != nil {
			return wrong("bis 4.4.5.3", "hint of type %q, or a second one", kind)
		}
		ps.p.Hint = &Hint{URI: uri, From: int64(l.number("BYTERANGE-START", false))}
	}
	return l.end()
}

// uri reads the line that completes a segment.
func (ps *parser) uri(line string) error {
	switch {
	case !ps.inf:
		return wrong("4.3.2.1", "%q without EXTINF", line)
	case ps.p.Hint != nil || ps.p.Ended:
		return wrong("4.3.3.4", "%q after the end", line)
	case strings.ContainsAny(line, " \t"):
		return wrong("4.1", "URI %q", line)
	}
	ps.s.URI, ps.s.Map = line, ps.mapping
	ps.p.Segments = append(ps.p.Segments, ps.s)
	ps.s, ps.inf, ps.begun = Segment{}, false, true
	return nil
}
