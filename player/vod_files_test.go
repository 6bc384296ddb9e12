package player

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// hostileNames are streams that must lead nowhere, as they come from a URL.
var hostileNames = []string{
	"../secret.flv", "../../secret.flv", "cam/../../secret.flv", "cam/../a.flv", "./cam/a.flv", "cam/./a.flv", "cam//a.flv", "..", ".", "/", "", "cam/",
	"..%2fsecret.flv", "%2e%2e/secret.flv", "%2e%2e%2fsecret.flv", "..%5csecret.flv", `..\secret.flv`, `cam\a.flv`, `cam\..\..\secret.flv`, "..%255csecret.flv",
	"%252e%252e/secret.flv", "..;/secret.flv", ";../secret.flv", "cam/a.flv;../secret.flv", "cam/a.flv;", ";", ";;", "cam/a.flv;/etc/a.flv", "cam/a.flv;.hidden/a.flv",
	"%c0%ae%c0%ae/secret.flv", "..%c0%afsecret.flv", "%ef%bc%8e%ef%bc%8e/secret.flv", "%00", "cam/a.flv%00", "cam/a.flv%00.flv", "..%00/secret.flv",
	"/etc/passwd.flv", "%2fetc%2fpasswd.flv", "C:/secret.flv", "C:secret.flv", "//host/share/a.flv", `\\host\share\a.flv`, "file:///etc/a.flv", "cam/a.flv:stream.flv",
	".hidden/a.flv", "cam/.open.flv", "cam/a.flv.", "cam/a.flv ", "cam./a.flv", "cam /a.flv", "cam/a.flv/", "cam/a.flv/..", "../record/cam/a.flv", "../www_sibling/secret.flv", "../recorder/secret.flv",
	"out.flv", "absolute.flv", "out/secret.flv", "out", "up/secret.flv", "loop.flv", "nowhere.flv", "cam/notes.txt", "NUL.flv/x.flv", "con", "pipe.flv.txt",
}

// links puts links into a vault that lead out of it.
func links(t *testing.T, root string) {
	if runtime.GOOS == "windows" {
		return // not everybody may
	}
	for name, to := range map[string]string{
		"out.flv": "../../secret.flv", "absolute.flv": filepath.Join(root, "secret.flv"), "out": "../../www_sibling", "up": "..",
		"loop.flv": "loop.flv", "nowhere.flv": "gone.flv", "in.flv": "cam/a.flv", "in": "cam",
	} {
		require.NoError(t, os.Symlink(to, filepath.Join(root, "record", name)))
	}
}

// TestVODTraversal asks for what lies outside (H1 to H3), hidden files, and names
// that only some systems take for others.
func TestVODTraversal(t *testing.T) {
	root := vault(t)
	links(t, root)
	v := &VOD{Root: root}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "record", "cam2"), 0o755))
	names := slices.Clone(hostileNames)
	for _, up := range []string{"..", "%2e%2e", "..%00", "..;", "...", "..%20", "%2e%2e%0d", "%e0%80%ae%e0%80%ae"} {
		for _, slash := range []string{"/", "%2f", `\`, "%5c", "//", "/./", "%c0%af"} {
			for _, begin := range []string{"", "cam/", "cam/a.flv;"} {
				for depth, target := range []string{"", "secret.flv", "secret.flv", "www_sibling/secret.flv"} {
					names = append(names, begin+strings.Repeat(up+slash, depth)+target)
				}
			}
		}
	}
	for _, name := range names {
		for range 3 { // decoded as often as anybody could
			r, err := v.Play(t.Context(), asked(name, ""))
			require.Error(t, err, "%q", name)
			require.Nil(t, r)
			require.ErrorIs(t, err, source.ErrNotFound, "%q", name)
			again, err := url.PathUnescape(name)
			if err != nil || again == name {
				break
			}
			name = again
		}
	}
	for _, vhost := range []string{"..", ".", "../..", "a/b", `..\..`, ".hidden", "example.com/record/..", "\x00", "/", "example.com/"} {
		req := asked("secret.flv", "")
		req.Key.Vhost = vhost
		_, err := v.Play(t.Context(), req)
		require.ErrorIs(t, err, source.ErrNotFound, "%q", vhost)
	}
	if runtime.GOOS != "windows" {
		makeFilm(t, filmLength, root, "../other/record/b.flv")
		require.NoError(t, os.Symlink("../other", filepath.Join(root, "other.com")))
		req := asked("b.flv", "")
		req.Key.Vhost = "other.com"
		_, err := v.Play(t.Context(), req)
		require.ErrorIs(t, err, source.ErrNotFound)
		for _, name := range []string{"in.flv", "in/a.mp4"} { // links within lead there
			r, err := v.Play(t.Context(), asked(name, ""))
			require.NoError(t, err, name)
			require.NoError(t, r.Close())
		}
	}
}

func FuzzLocalName(f *testing.F) {
	for _, name := range hostileNames {
		f.Add(name)
	}
	f.Add("cam/2024-05-01/a b.mp4")
	f.Fuzz(func(t *testing.T, name string) {
		local, err := localName(name)
		if err != nil {
			require.ErrorIs(t, err, fs.ErrNotExist)
			return
		}
		require.True(t, filepath.IsLocal(local))
		require.Equal(t, name, filepath.ToSlash(local))
		require.NotContains(t, "/"+name, "/.")
	})
}
