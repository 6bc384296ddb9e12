package hlscheck

import (
	"slices"
)

// Follows returns what is wrong with a playlist that replaces another (RFC 8216,
// 6.2.1). The target duration must not change; with grows it may become longer
// for a segment that the other does not have. Delta updates are for [Expand] first.
func Follows(old, p *Playlist, grows bool) error {
	switch {
	case old.Ended && !p.Ended:
		return wrong("6.2.1", "goes on after its end")
	case p.Version != old.Version || p.Type != old.Type || p.PartTarget != old.PartTarget:
		return wrong("6.2.1", "version, type or part target changed")
	case p.Target < old.Target, p.Target > old.Target && !(grows && p.needsTarget(old)):
		return wrong("4.3.3.1", "target duration changed from %v to %v", old.Target, p.Target)
	case p.Target == old.Target && p.Control != old.Control:
		return wrong("bis 4.4.3.8", "server control changed")
	case p.Independent && !old.Independent:
		return wrong("6.2.1", "segments became independent")
	case p.Sequence < old.Sequence:
		return wrong("4.3.3.2", "media sequence fell from %d to %d", old.Sequence, p.Sequence)
	case p.end() < old.end():
		return wrong("6.2.1", "ends at %d, ended at %d", p.end(), old.end())
	case p.Type == "EVENT" && p.Sequence != old.Sequence:
		return wrong("4.3.3.5", "an event lost segments")
	}
	if err := followsRemoval(old, p); err != nil {
		return err
	}
	for n := p.Sequence; n <= old.end(); n++ {
		if a, b := old.at(n), p.at(n); a != nil && b != nil {
			if err := followsSegment(a, b); err != nil {
				return err
			}
		}
	}
	return followsHint(old, p)
}

// needsTarget reports whether there is a segment for which the target duration
// of old was too short.
func (p *Playlist) needsTarget(old *Playlist) bool {
	for n := old.end(); n < p.end(); n++ {
		if s := p.at(n); s != nil && s.Duration > old.Target {
			return true
		}
	}
	return false
}

// followsRemoval checks the segments that p does not have any more.
func followsRemoval(old, p *Playlist) error {
	discontinuity := old.Discontinuity
	for n := old.Sequence; n < min(p.Sequence, old.end()); n++ {
		if s := old.at(n); s != nil && s.Discont {
			discontinuity++
		}
	}
	switch {
	case p.Sequence <= old.end() && p.Discontinuity != discontinuity && p.Skipped == 0:
		return wrong("4.3.3.3", "discontinuity sequence %d, has to be %d", p.Discontinuity, discontinuity)
	case p.Discontinuity < old.Discontinuity:
		return wrong("4.3.3.3", "discontinuity sequence fell from %d to %d", old.Discontinuity, p.Discontinuity)
	case p.Sequence > old.Sequence && p.Skipped == 0 && p.Total() < 3*old.Target && p.Target == old.Target:
		return wrong("6.2.2", "removed segments, and has %v left of target durations of %v", p.Total(), p.Target)
	}
	return nil
}

// followsSegment checks that a segment stays as it is, or grows if it is not
// complete. Parts may be left out as a whole.
func followsSegment(a, b *Segment) error {
	if !a.Complete() && len(a.Parts) == 0 {
		return nil
	}
	if a.Complete() && (a.URI != b.URI || a.Duration != b.Duration || a.Title != b.Title || a.Range != b.Range || a.Gap != b.Gap) ||
		a.Discont != b.Discont || a.Map != b.Map || !a.Date.Equal(b.Date) {
		return wrong("6.2.1", "segment %s changed: %+v became %+v", a.URI, a, b)
	}
	if len(b.Parts) == 0 && b.Complete() {
		return nil
	}
	if len(b.Parts) < len(a.Parts) || !slices.Equal(a.Parts, b.Parts[:len(a.Parts)]) || a.Complete() && len(a.Parts) != len(b.Parts) {
		return wrong("6.2.1", "parts of %s changed", b.URI)
	}
	return nil
}

// followsHint checks that the part which comes after the old hint is the one
// that was hinted at.
func followsHint(old, p *Playlist) error {
	s := p.at(old.end())
	if old.Hint == nil || s == nil || len(s.Parts) <= len(old.Next.Parts) {
		return nil
	}
	part := s.Parts[len(old.Next.Parts)]
	if part.URI != old.Hint.URI || part.Size > 0 && part.From != old.Hint.From {
		return wrong("bis 4.4.5.3", "hint was %s@%d, part is %s@%d", old.Hint.URI, old.Hint.From, part.URI, part.From)
	}
	return nil
}

// Expand returns the playlist that a delta update of old stands for.
func Expand(old, delta *Playlist) (*Playlist, error) {
	p := *delta
	p.Skipped, p.Segments = 0, nil
	for n := delta.Sequence; n < delta.Sequence+uint64(delta.Skipped); n++ {
		s := old.at(n)
		if s == nil || !s.Complete() {
			return nil, wrong("bis 6.3.7", "skips %d, which was not there", n)
		}
		kept := *s
		kept.Parts = nil
		p.Segments = append(p.Segments, kept)
	}
	mapping := ""
	if n := len(p.Segments); n > 0 {
		mapping = p.Segments[n-1].Map
	}
	for _, s := range delta.Segments {
		if s.Map == "" {
			s.Map = mapping
		}
		mapping = s.Map
		p.Segments = append(p.Segments, s)
	}
	if p.Next.Map == "" {
		p.Next.Map = mapping
	}
	return &p, nil
}
