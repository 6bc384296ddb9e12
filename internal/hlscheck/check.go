package hlscheck

import (
	"errors"
	"path"
	"strings"
	"time"
)

// Check returns what is wrong with the playlist by itself.
func (p *Playlist) Check() error {
	errs := []error{p.checkVersion(), p.checkControl(), p.checkParts(), p.checkHint()}
	for i := range p.Segments {
		s := &p.Segments[i]
		if s.Duration.Round(time.Second) > p.Target {
			errs = append(errs, wrong("4.3.3.1", "%s lasts %v, target duration is %v", s.URI, s.Duration, p.Target))
		}
		if uri, _, _ := strings.Cut(s.URI, "?"); path.Ext(uri) == ".mp4" && s.Map == "" && p.Skipped == 0 {
			errs = append(errs, wrong("3.3", "%s has no EXT-X-MAP", s.URI))
		}
	}
	if p.Type == "EVENT" && p.Sequence != 0 {
		errs = append(errs, wrong("4.3.3.5", "event begins with %d", p.Sequence))
	}
	return errors.Join(errs...)
}

// checkVersion checks that the version allows what is used (RFC 8216, 7; bis, 8).
func (p *Playlist) checkVersion() error {
	need := 1
	for tag, version := range map[string]int{
		"EXT-X-BYTERANGE": 4, "EXT-X-MAP": 6, "EXT-X-SKIP": 9,
	} {
		if p.tags[tag] > 0 {
			need = max(need, version)
		}
	}
	if p.Version < need {
		return wrong("7", "version %d, needs %d", p.Version, need)
	}
	return nil
}

// checkControl checks the promises of the server (bis, 4.4.3.8).
func (p *Playlist) checkControl() error {
	c := p.Control
	switch {
	case c.HoldBack != 0 && c.HoldBack < 3*p.Target:
		return wrong("bis 4.4.3.8", "HOLD-BACK %v, target %v", c.HoldBack, p.Target)
	case c.Skips != 0 && c.Skips < 6*p.Target:
		return wrong("bis 4.4.3.8", "CAN-SKIP-UNTIL %v, target %v", c.Skips, p.Target)
	case p.PartTarget > 0 && c.PartHoldBack < 3*p.PartTarget:
		return wrong("bis 4.4.3.8", "PART-HOLD-BACK %v, part target %v", c.PartHoldBack, p.PartTarget)
	case p.PartTarget == 0 && (c.PartHoldBack != 0 || p.tags["EXT-X-PART"] > 0):
		return wrong("bis 4.4.3.7", "parts without EXT-X-PART-INF")
	case p.Skipped > 0 && c.Skips == 0:
		return wrong("bis 4.4.5.2", "EXT-X-SKIP without CAN-SKIP-UNTIL")
	case p.Skipped > 0 && p.Total() < c.Skips:
		return wrong("bis 6.2.5.1", "only %v are left, skip boundary is %v", p.Total(), c.Skips)
	}
	return nil
}

// checkParts checks the parts of all segments (bis, 4.4.4.9).
func (p *Playlist) checkParts() error {
	var after time.Duration // of what follows
	for i := len(p.Segments); i >= 0; i-- {
		s := &p.Next
		if i < len(p.Segments) {
			s = &p.Segments[i]
		}
		if err := p.checkPartsOf(s); err != nil {
			return err
		}
		if s.Complete() && len(s.Parts) > 0 && after > 4*p.Target {
			return wrong("bis 4.4.4.9", "%s lists parts, %v before the end", s.URI, after)
		}
		after += s.Duration
	}
	return nil
}

func (p *Playlist) checkPartsOf(s *Segment) error {
	var sum time.Duration
	var at int64
	for i, part := range s.Parts {
		last := s.Complete() && i == len(s.Parts)-1
		short := part.Duration*100 < p.PartTarget*85
		switch {
		case part.Duration > p.PartTarget:
			return wrong("bis 4.4.4.9", "part of %v, target is %v", part.Duration, p.PartTarget)
		case short && !last && !part.Independent && !part.Gap && (i+1 == len(s.Parts) || !s.Parts[i+1].Gap):
			return wrong("bis 4.4.4.9", "part of %v is below 85 %% of %v", part.Duration, p.PartTarget)
		case part.Size > 0 && part.From != at:
			return wrong("bis 4.4.4.9", "part begins at %d, the one before ends at %d", part.From, at)
		case part.Size > 0 && part.URI != s.Parts[0].URI, s.Complete() && part.Size > 0 && part.URI != s.URI:
			return wrong("bis 4.4.4.9", "part of %s in %s", part.URI, s.URI)
		}
		at += part.Size
		sum += part.Duration
	}
	if s.Complete() && len(s.Parts) > 0 && sum != s.Duration {
		return wrong("bis 4.4.4.9", "parts last %v, %s %v", sum, s.URI, s.Duration)
	}
	return nil
}

// checkHint checks that the hint is about the part that comes next (bis, 4.4.5.3).
func (p *Playlist) checkHint() error {
	h := p.Hint
	switch {
	case p.Ended && (h != nil || len(p.Next.Parts) > 0):
		return wrong("bis 4.4.5.3", "parts or a hint after the end")
	case h == nil || len(p.Next.Parts) == 0:
		return nil
	}
	last := p.Next.Parts[len(p.Next.Parts)-1]
	if last.Size > 0 && (h.URI != last.URI || h.From != last.From+last.Size) {
		return wrong("bis 4.4.5.3", "hint %s@%d, last part ends at %s@%d", h.URI, h.From, last.URI, last.From+last.Size)
	}
	return nil
}
