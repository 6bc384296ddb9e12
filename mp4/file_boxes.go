package mp4

import (
	"fmt"
	"io"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	maxBoxes   = 100_000 // that are looked at to open a file
	maxDepth   = 16      // boxes within boxes
	boxWindow  = 8 << 10 // bytes of a file that are read at once to look at boxes
	skipsAbove = 1 << 16 // boxes of the movie that are longer and no tables are not read
)

// A boxReader reads boxes of a file, which is r of so many bytes.
type boxReader struct {
	src    io.ReaderAt
	size   int64
	at     int64 // of window
	window []byte
	boxes  int // whose headers were read
}

// bytes returns n bytes at a position, valid until the next call; fewer at the
// end of the file.
func (r *boxReader) bytes(at int64, n int) ([]byte, error) {
	n = int(min(int64(n), r.size-at))
	if from := at - r.at; from >= 0 && from+int64(n) <= int64(len(r.window)) {
		return r.window[from : from+int64(n)], nil
	}
	want := int(min(int64(max(n, boxWindow)), r.size-at))
	if cap(r.window) < want {
		r.window = make([]byte, want)
	}
	r.at, r.window = at, r.window[:want]
	if err := readFull(r.src, r.window, at); err != nil {
		r.window = r.window[:0]
		return nil, fmt.Errorf("mp4: byte %d: %w", at, err)
	}
	return r.window[:n], nil
}

// A fileBox is where a box is in a file.
type fileBox struct {
	kind boxType
	at   int64 // of its header
	body int64 // of its content
	end  int64
}

// wrap returns an error about the box.
func (x fileBox) wrap(err error) error {
	return fmt.Errorf("mp4: %v box at byte %d: %w", x.kind, x.at, err)
}

// top reads the header of a box that is in no other.
func (r *boxReader) top(at int64) (fileBox, error) {
	x, err := r.header(at, r.size)
	if err == nil && x.end == at { // to the end of the file
		x.end = r.size
	}
	return x, err
}

// within reads the header of a box in another one.
func (r *boxReader) within(at int64, parent fileBox) (fileBox, error) {
	x, err := r.header(at, parent.end)
	if err == nil && x.end == at {
		err = x.wrap(invalid("no size"))
	}
	return x, err
}

// header reads the header of a box that ends at a position or before. One without
// a size ends where it begins.
func (r *boxReader) header(at, end int64) (x fileBox, err error) {
	r.boxes++
	b, err := r.bytes(at, int(min(bigHeader, end-at)))
	if err != nil {
		return x, err
	}
	kind, n, size, err := parseHeader(b)
	x = fileBox{kind, at, at + int64(n), at + size}
	switch {
	case err != nil:
		return x, fmt.Errorf("mp4: byte %d: %w", at, err)
	case n == 0:
		return x, fmt.Errorf("mp4: byte %d: %w", at, short("box header"))
	case size > end-at:
		return x, x.wrap(fmt.Errorf("%w, of %d bytes", short(fmt.Sprintf("%d bytes", end-at)), size))
	}
	return x, nil
}

// content reads the content of a box, at most so many bytes. It is valid until
// the next call.
func (r *boxReader) content(x fileBox, most int64) ([]byte, error) {
	if x.end-x.body > most {
		return nil, x.wrap(invalid("%d bytes, %d are allowed", x.end-x.body, most))
	}
	return r.bytes(x.body, int(x.end-x.body))
}

// A stbl is where the tables of a track are.
type stbl []fileBox

// find returns the table of that name; false if there is none.
func (s stbl) find(name string) (fileBox, bool) {
	for _, x := range s {
		if x.kind == typeOf(name) {
			return x, true
		}
	}
	return fileBox{}, false
}

// An outline is a moov box with all in it that is small. The tables, which are
// not, stay in the file.
type outline struct {
	boxes  *boxReader
	body   []byte // content of the moov box, without tables
	tables []stbl // of each trak box
}

// add reads the boxes within x, which is so deep in others.
func (o *outline) add(x fileBox, depth int) error {
	if depth > maxDepth {
		return x.wrap(invalid("in %d others", maxDepth))
	}
	for at := x.body; x.end-at >= boxHeader; {
		in, err := o.boxes.within(at, x)
		if err != nil {
			return err
		}
		if o.boxes.boxes > maxBoxes {
			return in.wrap(invalid("it is one of more than %d boxes", maxBoxes))
		}
		at = in.end
		if in.kind == typeOf("trak") && depth == 0 {
			if len(o.tables) >= maxTracks {
				return in.wrap(invalid("more than %d tracks", maxTracks))
			}
			o.tables = append(o.tables, nil)
		}
		if err := o.addBox(in, depth); err != nil {
			return err
		}
	}
	return nil
}

// addBox reads a box within another.
func (o *outline) addBox(x fileBox, depth int) (err error) {
	switch x.kind {
	case typeOf("trak"), typeOf("mdia"), typeOf("minf"), typeOf("stbl"), typeOf("edts"), typeOf("mvex"):
		o.body = appendBox(o.body, x.kind.String(), func(b []byte) []byte {
			o.body = b
			err = o.add(x, depth+1)
			return o.body
		})
		return err
	case typeOf("stts"), typeOf("ctts"), typeOf("stsc"), typeOf("stsz"), typeOf("stz2"), typeOf("stco"), typeOf("co64"), typeOf("stss"), typeOf("sdtp"):
		if n := len(o.tables); n > 0 {
			o.tables[n-1] = append(o.tables[n-1], x)
		}
		return nil
	case typeOf("stsd"), typeOf("elst"): // they may be long
	default:
		if x.end-x.body > skipsAbove {
			return nil
		}
	}
	b, err := o.boxes.content(x, maxMovie)
	if err != nil {
		return err
	}
	if len(o.body)+len(b) > maxMovie {
		return x.wrap(invalid("%d bytes of boxes", len(o.body)+len(b)))
	}
	o.body = appendBox(o.body, x.kind.String(), func(dst []byte) []byte { return append(dst, b...) })
	return nil
}

// openTable reads the head of a table whose rows have so many bytes.
func (o *outline) openTable(x fileBox, width int) (t table, err error) {
	const head = fullHeader + 4
	b, err := o.boxes.bytes(x.body, head)
	if err != nil {
		return t, err
	}
	if len(b) < head || x.end-x.body < head {
		return t, x.wrap(short("number of rows"))
	}
	in := fields{b: b}
	in.full()
	return o.rows(x, head, width, int64(in.u32()))
}

// rows returns the table of so many rows behind the first bytes of x.
func (o *outline) rows(x fileBox, head int64, width int, count int64) (t table, err error) {
	room := x.end - x.body - head
	switch {
	case count > room/int64(width):
		return t, x.wrap(invalid("%d rows in %d bytes", count, room))
	case count*int64(width) > maxTable:
		return t, x.wrap(invalid("%d rows", count))
	}
	return table{src: o.boxes.src, kind: x.kind, at: x.body + head, width: width, count: int(count)}, nil
}

// openSizes reads the head of the stsz or stz2 box.
func (o *outline) openSizes(s *sampleTable, x fileBox) (err error) {
	const head = fullHeader + 8
	b, err := o.boxes.bytes(x.body, head)
	if err != nil {
		return err
	}
	if len(b) < head || x.end-x.body < head {
		return x.wrap(short("number of rows"))
	}
	in := fields{b: b}
	in.full()
	size := int64(in.u32())
	s.count = int64(in.u32())
	switch {
	case x.kind == typeOf("stz2") && size&0xff == 4:
		s.nibbles = true
		s.sizes, err = o.rows(x, head, 1, (s.count+1)/2)
	case x.kind == typeOf("stz2"):
		if size &= 0xff; size != 8 && size != 16 {
			return x.wrap(invalid("sizes of %d bits", size))
		}
		s.sizes, err = o.rows(x, head, int(size/8), s.count)
	case size > 0:
		s.fixed = size
	default:
		s.sizes, err = o.rows(x, head, 4, s.count)
	}
	return err
}

// sampleTable returns the sample table of a track; nil if it has no samples.
func (o *outline) sampleTable(boxes stbl, t *codec.Track) (*sampleTable, error) {
	s := &sampleTable{group: 1}
	x, ok := boxes.find("stsz")
	if !ok {
		x, ok = boxes.find("stz2")
	}
	if !ok {
		return nil, nil
	}
	if err := o.openSizes(s, x); err != nil {
		return nil, err
	}
	if s.count == 0 {
		return nil, nil
	}
	places, width := "stco", 4
	if _, ok := boxes.find(places); !ok {
		places, width = "co64", 8
	}
	_, has := boxes.find("stss")
	s.allKeys = !has
	for _, open := range []struct {
		to    *table
		name  string
		width int
		must  bool
	}{
		{&s.times, "stts", 8, true}, {&s.composed, "ctts", 8, false}, {&s.runs, "stsc", 12, true},
		{&s.places, places, width, true}, {&s.keys, "stss", 4, false},
	} {
		x, ok := boxes.find(open.name)
		if !ok && open.must {
			return nil, invalid("no %s box", open.name)
		}
		if !ok {
			continue
		}
		var err error
		if *open.to, err = o.openTable(x, open.width); err != nil {
			return nil, err
		}
	}
	if x, ok := boxes.find("sdtp"); ok && x.end-x.body > fullHeader {
		var err error
		if s.depends, err = o.rows(x, fullHeader, 1, x.end-x.body-fullHeader); err != nil {
			return nil, err
		}
	}
	return s, s.groupPCM(t)
}

// pcmGroup is how much of PCM is a frame, where each of its samples is listed as
// one: as many are made one as fit in the time, in milliseconds.
const pcmGroup = 20

// groupPCM makes frames of PCM of which each sample of each channel is one in the
// table, as QuickTime and ffmpeg write it. How large they are is then the codec's
// to tell, for old files say 1 whatever it is.
func (s *sampleTable) groupPCM(t *codec.Track) error {
	bytes := int64(1)
	switch t.Codec {
	case codec.PCMA, codec.PCMU:
	case codec.L16:
		bytes = 2
	default:
		return nil
	}
	if s.fixed == 0 || s.times.count != 1 {
		return nil
	}
	row, err := s.times.row(0)
	if err != nil {
		return err
	}
	in := fields{b: row}
	in.skip(4)
	if in.u32() != 1 {
		return nil
	}
	s.fixed = bytes * int64(max(t.Channels, 1))
	s.group = int64(max(t.SampleRate*pcmGroup/1000, 1))
	return nil
}
