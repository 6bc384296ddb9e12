package flv

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
)

// A Writer writes a file or a pipe.
type Writer struct {
	// Buffer is how many bytes are collected before they are written; 0 makes each
	// frame one Write.
	Buffer int
	// Form chooses the codec ids. It must not change after the first frame.
	Form Form

	w      io.Writer
	tracks []*codec.Track // those NewWriter was given
	mux    *BodyMuxer     // nil until the header was written
	bodies []Body
	buf    []byte

	file        io.WriteSeeker // nil if w cannot seek
	start, size int64          // of what was written, in file
	first, last time.Duration  // DTS of the first frame, end of the last
	begun       bool
	keys        keyTableWriter
	err         error // sticks
}

// NewWriter returns a Writer of a stream with these tracks, which the FLV header
// and the metadata announce; the header goes out with the first frame. Tracks
// FLV has no code for are left out, see [BodyMuxer.Carries].
func NewWriter(w io.Writer, tracks []*codec.Track) *Writer {
	return &Writer{w: w, tracks: tracks}
}

// WriteFrame writes f. Times are written as they are, in milliseconds.
func (w *Writer) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	w.bodies, w.err = w.mux.Append(w.bodies[:0], f)
	for i := range w.bodies {
		if err := checkTag(&w.bodies[i]); err != nil {
			return err
		}
	}
	for i := range w.bodies {
		b := &w.bodies[i]
		if b.Key && b.Type == TagVideo && w.file != nil {
			w.keys.add(b.DTS, w.size+int64(len(w.buf)))
		}
		w.buf = appendTag(w.buf, b)
	}
	if len(w.bodies) == 0 {
		return w.err
	}
	if !w.begun {
		w.begun, w.first = true, f.DTS
	}
	w.last = max(w.last, f.DTS+codec.FrameDuration(f))
	clear(w.bodies)
	if len(w.buf) < w.Buffer {
		return nil
	}
	return w.Flush()
}

// Flush writes what was collected.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	err := w.write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// Close completes the metadata with duration, size and key frames if w can seek,
// and closes w if it is an io.Closer.
func (w *Writer) Close() error {
	err := w.begin()
	if err == nil {
		err = w.Flush()
	}
	if err == nil && w.file != nil {
		err = w.complete()
	}
	if c, ok := w.w.(io.Closer); ok {
		if cerr := c.Close(); err == nil {
			err = cerr
		}
	}
	if w.err == nil {
		w.err = fmt.Errorf("flv: %w", io.ErrClosedPipe)
	}
	return err
}

// begin writes the header, the first time.
func (w *Writer) begin() error {
	if w.mux != nil || w.err != nil {
		return w.err
	}
	w.mux = NewBodyMuxer(w.tracks, w.Form)
	if f, ok := w.w.(io.WriteSeeker); ok {
		if at, err := f.Seek(0, io.SeekCurrent); err == nil { // pipes have the method, but cannot
			w.file, w.start = f, at
		}
	}
	return w.write(w.header(0, 0))
}

// header returns what a file begins with. Its length does not depend on duration,
// size and key frames.
func (w *Writer) header(duration time.Duration, size int64) []byte {
	m := NewBodyMuxer(w.tracks, w.Form)
	bodies := m.Config()
	var keys amf.ECMAArray
	if w.file != nil && m.video != nil {
		keys = w.keys.properties()
	}
	bodies[0] = m.metadata(amf.ECMAArray{
		{Name: "duration", Value: duration.Seconds()},
		{Name: "filesize", Value: float64(size)},
	}, keys)
	b := appendFileHeader(nil, m.video != nil, m.audio != nil)
	for i := range bodies {
		b = appendTag(b, &bodies[i])
	}
	return b
}

// complete writes the header again, with what is known at the end.
func (w *Writer) complete() error {
	if w.err != nil {
		return w.err
	}
	if _, err := w.file.Seek(w.start, io.SeekStart); err != nil {
		return fmt.Errorf("flv: complete metadata: %w", err)
	}
	size := w.size
	if err := w.write(w.header(w.last-w.first, size)); err != nil {
		return err
	}
	_, err := w.file.Seek(w.start+size, io.SeekStart)
	return err
}

func (w *Writer) write(b []byte) error {
	n, err := w.w.Write(b)
	w.size += int64(n)
	if err != nil {
		w.err = fmt.Errorf("flv: write: %w", err)
	}
	return w.err
}
