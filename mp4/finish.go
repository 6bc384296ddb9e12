package mp4

import (
	"encoding/binary"
	"errors"
	"io"
)

// finish lays the file out. broken says that something came behind the last whole
// fragment.
func (w *Writer) finish(broken bool) error {
	if broken {
		if err := w.cut(); err != nil {
			return err
		}
	}
	var err error
	switch w.o.Layout {
	case LayoutProgressive:
		err = w.finishProgressive()
	case LayoutFastStart:
		err = w.finishFastStart()
	}
	if err == nil && w.o.Sync {
		err = w.sync()
	}
	return err
}

// cut removes what is behind the last whole fragment.
func (w *Writer) cut() error {
	f, ok := w.w.(interface{ Truncate(size int64) error })
	if !ok {
		return errors.New("the last fragment is not whole")
	}
	return f.Truncate(w.pos)
}

// finishProgressive writes the movie box at the end. Then one header is changed,
// which makes all from there to the movie box one mdat: movie box and moof boxes
// of the fragments are no more than bytes in there.
//
//	before: ftyp free moov moof mdat moof mdat … moov
//	after:  ftyp mdat                            moov
func (w *Writer) finishProgressive() error {
	if err := w.writeAt(w.appendMovie(nil, 0), w.pos); err != nil {
		return errors.Join(err, w.cut()) // still in fragments
	}
	if w.o.Sync {
		if err := w.sync(); err != nil {
			return err
		}
	}
	return w.writeAt(appendBigHeader(nil, "mdat", w.pos-w.head), w.head)
}

// finishFastStart moves what is behind the header that becomes the mdat's, and
// writes the movie box before it.
//
//	after: ftyp moov mdat
func (w *Writer) finishFastStart() error {
	room := int64(len(w.appendMovie(nil, 0)))
	moov := w.appendMovie(nil, room)
	if grown := int64(len(moov)); grown != room { // positions became longer
		room = grown
		moov = w.appendMovie(nil, room)
	}
	if err := w.writeAt(make([]byte, room), w.pos); err != nil { // as long as nothing was moved
		return errors.Join(err, w.cut())
	}
	if err := w.move(w.head+bigHeader, w.pos, room); err != nil {
		return err
	}
	return w.writeAt(appendBigHeader(moov, "mdat", w.pos-w.head), w.head)
}

// move moves the bytes from a position up to another on by so many, the last ones
// first.
func (w *Writer) move(from, to, by int64) error {
	const most = 1 << 20
	b := make([]byte, min(most, to-from))
	for to > from {
		n := min(int64(len(b)), to-from)
		to -= n
		if err := readFull(w.w.(io.ReaderAt), b[:n], to); err != nil {
			return err
		}
		if err := w.writeAt(b[:n], to+by); err != nil {
			return err
		}
	}
	return nil
}

// writeAt writes b at a position.
func (w *Writer) writeAt(b []byte, at int64) error {
	if _, err := w.w.(io.Seeker).Seek(at, io.SeekStart); err != nil {
		return err
	}
	return w.write(b)
}

// appendBigHeader appends the header of a box whose size, header included, has 64
// bits.
func appendBigHeader(b []byte, name string, size int64) []byte {
	b = appendHeader(b, 1, name)
	return binary.BigEndian.AppendUint64(b, uint64(size))
}

// appendMovie appends the moov box of the finished file, whose media are moved on
// by so many bytes.
func (w *Writer) appendMovie(b []byte, moved int64) []byte {
	return appendBox(b, "moov", func(b []byte) []byte {
		var longest int64
		for _, l := range w.lists {
			longest = max(longest, l.movieDuration())
		}
		b = appendMovieHeader(b, uint32(len(w.lists)+1), longest)
		for i, l := range w.lists {
			l.moved = moved
			b = appendTrack(b, uint32(i+1), w.mux.tracks[i].track, l)
		}
		return b
	})
}
