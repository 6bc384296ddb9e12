package mp4

import (
	"encoding/binary"
	"iter"
	"math"
	"slices"
)

// A listing is what the sample tables of a track will tell: of a sample some four
// bytes, as long as it is not written. A nil one is of no samples.
type listing struct {
	scale int
	samples
	chunks []chunk
	sum    int64 // of the durations
	start  int64 // decode time of the first sample, in ticks
	shown  int64 // how much later the first one is presented
	moved  int64 // bytes that chunks are behind where they were
}

// A chunk is samples of a track that lie together.
type chunk struct {
	at int64 // position in the file
	n  uint32
}

// A listed is a sample.
type listed struct {
	size, duration uint32
	composed       int32
	key            bool
	disposable     bool // no other needs it
}

// Bits of a sample's size in a list of samples.
const (
	listedKey = 1 << iota
	listedDisposable
	listedBits = iota
)

// samplesBlock is how much memory a list of samples takes at a time, in bytes.
const samplesBlock = 8 << 10

// A samples is a list of samples. Each is its size and what its duration and its
// composition offset differ from those of the one before, as variable numbers.
type samples struct {
	blocks [][]byte
	count  uint32
	last   listed
}

// add adds a sample.
func (l *samples) add(s listed) {
	n := len(l.blocks) - 1
	if n < 0 || cap(l.blocks[n])-len(l.blocks[n]) < 3*binary.MaxVarintLen64 {
		l.blocks = append(l.blocks, make([]byte, 0, samplesBlock))
		n++
	}
	size := uint64(s.size) << listedBits
	if s.key {
		size |= listedKey
	}
	if s.disposable {
		size |= listedDisposable
	}
	b := binary.AppendUvarint(l.blocks[n], size)
	b = binary.AppendVarint(b, int64(s.duration)-int64(l.last.duration))
	l.blocks[n] = binary.AppendVarint(b, int64(s.composed)-int64(l.last.composed))
	l.last = s
	l.count++
}

// all yields the samples in their order.
func (l *samples) all() iter.Seq[listed] {
	return func(yield func(listed) bool) {
		var s listed
		for _, b := range l.blocks {
			for len(b) > 0 {
				size, n := binary.Uvarint(b)
				b = b[n:]
				duration, n := binary.Varint(b)
				b = b[n:]
				composed, n := binary.Varint(b)
				b = b[n:]
				s.size, s.key, s.disposable = uint32(size>>listedBits), size&listedKey != 0, size&listedDisposable != 0
				s.duration = uint32(int64(s.duration) + duration)
				s.composed = int32(int64(s.composed) + composed)
				if !yield(s) {
					return
				}
			}
		}
	}
}

// add adds a sample at a decode time.
func (l *listing) add(s listed, dts int64) {
	if l.count == 0 {
		l.start, l.shown = dts, int64(s.composed)
	}
	l.shown = max(min(l.shown, l.sum+int64(s.composed)), 0)
	l.samples.add(s)
	l.sum += int64(s.duration)
}

// duration returns how long the samples last, in ticks.
func (l *listing) duration() int64 {
	if l == nil {
		return 0
	}
	return l.sum
}

// movieDuration returns when the last sample ends, in ticks of the movie.
func (l *listing) movieDuration() int64 {
	if l == nil {
		return 0
	}
	return l.inMovie(l.start + l.sum)
}

// inMovie returns a time in ticks of the movie.
func (l *listing) inMovie(ticks int64) int64 {
	hi := ticks / int64(l.scale) * movieScale
	return hi + (ticks%int64(l.scale)*movieScale+int64(l.scale)/2)/int64(l.scale)
}

// appendEdits appends an edts box (ISO/IEC 14496-12, 8.6.6): an empty edit until
// the first frame is presented, then all from there on. That is what a reader
// would do without one, but some do not.
func (l *listing) appendEdits(b []byte) []byte {
	if l == nil {
		return b
	}
	return appendBox(b, "edts", func(b []byte) []byte {
		return appendFullBox(b, "elst", 1, 0, func(b []byte) []byte {
			if l.start+l.shown <= 0 {
				return l.appendEdit(appendUint32s(b, 1), l.sum, l.shown)
			}
			return l.appendEdit(l.appendEdit(appendUint32s(b, 2), l.start+l.shown, -1), l.sum, l.shown)
		})
	})
}

// appendEdit appends a row of an elst box: at a normal rate, from a time of the
// media on, which is -1 if there is none, for so many ticks.
func (l *listing) appendEdit(b []byte, ticks, from int64) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(l.inMovie(ticks)))
	b = binary.BigEndian.AppendUint64(b, uint64(from))
	return appendUint32s(b, 1<<16)
}

// appendTables appends the tables of an stbl box behind its stsd.
func (l *listing) appendTables(b []byte) []byte {
	if l == nil || l.count == 0 {
		for _, table := range []struct {
			name string
			zero int
		}{{"stts", 4}, {"stsc", 4}, {"stsz", 8}, {"stco", 4}} {
			b = appendFullBox(b, table.name, 0, 0, func(b []byte) []byte { return appendZeros(b, table.zero) })
		}
		return b
	}
	b = appendFullBox(b, "stts", 0, 0, func(b []byte) []byte {
		return appendRuns(b, l.all(), func(s listed) uint32 { return s.duration })
	})
	b = l.appendComposed(b)
	b = l.appendKeys(b)
	b = l.appendDependency(b)
	b = l.appendChunkRuns(b)
	b = l.appendSizes(b)
	return l.appendPlaces(b)
}

// appendRuns appends how many samples in a row have the same value, and that, for
// all of them.
func appendRuns(b []byte, all iter.Seq[listed], value func(listed) uint32) []byte {
	at := len(b)
	b = appendUint32s(b, 0)
	rows, n, last := uint32(0), uint32(0), uint32(0)
	for s := range all {
		v := value(s)
		if n > 0 && v != last {
			b = appendUint32s(b, n, last)
			rows, n = rows+1, 0
		}
		n, last = n+1, v
	}
	b = appendUint32s(b, n, last)
	binary.BigEndian.PutUint32(b[at:], rows+1)
	return b
}

// appendComposed appends a ctts box, if any frame is presented at another time
// than it is decoded.
func (l *listing) appendComposed(b []byte) []byte {
	found, version := false, byte(0)
	for s := range l.all() {
		found = found || s.composed != 0
		if s.composed < 0 {
			version = 1
		}
	}
	if !found {
		return b
	}
	return appendFullBox(b, "ctts", version, 0, func(b []byte) []byte {
		return appendRuns(b, l.all(), func(s listed) uint32 { return uint32(s.composed) })
	})
}

// appendKeys appends an stss box, unless all samples are keys.
func (l *listing) appendKeys(b []byte) []byte {
	keys := uint32(0)
	for s := range l.all() {
		if s.key {
			keys++
		}
	}
	if keys == l.count {
		return b
	}
	return appendFullBox(b, "stss", 0, 0, func(b []byte) []byte {
		b = appendUint32s(b, keys)
		n := uint32(0)
		for s := range l.all() {
			if n++; s.key {
				b = appendUint32s(b, n)
			}
		}
		return b
	})
}

// appendDependency appends an sdtp box (ISO/IEC 14496-12, 8.6.4), if there are
// frames that no other needs.
//
//	2 bits: is_leading; 2: sample_depends_on; 2: sample_is_depended_on; 2: has_redundancy
func (l *listing) appendDependency(b []byte) []byte {
	found := false
	for s := range l.all() {
		found = found || s.disposable
	}
	if !found {
		return b
	}
	return appendFullBox(b, "sdtp", 0, 0, func(b []byte) []byte {
		for s := range l.all() {
			v := byte(dependsOn)
			if s.key {
				v = dependsNot
			}
			if s.disposable {
				v |= sdtpDisposable
			}
			b = append(b, v)
		}
		return b
	})
}

// Values in an sdtp box.
const (
	dependsOn      = 1 << 4
	dependsNot     = 2 << 4
	sdtpDisposable = 2 << 2
	sdtpMask       = 3 << 2
)

// appendChunkRuns appends an stsc box.
func (l *listing) appendChunkRuns(b []byte) []byte {
	return appendFullBox(b, "stsc", 0, 0, func(b []byte) []byte {
		at, rows := len(b), uint32(0)
		b = appendUint32s(b, 0)
		for i, c := range l.chunks {
			if i == 0 || c.n != l.chunks[i-1].n {
				b = appendUint32s(b, uint32(i+1), c.n, 1)
				rows++
			}
		}
		binary.BigEndian.PutUint32(b[at:], rows)
		return b
	})
}

// appendSizes appends an stsz box, each size for itself: there are readers that
// know no other.
func (l *listing) appendSizes(b []byte) []byte {
	return appendFullBox(b, "stsz", 0, 0, func(b []byte) []byte {
		b = appendUint32s(slices.Grow(b, 8+4*int(l.count)), 0, l.count)
		for s := range l.all() {
			b = appendUint32s(b, s.size)
		}
		return b
	})
}

// appendPlaces appends an stco box, or co64 where 32 bits are too few.
func (l *listing) appendPlaces(b []byte) []byte {
	places := make([]int64, len(l.chunks))
	for i, c := range l.chunks {
		places[i] = c.at + l.moved
	}
	return appendPlaces(b, places, places[len(places)-1] > math.MaxUint32)
}
