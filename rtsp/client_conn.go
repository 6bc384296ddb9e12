package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// Bounds for what servers send.
const (
	clientBuffer = 16 << 10  // bytes read at once
	maxGarbage   = 256 << 10 // bytes in a row that are neither message nor packet
	maxUnwanted  = 10000     // packets in a row on channels that nobody has set up
)

// farewell is how long a client that says goodbye waits for the server to agree.
const farewell = 500 * time.Millisecond

// A clientConn is the client's side of a connection. A goroutine of its own
// reads what comes, from startConn to close.
type clientConn struct {
	nc      net.Conn
	addr    address
	agent   string        // User-Agent
	timeout time.Duration // of a write
	events  clientEvents
	in      *wire.Reader
	heard   chan struct{} // closed when nothing is read any more
	err     error         // why; set before heard is closed

	writing sync.Mutex // guards writing to nc, and out
	out     []byte     // of messages; kept for its memory
	failed  error      // why nothing can be written any more

	mu      sync.Mutex // guards what follows
	login   *login
	cseq    int
	session string
	idle    time.Duration        // after which the server gives the session up; 0: unknown
	asked   string               // CSeq of the request whose answer is waited for, or ""
	then    func(*wire.Response) // called with its answer of success before anything else is read; may be nil
	answer  chan *wire.Response  // its answer; holds one
	alive   aliveness
}

// clientEvents is who is told what comes on a connection besides answers. One
// goroutine calls, one at a time.
type clientEvents interface {
	wants(channel uint8) bool             // whether packets of the channel are of use
	packet(channel uint8, payload []byte) // an interleaved packet; the payload is the callee's
	asked(m *wire.Request) (end bool)     // a request of the server's, which is answered; end: it ends the stream
	disconnected(err error)               // nothing is read any more
}

// An aliveness is what is known of the last request that only kept the session
// alive.
type aliveness struct {
	cseq          string
	method, url   string
	authorization string
	retried       bool // with another authorization
}

// A redirect is the error of a server that wants us elsewhere.
type redirect struct {
	StatusError
	url string
}

func (r *redirect) Unwrap() error { return &r.StatusError }

// dial connects to a, encrypted if that is asked for.
func (c *Client) dial(ctx context.Context, a address) (net.Conn, error) {
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", a.hostPort)
	if err != nil {
		return nil, c.verdict(ctx, err)
	}
	listen.KeepAlive(nc)
	if !a.secure {
		return nc, nil
	}
	config := c.TLSConfig
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = a.host
	}
	t := tls.Client(nc, config)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, c.verdict(ctx, err)
	}
	return t, nil
}

// verdict returns the error of Open or Create for one that ended a step of it.
func (c *Client) verdict(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("rtsp: %w: no answer in %v", source.ErrTimeout, c.timeout())
	case errors.Is(err, io.EOF):
		return fmt.Errorf("rtsp: connection closed by the server: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("rtsp: %w", err)
}

// startConn begins to read what comes on nc.
func (c *Client) startConn(nc net.Conn, a address, events clientEvents) *clientConn {
	s := &clientConn{
		nc:      nc,
		addr:    a,
		agent:   c.agent(),
		timeout: c.timeout(),
		events:  events,
		heard:   make(chan struct{}),
		login:   c.loginFor(a),
		answer:  make(chan *wire.Response, 1),
	}
	s.in = wire.NewReader(nc, clientBuffer, wire.Limits{
		Wanted: events.wants, Unwanted: maxUnwanted, Garbage: maxGarbage, AnyVersion: true,
	})
	go s.listen()
	return s
}

// listen reads until the connection ends.
func (s *clientConn) listen() {
	err := s.hear()
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("rtsp: connection closed by the server: %w", io.ErrUnexpectedEOF)
	}
	s.err = err
	_ = s.nc.Close() // a blocked write returns
	s.events.disconnected(err)
	close(s.heard)
}

func (s *clientConn) hear() error {
	for {
		item, err := s.in.Next()
		if err != nil {
			return err
		}
		switch m := item.(type) {
		case *wire.Interleaved:
			s.events.packet(m.Channel, m.Payload)
		case *wire.Response:
			if err := s.answered(m); err != nil {
				return err
			}
		case *wire.Request:
			if err := s.obey(m); err != nil {
				return err
			}
		}
	}
}

// close ends the connection and waits until nothing is read any more.
func (s *clientConn) close() {
	_ = s.nc.Close()
	<-s.heard
}

// over reports whether nothing is read any more.
func (s *clientConn) over() bool {
	select {
	case <-s.heard:
		return true
	default:
		return false
	}
}

// obey answers a request of the server's.
func (s *clientConn) obey(m *wire.Request) error {
	res := wire.Response{Status: 200, Header: fields("CSeq", m.Header.Get("CSeq"), "User-Agent", s.agent)}
	end := false
	switch m.Method {
	case wire.MethodOptions:
		res.Header.Add("Public", "OPTIONS, GET_PARAMETER, SET_PARAMETER, ANNOUNCE, PAUSE, TEARDOWN, REDIRECT")
	case wire.MethodGetParameter, wire.MethodSetParameter:
	case wire.MethodAnnounce, wire.MethodPause, wire.MethodTeardown, wire.MethodRedirect:
		end = s.events.asked(m)
	default:
		res.Status = 501
	}
	err := s.put(context.Background(), func(dst []byte) []byte { return res.Append(dst) })
	if end {
		return errLeft
	}
	return err
}

// put writes what build appends to an empty buffer. After an error nothing can
// be written any more: it may have been written in part.
func (s *clientConn) put(ctx context.Context, build func(dst []byte) []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.out = build(s.out[:0])
	return s.write(ctx, s.out)
}

// write writes b. s.writing is held.
func (s *clientConn) write(ctx context.Context, b []byte) error {
	if s.failed != nil || len(b) == 0 {
		return s.failed
	}
	s.nc.SetWriteDeadline(time.Now().Add(s.timeout))
	if ctx.Done() != nil {
		fired := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(fired)
			s.nc.SetWriteDeadline(time.Unix(1, 0))
		})
		defer func() {
			if !stop() {
				<-fired
			}
		}()
	}
	_, err := s.nc.Write(b)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		s.failed = context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.failed = fmt.Errorf("rtsp: %w: the server took nothing for %v", source.ErrTimeout, s.timeout)
	default:
		s.failed = fmt.Errorf("rtsp: %w", err)
	}
	return s.failed
}

// request returns the request with what every one has, and what it authorizes
// itself with. s.mu is held.
func (s *clientConn) request(method, url string, h wire.Header, body []byte) (*wire.Request, string) {
	s.cseq++
	all := make(wire.Header, 0, len(h)+4)
	all.Add("CSeq", strconv.Itoa(s.cseq))
	all.Add("User-Agent", s.agent)
	if s.session != "" {
		all.Add("Session", s.session)
	}
	authorization := s.login.authorization(method, url)
	if authorization != "" {
		all.Add("Authorization", authorization)
	}
	return &wire.Request{Method: method, URL: url, Header: append(all, h...), Body: body}, authorization
}

// do sends a request and waits for its answer, which is one of success: anything
// else is a *StatusError, or within a *redirect. A challenge is answered.
func (s *clientConn) do(ctx context.Context, method, url string, h wire.Header, body []byte) (*wire.Response, error) {
	return s.doThen(ctx, method, url, h, body, nil)
}

// doThen does the same and calls then with the answer before anything that comes
// after it is looked at.
func (s *clientConn) doThen(ctx context.Context, method, url string, h wire.Header, body []byte, then func(*wire.Response)) (*wire.Response, error) {
	for tries := 0; ; tries++ {
		s.mu.Lock()
		req, authorization := s.request(method, url, h, body)
		s.asked, s.then = req.Header.Get("CSeq"), then
		select {
		case <-s.answer: // of a request that has been given up
		default:
		}
		s.mu.Unlock()
		if err := s.put(ctx, req.Append); err != nil {
			return nil, s.reason(ctx, err)
		}
		var res *wire.Response
		select {
		case res = <-s.answer:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.heard:
			select {
			case res = <-s.answer: // the last that was heard
			default:
				return nil, s.err
			}
		}
		status := StatusError{Status: res.Status, Reason: res.Reason}
		switch {
		case res.Status/100 == 2:
			return res, nil
		case res.Status/100 == 3 && res.Header.Has("Location"):
			return nil, &redirect{status, res.Header.Get("Location")}
		case res.Status != 401:
			return nil, &status
		}
		s.mu.Lock()
		again, stale := s.login.learn(res.Header.Values("WWW-Authenticate"), authorization)
		s.mu.Unlock()
		if !again || tries > 0 && !stale || tries > 1 {
			return nil, &status
		}
	}
}

// reason returns the error for one of writing: why reading ended says more, if
// it did.
func (s *clientConn) reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.over() {
		return s.err
	}
	return err
}

// answered takes in an answer of the server's.
func (s *clientConn) answered(res *wire.Response) error {
	s.mu.Lock()
	cseq := strings.TrimSpace(res.Header.Get("CSeq"))
	if s.asked != "" && (cseq == "" || cseq == s.asked) {
		then := s.then
		s.asked, s.then = "", nil
		s.remember(res)
		s.mu.Unlock()
		if then != nil && res.Status/100 == 2 {
			then(res)
		}
		s.answer <- res // it is empty: one request at a time
		return nil
	}
	if cseq == "" || cseq != s.alive.cseq {
		s.mu.Unlock()
		return nil // of a request that was given up
	}
	a := s.alive
	s.alive.cseq = ""
	again := false
	if res.Status == 401 {
		again, _ = s.login.learn(res.Header.Values("WWW-Authenticate"), a.authorization)
	}
	s.mu.Unlock()
	if again && !a.retried {
		return s.keepAlive(a.method, a.url, true)
	}
	return nil
}

// remember takes note of the session that an answer tells (RFC 2326, 12.37).
// s.mu is held.
func (s *clientConn) remember(res *wire.Response) {
	value := res.Header.Get("Session")
	if value == "" {
		return
	}
	id, params, _ := strings.Cut(value, ";")
	s.session = strings.TrimSpace(id)
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "timeout") {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 20); err == nil {
			s.idle = time.Duration(n) * time.Second
		}
	}
}

// options asks what the server can do (RFC 2326, 10.1). Servers that refuse to
// say may do all the rest.
func (s *clientConn) options(ctx context.Context) (getParameter bool, err error) {
	res, err := s.do(ctx, wire.MethodOptions, s.addr.url, nil, nil)
	var moved *redirect
	var status *StatusError
	switch {
	case err == nil:
		public := strings.ToUpper(strings.Join(res.Header.Values("Public"), ","))
		return strings.Contains(public, wire.MethodGetParameter), nil
	case !errors.As(err, &moved) && errors.As(err, &status) && status.Status != 401:
		return false, nil
	}
	return false, err
}

// How often the session is kept alive.
const (
	keepAliveMost  = 5 * time.Second // some cameras want to hear us that often
	keepAliveLeast = time.Second
)

// keepAliveEvery returns how often the session is to be kept alive.
func (s *clientConn) keepAliveEvery() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == 0 {
		return keepAliveMost
	}
	return max(keepAliveLeast, min(keepAliveMost, s.idle/3))
}

// keepAlive sends a request that only tells that we are there. Nobody waits for
// the answer: some servers give none.
func (s *clientConn) keepAlive(method, url string, retried bool) error {
	s.mu.Lock()
	req, authorization := s.request(method, url, nil, nil)
	s.alive = aliveness{req.Header.Get("CSeq"), method, url, authorization, retried}
	s.mu.Unlock()
	return s.put(context.Background(), req.Append)
}

// teardown tells the server that we go, as far as it still listens, and waits a
// moment for its answer.
func (s *clientConn) teardown(url string) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	_, _ = s.do(ctx, wire.MethodTeardown, url, nil, nil)
}
