package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// snippets returns the programs that README.md shows.
func snippets(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	var list []string
	for _, m := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(b), -1) {
		list = append(list, m[1])
	}
	return list
}

// snippet builds and runs a program of the README with its fixed addresses and
// names exchanged.
func snippet(t testing.TB, code string, exchange ...string) *process {
	t.Helper()
	for i := 0; i < len(exchange); i += 2 {
		require.Contains(t, code, exchange[i])
	}
	dir := t.TempDir()
	file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(file, []byte(strings.NewReplacer(exchange...).Replace(code)), 0o600))
	build := exec.Command("go", "build", "-o", program, file)
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return startCmd(t, exec.Command(program))
}

// freeAddr returns an address of the loopback interface that nobody uses, for
// programs that cannot choose themselves.
func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// listens waits until somebody listens on addr.
func listens(t testing.TB, addr string) {
	t.Helper()
	eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, "somebody listens on %s", addr)
}

// TestReadme builds and runs the programs of README.md: the first is a server,
// the second writes a stream of it to a file, the third pulls, pushes and records.
func TestReadme(t *testing.T) {
	t.Parallel()
	programs := snippets(t)
	require.Len(t, programs, 3)
	published := probeFile(t, "ffprobe", long.file(t))

	s := &server{addrs: map[string]string{"rtmp": freeAddr(t), "rtsp": freeAddr(t), "http": freeAddr(t)}}
	s.addrs["ws"] = s.addrs["http"]
	snippet(t, programs[0], `":1935"`, fmt.Sprintf("%q", s.addrs["rtmp"]), `":8554"`, fmt.Sprintf("%q", s.addrs["rtsp"]),
		`":8080"`, fmt.Sprintf("%q", s.addrs["http"]))
	for _, scheme := range []string{"rtmp", "rtsp", "http"} {
		listens(t, s.addrs[scheme])
	}

	path := filepath.Join(t.TempDir(), "t.mp4")
	recorder := snippet(t, programs[1], "http://127.0.0.1:8080/live/t.live.flv", s.url("http", "live/t"), "t.mp4", path)
	root := t.TempDir()
	door := snippet(t, programs[2], "rtsp://admin:secret@192.168.1.20/stream1", s.url("rtsp", "live/t"),
		"rtmp://example.com/live/door", s.url("rtmp", "live/door"), `"www"`, fmt.Sprintf("%q", root))
	recorded := []*recording{
		record(t, s.url("rtmp", "live/t")), record(t, s.url("http", "live/t")), record(t, s.url("ws", "live/t")),
		recordedBy(recorder, path), record(t, s.url("rtmp", "live/door")),
	}
	overRTSP := screenRTSP(t, s.url("rtsp", "live/t"), "udp")
	publishUntil(t, long.file(t), s.url("rtmp", "live/t"), recorded[0], recorded[1], recorded[2], recorded[3], recorded[4], overRTSP)
	overRTSP.wait()
	door.signal(syscall.SIGINT)
	require.NoError(t, door.wait(patience))
	for _, v := range recorded {
		requireSame(t, published, probeFile(t, "ffprobe", v.wait()), anyPart)
	}

	files, err := filepath.Glob(filepath.Join(root, "record", "live", "door", "*", "*.mp4"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	requireSame(t, published, probeFile(t, "ffprobe", files[0]), anyPart)
}
