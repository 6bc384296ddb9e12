package record

import (
	"fmt"
	"io"
)

// bufferSize is how much of what comes in small pieces is written at once.
const bufferSize = 64 << 10

// A buffer is a file that is written in large pieces. What a container's Writer
// closes is the buffer, not the file.
type buffer struct {
	f     file
	whole bool // who writes has large pieces, and wants to know at once
	buf   []byte
	at    int64 // where buf begins in the file
	size  int64 // of the file and what is in buf
	dirty bool  // written since the last Sync
	err   error // sticks
}

var _ file = (*buffer)(nil)

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	if b.whole || len(b.buf)+len(p) > bufferSize {
		if err := b.flush(); err != nil {
			return 0, err
		}
	}
	if b.whole || len(p) >= bufferSize {
		if err := b.write(p); err != nil {
			return 0, err
		}
	} else {
		if b.buf == nil {
			b.buf = make([]byte, 0, bufferSize)
		}
		b.buf = append(b.buf, p...)
	}
	b.size = max(b.size, b.at+int64(len(b.buf)))
	return len(p), b.err
}

// flush gives what is in the buffer to the operating system.
func (b *buffer) flush() error {
	if len(b.buf) == 0 || b.err != nil {
		return b.err
	}
	p := b.buf
	b.buf = b.buf[:0]
	return b.write(p)
}

func (b *buffer) write(p []byte) error {
	if b.err != nil {
		return b.err
	}
	b.dirty = true
	n, err := b.f.Write(p)
	b.at += int64(n)
	return b.fail(err)
}

func (b *buffer) fail(err error) error {
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("record: %w", err)
	}
	return err
}

// giveUp forgets what was not written, after an error. One who writes whole pieces
// knows which those are, and may try something else.
func (b *buffer) giveUp() {
	b.buf, b.size = b.buf[:0], b.at
	switch {
	case b.whole:
		b.err = nil
	case b.err == nil:
		b.err = fmt.Errorf("record: %w", io.ErrClosedPipe)
	}
}

// Seek implements io.Seeker.
func (b *buffer) Seek(offset int64, whence int) (int64, error) {
	if offset == 0 && whence == io.SeekCurrent {
		return b.at + int64(len(b.buf)), b.err
	}
	if err := b.flush(); err != nil {
		return 0, err
	}
	at, err := b.f.Seek(offset, whence)
	if b.fail(err) == nil {
		b.at = at
	}
	return at, err
}

// ReadAt implements io.ReaderAt.
func (b *buffer) ReadAt(p []byte, off int64) (int, error) {
	if err := b.flush(); err != nil {
		return 0, err
	}
	return b.f.ReadAt(p, off)
}

// WriteAt implements io.WriterAt.
func (b *buffer) WriteAt(p []byte, off int64) (int, error) {
	if err := b.flush(); err != nil {
		return 0, err
	}
	b.dirty = true
	n, err := b.f.WriteAt(p, off)
	b.size = max(b.size, off+int64(n))
	return n, b.fail(err)
}

// Truncate cuts the file.
func (b *buffer) Truncate(size int64) error {
	if err := b.flush(); err != nil {
		return err
	}
	b.dirty = true
	if err := b.fail(b.f.Truncate(size)); err != nil {
		return err
	}
	b.size = size
	return nil
}

// Sync flushes the file to the disk.
func (b *buffer) Sync() error {
	if err := b.flush(); err != nil {
		return err
	}
	if !b.dirty {
		return nil
	}
	b.dirty = false
	return b.fail(b.f.Sync())
}

// Close gives what is in the buffer to the operating system.
func (b *buffer) Close() error { return b.flush() }
