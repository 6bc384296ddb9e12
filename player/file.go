package player

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// A medium is a file that can be read from any place in it.
type medium interface {
	source.Reader
	source.Seeker
	source.KeyIndexer
}

// openFile opens what a path, several with semicolons between them, or a file URL
// names.
func (c *Client) openFile(ctx context.Context, name string) (source.Reader, error) {
	path, err := fileurl.Path(name)
	if err != nil {
		return nil, fmt.Errorf("player: %w", err)
	}
	r, err := openPath(ctx, path, c.skip)
	if err != nil {
		return nil, fmt.Errorf("player: %w", err)
	}
	if c.Loop {
		r = Loop(r)
	}
	if c.Paced {
		r = source.Pace(r)
	}
	return r, nil
}

// skip tells that files of a folder are left out.
func (c *Client) skip(files int, err error) { logSkipped(c.Logger, files, err) }

func logSkipped(log *slog.Logger, files int, err error) {
	if log != nil {
		log.Warn("player: files left out", "files", files, "error", err)
	}
}

// openPath opens a file, a folder, a pipe, or several files.
func openPath(ctx context.Context, path string, skip skipFunc) (source.Reader, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir() && !info.Mode().IsRegular():
		return openPipe(ctx, path)
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(path, ";"):
		return openFiles(ctx, systemFiles{}, strings.Split(path, ";"), skip)
	}
	return openFiles(ctx, systemFiles{}, []string{path}, skip)
}

// openPipe opens what can be read once, from its beginning.
func openPipe(ctx context.Context, path string) (source.Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := readPipe(ctx, f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func readPipe(ctx context.Context, f *os.File) (source.Reader, error) {
	head, in, err := peek(f)
	if err != nil {
		return nil, err
	}
	is, err := sniff(head)
	if err != nil {
		return nil, err
	}
	r, err := newReader(is, in)
	if err != nil {
		return nil, err
	}
	return begun(ctx, r)
}

// A library is where files are: the whole system, or what is below a root.
type library interface {
	Stat(name string) (fs.FileInfo, error)
	Open(name string) (*os.File, error)
	Sub(folder string) (fs.FS, error)
	medium(name string) (medium, error) // opens a regular file
}

// systemFiles is the library of all files that this process may read.
type systemFiles struct{}

func (systemFiles) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }
func (systemFiles) Open(name string) (*os.File, error)    { return os.Open(name) }
func (systemFiles) Sub(folder string) (fs.FS, error)      { return os.DirFS(folder), nil }
func (s systemFiles) medium(name string) (medium, error)  { return openMedium(s, name) }

// openMedium opens a regular file of lib. Its errors name it.
func openMedium(lib library, name string) (medium, error) {
	if info, err := lib.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() { // to open a pipe could take for ever
		return nil, fmt.Errorf("%s: %w: not a regular file", name, source.ErrUnsupported)
	}
	f, err := lib.Open(name)
	if err != nil {
		return nil, err
	}
	m, err := newMedium(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// newMedium returns a Reader of f, which has all its bytes.
func newMedium(f *os.File) (medium, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	head := make([]byte, sniffLen)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	is, err := sniff(head[:n])
	if cut := formatOf(kindOf(f.Name())); err != nil && n >= sniffMin && cut != 0 {
		is, err = cut, nil
	}
	switch {
	case err != nil:
		return nil, err
	case is == formatFLV:
		return opened(flv.NewFile(f, info.Size()))
	case is == formatTS:
		return opened(ts.NewFile(f, info.Size()))
	case is == formatPS:
		return opened(ps.NewFile(f, info.Size()))
	case is == formatMP4 || is == formatMovie:
		return opened(mp4.NewFile(f, info.Size()))
	}
	return nil, errPlaylist
}

// opened keeps a nil pointer from becoming a medium.
func opened[M medium](m M, err error) (medium, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// A kind is what the name of a file says it is. Folders are played by it; what a
// file is shows in its content.
type kind uint8

const (
	kindNone kind = iota
	kindMP4
	kindFLV
	kindTS
	kindPS
)

// kindOf returns what name says.
func kindOf(name string) kind {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".mp4", ".m4v", ".mov":
		return kindMP4
	case ".flv":
		return kindFLV
	case ".ts", ".m2ts", ".mts":
		return kindTS
	case ".mpg", ".mpeg", ".ps", ".vob":
		return kindPS
	}
	return kindNone
}

// formatOf returns the format of files of a kind that may have been cut anywhere, so
// that how they begin does not show what they are; 0 if there are none.
func formatOf(k kind) format {
	switch k {
	case kindTS:
		return formatTS
	case kindPS:
		return formatPS
	}
	return 0
}
