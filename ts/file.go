package ts

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/keysearch"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// A File reads a file from any place in it. It is a source.Reader, a source.Seeker
// and a source.KeyIndexer. Close may be called at any time, the rest by one
// goroutine.
//
// It reads the program that comes first. Times begin at 0. Seek halves the file
// until it finds the place; only KeyTimes goes through all of it, once. A context
// that ends does not close the file.
type File struct {
	r    *Reader
	in   *keysearch.Input
	file keysearch.File

	scan     keysearch.Window
	table    []byte        // the PMT at the beginning
	zero     time.Duration // DTS of the first frame as the stream has it
	id       int           // of the track that is sought by
	sought   pes.Content   // of it
	pid      uint16        // and its PID
	measured []uint16      // those of all tracks whose times count
}

// NewFile opens a file of that size. Closing the File closes r if that is an
// io.Closer; an error here leaves it open. Errors about the contents wrap
// [ErrInvalid].
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	f := &File{in: keysearch.NewInput(r, size)}
	if err := f.open(size); err != nil {
		return nil, err
	}
	return f, nil
}

// open finds out what the file has and goes to its beginning.
func (f *File) open(size int64) error {
	f.scan.Input = f.in
	f.r = NewReader(f.in)
	f.r.in.Buffer = make([]byte, fileBuffer)
	f.r.in.Ahead.Ready = func() bool { return true }
	if err := f.begin(); err != nil {
		return err
	}
	x := &keysearch.Index{
		To: size, Scan: f.scanPackets, Every: f.sought.Codec.Kind() != codec.KindVideo,
		MaxAhead: codec.FromTicks(pes.ClockJump, pes.ClockRate),
	}
	f.file = keysearch.File{
		Index: x, Input: f.in, Restart: f.restart, Read: f.r.ReadFrame,
		IsSought: func(fr *codec.Frame) bool { return fr.Track.ID == f.id },
	}
	if err := x.Open(context.Background()); err != nil {
		return err
	}
	return f.restart(keysearch.Key{})
}

// Tracks returns the tracks known so far.
func (f *File) Tracks() []*codec.Track { return f.r.Tracks() }

// ReadFrame returns the next frame, as that of a [Reader] does.
func (f *File) ReadFrame(ctx context.Context) (*codec.Frame, error) { return f.file.ReadFrame(ctx) }

// Seek goes to the last key frame of the first video track at or before t, without
// video to the last frame that its PES packet tells the time of; to the first there
// is if there is none. Seeking works at the end of the file, too.
func (f *File) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	return f.file.Seek(ctx, t)
}

// Duration returns the length of the file.
func (f *File) Duration() time.Duration { return f.file.Index.Duration() }

// KeyTimes returns the times of the key frames.
func (f *File) KeyTimes(ctx context.Context) ([]time.Duration, error) { return f.file.Index.Times(ctx) }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// begin finds the tracks and the time of the first frame.
func (f *File) begin() error {
	ctx := context.Background()
	tracks := f.r.Tracks()
	if _, err := f.r.ReadFrame(ctx); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	f.zero = -f.r.in.Times.Shift()
	d := &f.r.demux
	f.table = bytes.Clone(d.table)
	for i, t := range tracks {
		if video := t.Kind() == codec.KindVideo; i == 0 || video && f.sought.Codec.Kind() != codec.KindVideo {
			f.id, f.sought.Codec = t.ID, t.Codec
		}
	}
	for _, s := range d.streams {
		if s.ID == f.id {
			f.pid, f.sought = s.Key, s.Content
		}
		if !s.Passes() {
			f.measured = append(f.measured, s.Key)
		}
	}
	return nil
}

// restart reads on from a key.
func (f *File) restart(k keysearch.Key) error {
	f.in.Set(k.At, f.file.Index.To)
	r, d := f.r, &f.r.demux
	d.Flush(nil)
	if !bytes.Equal(d.table, f.table) {
		d.table = nil
		d.takePMT(f.table)
		d.units.Frames = nil
	}
	d.units.Resume(keysearch.Unwrapper(33, max(codec.Ticks(f.zero+k.Time-k.Shift, pes.ClockRate), 0)))
	r.in.Ahead.Restart()
	r.in.Times.Resume(k.Shift-f.zero, k.Time)
	f.scan.Forget() // it takes a while until it is needed again
	return nil
}

// timeOf returns a time in ticks since the first frame. Some frames may be earlier.
func (f *File) timeOf(ticks uint64) time.Duration {
	const before = 10 * 60 * pes.ClockRate
	zero := codec.Ticks(f.zero, pes.ClockRate)
	after := int64((ticks-uint64(zero)+before)&pes.MaxTicks) - before
	return codec.FromTicks(zero+after, pes.ClockRate) - f.zero
}
