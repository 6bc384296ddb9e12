package player

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A rester is a medium that can close what it has open until it is used again. Who
// uses it then begins with Seek.
type rester interface{ Rest() }

// A sleeper is a file of an application that is a rester. After Rest it is opened again by its name, if
// that is still the name of the same file.
type sleeper struct {
	folder folder
	name   string
	info   fs.FileInfo // when it was opened first

	mu     sync.Mutex // guards what follows
	m      medium     // nil while it rests
	closed bool
	tracks []*codec.Track // of m, before it rested
	length time.Duration
}

// sleeper opens a file.
func (f folder) sleeper(name string) (medium, error) {
	m, info, err := f.medium(name)
	if err != nil {
		return nil, err
	}
	return &sleeper{folder: f, name: name, info: info, m: m}, nil
}

// medium opens a file, and tells which it is.
func (f folder) medium(name string) (medium, fs.FileInfo, error) {
	root, err := f.open()
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	m, err := openMedium(rootFiles{root, f}, name)
	return m, info, err
}

// use returns the medium, which does not rest any more.
func (f *sleeper) use() (medium, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, source.ErrClosed
	case f.m != nil:
		return f.m, nil
	}
	m, info, err := f.folder.medium(f.name)
	if err != nil {
		return nil, fmt.Errorf("player: %w", err)
	}
	if !os.SameFile(info, f.info) || info.Size() < f.info.Size() {
		_ = m.Close()
		return nil, fmt.Errorf("player: %s: %w: it is another file now", f.name, source.ErrNotFound)
	}
	f.m = m
	return m, nil
}

// Rest closes the file until it is used again.
func (f *sleeper) Rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m != nil && !f.closed {
		f.tracks, f.length = f.m.Tracks(), f.m.Duration()
		_ = f.m.Close()
		f.m = nil
	}
}

// Tracks implements source.Reader.
func (f *sleeper) Tracks() []*codec.Track {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		return f.tracks
	}
	return f.m.Tracks()
}

// ReadFrame implements source.Reader.
func (f *sleeper) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	m, err := f.use()
	if err != nil {
		return nil, err
	}
	return m.ReadFrame(ctx)
}

// Seek implements source.Seeker.
func (f *sleeper) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	m, err := f.use()
	if err != nil {
		return 0, err
	}
	return m.Seek(ctx, t)
}

// Duration implements source.Seeker.
func (f *sleeper) Duration() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		return f.length
	}
	return f.m.Duration()
}

// KeyTimes implements source.KeyIndexer.
func (f *sleeper) KeyTimes(ctx context.Context) ([]time.Duration, error) {
	m, err := f.use()
	if err != nil {
		return nil, err
	}
	return m.KeyTimes(ctx)
}

// Close implements source.Reader.
func (f *sleeper) Close() error {
	f.mu.Lock()
	m, closed := f.m, f.closed
	f.closed = true
	f.mu.Unlock()
	if m == nil || closed {
		return nil
	}
	return m.Close()
}
