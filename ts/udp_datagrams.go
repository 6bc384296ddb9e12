package ts

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/limitlog"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// Sizes in bytes, and how many errors in a row a socket may give: some systems
// report what became of datagrams sent.
const (
	maxDatagram = 64 << 10
	slabSize    = 256 << 10 // memory taken at once where datagrams are kept
	tolerated   = 100
)

// A datagrams is the transport stream that comes to a socket, as an io.Reader.
type datagrams struct {
	conn    *udp.Conn
	silence time.Duration      // longest; 0: any
	only    netip.Addr         // who is listened to; invalid: anybody
	gap     func(restart bool) // called before bytes between which and the ones before some are missing, or which another stream begins with
	end     func()             // called when no more will come, before that is told
	logger  *slog.Logger
	log     limitlog.Limiter

	sender netip.AddrPort // of the first packets; invalid before
	heard  time.Time      // when it sent the latest, or the listening began
	slab   []byte
	rest   []byte // of what has come and was not read

	// In RTP:
	recv     *rtp.Receiver
	due      time.Time      // when to look for packets that are overdue; zero: none is waited for
	payloads []*codec.Frame // in order, not read
	memory   []*codec.Frame // empty; where payloads come from
}

func newDatagrams(conn *udp.Conn, only netip.Addr, l *Listener) *datagrams {
	return &datagrams{
		conn: conn, silence: l.silence(), only: only, logger: l.Logger,
		gap: func(bool) {}, end: func() {}, heard: time.Now(), slab: make([]byte, slabSize),
	}
}

// Close closes the socket, which ends a Read.
func (d *datagrams) Close() error { return d.conn.Close() }

// Read reads what has come. It waits for something.
func (d *datagrams) Read(b []byte) (int, error) {
	for failures := 0; len(d.rest) == 0; {
		if d.next() {
			continue
		}
		if len(d.slab) < maxDatagram {
			d.slab = make([]byte, slabSize)
		}
		if err := d.conn.SetReadDeadline(d.deadline()); err != nil {
			return 0, closedError(err)
		}
		n, from, err := d.conn.ReadFrom(d.slab)
		now := time.Now()
		switch {
		case err == nil:
			failures = 0
			d.take(d.slab[:n:n], from, now)
		case errors.Is(err, os.ErrDeadlineExceeded):
			if d.silence > 0 && now.Sub(d.heard) >= d.silence {
				d.end()
				return 0, fmt.Errorf("ts: %w: no datagram in %v", source.ErrTimeout, d.silence)
			}
		case errors.Is(err, net.ErrClosed):
			return 0, closedError(err)
		default:
			if failures++; failures > tolerated {
				return 0, fmt.Errorf("ts: %w", err)
			}
		}
		if d.recv != nil {
			d.memory, d.due = d.recv.Expire(d.memory, now)
			d.payloads, d.memory = d.memory, d.memory[:0]
		}
	}
	n := copy(b, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

func closedError(err error) error {
	if errors.Is(err, net.ErrClosed) {
		err = source.ErrClosed
	}
	return fmt.Errorf("ts: %w", err)
}

// deadline returns until when to wait for a datagram; zero: for ever.
func (d *datagrams) deadline() time.Time {
	var t time.Time
	if d.silence > 0 {
		t = d.heard.Add(d.silence)
	}
	if !d.due.IsZero() && (t.IsZero() || d.due.Before(t)) {
		t = d.due
	}
	return t
}

// take takes in a datagram, which is at the beginning of the slab.
func (d *datagrams) take(b []byte, from netip.AddrPort, now time.Time) {
	switch {
	case from == d.sender:
	case d.sender.IsValid(), d.only.IsValid() && d.only != from.Addr(), !d.begin(b):
		d.log.Log(d.logger, slog.LevelDebug, "ts: datagram of a stranger dropped", "from", from)
		return
	default:
		d.sender = from
	}
	d.heard = now
	if d.recv == nil {
		if isPackets(b) { // else a report, or something to keep the way open
			d.rest = b // read before the next one comes
		}
		return
	}
	if len(b) > 1 && b[1] >= firstRTCP && b[1] <= lastRTCP {
		return
	}
	d.slab = d.slab[len(b):] // packets may wait for others
	var err error
	if d.memory, err = d.recv.RTP(d.memory, 0, b, now); err != nil {
		d.log.Log(d.logger, slog.LevelDebug, "ts: packet dropped", "from", from, "error", err)
	}
}

// Types of RTCP packets, which may come to the same port (RFC 5761, section 4).
const firstRTCP, lastRTCP = 192, 223

// next makes the next payload what is to be read. It reports false if there is
// none.
func (d *datagrams) next() bool {
	if len(d.payloads) == 0 {
		return false
	}
	f := d.payloads[0]
	d.payloads[0] = nil
	d.payloads = d.payloads[1:]
	if restart := f.Has(codec.FlagDiscont); restart || f.Has(codec.FlagCorrupt) {
		d.gap(restart)
	}
	d.rest = f.Data
	return true
}

// begin reports whether b is of a transport stream. If that comes in RTP, d is
// ready for it.
func (d *datagrams) begin(b []byte) bool {
	if isPackets(b) {
		return true
	}
	var p rtp.Packet
	if p.Unmarshal(b) != nil || p.PayloadType != payloadMP2T && !isPackets(p.Payload) {
		return false
	}
	payload := rtp.Payload{Type: p.PayloadType, Kind: codec.KindVideo, Encoding: "MP2T", ClockRate: pes.ClockRate}
	t, err := payload.Track(1)
	if err != nil {
		return false
	}
	d.recv = &rtp.Receiver{Reorder: true}
	_, err = d.recv.Add(&payload, t)
	return err == nil
}

// payloadMP2T is the payload type of RFC 3551.
const payloadMP2T = 33

// isPackets reports whether b begins with a packet, and with another one if it
// has the length of more.
func isPackets(b []byte) bool {
	return len(b) >= PacketSize && b[0] == syncByte && (len(b) < 2*PacketSize || b[PacketSize] == syncByte)
}
