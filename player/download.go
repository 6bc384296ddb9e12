package player

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

const (
	partSuffix   = ".part"      // of the file until it is whole
	noteSuffix   = ".part.json" // of what must be known to go on with it
	maxNote      = 4 << 10      // bytes
	firstPause   = 500 * time.Millisecond
	longestPause = 10 * time.Second
)

// DownloadOptions are options of [Download]. Fields must not change while it
// runs.
type DownloadOptions struct {
	HTTP        *http.Client  // nil: one of our own, with the proxy of the environment
	Header      http.Header   // sent with the request
	ReadTimeout time.Duration // longest silence of the server; 0 means 15 s, negative no limit
	MaxSize     int64         // bytes; a larger file is refused with source.ErrLimit; 0: no limit
	Attempts    int           // so many in a row without a byte, then it has failed; 0 means 5

	// Progress is told how many bytes there are of how many; total is -1 if the
	// server does not tell. It is called from the goroutine that calls Download,
	// with each piece that has come, at most 64 KiB.
	Progress func(have, total int64)
}

// Download fetches url, which is http or https, into a file. What has come is in
// path.part until the file is whole, and is then given its name, under which
// nobody sees half of it. When the connection breaks, and when Download is called
// again after it had failed, or the program had been killed, it goes on where it
// was, if what the server has is the same: by its ETag or its time, or, if it
// tells neither, by its size. At most one Download at a time may write to a path.
//
// What the server refuses is a *StatusError. o may be nil.
func Download(ctx context.Context, rawURL, path string, o *DownloadOptions) error {
	if o == nil {
		o = &DownloadOptions{}
	}
	u, err := url.Parse(rawURL)
	if err == nil && u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("player: scheme %q: %w; a download is http or https", u.Scheme, source.ErrUnsupported)
	}
	if err != nil || u.Host == "" {
		return fmt.Errorf("player: %w: not a URL with a host", source.ErrBadKey)
	}
	d := &download{DownloadOptions: *o, url: u, path: path}
	d.fetch = livehttp.Fetcher{HTTP: o.HTTP, Header: o.Header, Origin: u.Host, Silence: cmp.Or(o.ReadTimeout, 15*time.Second)}
	if o.HTTP == nil {
		t := (&Client{}).transport()
		defer t.CloseIdleConnections()
		d.fetch.HTTP = &http.Client{Transport: t}
	}
	if err := d.run(ctx); err != nil {
		return fmt.Errorf("player: download %s: %w", u.Redacted(), err)
	}
	return nil
}

// A StatusError is what a server refused a request with.
type StatusError = livehttp.StatusError

// A download is one call of Download.
type download struct {
	DownloadOptions
	fetch livehttp.Fetcher
	url   *url.URL
	path  string
	file  *os.File // path.part
	have  int64    // bytes of it
	note  partNote
}

// A partNote is kept beside a file of which there is a part.
type partNote struct {
	Source    string `json:"source"`              // hash of the URL, which may hold a secret
	Validator string `json:"validator,omitempty"` // strong ETag, or Last-Modified
	Size      int64  `json:"size"`                // of the whole; -1 unknown
}

// A diskError is one that another attempt at the server does not mend.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

func (d *download) run(ctx context.Context) (err error) {
	if err := d.begin(); err != nil {
		return err
	}
	defer func() {
		if d.file != nil {
			err = errors.Join(err, d.file.Close())
		}
		if err != nil && (d.have == 0 || tooLarge(err)) { // there is nothing to go on with
			_, _ = os.Remove(d.path+partSuffix), os.Remove(d.path+noteSuffix)
		}
	}()
	for failures := 0; ; {
		had := d.have
		err := d.attempt(ctx)
		if err == nil {
			return d.finish()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if failures++; d.have > had {
			failures = 1
		}
		if final(err) || failures >= cmp.Or(d.Attempts, 5) {
			return err
		}
		t := time.NewTimer(min(firstPause<<min(failures-1, 10), longestPause))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// final reports whether another attempt is of no use.
func final(err error) bool {
	var disk diskError
	var refusal *StatusError
	switch {
	case errors.As(err, &disk), tooLarge(err):
		return true
	case errors.As(err, &refusal):
		return refusal.Code < 500 && refusal.Code != http.StatusRequestTimeout && refusal.Code != http.StatusTooManyRequests
	}
	return false
}

// tooLarge reports whether err means that the file exceeds MaxSize.
func tooLarge(err error) bool {
	var refusal *StatusError // of a server that has too much to do
	return errors.Is(err, source.ErrLimit) && !errors.As(err, &refusal)
}

// begin opens the file for what is there, or anew.
func (d *download) begin() (err error) {
	if d.file, err = os.OpenFile(d.path+partSuffix, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return err
	}
	d.note = d.readNote()
	if d.note.Source != d.source() {
		return d.reset()
	}
	d.have, err = d.file.Seek(0, io.SeekEnd)
	return err
}

// source names the URL in a note.
func (d *download) source() string {
	sum := sha256.Sum256([]byte(d.url.String()))
	return hex.EncodeToString(sum[:])
}

func (d *download) readNote() (n partNote) {
	f, err := os.Open(d.path + noteSuffix)
	if err != nil {
		return partNote{}
	}
	defer f.Close()
	if json.NewDecoder(io.LimitReader(f, maxNote)).Decode(&n) != nil {
		return partNote{}
	}
	return n
}

// reset throws away what is there.
func (d *download) reset() error {
	d.have, d.note = 0, partNote{Source: d.source(), Size: -1}
	if err := os.Remove(d.path + noteSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return diskError{err}
	}
	if err := d.file.Truncate(0); err != nil {
		return diskError{err}
	}
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return diskError{err}
	}
	return nil
}

// attempt asks for what is missing and writes it. It returns nil when the file is
// whole.
func (d *download) attempt(ctx context.Context) error {
	what := livehttp.Fetch{
		URL:    d.url,
		Header: http.Header{"Accept-Encoding": {"identity"}},
		OK:     []int{http.StatusOK, http.StatusPartialContent},
	}
	if d.have > 0 && d.note.Validator == "" && d.note.Size < 0 { // nothing would tell that it is the same
		if err := d.reset(); err != nil {
			return err
		}
	}
	if d.have > 0 {
		what.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
		if d.note.Validator != "" {
			what.Header.Set("If-Range", d.note.Validator)
		}
		what.OK = append(what.OK, http.StatusRequestedRangeNotSatisfiable)
	}
	a, err := d.fetch.Do(ctx, what)
	if err != nil {
		return err
	}
	defer a.Close()
	switch a.Status {
	case http.StatusOK:
		if err := d.reset(); err != nil {
			return err
		}
		d.note.Size, d.note.Validator = a.Length, validator(a.Header)
		if err := d.writeNote(); err != nil {
			return err
		}
	case http.StatusPartialContent:
		from, size, ok := livehttp.ContentRange(a.Header)
		v := validator(a.Header)
		if !ok || from != d.have || size >= 0 && d.note.Size >= 0 && size != d.note.Size || v != "" && v != d.note.Validator {
			return d.mismatch(a)
		}
		d.note.Size = max(size, d.note.Size)
	default:
		if _, size, ok := livehttp.ContentRange(a.Header); !ok || size != d.have || d.note.Size >= 0 && size != d.note.Size {
			return d.mismatch(a)
		}
		return nil // there is nothing behind what we have
	}
	if d.MaxSize > 0 && d.note.Size > d.MaxSize {
		return fmt.Errorf("%w: %d bytes", source.ErrLimit, d.note.Size)
	}
	return d.copy(a)
}

// mismatch begins anew, since the server has another file.
func (d *download) mismatch(a *livehttp.Answer) error {
	err := fmt.Errorf("status %d with the range %.64q, %d bytes of %d are there", a.Status, a.Header.Get("Content-Range"), d.have, d.note.Size)
	return errors.Join(err, d.reset())
}

// validator returns what tells in a later request that nothing has changed, ""
// if the server has no such thing (RFC 9110, 13.1.5).
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

func (d *download) writeNote() error {
	b, err := json.Marshal(d.note)
	if err == nil {
		err = os.WriteFile(d.path+noteSuffix, b, 0o666)
	}
	if err != nil {
		return diskError{err}
	}
	return nil
}

// copy writes what comes.
func (d *download) copy(a *livehttp.Answer) error {
	b := make([]byte, 64<<10)
	for {
		n, err := a.Read(b)
		if n > 0 {
			if d.MaxSize > 0 && d.have+int64(n) > d.MaxSize {
				return fmt.Errorf("%w: more than %d bytes", source.ErrLimit, d.MaxSize)
			}
			if d.note.Size >= 0 && d.have+int64(n) > d.note.Size {
				return d.mismatch(a)
			}
			if _, err := d.file.Write(b[:n]); err != nil {
				return diskError{err}
			}
			d.have += int64(n)
			if d.Progress != nil {
				d.Progress(d.have, d.note.Size)
			}
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return err
		case d.note.Size >= 0 && d.have < d.note.Size:
			return io.ErrUnexpectedEOF
		default:
			return nil
		}
	}
}

// finish gives the file its name.
func (d *download) finish() error {
	err := errors.Join(d.file.Sync(), d.file.Close())
	d.file = nil
	if err == nil {
		err = os.Rename(d.path+partSuffix, d.path)
	}
	if err == nil {
		if err = os.Remove(d.path + noteSuffix); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	return err
}
