package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// housekeeping is how often Serve looks after the files.
const housekeeping = time.Minute

// Recorders are the recordings of a hub's streams: at most one of each stream and
// format, and any number of clips. Fields must not change once it was used.
type Recorders struct {
	Hub       *source.Hub
	Root      string       // folder of everything; "" means "www"
	App       string       // the folder below Root, or below that of a vhost; "" means "record"
	Retention Retention    // what Serve deletes; the zero value: nothing
	NoSync    bool         // do not flush to the disk what Recover finishes
	OnEvent   func(Event)  // told what happens; those of one recording come one after the other, and while one is being told that recording finishes no file. nil: nobody is
	Logger    *slog.Logger // nil discards

	newDisk func(root string) disk // for tests
	open    openFiles

	mu     sync.Mutex // guards what follows
	active map[recording]*Recorder
	clips  map[*Recorder]struct{} // and recordings that finish their last file
	closed bool
}

// A recording is what Recorders find a Recorder by.
type recording struct {
	key    source.Key
	format Format
}

// Start records the stream called key. Where that is recorded in this format
// already it returns that recording, unchanged. The error wraps source.ErrNotFound
// if the stream is not live, unless Options.Wait is set; source.ErrUnsupported if
// the format can carry none of its tracks; source.ErrBadKey for names that no file
// can have.
func (rs *Recorders) Start(key source.Key, o Options) (*Recorder, error) {
	return rs.start(key, o, false)
}

// Clip records a part of the stream: from Options.Back before now to
// Options.Forward after. Any number of clips can be recorded at once, beside the
// recordings of Start.
func (rs *Recorders) Clip(key source.Key, o Options) (*Recorder, error) {
	o.Wait = false
	return rs.start(key, o, true)
}

func (rs *Recorders) start(key source.Key, o Options, clip bool) (*Recorder, error) {
	key.Vhost = cmp.Or(key.Vhost, source.DefaultVhost)
	o.Root = cmp.Or(o.Root, rs.Root)
	o = o.withDefaults()
	n, err := newNaming(rs.app(), key, o)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Recorder{
		set: rs, key: key, o: o, clip: clip, disk: rs.disk(o.Root), naming: n, queue: newQueue(), stop: cancel,
		done: make(chan struct{}), stats: Stats{Key: key, Format: o.Format, Start: time.Now()},
	}
	if old, err := rs.add(r); old != nil || err != nil {
		cancel()
		return old, err
	}
	in, err := r.now()
	if err != nil {
		cancel()
		rs.remove(r)
		close(r.done)
		return nil, err
	}
	go r.run(ctx, in)
	return r, nil
}

// now returns a reading of the stream if it is live; nil if it is waited for.
func (r *Recorder) now() (source.Reader, error) {
	if s := r.set.Hub.Stream(r.key); s != nil {
		if len(s.Tracks()) > 0 {
			if _, err := newWriter(r.disk, r.naming, r.o, s.Tracks()); err != nil && !r.o.Wait {
				return nil, err
			}
		}
		if sub := s.Subscribe(r.request()); sub != nil {
			return sub, nil
		}
	}
	if r.o.Wait {
		return nil, nil
	}
	return nil, fmt.Errorf("record: %w: %s", source.ErrNotFound, r.key)
}

// add makes r one of rs, unless there is another in its place, which it returns.
func (rs *Recorders) add(r *Recorder) (*Recorder, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	id := recording{r.key, r.o.Format}
	switch {
	case rs.closed:
		return nil, fmt.Errorf("record: %w", source.ErrClosed)
	case r.clip:
		rs.keep(r)
	case rs.active[id] != nil:
		return rs.active[id], nil
	default:
		if rs.active == nil {
			rs.active = map[recording]*Recorder{}
		}
		rs.active[id] = r
	}
	return nil, nil
}

// retire makes room for another recording of r's stream, which may be published
// again while r finishes its file.
func (rs *Recorders) retire(r *Recorder) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if id := (recording{r.key, r.o.Format}); rs.active[id] == r {
		delete(rs.active, id)
		rs.keep(r)
	}
}

// keep has All and Close know r, which is not found by its stream. The lock is
// held.
func (rs *Recorders) keep(r *Recorder) {
	if rs.clips == nil {
		rs.clips = map[*Recorder]struct{}{}
	}
	rs.clips[r] = struct{}{}
}

// remove takes r out of rs.
func (rs *Recorders) remove(r *Recorder) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.clips, r)
	if id := (recording{r.key, r.o.Format}); rs.active[id] == r {
		delete(rs.active, id)
	}
}

// Recorder returns the recording of a stream in a format; nil if there is none.
func (rs *Recorders) Recorder(key source.Key, f Format) *Recorder {
	key.Vhost = cmp.Or(key.Vhost, source.DefaultVhost)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.active[recording{key, f}]
}

// All returns all recordings and clips, sorted by stream and format.
func (rs *Recorders) All() []*Recorder {
	rs.mu.Lock()
	var all []*Recorder
	for _, r := range rs.active {
		all = append(all, r)
	}
	for r := range rs.clips {
		all = append(all, r)
	}
	rs.mu.Unlock()
	slices.SortFunc(all, func(a, b *Recorder) int {
		return cmp.Or(cmp.Compare(a.key.String(), b.key.String()), cmp.Compare(a.o.Format, b.o.Format), a.stats.Start.Compare(b.stats.Start))
	})
	return all
}

// Stop ends the recording of a stream in a format and waits until its file is
// finished, as Recorder.Close does. The error wraps source.ErrNotFound if there is
// no such recording.
func (rs *Recorders) Stop(key source.Key, f Format) error {
	r := rs.Recorder(key, f)
	if r == nil {
		return fmt.Errorf("record: %w: %s is not recorded as %v", source.ErrNotFound, key, f)
	}
	return r.Close()
}

// Close ends all recordings and finishes their files, which takes no more than 5
// seconds. No other can be started.
func (rs *Recorders) Close() error {
	rs.mu.Lock()
	rs.closed = true
	rs.mu.Unlock()
	all := rs.All()
	errs := make([]error, len(all))
	var closing sync.WaitGroup
	for i, r := range all {
		closing.Go(func() { errs[i] = r.Close() })
	}
	closing.Wait()
	return errors.Join(errs...)
}

// Serve looks after the files until ctx is done, and then closes rs: it calls
// Recover, and Clean with Retention, at once and every minute.
func (rs *Recorders) Serve(ctx context.Context) error {
	ticker := time.NewTicker(housekeeping)
	defer ticker.Stop()
	for {
		if _, err := rs.Recover(ctx); err != nil && ctx.Err() == nil {
			rs.log().Error("recover recordings", "err", err)
		}
		if rs.Retention != (Retention{}) {
			gone, err := rs.Clean(rs.Retention, false)
			if err != nil {
				rs.log().Error("delete recordings", "err", err)
			}
			if gone.Files > 0 {
				rs.log().Info("deleted recordings", "files", gone.Files, "bytes", gone.Bytes)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return rs.Close()
		}
	}
}

func (rs *Recorders) app() string { return cmp.Or(rs.App, defaultApp) }

func (rs *Recorders) disk(root string) disk {
	if rs.newDisk != nil {
		return rs.newDisk(root)
	}
	return rootDisk(root)
}

func (rs *Recorders) root() disk { return rs.disk(cmp.Or(rs.Root, defaultRoot)) }

// folders returns the folders that have recordings: App, and that of each vhost.
func (rs *Recorders) folders(v fs.FS) (dirs []string) {
	app := rs.app()
	if isFolder(v, app) {
		dirs = append(dirs, app)
	}
	entries, _ := fs.ReadDir(v, ".")
	for _, e := range entries {
		if dir := path.Join(e.Name(), app); e.Name() != app && e.IsDir() && isFolder(v, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// isFolder reports whether every element of name is a folder, and no link.
func isFolder(v fs.FS, name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if info, err := fs.Lstat(v, name); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

func (rs *Recorders) log() *slog.Logger { return discard(rs.Logger) }

// tell tells and logs e.
func (rs *Recorders) tell(e Event) {
	log := rs.log().With("stream", e.Key.String(), "format", e.Format.String())
	switch e.Kind {
	case EventFinished:
		log.Info("recording finished", "file", e.File.Path, "bytes", e.File.Size, "duration", e.File.Duration, "recovered", e.File.Recovered)
	case EventDropped:
		log.Warn("recording dropped frames", "frames", e.Lost)
	case EventFailed:
		log.Error("recording fails", "err", e.Err)
	case EventResumed:
		log.Info("recording goes on", "lost", e.Lost)
	case EventEnded:
		log.Info("recording has ended", "err", e.Err)
	}
	if rs.OnEvent != nil {
		rs.OnEvent(e)
	}
}
