package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
)

// brief is how long those who receive wait for a sender that sends nothing, here:
// UDP has no other end.
const brief = 3 * time.Second

// briefly ends streams with their sender.
func briefly() *source.Hub {
	return &source.Hub{MaxWait: 2 * patience, Options: source.StreamOptions{Linger: -1}}
}

// ingest has p receive for the server, on a free port by UDP and TCP, and returns
// the address.
func ingest(t testing.TB, s *server, p *ps.Server) (addr string) {
	t.Helper()
	ln, pc, err := ps.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	require.Equal(t, portOf(ln.Addr()), portOf(pc.LocalAddr()))
	p.Handler = s
	if p.Receive.Timeout == 0 {
		p.Receive.Timeout = brief
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Serve(ctx, ln, pc) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		require.Zero(t, p.Stats().Panics)
	})
	return ln.Addr().String()
}

func portOf(a net.Addr) int {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.Port
	case *net.UDPAddr:
		return a.Port
	}
	return 0
}

// bySSRC is the path of the stream of an SSRC on the shared port.
func bySSRC(ssrc uint32) string { return fmt.Sprintf("rtp/%08X", ssrc) }

// named returns the key of a stream.
func named(path string) source.Key {
	key, err := source.ParseKey(source.DefaultVhost, "/"+path)
	if err != nil {
		panic(err)
	}
	return key
}

// A device sends packets in RTP as a camera does, in real time by the packets' own
// clock of 90 kHz, and over TCP behind their lengths. Its network has faults.
type device struct {
	rtptest.Sender
	faults  rtptest.Faults
	network string                     // "udp" or "tcp"
	framed  func(packet []byte) []byte // over TCP; nil: RFC 4571
}

// send sends units to addr, beginning at once, and then hangs up.
func (d device) send(t testing.TB, addr string, units []rtptest.Unit) (wait func()) {
	t.Helper()
	conn, err := net.Dial(d.network, addr)
	require.NoError(t, err)
	return d.over(t, conn, units)
}

// over is send over a connection.
func (d device) over(t testing.TB, conn net.Conn, units []rtptest.Unit) (wait func()) {
	t.Helper()
	ctx := t.Context()
	done := make(chan error, 1)
	go func() {
		defer conn.Close()
		done <- d.transmit(ctx, conn, d.faults.Apply(d.AllPackets(units)))
	}()
	return func() {
		t.Helper()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Fatal("the device still sends")
		}
	}
}

// transmit writes the packets when they are due. What is not of the stream goes
// with the one before.
func (d device) transmit(ctx context.Context, conn net.Conn, packets [][]byte) error {
	framed := func(p []byte) []byte { return p }
	if d.network == "tcp" {
		framed = func(p []byte) []byte { return rtptest.RFC4571([][]byte{p}) }
		if d.framed != nil {
			framed = d.framed
		}
	}
	begin, first, begun := time.Now(), uint32(0), false
	for _, p := range packets {
		if len(p) >= 12 && binary.BigEndian.Uint32(p[8:]) == d.SSRC {
			at := binary.BigEndian.Uint32(p[4:])
			if !begun {
				first, begun = at, true
			}
			select {
			case <-time.After(time.Until(begin.Add(time.Duration(int32(at-first)) * time.Second / 90000))):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if _, err := conn.Write(framed(p)); err != nil {
			return err
		}
	}
	return nil
}

// programStream returns what our Writer makes of a film, cut at its packs.
func programStream(t testing.TB, f *film) []rtptest.Unit {
	t.Helper()
	var b bytes.Buffer
	w := ps.NewWriter(&b, f.Tracks())
	for _, s := range f.frames {
		require.NoError(t, w.WriteFrame(t.Context(), s))
	}
	require.NoError(t, w.Close())
	units, err := rtptest.CutPS(b.Bytes())
	require.NoError(t, err)
	return units
}
