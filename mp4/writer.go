package mp4

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

const (
	usualFragment   = 2 * time.Second
	maxFragmentData = 16 << 20 // bytes of frames that wait to be written
	maxFragmentSize = 16 << 10 // frames of a fragment
	writeLen        = 256 << 10
)

// A Layout says how the file of a [Writer] is laid out once it was closed. Until
// then each is in fragments that any player reads as far as they go.
type Layout uint8

// The layouts.
const (
	LayoutProgressive Layout = iota // the movie box last; made without copying the media
	LayoutFastStart                 // the movie box first; Close moves the media, and must not be interrupted
	LayoutFragmented                // stays in fragments
)

// WriterOptions are what can be chosen of a [Writer].
type WriterOptions struct {
	Layout           Layout
	FragmentDuration time.Duration // of a fragment, of which one is lost at most when the process dies; 0 means 2 s
	Sync             bool          // Close makes sure that the disk has all, if the file has a Sync method
	SyncFragments    bool          // and each fragment, too
}

// A Writer writes an MP4 file. It is a source.Writer. Frames are written in
// fragments: a file that was not closed has all but the last one. A fragment ends
// before a key frame of video, or where it has lasted so long. The first frame's
// DTS becomes 0.
//
// New parameters of a track and a track that comes late cannot be written
// (source.ErrNewFormat); the Writer stays as it was and has to be closed. After
// any other error it writes no more, and Close makes a whole file of what was
// written, as far as that succeeds.
type Writer struct {
	w      io.Writer
	o      WriterOptions
	mux    *Muxer
	lists  []*listing // of the tracks of mux; none if the file stays in fragments
	buf    []byte
	head   int64 // position of the box that becomes the mdat
	pos    int64 // behind the last whole fragment
	begin  time.Duration
	open   bool          // there are frames that begin at begin
	last   time.Duration // DTS of the newest frame
	first  time.Duration // of the first
	begun  bool
	err    error // sticks
	closed bool
}

// NewWriter returns a Writer of the tracks that MP4 can carry and that are ready;
// others are left out. Without any the error wraps source.ErrUnsupported. w must
// be an io.Seeker, for LayoutFastStart an io.ReaderAt too (as an *os.File is),
// unless Layout is LayoutFragmented, and at its beginning. Close closes w if that
// is an io.Closer; an error here does not. A nil o means the zero value.
func NewWriter(w io.Writer, tracks []*codec.Track, o *WriterOptions) (*Writer, error) {
	x := &Writer{w: w}
	if o != nil {
		x.o = *o
	}
	if x.o.FragmentDuration <= 0 {
		x.o.FragmentDuration = usualFragment
	}
	_, seeks := w.(io.Seeker)
	_, reads := w.(io.ReaderAt)
	if x.o.Layout != LayoutFragmented && !seeks || x.o.Layout == LayoutFastStart && !reads {
		return nil, unsupported("%T cannot be written twice", w)
	}
	var err error
	if x.mux, err = NewMuxer(tracks); err != nil {
		return nil, err
	}
	x.mux.rebase = true
	if err := x.start(); err != nil {
		return nil, fmt.Errorf("mp4: %w", err)
	}
	return x, nil
}

// start writes what the file begins with.
func (w *Writer) start() error {
	tracks := w.mux.Tracks()
	b := w.mux.Init()
	if w.o.Layout != LayoutFragmented {
		for _, t := range tracks {
			w.lists = append(w.lists, &listing{scale: scaleOf(t)})
		}
		ftyp := appendFileType(nil, fileBrands, tracks)
		w.head = int64(len(ftyp))
		init := appendInit(nil, tracks)
		b = appendHeader(ftyp, bigHeader, "free")
		b = appendZeros(b, bigHeader-boxHeader)
		b = append(b, init[len(appendFileType(nil, brands, tracks)):]...)
	}
	if err := w.write(b); err != nil {
		return err
	}
	w.pos = int64(len(b))
	return nil
}

// fileBrands are what a file conforms to, in fragments and without.
const fileBrands = "isom" + "iso2" + "iso5" + "iso6" + "mp41"

// Tracks returns the tracks that are written.
func (w *Writer) Tracks() []*codec.Track { return w.mux.Tracks() }

// Size returns how many bytes were written so far.
func (w *Writer) Size() int64 { return w.pos }

// Duration returns the time from the first frame to the newest.
func (w *Writer) Duration() time.Duration { return w.last - w.first }

// WriteFrame adds a frame. A frame of a track that is not carried is left out.
func (w *Writer) WriteFrame(ctx context.Context, f *codec.Frame) error {
	switch {
	case w.closed:
		return source.ErrClosed
	case w.err != nil:
		return w.err
	}
	due := w.open && w.due(f)
	if due && ctx.Err() != nil {
		return ctx.Err()
	}
	if err := w.mux.Add(f); err != nil {
		return err
	}
	if !w.begun {
		w.begun, w.first, w.last = true, f.DTS, f.DTS
	}
	w.last = max(w.last, f.DTS)
	if due {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if !w.open {
		w.open, w.begin = true, f.DTS
	}
	return nil
}

// due reports whether a fragment ends before f.
func (w *Writer) due(f *codec.Frame) bool {
	lasted := f.DTS - w.begin
	return lasted >= w.o.FragmentDuration || lasted >= w.o.FragmentDuration/2 && f.Key() && f.Track.Kind() == codec.KindVideo ||
		w.mux.bytes+int64(len(f.Data)) > maxFragmentData || w.mux.ready >= maxFragmentSize
}

// Flush writes the fragment that is open. The newest frame of each track stays for
// the next one, for it is not known yet how long it lasts.
func (w *Writer) Flush() error {
	if w.err != nil {
		return w.err
	}
	if w.mux.ready == 0 {
		return nil
	}
	w.open = false
	if err := w.writeFragment(); err != nil {
		w.err = fmt.Errorf("mp4: %w", err)
		return w.err
	}
	return nil
}

// writeFragment writes the frames that are ready: the small ones together, a large
// one as it is.
func (w *Writer) writeFragment() error {
	if w.buf == nil {
		w.buf = make([]byte, 0, writeLen)
	}
	b, all := w.mux.appendHead(w.buf[:0])
	var err error
	put := func(data []byte) {
		if err == nil && len(b)+len(data) > writeLen {
			err = w.write(b)
			b = b[:0]
		}
		if err == nil && len(data) > writeLen {
			err = w.write(data)
			return
		}
		b = append(b, data...)
	}
	for _, t := range w.mux.tracks {
		for _, s := range t.ready {
			put(t.setsOf(s.frame))
			put(s.frame.Data)
		}
	}
	if err == nil {
		err = w.write(b)
	}
	if err == nil && w.o.SyncFragments {
		err = w.sync()
	}
	if cap(b) <= 2*writeLen {
		w.buf = b
	}
	if err != nil {
		return err
	}
	w.list(int64(all))
	w.mux.forget()
	w.pos += int64(all)
	return nil
}

// list adds the samples of the fragment, which has so many bytes.
func (w *Writer) list(all int64) {
	at := w.pos + all
	for i := len(w.lists) - 1; i >= 0; i-- { // from the end, which is known
		l, t := w.lists[i], w.mux.tracks[i]
		if len(t.ready) == 0 {
			continue
		}
		for _, s := range t.ready {
			n := t.sizeOf(s)
			at -= int64(n)
			l.add(listed{
				size: uint32(n), duration: s.duration, composed: w.mux.composedOf(t, s),
				key: s.frame.Key() || t.track.Kind() == codec.KindAudio, disposable: s.frame.Has(codec.FlagDisposable),
			}, s.dts)
		}
		l.chunks = append(l.chunks, chunk{at, uint32(len(t.ready))})
	}
}

// write writes all of b.
func (w *Writer) write(b []byte) error {
	n, err := w.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// sync asks the system to write to the disk what was written, if the file can.
func (w *Writer) sync() error {
	if s, ok := w.w.(interface{ Sync() error }); ok {
		return s.Sync()
	}
	return nil
}

// Close writes what is left, lays the file out, and closes it. The file is in
// fragments until that has succeeded.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	err := w.err
	if err == nil {
		w.mux.Flush()
		err = w.Flush()
	}
	if failed := w.finish(err != nil); failed != nil {
		err = errors.Join(err, fmt.Errorf("mp4: %w", failed))
	}
	if c, ok := w.w.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return err
}
