package hls

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	slashpath "path"
	"strings"
	"sync"
)

// recordExtension is that of a recording's playlist.
const recordExtension = ".m3u8"

// A recording writes all segments to a folder, and a playlist of type VOD beside
// that, which has a leading dot until close. It writes at once; after the first
// error nothing more. A nil one writes nothing.
type recording struct {
	dir   *rootFolder
	name  string   // of the playlist
	files []string // that were stored
	last  string   // the newest segment if the playlist does not have it yet, else ""
	shown bool     // there is a playlist

	mu     sync.Mutex // guards what follows
	err    error      // the first
	failed uint64
}

// newRecording begins a recording in a folder, which it makes. There must be none
// of that name.
func newRecording(dir, name string) (*recording, error) {
	if !isRecordName(name) {
		return nil, fmt.Errorf("hls: recording %q: %w", name, fs.ErrInvalid)
	}
	r := &recording{dir: &rootFolder{path: dir}, name: name}
	root, err := r.dir.opened(true)
	if err != nil {
		return nil, fmt.Errorf("hls: recording: %w", err)
	}
	for _, name := range []string{name, hiddenName(name), recordedFolder(name)} {
		_, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = fmt.Errorf("%s: %w", name, fs.ErrExist)
		}
		r.dir.forget()
		return nil, fmt.Errorf("hls: recording: %w", err)
	}
	return r, nil
}

// maxRecordName is the length of a name in bytes. That of the folder can be three
// times as long.
const maxRecordName = 80

// isRecordName reports whether a recording's playlist can be called name: it is
// one element of a path, everywhere, and not hidden.
func isRecordName(name string) bool {
	stem, ok := strings.CutSuffix(name, recordExtension)
	if !ok || stem == "" || stem[0] == '.' || len(name) > maxRecordName {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r < 0x20 || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r)
	})
}

// recordedFolder returns the name of the folder with the segments of a recording.
// Where that of the recording could not stand in a URI as it is, bytes are written
// as ~20: players disagree on whether %20 in a playlist on disk means a space.
func recordedFolder(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.TrimSuffix(name, recordExtension)) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', isDigit(c), c == '-', c == '_', c == '.':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "~%02X", c)
		}
	}
	return b.String()
}

// hiddenName returns what a recording is called while it is made.
func hiddenName(name string) string { return "." + name }

// store writes a file, which is complete.
func (r *recording) store(f *file) {
	if r == nil || r.failure() != nil {
		return
	}
	if err := r.dir.write(f.name, f.content.Load().data); err != nil {
		r.fail(err)
		return
	}
	if f.reused { // an initialization segment
		r.files = append(r.files, f.name)
	} else {
		r.last = f.name
	}
	f.stored.Store(true)
}

// list writes the playlist, which has what was stored.
func (r *recording) list(text []byte) {
	if r.failure() != nil {
		return
	}
	if err := r.dir.write(hiddenName(r.name), text); err != nil {
		r.fail(err)
		return
	}
	if r.shown = true; r.last != "" {
		r.files, r.last = append(r.files, r.last), ""
	}
}

// open opens a file that was stored.
func (r *recording) open(name string) (fs.File, error) { return r.dir.open(name) }

// forget gives the folder up; open opens it again.
func (r *recording) forget() {
	if r != nil {
		r.dir.forget()
	}
}

// failure returns why no more is written, nil if it is.
func (r *recording) failure() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// errors returns how many files were not written.
func (r *recording) errors() uint64 {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recording) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
	r.err = fmt.Errorf("hls: recording: %w", err)
}

// close makes the recording last and gives it its name. Without a segment nothing
// is left of it.
func (r *recording) close() error {
	if r == nil {
		return nil
	}
	defer r.forget()
	root, err := r.dir.opened(false)
	if err != nil {
		return errors.Join(r.failure(), fmt.Errorf("hls: recording: %w", err))
	}
	if !r.shown {
		return errors.Join(r.failure(), removeRecording(root, r.name))
	}
	errs := []error{r.failure()}
	if r.last != "" { // the disk was full before the playlist had it
		errs = append(errs, root.Remove(r.last))
	}
	for _, name := range append(r.files, hiddenName(r.name)) {
		errs = append(errs, syncFile(root, name))
	}
	errs = append(errs, root.Rename(hiddenName(r.name), r.name))
	syncFolder(root, recordedFolder(r.name))
	syncFolder(root, ".")
	return errors.Join(errs...)
}

// syncFile has a file survive a power cut.
func syncFile(root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_RDWR, 0) // Windows syncs only what can be written
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncFolder has the names in a folder survive a power cut, where systems know how.
func syncFolder(root *os.Root, name string) {
	f, err := root.Open(name)
	if err != nil {
		return
	}
	_ = f.Sync()
	_ = f.Close()
}

// RemoveRecording removes a recording from a folder, complete or not: its playlist
// and its segments, whatever else their folder has is left. Nothing outside of dir
// is touched, nor what symbolic links lead to. A recording that is not there is
// removed.
func RemoveRecording(dir, name string) error {
	if !isRecordName(name) {
		return fmt.Errorf("hls: recording %q: %w", name, fs.ErrInvalid)
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hls: recording: %w", err)
	}
	defer root.Close()
	if err := removeRecording(root, name); err != nil {
		return fmt.Errorf("hls: recording: %w", err)
	}
	return nil
}

func removeRecording(root *os.Root, name string) error {
	var errs []error
	remove := func(name string) {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, n := range []string{name, hiddenName(name)} {
		remove(n)
		remove(temporaryName(n))
	}
	folder := recordedFolder(name)
	if i, err := root.Lstat(folder); err != nil || !i.IsDir() {
		return errors.Join(errs...)
	}
	d := &rootFolder{root: root}
	d.each(root, folder, func(name string, dir bool) {
		if !dir && isRecorded(slashpath.Base(name)) {
			remove(name)
		}
	})
	_ = root.Remove(folder) // if it is empty
	return errors.Join(errs...)
}

// isRecorded reports whether a recording calls a file so that is in its folder.
func isRecorded(name string) bool {
	name, _ = finished(name)
	stem, extension := strings.TrimSuffix(name, slashpath.Ext(name)), slashpath.Ext(name)
	switch extension {
	case TS.extension():
		return isNumber(stem)
	case FMP4.extension():
		return isNumber(stem) || isInit(name)
	}
	return false
}
