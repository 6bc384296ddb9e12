package pes

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mediakit-go/mediakit/codec"
)

// An Output collects what a Muxer makes and writes it: the Writers of both
// containers are one.
type Output struct {
	Name string // of the package, in errors
	W    io.Writer

	buf    []byte
	closed bool
	err    error // sticks
}

// A Muxer makes bytes of frames.
type Muxer interface {
	Append(dst []byte, f *codec.Frame) ([]byte, error)
}

// WriteFrame writes what m makes of f once there are so many bytes.
func (o *Output) WriteFrame(ctx context.Context, m Muxer, f *codec.Frame, buffer int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.err != nil {
		return o.err
	}
	var err error
	if o.buf, err = m.Append(o.buf, f); err != nil || len(o.buf) < buffer {
		return err
	}
	return o.Flush()
}

// Flush writes what was collected.
func (o *Output) Flush() error {
	if o.err != nil || len(o.buf) == 0 {
		return o.err
	}
	if _, err := o.W.Write(o.buf); err != nil {
		o.err = fmt.Errorf("%s: write: %w", o.Name, err)
	}
	o.buf = o.buf[:0]
	return o.err
}

// Close writes what was collected and end, and closes W if it is an io.Closer. An
// error that was told before is not told again.
func (o *Output) Close(end []byte) error {
	if o.closed {
		return nil
	}
	o.closed = true
	var err error
	if o.err == nil {
		o.buf = append(o.buf, end...)
		err = o.Flush()
	}
	if c, ok := o.W.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	if o.err == nil {
		o.err = fmt.Errorf("%s: %w", o.Name, io.ErrClosedPipe)
	}
	return err
}
