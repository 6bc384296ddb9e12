package livehttp

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

const (
	handshakeTimeout = 10 * time.Second // to write the answer to an upgrade
	maxPings         = 10               // a second that are answered
)

// acceptKey returns Sec-WebSocket-Accept (RFC 6455, section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// hasToken reports whether a list in the header has an element, in any case.
func hasToken(h http.Header, name, token string) bool {
	for _, v := range h.Values(name) {
		for e := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(e), token) {
				return true
			}
		}
	}
	return false
}

// checkUpgrade returns 0, or the status that refuses the request (RFC 6455,
// section 4.2.1).
func checkUpgrade(r *http.Request) int {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return http.StatusUpgradeRequired
	case r.ProtoMajor != 1 || r.ProtoMinor < 1,
		err != nil || len(key) != 16,
		!hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket"):
		return http.StatusBadRequest
	}
	return 0
}

// upgradeHead returns the answer to an upgrade. Of the subprotocols the first
// offered is echoed: they mean nothing here, but clients insist on one.
func upgradeHead(r *http.Request, h http.Header) []byte {
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	h.Set("Sec-WebSocket-Accept", acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	first, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ",")
	if first = strings.TrimSpace(first); first != "" {
		h.Set("Sec-WebSocket-Protocol", first)
	}
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Write(&b) // a Builder does not fail
	b.WriteString("\r\n")
	return []byte(b.String())
}

// serveWebSocket upgrades at once, then waits for the stream; what goes wrong
// from then on is told by a CLOSE frame. Meanwhile the connection is read by the
// viewer's own goroutine, which answers pings and notices when the peer leaves.
func (v *viewer) serveWebSocket(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if status := checkUpgrade(r); status != 0 {
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, http.StatusText(status), status)
		v.leave()
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusNotImplemented), http.StatusNotImplemented)
		v.leave()
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	_ = conn.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	if _, err := conn.Write(upgradeHead(r, w.Header())); err != nil {
		_ = conn.Close()
		v.leave()
		return
	}
	first, _ := rw.Reader.Peek(rw.Reader.Buffered())
	v.mu.Lock()
	v.conn, v.socket = conn, &socket{}
	v.mu.Unlock()
	v.watched = true
	go v.watch(bytes.Clone(first))

	cur, err := v.find(ctx, r)
	if err == nil {
		err = v.deliver(cur, source.DeliverOptions{
			Framed: true, Header: frameBinary, Trailer: closeFrame(closeNormal, "end of stream"),
		})
	}
	if err != nil {
		v.dismiss(v.why(err))
	}
}

// dismiss tells a peer for whom there is no stream why, unless it has gone, and
// ends the session.
func (v *viewer) dismiss(err error) {
	v.mu.Lock()
	gone := v.gone
	v.told = true
	v.mu.Unlock()
	if gone {
		return
	}
	v.refused(err)
	v.send(closeFrame(closeCodeOf(err), fmt.Sprintf("%d %s", statusOf(err), textOf(err))))
	_ = v.conn.SetReadDeadline(time.Now().Add(lastWords))
}

// send writes a control frame, by the Delivery if there is one.
func (v *viewer) send(b []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.d != nil {
		_ = v.d.Control(b)
		return
	}
	_ = v.conn.SetWriteDeadline(time.Now().Add(lastWords))
	if _, err := v.conn.Write(b); err != nil {
		_ = v.conn.Close() // half a frame may be out
	}
}

// farewell sends the last frame of the session. Its connection stays a little,
// for the peer to read it: a close while bytes of the peer are unread would reset
// the connection.
func (v *viewer) farewell(b []byte) {
	v.mu.Lock()
	d := v.d
	v.mu.Unlock()
	if d != nil {
		d.End(b, v.why(io.EOF))
		return
	}
	v.send(b)
	_ = v.conn.SetReadDeadline(time.Now().Add(lastWords))
}

// hasSaidGoodbye reports whether a CLOSE frame of ours is out.
func (v *viewer) hasSaidGoodbye() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.d == nil || v.told {
		return v.told
	}
	select {
	case <-v.d.Done():
		return true // with the trailer
	default:
		return false
	}
}

// A socket is what a viewer's goroutine knows of a WebSocket.
type socket struct {
	parser parser
	second time.Time // when the second that pings are counted in began
	pings  int
	closed bool // a CLOSE frame went out or came in
}

// take takes in what was read. After CLOSE, theirs or ours, input is dropped
// until the connection ends. It reports whether to go on.
func (s *socket) take(v *viewer, b []byte) bool {
	if s.closed {
		return true
	}
	if s.parser.control == nil {
		s.parser.control = func(opcode byte, data []byte) error { return s.control(v, opcode, data) }
	}
	err := s.parser.parse(b)
	if e := (*closeError)(nil); errors.As(err, &e) {
		s.closed = true
		v.end(e)
		v.farewell(closeFrame(e.code, e.text))
		return true
	}
	return err == nil
}

// control answers a control frame. io.EOF ends the session.
func (s *socket) control(v *viewer, opcode byte, data []byte) error {
	switch opcode {
	case opPing:
		now := time.Now()
		if now.Sub(s.second) >= time.Second {
			s.second, s.pings = now, 0
		}
		if s.pings++; s.pings <= maxPings {
			v.send(pongFrame(data))
		}
	case opClose:
		code, err := closeStatus(data)
		if err != nil {
			return err
		}
		if v.hasSaidGoodbye() {
			return io.EOF
		}
		s.closed = true
		v.farewell(closeFrame(code, ""))
	}
	return nil
}
