package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A half is one direction of a connection: bytes that one side has written and
// the other has not read.
type half struct {
	mu       sync.Mutex // guards what follows
	changed  *sync.Cond
	buf      []byte
	size     int  // of buf at most
	finished bool // the writer has ended: EOF follows what is in buf
	aborted  bool // the reader has gone: nothing can be written
	read     deadline
	write    deadline
}

func newHalf(size int) *half {
	h := &half{size: size}
	h.changed = sync.NewCond(&h.mu)
	return h
}

func (h *half) Read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.aborted:
			return 0, net.ErrClosed
		case h.read.passed:
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[n:]
			h.changed.Broadcast()
			return n, nil
		case h.finished:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (h *half) Write(b []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.finished:
			return n, net.ErrClosed
		case h.aborted:
			return n, io.ErrClosedPipe
		case h.write.passed:
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		case len(h.buf) < h.size:
			k := min(len(b), h.size-len(h.buf))
			h.buf = append(h.buf, b[:k]...)
			b, n = b[k:], n+k
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

// finish ends the writing.
func (h *half) finish() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.finished {
		return net.ErrClosed
	}
	h.finished = true
	h.write.stop()
	h.changed.Broadcast()
	return nil
}

// abort ends the reading; what was not read is lost.
func (h *half) abort() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.aborted, h.buf = true, nil
	h.read.stop()
	h.changed.Broadcast()
}

// A deadline is when a half's reading or writing fails. The half's lock guards it.
type deadline struct {
	passed bool
	timer  *time.Timer // nil if there is none, or it has passed
}

// set makes d, which is one of h's, the time t; the zero time is none. The
// lock is held.
func (d *deadline) set(h *half, t time.Time) {
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		h.changed.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if d.timer == timer {
			d.passed, d.timer = true, nil
			h.changed.Broadcast()
		}
	})
	d.timer = timer
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
