package pusher

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// freePort returns a UDP port of the loopback interface that was free just now.
func freePort(t *testing.T) uint16 {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, pc.Close())
	return pc.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// What is sent as datagrams is received as it was.
func TestPushUDP(t *testing.T) {
	for _, u := range []string{"udp://127.0.0.1:%d", "rtp://127.0.0.1:%d", "udp://239.255.7.9:%d?interface=127.0.0.1&ttl=0"} {
		t.Run(u, func(t *testing.T) {
			u := fmt.Sprintf(u, freePort(t))
			ctx, cancel := context.WithCancel(filmtest.Soon(t))
			var pushing sync.WaitGroup
			pushing.Go(func() { _ = Push(ctx, Sink(u), projector(film, 0)) })
			defer pushing.Wait()
			defer cancel()
			r, err := ts.Listen(filmtest.Soon(t), u)
			require.NoError(t, err)
			require.Len(t, r.Tracks(), 2)
			filmtest.Require(t, readSome(t, r, 40), 5*time.Millisecond)
			require.NoError(t, r.Close())
		})
	}
}

// A port is a net.PacketConn that keeps what is sent, and when.
type port struct {
	net.PacketConn
	sent [][]byte
	at   []time.Duration
	zero time.Time
	fail func(n int) error
}

func (p *port) WriteTo(b []byte, to net.Addr) (int, error) {
	if to.String() != "192.0.2.1:1234" {
		return 0, errors.New("another receiver")
	}
	if p.fail != nil {
		if err := p.fail(len(p.sent)); err != nil {
			return 0, err
		}
	}
	p.sent = append(p.sent, append([]byte(nil), b...))
	p.at = append(p.at, time.Since(p.zero))
	return len(b), nil
}

func (p *port) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.2:1"))
}
func (p *port) Close() error { return nil }

// newPort returns a port and a Client that sends from it.
func newPort() (*port, *Client) {
	p := &port{zero: time.Now()}
	return p, &Client{ListenPacket: func(network, addr string) (net.PacketConn, error) {
		if network != "udp4" {
			return nil, errors.New(network)
		}
		return p, nil
	}}
}

// Datagrams have up to seven packets of a frame; those of RTP have numbers, and
// times of 90 kHz.
func TestUDPDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, scheme := range []string{"udp", "rtp"} {
			p, c := newPort()
			w, err := c.Create(t.Context(), scheme+"://192.0.2.1:1234", film.Tracks())
			require.NoError(t, err)
			var all []byte
			var first []byte
			for _, f := range film.Take(time.Second) {
				before := len(p.sent)
				require.NoError(t, w.WriteFrame(t.Context(), f))
				require.Greater(t, len(p.sent), before)
				for i, b := range p.sent[before:] {
					if scheme == "rtp" {
						if first == nil {
							first = b
						}
						require.Equal(t, []byte{0x80, 33}, b[:2])
						require.Equal(t, binary.BigEndian.Uint16(first[2:])+uint16(before+i), binary.BigEndian.Uint16(b[2:]))
						ticks := binary.BigEndian.Uint32(b[4:]) - binary.BigEndian.Uint32(first[4:])
						require.Equal(t, f.DTS-film.Take(time.Second)[0].DTS, codec.FromTicks(int64(ticks), 90000).Round(time.Microsecond))
						require.Equal(t, first[8:12], b[8:12])
						b = b[12:]
					}
					require.LessOrEqual(t, len(b), 7*188)
					require.Zero(t, len(b)%188)
					all = append(all, b...)
				}
			}
			require.NoError(t, w.Close())
			var d ts.Demuxer
			got, err := d.Append(nil, all)
			require.NoError(t, err)
			filmtest.Require(t, d.Flush(got), 5*time.Millisecond)
		}
	})
}

// Nothing is sent faster than a receiver can take it: a GOP at four times its
// rate, a large picture with pauses. What comes in time is not held up, and a jump
// of the clock neither.
func TestUDPPace(t *testing.T) {
	big := testmedia.Stream{Video: codec.H264, GOP: time.Second, Bitrate: 8_000_000}
	frames := big.Take(8 * time.Second)
	synctest.Test(t, func(t *testing.T) {
		p, c := newPort()
		w, err := c.Create(t.Context(), "udp://192.0.2.1:1234", big.Tracks())
		require.NoError(t, err)
		for _, f := range frames {
			require.NoError(t, w.WriteFrame(t.Context(), f))
		}
		require.InDelta(t, float64(2*time.Second), float64(time.Since(p.zero)), float64(100*time.Millisecond))
		most := 0 // sent at one time
		for i, n := 1, 1; i < len(p.at); i++ {
			n++
			if p.at[i] != p.at[i-1] {
				n = 1
			}
			most = max(most, n)
		}
		require.LessOrEqual(t, most, burstSize/datagramSize+1)

		moved := func(f *codec.Frame, by time.Duration) *codec.Frame {
			g := *f
			g.DTS += by
			g.PTS += by
			return &g
		}
		for _, jump := range []time.Duration{time.Hour, 0, 2 * time.Hour} {
			before := time.Now()
			for _, f := range frames[:10] {
				require.NoError(t, w.WriteFrame(t.Context(), moved(f, jump)))
			}
			require.Less(t, time.Since(before), time.Second)
		}
		start := time.Now()
		for _, f := range frames {
			time.Sleep(time.Until(start.Add(f.DTS)))
			before := time.Now()
			require.NoError(t, w.WriteFrame(t.Context(), moved(f, 3*time.Hour)))
			require.Less(t, time.Since(before), 5*time.Millisecond, "%v", f.DTS)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, w.WriteFrame(ctx, frames[0]), context.Canceled)
		require.NoError(t, w.Close())
	})
}

// What the system does not send now and then is lost; when it sends nothing, that
// is an error.
func TestUDPErrors(t *testing.T) {
	errNet := errors.New("network is down")
	for _, c := range []struct {
		name string
		fail func(n int) error
		want error
	}{
		{"never", func(int) error { return errNet }, errNet},
		{"no more", func(n int) error {
			if n > 10 {
				return errNet
			}
			return nil
		}, errNet},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, client := newPort()
				p.fail = c.fail
				w, err := client.Create(t.Context(), "udp://192.0.2.1:1234", film.Tracks())
				require.NoError(t, err)
				for _, f := range film.Take(20 * time.Second) {
					if err = w.WriteFrame(t.Context(), f); err != nil {
						break
					}
				}
				require.ErrorIs(t, err, c.want)
				require.NoError(t, w.Close())
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p, client := newPort()
		calls := 0
		p.fail = func(int) error {
			if calls++; calls%3 == 2 {
				return errNet
			}
			return nil
		}
		w, err := client.Create(t.Context(), "udp://192.0.2.1:1234", film.Tracks())
		require.NoError(t, err)
		for _, f := range film.Take(5 * time.Second) {
			require.NoError(t, w.WriteFrame(t.Context(), f))
		}
		require.NoError(t, w.Close())
	})
	_, err := Create(t.Context(), "udp://192.0.2.1:1234", []*codec.Track{{ID: 1, Codec: codec.Opaque, Wire: "rtp"}})
	require.ErrorIs(t, err, source.ErrUnsupported)
	_, err = Create(t.Context(), "udp://239.1.1.1:1234?interface=none0", film.Tracks())
	require.Error(t, err)
}
