package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// Bounds for finding out which tracks a stream has, if it does not tell.
const (
	probeTime  = 3 * time.Second // of waiting
	probeMedia = time.Second     // of media
)

// A clientReader is a stream played from a server.
type clientReader struct {
	conn    *clientConn
	silence time.Duration // longest once the stream has begun; 0: no limit
	demux   demuxer
	frames  []*codec.Frame // read, and not yet returned
	err     error          // after these
	closed  atomic.Bool
	paused  atomic.Bool // of a film: nothing is returned
	leaps   bool        // of a film: it goes elsewhere, which may be told as an end
}

func newClientReader(c *Client, s *clientConn) *clientReader {
	r := &clientReader{conn: s, silence: c.silence()}
	r.demux.dropped = func(err error) {
		if c.Logger != nil {
			c.Logger.Warn("rtmp: frame dropped", "error", err)
		}
	}
	return r
}

// Tracks returns the tracks known so far.
func (r *clientReader) Tracks() []*codec.Track {
	tracks, _ := r.demux.body.Tracks()
	return tracks
}

// ReadFrame returns the next frame.
func (r *clientReader) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	for len(r.frames) == 0 || r.paused.Load() && r.err == nil {
		if r.err != nil {
			return nil, r.err
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		err := r.fill(ctx)
		switch {
		case err == nil:
		case r.closed.Load():
			r.err = source.ErrClosed
		case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
			return nil, context.Cause(ctx)
		case r.paused.Load() && errors.Is(err, os.ErrDeadlineExceeded): // the server has to be silent
		default:
			r.err = r.reason(err)
		}
	}
	f := r.frames[0]
	r.frames[0] = nil
	r.frames = r.frames[1:]
	return f, nil
}

// Close closes the connection.
func (r *clientReader) Close() error {
	r.closed.Store(true)
	return r.conn.nc.Close()
}

// fill reads messages until there are frames, or one.
func (r *clientReader) fill(ctx context.Context) error {
	read := func() error {
		if len(r.frames) == 0 {
			r.frames = r.frames[:0]
		}
		for more := true; more; more = len(r.frames) == 0 && !r.paused.Load() {
			m, err := r.conn.next()
			if err != nil {
				return err
			}
			if err := r.message(&m); err != nil {
				return err
			}
		}
		return nil
	}
	if ctx.Done() == nil {
		return read()
	}
	return r.conn.interruptible(ctx, r.conn.nc.SetReadDeadline, read)
}

// reason returns the error of ReadFrame for a failed read.
func (r *clientReader) reason(err error) error {
	switch {
	case errors.Is(err, errEnd):
		return io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("rtmp: %w: no data in %v", source.ErrTimeout, r.conn.silence)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("rtmp: connection closed by the server: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// errEnd is the error of a message that tells the stream's end.
var errEnd = errors.New("rtmp: end of stream")

// message takes in one message and appends its frames to r.frames.
func (r *clientReader) message(m *wire.Message) error {
	switch m.Type {
	case wire.TypeCommand, wire.TypeCommandAMF3:
		var cmd wire.Command
		if err := cmd.Unmarshal(m.Type, m.Body); err != nil {
			return err
		}
		if cmd.Name != "onStatus" {
			return nil
		}
		switch code, _, _, _ := status(&cmd); code {
		case codeUnpublishNotify, codePlayStop, codePlayComplete:
			return errEnd
		}
		return statusError(&cmd)
	case wire.TypeUserControl:
		var u wire.UserControl
		if _, err := u.Unmarshal(m.Body); err == nil && u.Event == wire.EventStreamEOF && !r.leaps && !r.paused.Load() {
			return errEnd
		}
		return nil
	}
	var err error
	if m.Type == wire.TypeAggregate {
		for sub := range wire.Split(*m) {
			if r.frames, err = r.demux.append(r.frames, &sub); err != nil {
				break
			}
		}
	} else {
		r.frames, err = r.demux.append(r.frames, m)
	}
	if len(r.frames) > 0 {
		r.conn.silence = r.silence
	}
	return err
}

// probe reads until the tracks are known, which is when the stream has said
// which there are, or after some time. What it reads is returned by ReadFrame
// later.
func (r *clientReader) probe() error {
	began := time.Now()
	for {
		tracks, complete := r.demux.body.Tracks()
		if complete || len(tracks) > 0 && time.Since(began) >= probeTime {
			return nil
		}
		if n := len(r.frames); len(tracks) > 0 && n > 0 && r.frames[n-1].DTS-r.frames[0].DTS >= probeMedia {
			return nil
		}
		m, err := r.conn.next()
		if err == nil {
			err = r.message(&m)
		}
		if err != nil {
			r.err = r.reason(err)
			if len(r.frames) > 0 || r.err == io.EOF {
				return nil // ReadFrame tells it
			}
			return r.err
		}
	}
}
