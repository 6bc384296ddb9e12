package rtsp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// pull is iter.Pull for sequences without end.
func pull(seq iter.Seq[*codec.Frame]) (next func() (*codec.Frame, bool), stop func()) {
	return iter.Pull(seq)
}

// handlerFuncs is a Handler of two functions.
type handlerFuncs struct {
	play    func(context.Context, *source.Request) (source.Reader, error)
	publish func(context.Context, *source.Request) (source.Publication, error)
}

func (h handlerFuncs) Play(ctx context.Context, req *source.Request) (source.Reader, error) {
	return h.play(ctx, req)
}

func (h handlerFuncs) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	return h.publish(ctx, req)
}

// A testPeer speaks RTSP as the test wants it.
type testPeer struct {
	t       testing.TB
	nc      net.Conn
	in      *wire.Reader
	cseq    int
	session string
	packets []wire.Interleaved // that came while a response was waited for
}

// dialPeer connects to the server of a URL.
func dialPeer(t testing.TB, url string) *testPeer {
	t.Helper()
	nc, err := net.Dial("tcp", strings.Split(url, "/")[2])
	require.NoError(t, err)
	return newTestPeer(t, nc)
}

func newTestPeer(t testing.TB, nc net.Conn) *testPeer {
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	return &testPeer{t: t, nc: nc, in: wire.NewReader(nc, 4096, wire.Limits{Wanted: func(uint8) bool { return true }})}
}

// send sends a request; header are names and values in turns.
func (p *testPeer) send(method, url string, header ...string) {
	p.t.Helper()
	p.cseq++
	r := &wire.Request{Method: method, URL: url, Header: fields("CSeq", strconv.Itoa(p.cseq))}
	if p.session != "" {
		r.Header.Add("Session", p.session)
	}
	for _, f := range fields(header...) {
		r.Header.Set(f.Name, f.Value)
	}
	_, err := p.nc.Write(r.Append(nil))
	require.NoError(p.t, err)
}

// response returns the next response.
func (p *testPeer) response() *wire.Response {
	p.t.Helper()
	for {
		item, err := p.in.Next()
		require.NoError(p.t, err)
		switch m := item.(type) {
		case *wire.Response:
			if id := m.Header.Get("Session"); id != "" {
				p.session = id
			}
			return m
		case *wire.Interleaved:
			p.packets = append(p.packets, *m)
		}
	}
}

// do sends a request and returns the response, which must have the status.
func (p *testPeer) do(status int, method, url string, header ...string) *wire.Response {
	p.t.Helper()
	p.send(method, url, header...)
	r := p.response()
	require.Equal(p.t, status, r.Status, "%s %s: %s %s", method, url, r.Reason, r.Body)
	require.Equal(p.t, strconv.Itoa(p.cseq), r.Header.Get("CSeq"))
	return r
}

// packet returns the next interleaved packet.
func (p *testPeer) packet() wire.Interleaved {
	p.t.Helper()
	for len(p.packets) == 0 {
		item, err := p.in.Next()
		require.NoError(p.t, err)
		if m, ok := item.(*wire.Interleaved); ok {
			return *m
		}
	}
	m := p.packets[0]
	p.packets = p.packets[1:]
	return m
}

// requireClosed fails unless the server closes the connection, whatever it says
// before.
func (p *testPeer) requireClosed() {
	p.t.Helper()
	requireClosed(p.t, p.nc)
}

func requireClosed(t testing.TB, nc net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, nc)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "not closed")
}

// tcp is the Transport of the nth track, interleaved.
const tcp = "RTP/AVP/TCP;unicast;interleaved=0-1"

// setupAll describes a stream and sets up all its tracks.
func (p *testPeer) setupAll(url, transport string) *presentation {
	p.t.Helper()
	r := p.do(200, "DESCRIBE", url, "Accept", "application/sdp")
	d, err := parseSDP(r.Body)
	require.NoError(p.t, err)
	for _, m := range d.medias {
		p.do(200, "SETUP", r.Header.Get("Content-Base")+m.control, "Transport", transport)
	}
	return d
}

// play plays a stream interleaved and returns its description and the answer to
// PLAY.
func (p *testPeer) play(url string) (*presentation, *wire.Response) {
	p.t.Helper()
	d := p.setupAll(url, tcp)
	return d, p.do(200, "PLAY", url, "Range", "npt=0.000-")
}

// A playedPacket is an RTP packet as a player gets it.
type playedPacket struct {
	channel uint8
	rtp.Packet
}

// rtp returns the next RTP packet, checking what RTCP comes before.
func (p *testPeer) rtp() playedPacket {
	p.t.Helper()
	for {
		m := p.packet()
		if m.Channel%2 == 1 {
			requireReport(p.t, m.Payload)
			continue
		}
		x := playedPacket{channel: m.Channel}
		require.NoError(p.t, x.Unmarshal(m.Payload))
		return x
	}
}

// requireReport fails unless b is a sender report with our name, or a goodbye.
func requireReport(t testing.TB, b []byte) *rtcp.SenderReport {
	t.Helper()
	packets, err := rtcp.Unmarshal(b)
	require.NoError(t, err)
	require.Len(t, packets, 2)
	if _, bye := packets[1].(*rtcp.Goodbye); bye {
		return nil
	}
	sr, ok := packets[0].(*rtcp.SenderReport)
	require.True(t, ok)
	require.True(t, bytes.Contains(b, []byte(productName)))
	return sr
}

// unread returns the bytes of an interleaved packet.
func interleaved(channel uint8, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{'$', channel}, uint16(len(payload)))
	return append(b, payload...)
}

// playFunc is a Handler that calls f before it passes a Play on to h.
func playFunc(f func(*source.Request), h source.Handler) source.Handler {
	return handlerFuncs{publish: h.Publish, play: func(ctx context.Context, req *source.Request) (source.Reader, error) {
		f(req)
		return h.Play(ctx, req)
	}}
}
