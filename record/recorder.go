package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

const (
	retryAfter = 10 * time.Second // how long a disk that refuses is left alone
	closeGrace = 5 * time.Second  // how long a recording may take to finish its file
	clipGrace  = 5 * time.Second  // how much later than it should a clip's last frame may come
)

// errOver is the end of a clip.
var errOver = errors.New("record: clip is complete")

// A State is what a recording is at.
type State uint8

// The states of a recording.
const (
	StateWaiting   State = iota // for the stream to come
	StateRecording              //
	StateFailing                // the disk refuses; it is tried again every 10 s
	StateEnded                  //
)

// String returns the state's name, such as "recording".
func (s State) String() string {
	return [...]string{"waiting", "recording", "failing", "ended"}[min(s, StateEnded)]
}

// Stats are a recording's state and counters.
type Stats struct {
	Key     source.Key
	Format  Format
	State   State
	Start   time.Time // of the recording
	Name    string    // of the file that is being written, with its leading dot, below Root; "": none is
	Files   uint64    // finished
	Bytes   uint64    // of those
	Frames  uint64    // written
	Lost    uint64    // frames that are missing because the disk was slow or refused
	LeftOut uint64    // frames that the format cannot carry
	Errors  uint64    // of the disk
	Queued  int       // bytes that wait to be written
	Err     error     // the disk's, while it fails; why it ended
}

// A Recorder is one recording of one stream. [Recorders] start them.
type Recorder struct {
	set    *Recorders
	key    source.Key
	o      Options // with its defaults
	clip   bool
	disk   disk
	naming naming
	queue  *queue
	stop   context.CancelFunc
	done   chan struct{} // closed when it has ended

	telling sync.Mutex // events come one after the other

	mu    sync.Mutex // guards what follows
	stats Stats
	gap   uint64 // frames lost while it fails
}

// Key returns the stream that is recorded.
func (r *Recorder) Key() source.Key { return r.key }

// Options returns what it was started with, defaults filled in.
func (r *Recorder) Options() Options { return r.o }

// Stats returns state and counters.
func (r *Recorder) Stats() Stats {
	queued, lost := r.queue.stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.stats
	st.Queued, st.Lost = queued, lost
	return st
}

// Done returns a channel that is closed when the recording has ended and its last
// file is finished.
func (r *Recorder) Done() <-chan struct{} { return r.done }

// Close stops the recording and finishes its file. When that takes more than 5
// seconds, because the disk hangs, it returns an error that wraps
// source.ErrTimeout, and the file is finished when the disk goes on.
func (r *Recorder) Close() error {
	r.stop()
	t := time.NewTimer(closeGrace)
	defer t.Stop()
	select {
	case <-r.done:
		return nil
	case <-t.C:
		return fmt.Errorf("record: %s: disk: %w", r.key, source.ErrTimeout)
	}
}

// run records from in, or if that is nil from what comes, until it is over.
func (r *Recorder) run(ctx context.Context, in source.Reader) {
	defer close(r.done)
	defer r.set.remove(r)
	var err error
	for {
		if in == nil {
			if in, err = r.await(ctx); err != nil {
				break
			}
		}
		err = r.record(ctx, in)
		in.Close()
		in = nil
		if err != nil || !r.o.Wait {
			break
		}
		r.become(StateWaiting, nil)
	}
	if ctx.Err() != nil || errors.Is(err, errOver) {
		err = nil
	}
	r.become(StateEnded, err)
	r.tell(Event{Kind: EventEnded, Err: err})
}

// request returns what the recording asks the hub for.
func (r *Recorder) request() *source.Request {
	return &source.Request{
		ID: source.NewID(), Schema: "record", Protocol: "record", Key: r.key, Passive: !r.o.Viewer,
		Viewer: source.ViewerOptions{MaxLag: time.Hour, Back: max(0, r.o.Back)}, // it is behind for want of time only
	}
}

// await waits until there is the stream.
func (r *Recorder) await(ctx context.Context) (source.Reader, error) {
	for {
		s, err := r.set.Hub.Await(ctx, r.key)
		if err != nil {
			return nil, err
		}
		if sub := s.Subscribe(r.request()); sub != nil {
			return sub, nil
		}
	}
}

// record records from in until that ends, which returns nil.
func (r *Recorder) record(ctx context.Context, in source.Reader) error {
	w, err := newWriter(r.disk, r.naming, r.o, in.Tracks())
	if err != nil {
		return err
	}
	w.open, w.finished = &r.set.open, r.finished
	r.become(StateRecording, nil)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.queue.begin()
	var writing sync.WaitGroup
	writing.Go(func() {
		if err := r.write(w); err != nil {
			cancel(err)
		}
	})
	err = r.pump(ctx, in)
	if !r.o.Wait {
		r.set.retire(r)
	}
	r.queue.close()
	writing.Wait()
	return err
}

// pump puts what in yields into the queue.
func (r *Recorder) pump(ctx context.Context, in source.Reader) error {
	sub, _ := source.As[*source.Subscription](in)
	read := backlog(sub)
	begin, end := time.Duration(-1<<62), time.Duration(1<<62)
	var latest time.Duration
	var at time.Time
	known := false
	var skipped uint64
	for {
		var f *codec.Frame
		var err error
		now := time.Now()
		if len(read) > 0 {
			f, read = read[0], read[1:]
		} else if f, err = in.ReadFrame(ctx); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			if r.clip && errors.Is(err, context.DeadlineExceeded) {
				return errOver
			}
			return err
		} else {
			now = time.Now()
		}
		if !known {
			known, latest, at = true, f.DTS, now
			for _, g := range read {
				latest = max(latest, g.DTS)
			}
			if r.o.Back < 0 {
				begin = latest - r.o.Back
			}
			if r.clip {
				end = latest + r.o.Forward
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, max(r.o.Forward, 0)+clipGrace)
				defer cancel()
			}
		}
		if f.DTS >= end {
			return errOver
		}
		if f.DTS < begin {
			continue
		}
		if sub != nil {
			if n := sub.Stats().Skipped; n != skipped {
				r.queue.lose(n - skipped)
				skipped = n
			}
		}
		came := now
		if f.DTS < latest {
			came = at.Add(f.DTS - latest)
		}
		video := slices.ContainsFunc(in.Tracks(), isVideo)
		if gap := r.queue.push(item{f, came, f.Key() && (isVideo(f.Track) || !video)}); gap > 0 {
			r.missed(gap)
		}
	}
}

func isVideo(t *codec.Track) bool { return t.Kind() == codec.KindVideo }

// backlog returns the frames that a stream has at once.
func backlog(sub *source.Subscription) (frames []*codec.Frame) {
	if sub == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		f, err := sub.ReadFrame(ctx)
		if err != nil {
			return frames
		}
		frames = append(frames, f)
	}
}

// write writes what is in the queue until that is closed.
func (r *Recorder) write(w *writer) error {
	defer w.close()
	ctx := context.Background()
	var retry *time.Timer
	for {
		it, ok := r.queue.pop(ctx)
		if !ok {
			break
		}
		err := w.write(ctx, it.Frame, it.at)
		switch {
		case err == nil:
			r.wrote(w)
		case errors.Is(err, source.ErrUnsupported):
			return err
		default:
			r.queue.lose(w.missed)
			r.queue.turn(false)
			retry = time.AfterFunc(retryAfter, func() { r.queue.turn(true) })
			r.fail(err)
		}
	}
	if retry != nil {
		retry.Stop()
	}
	return nil
}

// wrote counts a frame.
func (r *Recorder) wrote(w *writer) {
	r.mu.Lock()
	r.stats.Frames++
	r.stats.LeftOut = w.dropped
	r.stats.Name = ""
	if w.now != nil {
		r.stats.Name = w.now.hidden
	}
	resumed := r.stats.State == StateFailing && w.now != nil && w.now.landed() > 0
	var gap uint64
	if resumed {
		r.stats.State, r.stats.Err = StateRecording, nil
		gap, r.gap = r.gap, 0
	}
	r.mu.Unlock()
	if resumed {
		r.tell(Event{Kind: EventResumed, Lost: gap})
	}
}

// missed tells that frames were lost.
func (r *Recorder) missed(gap uint64) {
	r.mu.Lock()
	failing := r.stats.State == StateFailing
	if failing {
		r.gap += gap
	}
	r.mu.Unlock()
	if !failing {
		r.tell(Event{Kind: EventDropped, Lost: gap})
	}
}

// fail counts an error of the disk, and tells the first one.
func (r *Recorder) fail(err error) {
	r.mu.Lock()
	first := r.stats.State != StateFailing
	r.stats.State, r.stats.Err, r.stats.Name = StateFailing, err, ""
	r.stats.Errors++
	r.mu.Unlock()
	if first {
		r.tell(Event{Kind: EventFailed, Err: err})
	}
}

// finished is told of each file.
func (r *Recorder) finished(f File, err error) {
	r.mu.Lock()
	if f.Name != "" {
		r.stats.Files++
		r.stats.Bytes += uint64(max(0, f.Size))
	}
	told := r.stats.State == StateFailing
	if err != nil {
		r.stats.Errors++
	}
	r.mu.Unlock()
	if err != nil && !told {
		r.tell(Event{Kind: EventFailed, Err: err})
	}
	if f.Name != "" {
		r.tell(Event{Kind: EventFinished, File: f})
	}
}

// become changes the state.
func (r *Recorder) become(s State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.State, r.stats.Err = s, err
	if s != StateRecording {
		r.stats.Name = ""
	}
}

// tell tells e.
func (r *Recorder) tell(e Event) {
	e.Key, e.Format = r.key, r.o.Format
	r.telling.Lock()
	defer r.telling.Unlock()
	r.set.tell(e)
}
