// Package fileurl tells whether a URL names a file, and which.
package fileurl

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

// Is reports whether name is a path or a file URL, and not the URL of something
// else.
func Is(name string) bool {
	scheme, _, url := strings.Cut(name, "://")
	return !url || strings.EqualFold(scheme, "file")
}

// Path returns the path that name, a path or a file URL (RFC 8089), names. The
// URL of a file on another host is an error that wraps source.ErrUnsupported.
func Path(name string) (string, error) {
	if !strings.Contains(name, "://") {
		return name, nil
	}
	u, err := url.Parse(name)
	if err != nil {
		return "", err
	}
	if u.Host != "" && u.Host != "localhost" {
		return "", fmt.Errorf("a file of host %q: %w", u.Host, source.ErrUnsupported)
	}
	path := u.Path
	if runtime.GOOS == "windows" && len(path) > 2 && path[2] == ':' {
		path = path[1:] // file:///C:/a.flv
	}
	return filepath.FromSlash(path), nil
}

// Same reports whether a and b name one file, which is there.
func Same(a, b string) bool {
	x, y := stat(a), stat(b)
	return x != nil && y != nil && os.SameFile(x, y)
}

// stat returns what is known of the file that name names; nil if there is none.
func stat(name string) fs.FileInfo {
	if !Is(name) {
		return nil
	}
	path, err := Path(name)
	if err != nil {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}
