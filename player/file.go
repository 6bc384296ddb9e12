package player

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/source"
)

// openFile opens an FLV file by its path or file URL.
func (c *Client) openFile(name string) (source.Reader, error) {
	path, err := fileurl.Path(name)
	if err != nil {
		return nil, fmt.Errorf("player: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("player: %w", err)
	}
	src, err := checkFLV(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("player: %s: %w", path, err)
	}
	var r source.Reader = flv.NewReader(src)
	if c.Paced {
		r = source.Pace(r)
	}
	return r, nil
}

// checkFLV looks at how f begins and returns f as it was, or an error that says
// what it is instead of FLV.
func checkFLV(f *os.File) (io.ReadCloser, error) {
	b := make([]byte, sniffLen)
	n, err := io.ReadFull(f, b)
	b = b[:n]
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if err := notFLV(b); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err == nil {
		return f, nil
	}
	return readCloser{io.MultiReader(bytes.NewReader(b), f), f}, nil // a pipe
}
