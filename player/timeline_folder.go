package player

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/mediakit-go/mediakit/source"
)

const (
	maxFiles   = 4096    // of a timeline
	maxEntries = 100_000 // of a folder and those below it
)

// A piece is a file of a timeline.
type piece struct {
	name   string
	listed bool // found in a folder: it may be left out
}

// pieces returns the files that names stand for: folders for what is in them.
func pieces(ctx context.Context, lib library, names []string) ([]piece, error) {
	var all []piece
	for _, name := range names {
		info, err := lib.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			all = append(all, piece{name: name})
			continue
		}
		folder, err := lib.Sub(name)
		if err != nil {
			return nil, err
		}
		files, err := listFolder(ctx, folder)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, f := range files {
			all = append(all, piece{filepath.Join(name, filepath.FromSlash(f)), true})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no files: %w", fs.ErrNotExist)
	}
	if len(all) > maxFiles {
		return nil, fmt.Errorf("%w: %d files, more than %d", source.ErrLimit, len(all), maxFiles)
	}
	return all, nil
}

// listFolder returns the paths of the films that a folder stands for, see
// [OpenFiles]. Links are not followed.
func listFolder(ctx context.Context, folder fs.FS) ([]string, error) {
	var files [kindPS + 1][]string
	entries := 0
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if entries++; entries > maxEntries {
			return fmt.Errorf("%w: more than %d entries", source.ErrLimit, maxEntries)
		}
		switch {
		case name != "." && path.Base(name)[0] == '.':
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type().IsRegular():
			if k := kindOf(name); k != kindNone {
				files[k] = append(files[k], name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, found := range files[kindMP4:] {
		if len(found) > 0 {
			slices.Sort(found)
			return found, nil
		}
	}
	return nil, fmt.Errorf("no films in it: %w", fs.ErrNotExist)
}
