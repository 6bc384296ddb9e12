package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
)

// ErrHalf is the error of a GET for which no POST came in time.
var ErrHalf = errors.New("rtsp: half of a tunnel only")

// The limits of a Table.
const (
	defaultMax     = 1024
	defaultTimeout = 10 * time.Second
	maxCookie      = 256
)

// contentType is that of both bodies.
const contentType = "application/x-rtsp-tunnelled"

// A Table has the GETs whose POST has not come yet. The zero value is ready for
// use by several goroutines. Fields must not change once it is used.
type Table struct {
	Max     int           // GETs that may wait at once; 0 means 1024
	Timeout time.Duration // how long each may wait; 0 means 10 s
	Server  string        // the answers' Server header; none if empty

	mu    sync.Mutex // guards waits and what its values say
	waits map[string]*half
}

// A half is a GET that waits for its POST.
type half struct {
	get    net.Conn
	post   net.Conn      // nil: it has not come
	unread []byte        // what came on it behind the headers
	made   chan struct{} // closed when Get has returned
	failed bool          // Get has returned an error
}

// Get answers the GET request req, which came on nc through in, and waits for
// the POST, until a time if that is not zero. It returns the tunnel, or an
// error, which is a *wire.Error if there is something to answer.
//
// The caller goes on with the Conn, whose Close closes nc, too. Its deadlines
// are those of nc and of the POST's connection, and should be set anew. Nobody
// may read from nc or in.
func (t *Table) Get(nc net.Conn, in *wire.Reader, req *wire.Request, until time.Time) (*Conn, error) {
	cookie, err := cookieOf(req)
	if err != nil {
		return nil, err
	}
	timeout := t.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	if d := time.Now().Add(timeout); until.IsZero() || d.Before(until) {
		until = d
	}
	h := &half{get: nc, made: make(chan struct{})}
	defer close(h.made)
	_ = nc.SetReadDeadline(until) // a POST may move it from now on
	if err := t.add(cookie, h); err != nil {
		return nil, err
	}
	_, err = nc.Write(t.answer())
	if err == nil {
		err = wait(in)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.post == nil {
		delete(t.waits, cookie)
	}
	switch deadline := errors.Is(err, os.ErrDeadlineExceeded); {
	case deadline && h.post != nil:
		body := io.MultiReader(bytes.NewReader(h.unread), h.post)
		return &Conn{Out: nc, in: h.post, body: decoder{src: body}}, nil
	case deadline:
		err = ErrHalf
	}
	h.failed = true
	return nil, err
}

// wait reads until there is an error. A client has nothing to say here.
func wait(in *wire.Reader) error {
	_, err := in.Next()
	if err == nil {
		err = &wire.Error{Status: 400, Text: "more than a GET on one connection of a tunnel"}
	}
	return err
}

// Post makes the POST request req, which came on nc through in, part of a tunnel
// and returns when that has ended, or with an error, which is a *wire.Error if
// there is something to answer. A tunnel ends when its Conn is closed, when one
// of the two connections is, or when something comes on that of the GET.
//
// Until then, nc is the Conn's; nobody else may use or close it, or read from in.
func (t *Table) Post(nc net.Conn, in *wire.Reader, req *wire.Request) error {
	cookie, err := cookieOf(req)
	if err != nil {
		return err
	}
	h, err := t.take(cookie, nc, in)
	if err != nil {
		return err
	}
	_, err = nc.Write(t.answer())
	<-h.made
	defer nc.Close()
	if err != nil || h.failed {
		_ = h.get.Close()
		return err
	}
	watch(h.get)
	_ = h.get.Close()
	return nil
}

// watch returns when the connection has ended, or something has come on it.
func watch(nc net.Conn) {
	var b [1]byte
	for {
		_ = nc.SetReadDeadline(time.Time{})
		n, err := nc.Read(b[:])
		if n > 0 || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// add makes a GET wait.
func (t *Table) add(cookie string, h *half) error {
	most := t.Max
	if most == 0 {
		most = defaultMax
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waits[cookie] != nil {
		return &wire.Error{Status: 400, Text: "the cookie of another tunnel"}
	}
	if len(t.waits) >= most {
		return &wire.Error{Status: 503, Text: fmt.Sprintf("%d tunnels wait for their other half", most)}
	}
	if t.waits == nil {
		t.waits = map[string]*half{}
	}
	t.waits[cookie] = h
	return nil
}

// take gives a POST to the GET that waits for it.
func (t *Table) take(cookie string, nc net.Conn, in *wire.Reader) (*half, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.waits[cookie]
	if h == nil || h.get == nc || host(h.get) != host(nc) {
		return nil, &wire.Error{Status: 400, Text: "a POST for which no GET waits"}
	}
	delete(t.waits, cookie)
	h.post, h.unread = nc, in.Unread()
	_ = h.get.SetReadDeadline(time.Unix(1, 0)) // Get wakes up
	return h, nil
}

// answer returns the answer to a GET or POST.
func (t *Table) answer() []byte {
	r := wire.Response{Status: 200, Proto: wire.HTTP10}
	if t.Server != "" {
		r.Header.Add("Server", t.Server)
	}
	r.Header.Add("Connection", "close")
	r.Header.Add("Date", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	r.Header.Add("Cache-Control", "no-store")
	r.Header.Add("Pragma", "no-store")
	r.Header.Add("Content-Type", contentType)
	return r.Append(nil)
}

// cookieOf returns what tells which GET and POST belong together.
func cookieOf(req *wire.Request) (string, error) {
	switch all := req.Header.Values("x-sessioncookie"); {
	case len(all) != 1 || all[0] == "":
		return "", &wire.Error{Status: 400, Text: "a tunnel without a cookie, or with several"}
	case len(all[0]) > maxCookie:
		return "", &wire.Error{Status: 400, Text: fmt.Sprintf("a cookie of more than %d bytes", maxCookie)}
	default:
		return all[0], nil
	}
}

// host returns the address of a connection's peer without the port.
func host(nc net.Conn) string {
	s := nc.RemoteAddr().String()
	if h, _, err := net.SplitHostPort(s); err == nil {
		return h
	}
	return s
}
