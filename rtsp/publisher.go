package rtsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// Bounds for publishers.
const (
	publisherBuffer  = 64 << 10    // bytes read at once, of what comes interleaved
	publisherGarbage = 64 << 10    // bytes in a row
	reportTimeout    = time.Second // for one who does not read

	// reportDelay is how long the first packets over UDP wait for reports, which
	// most peers send at once.
	reportDelay = 100 * time.Millisecond
)

// A publisher turns the packets of a peer into frames of a Publication.
type publisher struct {
	srv     *Server
	raw, nc net.Conn
	session *session // its setups stay as they are
	pub     source.Publication
	ctx     context.Context // ends with publishing
	cancel  context.CancelFunc
	began   time.Time
	failed  atomic.Pointer[error] // why we have closed the connection; nil if we have not

	// Interleaved:
	channels [256]uint8 // port of each channel, and 1; 0: of none
	reported time.Time  // when the last reports were sent
	deaf     bool       // the peer does not read

	// Over UDP:
	ports   []publisherPort
	readers sync.WaitGroup // of ports
	wake    chan struct{}  // holds one when tend has something new to look at

	mu       sync.Mutex // guards what follows
	recv     receiver
	frames   []*codec.Frame // of one packet; kept for its memory
	heard    time.Time      // when the last packet came
	expiring bool           // tend is to look for packets that are overdue
	over     bool           // nothing is taken in any more
}

// newPublisher returns the publisher that the session of c has become ready for.
func (c *conn) newPublisher() (*publisher, error) {
	s := c.session
	p := &publisher{
		srv: c.srv, raw: c.raw, nc: c.nc, session: s, pub: s.pub,
		began: time.Now(), wake: make(chan struct{}, 1),
	}
	p.heard, p.reported = p.began, p.began
	if s.carrier != overTCP {
		p.recv.Reorder, p.recv.Settle = true, reportDelay
	}
	for i := range s.medias {
		m := &s.medias[i]
		if _, err := p.recv.Add(&m.payload, m.track); err != nil {
			return nil, fmt.Errorf("%w: %w", source.ErrUnsupported, err)
		}
	}
	for _, x := range s.setups {
		if t := &x.transport; t.carrier == overTCP {
			p.channels[t.channels.rtp], p.channels[t.channels.ctl] = uint8(2*x.media+1), uint8(2*x.media+2)
		}
	}
	if err := p.pub.SetTracks(p.recv.Tracks(), p.recv.Complete()); err != nil {
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(c.ctx)
	return p, nil
}

// wants reports whether a channel was set up.
func (p *publisher) wants(channel uint8) bool { return p.channels[channel] > 0 }

// interleaved takes in a packet that came between messages.
func (p *publisher) interleaved(m *wire.Interleaved) error {
	port := int(p.channels[m.Channel]) - 1
	if port < 0 {
		return nil
	}
	now := time.Now()
	if err := p.take(port, m.Payload, now); err != nil {
		return err
	}
	if now.Sub(p.reported) >= reportEvery && !p.deaf {
		p.reported = now
		p.reportInterleaved(now)
	}
	return nil
}

// take takes in a packet of a port: 2n is RTP of the nth media, 2n+1 its RTCP.
func (p *publisher) take(port int, b []byte, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return net.ErrClosed
	}
	p.heard = now
	frames := p.frames[:0]
	var err error
	if port%2 == 1 {
		if err = p.recv.RTCP(port/2, b, now); err != nil {
			p.srv.listen.Print(slog.LevelDebug, "report dropped", "stream", p.session.req.Key.Path(), "error", err)
		}
	} else if frames, err = p.recv.RTP(frames, port/2, b, now); errors.Is(err, ts.ErrInvalid) {
		return err // it is no transport stream
	} else if err != nil {
		p.srv.stats.framesDropped.Add(1)
		p.srv.listen.Print(slog.LevelWarn, "packet dropped", "stream", p.session.req.Key.Path(), "error", err)
	}
	if p.recv.Reorder && (!p.expiring || port%2 == 1) { // a report may be what packets waited for
		var next time.Time
		if frames, next = p.recv.Expire(frames, now); !next.IsZero() && !p.expiring {
			p.expiring = true
			notify(p.wake)
		}
	}
	return p.write(frames)
}

// write writes frames to the Publication, which is told of new tracks before.
// p.mu is held.
func (p *publisher) write(frames []*codec.Frame) error {
	defer clear(frames)
	p.frames = frames[:0]
	if tracks, complete, changed := p.recv.news(); changed {
		if err := p.pub.SetTracks(tracks, complete); err != nil {
			return err
		}
	}
	for _, f := range frames {
		if err := p.pub.WriteFrame(p.ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// reportInterleaved sends receiver reports on the connection. Many publishers do
// not read what they have not asked for. To those nothing more is reported.
func (p *publisher) reportInterleaved(now time.Time) {
	var b []byte
	for _, x := range p.session.setups {
		if report := p.report(x.media, now); len(report) > 0 {
			b = (&wire.Interleaved{Channel: uint8(x.transport.channels.ctl), Payload: report}).Append(b)
		}
	}
	_ = p.nc.SetWriteDeadline(now.Add(reportTimeout))
	if _, err := p.nc.Write(b); err != nil {
		p.deaf = true
		p.srv.listen.Print(slog.LevelDebug, "publisher takes no reports", "stream", p.session.req.Key.Path(), "error", err)
	}
}

// report returns a receiver report about the nth media; nil if there is nothing
// to report.
func (p *publisher) report(n int, now time.Time) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.recv.AppendReport(nil, n, productName, now)
}

// fail ends publishing for the reason err, unless it is ending.
func (p *publisher) fail(err error) {
	if p.ctx.Err() == nil && p.failed.CompareAndSwap(nil, &err) {
		_ = p.raw.Close()
	}
}

// end ends the Publication: for errLeft with a goodbye, else the publisher may
// come back.
func (p *publisher) end(err error) {
	if failed := p.failed.Load(); failed != nil {
		err = *failed
	}
	if errors.Is(err, errLeft) || errors.Is(err, io.EOF) {
		p.drain() // there may be the last packets, and BYE
	}
	p.cancel() // whoever waits in WriteFrame does not any more
	p.mu.Lock()
	frames, _ := p.recv.Expire(p.frames, time.Now().Add(time.Hour)) // what waits for packets that will not come
	if errors.Is(err, errLeft) || errors.Is(err, io.EOF) && p.recv.Goodbye() {
		err = nil
	}
	_ = p.write(p.recv.Flush(frames, err != nil))
	p.over = true
	p.mu.Unlock()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errSilent
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	_ = p.pub.CloseWithError(err)
	p.log(err)
}

// errSilent ends publishing when nothing has come for too long.
var errSilent = fmt.Errorf("%w: nothing from the publisher", source.ErrTimeout)

// log writes the session's line.
func (p *publisher) log(err error) {
	var sum rtp.ReceiverStats
	for i := range p.session.medias {
		s := p.recv.Stats(i)
		sum.Packets += s.Packets
		sum.Lost += s.Lost
		sum.Reordered += s.Reordered
		sum.Duplicates += s.Duplicates
		sum.Invalid += s.Invalid
		sum.Corrupt += s.Corrupt
		sum.Jitter = max(sum.Jitter, s.Jitter)
	}
	req := p.session.req
	p.srv.listen.Print(slog.LevelInfo, "publishing ended", "stream", req.Key.Path(), "id", req.ID, "remote", req.Remote,
		"over", p.session.carrier, "lasted", time.Since(p.began).Round(time.Millisecond),
		"packets", sum.Packets, "lost", sum.Lost, "reordered", sum.Reordered, "duplicates", sum.Duplicates,
		"invalid", sum.Invalid, "corrupt", sum.Corrupt, "jitter", sum.Jitter, "error", err)
}
