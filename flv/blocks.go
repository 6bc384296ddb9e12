package flv

import (
	"bufio"
	"io"
)

// A byteSource is what a Reader reads from: a *bufio.Reader, or *blocks.
type byteSource interface {
	io.Reader
	Peek(n int) ([]byte, error)
	Discard(n int) (int, error)
	Buffered() int
	Reset(r io.Reader)
}

var _ byteSource = (*bufio.Reader)(nil)

// blockSize is how much of a file is read at once, in bytes, if what is asked for is
// not longer.
const blockSize = 128 << 10

// blocks reads a file in blocks that are never written to again: what it gives out
// lies in them, without a copy. Only what a block ends with is copied into the next.
type blocks struct {
	r    io.Reader
	rest []byte // read and not given out
	err  error  // behind rest
}

// Reset makes it read from r.
func (b *blocks) Reset(r io.Reader) { *b = blocks{r: r} }

// Buffered returns how many bytes can be had without reading.
func (b *blocks) Buffered() int { return len(b.rest) }

// Peek returns the next n bytes, less only with an error.
func (b *blocks) Peek(n int) ([]byte, error) {
	if len(b.rest) < n && b.err == nil {
		next := make([]byte, max(n, blockSize))
		have := copy(next, b.rest)
		for have < n && b.err == nil {
			var m int
			m, b.err = b.r.Read(next[have:])
			have += m
		}
		b.rest = next[:have]
	}
	if len(b.rest) < n {
		return b.rest, b.err
	}
	return b.rest[:n:n], nil
}

// take returns the next n bytes, which are the caller's.
func (b *blocks) take(n int) ([]byte, error) {
	v, err := b.Peek(n)
	b.rest = b.rest[len(v):]
	if err == io.EOF && len(v) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

// Discard leaves n bytes out.
func (b *blocks) Discard(n int) (int, error) {
	for left := n; ; {
		v, err := b.Peek(min(left, blockSize))
		b.rest = b.rest[len(v):]
		if left -= len(v); left == 0 || err != nil {
			return n - left, err
		}
	}
}

// Read reads into p.
func (b *blocks) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(b.rest) == 0 {
		if _, err := b.Peek(1); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}
