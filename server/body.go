package server

import (
	"io"
	"net/http"
	"time"
)

// stretch is how many bytes of a body may take as long as a request.
const stretch = 1 << 20

// A body is that of a request, which must come in time.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	first   time.Duration // for the first stretch
	each    time.Duration // for each after that

	began time.Time // zero: nobody has read
	read  int64
}

// newBody returns r with limits for the time it takes. It counts from the first
// Read, or from now for net/http, which reads what the handler has left.
func newBody(r io.ReadCloser, control *http.ResponseController, first, each time.Duration) *body {
	_ = control.SetReadDeadline(time.Now().Add(first))
	return &body{ReadCloser: r, control: control, first: first, each: each}
}

func (b *body) Read(p []byte) (int, error) {
	if b.began.IsZero() {
		b.began = time.Now()
		b.allow()
	}
	n, err := b.ReadCloser.Read(p)
	before := b.read / stretch
	b.read += int64(n)
	if err == nil && b.read/stretch != before {
		b.allow()
	}
	return n, err
}

// allow moves the deadline to where what has come allows.
func (b *body) allow() {
	_ = b.control.SetReadDeadline(b.began.Add(b.first + time.Duration(b.read/stretch)*b.each))
}
