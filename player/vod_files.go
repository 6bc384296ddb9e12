package player

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

// rootFiles is the library of the files below a folder, which is open as Root. What
// is opened does not need that to be open any more.
type rootFiles struct {
	*os.Root
	folder folder
}

func (r rootFiles) Sub(folder string) (fs.FS, error) {
	return fs.Sub(r.FS(), filepath.ToSlash(folder))
}

func (r rootFiles) medium(name string) (medium, error) { return r.folder.sleeper(name) }

// A found is what a key names: files of a folder.
type found struct {
	folder folder
	names  []string // as this system has them
}

// A folder is that of an application.
type folder struct{ root, vhost, app string }

// find returns the files that req names; errNoFilm if there are none, or none that
// may be asked for. A list with an empty name is nobody else's either.
func (v *VOD) find(req *source.Request) (*found, error) {
	key := req.Key
	f := &found{folder: folder{v.Root, "", cmp.Or(v.App, "record")}}
	if key.Vhost != "" && key.Vhost != source.DefaultVhost {
		f.folder.vhost = key.Vhost
	}
	if v.Root == "" || key.App != f.folder.app {
		return nil, errNoFilm
	}
	for name := range strings.SplitSeq(key.Stream, ";") {
		if name == "" {
			return nil, source.Refuse(fmt.Errorf("player: %w: an empty name in %q", source.ErrNotFound, key.Stream), "a name in the list is empty")
		}
		local, err := localName(name)
		if err != nil {
			return nil, errNoFilm
		}
		f.names = append(f.names, local)
	}
	root, err := f.folder.open()
	if err != nil {
		return nil, refusal(err)
	}
	defer root.Close()
	for i, name := range f.names {
		if flash := name + ".flv"; strings.HasPrefix(req.Protocol, "rtmp") && kindOf(name) == kindNone && isFile(root, flash) {
			name, f.names[i] = flash, flash // clients of RTMP leave this extension out, as for Flash
		}
		info, err := root.Stat(name)
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil, refusal(err)
		case err != nil, !info.IsDir() && kindOf(name) == kindNone: // there is no error for a link out of the root
			return nil, errNoFilm
		}
	}
	return f, nil
}

// open opens the files.
func (f *found) open(ctx context.Context, skip skipFunc) (medium, error) {
	root, err := f.folder.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return openFiles(ctx, rootFiles{root, f.folder}, f.names, skip)
}

// open opens the folder. What its operator has chosen may be a link; what was asked
// for, the virtual host, may not lead out of the root.
func (f folder) open() (*os.Root, error) {
	if f.vhost == "" {
		return os.OpenRoot(filepath.Join(f.root, f.app))
	}
	host, err := localName(f.vhost)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(f.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	app, err := root.OpenRoot(filepath.Join(host, f.app))
	if err != nil && !errors.Is(err, fs.ErrPermission) { // such as a link out of the root
		err = fs.ErrNotExist
	}
	return app, err
}

// localName returns what a path is called on this system. What is hidden, and what
// some systems take for another name, is not there.
func localName(name string) (string, error) {
	if !fs.ValidPath(name) || strings.Contains(name, `\`) {
		return "", fs.ErrNotExist
	}
	for e := range strings.SplitSeq(name, "/") {
		if e[0] == '.' || strings.HasSuffix(e, ".") || strings.HasSuffix(e, " ") {
			return "", fs.ErrNotExist
		}
	}
	local, err := filepath.Localize(name)
	if err != nil {
		return "", fs.ErrNotExist
	}
	return local, nil
}

// isFile reports whether root has a file of that name.
func isFile(root *os.Root, name string) bool {
	info, err := root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
