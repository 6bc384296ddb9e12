package crowd

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/proc"
	"github.com/mediakit-go/mediakit/bench/internal/wire"
)

// A connection is a viewer's way to the server.
type connection struct {
	conn    net.Conn
	scanner wire.Scanner // of what comes by conn; nil if nothing does
	flows   []flow       // of a viewer by UDP
	asked   int64        // when the request went out
}

// A flow brings a viewer by UDP one of the tracks.
type flow struct {
	track     *wire.RTPTrack
	rtp, rtcp *net.UDPConn // rtcp is never read
}

// connect asks for the stream. The commands before that one are not counted as asking.
func (t Target) connect(onMessage func(wire.Message)) (*connection, error) {
	conn, err := net.DialTimeout("tcp", t.Addr, 10*time.Second)
	if err != nil {
		return nil, fmt.Errorf("crowd: %w", err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := &connection{conn: conn, asked: proc.Now()}
	path := "/" + t.App + "/" + t.Stream
	switch t.Protocol {
	case RTMP:
		c.scanner, err = wire.PlayRTMP(conn, t.App, t.Stream, onMessage)
		c.asked = proc.Now()
	case FLV:
		c.scanner, err = wire.PlayHTTP(conn, path+".live.flv", wire.NewFLVScanner(false, onMessage))
	case WS:
		c.scanner, err = wire.PlayWS(conn, path+".live.flv", wire.NewFLVScanner(false, onMessage))
	case TS:
		c.scanner, err = wire.PlayHTTP(conn, path+".live.ts", wire.NewTSScanner(onMessage))
	case WSTS:
		c.scanner, err = wire.PlayWS(conn, path+".live.ts", wire.NewTSScanner(onMessage))
	case FMP4:
		c.scanner, err = wire.PlayHTTP(conn, path+".live.mp4", wire.NewFMP4Scanner(stamped, onMessage))
	case WSFMP4:
		c.scanner, err = wire.PlayWS(conn, path+".live.mp4", wire.NewFMP4Scanner(stamped, onMessage))
	case RTSP:
		c.scanner, err = wire.PlayRTSP(conn, path, nil, onMessage)
		c.asked = proc.Now()
	case RTSPUDP:
		c.scanner, err = wire.PlayRTSP(conn, path, c.listen, onMessage)
		c.asked = proc.Now()
	case Plain:
		c.scanner = wire.NewFLVScanner(true, onMessage)
	case PlainUDP, PlainSendto:
		err = c.askPlain(onMessage)
	default:
		err = fmt.Errorf("crowd: protocol %q", t.Protocol)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return c, nil
}

// stamped tells video from audio.
func stamped(head []byte) bool {
	_, _, ok := media.ReadStamp(head)
	return ok
}

// askPlain asks for both tracks by UDP, without a protocol.
func (c *connection) askPlain(onMessage func(wire.Message)) error {
	video, err := c.listen(wire.NewRTPTrack(media.TagVideo, onMessage))
	if err != nil {
		return err
	}
	audio, err := c.listen(wire.NewRTPTrack(media.TagAudio, onMessage))
	if err != nil {
		return err
	}
	return wire.AskPlain(c.conn, video, audio)
}

// udpBuffer is the receive buffer of a flow in bytes, as far as the system
// gives it: more than a second of the stream.
const udpBuffer = 1 << 20

// listen opens the sockets for a track: an even port for RTP and the next one
// for RTCP.
func (c *connection) listen(t *wire.RTPTrack) (port int, err error) {
	for range 100 {
		var rtp *net.UDPConn
		if rtp, err = listenUDP(0); err != nil {
			return 0, err
		}
		port = rtp.LocalAddr().(*net.UDPAddr).Port
		other, err2 := listenUDP(port ^ 1)
		if err2 != nil { // somebody else's
			rtp.Close()
			err = err2
			continue
		}
		if port&1 != 0 {
			rtp, other = other, rtp
		}
		c.flows = append(c.flows, flow{t, rtp, other})
		return port &^ 1, rtp.SetReadBuffer(udpBuffer)
	}
	return 0, err
}

func listenUDP(port int) (*net.UDPConn, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return nil, fmt.Errorf("crowd: %w", err)
	}
	return conn, nil
}

func (c *connection) close() {
	c.conn.Close()
	for _, f := range c.flows {
		f.rtp.Close()
		f.rtcp.Close()
	}
}

// viewer takes the sockets from the Go runtime and closes the connection.
func (c *connection) viewer() (v *viewer, err error) {
	defer c.close()
	v = &viewer{}
	take := func(conn net.Conn) *socket {
		s := &socket{viewer: v}
		if err == nil {
			s.fd, err = dup(conn)
		}
		if err == nil {
			v.sockets = append(v.sockets, s)
		}
		return s
	}
	s := take(c.conn)
	s.stream = len(c.flows) == 0
	if s.idle = c.scanner == nil; !s.idle {
		s.scan = c.scanner.Scan
	}
	for _, f := range c.flows {
		s := take(f.rtp)
		s.arrivals = &arrivals{}
		s.scan = func(b []byte) error { return f.track.Packet(b, len(b)) }
		take(f.rtcp).idle = true
	}
	if err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// dup returns a socket that the Go runtime does not know.
func dup(conn net.Conn) (int, error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("crowd: %w", err)
	}
	fd := -1
	if e := raw.Control(func(f uintptr) { fd, err = syscall.Dup(int(f)) }); e != nil {
		err = e
	}
	if err != nil {
		return 0, fmt.Errorf("crowd: %w", err)
	}
	return fd, nil
}

// first returns the connection that brings the video, and what takes the bytes
// of each read.
func (c *connection) first() (net.Conn, func([]byte) error) {
	if len(c.flows) == 0 {
		return c.conn, c.scanner.Scan
	}
	f := c.flows[0] // video comes first in what the benchmark publishes
	return f.rtp, func(b []byte) error { return f.track.Packet(b, len(b)) }
}
