package server

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestConsoleAssets fetches every file as browsers do.
func TestConsoleAssets(t *testing.T) {
	c := &Console{}
	types := map[string]string{
		".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
		".html": "text/html; charset=utf-8", ".svg": "image/svg+xml",
	}
	n := 0
	require.NoError(t, fs.WalkDir(consoleFiles, "console", func(name string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		if d.IsDir() {
			return nil
		}
		n++
		want, err := consoleFiles.ReadFile(name)
		require.NoError(t, err)
		path := strings.TrimPrefix(name, "console")
		plain := get(c, path)
		require.Equal(t, http.StatusOK, plain.Code, path)
		require.Equal(t, want, plain.Body.Bytes(), path)
		if typ, ok := types[filepath.Ext(path)]; ok {
			require.Equal(t, typ, plain.Header().Get("Content-Type"), path)
		}
		cache := "no-cache"
		if strings.HasPrefix(path, "/vendor/") {
			cache = "public, max-age=31536000, immutable"
		}
		require.Equal(t, cache, plain.Header().Get("Cache-Control"), path)

		zipped := get(c, path, "Accept-Encoding", "br, gzip;q=0.8")
		require.Equal(t, "gzip", zipped.Header().Get("Content-Encoding"), path)
		z, err := gzip.NewReader(zipped.Body)
		require.NoError(t, err)
		got, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, want, got, path)

		require.NotEqual(t, plain.Header().Get("ETag"), zipped.Header().Get("ETag"))
		again := get(c, path, "If-None-Match", plain.Header().Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.Code, path)
		require.Empty(t, again.Body.Bytes())
		return nil
	}))
	require.Greater(t, n, 10)
	require.Equal(t, get(c, "/").Body.String(), get(c, "/index.html").Body.String())
	require.Empty(t, get(c, "/", "Accept-Encoding", "gzip;q=0").Header().Get("Content-Encoding"))
	require.Empty(t, get(c, "/", "Accept-Encoding", "gzip; q=0.000").Header().Get("Content-Encoding"))
}

// TestConsolePage tells that the page asks nobody else for anything and runs
// nothing inline.
func TestConsolePage(t *testing.T) {
	index, err := consoleFiles.ReadFile("console/index.html")
	require.NoError(t, err)
	require.NotRegexp(t, `(?i)<script(?: [^>]*)?>\s*[^<\s]`, string(index), "inline script")
	require.NotRegexp(t, `(?i)\son\w+=|style=|javascript:|<style`, string(index))
	elsewhere := regexp.MustCompile(`https?://[\w.-]+|["'\x60(]//\w`)
	names, err := fs.Glob(consoleFiles, "console/*.*")
	require.NoError(t, err)
	for _, name := range names {
		b, err := consoleFiles.ReadFile(name)
		require.NoError(t, err)
		for _, found := range elsewhere.FindAllString(string(b), -1) {
			require.Equal(t, "http://www.w3.org", found, "%s: only the name of SVG is an address", name)
		}
		require.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function`, string(b), name)
	}
}

// TestConsoleVendor compares other people's files with the sums in their README
// and looks for their licences.
func TestConsoleVendor(t *testing.T) {
	readme, err := consoleFiles.ReadFile("console/vendor/README.md")
	require.NoError(t, err)
	rows := regexp.MustCompile(`(?m)^\| ([\w./-]+) \|.*\| ([\w.]+) \|.*\| ([0-9a-f]{64}) \|$`).FindAllStringSubmatch(string(readme), -1)
	require.Len(t, rows, 2)
	player, err := consoleFiles.ReadFile("console/player.js")
	require.NoError(t, err)
	for _, row := range rows {
		name, version, sum := row[1], row[2], row[3]
		b, err := consoleFiles.ReadFile("console/vendor/" + name)
		require.NoError(t, err)
		got := sha256.Sum256(b)
		require.Equal(t, sum, hex.EncodeToString(got[:]), name)
		require.Contains(t, filepath.Dir(name), "-"+version)
		require.Contains(t, string(player), "vendor/"+name)
		licence, err := consoleFiles.ReadFile("console/vendor/" + filepath.ToSlash(filepath.Dir(name)) + "/LICENSE")
		require.NoError(t, err)
		require.Contains(t, string(licence), "Apache License")
	}
}
