package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// curlRaw runs curl and returns the head of the answer and its body. The URL is
// sent as it is.
func curlRaw(t testing.TB, url string, args ...string) (status, head, body string) {
	t.Helper()
	all := append([]string{"-sS", "-g", "--path-as-is", "--max-time", "60", "-i"}, args...)
	out := start(t, "curl", append(all, url)...).ok(patience)
	head, body, found := strings.Cut(out, "\r\n\r\n")
	require.True(t, found, out)
	fields := strings.Fields(head)
	return fields[1], head, body
}

// escapes are paths that leave the root, in every way of writing that anybody
// has thought of.
var escapes = []string{
	"/../secret.txt", "/../../../../../../etc/passwd", "/..%2f..%2fetc/passwd", "/..%2fsecret.txt", "/..%2Fsecret.txt",
	"/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt", "/%2E%2E%2Fsecret.txt", "/.%2e/secret.txt", "/%2e./secret.txt",
	"/sub/../../secret.txt", "/sub/..%2f..%2fsecret.txt", "/sub/%2e%2e/%2e%2e/secret.txt", "/./../secret.txt", "/.//../secret.txt",
	"/%252e%252e/secret.txt", "/%252e%252e%252fsecret.txt", "/..%252fsecret.txt", "/..%25252fsecret.txt",
	"/..\\secret.txt", "/..%5csecret.txt", "/..%5C..%5Cetc%5cpasswd", "/sub\\..\\..\\secret.txt", "/%5c..%5csecret.txt",
	"/..%c0%afsecret.txt", "/%c0%ae%c0%ae/secret.txt", "/%e0%80%ae%e0%80%ae/secret.txt", "/..%ef%bc%8fsecret.txt", "/..%u2215secret.txt",
	"/..;/secret.txt", "/..;a=b/secret.txt", "/sub/..;/..;/secret.txt", "/..%00/secret.txt", "/secret.txt%00", "/%00/../secret.txt",
	"//../secret.txt", "///etc/passwd", "//etc/passwd", "/%2fetc%2fpasswd", "/%2f%2fetc/passwd", "/....//secret.txt", "/.../secret.txt",
	"/link/secret.txt", "/link.txt", "/link/", "/..", "/../", "/%2e%2e", "/../www_sibling/secret.txt", "/_sibling/secret.txt", "/.hidden",
}

// TestFiles asks the ready server for files with curl: parts of them, lists of
// folders, and what is none of anybody's business.
func TestFiles(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 3 * time.Second}
	film, err := os.ReadFile(c.file(t))
	require.NoError(t, err)
	above := t.TempDir()
	root := filepath.Join(above, "www")
	const secret = "root: nobody must read this"
	for name, content := range map[string]string{
		"www/film.mp4": string(film), "www/sub/a & <b>.txt": "a file", "www/with/index.html": "the index", "www/.hidden": secret,
		"secret.txt": secret, "www_sibling/secret.txt": secret, "etc/passwd": secret,
	} {
		file := filepath.Join(above, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
	}
	require.NoError(t, os.Symlink(above, filepath.Join(root, "link")))
	require.NoError(t, os.Symlink(filepath.Join(above, "secret.txt"), filepath.Join(root, "link.txt")))
	_, s := mediaserver(t, "-root", root)

	whole := string(film)
	n := len(whole)
	for _, r := range []struct {
		ranges, status, want string
	}{
		{"0-99", "206", whole[:100]},
		{"100-199", "206", whole[100:200]},
		{"0-0", "206", whole[:1]},
		{"-100", "206", whole[n-100:]},
		{"-99999999", "206", whole},
		{"1000-", "206", whole[1000:]},
		{"1000-99999999", "206", whole[1000:]},
		{"99999999-", "416", ""},
		{"-0", "416", ""},
		{"9223372036854775808-9223372036854775809", "416", ""},
	} {
		t.Run("range "+r.ranges, func(t *testing.T) {
			status, head, body := curlRaw(t, s.at("http", "film.mp4"), "-H", "Range: bytes="+r.ranges)
			require.Equal(t, r.status, status)
			require.Contains(t, head, "Content-Range: bytes ")
			if r.status == "206" {
				require.True(t, body == r.want, "%d bytes instead of %d", len(body), len(r.want))
				require.Contains(t, head, "Content-Type: video/mp4")
			} else {
				require.Less(t, len(body), 1000)
			}
		})
	}
	for _, ranges := range []string{"bytes=200-100", "bytes=a-b", "bytes=", "bytes=5", "cows=1-2", "bytes=99999999999999999999999-"} {
		t.Run("bad range "+ranges, func(t *testing.T) {
			status, _, body := curlRaw(t, s.at("http", "film.mp4"), "-H", "Range: "+ranges)
			require.Contains(t, []string{"200", "416"}, status)
			require.Equal(t, status == "200", body == whole)
		})
	}
	t.Run("many ranges", func(t *testing.T) {
		status, _, body := curlRaw(t, s.at("http", "film.mp4"), "-H", "Range: bytes=0-"+strings.Repeat(",0-", 1300))
		require.Contains(t, []string{"200", "206", "416"}, status)
		require.LessOrEqual(t, len(body), n+4096)
	})
	t.Run("resumed", func(t *testing.T) {
		part := filepath.Join(t.TempDir(), "film.mp4")
		require.NoError(t, os.WriteFile(part, film[:n/3], 0o644))
		start(t, "curl", "-sS", "-f", "-C", "-", "-o", part, s.at("http", "film.mp4")).ok(patience)
		got, err := os.ReadFile(part)
		require.NoError(t, err)
		require.True(t, string(got) == whole)
	})
	t.Run("head", func(t *testing.T) {
		status, head, body := curlRaw(t, s.at("http", "film.mp4"), "-I")
		require.Equal(t, "200", status)
		require.Empty(t, body)
		require.Regexp(t, `(?i)etag: `, head)
		require.Regexp(t, `(?i)last-modified: `, head)
	})
	t.Run("list", func(t *testing.T) {
		status, head, body := curlRaw(t, s.at("http", "sub/"))
		require.Equal(t, "200", status)
		require.Contains(t, head, "text/html")
		require.Contains(t, body, "a &amp; &lt;b&gt;.txt")
		require.NotContains(t, body, "<b>")
		_, _, body = curlRaw(t, s.at("http", "with/"))
		require.Equal(t, "the index", body)
	})
	for _, path := range escapes {
		t.Run("escape "+path, func(t *testing.T) {
			status, _, body := curlRaw(t, "http://"+s.addrs["http"]+path)
			require.NotContains(t, body, "root:")
			if status == "200" {
				t.Fatalf("%s: %s", status, body)
			}
			require.Contains(t, []string{"400", "403", "404"}, status)
		})
	}
}
