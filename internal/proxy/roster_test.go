package proxy

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A job runs until it is told to end, or ended.
type job struct {
	name    string
	end     chan struct{}
	running *atomic.Int64
}

func (j *job) Run(ctx context.Context) {
	j.running.Add(1)
	defer j.running.Add(-1)
	select {
	case <-j.end:
	case <-ctx.Done():
	}
}

type config struct{ ID, Text string }

// A bench makes jobs.
type bench struct {
	Roster[config, *job]
	t       *testing.T
	running atomic.Int64
}

func (b *bench) job(id string) (string, config, *job) {
	return id, config{id, "of " + id}, &job{id, make(chan struct{}), &b.running}
}

func (b *bench) names() (names []string) {
	for _, j := range b.All() {
		names = append(names, j.name)
	}
	return names
}

func (b *bench) kept() (ids []string) {
	b.t.Helper()
	kept, err := b.Kept()
	require.NoError(b.t, err)
	for _, c := range kept {
		require.Equal(b.t, "of "+c.ID, c.Text)
		ids = append(ids, c.ID)
	}
	return ids
}

func TestRoster(t *testing.T) {
	dir := t.TempDir()
	b := &bench{t: t}
	b.File = filepath.Join(dir, "jobs.json")
	require.Empty(t, b.kept(), "there is no file")
	for _, id := range []string{"b", "c", "a"} {
		require.NoError(t, b.Add(b.job(id)))
	}
	require.ErrorIs(t, b.Add(b.job("b")), source.ErrBusy)
	require.Equal(t, []string{"a", "b", "c"}, b.names())
	require.Equal(t, []string{"a", "b", "c"}, b.kept())
	first, ok := b.Get("b")
	require.True(t, ok)
	_, ok = b.Get("d")
	require.False(t, ok)

	found, err := b.Remove("d")
	require.NoError(t, err)
	require.False(t, found)
	found, err = b.Remove("c")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, []string{"a", "b"}, b.kept())

	close(first.end) // what is over stays, until there is another
	for b.Add(b.job("b")) != nil {
		runtime.Gosched()
	}
	again, _ := b.Get("b")
	require.NotSame(t, first, again)

	b.Close()
	require.Zero(t, b.running.Load())
	require.Equal(t, []string{"a", "b"}, b.kept(), "the next process finds them")
	require.ErrorIs(t, b.Add(b.job("e")), source.ErrClosed)
	found, _ = b.Remove("a")
	require.False(t, found)

	next := &bench{t: t}
	next.File = b.File
	kept, err := next.Kept()
	require.NoError(t, err)
	for _, c := range kept {
		require.NoError(t, next.Resume(next.job(c.ID)))
	}
	require.Equal(t, []string{"a", "b"}, next.names())
	next.Close()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary files")
	if runtime.GOOS != "windows" {
		info, err := left[0].Info()
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
}

// What cannot be kept is not run; what is in the way of the old one stays.
func TestFileErrors(t *testing.T) {
	b := &bench{t: t}
	dir := filepath.Join(t.TempDir(), "none")
	b.File = filepath.Join(dir, "jobs.json")
	require.ErrorIs(t, b.Add(b.job("a")), fs.ErrNotExist)
	require.Empty(t, b.names())
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, b.Add(b.job("a")))
	require.NoError(t, os.RemoveAll(dir))
	found, err := b.Remove("a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.True(t, found)
	b.Close()

	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(b.File, []byte(`[{"ID":`), 0o600))
	_, err = b.Kept()
	var syntax *json.SyntaxError
	require.ErrorAs(t, err, &syntax)
	require.ErrorContains(t, err, "jobs.json")
	require.NoError(t, os.Remove(b.File))
	require.NoError(t, os.Mkdir(b.File, 0o700))
	_, err = b.Kept()
	require.Error(t, err)
}

// Everybody at once: what runs in the end is what is kept.
func TestRosterConcurrently(t *testing.T) {
	b := &bench{t: t}
	b.File = filepath.Join(t.TempDir(), "jobs.json")
	var all sync.WaitGroup
	for _, id := range []string{"a", "b", "c", "a", "b", "c"} {
		all.Go(func() {
			for range 10 {
				_ = b.Add(b.job(id))
				b.All()
				_, _ = b.Remove(id)
			}
			_ = b.Add(b.job(id))
		})
	}
	all.Wait()
	require.Equal(t, b.names(), b.kept())
	require.Len(t, b.names(), 3)
	b.Close()
	require.Zero(t, b.running.Load())
}
