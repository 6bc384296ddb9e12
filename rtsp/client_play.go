package rtsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// play opens the stream at a. last: there is no other transport to try when
// nothing comes by this one.
func (c *Client) play(ctx context.Context, a address, t Transport, last bool) (*clientReader, error) {
	nc, err := c.connect(ctx, a, t)
	if err != nil {
		return nil, err
	}
	r := newClientReader(c, t)
	r.conn = c.startConn(nc, a, r)
	if err := r.begin(ctx, last); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// begin does everything from OPTIONS to the first packets.
func (r *clientReader) begin(ctx context.Context, last bool) error {
	p, base, err := r.describe(ctx)
	if err != nil {
		return err
	}
	if err := r.start(ctx, p, base); err != nil {
		return err
	}
	if !last {
		err := r.await(ctx, udpPatience, func() bool { return r.packets > 0 })
		if errors.Is(err, errAwaited) {
			err = fmt.Errorf("%w: no datagram in %v", errNoUDP, udpPatience)
		}
		if err != nil {
			return err
		}
	}
	return r.probe(ctx)
}

// probe waits until the tracks are known. Those of a transport stream are told of
// in it, over and over, and become ready with their next key frames; others
// become ready with their first frames.
func (r *clientReader) probe(ctx context.Context) error {
	d := probeTime
	if len(r.recv.programs) > 0 {
		d = r.client.timeout()
	}
	err := r.await(ctx, d, r.probed)
	if !errors.Is(err, errAwaited) {
		return err
	}
	if len(r.Tracks()) == 0 {
		return fmt.Errorf("rtsp: %w: no track in the transport stream within %v", source.ErrTimeout, d)
	}
	return nil
}

// probed reports whether the tracks are known, or enough has come to know them.
// r.mu is held.
func (r *clientReader) probed() bool {
	if len(r.recv.programs) > 0 {
		return r.recv.Complete() || r.size >= r.limit
	}
	for _, t := range r.recv.Tracks() {
		if !t.Ready() {
			return len(r.frames) > 0 && r.newest-r.frames[0].DTS >= probeMedia
		}
	}
	return true
}

// describe asks what the server has (RFC 2326, 10.2). base is what control
// attributes are relative to.
func (r *clientReader) describe(ctx context.Context) (p *presentation, base string, err error) {
	c, s := r.client, r.conn
	short, cancel := within(ctx, c.timeout())
	defer cancel()
	if r.getParam, err = s.options(short); err != nil {
		return nil, "", err
	}
	long, cancel := within(ctx, c.patience())
	defer cancel()
	res, err := s.do(long, wire.MethodDescribe, s.addr.url, fields("Accept", "application/sdp"), nil)
	if err != nil {
		return nil, "", err
	}
	if p, err = parseSDP(res.Body); err != nil {
		return nil, "", err
	}
	for _, err := range p.unusable {
		c.log.Log(c.Logger, slog.LevelWarn, "rtsp: track cannot be received", "url", s.addr.url, "error", err)
	}
	return p, baseURL(p, res.Header, s.addr.url), nil
}

// baseURL returns what the control attributes of p are relative to (RFC 2326,
// C.1.1): an absolute one of the whole, else what the headers say, else what was
// asked for.
func baseURL(p *presentation, h wire.Header, asked string) string {
	if isURL(p.control) {
		return withoutUser(p.control)
	}
	for _, name := range []string{"Content-Base", "Content-Location"} {
		switch v := strings.TrimSpace(h.Get(name)); {
		case isURL(v):
			return withoutUser(v)
		case strings.HasPrefix(v, "/"):
			scheme, rest, _ := strings.Cut(asked, "://")
			host, _, _ := strings.Cut(rest, "/")
			return scheme + "://" + host + v
		}
	}
	return asked
}

// start sets up all medias and plays them.
func (r *clientReader) start(ctx context.Context, p *presentation, base string) error {
	ctx, cancel := within(ctx, r.client.timeout())
	defer cancel()
	r.url = controlURL(base, p.control)
	r.mu.Lock()
	r.duration = p.duration
	r.mu.Unlock()
	for i := range p.medias {
		if m := &p.medias[i]; !m.backChannel {
			if err := r.setup(ctx, m, i, controlURL(base, m.control)); err != nil {
				return err
			}
		}
	}
	r.punch()
	_, err := r.conn.doThen(ctx, wire.MethodPlay, r.url, fields("Range", "npt=0.000-"), nil, r.played)
	if err != nil {
		return err
	}
	for i := range r.medias {
		if m := &r.medias[i]; m.rtp != nil {
			r.tasks.Go(func() { r.datagrams(m, m.rtp, r.receive) })
			r.tasks.Go(func() { r.datagrams(m, m.rtcp, r.hear) })
		}
	}
	r.tasks.Go(r.tend)
	return nil
}

// setup sets up a media, the ith that was described. Servers describe data that
// they do not give: that is left out.
func (r *clientReader) setup(ctx context.Context, m *media, i int, url string) error {
	var failed error
	err := r.client.setup(ctx, r.conn, r.transport, i, url, false, func(set *clientMedia) {
		r.mu.Lock()
		set.track, failed = r.recv.Add(&m.payload, m.track)
		r.mu.Unlock()
		if failed == nil {
			set.payload, set.described = m.payload, m.track
			r.add(set)
		}
	})
	r.setUp = r.setUp || err == nil
	var status *StatusError
	if m.payload.Kind == codec.KindData && errors.As(err, &status) && status.Status != 401 {
		failed = err
	} else if err != nil {
		return err
	}
	if failed != nil {
		c := r.client
		c.log.Log(c.Logger, slog.LevelWarn, "rtsp: track cannot be received", "url", r.conn.addr.url, "error", failed)
	}
	return nil
}

// punch sends a packet and a report without content from our ports to those of
// the server, so that what is between us lets through the answers.
func (r *clientReader) punch() {
	packet := [12]byte{2 << 6}
	report := [8]byte{2 << 6, 201, 0, 1} // RFC 3550, 6.4.2: no blocks
	for i := range r.medias {
		if m := &r.medias[i]; m.rtpTo.IsValid() {
			_, _ = m.rtp.WriteTo(packet[:], m.rtpTo)
			_, _ = m.rtcp.WriteTo(report[:], m.rtcpTo)
		}
	}
}

// played takes in the answer to PLAY, before the packets after it.
func (r *clientReader) played(res *wire.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
	infos := parseRTPInfo(res.Header.Get("RTP-Info"))
	at := rangeStart(res.Header.Get("Range"))
	for i := range r.medias {
		if info := infoOf(infos, i, len(r.medias), r.medias[i].url); info.known {
			r.recv.Anchor(r.medias[i].track, info.timestamp, at)
		}
	}
}

// errAwaited is of something that did not happen in time.
var errAwaited = errors.New("rtsp: waited in vain")

// await waits for at most d until what happened, which is asked with r.mu held.
// When the stream ends before, ReadFrame tells it if there are frames.
func (r *clientReader) await(ctx context.Context, d time.Duration, happened func() bool) error {
	late := time.NewTimer(d)
	defer late.Stop()
	for {
		r.mu.Lock()
		done, err := happened(), r.err
		if len(r.frames) > 0 || err == io.EOF {
			done = done || err != nil
		}
		r.mu.Unlock()
		switch {
		case done:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-r.ready:
		case <-late.C:
			return errAwaited
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
