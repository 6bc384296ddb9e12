package main

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/mp4"
)

// What is sought in: two hours, a fortieth of that with -quick.
const (
	seekFilm      = 2 * time.Hour
	seekFilmQuick = 3 * time.Minute
	seekCount     = 200
	seekOpened    = 50 // files that are open at once to see what one takes
)

// measureSeek measures how long it takes to have the first frame after a Seek in a
// file that was just written, and what it takes to open one.
func measureSeek(o options, progress func(format string, args ...any)) (all []seeking, err error) {
	dir, err := filmFolder()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	length := seekFilm
	if o.quick {
		length = seekFilmQuick
	}
	for _, film := range []struct {
		name   string
		layout mp4.Layout
	}{{"MP4", mp4.LayoutProgressive}, {"fMP4", mp4.LayoutFragmented}} {
		path := filepath.Join(dir, "film.mp4")
		if err := writeSeekFilm(path, length, film.layout); err != nil {
			return nil, err
		}
		s := seeking{Name: film.name, Length: length}
		if info, err := os.Stat(path); err == nil {
			s.Bytes = info.Size()
		}
		if err := s.open(path); err != nil {
			return nil, err
		}
		if err := s.seek(path); err != nil {
			return nil, err
		}
		progress("seek in %v of %s: first frame after %v at most", length, film.name, s.most())
		all = append(all, s)
	}
	return all, nil
}

// writeSeekFilm writes a film with B frames and a key frame every two seconds.
func writeSeekFilm(path string, length time.Duration, layout mp4.Layout) error {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Bitrate: 500_000}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w, err := mp4.NewWriter(f, s.Tracks(), &mp4.WriterOptions{Layout: layout})
	if err != nil {
		return err
	}
	for frame := range s.Frames() {
		if frame.DTS >= length {
			break
		}
		if err := w.WriteFrame(context.Background(), frame); err != nil {
			return err
		}
	}
	return w.Close()
}

// openFilm opens a film.
func openFilm(path string) (*mp4.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return mp4.NewFile(f, info.Size())
}

// open measures opening.
func (s *seeking) open(path string) error {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	files := make([]*mp4.File, seekOpened)
	for i := range files {
		began := time.Now()
		f, err := openFilm(path)
		if err != nil {
			return err
		}
		s.Open = append(s.Open, time.Since(began))
		defer f.Close()
		files[i] = f
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	s.Memory = (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / seekOpened
	runtime.KeepAlive(files)
	return nil
}

// seek measures seeking to anywhere.
func (s *seeking) seek(path string) error {
	f, err := openFilm(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := rand.New(rand.NewPCG(1, 1))
	for range seekCount {
		to := time.Duration(r.Int64N(int64(s.Length)))
		began := time.Now()
		if _, err := f.Seek(context.Background(), to); err != nil {
			return err
		}
		if _, err := f.ReadFrame(context.Background()); err != nil {
			return err
		}
		s.Seeks = append(s.Seeks, time.Since(began))
	}
	return nil
}
