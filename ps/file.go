package ps

import (
	"bytes"
	"context"
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
// Times begin at 0. Seek halves the file until it finds the place; only KeyTimes goes
// through all of it, once. A context that ends does not close the file. What the
// streams carry is found out before the first frame, so that none is lost by that, as
// a [Reader] may where no map tells it.
type File struct {
	r    *Reader
	file pes.File
	next [4]byte // what is looked at in search for a header

	// At the beginning.
	table   []byte // the program stream map
	mapped  bool
	streams []demuxStream
}

// NewFile opens a file of that size. Closing the File closes r if that is an
// io.Closer; an error here leaves it open. Errors about the contents wrap
// [ErrInvalid].
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	in := keysearch.NewInput(r, size)
	f := &File{r: NewReader(in)}
	f.file = pes.File{
		In: &f.r.in, File: in, Units: &f.r.demux.units,
		Scan: f.scanPackets, Begun: f.begun, Reset: f.reset,
	}
	if err := f.file.Open(size); err != nil {
		return nil, err
	}
	return f, nil
}

// Tracks returns the tracks known so far.
func (f *File) Tracks() []*codec.Track { return f.r.Tracks() }

// ReadFrame returns the next frame, as that of a [Reader] does.
func (f *File) ReadFrame(ctx context.Context) (*codec.Frame, error) { return f.file.ReadFrame(ctx) }

// Seek goes to the last key frame of the first video track at or before t whose PES
// packet tells its time, without video to the last frame of which one does; to the
// first there is if there is none. Seeking works at the end of the file, too.
func (f *File) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	return f.file.Seek(ctx, t)
}

// Duration returns the length of the file.
func (f *File) Duration() time.Duration { return f.file.Duration() }

// KeyTimes returns the times of the key frames.
func (f *File) KeyTimes(ctx context.Context) ([]time.Duration, error) { return f.file.KeyTimes(ctx) }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// begun notes what streams there are at the beginning.
func (f *File) begun() {
	d := &f.r.demux
	f.table, f.mapped = bytes.Clone(d.table), d.mapped
	for _, s := range d.streams {
		if s.units != nil {
			f.streams = append(f.streams, *s)
		}
	}
}

// reset makes the Demuxer ready to read on from another place. Streams that were
// found elsewhere stay.
func (f *File) reset() {
	d := &f.r.demux
	d.Flush(nil)
	if !bytes.Equal(d.table, f.table) {
		d.table, d.mapped = bytes.Clone(f.table), f.mapped
	}
	for i := range f.streams {
		begun := &f.streams[i]
		s := d.streamOf(begun.key, false)
		s.said, s.mapped = begun.said, begun.mapped
		if s.units == nil || s.entry.Content != begun.entry.Content || s.entry.StreamType != begun.entry.StreamType {
			s.probe = probe{}
			d.setContent(s, begun.entry)
		}
	}
	d.units.Frames = nil
}
