package record

import (
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

const (
	dateForm  = "2006-01-02"
	timeForm  = "15-04-05"
	datedForm = dateForm + "-" + timeForm
)

// maxNames is how many names are tried that are taken.
const maxNames = 10_000

// folderOf returns the folder of a stream's recordings below the root, with
// slashes. app is that of all recordings.
func folderOf(app string, key source.Key) (string, error) {
	if err := key.Validate(); err != nil {
		return "", err
	}
	dir := path.Join(app, key.App, key.Stream)
	if v := key.Vhost; v != "" && v != source.DefaultVhost {
		if v == "." || v == ".." || strings.ContainsAny(v, `/\`) {
			return "", fmt.Errorf("%w: vhost %q names no folder", source.ErrBadKey, v)
		}
		dir = path.Join(v, dir)
	}
	return dir, local(dir)
}

// local returns an error that wraps source.ErrBadKey unless name stays below the
// root, on this system.
func local(name string) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("%w: %q names no file", source.ErrBadKey, name)
	}
	return nil
}

// hidden returns what a file is called while it is written.
func hidden(name string) string { return path.Join(path.Dir(name), "."+path.Base(name)) }

// shown undoes hidden.
func shown(name string) string { return path.Join(path.Dir(name), path.Base(name)[1:]) }

// temporary returns what the copy of a hidden file is called until it takes its place.
func temporary(name string) string { return name + ".tmp" }

// locked returns what the file is called that is locked as long as a playlist is
// written, for that is another file whenever it has changed.
func locked(name string) string { return name + ".lock" }

// A naming makes names of files below the root, with slashes.
type naming struct {
	dir    string // of the stream
	names  Names
	given  string // below dir, without extension; "": dated
	suffix string // extension
}

// newNaming returns the naming for the recordings of a stream.
func newNaming(app string, key source.Key, o Options) (naming, error) {
	dir, err := folderOf(app, key)
	n := naming{dir: dir, names: o.Names, suffix: o.Format.extension()}
	if o.Name == "" || err != nil {
		return n, err
	}
	n.given = strings.TrimSuffix(path.Clean(filepath.ToSlash(o.Name)), n.suffix)
	if strings.HasPrefix(path.Base(n.given), ".") {
		return n, fmt.Errorf("%w: %q is a hidden file", source.ErrBadKey, o.Name)
	}
	return n, local(n.given)
}

// name returns the name of the recording's file number count whose first frame
// came at start; taken counts the names that were taken.
func (n naming) name(start time.Time, count, taken int) string {
	switch {
	case n.given != "":
		return path.Join(n.dir, n.given+number(taken)+n.suffix)
	case n.names == NamesTime:
		return path.Join(n.dir, start.Format(dateForm), start.Format(timeForm)+number(taken)+n.suffix)
	}
	return path.Join(n.dir, start.Format(dateForm), start.Format(datedForm)+"-"+strconv.Itoa(count+taken)+n.suffix)
}

func number(taken int) string {
	if taken == 0 {
		return ""
	}
	return "-" + strconv.Itoa(taken)
}

// isDate reports whether a folder is called so that has a day's recordings.
func isDate(name string) bool {
	_, err := time.Parse(dateForm, name)
	return err == nil
}

// A dated name is one that a naming has made.
type dated struct {
	format  Format // HLS for both of HLS
	start   time.Time
	written bool // not hidden
}

// parseName parses the name of a file in the folder of a day; false: it is none of
// ours.
func parseName(day, name string) (d dated, ok bool) {
	name, unfinished := strings.CutPrefix(name, ".")
	d.written = !unfinished
	if d.format, ok = formatOf(name); !ok || !isDate(day) {
		return d, false
	}
	name = strings.TrimPrefix(strings.TrimSuffix(name, path.Ext(name)), day+"-")
	if len(name) < len(timeForm) {
		return d, false
	}
	clock, count := name[:len(timeForm)], name[len(timeForm):]
	if count != "" && (count[0] != '-' || strings.Trim(count[1:], "0123456789") != "" || len(count) == 1) {
		return d, false
	}
	var err error
	d.start, err = time.ParseInLocation(datedForm, day+"-"+clock, time.Local)
	return d, err == nil
}
