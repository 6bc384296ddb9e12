package rtsp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/ts"
)

// wants reports whether a channel has been set up.
func (r *clientReader) wants(channel uint8) bool {
	return r.wanted[channel/64].Load()&(1<<(channel%64)) != 0
}

// add takes in a media that has been set up.
func (r *clientReader) add(m *clientMedia) {
	r.mu.Lock()
	r.medias = append(r.medias, *m)
	r.mu.Unlock()
	if m.channels.ok {
		r.wanted[m.channels.rtp/64].Or(1 << (m.channels.rtp % 64))
		r.wanted[m.channels.ctl/64].Or(1 << (m.channels.ctl % 64))
	}
}

// packet takes in an interleaved packet.
func (r *clientReader) packet(channel uint8, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.medias {
		switch m := &r.medias[i]; uint16(channel) {
		case m.channels.rtp:
			r.receive(m.track, b)
			return
		case m.channels.ctl:
			r.hear(m.track, b)
			return
		}
	}
}

// receive takes in an RTP packet, as soon as there is room for frames. r.mu is
// held.
func (r *clientReader) receive(track int, b []byte) {
	now := time.Now()
	r.last = now
	if r.show.refuses(track, b, now) {
		return
	}
	for r.size >= r.limit && r.err == nil && !r.show.pending {
		r.blocked++
		r.space.Wait()
		r.blocked--
		r.last = time.Now()
	}
	if r.err != nil || r.show.deaf {
		return
	}
	r.packets++
	n := len(r.frames)
	frames, err := r.recv.RTP(r.frames, track, b, now)
	r.took(frames, n)
	switch {
	case errors.Is(err, ts.ErrInvalid):
		r.finish(fmt.Errorf("rtsp: %w", err)) // it is no transport stream
	case err != nil:
		r.client.log.Log(r.client.Logger, slog.LevelDebug, "rtsp: packet dropped", "url", r.conn.addr.url, "error", err)
	}
	if r.packets == 1 {
		notify(r.ready)
	}
	if r.recv.Reorder && !r.expiring {
		r.expire(now)
	}
}

// took makes frames those that wait, n of which did before. r.mu is held.
func (r *clientReader) took(frames []*codec.Frame, n int) {
	if cap(frames) != cap(r.frames) {
		r.store = frames
	}
	r.frames = frames[:n]
	for _, f := range frames[n:] {
		if !r.begun[f.Track.ID] { // with B-frames, decoding begins before the first picture is shown
			r.begun[f.Track.ID], r.shift = true, max(r.shift, -f.DTS-r.show.base)
		}
		if !r.place(f) {
			continue
		}
		r.frames = append(r.frames, f)
		r.size += len(f.Data) + frameOverhead
		r.newest = max(r.newest, f.PTS)
	}
	clear(frames[len(r.frames):])
	if len(r.frames) > n {
		notify(r.ready)
	}
}

// expire gives up waiting for packets that are overdue, and has tend look again
// when the next ones will be. r.mu is held.
func (r *clientReader) expire(now time.Time) (next time.Time) {
	n := len(r.frames)
	frames, next := r.recv.Expire(r.frames, now)
	r.took(frames, n)
	if expiring := !next.IsZero(); expiring != r.expiring {
		r.expiring = expiring
		notify(r.wake)
	}
	return next
}

// hear takes in an RTCP packet. r.mu is held.
func (r *clientReader) hear(track int, b []byte) {
	if r.show.deaf {
		return
	}
	now := time.Now()
	if r.recv.Reorder && saysBye(b) {
		if len(r.byes) < 2*len(r.medias) {
			r.byes = append(r.byes, goodbye{track, bytes.Clone(b), now.Add(lastWords)})
			notify(r.wake)
		}
		return
	}
	if err := r.recv.RTCP(track, b, now); err != nil {
		r.client.log.Log(r.client.Logger, slog.LevelDebug, "rtsp: report dropped", "url", r.conn.addr.url, "error", err)
	}
	if r.recv.Reorder {
		r.expire(now) // it may be what the first packets have waited for
	}
	switch {
	case r.recv.Goodbye():
		r.finish(io.EOF)
	case r.expiring: // packets may have waited for the report
		r.expire(now)
	}
}

// saysBye reports whether there is a goodbye in a compound RTCP packet (RFC 3550,
// 6.1 and 6.6).
func saysBye(b []byte) bool {
	const header, typeBye = 4, 203
	for len(b) >= header {
		if b[1] == typeBye {
			return true
		}
		b = b[min(len(b), header+4*int(binary.BigEndian.Uint16(b[2:]))):]
	}
	return false
}

// asked tells whether a request of the server's ends the stream.
func (r *clientReader) asked(m *wire.Request) (end bool) {
	switch m.Method {
	case wire.MethodTeardown:
		r.end(io.EOF)
		return true
	case wire.MethodRedirect:
		r.end(fmt.Errorf("rtsp: the server wants us elsewhere: %w", io.ErrUnexpectedEOF))
		return true
	case wire.MethodAnnounce: // of what happened: the end has a number of its own
		if endOfStream(m.Header) {
			r.end(io.EOF)
			return true
		}
	}
	return false
}

// endOfStream reports whether a notice says that a film has ended.
func endOfStream(h wire.Header) bool {
	for _, name := range []string{"X-Notice", "Notice", "Event-Type"} {
		v := h.Get(name)
		if len(v) >= 4 && v[:4] == "2101" {
			return true
		}
	}
	return false
}

// disconnected takes note of the connection's end.
func (r *clientReader) disconnected(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.atEnd():
		r.finish(io.EOF)
	case r.recv.Reorder && !r.last.IsZero(): // datagrams may still be on their way
		r.lost, r.lostAt = err, time.Now()
		notify(r.wake)
	default:
		r.finish(err)
	}
}

// atEnd reports whether a film has come to its end. r.mu is held.
func (r *clientReader) atEnd() bool {
	return r.duration > 0 && r.newest+2*time.Second >= r.duration
}

// datagrams takes in what comes on a socket of the media, reports or packets.
func (r *clientReader) datagrams(m *clientMedia, socket *udp.Conn, take func(track int, b []byte)) {
	var slab []byte
	keeps, size := socket == m.rtp, smallBuffer
	if keeps {
		size = slabSize
	}
	for failures := 0; ; {
		if len(slab) < min(size, maxDatagram) {
			slab = make([]byte, size)
		}
		n, from, err := socket.ReadFrom(slab)
		if err != nil {
			// What a peer refused may be told to the next who reads.
			if failures++; failures > 100 || r.closed() {
				return
			}
			continue
		}
		failures = 0
		if !m.from(from.Addr()) || n == len(slab) {
			continue // of a stranger, or longer than what we have room for
		}
		b := slab[:n:n]
		if keeps { // packets are kept, and with them the slab
			slab = slab[n:]
		}
		r.mu.Lock()
		take(m.track, b)
		r.mu.Unlock()
	}
}

func (r *clientReader) closed() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}
