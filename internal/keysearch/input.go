package keysearch

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// An Input is a part of a file as an io.Reader.
type Input struct {
	r      io.ReaderAt
	at, to int64
	closed atomic.Bool
}

// NewInput returns an Input of the first size bytes of r. Closing it closes r if
// that is an io.Closer.
func NewInput(r io.ReaderAt, size int64) *Input { return &Input{r: r, to: size} }

// Set makes Read go on at a place, and end at another.
func (i *Input) Set(at, to int64) { i.at, i.to = at, to }

// Read reads on.
func (i *Input) Read(b []byte) (int, error) {
	if i.at >= i.to {
		return 0, io.EOF
	}
	n, err := i.ReadAt(b[:min(int64(len(b)), i.to-i.at)], i.at)
	i.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// ReadAt reads from a place. After Close the error is source.ErrClosed.
func (i *Input) ReadAt(b []byte, at int64) (int, error) {
	if i.closed.Load() {
		return 0, source.ErrClosed
	}
	n, err := i.r.ReadAt(b, at)
	if err != nil && i.closed.Load() {
		err = source.ErrClosed
	}
	return n, err
}

// Close closes the file, once.
func (i *Input) Close() error {
	if i.closed.Swap(true) {
		return nil
	}
	if c, ok := i.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// A Window looks into a file. What it read last it keeps.
type Window struct {
	Input *Input

	buf  []byte
	at   int64
	last bool // the file ends with it
}

// Bytes returns n bytes from a place, and what else it has of those behind them;
// less only at the end of the file. They are there until the next call. If it has
// to read it reads so many ahead.
func (w *Window) Bytes(at int64, n, ahead int) ([]byte, error) {
	if have := at - w.at; have >= 0 && have <= int64(len(w.buf)) && (w.last || have+int64(n) <= int64(len(w.buf))) {
		return w.buf[have:], nil
	}
	size := max(n, ahead)
	if cap(w.buf) < size {
		w.buf = make([]byte, size)
	}
	got, err := w.Input.ReadAt(w.buf[:size], at)
	w.buf, w.at, w.last = w.buf[:got], at, errors.Is(err, io.EOF)
	if errors.Is(err, io.EOF) || got >= n {
		err = nil
	}
	return w.buf, err
}

// Forget gives up the memory.
func (w *Window) Forget() { w.buf, w.last = nil, false }

// Unwrapper returns an Unwrapper of bits whose last value was at, which is not
// negative.
func Unwrapper(bits uint, at int64) codec.Unwrapper {
	u := codec.Unwrapper{Bits: bits}
	u.Unwrap(0)
	step := int64(1) << (bits - 2)
	for v := step; v < at; v += step {
		u.Unwrap(uint64(v))
	}
	u.Unwrap(uint64(at))
	return u
}
