package mp4

import (
	"fmt"
	"io"
)

// How much of a table is in memory, in bytes: while all of it is looked through,
// and afterwards.
const (
	walkWindow = 16 << 10
	playWindow = 1 << 10
)

// maxTable bounds a table, in bytes: 16 million samples, a hundred hours of audio.
const maxTable = 64 << 20

// A table is the rows of a sample table box (ISO/IEC 14496-12, 8.6.1, 8.7 and
// 8.6.2), which are read from the file as they are asked for. The zero value has
// no rows.
type table struct {
	src    io.ReaderAt
	kind   boxType
	at     int64 // position of the first row
	width  int   // bytes of a row
	count  int   // rows
	first  int   // row that window begins with
	have   int   // rows in window
	window []byte
	walked bool // all of it was looked through
}

// row returns row i, which is below count. It is valid until the next call.
func (t *table) row(i int) ([]byte, error) {
	k := i - t.first
	if k < 0 || k >= t.have {
		if err := t.load(i); err != nil {
			return nil, err
		}
		k = 0
	}
	return t.window[k*t.width : (k+1)*t.width], nil
}

// load reads rows from i on.
func (t *table) load(i int) error {
	if t.window == nil {
		size := walkWindow
		if t.walked {
			size = playWindow
		}
		t.window = make([]byte, min(size/t.width, t.count)*t.width)
	}
	n := min(len(t.window)/t.width, t.count-i)
	t.have = 0
	if err := readFull(t.src, t.window[:n*t.width], t.at+int64(i)*int64(t.width)); err != nil {
		return fmt.Errorf("mp4: %v box, row %d: %w", t.kind, i+1, err)
	}
	t.first, t.have = i, n
	return nil
}

// release lets go of most of the memory.
func (t *table) release() { t.window, t.have, t.walked = nil, 0, true }

// readFull reads all of b at a position where the file has that much.
func readFull(src io.ReaderAt, b []byte, at int64) error {
	n, err := src.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == io.EOF: // it has become shorter
		return io.ErrUnexpectedEOF
	}
	return err
}
