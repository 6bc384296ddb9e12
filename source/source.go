package source

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A Reader is a stream that can be read frame by frame. One goroutine at a time
// may read; Close may be called from any.
type Reader interface {
	// Tracks returns the tracks known so far; complete before the first frame
	// unless the stream gains one later, which its first frame announces.
	Tracks() []*codec.Track
	// ReadFrame returns the next frame in DTS order, or io.EOF at a graceful
	// end. The caller must not modify the frame; it may keep it.
	ReadFrame(ctx context.Context) (*codec.Frame, error)
	// Close ends the reading; a blocked ReadFrame returns.
	Close() error
}

// A Writer is a stream that can be written frame by frame. One goroutine at a
// time may write.
type Writer interface {
	// WriteFrame writes the next frame. DTS must not fall within a track. The
	// writer may keep the frame; the caller must not change it afterwards.
	WriteFrame(ctx context.Context, f *codec.Frame) error
	// Close says goodbye: what is buffered is flushed, the peer is told.
	Close() error
}

// A Source can be opened for reading, any number of times: an RTSP URL, an MP4
// file, a stream of a hub.
type Source interface {
	Open(ctx context.Context) (Reader, error)
}

// A SourceFunc is a function used as a Source.
type SourceFunc func(ctx context.Context) (Reader, error)

// Open calls f.
func (f SourceFunc) Open(ctx context.Context) (Reader, error) { return f(ctx) }

// A Sink can be created for writing: an RTMP URL, a recording, an HLS output.
type Sink interface {
	Create(ctx context.Context, tracks []*codec.Track) (Writer, error)
}

// A SinkFunc is a function used as a Sink.
type SinkFunc func(ctx context.Context, tracks []*codec.Track) (Writer, error)

// Create calls f.
func (f SinkFunc) Create(ctx context.Context, tracks []*codec.Track) (Writer, error) {
	return f(ctx, tracks)
}

// A Seeker is the ability of a Reader to go to another time. Find it with [As].
type Seeker interface {
	// Seek goes to the key frame at or before t and returns its time. The next
	// frame read is that one, with FlagKey and FlagDiscont.
	Seek(ctx context.Context, t time.Duration) (time.Duration, error)
	// Duration returns the length of the stream; 0 while unknown.
	Duration() time.Duration
}

// A Pauser is the ability of a Reader to stand still. Find it with [As].
type Pauser interface {
	Pause(paused bool) error
}

// A Speeder is the ability of a Reader to play faster or slower. Find it with [As].
type Speeder interface {
	// SetSpeed sets the speed; 1 is the natural one, 0.1 to 20 are accepted.
	SetSpeed(speed float64) error
}

// As finds the first in r's chain of wrappers that has the ability T. The chain
// is r and what its Unwrap() Reader method returns, and so on, as with errors.As.
func As[T any](r Reader) (T, bool) {
	for r != nil {
		if t, ok := r.(T); ok {
			return t, true
		}
		u, ok := r.(interface{ Unwrap() Reader })
		if !ok {
			break
		}
		r = u.Unwrap()
	}
	var zero T
	return zero, false
}

// Copy writes all that r yields to w until r ends, which returns nil, or either
// fails. It closes neither.
func Copy(ctx context.Context, w Writer, r Reader) error {
	for {
		f, err := r.ReadFrame(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.WriteFrame(ctx, f); err != nil {
			return err
		}
	}
}

// Frames yields the frames of r until its graceful end; an error is yielded
// once, with a nil frame, and ends the sequence. It does not close r.
func Frames(ctx context.Context, r Reader) iter.Seq2[*codec.Frame, error] {
	return func(yield func(*codec.Frame, error) bool) {
		for {
			f, err := r.ReadFrame(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// Filter returns a Reader that passes each frame of r through fn, which returns
// a frame (the same or a new one), nil to leave it out, or an error that ends
// the stream. It has no Unwrap: viewers of it share no bytes with those of r.
func Filter(r Reader, fn func(*codec.Frame) (*codec.Frame, error)) Reader {
	return &filter{r: r, fn: fn}
}

type filter struct {
	r  Reader
	fn func(*codec.Frame) (*codec.Frame, error)
}

func (f *filter) Tracks() []*codec.Track { return f.r.Tracks() }
func (f *filter) Close() error           { return f.r.Close() }

func (f *filter) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	for {
		in, err := f.r.ReadFrame(ctx)
		if err != nil {
			return nil, err
		}
		if out, err := f.fn(in); out != nil || err != nil {
			return out, err
		}
	}
}
