package hls

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Clean removes what a process that was killed has left of live streams in dir
// (Options.Dir of a [Handler], or of a [Writer]) and below: playlists, segments
// and initialization segments by their names, and the folders that are empty
// then. Other files, events and what symbolic links lead to are left alone. It
// must not be called while dir is written to. A dir that does not exist is clean.
func Clean(dir string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hls: clean: %w", err)
	}
	defer root.Close()
	var folders []string // those above come first
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil:
			return fs.SkipDir // it cannot be read
		case d.IsDir() && isDate(d.Name()):
			return fs.SkipDir
		case d.IsDir():
			folders = append(folders, name)
		}
		return nil
	})
	errs := []error{err}
	for i := len(folders) - 1; i >= 0; i-- {
		errs = append(errs, cleanFolder(root, folders[i]))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("hls: clean: %w", err)
	}
	return nil
}

// cleanFolder removes a stream's files from a folder below root, and the folder
// if there were such and it is empty then.
func cleanFolder(root *os.Root, name string) error {
	sub, err := root.OpenRoot(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	d := &rootFolder{root: sub}
	defer d.forget()
	count := func() (n int) {
		d.each(sub, ".", func(string, bool) { n++ })
		return n
	}
	before := count()
	var errs []error
	for _, c := range []Container{TS, FMP4} {
		text, _ := d.read(c.playlist())
		event := bytes.Contains(text, []byte("#EXT-X-PLAYLIST-TYPE:EVENT"))
		errs = append(errs, d.clean(c, !event))
	}
	if name != "." && before > 0 && count() == 0 {
		d.forget()
		errs = append(errs, root.Remove(filepath.FromSlash(name)))
	}
	return errors.Join(errs...)
}
