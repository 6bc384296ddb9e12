package record

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// A Retention says what is kept. The zero value keeps everything.
type Retention struct {
	MaxAge   time.Duration // of files, since their end; 0: any
	MaxBytes int64         // of all files together; 0: any
}

// A Cleaned is what was deleted.
type Cleaned struct {
	Files int
	Bytes int64
	Names []string // below Root, with slashes
}

// A kept is a finished recording on disk.
type kept struct {
	name string // below the root
	size int64
	end  time.Time // when it was written to last
}

// Clean deletes the oldest finished recordings as r says, or with dry tells only
// what would be deleted. Files are recordings if they are named and lie as those
// with dated names do; nothing else is deleted, no link is followed. Files in Root
// that are not finished count, but stay.
func (rs *Recorders) Clean(r Retention, dry bool) (Cleaned, error) {
	d := rs.root()
	v, err := d.view()
	if errors.Is(err, fs.ErrNotExist) {
		return Cleaned{}, nil
	}
	if err != nil {
		return Cleaned{}, fmt.Errorf("record: %w", err)
	}
	defer v.Close()
	var files []kept
	var total int64
	for _, dir := range rs.folders(v) {
		total += walk(v, dir, func(k kept) { files = append(files, k) })
	}
	slices.SortFunc(files, func(a, b kept) int { return a.end.Compare(b.end) })
	n := 0
	for _, k := range files {
		old := r.MaxAge > 0 && time.Since(k.end) > r.MaxAge
		if !old && (r.MaxBytes <= 0 || total <= r.MaxBytes) {
			break
		}
		total -= k.size
		n++
	}
	return discardFiles(d, files[:n], dry)
}

// discardFiles deletes files, or tells what it would.
func discardFiles(d disk, files []kept, dry bool) (c Cleaned, err error) {
	var errs []error
	for _, k := range files {
		if !dry {
			if err := removeRecording(d, k.name); err != nil {
				errs = append(errs, fmt.Errorf("record: %w", err))
				continue
			}
			d.tidy(path.Dir(k.name))
		}
		c.Files++
		c.Bytes += k.size
		c.Names = append(c.Names, k.name)
	}
	return c, errors.Join(errs...)
}

// walk calls fn with every finished recording below dir, and returns the size of
// all of them and of those that are not finished.
func walk(v fs.FS, dir string, fn func(kept)) (total int64) {
	_ = fs.WalkDir(v, dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has just gone, or is not ours to read
		}
		is, ok := parseName(path.Base(path.Dir(name)), e.Name())
		if !ok || !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		k := kept{name, info.Size(), info.ModTime()}
		if is.format.segmented() {
			k.size += segments(v, name)
		}
		total += k.size
		if is.written {
			fn(k)
		}
		return nil
	})
	return total
}

// segments returns the size of the segments of a playlist with a dated name.
func segments(v fs.FS, name string) (size int64) {
	dir := path.Join(path.Dir(name), strings.TrimPrefix(strings.TrimSuffix(path.Base(name), path.Ext(name)), "."))
	if !isFolder(v, dir) {
		return 0
	}
	entries, _ := fs.ReadDir(v, dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Type().IsRegular() {
			size += info.Size()
		}
	}
	return size
}

// Days returns the days, as in "2026-11-22", of which there are recordings of a
// stream that begin with prefix.
func (rs *Recorders) Days(key source.Key, prefix string) ([]string, error) {
	var days []string
	err := rs.inFolder(key, func(v fs.FS, dir string) {
		entries, _ := fs.ReadDir(v, dir)
		for _, e := range entries {
			if e.IsDir() && isDate(e.Name()) && strings.HasPrefix(e.Name(), prefix) {
				days = append(days, e.Name())
			}
		}
	})
	return days, err
}

// Files returns the names of the finished recordings of a stream on a day, in
// order.
func (rs *Recorders) Files(key source.Key, day string) ([]string, error) {
	var names []string
	err := rs.inFolder(key, func(v fs.FS, dir string) {
		for _, k := range filesOf(v, dir, day) {
			names = append(names, path.Base(k.name))
		}
	})
	return names, err
}

// Delete deletes the finished recordings of a stream: of a day, or of all if that
// is empty; one, or all if name is empty. With dry it tells only what would be
// deleted.
func (rs *Recorders) Delete(key source.Key, day, name string, dry bool) (c Cleaned, err error) {
	var files []kept
	days := []string{day}
	if day == "" {
		if days, err = rs.Days(key, ""); err != nil {
			return c, err
		}
	}
	err = rs.inFolder(key, func(v fs.FS, dir string) {
		for _, day := range days {
			for _, k := range filesOf(v, dir, day) {
				if name == "" || path.Base(k.name) == name {
					files = append(files, k)
				}
			}
		}
	})
	if err != nil {
		return c, err
	}
	return discardFiles(rs.root(), files, dry)
}

// filesOf returns the finished recordings of a day in the folder of a stream.
func filesOf(v fs.FS, dir, day string) (files []kept) {
	dir = path.Join(dir, day)
	if !isDate(day) || !isFolder(v, dir) {
		return nil
	}
	walk(v, dir, func(k kept) {
		if path.Dir(k.name) == dir {
			files = append(files, k)
		}
	})
	return files
}

// inFolder calls fn with the folder of a stream's recordings, if there is one.
func (rs *Recorders) inFolder(key source.Key, fn func(v fs.FS, dir string)) error {
	dir, err := folderOf(rs.app(), key)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	v, err := rs.root().view()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	defer v.Close()
	if isFolder(v, dir) {
		fn(v, dir)
	}
	return nil
}

// recovered returns the event for a file that was found.
func (rs *Recorders) recovered(f File) Event {
	e := Event{Kind: EventFinished, Format: f.format, File: f, Key: source.Key{Vhost: source.DefaultVhost}}
	dir := path.Dir(f.Name)
	if isDate(path.Base(dir)) {
		dir = path.Dir(dir)
	}
	first, rest, _ := strings.Cut(dir, "/")
	if first != rs.app() {
		e.Key.Vhost = first
		_, rest, _ = strings.Cut(rest, "/")
	}
	e.Key.App, e.Key.Stream, _ = strings.Cut(rest, "/")
	return e
}
