package hls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// ErrInvalid is wrapped by errors about what is no playlist, or no segment.
var ErrInvalid = errors.New("hls: invalid data")

// A Client pulls HLS streams, live ones and those with an end: segments of
// MPEG-TS, fragmented MP4 and packed AAC, in clear or encrypted by AES-128, audio
// with the video or apart. Other encryption, MP3 and AC-3 in segments of their
// own, subtitles and EXT-X-DEFINE are refused by their names. The parts of a
// low-latency playlist are not used, the segments that they become are.
//
// The zero value is ready for use; fields must not change once it was used.
type Client struct {
	HTTP        *http.Client  // nil: one of our own for each stream, with the proxy of the environment and cookies
	Header      http.Header   // sent with every request; credentials only to the host of the URL
	ReadTimeout time.Duration // longest silence of a server; 0 means 15 s, negative no limit
	Logger      *slog.Logger  // segments that are left out; nil discards

	// Of several variants the one with the highest bandwidth is pulled, or the
	// highest within MaxBandwidth, bits per second, if that is not 0. Choose, if
	// not nil, returns the index of another one.
	MaxBandwidth int
	Choose       func([]Variant) int
	// Audio is the name or the language of the audio, where there is a choice.
	Audio string
}

// Open pulls url with a zero [Client].
func Open(ctx context.Context, url string) (source.Reader, error) {
	return (&Client{}).Open(ctx, url)
}

// Open pulls url, a media or a multivariant playlist, and returns a *[Reader]
// when the tracks are known. Redirects are followed. What the server refuses is a
// *StatusError. ctx is for opening only.
func (c *Client) Open(ctx context.Context, rawURL string) (source.Reader, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("hls: %w: not a URL", source.ErrBadKey)
	}
	r := c.reader(ctx, u)
	stop := context.AfterFunc(ctx, func() { r.kill(context.Cause(ctx)) })
	if err = checkScheme(u); err == nil {
		err = r.open(c, u)
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("hls: open %s: %w", u.Redacted(), err)
	}
	return r, nil
}

// reader returns a Reader that has not begun.
func (c *Client) reader(ctx context.Context, u *url.URL) *Reader {
	r := &Reader{log: c.Logger}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.life, r.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	r.pace = pacer{life: r.life, speed: 1}
	r.fetch = &fetcher{livehttp.Fetcher{HTTP: c.HTTP, Header: c.Header, Origin: u.Host, Silence: c.ReadTimeout}}
	if r.fetch.Silence == 0 {
		r.fetch.Silence = defaultReadTimeout
	}
	if c.HTTP == nil {
		t := &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: maxHeader,
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 4, ForceAttemptHTTP2: true,
		}
		r.fetch.HTTP = &http.Client{Transport: t, Jar: livehttp.NewJar()}
		r.idle = t.CloseIdleConnections
	}
	return r
}

// open finds the playlists, begins to read them, and waits for the tracks.
func (r *Reader) open(c *Client, u *url.URL) error {
	rs, err := r.find(c, u)
	if err != nil {
		return err
	}
	main := rs[0]
	var epoch uint64
	if s := main.list.at(main.next); s != nil {
		epoch = s.epoch
	}
	r.live = !main.list.ended
	r.out = newBuffer(len(rs))
	tl := &timeline{}
	for i, d := range rs {
		d.time, d.out, d.side = tl, r.out, r.out.sides[i]
		if i > 0 {
			d.align(epoch)
		}
		r.running.Go(func() { r.out.end(d.side, d.run(r.life)) })
	}
	for {
		if ok, err := r.out.ready(); ok || err != nil {
			return err
		}
		select {
		case <-r.out.wake:
		case <-r.life.Done():
			return context.Cause(r.life)
		}
	}
}

// find returns the renditions that make up the stream at u, with their
// playlists.
func (r *Reader) find(c *Client, u *url.URL) ([]*rendition, error) {
	b, at, err := r.fetch.playlist(r.life, u)
	if err != nil {
		return nil, err
	}
	if !isMaster(b) {
		d := r.rendition(at, 0)
		return []*rendition{d}, d.load(r.life, b)
	}
	m, err := parseMaster(b)
	if err != nil {
		return nil, err
	}
	variants := m.order(c.MaxBandwidth)
	if c.Choose != nil {
		i := c.Choose(m.variants)
		if i < 0 || i >= len(m.variants) {
			return nil, fmt.Errorf("%w: variant %d of %d was chosen", source.ErrBadKey, i, len(m.variants))
		}
		variants = m.variants[i : i+1]
	}
	var first error
	for _, v := range variants[:min(len(variants), attempts)] { // a server may have lost one of them
		rs, err := r.variant(at, v, m.audioOf(v, c.Audio))
		if err == nil {
			r.chosen = v
			return rs, nil
		}
		if first == nil {
			first = err
		}
		if r.life.Err() != nil {
			break
		}
	}
	return nil, first
}

// variant returns the renditions of a variant, audio apart if that has a URI.
func (r *Reader) variant(base *url.URL, v Variant, audio string) ([]*rendition, error) {
	var rs []*rendition
	for i, ref := range []string{v.uri, audio} {
		if ref == "" {
			continue
		}
		u, err := resolve(base, ref)
		if err != nil {
			return nil, err
		}
		d := r.rendition(u, i)
		if err := d.load(r.life, nil); err != nil {
			return nil, fmt.Errorf("variant %s: %w", u.Redacted(), err)
		}
		rs = append(rs, d)
	}
	if len(rs) == 2 {
		rs[0].but, rs[1].only = codec.KindAudio, codec.KindAudio
	}
	return rs, nil
}

// rendition returns the rendition with that number, whose playlist is at u.
func (r *Reader) rendition(u *url.URL, index int) *rendition {
	return &rendition{index: index, edge: &r.edge, store: &r.store, fetch: r.fetch, keys: keyring{fetch: r.fetch, retries: &r.count.retries}, url: u, log: r.log, count: &r.count}
}
