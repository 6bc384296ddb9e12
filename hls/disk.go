package hls

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// maxQueued bounds what waits to be written, in bytes. These are in memory
// anyway as long as they are listed.
const maxQueued = 64 << 20

// A folder is where files are written. Names are relative to it, with slashes.
type folder interface {
	// clean removes what another Writer has left: all its files, or what it had
	// not finished. It makes the folder if there is none.
	clean(c Container, all bool) error
	// write makes the file appear at once as a whole.
	write(name string, data []byte) error
	// remove removes the file, if it is there, and the folders that are empty then.
	remove(name string) error
	// read returns what a small file has.
	read(name string) ([]byte, error)
	open(name string) (fs.File, error)
	// close gives the folder up, and removes it if it is empty.
	close() error
}

// A disk writes files to a folder, in a goroutine. Errors are counted; what could
// not be written is left out.
type disk struct {
	dir   folder
	o     Options
	event bool // nothing is removed
	wake  chan struct{}
	done  chan struct{} // closed when the goroutine has ended

	hour hourList // of the goroutine

	mu      sync.Mutex // guards what follows
	files   []queued   // to be written, in this order
	lost    bool       // a segment after those was not even queued
	queued  int        // bytes of those
	text    []byte     // of the playlist, to be written after the files
	removes []string   // to be removed after that
	closing bool
	failed  uint64
	failing bool            // the last file was not written
	written map[string]bool // and not removed; not of an event
	last    []byte          // the playlist that was written
}

// newDisk starts a disk, which first removes what another has left.
func newDisk(dir folder, o Options) *disk {
	d := &disk{
		dir: dir, o: o, event: o.Segments < 0,
		wake: make(chan struct{}, 1), done: make(chan struct{}), written: map[string]bool{},
	}
	go d.run()
	return d
}

// A queued is a file that is to be written.
type queued struct {
	*file
	kept *keptSegment // nil if no hour lists it
}

// store has f written. It is complete.
func (d *disk) store(f *file) {
	if d != nil {
		d.enqueue(queued{file: f})
	}
}

// storeSegment has s written, and listed with its hour if segments are kept. It is
// complete.
func (d *disk) storeSegment(s *segment) {
	q := queued{file: &s.file}
	if d.o.Keep {
		q.kept = keep(s)
	}
	d.enqueue(q)
}

func (d *disk) enqueue(q queued) {
	n := len(q.content.Load().data)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.queued+n > maxQueued {
		d.lost = true
		d.fail(fmt.Errorf("hls: disk too slow for %s: %w", q.name, source.ErrLimit))
		return
	}
	if q.kept != nil && d.lost {
		q.kept.discont, d.lost = true, false
	}
	d.files, d.queued = append(d.files, q), d.queued+n
	d.poke()
}

// list has the playlist written.
func (d *disk) list(text []byte) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text = text
	d.poke()
}

// remove has f removed.
func (d *disk) remove(f *file) {
	if d == nil || d.event || d.o.Keep && !f.reused {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.IndexFunc(d.files, func(q queued) bool { return q.file == f }); i >= 0 {
		d.queued -= len(f.content.Load().data)
		d.files = slices.Delete(d.files, i, i+1)
		return
	}
	d.removes = append(d.removes, f.name)
	d.poke()
}

// open opens a file that was written.
func (d *disk) open(name string) (fs.File, error) {
	if d == nil {
		return nil, fs.ErrNotExist
	}
	return d.dir.open(name)
}

// errors returns how many files were not written or removed.
func (d *disk) errors() uint64 {
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// close writes what is to be written and ends the goroutine. It waits no longer
// than grace: a disk may hang for ever.
func (d *disk) close(grace time.Duration) error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	d.closing = true
	d.poke()
	d.mu.Unlock()
	return within(grace, d.done)
}

// purge removes all that was written, after close. A playlist stays that another
// Writer has replaced.
func (d *disk) purge() error {
	if d == nil || d.event {
		return nil
	}
	select {
	case <-d.done:
	default:
		return nil // it hangs; who uses the folder next cleans it
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for name := range d.written {
			d.check(d.dir.remove(name))
		}
		clear(d.written)
		if name := d.o.Container.playlist(); d.last != nil {
			if b, err := d.dir.read(name); err == nil && slices.Equal(b, d.last) {
				d.check(d.dir.remove(name))
			}
			d.last = nil
		}
		d.check(d.dir.close())
	}()
	return within(diskGrace, done)
}

// within waits until done is closed, but no longer than d.
func within(d time.Duration, done <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return fmt.Errorf("hls: disk: %w", source.ErrTimeout)
	}
}

// poke wakes the goroutine. The lock is held.
func (d *disk) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *disk) run() {
	defer close(d.done)
	d.check(d.dir.clean(d.o.Container, !d.event))
	for {
		f, text, removes, closing := d.next()
		switch {
		case f.file != nil:
			d.write(f)
		case text != nil:
			if err := d.dir.write(d.o.Container.playlist(), text); d.check(err) {
				d.last = text
			}
		case removes != nil:
			for _, name := range removes {
				if d.check(d.dir.remove(name)) {
					delete(d.written, name)
				}
			}
		case closing:
			return
		default:
			<-d.wake
		}
	}
}

// next takes what is to be done next.
func (d *disk) next() (f queued, text []byte, removes []string, closing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case len(d.files) > 0:
		f = d.files[0]
		d.files[0], d.files = queued{}, d.files[1:]
		d.queued -= len(f.content.Load().data)
	case d.text != nil:
		text, d.text = d.text, nil
	case len(d.removes) > 0:
		removes, d.removes = d.removes, nil
	default:
		closing = d.closing
	}
	return f, text, removes, closing
}

// write writes one file.
func (d *disk) write(f queued) {
	c := f.content.Load()
	if !d.check(d.dir.write(f.name, c.data)) {
		d.hour.gap = true
		return
	}
	f.stored.Store(true)
	if f.kept != nil {
		d.check(d.hour.add(d.dir, f.kept))
	} else if !d.event {
		d.written[f.name] = true
	}
}

// check counts err, and reports whether there is none.
func (d *disk) check(err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.fail(err)
		return false
	}
	if d.failing {
		d.failing = false
		d.log(slog.LevelInfo, "hls: disk works again", "dir", d.o.Dir)
	}
	return true
}

// fail counts err, and logs it unless that was done. The lock is held.
func (d *disk) fail(err error) {
	d.failed++
	if !d.failing {
		d.failing = true
		d.log(slog.LevelError, "hls: disk", "dir", d.o.Dir, "err", err)
	}
}

func (d *disk) log(level slog.Level, text string, args ...any) {
	if d.o.Logger != nil {
		d.o.Logger.Log(context.Background(), level, text, args...)
	}
}
