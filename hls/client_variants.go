package hls

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// A Variant is one of the forms in which a server has a stream (RFC 8216,
// 4.3.4.2).
type Variant struct {
	Bandwidth        int // bits per second at most
	AverageBandwidth int // bits per second; 0 unknown
	Codecs           []string
	Width, Height    int // pixels; 0 unknown
	FrameRate        float64

	uri   string
	audio string // group of renditions
}

// A remoteMaster is a multivariant playlist of another server.
type remoteMaster struct {
	variants   []Variant
	renditions []*playlist.MultivariantRendition // of audio
}

// parseMaster parses a multivariant playlist.
func parseMaster(b []byte) (*remoteMaster, error) {
	var p playlist.Multivariant
	if err := p.Unmarshal(screenMaster(b)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	m := &remoteMaster{renditions: p.Renditions}
	for _, v := range p.Variants {
		w := Variant{Bandwidth: v.Bandwidth, Codecs: v.Codecs, uri: v.URI, audio: v.Audio}
		if v.AverageBandwidth != nil {
			w.AverageBandwidth = *v.AverageBandwidth
		}
		if v.FrameRate != nil {
			w.FrameRate = *v.FrameRate
		}
		if width, height, ok := strings.Cut(v.Resolution, "x"); ok {
			x, errX := strconv.ParseUint(width, 10, 16)
			y, errY := strconv.ParseUint(height, 10, 16)
			if errX == nil && errY == nil {
				w.Width, w.Height = int(x), int(y)
			}
		}
		m.variants = append(m.variants, w)
	}
	return m, nil
}

// screenMaster returns those lines of b that matter here, in the form in which
// the library takes them: one that it does not know is no reason to refuse the
// rest.
func screenMaster(b []byte) []byte {
	out := []byte("#EXTM3U\n")
	variant := ""
	for line := range lines(b) {
		switch {
		case strings.HasPrefix(line, "#EXT-X-STREAM-INF:"):
			variant = line
		case strings.HasPrefix(line, "#EXT-X-MEDIA:") && strings.Contains(line, "TYPE=AUDIO"):
			out = append(append(out, line...), '\n')
		case line != "" && line[0] != '#' && variant != "":
			out = append(append(append(append(out, variant...), '\n'), line...), '\n')
			variant = ""
		}
	}
	return out
}

// isMaster reports whether b is a multivariant playlist.
func isMaster(b []byte) bool {
	for line := range lines(b) {
		if strings.HasPrefix(line, "#EXT-X-STREAM-INF:") {
			return true
		}
	}
	return false
}

// order returns the variants as they are to be tried: the best one within the
// bandwidth first, those beyond it last, the smallest first.
func (m *remoteMaster) order(limit int) []Variant {
	vs := slices.Clone(m.variants)
	slices.SortStableFunc(vs, func(a, b Variant) int {
		aOver, bOver := limit > 0 && a.Bandwidth > limit, limit > 0 && b.Bandwidth > limit
		switch {
		case aOver && bOver:
			return a.Bandwidth - b.Bandwidth
		case aOver:
			return 1
		case bOver:
			return -1
		}
		return b.Bandwidth - a.Bandwidth
	})
	return vs
}

// audioOf returns the URI of v's audio if that is apart: of the rendition with
// that name or language, else of the default one, else of the first. "" means
// that it is in the variant itself, or that there is none.
func (m *remoteMaster) audioOf(v Variant, want string) string {
	var best *playlist.MultivariantRendition
	score := -1
	for _, r := range m.renditions {
		if r.Type != playlist.MultivariantRenditionTypeAudio || r.GroupID != v.audio {
			continue
		}
		n := 0
		switch {
		case want != "" && (strings.EqualFold(r.Name, want) || strings.EqualFold(r.Language, want)):
			n = 3
		case r.Default:
			n = 2
		case r.Autoselect:
			n = 1
		}
		if n > score {
			best, score = r, n
		}
	}
	if best == nil || best.URI == nil || *best.URI == v.uri {
		return ""
	}
	return *best.URI
}
