package hls

import (
	"fmt"
	"time"
)

// leastPiece is the least length of a segment: others than of a file with nearly
// nothing are longer.
const leastPiece = time.Millisecond

// maxPieces bounds into how many segments a medium is cut where it has no key
// frames.
const maxPieces = 10_000

// A vodPlan says where a medium is cut. It is immutable.
type vodPlan struct {
	id   string   // of the medium, for caches
	cuts []vodCut // where segments begin; the last one is the end
}

// A vodCut is where a segment begins.
type vodCut struct {
	at   time.Duration
	key  bool // with a key frame
	seam bool // the tracks are others than before
}

func (p *vodPlan) segments() int { return len(p.cuts) - 1 }

// planOf returns where a medium is cut: before the first key frame after each
// length, and where its tracks change. Where no key frame comes for long it is cut
// without. keys are not empty; duration may be 0 for one that is not known.
func planOf(keys, seams []time.Duration, duration, length time.Duration) *vodPlan {
	last := keys[len(keys)-1]
	end := duration
	if end <= last {
		end = last + length
	}
	longest := max(capFactor*length, (end-keys[0])/maxPieces)
	p := &vodPlan{cuts: []vodCut{{at: keys[0], key: true}}}
	for len(seams) > 0 && seams[0] <= keys[0] {
		seams = seams[1:]
	}
	for _, key := range keys[1:] {
		seam := len(seams) > 0 && key >= seams[0]
		for len(seams) > 0 && key >= seams[0] {
			seams = seams[1:]
		}
		begun := p.cuts[len(p.cuts)-1].at
		if key < begun+leastPiece || !seam && key-begun < length-length/64 {
			continue
		}
		p.split(key, longest)
		p.cuts = append(p.cuts, vodCut{key, true, seam})
	}
	p.split(end, longest)
	p.cuts = append(p.cuts, vodCut{at: max(end, p.cuts[len(p.cuts)-1].at+leastPiece)})
	return p
}

// split cuts what would be too long until the time to.
func (p *vodPlan) split(to, longest time.Duration) {
	for to-p.cuts[len(p.cuts)-1].at > longest {
		p.cuts = append(p.cuts, vodCut{at: p.cuts[len(p.cuts)-1].at + longest})
	}
}

// initOf returns the number of the first segment that has the same initialization
// segment as n.
func (p *vodPlan) initOf(n int) int {
	for n > 0 && !p.cuts[n].seam {
		n--
	}
	return n
}

// playlist renders the playlist, which asks players to begin at start if that is
// not 0.
func (p *vodPlan) playlist(c Container, start float64) []byte {
	version := 4
	if c == FMP4 {
		version = 7
	}
	at := func(n int) time.Duration { return p.cuts[n].at.Round(time.Microsecond) }
	var longest time.Duration
	independent := true
	for n := range p.segments() {
		longest = max(longest, at(n+1)-at(n))
		independent = independent && p.cuts[n].key
	}
	b := make([]byte, 0, 256+64*p.segments())
	b = appendTag(b, "#EXTM3U\n#EXT-X-VERSION:", uint64(version))
	b = appendTag(b, "#EXT-X-TARGETDURATION:", max(1, uint64(longest.Round(time.Second)/time.Second)))
	b = append(b, "#EXT-X-MEDIA-SEQUENCE:0\n"+vodTag...)
	if independent {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	if start > 0 {
		b = fmt.Appendf(b, "#EXT-X-START:TIME-OFFSET=%.3f\n", start)
	}
	for n := range p.segments() {
		if p.cuts[n].seam {
			b = append(b, "#EXT-X-DISCONTINUITY\n"...)
		}
		if c == FMP4 && (n == 0 || p.cuts[n].seam) {
			b = appendTag(b, `#EXT-X-MAP:URI="`+vodInit, uint64(n))
			b = append(b[:len(b)-1], c.extension()+"\"\n"...)
		}
		b = appendSeconds(append(b, "#EXTINF:"...), at(n+1)-at(n))
		b = appendTag(b, ",\n"+vodSegment, uint64(n))
		b = append(b[:len(b)-1], c.extension()+"\n"...)
	}
	return append(b, endTag...)
}
