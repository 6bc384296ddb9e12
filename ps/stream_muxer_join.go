package ps

import (
	"iter"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A join makes longer frames of G.711 out of short ones: many senders have 20 ms,
// which is a program stream of headers.
type join struct {
	id   int           // of the track
	size time.Duration // of a frame

	track *codec.Track // of what waits
	data  []byte       // that waits; what was yielded stands before it
	at    time.Duration
	flags codec.Flags
	frame codec.Frame // the one that is yielded
}

// joinable reports whether a second of t is a fixed number of bytes.
func joinable(t *codec.Track) bool {
	return (t.Codec == codec.PCMA || t.Codec == codec.PCMU) && t.Wire == "" && t.SampleRate > 0 && t.Channels > 0
}

// joinedSize returns how many bytes of t last for d; 0 if it is not joinable.
func joinedSize(t *codec.Track, d time.Duration) int {
	if !joinable(t) {
		return 0
	}
	return int(codec.Ticks(d, t.SampleRate)) * t.Channels
}

// lengthOf returns how long n bytes of t are.
func lengthOf(t *codec.Track, n int) time.Duration {
	return codec.FromTicks(int64(n/t.Channels), t.SampleRate)
}

// follows reports whether f goes on where what waits ends, give or take what clocks
// of milliseconds and late packets make of it.
func (j *join) follows(f *codec.Frame) bool {
	const tolerance = 20 * time.Millisecond
	if len(j.data) == 0 {
		return true
	}
	gap := f.DTS - j.at - lengthOf(j.track, len(j.data))
	return sameDecoder(f.Track, j.track) && !f.Has(codec.FlagDiscont) && gap.Abs() <= tolerance
}

// overdue reports whether what waits should have been joined by the time now.
func (j *join) overdue(now time.Duration) bool {
	return len(j.data) > 0 && (now-j.at).Abs() > 2*j.size
}

// take takes in f, which follows, and yields the frames that are complete: each is
// good until the next.
func (j *join) take(f *codec.Frame) iter.Seq[*codec.Frame] {
	return func(yield func(*codec.Frame) bool) {
		n, b := joinedSize(f.Track, j.size), f.Data
		j.track = f.Track
		if len(j.data) == 0 {
			j.at, j.flags = f.DTS, f.Flags
		}
		for len(j.data)+len(b) >= n && n > 0 {
			used := n - len(j.data)
			whole := b[:used:used]
			if used < n {
				j.data = append(j.data, whole...)
				whole = j.data
			}
			b = b[used:]
			ok := yield(j.make(whole))
			j.data = j.data[:0]
			j.at, j.flags = f.DTS+lengthOf(f.Track, len(f.Data)-len(b)), codec.FlagKey
			if !ok {
				return
			}
		}
		j.data = append(j.data, b...)
	}
}

// rest returns what waits as a frame, which is good until the next; nil if nothing
// does.
func (j *join) rest() *codec.Frame {
	if len(j.data) == 0 {
		return nil
	}
	f := j.make(j.data)
	j.data = j.data[:0]
	return f
}

// make returns the frame of data.
func (j *join) make(data []byte) *codec.Frame {
	j.frame = codec.Frame{Track: j.track, DTS: j.at, PTS: j.at, Flags: j.flags, Data: data}
	return &j.frame
}
