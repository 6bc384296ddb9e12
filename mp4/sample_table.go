package mp4

import (
	"encoding/binary"
	"io"
	"math"
)

// A sampleTable is what an stbl box tells of where and when samples are
// (ISO/IEC 14496-12, 8.5.1). A [cursor] walks over it.
type sampleTable struct {
	times    table // stts
	composed table // ctts
	runs     table // stsc
	sizes    table // stsz, stz2
	places   table // stco, co64
	keys     table // stss
	depends  table // sdtp
	count    int64 // samples
	fixed    int64 // bytes of each; 0: sizes tells
	nibbles  bool  // sizes of 4 bits, two in a row
	allKeys  bool  // there is no stss
	group    int64 // PCM comes as frames of so many samples; 1: a sample is a frame
}

// A cursor is a sample of a sampleTable, or a group of them, and how to get to the
// next one. It is a plain value: a copy is a place to return to.
type cursor struct {
	sample   int64 // number, from 0
	n        int64 // samples in the group
	at       int64 // position in the file
	size     int64 // bytes
	time     int64 // decode time in ticks
	length   int64 // duration in ticks
	composed int32 // presentation minus decode time
	key      bool
	drop     bool // no other needs it

	chunk     int   // chunks begun so far
	left      int64 // samples of it from this one on
	perChunk  int64
	nextRun   int64 // the chunk, counted from 1, with which the next row of runs begins
	run       int   // the next row
	timeRow   int   // the next row
	timeLeft  int64 // samples that last
	delta     int64 // so long
	shiftRow  int
	shiftLeft int64
	shift     int32
	keyRow    int   // the row of
	nextKey   int64 // the next key sample, counted from 1
}

// release lets go of the memory of tables that were looked through.
func (s *sampleTable) release() {
	for _, t := range []*table{&s.times, &s.composed, &s.runs, &s.sizes, &s.places, &s.keys, &s.depends} {
		t.release()
	}
}

// first returns the first sample; io.EOF if there is none.
func (s *sampleTable) first() (c cursor, err error) {
	if s.runs.count > 0 {
		row, err := s.runs.row(0)
		if err != nil {
			return c, err
		}
		c.nextRun = int64(binary.BigEndian.Uint32(row))
		if c.nextRun != 1 {
			return c, invalid("stsc begins with chunk %d", c.nextRun)
		}
	}
	return c, s.fill(&c)
}

// next goes to the next sample; io.EOF if there is none.
func (s *sampleTable) next(c *cursor) error {
	c.sample += c.n
	c.left -= c.n
	c.timeLeft -= c.n
	c.shiftLeft -= c.n
	c.at += c.size
	c.time += c.length
	return s.fill(c)
}

// fill completes c, of which number, position and time are right, unless another
// chunk begins.
func (s *sampleTable) fill(c *cursor) error {
	if c.sample >= s.count {
		return io.EOF
	}
	for c.left <= 0 {
		if err := s.nextChunk(c); err != nil {
			return err
		}
	}
	for c.timeLeft <= 0 {
		if err := s.nextDelta(c); err != nil {
			return err
		}
	}
	for c.shiftLeft <= 0 {
		if err := s.nextShift(c); err != nil {
			return err
		}
	}
	c.n, c.composed, c.key = 1, c.shift, s.allKeys
	if s.group > 1 {
		c.n = min(s.group, c.left, c.timeLeft, s.count-c.sample)
	}
	c.length = c.delta * c.n
	if s.fixed > 0 {
		c.size = s.fixed * c.n
	} else if err := s.readSize(c); err != nil {
		return err
	}
	c.drop = false
	if c.sample < int64(s.depends.count) {
		row, err := s.depends.row(int(c.sample))
		if err != nil {
			return err
		}
		c.drop = row[0]&sdtpMask == sdtpDisposable
	}
	if !s.allKeys {
		return s.readKey(c)
	}
	return nil
}

// nextChunk enters the next chunk.
func (s *sampleTable) nextChunk(c *cursor) error {
	if c.chunk >= s.places.count {
		return io.EOF
	}
	row, err := s.places.row(c.chunk)
	if err != nil {
		return err
	}
	var at uint64
	if len(row) == 8 {
		at = binary.BigEndian.Uint64(row)
	} else {
		at = uint64(binary.BigEndian.Uint32(row))
	}
	if at > maxPosition {
		return invalid("chunk %d at byte %d", c.chunk+1, at)
	}
	c.at = int64(at)
	c.chunk++
	for int64(c.chunk) == c.nextRun && c.run < s.runs.count {
		if err := s.enterRun(c); err != nil {
			return err
		}
	}
	c.left = c.perChunk
	return nil
}

// enterRun reads the row of runs that begins with the chunk.
func (s *sampleTable) enterRun(c *cursor) error {
	row, err := s.runs.row(c.run)
	if err != nil {
		return err
	}
	c.perChunk = int64(binary.BigEndian.Uint32(row[4:]))
	c.run++
	c.nextRun = 0
	if c.run == s.runs.count {
		return nil
	}
	if row, err = s.runs.row(c.run); err != nil {
		return err
	}
	if c.nextRun = int64(binary.BigEndian.Uint32(row)); c.nextRun <= int64(c.chunk) {
		return invalid("stsc: chunk %d behind chunk %d", c.nextRun, c.chunk)
	}
	return nil
}

// nextDelta reads how long the next samples last. Behind the last row all are like
// the one before.
func (s *sampleTable) nextDelta(c *cursor) error {
	if c.timeRow >= s.times.count {
		c.timeLeft = math.MaxInt64
		return nil
	}
	row, err := s.times.row(c.timeRow)
	if err != nil {
		return err
	}
	c.timeRow++
	c.timeLeft = int64(binary.BigEndian.Uint32(row))
	if c.delta = int64(binary.BigEndian.Uint32(row[4:])); c.delta > math.MaxInt32 {
		c.delta = 0 // a step back, of those who take it for signed
	}
	return nil
}

// nextShift reads how much later the next samples are presented.
func (s *sampleTable) nextShift(c *cursor) error {
	if c.shiftRow >= s.composed.count {
		c.shiftLeft, c.shift = math.MaxInt64, 0
		return nil
	}
	row, err := s.composed.row(c.shiftRow)
	if err != nil {
		return err
	}
	c.shiftRow++
	c.shiftLeft = int64(binary.BigEndian.Uint32(row))
	c.shift = int32(binary.BigEndian.Uint32(row[4:])) // negative in version 0, too, as some write it
	return nil
}

// readSize reads the size of the sample.
func (s *sampleTable) readSize(c *cursor) error {
	i := int(c.sample)
	if s.nibbles {
		i /= 2
	}
	row, err := s.sizes.row(i)
	if err != nil {
		return err
	}
	switch {
	case s.nibbles && c.sample%2 == 0:
		c.size = int64(row[0] >> 4)
	case s.nibbles:
		c.size = int64(row[0] & 15)
	case len(row) == 1:
		c.size = int64(row[0])
	case len(row) == 2:
		c.size = int64(binary.BigEndian.Uint16(row))
	default:
		c.size = int64(binary.BigEndian.Uint32(row))
	}
	return nil
}

// readKey reads whether the sample is a key.
func (s *sampleTable) readKey(c *cursor) error {
	for c.nextKey <= c.sample && c.keyRow < s.keys.count {
		row, err := s.keys.row(c.keyRow)
		if err != nil {
			return err
		}
		c.keyRow++
		c.nextKey = int64(binary.BigEndian.Uint32(row))
	}
	c.key = c.nextKey == c.sample+1
	return nil
}
