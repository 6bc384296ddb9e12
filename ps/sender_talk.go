package ps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/source"
)

// A talk sends back on the way on which a Session receives.
type talk struct {
	session *Session
	link    link
	mux     *streamMuxer
	packets [][]byte // of a batch
	reports
}

func openTalk(x *Sender) (sendWay, error) {
	s := x.options.Over
	select {
	case <-s.Done():
		return nil, sessionOver(s)
	default:
		return &talk{session: s, link: s.link}, nil
	}
}

// sessionOver returns what the end of a Session is for who answers it. Its goodbye
// is not the end of the stream that it is sent.
func sessionOver(s *Session) error {
	if why := s.Stats().Err; why != nil && !errors.Is(why, io.EOF) {
		return fmt.Errorf("%w: the session that is answered has ended: %w", ErrReceiverGone, why)
	}
	return fmt.Errorf("%w: the session that is answered has ended", ErrReceiverGone)
}

// datagrams reports whether the way is made of datagrams.
func (w *talk) datagrams() bool { return w.link.protocol() == "udp" }

func (w *talk) meet(context.Context) error { return nil }

func (w *talk) deliver(c *source.Cursor) *source.Delivery {
	w.mux, _ = c.Muxer().(*streamMuxer)
	return c.DeliverTo(w, source.DeliverOptions{Pace: pace})
}

// WritePackets implements source.PacketWriter.
func (w *talk) WritePackets(b *source.Batch) (bytes int, err error) {
	w.packets = w.packets[:0]
	for i := range b.Packets {
		for packet := range rtp.Packets(b.Packets[i].Wire) {
			w.packets = append(w.packets, packet)
			bytes += len(packet)
		}
	}
	err = w.link.send(w.packets)
	clear(w.packets)
	if err != nil {
		return 0, err
	}
	if w.datagrams() {
		w.send(w.mux, w.control)
	}
	return bytes, nil
}

// control sends RTCP.
func (w *talk) control(b []byte) { _ = w.link.report(b) }

// Close implements source.PacketWriter.
func (w *talk) Close() error { return nil }

func (w *talk) gone() (<-chan struct{}, func() error) {
	return w.session.Done(), func() error { return sessionOver(w.session) }
}

func (w *talk) explain(err error) error { return lostTo(err) }

func (w *talk) rest(ctx context.Context) {
	if w.datagrams() {
		sleep(ctx, byeAfter)
	}
}

// close says goodbye. The way is the Session's.
func (w *talk) close() { w.bye(w.mux, w.control) }

func (w *talk) addrs() (local, remote net.Addr) { return w.link.local(), w.link.remote() }

func (w *talk) dropped() uint64 { return 0 }
