package mp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// maxWholeMovie bounds a movie box that is read as a whole, in bytes.
const maxWholeMovie = 64 << 20

// FastStart writes a progressive file to dst with its movie box before the media,
// so that it plays while it is downloaded. Nothing else is changed; a file that
// is like that already is copied. It is what LayoutFastStart does, for a
// file that must not be touched as long as the copy is not complete.
//
// Files in fragments wrap source.ErrUnsupported.
func FastStart(dst io.Writer, src io.ReaderAt, size int64) error {
	r := &boxReader{src: src, size: size}
	moov, err := findMovie(r)
	if err != nil {
		return err
	}
	body, err := r.content(moov, maxWholeMovie)
	if err != nil {
		return err
	}
	body = bytes.Clone(body)
	m := mover{moov: moov, to: moov.at}
	for at := int64(0); at < moov.at; {
		x, err := r.top(at)
		if err != nil {
			return err
		}
		if x.kind == typeOf("mdat") {
			m.to = x.at
			break
		}
		at = x.end
	}
	if m.to == moov.at {
		return copyRange(dst, src, 0, size)
	}
	var b []byte
	for m.room = moov.end - moov.at; ; m.room = int64(len(b)) { // longer positions move the rest again
		if b, err = m.appendMovie(b[:0], body); err != nil {
			return moov.wrap(err)
		}
		if int64(len(b)) == m.room {
			break
		}
	}
	if err := copyRange(dst, src, 0, m.to); err != nil {
		return err
	}
	if _, err := dst.Write(b); err != nil {
		return err
	}
	return errors.Join(copyRange(dst, src, m.to, moov.at), copyRange(dst, src, moov.end, size))
}

// copyRange copies the bytes from a position up to another.
func copyRange(dst io.Writer, src io.ReaderAt, from, to int64) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{io.NewSectionReader(src, from, to-from)}, make([]byte, min(maxSpan, max(to-from, 1))))
	return err
}

// A mover moves a movie box to another place in a file.
type mover struct {
	moov fileBox
	to   int64 // position where it goes
	room int64 // bytes it takes there
}

// moved returns where the byte at a position is afterwards.
func (m *mover) moved(at int64) int64 {
	switch {
	case at < m.to:
		return at
	case at < m.moov.at:
		return at + m.room
	}
	return at + m.room - (m.moov.end - m.moov.at)
}

// appendMovie appends the moov box with this content where the positions are those
// afterwards.
func (m *mover) appendMovie(b, body []byte) (_ []byte, err error) {
	b = appendBox(b, "moov", func(b []byte) []byte {
		b, err = m.appendBoxes(b, body)
		return b
	})
	return b, err
}

// appendBoxes appends the boxes in the content of another.
func (m *mover) appendBoxes(b, body []byte) ([]byte, error) {
	err := eachBox(body, func(x box) (err error) {
		switch x.kind {
		case typeOf("mvex"):
			return fmt.Errorf("mp4: %w", unsupported("the file is in fragments"))
		case typeOf("trak"), typeOf("mdia"), typeOf("minf"), typeOf("stbl"):
			b = appendBox(b, x.kind.String(), func(b []byte) []byte {
				b, err = m.appendBoxes(b, x.body)
				return b
			})
		case typeOf("stco"), typeOf("co64"):
			b, err = m.appendPlaces(b, x)
		default:
			b = appendBox(b, x.kind.String(), func(b []byte) []byte { return append(b, x.body...) })
		}
		return err
	})
	return b, err
}

// appendPlaces appends an stco or co64 box: co64 if x is one, or 32 bits are too
// few.
func (m *mover) appendPlaces(b []byte, x box) ([]byte, error) {
	in := fields{b: x.body}
	in.full()
	n, version := in.u32(), uint8(0)
	if x.kind == typeOf("co64") {
		version = 1 // numbers of 64 bits
	}
	if in.over || uint64(n) > uint64(len(in.b)/(4<<version)) {
		return b, short(x.kind.String())
	}
	places := make([]int64, n)
	wide := version == 1
	for i := range places {
		at := in.number(version)
		if at > maxPosition {
			return b, invalid("chunk %d at byte %d", i+1, at)
		}
		places[i] = m.moved(int64(at))
		wide = wide || places[i] > math.MaxUint32
	}
	return appendPlaces(b, places, wide), nil
}

// appendPlaces appends the positions of chunks: a co64 box if wide, else stco
// (ISO/IEC 14496-12, 8.7.5).
func appendPlaces(b []byte, places []int64, wide bool) []byte {
	name := "stco"
	if wide {
		name = "co64"
	}
	return appendFullBox(b, name, 0, 0, func(b []byte) []byte {
		b = appendUint32s(b, uint32(len(places)))
		for _, at := range places {
			if wide {
				b = binary.BigEndian.AppendUint64(b, uint64(at))
			} else {
				b = appendUint32s(b, uint32(at))
			}
		}
		return b
	})
}
