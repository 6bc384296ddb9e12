package crowd

import (
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/proc"
	"github.com/mediakit-go/mediakit/bench/internal/wire"
)

// stallAfter is how much longer than usual a gap between two video frames must
// be to count as a stall.
const stallAfter = 200 * time.Millisecond

// A probe is what is known of a viewer whose bytes are looked at. The goroutine
// that reads its connection owns it.
type probe struct {
	usual    time.Duration // between two arrivals of video
	began    int64         // when it connected
	asked    int64         // when it asked for the stream
	firstKey int64         // when the first key frame was complete; 0 before
	lastAt   int64         // when the last video frame was complete
	lastSeq  uint32        // its number

	measuring bool
	latencies []time.Duration
	stalls    int
	missed    int // frames that never came
}

// message takes what the scanner finds.
func (p *probe) message(m wire.Message) {
	if m.Type != media.TagVideo {
		return
	}
	p.video(m, proc.Now())
}

func (p *probe) video(m wire.Message, now int64) {
	seq, sent, ok := media.ReadStamp(m.Head)
	if !ok {
		return
	}
	if p.firstKey == 0 && m.Key {
		p.firstKey = now
	}
	if p.measuring {
		p.latencies = append(p.latencies, time.Duration(now-sent))
		if p.lastAt != 0 {
			if d := int32(seq - p.lastSeq); d > 1 {
				p.missed += int(d) - 1
			}
			if time.Duration(now-p.lastAt) > p.usual+stallAfter {
				p.stalls++
			}
		}
	}
	p.lastAt, p.lastSeq = now, seq
}

// begin starts a measurement.
func (p *probe) begin() {
	p.measuring = true
	p.latencies = p.latencies[:0]
	p.stalls, p.missed = 0, 0
}

// end ends it. A probe that got nothing lately stalls, too.
func (p *probe) end(now int64) {
	if p.measuring && time.Duration(now-p.lastAt) > p.usual+stallAfter {
		p.stalls++
	}
	p.measuring = false
}
