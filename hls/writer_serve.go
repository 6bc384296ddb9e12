package hls

import (
	"io"
	"math"
	"net/http"
	slashpath "path"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/internal/livehttp"
)

const (
	pieceSize    = 256 << 10        // what is written at once
	stallTimeout = 10 * time.Second // how long a peer may take for that

	// openEnd is the last byte of a range whose end is not known yet, in requests
	// and in answers (RFC 8673, 2.2; draft-pantos-hls-rfc8216bis, 4.4.5.3).
	openEnd = 1<<53 - 1
)

// serveOptions say how one request is answered.
type serveOptions struct {
	query string // appended to every URI in a playlist, as in "session=x"; "" appends nothing
}

// ServeHTTP answers a request for the playlist, or for what it lists, relative
// to the root.
func (w *Writer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	livehttp.AllowOrigin(rw.Header(), r, nil)
	switch r.Method {
	case http.MethodOptions:
		livehttp.Preflight(rw, r)
	case http.MethodGet, http.MethodHead:
		w.serve(rw, r, strings.TrimPrefix(r.URL.Path, "/"), serveOptions{})
	default:
		livehttp.RefuseMethod(rw)
	}
}

// serve answers a request for name, such as "hls.m3u8" or "2020-03-28/11/09-38_0.ts",
// and returns how many bytes of body were sent. A request for what is not there
// yet waits; that ends with the request's context, with Close, and after some
// target durations.
func (w *Writer) serve(rw http.ResponseWriter, r *http.Request, name string, o serveOptions) (bytes int64) {
	a := answer{w: w, fixed: &w.fixed, rw: rw, r: r, ctl: http.NewResponseController(rw)}
	defer a.end()
	switch {
	case name == w.o.Container.playlist():
		a.playlist(o)
		return a.sent
	case name == w.o.Container.delayed() && w.o.Delay > 0:
		a.delayed(o)
		return a.sent
	}
	f := w.find(name)
	if f == nil && w.o.Keep {
		f = w.findKept(name)
	}
	if f == nil {
		a.refuse(http.StatusNotFound)
		return a.sent
	}
	switch c := f.content.Load(); {
	case c == nil:
		a.fromDisk(f)
	case c.complete:
		a.whole(f, c)
	default:
		a.growing(f)
	}
	return a.sent
}

// An answer is what one request gets.
type answer struct {
	w     *Writer // nil if it is of a vod
	fixed *headers
	rw    http.ResponseWriter
	r     *http.Request
	ctl   *http.ResponseController
	sent  int64 // bytes of body
	timed bool  // the connection has a deadline of ours
}

// refuse answers with an error.
func (a *answer) refuse(status int) {
	h := a.rw.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	a.rw.WriteHeader(status)
	if a.r.Method != http.MethodHead {
		n, _ := io.WriteString(a.rw, http.StatusText(status)+"\n")
		a.sent += int64(n)
	}
}

// write sends b, if this is no HEAD, and reports whether the peer took it. One
// that takes nothing is not waited for, for it holds the segment in memory.
func (a *answer) write(b []byte) bool {
	if a.r.Method == http.MethodHead {
		return true
	}
	for len(b) > 0 {
		a.timed = a.ctl.SetWriteDeadline(time.Now().Add(stallTimeout)) == nil || a.timed
		n, err := a.rw.Write(b[:min(len(b), pieceSize)])
		a.sent += int64(n)
		if err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// end gives the connection back its own deadline.
func (a *answer) end() {
	if !a.timed {
		return
	}
	var t time.Time
	if s, ok := a.r.Context().Value(http.ServerContextKey).(*http.Server); ok && s.WriteTimeout > 0 {
		t = time.Now().Add(s.WriteTimeout)
	}
	_ = a.ctl.SetWriteDeadline(t)
}

// playlist answers with the media playlist.
func (a *answer) playlist(o serveOptions) {
	d, err := parseDelivery(a.r.URL.RawQuery)
	if err != nil {
		a.refuse(http.StatusBadRequest)
		return
	}
	s, status := a.await(d)
	if status != 0 {
		a.refuse(status)
		return
	}
	if s == nil {
		return
	}
	text := [][]byte{s.head, s.mapping, s.lines, s.tail}
	if d.skip && s.skipped > 0 {
		text[1] = appendTag(nil, "#EXT-X-SKIP:SKIPPED-SEGMENTS=", uint64(s.skipped))
		text[2] = s.lines[s.skipTo:]
	}
	a.text(text, o)
}

// delayed answers with the playlist that goes back further.
func (a *answer) delayed(o serveOptions) {
	switch s, status := a.await(delivery{}); {
	case status != 0:
		a.refuse(status)
	case s != nil:
		a.text([][]byte{s.delayed}, o)
	}
}

// text answers with a playlist, whose pieces it changes.
func (a *answer) text(text [][]byte, o serveOptions) {
	n := 0
	for i := range text {
		if o.query != "" {
			text[i] = addQuery(nil, text[i], o.query)
		}
		n += len(text[i])
	}
	h := a.rw.Header()
	h["Content-Type"] = a.fixed.playlist
	h["Cache-Control"] = a.fixed.noCache
	h["Content-Length"] = []string{strconv.Itoa(n)}
	a.rw.WriteHeader(http.StatusOK)
	for _, b := range text {
		if !a.write(b) {
			return
		}
	}
}

// await returns the playlist that has what is asked for, or the status of a
// refusal; neither if the peer has gone.
func (a *answer) await(d delivery) (s *snapshot, status int) {
	ctx, w := a.r.Context(), a.w
	if s = w.now.Load(); s == nil {
		t := time.NewTimer(max(firstWait, capFactor*w.o.Segment))
		defer t.Stop()
		select {
		case <-w.first:
		case <-w.done:
		case <-t.C:
		case <-ctx.Done():
			return nil, 0
		}
		if s = w.now.Load(); s == nil {
			return nil, http.StatusNotFound
		}
	}
	switch {
	case s.has(d):
		return s, 0
	case s.beyond(d):
		return nil, http.StatusBadRequest
	}
	t := time.NewTimer(waitTargets * s.target)
	defer t.Stop()
	for {
		select {
		case <-s.changed:
		case <-t.C:
			return nil, http.StatusServiceUnavailable
		case <-ctx.Done():
			return nil, 0
		}
		if s = w.now.Load(); s == nil {
			return nil, http.StatusNotFound
		}
		if s.has(d) {
			return s, 0
		}
	}
}

// waitTargets is how many target durations a request waits.
const waitTargets = 3

// whole answers with a complete file.
func (a *answer) whole(f *file, c *content) {
	h := a.rw.Header()
	a.fileHeader(f)
	h["Last-Modified"] = c.modified
	if etagMatches(a.r.Header.Get("If-None-Match"), f.etag[0]) {
		delete(h, "Content-Type")
		a.rw.WriteHeader(http.StatusNotModified)
		return
	}
	sp, ok := a.span(f, c)
	if !ok {
		h["Content-Length"] = c.length
		a.rw.WriteHeader(http.StatusOK)
		a.write(c.data)
		return
	}
	from, to, ok := sp.of(int64(len(c.data)))
	if !ok {
		h.Set("Content-Range", "bytes */"+c.length[0])
		a.refuse(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	h["Content-Range"] = []string{contentRange(from, to-1, c.length[0])}
	h["Content-Length"] = []string{strconv.FormatInt(to-from, 10)}
	a.rw.WriteHeader(http.StatusPartialContent)
	a.write(c.data[from:to])
}

// fileHeader sets what is said of f however much is sent of it.
func (a *answer) fileHeader(f *file) {
	h := a.rw.Header()
	h["Content-Type"] = f.contentType
	h["Etag"] = f.etag
	h["Accept-Ranges"] = a.fixed.bytes
	if h["Cache-Control"] = a.fixed.cache; f.reused {
		h["Cache-Control"] = a.fixed.noCache
	}
}

// span returns the range that is asked for, if one is.
func (a *answer) span(f *file, c *content) (span, bool) {
	v := a.r.Header.Get("Range")
	if v == "" {
		return span{}, false
	}
	if is := a.r.Header.Get("If-Range"); is != "" && is != f.etag[0] && (c == nil || !c.complete || is != c.modified[0]) {
		return span{}, false
	}
	return parseSpan(v)
}

// growing answers with a file that is not complete: a bounded range once it is
// there, anything else as the bytes come.
func (a *answer) growing(f *file) {
	h := a.rw.Header()
	a.fileHeader(f)
	sp, partial := a.span(f, nil)
	if partial && sp.from < 0 { // its last bytes are not known
		sp, partial = span{}, false
	}
	need := sp.from + 1
	if partial && sp.to < openEnd {
		need = sp.to + 1
	}
	c := a.reach(f, need)
	if c == nil {
		return
	}
	size, total := int64(len(c.data)), "*"
	if c.complete {
		total = c.length[0]
	}
	switch {
	case partial && size <= sp.from:
		h.Set("Content-Range", "bytes */"+total)
		a.refuse(http.StatusRequestedRangeNotSatisfiable)
		return
	case partial && (c.complete || sp.to < openEnd):
		to := min(sp.to, size-1)
		h["Content-Range"] = []string{contentRange(sp.from, to, total)}
		h["Content-Length"] = []string{strconv.FormatInt(to-sp.from+1, 10)}
		a.rw.WriteHeader(http.StatusPartialContent)
		a.write(c.data[sp.from : to+1])
		return
	case partial:
		h["Content-Range"] = []string{contentRange(sp.from, openEnd, total)}
		a.rw.WriteHeader(http.StatusPartialContent)
	default:
		a.rw.WriteHeader(http.StatusOK)
	}
	if a.r.Method == http.MethodHead {
		return
	}
	for at := sp.from; c != nil; c = a.reach(f, at+1) {
		if !a.write(c.data[at:]) || a.ctl.Flush() != nil {
			return
		}
		if at = int64(len(c.data)); c.complete {
			return
		}
	}
}

// reach waits until f has size bytes or is complete; nil if that takes too long
// or the peer has gone, who has been told then if that is possible.
func (a *answer) reach(f *file, size int64) *content {
	var t *time.Timer
	for {
		s := a.w.now.Load() // before the content: what comes later closes changed
		c := f.content.Load()
		if c == nil || c.complete || int64(len(c.data)) >= size {
			return c
		}
		if s == nil {
			a.refuse(http.StatusNotFound)
			return nil
		}
		if t == nil {
			t = time.NewTimer(waitTargets * s.target)
			defer t.Stop()
		}
		select {
		case <-s.changed:
		case <-t.C:
			if a.sent == 0 {
				a.refuse(http.StatusServiceUnavailable)
			}
			return nil
		case <-a.r.Context().Done():
			return nil
		}
	}
}

// findKept returns a segment that has left the memory, nil if name is not that of
// one.
func (w *Writer) findKept(name string) *file {
	dir, base := slashpath.Split(name)
	day, hour := slashpath.Split(strings.TrimSuffix(dir, "/"))
	c, ok := segmentContainer(base)
	if !ok || c != w.o.Container || !isHour(hour) || !isDate(strings.TrimSuffix(day, "/")) {
		return nil
	}
	return &file{name: name, contentType: []string{c.contentType()}, etag: []string{`"` + name + `"`}}
}

// fromDisk answers with a file that is not in memory any more.
func (a *answer) fromDisk(f *file) {
	file, err := a.w.open(f.name)
	if err != nil {
		a.refuse(http.StatusNotFound)
		return
	}
	defer file.Close()
	rs, ok := file.(io.ReadSeeker)
	if !ok {
		a.refuse(http.StatusNotFound)
		return
	}
	a.fileHeader(f)
	r := a.r
	if _, one := parseSpan(r.Header.Get("Range")); !one {
		r = r.Clone(r.Context())
		r.Header.Del("Range")
	}
	out := &counter{ResponseWriter: a.rw}
	http.ServeContent(out, r, f.name, time.Time{}, rs)
	a.sent += out.n
}

// A counter counts the bytes of an answer's body.
type counter struct {
	http.ResponseWriter
	n int64
}

func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n += int64(n)
	return n, err
}

// ReadFrom lets the system copy from the disk to the socket.
func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.n += n
	return n, err
}

// A span is a range of bytes as it is asked for (RFC 9110, section 14.1.2).
type span struct {
	from int64 // -1: the last to bytes
	to   int64 // included; openEnd or more: up to the end
}

// parseSpan returns the range that a Range header asks for. Several, and what is
// none, are not honoured: everything is sent then.
func parseSpan(s string) (span, bool) {
	s, ok := strings.CutPrefix(s, "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(s), "-")
	if !ok || !dash {
		return span{}, false
	}
	sp := span{from: -1, to: math.MaxInt64}
	if first != "" {
		if sp.from, ok = position64(first); !ok {
			return span{}, false
		}
	}
	if last != "" {
		if sp.to, ok = position64(last); !ok {
			return span{}, false
		}
	}
	return sp, (first != "" || last != "") && (sp.from <= sp.to)
}

// position64 returns the number that s is; the largest there is if it is larger.
func position64(s string) (int64, bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	return n, s != ""
}

// of returns the range of size bytes that is meant; false if there is none.
func (s span) of(size int64) (from, to int64, ok bool) {
	if s.from < 0 {
		return max(0, size-s.to), size, s.to > 0 && size > 0
	}
	return s.from, min(s.to, size-1) + 1, s.from < size
}

// contentRange returns the value of a Content-Range header.
func contentRange(first, last int64, total string) string {
	return "bytes " + strconv.FormatInt(first, 10) + "-" + strconv.FormatInt(last, 10) + "/" + total
}

// etagMatches reports whether an If-None-Match header has etag.
func etagMatches(list, etag string) bool {
	return list != "" && (list == "*" || strings.Contains(list, etag))
}
