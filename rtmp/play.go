package rtmp

import (
	"time"

	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A granted is a stream that a peer may play.
type granted struct {
	req    *source.Request
	reader source.Reader
	length time.Duration // of a film, which is nobody else's; 0: a live stream
	cursor *source.Cursor
}

// wantPlay asks the Handler for the stream called name (RTMP 1.0, section
// 7.2.2.1), which may take until somebody publishes it.
func (c *conn) wantPlay(name string) error {
	if ok, err := c.mayAsk(false); !ok {
		return err
	}
	req, err := c.request(name)
	if err == nil && c.srv.Handler == nil {
		err = source.ErrNotFound
	}
	if err != nil {
		return c.refuse(req, err, false)
	}
	form := c.form
	c.ask(req, false, func() (answer, error) {
		r, err := c.srv.Handler.Play(c.ctx, req)
		if err != nil {
			return answer{}, err
		}
		var length time.Duration
		if s, ok := source.As[source.Seeker](r); ok {
			length = max(0, s.Duration())
		}
		cursor, err := source.FeedOf(c.ctx, r, FeedFormat(form))
		if err != nil {
			_ = r.Close()
			return answer{}, err
		}
		return answer{play: &granted{req, r, length, cursor}}, nil
	})
	return nil
}

// startViewer begins to send the stream that was granted and gives way to a
// goroutine with a small stack, which goes on reading. Nothing of c is kept.
func (c *conn) startViewer() error {
	v, p := c.srv, c.play
	_ = c.nc.SetDeadline(time.Time{})
	w := &viewer{srv: v, raw: c.raw, nc: c.nc, cancel: c.cancel, req: p.req, reader: p.reader, length: p.length, in: c.in, peer: c.peer}
	w.in.Use(w, make([]byte, wire.MinBuffer), viewerLimits)
	trailer := v.unpublished
	if p.length > 0 {
		trailer = v.stopped
	}
	w.delivery = p.cursor.Deliver(c.nc, source.DeliverOptions{
		Prefix:       v.greeting,
		Trailer:      trailer,
		MergeWindow:  v.MergeWindow,
		StallTimeout: v.StallTimeout,
	})
	if err := v.Guard(c.raw, w.take); err != nil { // what came with the play command
		w.end(err)
		w.cancel()
		v.Release(c.raw)
		return nil
	}
	v.OnLeave(c.raw, func() { w.delivery.End(v.unpublished, ErrServerClosed) })
	v.Go(w.run)
	return nil
}

// playStart returns what a viewer is sent before the stream: that it begins, and
// the statuses with which Flash's servers said so. The data messages they sent
// as well (|RtmpSampleAccess, NetStream.Data.Start) are left out: nobody needs
// them, and ffmpeg takes them for a track of data.
func playStart() []byte {
	b := wire.AppendControl(nil, chunkSize, wire.UserControl{Event: wire.EventStreamBegin, Value: streamID})
	b = appendStatus(b, chunkSize, levelStatus, codePlayReset, "Resetting and playing stream.")
	b = appendStatus(b, chunkSize, levelStatus, codePlayStart, "Started playing stream.")
	return appendStatus(b, chunkSize, levelStatus, codePublishNotify, "Now published.")
}

// playEnd returns what a viewer is sent after the stream.
func playEnd(code, text string) []byte {
	b := appendStatus(nil, chunkSize, levelStatus, code, text)
	return wire.AppendControl(b, chunkSize, wire.UserControl{Event: wire.EventStreamEOF, Value: streamID})
}
