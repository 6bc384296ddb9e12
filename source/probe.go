package source

import (
	"context"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// maxProbed is how many frames a probe tells of at most.
const maxProbed = 100_000

// A FrameInfo is what [Stream.Probe] tells of a frame.
type FrameInfo struct {
	Track    *codec.Track // as it was with the frame: new parameters are a new Track
	DTS, PTS time.Duration
	Size     int // bytes of media
	Flags    codec.Flags
	Arrived  time.Time // when the stream got it
}

// Probe tells of every frame that the stream gets within d, up to 100,000. It
// ends earlier with the stream, without an error, or with ctx. It is no viewer.
func (s *Stream) Probe(ctx context.Context, d time.Duration) ([]FrameInfo, error) {
	over := time.NewTimer(d)
	defer over.Stop()
	r := &s.ring
	var seen []FrameInfo
	for pos := r.head.Load(); ; {
		r.mu.RLock()
		pos = max(pos, r.tail)
		for head := r.head.Load(); pos < head && len(seen) < maxProbed; pos++ {
			slot := r.at(pos)
			f := slot.item
			seen = append(seen, FrameInfo{f.Track, f.DTS, f.PTS, len(f.Data), f.Flags, slot.at})
		}
		ended := r.err != nil
		r.mu.RUnlock()
		if ended || len(seen) == maxProbed {
			return seen, nil
		}
		more := r.wait(pos)
		if more == nil {
			continue
		}
		select {
		case <-more:
		case <-over.C:
			return seen, nil
		case <-ctx.Done():
			return seen, context.Cause(ctx)
		}
	}
}
