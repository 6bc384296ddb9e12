package keysearch

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// maxTries is how many keys that turn out to be none a Seek tries to do without.
const maxTries = 8

// A File reads the frames of a file from any of its keys. Close may be called at
// any time, the rest by one goroutine.
type File struct {
	Index *Index
	// Restart makes Read go on at a key. Times get its Shift.
	Restart func(Key) error
	// Read returns the next frame.
	Read func(ctx context.Context) (*codec.Frame, error)
	// IsSought reports whether a frame is of the track that is sought by.
	IsSought func(*codec.Frame) bool
	// Input is what Read reads from.
	Input *Input

	landed *codec.Frame  // by Seek, to be given out
	from   time.Duration // frames before it are left out
}

// ReadFrame returns the next frame.
func (f *File) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if err := f.check(ctx); err != nil {
		return nil, err
	}
	if l := f.landed; l != nil {
		f.landed = nil
		return l, nil
	}
	for {
		fr, err := f.Read(ctx)
		if err != nil {
			return nil, err
		}
		if fr.DTS >= f.from || fr.Track.Wire != "" { // times of opaque tracks may be anything
			return fr, nil
		}
	}
}

// check returns an error if there is nothing to be read any more.
func (f *File) check(ctx context.Context) error {
	if f.Input.closed.Load() {
		return source.ErrClosed
	}
	return ctx.Err()
}

// Seek goes to the last key frame at or before t, the first of all if there is
// none, and returns its time. A file without key frames is read from its
// beginning.
func (f *File) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	if err := f.check(ctx); err != nil {
		return 0, err
	}
	for tries := 1; ; tries++ {
		k, ok, err := f.Index.Find(ctx, t)
		if err != nil {
			return 0, err
		}
		if !ok {
			k.At = f.Index.From
		}
		last := !ok || tries == maxTries || k.Time <= f.Index.first.Time
		fr, err := f.land(ctx, k)
		switch {
		case errors.Is(err, io.EOF) && last: // ReadFrame will say so
			return k.Time, nil
		case err != nil && !errors.Is(err, io.EOF):
			return 0, err
		case err == nil && (last || fr.Key()):
			fr.Flags |= codec.FlagDiscont
			f.landed, f.from = fr, fr.DTS
			return fr.DTS, nil
		}
		t = k.Time - 1
	}
}

// land goes to k and returns the first frame there of the track that is sought by.
func (f *File) land(ctx context.Context, k Key) (*codec.Frame, error) {
	f.landed, f.from = nil, 0
	if err := f.Restart(k); err != nil {
		return nil, err
	}
	for {
		if fr, err := f.Read(ctx); err != nil || f.IsSought(fr) {
			return fr, err
		}
	}
}

// Close closes what is read from.
func (f *File) Close() error { return f.Input.Close() }
