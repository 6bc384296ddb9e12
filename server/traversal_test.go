package server

import (
	"net/http"
	"net/url"
	"path"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// hostilePaths are request targets that must lead nowhere.
var hostilePaths = []string{
	"/../secret.txt", "/../../etc/passwd", "/sub/../../secret.txt", "/sub/../a.txt", "/./a.txt", "/..", "/.", "/../",
	"/..%2f..%2fetc/passwd", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt", "/%2E%2E/secret.txt", "/.%2e/secret.txt", "/%2e./secret.txt",
	"/%252e%252e/secret.txt", "/%252e%252e%252fsecret.txt", "/..%252fsecret.txt", "/%25252e%25252e/secret.txt",
	`/..\secret.txt`, `/..%5csecret.txt`, `/sub%5c..%5c..%5csecret.txt`, `/%5c..%5csecret.txt`, `/a.txt%5c`, `/C:%5cWindows%5cwin.ini`,
	"/a.txt%00", "/a.txt%00.html", "/..%00/secret.txt", "/%00", "/sub/b.txt%00/../../secret.txt",
	"/%c0%ae%c0%ae/secret.txt", "/%c0%ae%c0%ae%c0%afsecret.txt", "/..%c0%afsecret.txt", "/%e0%80%ae%e0%80%ae/secret.txt", "/..%c1%9csecret.txt", "/%f0%80%80%ae%f0%80%80%ae/secret.txt",
	"/..;/secret.txt", "/..;x=1/secret.txt", "/sub/..;/..;/secret.txt", "/.;/a.txt", "/;/../secret.txt",
	"//../secret.txt", "///..//..//etc//passwd", "//etc/passwd", "/etc/passwd", "/%2fetc%2fpasswd", "/file:///etc/passwd",
	"/%ef%bc%8e%ef%bc%8e/secret.txt", "/..%ef%bc%8fsecret.txt", "/%u002e%u002e/secret.txt", "/.%20./secret.txt", "/..%20/secret.txt", "/....//secret.txt", "/...%2f...%2fsecret.txt",
	"/.hidden", "/%2ehidden", "/sub/../.hidden", "/.git/config", "/%2egit%2fconfig",
	"/out", "/out_dir/secret.txt", "/out_dir/www_sibling/secret.txt", "/out_far", "/absolute", "/loop", "/nowhere", "/out/", "/in_dir/../../secret.txt", "/out_dir/",
	"/../www_sibling/secret.txt", "/_sibling/secret.txt", "/..%2fwww_sibling%2fsecret.txt",
	"/v/../secret.txt", "/v/..%2fsecret.txt", "/v%2f..%2f..%2fsecret.txt", "/v/%2e%2e/www_sibling/secret.txt", "/v/../www/.hidden",
	"http://x/../secret.txt", "http://x/%2e%2e/secret.txt",
	"/a.txt/", "/a.txt/..", "/a.txt/../a.txt", "/a.txt/x", "/%0d%0aX-Injected:%201", "/a%7f.txt", "/" + strings.Repeat("a", maxPath), "/" + strings.Repeat("a/", 3000),
}

// generatedPaths combines ways to write dots, slashes and depths.
func generatedPaths() (all []string) {
	for _, dots := range []string{
		"..", "%2e%2e", "%2e.", ".%2E", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%ef%bc%8e%ef%bc%8e", "%u002e%u002e",
		"..;", "..%00", "..%3b", "..%20", "...", "....", "%00..", "..%09", "%2e%2e%0d",
	} {
		for _, slash := range []string{"/", "%2f", "%2F", "%252f", `\`, "%5c", "%255c", "//", "/./", "%c0%af", "%e0%80%af", "%ef%bc%8f", "%2f%2f"} {
			for _, begin := range []string{"/", "/sub/", "/v/"} {
				for _, depth := range []int{1, 2, 9} {
					target := "secret.txt"
					switch depth {
					case 2:
						target = "www_sibling" + slash + "secret.txt"
					case 9:
						target = "etc" + slash + "passwd"
					}
					all = append(all, begin+strings.Repeat(dots+slash, depth)+target)
				}
			}
		}
	}
	return all
}

// TestTraversal asks for what lies outside in every way known (H1 to H3), at the
// wire.
func TestTraversal(t *testing.T) {
	www := tree(t)
	addr := serving(t, &HTTP{Handler: &Files{Root: www, Virtual: map[string]string{"v": path.Join(www, "..", "other")}}})
	c := &rawClient{t: t, addr: addr}
	defer c.close()
	ask := func(target string) (int, string) {
		resp, b := c.ask("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
		require.Empty(t, resp.Header.Get("X-Injected"))
		return resp.StatusCode, b
	}
	for target, want := range map[string]string{"/a.txt": "content of a", "//sub%2fb.txt": "content of b", "/v/o.txt": "other", "http://x/a.txt": "content of a"} {
		status, b := ask(target)
		require.Equal(t, http.StatusOK, status, target)
		require.Equal(t, want, b)
	}
	if runtime.GOOS != "windows" {
		for target, want := range map[string]string{"/in": "content of a", "/in_dir/b.txt": "content of b"} {
			status, b := ask(target)
			require.Equal(t, http.StatusOK, status, target)
			require.Equal(t, want, b)
		}
	}
	generated := generatedPaths()
	require.GreaterOrEqual(t, len(hostilePaths), 30)
	require.GreaterOrEqual(t, len(generated), 1000)
	for _, target := range append(generated, hostilePaths...) {
		status, b := ask(target)
		require.Contains(t, []int{http.StatusNotFound, http.StatusBadRequest}, status, "%.100s", target)
		require.NotContains(t, b, secret, target)
		require.NotContains(t, b, "root:", target)
	}
}

// TestTraversalBesides: a way out that is asked for in a header of another kind, or
// with a method that shows nothing, does not help either.
func TestTraversalBesides(t *testing.T) {
	h := &Files{Root: tree(t)}
	for _, header := range [][]string{
		{"X-Original-URL", "/../secret.txt"}, {"X-Rewrite-URL", "/../secret.txt"}, {"X-Forwarded-Prefix", "/.."},
	} {
		require.Equal(t, "content of a", fetch(h, "/a.txt", header...).Body.String())
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "CONNECT"} {
		w := ask(h, method, "/.hidden")
		require.NotContains(t, w.Body.String(), secret, method)
		require.GreaterOrEqual(t, w.Code, 400, method)
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		folder, path string
		want         bool
	}{
		{"/", "/a", true}, {"", "/a/b", true}, {"/www", "/www/a", true}, {"/www/", "/www", true}, {"/www", "/www_sibling/a", false},
		{"/www/a", "/www", false}, {"/www/a.mp4", "/www/a.mp4", true}, {"/www/a.mp4", "/www/a.mp4.txt", false}, {"/", "/", true}, {"/a", "/", false},
	} {
		require.Equal(t, c.want, within(c.folder, c.path), "%q in %q", c.path, c.folder)
	}
}

func TestOtherName(t *testing.T) {
	for name, want := range map[string]bool{"a.txt": false, "a.txt.": true, "a.txt ": true, "GIT~1": true, "a b": false, ".": true} {
		require.Equal(t, want, otherName(name), name)
	}
}

func FuzzCleanPath(f *testing.F) {
	for _, target := range append(hostilePaths, "/a.txt", "/sub//b.txt/", "", "/", "a:b/c;d", "/ä/ö") {
		if p, err := url.PathUnescape(target); err == nil {
			f.Add(p)
		}
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, p string) {
		name, err := cleanPath(p)
		if err != nil {
			return // refusing is fine
		}
		again, err := cleanPath(name)
		if err != nil || again != name {
			t.Fatalf("%q came to %q, and then to %q, %v", p, name, again, err)
		}
		if strings.ContainsAny(name, "\\\x00\r\n") || !utf8.ValidString(name) || strings.HasPrefix(name, "/") {
			t.Fatalf("%q came to %q", p, name)
		}
		if name != "" && path.Clean("/"+name) != "/"+name {
			t.Fatalf("%q came to %q, which is not clean", p, name)
		}
		for e := range strings.SplitSeq(name, "/") {
			if name != "" && (e == "" || e[0] == '.') {
				t.Fatalf("%q came to %q", p, name)
			}
		}
		local, err := localPath(name)
		if err == nil && local == "" {
			t.Fatalf("%q is nowhere", name)
		}
	})
}
