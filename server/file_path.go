package server

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf8"
)

// maxPath is the longest path of a URL that may name a file, in bytes.
const maxPath = 4096

// errPath is what is wrong with a path that names no file anywhere.
var errPath = errors.New("server: bad path")

// cleanPath returns the names in the path of a URL, joined by slashes; "" is the
// root itself. The path was decoded once, by net/http. What is still encoded in
// there is a part of a name, and what only some systems take for a separator or
// an end is refused. Names that begin with a dot are hidden, ".." and "." among
// them: browsers have resolved those.
func cleanPath(p string) (string, error) {
	if len(p) > maxPath || !utf8.ValidString(p) {
		return "", errPath
	}
	for i := range len(p) {
		if p[i] < ' ' || p[i] == 0x7f || p[i] == '\\' {
			return "", errPath
		}
	}
	names := make([]string, 0, 8)
	for name := range strings.SplitSeq(p, "/") {
		if name == "" {
			continue
		}
		if hidden(name) {
			return "", fs.ErrNotExist
		}
		names = append(names, name)
	}
	return strings.Join(names, "/"), nil
}

// hidden reports whether a name is neither served nor listed.
func hidden(name string) bool { return name[0] == '.' || runtime.GOOS == "windows" && otherName(name) }

// otherName reports whether a name may be another way to write that of a hidden
// file on Windows, which leaves out dots and spaces at the end and has short
// names such as GIT~1.
func otherName(name string) bool {
	return strings.ContainsAny(name[len(name)-1:], ". ") || strings.Contains(name, "~")
}

// localPath is what a path from cleanPath is called on this system.
func localPath(name string) (string, error) {
	if name == "" {
		return ".", nil
	}
	return filepath.Localize(name) // refuses devices and streams of files on Windows
}

// within reports whether a path lies in a folder, or is it. It compares names,
// not letters: /www does not hold /www_old. Slashes at the ends make no difference.
func within(folder, path string) bool {
	folder, path = strings.Trim(folder, "/"), strings.Trim(path, "/")
	rest, ok := strings.CutPrefix(path, folder)
	return ok && (folder == "" || rest == "" || rest[0] == '/')
}
