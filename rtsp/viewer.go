package rtsp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// viewerBuffer is the size of a viewer's read buffer, in bytes. There are many
// viewers, and they have little to say.
const viewerBuffer = 128

// pace is how much faster than the media what was there before is sent over UDP,
// where nobody can say that it is too much at once.
const pace = 4

// viewerLimits bound what a viewer can make the server keep. Its interleaved
// packets are RTCP, which tells us nothing that the connection does not.
var viewerLimits = wire.Limits{}

// A viewer is a connection that plays. Its goroutine only reads; a Delivery
// writes, but for the answers to a viewer whose packets do not go to the
// connection.
type viewer struct {
	srv      *Server
	serving  *listen.Serving
	raw, nc  net.Conn
	cancel   context.CancelFunc // of the Handler's context
	session  *session
	delivery *source.Delivery
	in       *wire.Reader // of what was read
	buf      [viewerBuffer]byte
	unread   []byte // of buf

	direct   bool          // packets do not go to the connection
	udp      *datagrams    // where they go, over UDP; else nil
	played   bool          // there was a PLAY
	paused   bool          // there was a PAUSE since
	rate     rate          // at which a film is played
	until    time.Duration // when it ends, before its own end; else 0
	starting atomic.Bool   // PLAY is not answered yet
	left     atomic.Bool   // the viewer has, or has to: nothing more is taken in

	saying sync.Mutex            // held while an answer is written by us
	failed atomic.Pointer[error] // why we have closed the connection; nil if we have not
}

// startViewer begins to send the stream and gives way to a goroutine with a
// small stack, which goes on reading. Nothing of c is kept.
func (c *conn) startViewer() error {
	s, r := c.session, c.play
	c.session = nil
	_ = c.nc.SetDeadline(time.Time{})
	w := &viewer{srv: c.srv, serving: c.serving, raw: c.raw, nc: c.nc, cancel: c.cancel, session: s, in: c.in}
	w.in.Use(w, wire.MinBuffer, viewerLimits)
	goodbye := w.deliver()
	s.medias, s.sent = nil, nil
	err := c.serving.Guard(c.raw, func() error {
		if err := w.play(r); err != nil {
			return err
		}
		return w.take() // what came with it
	})
	if err != nil {
		w.finish(err)
		return nil
	}
	c.serving.OnLeave(c.raw, func() { w.delivery.End(goodbye, ErrServerClosed) })
	c.serving.Go(w.run)
	return nil
}

// deliver starts the Delivery, which waits for play. It returns what is written to
// the connection last.
func (w *viewer) deliver() (goodbye []byte) {
	s := w.session
	o := source.DeliverOptions{
		Paused:       true,
		MergeWindow:  w.srv.MergeWindow,
		StallTimeout: w.srv.StallTimeout,
	}
	for _, x := range s.setups {
		o.Tracks = append(o.Tracks, s.sent[x.media].id)
	}
	switch s.carrier {
	case overTCP:
		o.Trailer = s.goodbye()
		w.delivery = s.cursor.Deliver(w.nc, o)
	case overUDP:
		o.Pace = pace
		w.direct = true
		w.udp = newDatagrams(w, s.goodbye())
		w.delivery = s.cursor.DeliverTo(w.udp, o)
		if err := w.udp.listen(); err != nil {
			w.fail(err)
		}
	case overMulticast:
		w.direct = true
		w.delivery = s.cursor.DeliverTo(member{w}, o)
		s.caster.enter(w)
	}
	return o.Trailer
}

// goodbye returns the BYEs of the tracks that were set up.
func (s *session) goodbye() []byte {
	var b []byte
	for _, x := range s.setups {
		b = appendBye(b, x.media, s.sent[x.media].ssrc)
	}
	return b
}

// appendBye appends an RTCP BYE of the nth track as an interleaved packet.
func appendBye(dst []byte, n int, ssrc uint32) []byte {
	return rtp.AppendBye(append(dst, '$', uint8(2*n+1), 0, 16), ssrc)
}

// errMore is what a viewer's wire.Reader gets when it has used up what was read.
var errMore = errors.New("rtsp: more to come")

// Read hands over what was read from the connection.
func (w *viewer) Read(b []byte) (int, error) {
	if len(w.unread) == 0 {
		return 0, errMore
	}
	n := copy(b, w.unread)
	w.unread = w.unread[n:]
	return n, nil
}

// run reads until the connection ends.
func (w *viewer) run() {
	w.finish(w.serving.Guard(w.raw, w.read))
}

// finish gives everything up.
func (w *viewer) finish(err error) {
	_ = w.serving.Guard(w.raw, func() error { w.end(err); return nil })
	w.cancel()
	w.serving.Release(w.raw)
}

// read waits for what the viewer says.
func (w *viewer) read() error {
	return w.serving.Hear(w.raw, w.nc, w.buf[:], func(b []byte) error {
		w.unread = b
		return w.take()
	})
}

// take takes in what was read.
func (w *viewer) take() error {
	for !w.left.Load() {
		item, err := w.in.Next()
		if err == nil {
			if r, ok := item.(*wire.Request); ok {
				err = w.request(r)
			}
		}
		var bad *wire.Error
		switch {
		case errors.Is(err, errMore):
			return nil
		case errors.As(err, &bad):
			return w.leave(&wire.Request{}, &reply{status: bad.Status, body: []byte(bad.Text)}, err)
		case err != nil:
			return err
		}
	}
	return nil
}

// request takes in one request.
func (w *viewer) request(r *wire.Request) error {
	if w.udp != nil {
		w.udp.hear()
	}
	id := sessionID(r)
	if id != "" && id != w.session.id || id == "" && r.Method == wire.MethodPlay {
		return w.leave(r, &reply{status: wire.StatusSessionNotFound}, ErrProtocol)
	}
	switch r.Method {
	case wire.MethodOptions:
		return w.reply(r, optionsReply())
	case wire.MethodGetParameter, wire.MethodSetParameter:
		return w.reply(r, &reply{status: 200})
	case wire.MethodPlay:
		return w.play(r)
	case wire.MethodPause:
		return w.pause(r)
	case wire.MethodTeardown:
		return w.leave(r, &reply{status: 200}, io.EOF)
	case wire.MethodDescribe, wire.MethodSetup, wire.MethodAnnounce, wire.MethodRecord:
		return w.reply(r, &reply{status: wire.StatusMethodNotValidInThisState})
	}
	return w.leave(r, &reply{status: 403}, ErrProtocol)
}

// reply answers r.
func (w *viewer) reply(r *wire.Request, a *reply) error {
	b := a.append(nil, r, w.session.id)
	if w.direct {
		return w.say(b)
	}
	return w.delivery.Control(b)
}

// say writes an answer to a connection that has nothing else to carry.
func (w *viewer) say(b []byte) error {
	w.saying.Lock()
	defer w.saying.Unlock()
	_ = w.nc.SetWriteDeadline(time.Now().Add(listen.WriteTimeout))
	_, err := w.nc.Write(b)
	return err
}

// leave answers r as the last thing and ends the session for the reason err: the
// Delivery ends the connection, and that the reading.
func (w *viewer) leave(r *wire.Request, a *reply, err error) error {
	w.left.Store(true)
	last := a.append(nil, r, w.session.id)
	if w.direct {
		if err := w.say(last); err != nil {
			return err
		}
		select {
		case <-w.delivery.Done():
			return err
		default:
			last = nil
		}
	}
	w.delivery.End(last, err)
	return nil
}

// fail ends the session for the reason err.
func (w *viewer) fail(err error) {
	if w.failed.CompareAndSwap(nil, &err) {
		_ = w.raw.Close()
	}
}

// end gives everything up and says why.
func (w *viewer) end(err error) {
	if failed := w.failed.Load(); failed != nil {
		err = *failed
	}
	if w.serving.Context().Err() != nil {
		err = ErrServerClosed
	}
	err = w.delivery.Close(err)
	if w.udp != nil {
		w.udp.end(nil)
	}
	s := w.session
	s.close(nil)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	w.srv.listen.Print(slog.LevelInfo, "playing ended", "stream", s.req.Key.Path(), "id", s.req.ID,
		"remote", s.req.Remote, "over", s.carrier, "error", err)
}
