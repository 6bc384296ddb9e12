package player

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/source"
)

// openFile opens a file by its path or file URL.
func (c *Client) openFile(ctx context.Context, name string) (source.Reader, error) {
	path, err := fileurl.Path(name)
	if err != nil {
		return nil, fmt.Errorf("player: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("player: %w", err)
	}
	r, err := readFile(ctx, f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("player: %s: %w", path, err)
	}
	if c.Paced {
		r = source.Pace(r)
	}
	return r, nil
}

// readFile returns a Reader of f, which may be a pipe.
func readFile(ctx context.Context, f *os.File) (source.Reader, error) {
	head, in, err := peek(f)
	if err != nil {
		return nil, err
	}
	is, err := sniff(head)
	if err != nil {
		return nil, err
	}
	if is == formatHLS {
		return nil, fmt.Errorf("%w: it is an HLS playlist; those are read from servers", source.ErrUnsupported)
	}
	if _, err := f.Seek(0, io.SeekStart); err == nil {
		in = f
	}
	return begun(ctx, newReader(is, in))
}
