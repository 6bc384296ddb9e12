package source

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A Viewing is a play session that is none of a [Stream]: of a file, say. It is
// the Reader that a Handler returns for it, and counts what is read.
type Viewing struct {
	r      Reader
	req    *Request
	start  time.Time
	bytes  atomic.Uint64
	frames atomic.Uint64
	done   chan struct{} // closed with the first error
	ended  sync.Once     // for the Request

	mu  sync.Mutex // guards err
	err error
}

// Account returns a Viewing of r, which is what req led to. Closing it closes r
// and calls what was registered with req's OnEnd.
func Account(req *Request, r Reader) *Viewing {
	return &Viewing{r: r, req: req, start: time.Now(), done: make(chan struct{})}
}

// Tracks implements Reader.
func (v *Viewing) Tracks() []*codec.Track { return v.r.Tracks() }

// Unwrap returns the Reader that is read.
func (v *Viewing) Unwrap() Reader { return v.r }

// Request returns the request that led to the Viewing.
func (v *Viewing) Request() *Request { return v.req }

// ReadFrame implements Reader.
func (v *Viewing) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	f, err := v.r.ReadFrame(ctx)
	if reason := v.reason(); reason != nil && !errors.Is(reason, io.EOF) {
		return nil, reason
	}
	switch {
	case err == nil:
		v.frames.Add(1)
		v.bytes.Add(uint64(len(f.Data)))
	case ctx.Err() == nil && !errors.Is(err, io.EOF): // after the end one can seek back
		v.fail(err)
	}
	return f, err
}

// Charge counts bytes that the viewer has fetched of what was made of the file,
// such as HLS segments.
func (v *Viewing) Charge(bytes int) { v.bytes.Add(uint64(max(0, bytes))) }

// Kick ends the session for the reason err, [ErrKicked] if that is nil.
func (v *Viewing) Kick(err error) {
	if err == nil {
		err = ErrKicked
	}
	v.fail(err)
	_ = v.r.Close()
}

// Done returns a channel that is closed when the session has ended or failed.
func (v *Viewing) Done() <-chan struct{} { return v.done }

// Close implements Reader.
func (v *Viewing) Close() error {
	v.fail(io.EOF)
	err := v.r.Close()
	v.ended.Do(func() { v.req.end(v.Stats()) })
	return err
}

// fail records why the session ended, the first time.
func (v *Viewing) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		v.err = err
		close(v.done)
	}
}

func (v *Viewing) reason() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// Stats returns the session's counters.
func (v *Viewing) Stats() SessionStats {
	return SessionStats{
		ID: v.req.ID, Key: v.req.Key, Schema: v.req.Schema, Protocol: v.req.Protocol, Remote: v.req.Remote,
		Passive: v.req.Passive, Start: v.start, Bytes: v.bytes.Load(), Frames: v.frames.Load(), Err: v.reason(),
	}
}
