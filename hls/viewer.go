package hls

import (
	"container/list"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

var (
	// errKicked is what a viewer is told whom the operator has sent away.
	errKicked = source.Refuse(source.ErrForbidden, "ended by the operator")
	// errOver is what one is told whose stream ended right after it began.
	errOver = source.Refuse(source.ErrNotFound, "stream has ended")
)

// A viewer is one session. A goroutine waits for its end.
type viewer struct {
	h         *Handler
	key       source.Key // the name it was asked by
	container Container
	id        string // what the client shows; a secret, which no log has
	print     fingerprint
	req       *source.Request
	r         source.Reader
	sub       *source.Subscription // r's; nil if it has none
	viewing   *source.Viewing      // r's; nil if it has none
	muxing    *muxing
	cancel    context.CancelFunc // ends what the Reader does for this viewer
	quit      chan struct{}      // closed to end the session; err says why

	// Guarded by the Handler's lock.
	place  *list.Element // in audience.recent
	shown  bool          // it has shown its id with a request for a playlist
	last   time.Time     // when its last request came, or was answered
	active int           // requests being answered
	err    error         // why it is over; nil while it is not
	kicked bool          // it stays in the list for a while, to be told so
}

// watch ends the session when it is time. It is the viewer's goroutine.
func (v *viewer) watch() {
	h := v.h
	timer := time.NewTimer(h.sessionTimeout())
	defer timer.Stop()
	var over <-chan struct{}
	var end func() error
	switch {
	case v.sub != nil:
		over, end = v.sub.Done(), func() error { return v.sub.Stats().Err }
	case v.viewing != nil:
		over, end = v.viewing.Done(), func() error { return v.viewing.Stats().Err }
	}
	gone := v.muxing.gone
	for {
		select {
		case <-over:
			over = nil
			if err := end(); err != nil {
				gone = nil
				h.kick(v, err)
				v.leave(err)
			} // else the stream has ended, and its rest can be fetched
		case <-gone:
			gone = nil
			h.mu.Lock()
			h.drop(v, io.EOF)
			h.mu.Unlock()
		case <-timer.C:
			if left := h.expire(v); left > 0 {
				timer.Reset(left)
			}
		case <-v.quit:
			h.mu.Lock()
			err := v.err
			kicked := v.kicked
			h.mu.Unlock()
			if !kicked {
				v.leave(err)
			}
			return
		}
	}
}

// leave gives back what the session holds. It is called once.
func (v *viewer) leave(reason error) {
	_ = v.h.safely(func() error {
		if v.sub != nil {
			_ = v.sub.CloseWithError(reason)
		}
		return v.r.Close()
	})
	v.cancel()
	v.h.release(v.muxing)
	v.log(slog.LevelInfo, "playing ended", "reason", reason)
}

func (v *viewer) log(level slog.Level, text string, args ...any) {
	v.h.write(level, text, append(args, sessionArgs(v.req)...)...)
}

// sessionArgs are what a line of the log says of a session.
func sessionArgs(req *source.Request) []any {
	return []any{"stream", req.Key.Path(), "id", req.ID, "protocol", req.Protocol, "remote", req.Remote}
}

// kick marks a session as ended by the operator: its client is told so until it
// would have timed out. Else its next request would begin another session, and
// it would not notice.
func (h *Handler) kick(v *viewer, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v.err == nil {
		h.viewers--
		v.err, v.last = err, time.Now()
	}
	v.kicked = true
}

// drop ends a session and forgets it. The lock is held.
func (h *Handler) drop(v *viewer, err error) {
	a := h.audiences[v.key]
	if a == nil || a.sessions[clientKey{v.container, v.id}] != v {
		return
	}
	a.remove(v)
	h.dismiss(v.key)
	if v.err == nil {
		h.viewers--
		v.err = err
	}
	close(v.quit)
}

// expire ends a session that has been silent for too long. It returns how long it
// may still be.
func (h *Handler) expire(v *viewer) (left time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v.active > 0 && !v.kicked {
		return h.sessionTimeout()
	}
	left = h.sessionTimeout() - time.Since(v.last)
	if left <= 0 {
		h.drop(v, io.EOF)
	}
	return left
}

// served notes that a request of the session was answered with so many bytes.
func (h *Handler) served(v *viewer, bytes int64) {
	h.mu.Lock()
	v.active--
	if !v.kicked {
		v.last = time.Now()
	}
	h.mu.Unlock()
	v.charge(bytes)
}

// charge counts what the viewer was sent, if its subscription counts nothing else.
func (v *viewer) charge(bytes int64) {
	var charge func(int)
	switch {
	case v.sub != nil && v.muxing.stream != nil:
		charge = v.sub.Charge
	case v.viewing != nil && v.muxing.vod:
		charge = v.viewing.Charge
	default:
		return
	}
	for ; bytes > math.MaxInt32; bytes -= math.MaxInt32 {
		charge(math.MaxInt32)
	}
	charge(int(bytes))
}

// refusal returns what a client is told whose session is over, nil if it is not.
// The lock is held.
func (v *viewer) refusal() error {
	switch {
	case errors.Is(v.err, source.ErrKicked):
		return errKicked
	case errors.Is(v.err, io.EOF):
		return errOver
	}
	return v.err
}
