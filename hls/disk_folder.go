package hls

import (
	"errors"
	"io/fs"
	"os"
	slashpath "path"
	"strings"
	"sync"
)

// A rootFolder is a folder of the operating system. Nothing outside of it is
// touched, whatever links it has. It is opened when it is needed, and again when
// somebody has removed it.
type rootFolder struct {
	path string

	mu   sync.Mutex // guards what follows
	root *os.Root
}

// opened returns the folder, which it makes if create says so and there is none.
func (d *rootFolder) opened(create bool) (*os.Root, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root != nil {
		return d.root, nil
	}
	if create {
		if err := os.MkdirAll(d.path, 0o755); err != nil {
			return nil, err
		}
	}
	var err error
	d.root, err = os.OpenRoot(d.path)
	return d.root, err
}

// forget has the folder opened again.
func (d *rootFolder) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root != nil {
		_ = d.root.Close()
		d.root = nil
	}
}

func (d *rootFolder) write(name string, data []byte) error {
	err := d.tryWrite(name, data)
	if errors.Is(err, fs.ErrNotExist) { // somebody has removed the folder
		d.forget()
		err = d.tryWrite(name, data)
	}
	return err
}

func (d *rootFolder) tryWrite(name string, data []byte) error {
	root, err := d.opened(true)
	if err != nil {
		return err
	}
	if dir := slashpath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	temporary := temporaryName(name)
	_ = root.Remove(temporary) // a link there would be followed
	err = root.WriteFile(temporary, data, 0o644)
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		_ = root.Remove(temporary)
	}
	return err
}

// temporaryName returns what a file is called while it is written.
func temporaryName(name string) string {
	return slashpath.Join(slashpath.Dir(name), "."+slashpath.Base(name)+".tmp")
}

func (d *rootFolder) remove(name string) error {
	root, err := d.opened(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for dir := slashpath.Dir(name); dir != "."; dir = slashpath.Dir(dir) {
		if root.Remove(dir) != nil { // it is not empty
			break
		}
	}
	return nil
}

func (d *rootFolder) open(name string) (fs.File, error) {
	root, err := d.opened(false)
	if err != nil {
		return nil, err
	}
	return root.Open(name)
}

func (d *rootFolder) read(name string) ([]byte, error) {
	root, err := d.opened(false)
	if err != nil {
		return nil, err
	}
	return root.ReadFile(name)
}

func (d *rootFolder) close() error {
	d.forget()
	_ = os.Remove(d.path) // if it is empty
	return nil
}

// clean looks at names and at what is no link only.
func (d *rootFolder) clean(c Container, all bool) error {
	root, err := d.opened(true)
	if err != nil {
		return err
	}
	var errs []error
	d.each(root, ".", func(name string, dir bool) {
		switch {
		case dir && isDate(name):
			d.each(root, name, func(hour string, dir bool) {
				if !dir || !isHour(slashpath.Base(hour)) {
					return
				}
				if _, err := root.Lstat(slashpath.Join(hour, hourPlaylist)); err == nil {
					return // its segments are kept
				}
				d.each(root, hour, func(name string, dir bool) {
					if !dir && isSegment(slashpath.Base(name), c, all) {
						errs = append(errs, root.Remove(name))
					}
				})
				_ = root.Remove(hour) // if it is empty, as the next
			})
			_ = root.Remove(name)
		case !dir && isTop(name, c, all):
			errs = append(errs, root.Remove(name))
		}
	})
	return errors.Join(errs...)
}

// each calls fn with the folders and the files in dir, as far as they can be read.
func (d *rootFolder) each(root *os.Root, dir string, fn func(name string, dir bool)) {
	f, err := root.Open(dir)
	if err != nil {
		return
	}
	entries, _ := f.ReadDir(-1)
	_ = f.Close()
	for _, e := range entries {
		if e.IsDir() || e.Type().IsRegular() {
			fn(slashpath.Join(dir, e.Name()), e.IsDir())
		}
	}
}

// finished returns the name that a file has, or will have once it is written.
func finished(name string) (string, bool) {
	if s, ok := strings.CutSuffix(name, ".tmp"); ok && strings.HasPrefix(s, ".") {
		return s[1:], false
	}
	return name, true
}

// isTop reports whether a Writer calls a file so that is beside the playlist, and
// whether it is to be removed.
func isTop(name string, c Container, all bool) bool {
	name, whole := finished(name)
	if whole && !all {
		return false
	}
	return name == c.playlist() || c == FMP4 && isInit(name)
}

// isSegment reports the same of a file in the folder of an hour.
func isSegment(name string, c Container, all bool) bool {
	name, whole := finished(name)
	if whole && !all {
		return false
	}
	container, ok := segmentContainer(name)
	return ok && container == c
}
