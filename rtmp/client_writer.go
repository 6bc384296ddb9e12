package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// farewell is how long a Writer that says goodbye waits for the server to agree.
const farewell = 500 * time.Millisecond

// setDataFrame stands before metadata that a server shall keep for those who
// come later.
var setDataFrame = amf.Append(nil, "@setDataFrame")

// A clientWriter is a stream published to a server.
type clientWriter struct {
	client *Client
	conn   *clientConn
	name   string
	body   *flv.BodyMuxer
	bodies []flv.Body    // of one frame; kept for its memory
	refuse map[int]bool  // IDs of tracks that cannot be sent
	heard  chan struct{} // closed when listen has ended
	reason error         // why listen ended, if not because of us; set before heard is closed

	mu  sync.Mutex // guards writing to the connection, and what follows
	buf []byte     // of one frame; kept for its memory
	err error      // why nothing can be written any more
}

func newClientWriter(c *Client, s *clientConn, name string, tracks []*codec.Track) *clientWriter {
	return &clientWriter{
		client: c,
		conn:   s,
		name:   name,
		body:   flv.NewBodyMuxer(tracks, c.Form),
		refuse: map[int]bool{},
		heard:  make(chan struct{}),
	}
}

// begin sends the metadata and sequence headers of the tracks that are known.
func (w *clientWriter) begin(tracks []*codec.Track) error {
	for _, t := range tracks {
		w.carries(t)
	}
	if len(tracks) == 0 {
		return nil
	}
	if len(w.refuse) == len(tracks) {
		return fmt.Errorf("rtmp: %w: none of the tracks can be sent", source.ErrUnsupported)
	}
	return w.conn.send(w.append(nil, w.body.Config()))
}

// carries reports whether t can be sent, and logs it once if not.
func (w *clientWriter) carries(t *codec.Track) bool {
	if w.body.Carries(t) {
		return true
	}
	if !w.refuse[t.ID] {
		w.refuse[t.ID] = true
		if l := w.client.Logger; l != nil {
			l.Warn("rtmp: track cannot be sent", "track", t.String())
		}
	}
	return false
}

// append appends the messages of bodies to dst.
func (w *clientWriter) append(dst []byte, bodies []flv.Body) []byte {
	for i := range bodies {
		b := &bodies[i]
		stream, head := uint8(wire.ChunkStreamVideo), b.Head
		switch b.Type {
		case flv.TagAudio:
			stream = wire.ChunkStreamAudio
		case flv.TagScript:
			stream, head = wire.ChunkStreamData, append(setDataFrame[:len(setDataFrame):len(setDataFrame)], head...)
		}
		dst = wire.AppendMessage(dst, stream, wire.Type(b.Type), w.conn.stream, timestamp(b.DTS), w.conn.size, head, b.Data)
	}
	return dst
}

// WriteFrame sends f.
func (w *clientWriter) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if !w.carries(f.Track) {
		return nil
	}
	var err error
	w.bodies, err = w.body.Append(w.bodies[:0], f)
	if err != nil {
		return err
	}
	for i := range w.bodies {
		if n := w.bodies[i].Len(); n > maxBody {
			return fmt.Errorf("rtmp: frame of %d bytes is too long for a message", n)
		}
	}
	w.mu.Lock()
	w.buf = w.append(w.buf[:0], w.bodies)
	clear(w.bodies)
	err = w.put(ctx, w.buf)
	if cap(w.buf) > maxKept {
		w.buf = nil
	}
	w.mu.Unlock()
	if err != nil {
		return w.verdict(err)
	}
	return nil
}

// maxKept is up to which size, in bytes, the memory of a frame is used again.
const maxKept = 1 << 20

// put writes b. After an error nothing can be written any more: it may have been
// written in part. The lock is held.
func (w *clientWriter) put(ctx context.Context, b []byte) error {
	if w.err != nil || len(b) == 0 {
		return w.err
	}
	nc := w.conn.nc
	_ = nc.SetWriteDeadline(time.Now().Add(w.conn.timeout))
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { _ = nc.SetWriteDeadline(time.Unix(1, 0)) })()
	}
	_, err := nc.Write(b)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		w.err = context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.err = fmt.Errorf("rtmp: %w: the server took nothing for %v", source.ErrTimeout, w.conn.timeout)
	default:
		w.err = err
	}
	return w.err
}

// verdict returns what a failed writer tells: what the server said last, if it
// said something, else err.
func (w *clientWriter) verdict(err error) error {
	_ = w.conn.nc.SetReadDeadline(time.Now().Add(farewell))
	<-w.heard
	_ = w.conn.nc.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, source.ErrClosed) {
		return w.err
	}
	if w.reason != nil {
		err = w.reason
	}
	w.err = err
	return err
}

// listen reads what the server says until it ends the connection.
func (w *clientWriter) listen() {
	err := w.hear()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // of verdict or Close
		err = nil
	case errors.Is(err, io.EOF), errors.Is(err, errEnd):
		err = fmt.Errorf("rtmp: connection closed by the server: %w", io.ErrUnexpectedEOF)
	}
	w.reason = err
	_ = w.conn.nc.Close() // a blocked write returns
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.mu.Unlock()
	close(w.heard)
}

func (w *clientWriter) hear() error {
	for {
		m, err := w.conn.in.Next()
		if err != nil {
			return err
		}
		out, err := w.conn.peer.control(nil, &m)
		if err != nil {
			return err
		}
		w.mu.Lock()
		err = w.put(context.Background(), w.conn.peer.acknowledge(out, w.conn.in.Bytes()))
		w.mu.Unlock()
		if err != nil {
			return err
		}
		if m.Type != wire.TypeCommand && m.Type != wire.TypeCommandAMF3 {
			continue
		}
		var cmd wire.Command
		if err := cmd.Unmarshal(m.Type, m.Body); err != nil {
			return err
		}
		if cmd.Name != "onStatus" {
			continue
		}
		if err := statusError(&cmd); err != nil {
			return err
		}
		if code, _, _, _ := status(&cmd); code == codeUnpublishSuccess {
			return errEnd
		}
	}
}

// Close tells the server that the stream ends.
func (w *clientWriter) Close() error {
	w.mu.Lock()
	err := w.err
	if err == nil {
		s := w.conn
		b := s.call(nil, 0, "FCUnpublish", nil, w.name)
		b = s.call(b, 0, "deleteStream", nil, float64(s.stream))
		err = w.put(context.Background(), b)
	}
	w.err = source.ErrClosed
	w.mu.Unlock()
	_ = w.conn.nc.SetReadDeadline(time.Now().Add(farewell))
	<-w.heard
	_ = w.conn.nc.Close()
	if errors.Is(err, source.ErrClosed) {
		return nil
	}
	return err
}
