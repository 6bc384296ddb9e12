package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A Sink writes recordings of what is copied to it, one for each Create. Unlike a
// recording of Recorders its Writer writes at once: a slow disk holds up who writes,
// and its errors are told. The zero value writes MP4 below "www".
type Sink struct {
	Key     source.Key  // whose recordings they are
	App     string      // the folder of all recordings; "" means "record"
	Options Options     //
	Start   time.Time   // when the first frame came; zero means now
	OnEvent func(Event) // told of every finished file, by one goroutine at a time; nil: nobody is
}

// Create implements source.Sink. The first key frame makes the first file.
func (s *Sink) Create(_ context.Context, tracks []*codec.Track) (source.Writer, error) {
	o := s.Options.withDefaults()
	return s.create(rootDisk(o.Root), o, tracks)
}

func (s *Sink) create(d disk, o Options, tracks []*codec.Track) (source.Writer, error) {
	n, err := newNaming(cmp.Or(s.App, defaultApp), s.Key, o)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	w, err := newWriter(d, n, o, tracks)
	if err != nil {
		return nil, err
	}
	out := &sinkWriter{w: w, start: s.Start}
	if out.start.IsZero() {
		out.start = time.Now()
	}
	w.finished = func(f File, err error) {
		out.mu.Lock()
		defer out.mu.Unlock()
		out.err = errors.Join(out.err, err)
		if f.Name != "" && s.OnEvent != nil {
			s.OnEvent(Event{Kind: EventFinished, Key: s.Key, Format: o.Format, File: f})
		}
	}
	return out, nil
}

// A sinkWriter is what a Sink creates.
type sinkWriter struct {
	w      *writer
	start  time.Time     // when the first frame came
	first  time.Duration // its DTS
	begun  bool
	closed bool

	mu  sync.Mutex
	err error // of finished files; guarded by mu
}

// WriteFrame implements source.Writer.
func (s *sinkWriter) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if s.closed {
		return fmt.Errorf("record: %w", source.ErrClosed)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !s.begun {
		s.begun, s.first = true, f.DTS
	}
	return s.w.write(ctx, f, s.start.Add(f.DTS-s.first))
}

// Close finishes the last file. It returns what went wrong with any.
func (s *sinkWriter) Close() error {
	s.closed = true
	s.w.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
