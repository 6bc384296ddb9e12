package server

import (
	"net/http"
	"sync/atomic"
	"time"
)

// maxChunk is how much is written before one looks at the clock again.
const maxChunk = 64 << 10

// A streamWriter bounds how long the peer of a stream of HTTP/2 may take nothing
// of the answer: others on its connection may be well.
type streamWriter struct {
	http.ResponseWriter
	control *http.ResponseController // of what it wraps
	stall   time.Duration
	own     atomic.Bool // the handler sets deadlines
}

// Write writes b, however long it takes as long as there is progress.
func (w *streamWriter) Write(b []byte) (n int, err error) {
	for more := true; more && err == nil; more = len(b) > 0 {
		chunk := b[:min(len(b), maxChunk)]
		b = b[len(chunk):]
		var m int
		w.timed(func() { m, err = w.ResponseWriter.Write(chunk) })
		n += m
	}
	return n, err
}

// timed calls f, which writes. A deadline that has passed resets the stream even
// if nobody writes, so there is none at other times.
func (w *streamWriter) timed(f func()) {
	if w.own.Load() {
		f()
		return
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(w.stall))
	f()
	_ = w.control.SetWriteDeadline(time.Time{})
}

// Flush sends what is buffered.
func (w *streamWriter) Flush() { _ = w.FlushError() }

// FlushError sends what is buffered.
func (w *streamWriter) FlushError() (err error) {
	w.timed(func() { err = w.control.Flush() })
	return err
}

// SetWriteDeadline is called by handlers that look after themselves.
func (w *streamWriter) SetWriteDeadline(t time.Time) error {
	w.own.Store(true)
	return w.control.SetWriteDeadline(t)
}

// finish bounds what is written when the handler has returned.
func (w *streamWriter) finish() { _ = w.control.SetWriteDeadline(time.Now().Add(w.stall)) }

// Unwrap is for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
