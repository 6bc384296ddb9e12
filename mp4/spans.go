package mp4

import (
	"io"
	"time"
)

// How much of a file is read at once, in bytes, unless a sample is longer: the
// least by who plays it and takes his time, the most by who converts it.
const (
	minSpan = 32 << 10
	maxSpan = 256 << 10
)

// usedUp is how soon a span has to be used up for the next one to be longer.
const usedUp = 20 * time.Millisecond

// A span is a piece of the file.
type span struct {
	at   int64
	data []byte
	used uint64 // when it was, for the last time
}

// A spans gives out parts of a file that alias what was read: frames that lie
// together share one buffer, which is not written to again. The newest few are
// kept, as many as there are places in the file that are read by turns.
type spans struct {
	src   io.ReaderAt
	size  int64 // of the file
	kept  []span
	clock uint64
	next  int       // how long the next span is
	read  time.Time // when the newest was read
}

// get returns n bytes at a position; they are within the file.
func (s *spans) get(at int64, n int) ([]byte, error) {
	s.clock++
	oldest := 0
	for i := range s.kept {
		p := &s.kept[i]
		if from := at - p.at; from >= 0 && from+int64(n) <= int64(len(p.data)) {
			p.used = s.clock
			return p.data[from : from+int64(n) : from+int64(n)], nil
		}
		if p.used < s.kept[oldest].used {
			oldest = i
		}
	}
	s.adapt()
	s.kept[oldest].data = nil
	b := make([]byte, min(int64(max(n, s.next)), s.size-at))
	if err := readFull(s.src, b, at); err != nil {
		return nil, err
	}
	s.kept[oldest] = span{at, b, s.clock}
	return b[:n:n], nil
}

// adapt chooses how much is read next.
func (s *spans) adapt() {
	now := time.Now()
	if now.Sub(s.read) < usedUp {
		s.next *= 2
	} else {
		s.next /= 2
	}
	s.next = min(max(s.next, minSpan), maxSpan)
	s.read = now
}
