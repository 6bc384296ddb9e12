package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cacheDir is where peers/install puts what comes from npm.
func cacheDir() string {
	if dir := os.Getenv("MEDIAKIT_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return os.TempDir()
	}
	return filepath.Join(dir, "mediakit")
}

// newerDir holds ffmpeg7 and ffprobe7, builds of ffmpeg 7.1 that read Enhanced
// FLV and RTMP, which Debian's does not.
func newerDir() string {
	return filepath.Join(cacheDir(), "npm/node_modules/@remotion/compositor-linux-x64-gnu")
}

// find returns the path of the program name, or skips the test, or fails it
// where MEDIAKIT_E2E says that nothing may be missing.
func find(t testing.TB, name string) string {
	t.Helper()
	file := name
	if base, ok := strings.CutSuffix(name, "7"); ok {
		file = filepath.Join(newerDir(), base)
	}
	path, err := exec.LookPath(file)
	if err != nil {
		without(t, name)
	}
	return path
}

// without skips or fails a test for want of what.
func without(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("MEDIAKIT_E2E") == "require" {
		t.Fatalf("%s is not installed", what)
	}
	line := fmt.Sprintf("%s: %s is not installed\n", t.Name(), what)
	note(line)
	t.Skip("!!! SKIPPED " + line)
}

// note writes what was skipped to a file, as the go command hides it.
func note(line string) {
	if os.MkdirAll(cacheDir(), 0o755) != nil {
		return
	}
	if f, err := os.OpenFile(filepath.Join(cacheDir(), "skipped"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		f.WriteString(line)
		f.Close()
	}
}

// A process is a running program. It is killed when its test ends, and its
// output is logged when the test failed.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout buffer
	stderr buffer
	done   chan struct{} // closed when the process has ended
	err    error         // of Wait; set before done is closed
}

// start runs the program name, looked up with find.
func start(t testing.TB, name string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(find(t, name), args...)
	cmd.Env = os.Environ()
	if strings.HasSuffix(name, "7") {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+newerDir())
	}
	return startCmd(t, cmd)
}

// startCmd runs cmd.
func startCmd(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.stdout
	}
	cmd.Stderr = &p.stderr
	cmd.WaitDelay = 5 * time.Second // its own children may hold the pipes open
	require.NoError(t, cmd.Start())
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s\n%s", cmd, tail(p.stderr.String()))
		}
	})
	return p
}

// kill ends the process as "kill -9" does and waits for it.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// signal sends s.
func (p *process) signal(s syscall.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// wait waits until the process has ended and returns how, or fails the test
// after limit.
func (p *process) wait(limit time.Duration) error {
	p.t.Helper()
	select {
	case <-p.done:
		return p.err
	case <-time.After(limit):
		p.t.Fatalf("%s: still running after %s\n%s", p.cmd, limit, tail(p.stderr.String()))
		return nil
	}
}

// ok waits as wait does and fails the test if the process failed. It returns
// what it wrote to its standard output.
func (p *process) ok(limit time.Duration) string {
	p.t.Helper()
	if err := p.wait(limit); err != nil {
		p.t.Fatalf("%s: %v\n%s", p.cmd, err, tail(p.stderr.String()))
	}
	return p.stdout.String()
}

// until waits for text in the process's output.
func (p *process) until(text string) {
	p.t.Helper()
	eventually(p.t, func() bool {
		if strings.Contains(p.stdout.String(), text) || strings.Contains(p.stderr.String(), text) {
			return true
		}
		select {
		case <-p.done:
			p.t.Fatalf("%s: ended without %q: %v\n%s", p.cmd, text, p.err, tail(p.stderr.String()))
		default:
		}
		return false
	}, "%s prints %q", p.cmd, text)
}

// patience is how long a test waits for what happens at once on an idle
// machine. It only decides how long a failure takes.
const patience = time.Minute

// eventually waits until cond holds.
func eventually(t testing.TB, cond func() bool, format string, args ...any) {
	t.Helper()
	within(t, patience, cond, format, args...)
}

// within is eventually for what takes its time.
func within(t testing.TB, limit time.Duration, cond func() bool, format string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); !cond(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: "+format, args...)
		}
	}
}

// A buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tail returns the end of a program's output.
func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "[…]" + s[len(s)-most:]
	}
	return s
}

// execute runs a program to its end outside of any test and returns what it
// wrote to both outputs.
func execute(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}
