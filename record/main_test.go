package record

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

var testKey = source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"}

// film is what is recorded: a key frame every second, 25 pictures a second.
var film = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Bitrate: 200_000}

// formats are all of them, with the Layouts of MP4.
var formats = map[string]Options{
	"MP4":            {Format: MP4},
	"MP4 fast start": {Format: MP4, Layout: mp4.LayoutFastStart},
	"MP4 fragmented": {Format: MP4, Layout: mp4.LayoutFragmented},
	"FLV":            {Format: FLV},
	"TS":             {Format: TS},
	"HLS":            {Format: HLS},
	"HLS fMP4":       {Format: HLSFMP4},
}

// soon is a context for what must happen in a test.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// A log keeps events.
type log struct {
	mu  sync.Mutex
	all []Event // guarded by mu
}

func (l *log) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

// events returns those so far.
func (l *log) events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Event(nil), l.all...)
}

// kinds returns what happened, in order.
func (l *log) kinds() string {
	var kinds []string
	for _, e := range l.events() {
		kinds = append(kinds, e.Kind.String())
	}
	return strings.Join(kinds, " ")
}

// files returns the finished files.
func (l *log) files() (files []File) {
	for _, e := range l.events() {
		if e.Kind == EventFinished {
			files = append(files, e.File)
		}
	}
	return files
}

// openRecording opens a file to be read.
func openRecording(path string) (source.Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(path) {
	case ".mp4":
		return mp4.NewFile(f, info.Size())
	case ".flv":
		return flv.NewFile(f, info.Size())
	}
	return ts.NewFile(f, info.Size())
}

// readRecording returns all frames of a file, or of what a playlist lists.
func readRecording(t testing.TB, path string) (frames []*codec.Frame) {
	t.Helper()
	var r source.Reader
	var err error
	if filepath.Ext(path) == ".m3u8" {
		r = readSegments(t, path)
	} else {
		r, err = openRecording(path)
		require.NoError(t, err, path)
	}
	defer r.Close()
	for {
		f, err := r.ReadFrame(t.Context())
		if err == io.EOF {
			return frames
		}
		require.NoError(t, err, path)
		frames = append(frames, f)
	}
}

// readSegments reads what a playlist lists.
func readSegments(t testing.TB, path string) source.Reader {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), "#EXT-X-ENDLIST")
	var all []io.Reader
	add := func(uri string) {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), filepath.FromSlash(uri)))
		require.NoError(t, err)
		all = append(all, strings.NewReader(string(b)))
	}
	isMP4 := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if uri, ok := strings.CutPrefix(line, `#EXT-X-MAP:URI="`); ok {
			add(strings.TrimSuffix(uri, `"`))
			isMP4 = true
		} else if line != "" && line[0] != '#' {
			add(line)
		}
	}
	in := io.MultiReader(all...)
	if isMP4 {
		return mp4.NewReader(in)
	}
	return ts.NewReader(in)
}

// tree returns the names of all files in dir.
func tree(t testing.TB, dir string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	}))
	return names
}

// A badDisk fails and waits as it is told to.
type badDisk struct {
	disk
	mu   sync.Mutex // guards what follows
	room int64      // bytes that can be written; negative: any
	err  error      // of everything that writes
	gate chan struct{}
	did  []string // creates, syncs, closes, renames
}

var errFull = errors.New("no space left on device")

func newBadDisk(root string) *badDisk { return &badDisk{disk: rootDisk(root), room: -1} }

// set changes how it is.
func (d *badDisk) set(room int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room, d.err = room, err
}

func (d *badDisk) note(what string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if what != "" {
		d.did = append(d.did, what)
	}
	return d.err
}

// hang has all writes wait until the channel is closed.
func (d *badDisk) hang(gate chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = gate
}

func (d *badDisk) create(name string) (file, error) {
	if err := d.note("create"); err != nil {
		return nil, err
	}
	f, err := d.disk.create(name)
	if err != nil {
		return nil, err
	}
	return badFile{f, d}, nil
}

func (d *badDisk) adopt(name string, force bool) (file, error) {
	f, err := d.disk.adopt(name, force)
	if f == nil || err != nil {
		return nil, err
	}
	return badFile{f, d}, nil
}

func (d *badDisk) rename(from, to string, sync bool) error {
	what := "rename"
	if sync {
		what += "+sync"
	}
	if err := d.note(what); err != nil {
		return err
	}
	return d.disk.rename(from, to, sync)
}

// A badFile is a file of a badDisk.
type badFile struct {
	file
	d *badDisk
}

func (f badFile) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	gate := f.d.gate
	f.d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err := f.d.note(""); err != nil {
		return 0, err
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.room < 0 {
		return f.file.Write(p)
	}
	n := int(min(f.d.room, int64(len(p))))
	n, err := f.file.Write(p[:n])
	f.d.room -= int64(n)
	if err == nil && n < len(p) {
		err = errFull
	}
	return n, err
}

func (f badFile) Sync() error {
	if err := f.d.note("sync"); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f badFile) Close() error {
	_ = f.d.note("close")
	return f.file.Close()
}
