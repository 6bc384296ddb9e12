package ps

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// Bounds of a backlog.
const (
	maxBacklogBytes = 8 << 20
	maxBacklogTime  = 10 * time.Second
	frameOverhead   = 256 // bytes that a frame takes beside its data, about
)

// A backlog is the frames that wait for the Publication. When there are too many,
// those before the newest key frame of video go; if that is not enough, all of them
// and the video up to the next key frame.
type backlog struct {
	frames  []*codec.Frame
	size    int  // bytes
	video   bool // there is some, or there has been
	awaits  bool // a key frame of video
	dropped uint64
}

func isVideo(f *codec.Frame) bool { return f.Track.Kind() == codec.KindVideo }

func cost(f *codec.Frame) int { return len(f.Data) + frameOverhead }

// add appends a frame.
func (q *backlog) add(f *codec.Frame) {
	if isVideo(f) {
		q.video = true
		if q.awaits && !f.Key() {
			q.dropped++
			return
		}
		q.awaits = false
	}
	q.frames = append(q.frames, f)
	q.size += cost(f)
	if q.full() {
		q.cut(q.newestKey())
	}
	if q.full() {
		q.await()
	}
}

// full reports whether there are too many frames.
func (q *backlog) full() bool {
	if len(q.frames) < 2 {
		return false // no frame is longer than what may wait
	}
	first, last := q.frames[0], q.frames[len(q.frames)-1]
	return q.size > maxBacklogBytes || last.DTS-first.DTS > maxBacklogTime
}

// newestKey returns the place of the newest frame to begin with: without video,
// one in the middle.
func (q *backlog) newestKey() int {
	if !q.video {
		return (len(q.frames) + 1) / 2
	}
	for i := len(q.frames) - 1; i > 0; i-- {
		if isVideo(q.frames[i]) && q.frames[i].Key() {
			return i
		}
	}
	return 0
}

// cut drops the first n frames.
func (q *backlog) cut(n int) {
	for i, f := range q.frames[:n] {
		q.size -= cost(f)
		q.frames[i] = nil
	}
	q.frames = q.frames[n:]
	q.dropped += uint64(n)
}

// clear drops all frames.
func (q *backlog) clear() {
	q.cut(len(q.frames))
	q.video, q.awaits = false, false
}

// await drops all frames, and video up to the next key frame.
func (q *backlog) await() {
	q.cut(len(q.frames))
	q.awaits = q.video
}

// take returns the frames, which are no longer in the backlog.
func (q *backlog) take() []*codec.Frame {
	frames := q.frames
	q.frames, q.size = nil, 0
	return frames
}
