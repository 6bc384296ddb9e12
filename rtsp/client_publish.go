package rtsp

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// publish begins to publish a stream with these tracks at a.
func (c *Client) publish(ctx context.Context, a address, t Transport, tracks []*codec.Track) (*clientWriter, error) {
	w := newClientWriter(c, a, t, tracks)
	if len(w.mux.tracks) == 0 {
		return nil, fmt.Errorf("rtsp: %w: none of the tracks can be sent", source.ErrUnsupported)
	}
	nc, err := c.connect(ctx, a, t)
	if err != nil {
		return nil, err
	}
	w.conn = c.startConn(nc, a, w)
	if err := w.begin(ctx); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

// begin does everything up to RECORD (RFC 2326, 10.3, 10.4 and 10.11).
func (w *clientWriter) begin(ctx context.Context) error {
	ctx, cancel := within(ctx, w.client.timeout())
	defer cancel()
	s := w.conn
	var err error
	if w.getParam, err = s.options(ctx); err != nil {
		return err
	}
	var p presentation
	for _, x := range w.mux.sent() {
		p.medias = append(p.medias, x.media)
	}
	if _, err := s.do(ctx, wire.MethodAnnounce, w.url, fields("Content-Type", "application/sdp"), p.appendSDP(nil)); err != nil {
		return err
	}
	for i := range p.medias {
		url := controlURL(w.url, p.medias[i].control)
		if err := w.client.setup(ctx, s, w.transport, i, url, true, w.add); err != nil {
			return err
		}
		w.setUp = true
	}
	if _, err := s.do(ctx, wire.MethodRecord, w.url, fields("Range", "npt=0.000-"), nil); err != nil {
		return err
	}
	if w.transport == TransportUDP {
		w.tasks.Go(w.tend)
	}
	return nil
}

// add takes in a media that has been set up.
func (w *clientWriter) add(m *clientMedia) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.medias = append(w.medias, *m)
	w.relabel = w.relabel || m.channels.ok && (int(m.channels.rtp) != 2*m.track || int(m.channels.ctl) != 2*m.track+1)
}

// label gives the packets in b the channels that the server wants.
func (w *clientWriter) label(b []byte) {
	for len(b) >= 4 {
		m := &w.medias[b[1]/2]
		if b[1]%2 == 0 {
			b[1] = byte(m.channels.rtp)
		} else {
			b[1] = byte(m.channels.ctl)
		}
		b = b[min(len(b), 4+int(b[2])<<8+int(b[3])):]
	}
}

// sendDatagrams sends the packets in b. An error is that of the connection.
func (w *clientWriter) sendDatagrams(b []byte) error {
	for channel, d := range rtp.Datagrams(b) {
		m := &w.medias[channel/2]
		socket, to := m.rtp, m.rtpTo
		if channel%2 == 1 {
			socket, to = m.rtcp, m.rtcpTo
		}
		if _, err := socket.WriteTo(d, to); err != nil { // it is lost, as datagrams are
			w.client.log.Log(w.client.Logger, slog.LevelWarn, "rtsp: packet not sent", "url", w.url, "error", err)
		}
	}
	if w.conn.over() {
		return w.conn.err
	}
	return nil
}
