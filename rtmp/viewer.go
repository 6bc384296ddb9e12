package rtmp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// viewerBuffer is the size of a viewer's read buffer, in bytes. There are many
// viewers, and they have little to say.
const viewerBuffer = 256

// viewerLimits bound what a viewer can make the server keep.
var viewerLimits = wire.Limits{Streams: 64, Media: maxBody, Other: 64 << 10, Pending: 64 << 10, ControlOnly: true}

// A viewer is a connection that plays. Its goroutine only reads; a Delivery
// writes.
type viewer struct {
	srv      *serving
	raw, nc  net.Conn
	cancel   context.CancelFunc // of the Handler's context
	req      *source.Request
	reader   source.Reader
	length   time.Duration // of a film
	delivery *source.Delivery
	in       *wire.Reader // of what was read
	peer     peer
	buf      [viewerBuffer]byte
	unread   []byte // of buf
}

// errMore is what a viewer's wire.Reader gets when it has used up what was read.
var errMore = errors.New("rtmp: more to come")

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
	err := w.srv.Guard(w.raw, w.read)
	_ = w.srv.Guard(w.raw, func() error { w.end(err); return nil })
	w.cancel()
	w.srv.Release(w.raw)
}

// read waits for what the viewer says.
func (w *viewer) read() error {
	return w.srv.Hear(w.raw, w.nc, w.buf[:], func(b []byte) error {
		w.unread = b
		return w.take()
	})
}

// take takes in what was read.
func (w *viewer) take() error {
	for {
		m, err := w.in.Next()
		if err == nil {
			err = w.message(&m)
		}
		if errors.Is(err, errMore) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// end gives everything up and says why.
func (w *viewer) end(err error) {
	switch {
	case w.srv.Context().Err() != nil:
		err = ErrServerClosed
	case errors.Is(err, errLeft):
		err = io.EOF
	}
	err = w.delivery.Close(err)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	w.srv.Print(slog.LevelInfo, "playing ended", "stream", w.req.Key.Path(), "id", w.req.ID,
		"remote", w.req.Remote, "error", err)
}

// message takes in one message.
func (w *viewer) message(m *wire.Message) error {
	var out []byte
	var err error
	if m.Type == wire.TypeCommand || m.Type == wire.TypeCommandAMF3 {
		var cmd wire.Command
		if err = cmd.Unmarshal(m.Type, m.Body); err == nil {
			out, err = w.command(&cmd)
		}
	} else {
		out, err = w.peer.control(nil, m)
	}
	if err != nil {
		return err
	}
	if out = w.peer.acknowledge(out, w.in.Bytes()); len(out) > 0 {
		return w.delivery.Control(out)
	}
	return nil
}

// command does what the viewer calls and returns the answer (RTMP 1.0, section
// 7.2.2).
func (w *viewer) command(cmd *wire.Command) ([]byte, error) {
	switch cmd.Name {
	case "pause", "pauseRaw":
		on, _ := amf.Number(cmd.Arg(0))
		return w.pause(on != 0)
	case "seek":
		return w.seek(cmd.NumberArg(0))
	case "onPlayCtrl":
		return w.control(cmd)
	case "deleteStream", "closeStream":
		return nil, errLeft
	case "play", "play2":
		return appendStatus(nil, chunkSize, levelError, codePlayFailed, "The connection is in use."), nil
	case "publish":
		return appendStatus(nil, chunkSize, levelError, codePublishBadName, "The connection is in use."), nil
	case "createStream":
		return wire.AppendCommand(nil, 0, chunkSize, wire.Command{Name: "_error", ID: cmd.ID, Args: []any{amf.Object{
			{Name: "level", Value: levelError},
			{Name: "code", Value: codeCallFailed},
			{Name: "description", Value: "The connection is in use."},
		}}}), nil
	}
	return nil, nil
}

// pause stops and continues the stream: a file stands still, of a live stream
// nothing is sent. The viewer is told before media comes again.
func (w *viewer) pause(on bool) ([]byte, error) {
	event, code, text := wire.EventStreamBegin, codeUnpauseNotify, "Unpaused stream."
	if on {
		event, code, text = wire.EventStreamEOF, codePauseNotify, "Paused stream."
	}
	b := appendStatus(nil, chunkSize, levelStatus, code, text)
	b = wire.AppendControl(b, chunkSize, wire.UserControl{Event: event, Value: streamID})
	if !on {
		if err := w.delivery.Control(b); err != nil {
			return nil, err
		}
		b = nil
	}
	if p, ok := source.As[source.Pauser](w.reader); ok {
		return b, p.Pause(on)
	}
	w.delivery.Pause(on)
	return b, nil
}

// seek goes to another time of a film, in ms, whose media come after the answer and
// nothing else does. A live stream has no other: players that try are told that all
// is well, for some give up otherwise.
func (w *viewer) seek(ms float64) ([]byte, error) {
	notice := appendStatus(nil, chunkSize, levelStatus, codeSeekNotify, "Seeking stream.")
	if w.length == 0 {
		return notice, nil
	}
	const longest = 1e12 // ms, which no film lasts
	to := time.Duration(0)
	if ms > 0 { // not NaN
		to = time.Duration(min(ms, longest) * float64(time.Millisecond))
	}
	ctx, cancel := context.WithTimeout(w.srv.Context(), listen.WriteTimeout)
	defer cancel()
	err := error(io.EOF)
	if to <= w.length {
		_, err = w.delivery.Seek(ctx, to)
	}
	if err != nil {
		return appendStatus(nil, chunkSize, levelError, codeSeekFailed, "Seeking failed."), nil
	}
	if err := w.delivery.Control(notice); err != nil {
		return nil, err
	}
	w.delivery.Pause(false)
	return nil, nil
}

// control does what private players ask with onPlayCtrl: another speed.
func (w *viewer) control(cmd *wire.Command) ([]byte, error) {
	for _, a := range append([]any{cmd.Object}, cmd.Args...) {
		speed, ok := amf.Number(amf.Get(a, "speed"))
		if !ok {
			continue
		}
		if s, ok := source.As[source.Speeder](w.reader); ok {
			if err := s.SetSpeed(speed); err != nil {
				return appendStatus(nil, chunkSize, levelError, codePlayFailed, "No such speed."), nil
			}
		}
		return appendStatus(nil, chunkSize, levelStatus, codeSpeedNotify, "Speed changed."), nil
	}
	return nil, nil
}
