package record

import (
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"time"
)

// lockAge is how long a hidden file has not been written to that is taken for a
// leftover where files cannot be locked.
const lockAge = 15 * time.Second

// A file is an open file.
type file interface {
	io.Writer
	io.Seeker
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// A disk is where recordings lie. Names are relative to its root and have slashes.
// It is the operating system's, but for tests.
type disk interface {
	// create makes a file, and the folders it needs. The error wraps fs.ErrExist
	// if the name is taken.
	create(name string) (file, error)
	// mkdir makes a folder, and those it is in, unless there is one.
	mkdir(name string) error
	// exists reports whether a name is taken.
	exists(name string) bool
	// adopt opens what was left; nil without an error: somebody else writes it.
	// force says that nobody does.
	adopt(name string, force bool) (file, error)
	// rename gives a closed file its name; with sync that outlasts a power cut.
	rename(from, to string, sync bool) error
	// remove removes a file.
	remove(name string) error
	// tidy removes a folder if nothing is in it.
	tidy(name string)
	// view returns a view of all. It must be closed.
	view() (view, error)
	// path returns what the operating system calls a name.
	path(name string) string
}

// A view is what is on a disk, to be looked at.
type view struct {
	fs.FS
	io.Closer
}

// A rootDisk is a folder of the operating system. Nothing outside of it is touched,
// whatever links it has. It is opened for every operation, for folders come and go.
type rootDisk string

// in calls fn with the folder, which is made if there is none.
func (d rootDisk) in(fn func(*os.Root) error) error {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return err
	}
	defer root.Close()
	return fn(root)
}

func (d rootDisk) create(name string) (file, error) {
	var f *os.File
	err := d.in(func(root *os.Root) (err error) {
		if err = root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		f, err = root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		return err
	})
	if err != nil {
		return nil, err
	}
	lock(f)
	return f, nil
}

func (d rootDisk) mkdir(name string) error {
	return d.in(func(root *os.Root) error { return root.MkdirAll(name, 0o755) })
}

func (d rootDisk) exists(name string) bool {
	return d.in(func(root *os.Root) error {
		_, err := root.Lstat(name)
		return err
	}) == nil
}

func (d rootDisk) adopt(name string, force bool) (file, error) {
	var f *os.File
	err := d.in(func(root *os.Root) error {
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fs.ErrInvalid
		}
		if f, err = root.OpenFile(name, os.O_RDWR, 0); err != nil {
			return err
		}
		free, known := lock(f)
		if format, _ := formatOf(name); format.segmented() {
			free, known = lockedBeside(root, name)
		}
		if !force && (!free || !known && time.Since(info.ModTime()) < lockAge) {
			_ = f.Close()
			f = nil
		}
		return nil
	})
	if err != nil || f == nil {
		return nil, err
	}
	return f, nil
}

// lockedBeside asks the lock of a playlist.
func lockedBeside(root *os.Root, name string) (free, known bool) {
	f, err := root.Open(locked(name))
	if err != nil {
		return true, false
	}
	defer f.Close()
	return lock(f)
}

func (d rootDisk) rename(from, to string, sync bool) error {
	return d.in(func(root *os.Root) error {
		if err := root.Rename(from, to); err != nil || !sync || runtime.GOOS == "windows" {
			return err
		}
		for dir := path.Dir(to); ; dir = path.Dir(dir) { // the folders may be as new
			f, err := root.Open(dir)
			if err != nil {
				return err
			}
			err = f.Sync()
			_ = f.Close()
			if err != nil || dir == "." {
				return err
			}
		}
	})
}

func (d rootDisk) remove(name string) error {
	return d.in(func(root *os.Root) error { return root.Remove(name) })
}

func (d rootDisk) tidy(name string) {
	_ = d.in(func(root *os.Root) error { return root.Remove(name) })
}

func (d rootDisk) view() (view, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return view{}, err
	}
	return view{root.FS(), root}, nil
}

func (d rootDisk) path(name string) string {
	p := filepath.Join(string(d), filepath.FromSlash(name))
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return p
}
