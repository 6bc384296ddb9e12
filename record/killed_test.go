package record

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// killedRoot tells the process of TestKilledProcess where to record.
const killedRoot = "MEDIAKIT_TEST_RECORD_ROOT"

// TestKilledProcess is what TestKilled kills: it records, twenty times as fast as
// the film is, and prints the time of each frame it has written.
func TestKilledProcess(t *testing.T) {
	root := os.Getenv(killedRoot)
	if root == "" {
		t.Skip("it is run by TestKilled")
	}
	o := formats[os.Getenv(killedRoot+"_FORMAT")]
	o.Root, o.Slice = root, 5*time.Second
	w, err := (&Sink{Key: testKey, Options: o}).Create(t.Context(), film.Tracks())
	require.NoError(t, err)
	begin := time.Now()
	for f := range film.Frames() {
		time.Sleep(time.Until(begin.Add(f.DTS / 20)))
		require.NoError(t, w.WriteFrame(context.Background(), f))
		fmt.Println("wrote", int64(f.DTS))
	}
}

// TestKilled kills a process that records, at any moment: what it has left plays
// to within a fragment of 2 s, and whole GOPs of the slices before.
func TestKilled(t *testing.T) {
	for name := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 3 {
				testKilled(t, name)
			}
		})
	}
}

func testKilled(t *testing.T, format string) {
	root := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$", "-test.v")
	cmd.Env = append(os.Environ(), killedRoot+"="+root, killedRoot+"_FORMAT="+format)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	moment := 3*time.Second + time.Duration(rand.Int64N(int64(9*time.Second)))
	var wrote time.Duration
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "wrote "); ok {
			n, err := strconv.ParseInt(text, 10, 64)
			require.NoError(t, err)
			if wrote = time.Duration(n); wrote >= moment {
				_ = cmd.Process.Kill()
				moment = 1 << 62
			}
		}
	}
	require.Error(t, cmd.Wait(), "killed")
	require.Positive(t, wrote)

	old := time.Now().Add(-time.Minute) // where systems have no locks
	for _, name := range tree(t, root) {
		require.NoError(t, os.Chtimes(filepath.Join(root, name), old, old))
	}
	_, err = (&Recorders{Root: root}).Recover(t.Context())
	require.NoError(t, err)
	var all []*codec.Frame
	n := 0
	for _, name := range tree(t, root) {
		require.NotContains(t, name, "/.")
		if strings.Count(name, "/") != 4 {
			continue // a segment
		}
		n++
		frames := readRecording(t, filepath.Join(root, name))
		require.True(t, frames[0].Key(), name)
		all = append(all, frames...)
	}
	require.NotZero(t, n)
	last := len(film.Take(wrote))
	lost := len(film.Take(wrote)) - len(film.Take(wrote-2*time.Second-film.GOP/2))
	require.GreaterOrEqual(t, len(all), last-lost, "%d of %d frames in %d files", len(all), last, n)
}
