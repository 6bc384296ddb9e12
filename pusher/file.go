package pusher

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/source"
)

// createFile creates an FLV file by its path or file URL.
func (c *Client) createFile(name string, tracks []*codec.Track) (source.Writer, error) {
	path, err := fileurl.Path(name)
	if err != nil {
		return nil, fmt.Errorf("pusher: %w", err)
	}
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".mp4", ".m4v", ".mov", ".ts", ".m3u8", ".mkv", ".webm", ".avi", ".mp3", ".aac": // what a player would be misled by
		return nil, fmt.Errorf("pusher: %s: %w: files are written as FLV only", path, source.ErrUnsupported)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("pusher: %w", err)
	}
	w := flv.NewWriter(f, tracks)
	w.Form = c.Form
	return w, nil
}
