package ps

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A heldLink is a link that keeps what is sent.
type heldLink struct {
	network string

	mu      sync.Mutex // guards what follows
	packets [][]byte
	reports [][]byte
	fail    error
}

func (l *heldLink) protocol() string { return l.network }
func (l *heldLink) remote() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (l *heldLink) local() net.Addr  { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 2} }
func (l *heldLink) close()           {}

func (l *heldLink) send(packets [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range packets {
		l.packets = append(l.packets, slices.Clone(p))
	}
	return l.fail
}

func (l *heldLink) report(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports = append(l.reports, slices.Clone(b))
	return nil
}

// What is said goes back over the session's link, with reports if those are
// datagrams.
func TestTalk(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSent(t, testmedia.Stream{Audio: codec.PCMA})
				l := &heldLink{network: network}
				session := newSession(l, sendKey, 1, nil, &ReceiveOptions{}, nil)
				defer session.Close(nil)
				s.write(10)
				x := s.start(SendOptions{Over: session, Payload: PayloadES, SSRC: 0x77})
				stats := x.Stats()
				require.Equal(t, l.remote(), stats.Remote)
				require.Equal(t, l.local(), stats.Local)
				require.Equal(t, uint8(8), stats.Options.PayloadType)
				for range 30 {
					s.write(10)
					time.Sleep(200 * time.Millisecond)
				}
				require.NoError(t, s.pub.Close())
				require.ErrorIs(t, s.over(x), io.EOF)
				require.Greater(t, len(l.packets), 50)
				for i, p := range l.packets {
					require.Equal(t, []byte{0, 0, 0, 0x77}, p[8:12])
					require.True(t, i == 0 || p[3] == l.packets[i-1][3]+1)
				}
				if network == "tcp" {
					require.Empty(t, l.reports)
					return
				}
				require.Greater(t, len(l.reports), 2)
				last, err := rtcp.Unmarshal(l.reports[len(l.reports)-1])
				require.NoError(t, err)
				require.Equal(t, []uint32{0x77}, last[1].(*rtcp.Goodbye).Sources)
			})
		})
	}
}

// Talking ends with the session, and when nothing goes over its link any more. What
// has ended is not answered.
func TestTalkEnds(t *testing.T) {
	errLost := errors.New("lost")
	synctest.Test(t, func(t *testing.T) {
		s := newSent(t, testmedia.Stream{Audio: codec.PCMA})
		l := &heldLink{network: "tcp"}
		session := newSession(l, sendKey, 1, nil, &ReceiveOptions{}, nil)
		s.write(10)
		x := s.start(SendOptions{Over: session})
		y := s.start(SendOptions{Over: session})
		require.NoError(t, y.Close())
		require.ErrorIs(t, s.over(y), source.ErrClosed)
		synctest.Wait()
		session.Close(errLost)
		require.ErrorIs(t, s.over(x), errLost)
		_, err := s.Start(t.Context(), SendOptions{Key: sendKey, Over: session})
		require.ErrorIs(t, err, errLost)

		for _, goodbye := range []error{nil, io.EOF, io.ErrUnexpectedEOF} { // not that of what is sent
			session = newSession(l, sendKey, 1, nil, &ReceiveOptions{}, nil)
			x = s.start(SendOptions{Over: session})
			synctest.Wait()
			session.end(goodbye)
			_, err = s.Start(t.Context(), SendOptions{Key: sendKey, Over: session})
			for _, err := range []error{s.over(x), err} {
				require.ErrorIs(t, err, ErrReceiverGone)
				require.NotErrorIs(t, err, io.EOF)
			}
		}

		for _, c := range []struct{ fails, want error }{
			{source.ErrStalled, source.ErrStalled},
			{net.ErrClosed, ErrReceiverGone},
			{fmt.Errorf("ps: %w", &net.OpError{Op: "write", Err: errLost}), ErrReceiverGone},
		} {
			l.fail = c.fails
			session = newSession(l, sendKey, 1, nil, &ReceiveOptions{}, nil)
			x = s.start(SendOptions{Over: session})
			synctest.Wait()
			s.write(100)
			err := s.over(x)
			require.ErrorIs(t, err, c.want)
			require.NotErrorIs(t, err, io.EOF)
			session.Close(nil)
		}
	})
}
