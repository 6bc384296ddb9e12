package rtsp

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// tend does what is due by the clock, until the stream ends: it keeps the session
// alive, gives up packets that do not come, and notices silence.
func (r *clientReader) tend() {
	every := r.conn.keepAliveEvery()
	timer := time.NewTimer(every)
	defer timer.Stop()
	alive := time.Now().Add(every)
	for turn := 0; ; {
		now := time.Now()
		if !now.Before(alive) {
			alive = now.Add(every)
			if err := r.keepAlive(turn, now); err != nil && !r.conn.over() {
				r.end(err)
			}
			turn++
		}
		next, over := r.look(now)
		if over {
			return
		}
		if next.IsZero() || alive.Before(next) {
			next = alive
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-r.wake:
		case <-r.done:
			return
		}
	}
}

// look does what is due of what has been received. It returns when the next of
// that will be due, and whether the stream is over.
func (r *clientReader) look(now time.Time) (next time.Time, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return next, true
	}
	soonest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if r.expiring {
		if t := r.expire(now); !t.IsZero() {
			soonest(t)
		}
	}
	for len(r.byes) > 0 && !now.Before(r.byes[0].due) {
		_ = r.recv.RTCP(r.byes[0].track, r.byes[0].report, now) // dropped if it makes no sense
		r.byes = r.byes[1:]
	}
	if r.recv.Goodbye() {
		r.finish(io.EOF)
		return next, true
	}
	if len(r.byes) > 0 {
		soonest(r.byes[0].due)
	}
	if r.lost != nil && len(r.byes) == 0 {
		until := r.lostAt.Add(lastWords)
		if !now.Before(until) {
			r.finish(r.lost)
			return next, true
		}
		soonest(until)
	}
	if r.blocked > 0 || r.show.paused {
		r.last = now // it is us who do not listen
	}
	if silence := r.client.silence(); silence > 0 {
		until := r.last.Add(silence)
		if !now.Before(until) {
			err := fmt.Errorf("rtsp: %w: no data in %v", source.ErrTimeout, silence)
			if r.atEnd() {
				err = io.EOF
			}
			r.finish(err)
			return next, true
		}
		soonest(until)
	}
	return next, false
}

// keepAlive tells the server that we are there, by requests and by reports in
// turns.
func (r *clientReader) keepAlive(turn int, now time.Time) error {
	if turn%2 == 0 && r.transport != TransportMulticast {
		if sent, err := r.report(now); sent || err != nil {
			return err
		}
	}
	method := wire.MethodOptions
	if r.getParam {
		method = wire.MethodGetParameter
	}
	return r.conn.keepAlive(method, r.url, false)
}

// report sends receiver reports for all tracks. It tells whether there were any.
func (r *clientReader) report(now time.Time) (sent bool, err error) {
	r.mu.Lock()
	medias := r.medias
	var reports [][]byte
	for i := range medias {
		reports = append(reports, r.recv.AppendReport(nil, medias[i].track, productName, now))
	}
	r.mu.Unlock()
	var out []byte
	for i, b := range reports {
		m := &medias[i]
		switch {
		case len(b) == 0:
		case m.channels.ok:
			out = (&wire.Interleaved{Channel: uint8(m.channels.ctl), Payload: b}).Append(out)
		case m.rtcpTo.IsValid():
			_, _ = m.rtcp.WriteTo(b, m.rtcpTo) // lost, as datagrams are
			sent = true
		}
	}
	if len(out) == 0 {
		return sent, nil
	}
	return true, r.conn.put(context.Background(), func(dst []byte) []byte { return append(dst, out...) })
}
