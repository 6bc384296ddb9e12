// Package fileurl tells which file a path or file URL names.
package fileurl

import (
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

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
