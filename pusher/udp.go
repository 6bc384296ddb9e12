package pusher

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// How datagrams are made, and sent. Nobody at the other end says what it can take.
const (
	datagramSize = 7 * ts.PacketSize // as many packets as fit an Ethernet frame, with the headers of RTP and IP
	burstSize    = 64 << 10          // bytes, then there is a pause: less than what receivers' systems keep
	burstPause   = time.Millisecond
	hurry        = 4                // times the media's rate: what a GOP is sent with
	maxStep      = time.Second      // between frames, more is another clock
	failuresMost = 100              // datagrams in a row that the system does not send
	rtpHeader    = 12               // bytes (RFC 3550, section 5.1)
	rtpMPEGTS    = 33               // payload type (RFC 3551, section 6)
	rtpClock     = 90000            // ticks per second (RFC 2250, section 2)
	rtpVersion   = 2 << 6           // in the first byte
	groupTTL     = 1                // routers that datagrams to a group may pass, and one more
	lookupTime   = 10 * time.Second // for the address of a name
)

// A udpWriter sends a transport stream as datagrams.
type udpWriter struct {
	conn *udp.Conn
	to   netip.AddrPort
	mux  *ts.Muxer
	buf  []byte // packets of a frame, behind room for a header
	rtp  bool

	sequence uint16
	ssrc     uint32
	stamp    uint32 // at time 0

	zero, last time.Duration // DTS of the frame that the clock counts from, and of the latest
	began      time.Time     // when that was sent; zero before
	burst      int           // bytes since the latest pause
	failures   int           // datagrams in a row
	sent       bool          // one ever was
}

// createUDP sends to udp://host:port or rtp://host:port. Of the query, interface
// is the name or an address of the network that datagrams to a group go to, and ttl
// how far they go.
func (c *Client) createUDP(ctx context.Context, rawURL string, tracks []*codec.Track) (source.Writer, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("pusher: %w: not a URL with a host", source.ErrBadKey)
	}
	w, err := c.openUDP(ctx, u, tracks)
	if err != nil {
		return nil, fmt.Errorf("pusher: %s: %w", u.Redacted(), err)
	}
	return w, nil
}

func (c *Client) openUDP(ctx context.Context, u *url.URL, tracks []*codec.Track) (*udpWriter, error) {
	w := &udpWriter{mux: ts.NewMuxer(tracks), rtp: u.Scheme == "rtp", ssrc: rand.Uint32(), stamp: rand.Uint32(), sequence: uint16(rand.Uint32())}
	if len(tracks) > 0 && len(w.mux.Tracks()) == 0 {
		return nil, fmt.Errorf("%w: no track that MPEG-TS carries", source.ErrUnsupported)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%w: the URL needs a port", source.ErrBadKey)
	}
	addr, err := c.lookup(ctx, u.Hostname())
	if err != nil {
		return nil, err
	}
	w.to = netip.AddrPortFrom(addr, uint16(port))
	group := udp.Multicast{TTL: groupTTL, Loopback: true}
	if s := u.Query().Get("ttl"); s != "" {
		ttl, err := strconv.ParseUint(s, 10, 8)
		if err != nil {
			return nil, fmt.Errorf("%w: ttl %q", source.ErrBadKey, s)
		}
		group.TTL = int(ttl)
	}
	if s := u.Query().Get("interface"); s != "" {
		if group.Interface, err = udp.InterfaceNamed(s); err != nil {
			return nil, err
		}
	}
	if w.conn, err = c.openPort(w.to, group); err != nil {
		return nil, err
	}
	c.leaveOut(u.Redacted(), tracks, ts.Carries)
	return w, nil
}

// lookup returns the address of host.
func (c *Client) lookup(ctx context.Context, host string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap(), nil
	}
	timeout := cmp.Or(c.Timeout, lookupTime)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: no address of %s in %v", source.ErrTimeout, host, timeout))
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range all {
		if a.Unmap().Is4() { // where most receivers listen
			return a.Unmap(), nil
		}
	}
	return all[0], nil
}

// openPort opens a port to send from.
func (c *Client) openPort(to netip.AddrPort, group udp.Multicast) (*udp.Conn, error) {
	listen := c.ListenPacket
	if listen == nil {
		listen = net.ListenPacket
	}
	network := "udp6"
	if to.Addr().Is4() {
		network = "udp4"
	}
	pc, err := listen(network, ":0")
	if err != nil {
		return nil, err
	}
	conn := udp.NewConn(pc)
	if to.Addr().IsMulticast() {
		if err := conn.SetMulticast(group); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// WriteFrame sends f. It is late rather than more than four times as fast as f
// plays.
func (w *udpWriter) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if err := w.pace(ctx, f); err != nil {
		return err
	}
	packets, err := w.mux.Append(append(w.buf[:0], make([]byte, rtpHeader)...), f)
	if err != nil {
		return err
	}
	w.buf = packets
	for at := rtpHeader; at < len(packets); at += datagramSize {
		datagram := packets[at:min(at+datagramSize, len(packets))]
		if w.rtp {
			datagram = packets[at-rtpHeader : at+len(datagram)]
			w.header(datagram, f.DTS) // over the end of what was sent before
		}
		if err := w.send(ctx, datagram); err != nil {
			return fmt.Errorf("pusher: sending to %v: %w", w.to, err)
		}
	}
	return nil
}

// pace waits until f may be sent.
func (w *udpWriter) pace(ctx context.Context, f *codec.Frame) error {
	now := time.Now()
	due := w.began.Add((f.DTS - w.zero) / hurry)
	step := f.DTS - w.last
	w.last = f.DTS
	if w.began.IsZero() || step > maxStep || step < -maxStep || now.Sub(due) > maxStep {
		w.began, w.zero = now, f.DTS
		return ctx.Err()
	}
	return sleep(ctx, due.Sub(now))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// header writes an RTP header.
func (w *udpWriter) header(b []byte, dts time.Duration) {
	b[0], b[1] = rtpVersion, rtpMPEGTS
	binary.BigEndian.PutUint16(b[2:], w.sequence)
	binary.BigEndian.PutUint32(b[4:], w.stamp+uint32(codec.Ticks(dts, rtpClock)))
	binary.BigEndian.PutUint32(b[8:], w.ssrc)
	w.sequence++
}

// send sends a datagram. What the system does not want is lost, as it can be
// anywhere on its way, unless it wants none.
func (w *udpWriter) send(ctx context.Context, b []byte) error {
	if w.burst >= burstSize {
		w.burst = 0
		if err := sleep(ctx, burstPause); err != nil {
			return err
		}
	}
	w.burst += len(b)
	_, err := w.conn.WriteTo(b, w.to)
	if err == nil {
		w.failures, w.sent = 0, true
		return nil
	}
	if w.failures++; w.sent && w.failures <= failuresMost {
		return nil
	}
	return err
}

// Close gives the port back. There is no goodbye.
func (w *udpWriter) Close() error { return w.conn.Close() }
