package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/rtmp/internal/handshake"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// bufferLength is how much media a playing client tells the server to have room
// for, in ms.
const bufferLength = 3000

// A clientConn is the client's side of a connection.
type clientConn struct {
	nc      net.Conn
	in      *wire.Reader
	peer    peer
	size    int             // of the chunks we send
	stream  uint32          // message stream, once created
	calls   float64         // made
	silence time.Duration   // longest silence of the server; 0: no limit
	timeout time.Duration   // of a write
	ctx     context.Context // interrupts reading

	writing sync.Mutex // held while something is written
}

// A redirect is the error of a server that wants us elsewhere.
type redirect struct {
	StatusError
	url string
}

func (r *redirect) Unwrap() error { return &r.StatusError }

// connectTo dials a and says connect.
func (c *Client) connectTo(ctx context.Context, until time.Time, a address, publish bool) (*clientConn, error) {
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	dialCtx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	nc, err := dial(dialCtx, "tcp", a.hostPort)
	if err != nil {
		return nil, fmt.Errorf("rtmp: %w", err)
	}
	listen.KeepAlive(nc)
	s := &clientConn{nc: nc, size: wire.DefaultChunkSize, timeout: c.timeout(), ctx: context.Background()}
	err = s.within(ctx, until, func() error {
		if a.secure {
			if err := s.startTLS(dialCtx, c.TLSConfig, a.host); err != nil {
				return fmt.Errorf("%w: %w", ErrHandshake, err)
			}
		}
		if err := s.shake(!strings.HasPrefix(a.app, "vod")); err != nil {
			return fmt.Errorf("%w: %w", ErrHandshake, err)
		}
		s.in = wire.NewReader(s, make([]byte, publisherBuffer), mediaLimits(c.MaxMessage))
		return s.connect(a, publish)
	})
	if err != nil {
		_ = s.nc.Close()
		return nil, err
	}
	return s, nil
}

// within calls f, whose reads and writes fail when ctx is done or the time is up.
func (s *clientConn) within(ctx context.Context, until time.Time, f func() error) error {
	limited, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	err := s.interruptible(limited, s.nc.SetDeadline, f)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("rtmp: %w: no answer in %v", source.ErrTimeout, s.timeout)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("rtmp: connection closed by the server: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// interruptible calls f and makes what it waits for fail when ctx is done, by
// setting a deadline in the past.
func (s *clientConn) interruptible(ctx context.Context, setDeadline func(time.Time) error, f func() error) error {
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = setDeadline(time.Unix(1, 0))
	})
	outer := s.ctx
	s.ctx = ctx
	err := f()
	s.ctx = outer
	if !stop() {
		<-fired
		_ = setDeadline(time.Time{})
	}
	return err
}

// Read reads from the server, as long as it may be silent.
func (s *clientConn) Read(b []byte) (int, error) {
	if s.silence > 0 {
		_ = s.nc.SetReadDeadline(time.Now().Add(s.silence))
		if s.ctx.Err() != nil { // the deadline of interruptible may just have been overwritten
			return 0, os.ErrDeadlineExceeded
		}
	}
	return s.nc.Read(b)
}

func (s *clientConn) startTLS(ctx context.Context, config *tls.Config, host string) error {
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = host
	}
	t := tls.Client(s.nc, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	s.nc = t
	return nil
}

// shake does the handshake of RTMP.
func (s *clientConn) shake(digest bool) error {
	var b [handshake.Reply]byte
	handshake.Offer(b[:handshake.Opening], digest)
	if _, err := s.nc.Write(b[:handshake.Opening]); err != nil {
		return err
	}
	if _, err := io.ReadFull(s.nc, b[:1]); err != nil {
		return err
	}
	if err := handshake.CheckVersion(b[0]); err != nil {
		return err
	}
	if _, err := io.ReadFull(s.nc, b[1:]); err != nil {
		return err
	}
	var c2 [handshake.Size]byte
	handshake.Finish(c2[:], b[1:handshake.Opening])
	_, err := s.nc.Write(c2[:])
	return err
}

// send writes b.
func (s *clientConn) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.nc.Write(b)
	return err
}

// call appends a command to dst that is to be answered, if answer is set.
func (s *clientConn) call(dst []byte, stream uint32, name string, object any, args ...any) []byte {
	s.calls++
	return wire.AppendCommand(dst, stream, s.size, wire.Command{Name: name, ID: s.calls, Object: object, Args: args})
}

// next returns the next message that is not for the connection itself; those are
// answered.
func (s *clientConn) next() (wire.Message, error) {
	for {
		m, err := s.in.Next()
		if err != nil {
			return m, err
		}
		out, err := s.peer.control(nil, &m)
		if err != nil {
			return m, err
		}
		if err := s.send(s.peer.acknowledge(out, s.in.Bytes())); err != nil {
			return m, err
		}
		switch m.Type {
		case wire.TypeWindowAckSize, wire.TypeSetPeerBandwidth, wire.TypeAcknowledgement:
		default:
			return m, nil
		}
	}
}

// result waits for the answer to the last call.
func (s *clientConn) result() (*wire.Command, error) {
	for {
		m, err := s.next()
		if err != nil {
			return nil, err
		}
		if m.Type != wire.TypeCommand && m.Type != wire.TypeCommandAMF3 {
			continue
		}
		cmd := new(wire.Command)
		if err := cmd.Unmarshal(m.Type, m.Body); err != nil {
			return nil, err
		}
		switch {
		case cmd.Name == "onStatus":
			if err := statusError(cmd); err != nil {
				return nil, err
			}
		case cmd.ID != s.calls:
		case cmd.Name == "_result":
			return cmd, nil
		case cmd.Name == "_error":
			e := &StatusError{Code: codeCallFailed}
			if err := statusError(cmd); err != nil {
				return nil, err
			}
			return nil, e
		}
	}
}

// status returns the code of an onStatus, _result or _error, and its level and
// description.
func status(cmd *wire.Command) (code, level, text string, info any) {
	for _, v := range append([]any{cmd.Object}, cmd.Args...) {
		if c, ok := amf.String(amf.Get(v, "code")); ok {
			level, _ = amf.String(amf.Get(v, "level"))
			text, _ = amf.String(amf.Get(v, "description"))
			return c, level, text, v
		}
	}
	return "", "", "", nil
}

// statusError returns the error that cmd, an onStatus or _error, tells of, or
// nil.
func statusError(cmd *wire.Command) error {
	code, level, text, info := status(cmd)
	if code == "" || level != levelError && cmd.Name != "_error" {
		return nil
	}
	e := StatusError{Code: code, Text: text}
	if to, ok := amf.String(amf.Get(amf.Get(info, "ex"), "redirect")); ok {
		return &redirect{e, to}
	}
	return &e
}

// connect says what we want to connect to (RTMP 1.0, section 7.2.1.1).
func (s *clientConn) connect(a address, publish bool) error {
	object := amf.Object{{Name: "app", Value: a.app}}
	if publish {
		object = append(object,
			amf.Property{Name: "type", Value: "nonprivate"},
			amf.Property{Name: "flashVer", Value: "FMLE/3.0 (compatible; MediaKit)"})
	} else {
		object = append(object, amf.Property{Name: "flashVer", Value: "LNX 9,0,124,2"})
	}
	object = append(object,
		amf.Property{Name: "tcUrl", Value: a.tcURL},
		amf.Property{Name: "fpad", Value: false},
		amf.Property{Name: "capabilities", Value: 239.0},
		amf.Property{Name: "audioCodecs", Value: 3575.0},
		amf.Property{Name: "videoCodecs", Value: 252.0},
		amf.Property{Name: "videoFunction", Value: 1.0},
		amf.Property{Name: "objectEncoding", Value: 0.0},
		amf.Property{Name: "fourCcList", Value: []any{"av01", "vp09", "hvc1", "vp08", "vvc1", "Opus", "ac-3"}})
	if err := s.send(s.call(nil, 0, "connect", object)); err != nil {
		return err
	}
	if _, err := s.result(); err != nil {
		return err
	}
	b := wire.AppendControl(nil, s.size, wire.WindowAckSize{Size: ackWindow})
	b = wire.AppendControl(b, s.size, wire.SetChunkSize{Size: chunkSize})
	s.size = chunkSize
	return s.send(b)
}

// createStream gets a message stream for name.
func (s *clientConn) createStream(name string, publish bool) error {
	var b []byte
	if publish {
		b = s.call(b, 0, "releaseStream", nil, name)
		b = s.call(b, 0, "FCPublish", nil, name)
	}
	if err := s.send(s.call(b, 0, "createStream", nil)); err != nil {
		return err
	}
	r, err := s.result()
	if err != nil {
		return err
	}
	id := r.NumberArg(0)
	if !(id >= 0 && id <= 1<<31) {
		return fmt.Errorf("%w: message stream %v", ErrProtocol, id)
	}
	s.stream = uint32(id)
	return nil
}

// play asks for name. It returns when the server agrees, which the first media
// do as well; they are passed to media.
func (s *clientConn) play(name string, media func(*wire.Message) error) error {
	b := s.call(nil, s.stream, "play", nil, name)
	b = wire.AppendControl(b, s.size, wire.UserControl{Event: wire.EventSetBufferLength, Value: s.stream, Extra: bufferLength})
	if err := s.send(b); err != nil {
		return err
	}
	return s.await(codePlayStart, media)
}

// publish asks to publish under name.
func (s *clientConn) publish(name string) error {
	if err := s.send(s.call(nil, s.stream, "publish", nil, name, "live")); err != nil {
		return err
	}
	return s.await(codePublishStart, nil)
}

// await reads until the server's status is code, or there are media, which are
// passed on if somebody wants them.
func (s *clientConn) await(code string, media func(*wire.Message) error) error {
	for {
		m, err := s.next()
		if err != nil {
			return err
		}
		switch m.Type {
		case wire.TypeCommand, wire.TypeCommandAMF3:
			var cmd wire.Command
			if err := cmd.Unmarshal(m.Type, m.Body); err != nil {
				return err
			}
			if err := statusError(&cmd); err != nil && (cmd.Name == "onStatus" || cmd.ID == s.calls) {
				return err
			}
			if c, _, _, _ := status(&cmd); cmd.Name == "onStatus" && c == code {
				return nil
			}
		case wire.TypeAudio, wire.TypeVideo, wire.TypeAggregate, wire.TypeData, wire.TypeDataAMF3:
			if media == nil {
				continue
			}
			if err := media(&m); err != nil || m.Type != wire.TypeData && m.Type != wire.TypeDataAMF3 {
				return err
			}
		}
	}
}
