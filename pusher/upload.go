package pusher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// A Part is a field of a form: a file, or a value. One of Path, Reader and Value
// is used, in this order.
type Part struct {
	Name     string    // of the field
	Path     string    // of a file to send
	Reader   io.Reader // what is to be sent, to its end
	Value    string    // text
	FileName string    // what the server is told; "" means the last element of Path, and with a Reader none
	Type     string    // content type; "" means application/octet-stream for files
}

// UploadOptions are options of [Upload]. Fields must not change while it runs.
type UploadOptions struct {
	HTTP    *http.Client  // nil: one of our own, with the proxy of the environment
	Header  http.Header   // sent with the request
	Timeout time.Duration // longest time in which the server takes nothing, and until it answers in the end; 0 means 30 s, negative no limit

	// Progress is told how many bytes of the body were sent of how many; total is
	// -1 if a Part is a Reader whose length is unknown. It is called from another
	// goroutine than the one that calls Upload, one call at a time.
	Progress func(sent, total int64)
}

// maxAnswer is how many bytes of an answer Upload returns.
const maxAnswer = 1 << 20

// Upload posts parts as a form (multipart/form-data, RFC 7578) to url, which is
// http or https, and returns the body of the answer, of at most 1 MiB. Files and
// Readers are sent as they are read, whatever their size. A Content-Length is
// sent if the size of all parts is known: of files, and of Readers that have a
// Len method or can seek. A redirect is followed only if it asks for a GET, as
// after a form. When ctx ends, a Read of a Reader may still go on.
//
// What the server refuses is a *StatusError. o may be nil.
func Upload(ctx context.Context, rawURL string, o *UploadOptions, parts ...Part) (answer []byte, err error) {
	if o == nil {
		o = &UploadOptions{}
	}
	u, err := url.Parse(rawURL)
	if err == nil && u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("pusher: scheme %q: %w; an upload is http or https", u.Scheme, source.ErrUnsupported)
	}
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("pusher: %w: not a URL with a host", source.ErrBadKey)
	}
	form, err := newForm(parts)
	if err == nil {
		defer form.Close()
		answer, err = o.post(ctx, u, form)
	}
	if err != nil {
		return nil, fmt.Errorf("pusher: upload to %s: %w", u.Redacted(), err)
	}
	return answer, nil
}

// A StatusError is what a server refused a request with.
type StatusError = livehttp.StatusError

// post sends the form.
func (o *UploadOptions) post(ctx context.Context, u *url.URL, form *form) ([]byte, error) {
	timeout := cmp.Or(o.Timeout, 30*time.Second)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body := &formBody{form: form, progress: o.Progress, alarm: func() {}}
	if timeout > 0 {
		t := time.AfterFunc(timeout, func() {
			cancel(fmt.Errorf("%w: the server took nothing, or did not answer, in %v", source.ErrTimeout, timeout))
		})
		defer t.Stop()
		body.alarm = func() { t.Reset(timeout) }
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = form.size
	req.Header.Set("User-Agent", "MediaKit")
	for name, vs := range o.Header {
		req.Header[name] = vs
	}
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+form.boundary)
	client := o.HTTP
	if client == nil {
		t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10}
		defer t.CloseIdleConnections()
		client = &http.Client{Transport: t}
	}
	resp, err := client.Do(req)
	defer body.end(ctx)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // it repeats the URL
			err = ue.Err
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, livehttp.Refusal(resp)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil && len(answer) > maxAnswer:
		return nil, fmt.Errorf("%w: an answer of more than %d bytes", source.ErrLimit, maxAnswer)
	}
	return answer, err
}

// A form is the body of a request.
type form struct {
	io.Reader
	boundary string
	size     int64 // -1 unknown
	files    []*os.File
}

// newForm opens the files.
func newForm(parts []Part) (_ *form, err error) {
	f := &form{}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	var text strings.Builder // what is between the parts' contents
	w := multipart.NewWriter(&text)
	f.boundary = w.Boundary()
	var all []io.Reader
	for _, p := range parts {
		content, size, err := f.open(&p)
		if err != nil {
			return nil, err
		}
		if _, err := w.CreatePart(p.header()); err != nil {
			return nil, err
		}
		all = append(all, strings.NewReader(text.String()), content)
		if f.size >= 0 && size >= 0 {
			f.size += int64(text.Len()) + size
		} else {
			f.size = -1
		}
		text.Reset()
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if f.size >= 0 {
		f.size += int64(text.Len())
	}
	f.Reader = io.MultiReader(append(all, strings.NewReader(text.String()))...)
	return f, nil
}

// open returns the content of p and its size, -1 if that is unknown.
func (f *form) open(p *Part) (io.Reader, int64, error) {
	switch {
	case p.Path != "":
		file, err := os.Open(p.Path)
		if err != nil {
			return nil, 0, err
		}
		f.files = append(f.files, file)
		if p.FileName == "" {
			p.FileName = filepath.Base(p.Path)
		}
		info, err := file.Stat()
		if err != nil {
			return nil, 0, err
		}
		if !info.Mode().IsRegular() {
			return file, -1, nil
		}
		return io.LimitReader(file, info.Size()), info.Size(), nil // it may grow
	case p.Reader != nil:
		return p.Reader, lengthOf(p.Reader), nil
	}
	return strings.NewReader(p.Value), int64(len(p.Value)), nil
}

// lengthOf returns how much r will yield, or -1.
func lengthOf(r io.Reader) int64 {
	switch r := r.(type) {
	case interface{ Len() int }:
		return int64(r.Len())
	case io.Seeker:
		at, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return -1
		}
		end, err := r.Seek(0, io.SeekEnd)
		if err != nil {
			return -1
		}
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return -1
		}
		return max(end-at, 0)
	}
	return -1
}

// header returns the header of p.
func (p *Part) header() textproto.MIMEHeader {
	disposition := `form-data; name="` + quoted(p.Name) + `"`
	typ := p.Type
	if p.FileName != "" {
		disposition += `; filename="` + quoted(p.FileName) + `"`
		typ = cmp.Or(typ, "application/octet-stream")
	}
	h := textproto.MIMEHeader{"Content-Disposition": {disposition}}
	if typ != "" {
		h.Set("Content-Type", oneLine(typ))
	}
	return h
}

// quoted escapes what would end a quoted name (RFC 7578, 4.2, in the way of
// browsers).
func quoted(s string) string {
	return strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(s)
}

// oneLine leaves out what would end a line.
func oneLine(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }

// Close closes the files.
func (f *form) Close() error {
	var err error
	for _, file := range f.files {
		err = errors.Join(err, file.Close())
	}
	return err
}

// A formBody tells what is sent of a form. A server may answer before it has all;
// then somebody may still want to read.
type formBody struct {
	alarm    func()
	progress func(sent, total int64)

	mu    sync.Mutex // held while form is read; guards it and sent
	form  *form
	sent  int64
	ended atomic.Bool
}

// end sees to it that nobody reads the form, unless ctx ended while somebody did.
func (b *formBody) end(ctx context.Context) {
	b.ended.Store(true)
	if ctx.Err() == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
	}
}

func (b *formBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended.Load() {
		return 0, io.ErrClosedPipe
	}
	b.alarm()
	n, err := b.form.Read(p)
	if n > 0 {
		b.sent += int64(n)
		if b.progress != nil {
			b.progress(b.sent, b.form.size)
		}
	}
	return n, err
}
