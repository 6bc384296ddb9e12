package rtsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// overtaken is how long what goes by several sockets is kept apart where the order
// counts: the first reports, which align the tracks, from the first packets, and
// the last ones from the goodbye.
const overtaken = 10 * time.Millisecond

// A clientWriter is a stream published to a server.
type clientWriter struct {
	client    *Client
	transport Transport
	conn      *clientConn
	url       string // that was announced
	setUp     bool   // there is a session to be ended
	getParam  bool   // the server knows GET_PARAMETER
	mux       *muxer
	carried   map[int]bool  // IDs of tracks that have been announced
	refused   map[int]bool  // IDs of others
	medias    []clientMedia // by track number at mux
	relabel   bool          // channels are not those of mux
	begun     bool          // something was sent
	packets   []source.Packet
	done      chan struct{} // closed by Close
	tasks     sync.WaitGroup

	mu  sync.Mutex // guards what follows
	err error      // why nothing can be written any more
}

func newClientWriter(c *Client, a address, t Transport, tracks []*codec.Track) *clientWriter {
	w := &clientWriter{
		client:    c,
		transport: t,
		url:       a.url,
		mux:       newMuxer(tracks),
		carried:   map[int]bool{},
		refused:   map[int]bool{},
		done:      make(chan struct{}),
	}
	for _, x := range w.mux.tracks {
		w.carried[x.track.ID] = true
	}
	for _, t := range tracks {
		w.carries(t)
	}
	return w
}

// carries reports whether t has been announced, and logs it once if not.
func (w *clientWriter) carries(t *codec.Track) bool {
	if w.carried[t.ID] {
		return true
	}
	if !w.refused[t.ID] {
		w.refused[t.ID] = true
		w.client.log.Log(w.client.Logger, slog.LevelWarn, "rtsp: track is not sent", "url", w.url, "track", t.String())
	}
	return false
}

// WriteFrame sends f.
func (w *clientWriter) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := w.failure(); err != nil {
		return err
	}
	if !w.carries(f.Track) {
		return nil
	}
	var err error
	w.packets, err = w.mux.Append(w.packets[:0], f)
	if errors.Is(err, errChanged) {
		return w.fail(fmt.Errorf("rtsp: %v is not what was announced", f.Track))
	}
	if err != nil {
		return err
	}
	if len(w.packets) > 0 && !w.begun {
		w.begun = true
		var reports []byte
		for _, t := range w.mux.now().tracks {
			reports = append(reports, t.report...)
		}
		if err := w.send(ctx, reports); err != nil {
			return w.fail(w.verdict(err))
		}
		if w.transport == TransportUDP {
			select {
			case <-time.After(overtaken):
			case <-ctx.Done():
			}
		}
	}
	for i := range w.packets {
		if err := w.send(ctx, w.packets[i].Wire); err != nil {
			return w.fail(w.verdict(err))
		}
	}
	clear(w.packets)
	return nil
}

// failure returns why nothing can be written any more, or nil.
func (w *clientWriter) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// fail makes err the reason why nothing can be written any more, unless there is
// one, and returns the reason.
func (w *clientWriter) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// verdict returns what a failed writer tells: why the server ended the
// connection, if it did, else err.
func (w *clientWriter) verdict(err error) error {
	s := w.conn
	select {
	case <-s.heard:
		return s.err
	case <-time.After(farewell):
	}
	err = w.fail(err)
	s.close()
	return err
}

// send sends packets that are framed for a TCP connection.
func (w *clientWriter) send(ctx context.Context, b []byte) error {
	if w.transport == TransportUDP {
		return w.sendDatagrams(b)
	}
	if w.relabel {
		w.label(b)
	}
	w.conn.writing.Lock()
	defer w.conn.writing.Unlock()
	return w.conn.write(ctx, b)
}

// Close tells the server that the stream ends.
func (w *clientWriter) Close() error {
	w.mu.Lock()
	err := w.err
	w.err = source.ErrClosed
	w.mu.Unlock()
	if errors.Is(err, source.ErrClosed) {
		return nil
	}
	w.stop()
	return err
}

// stop ends everything that goes on.
func (w *clientWriter) stop() {
	close(w.done)
	if w.begun && w.transport == TransportUDP {
		select {
		case <-time.After(overtaken):
		case <-w.conn.heard:
		}
	}
	if w.setUp {
		w.conn.teardown(w.url)
	}
	w.conn.close()
	for i := range w.medias {
		w.medias[i].close()
	}
	w.tasks.Wait()
}

// tend keeps a session alive whose packets do not come on the connection.
func (w *clientWriter) tend() {
	ticker := time.NewTicker(w.conn.keepAliveEvery())
	defer ticker.Stop()
	method := wire.MethodOptions
	if w.getParam {
		method = wire.MethodGetParameter
	}
	for {
		select {
		case <-ticker.C:
			_ = w.conn.keepAlive(method, w.url, false) // an error is that of the connection
		case <-w.done:
			return
		case <-w.conn.heard:
			return
		}
	}
}

// The server's reports are of no use to us, but they are none that nobody asked
// for.
func (w *clientWriter) wants(uint8) bool { return true }

func (w *clientWriter) packet(uint8, []byte) {}

// asked tells whether a request of the server's ends the stream: one to pause
// does, for nothing would ever resume it.
func (w *clientWriter) asked(m *wire.Request) (end bool) {
	return m.Method != wire.MethodAnnounce
}

// disconnected takes note of the connection's end.
func (w *clientWriter) disconnected(err error) {
	if errors.Is(err, errLeft) {
		err = fmt.Errorf("rtsp: the server has ended the stream: %w", io.ErrUnexpectedEOF)
	}
	_ = w.fail(err)
}
