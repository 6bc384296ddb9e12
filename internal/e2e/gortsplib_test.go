package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	pionrtp "github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// gortsplibClient returns gortsplib's client for a URL and the transport "tcp",
// "udp", "multicast" or "http". It is to be started.
func gortsplibClient(rawURL, transport string) (*gortsplib.Client, *base.URL, error) {
	u, err := base.ParseURL(rawURL)
	if err != nil {
		return nil, nil, err
	}
	protocol := gortsplib.ProtocolTCP
	c := &gortsplib.Client{
		Scheme: u.Scheme, Host: u.Host, Protocol: &protocol, ReadTimeout: patience,
		TLSConfig: &tls.Config{InsecureSkipVerify: true},
	}
	switch transport {
	case "udp":
		protocol = gortsplib.ProtocolUDP
	case "multicast":
		protocol = gortsplib.ProtocolUDPMulticast
	case "http":
		c.Tunnel = gortsplib.TunnelHTTP
	}
	return c, u, nil
}

// A packetConn counts the interleaved RTP packets that are written to it:
// gortsplib forgets those in its queue when it is closed.
type packetConn struct {
	net.Conn
	packets *atomic.Int64
}

func (c packetConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if len(b) > 1 && b[0] == '$' && b[1]%2 == 0 {
		c.packets.Add(1)
	}
	return n, err
}

// gortsplibFormat is what gortsplib calls a track.
func gortsplibFormat(t testing.TB, tr *codec.Track) format.Format {
	pt := uint8(96 + tr.ID)
	switch tr.Codec {
	case codec.H264:
		sets := tr.ParameterSets()
		return &format.H264{PayloadTyp: pt, SPS: sets[0], PPS: sets[1], PacketizationMode: 1}
	case codec.H265:
		sets := tr.ParameterSets()
		return &format.H265{PayloadTyp: pt, VPS: sets[0], SPS: sets[1], PPS: sets[2]}
	case codec.AV1:
		return &format.AV1{PayloadTyp: pt}
	case codec.VP9:
		return &format.VP9{PayloadTyp: pt}
	case codec.AAC:
		var c mpeg4audio.AudioSpecificConfig
		require.NoError(t, c.Unmarshal(tr.Config))
		return &format.MPEG4Audio{PayloadTyp: pt, Config: &c, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
	case codec.Opus:
		return &format.Opus{PayloadTyp: pt, ChannelCount: tr.Channels}
	case codec.MP3:
		return &format.MPEG1Audio{}
	}
	t.Fatalf("gortsplib has no %s", tr)
	return nil
}

// An encode function makes the packets of a frame.
type encode func(s *codec.Frame) ([]*pionrtp.Packet, error)

func gortsplibEncoder(t testing.TB, f format.Format) encode {
	switch f := f.(type) {
	case *format.H264:
		e, err := f.CreateEncoder()
		require.NoError(t, err)
		return func(s *codec.Frame) ([]*pionrtp.Packet, error) { return e.Encode(units(t, s)) }
	case *format.H265:
		e, err := f.CreateEncoder()
		require.NoError(t, err)
		return func(s *codec.Frame) ([]*pionrtp.Packet, error) { return e.Encode(units(t, s)) }
	case *format.AV1:
		e, err := f.CreateEncoder()
		require.NoError(t, err)
		return func(s *codec.Frame) ([]*pionrtp.Packet, error) { return e.Encode(units(t, s)) }
	case *format.VP9:
		e, err := f.CreateEncoder()
		require.NoError(t, err)
		return func(s *codec.Frame) ([]*pionrtp.Packet, error) { return e.Encode(s.Data) }
	case *format.MPEG4Audio:
		e, err := f.CreateEncoder()
		require.NoError(t, err)
		return func(s *codec.Frame) ([]*pionrtp.Packet, error) { return e.Encode([][]byte{s.Data}) }
	case *format.MPEG1Audio:
		e, err := f.CreateEncoder()
		require.NoError(t, err)
		return func(s *codec.Frame) ([]*pionrtp.Packet, error) { return e.Encode([][]byte{s.Data}) }
	case *format.Opus:
		e, err := f.CreateEncoder()
		require.NoError(t, err)
		return func(s *codec.Frame) ([]*pionrtp.Packet, error) {
			p, err := e.Encode(s.Data)
			return []*pionrtp.Packet{p}, err
		}
	}
	t.Fatalf("no encoder for %T", f)
	return nil
}

// gortsplibPublish publishes a film by RTSP over TCP in real time.
func gortsplibPublish(t testing.TB, f *film, rawURL string) {
	t.Helper()
	write, goodbye, err := gortsplibAnnounce(t, f, rawURL)
	require.NoError(t, err)
	defer goodbye()
	for {
		s, err := f.ReadFrame(t.Context())
		if err != nil {
			return
		}
		require.NoError(t, write(s))
	}
}

// gortsplibAnnounce begins to publish a film and returns what writes a frame of
// it, and what ends it.
func gortsplibAnnounce(t testing.TB, f *film, rawURL string) (write func(*codec.Frame) error, goodbye func(), err error) {
	t.Helper()
	desc := &description.Session{}
	encoders := map[*codec.Track]encode{}
	for _, tr := range f.tracks {
		forma := gortsplibFormat(t, tr)
		desc.Medias = append(desc.Medias, &description.Media{
			Type: description.MediaType(tr.Kind().String()), Formats: []format.Format{forma},
		})
		encoders[tr] = gortsplibEncoder(t, forma)
	}
	c, u, err := gortsplibClient(rawURL, "tcp")
	require.NoError(t, err)
	var queued int64
	var sent atomic.Int64
	c.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return packetConn{conn, &sent}, err
	}
	c.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&tls.Dialer{Config: c.TLSConfig}).DialContext(ctx, network, addr)
		return packetConn{conn, &sent}, err
	}
	if err = c.Start(); err != nil {
		return nil, nil, err
	}
	t.Cleanup(c.Close)
	if _, err = c.Announce(u, desc); err != nil {
		return nil, nil, err
	}
	if err = c.SetupAll(u, desc.Medias); err != nil {
		return nil, nil, err
	}
	if _, err = c.Record(); err != nil {
		return nil, nil, err
	}
	write = func(s *codec.Frame) error {
		packets, err := encoders[s.Track](s)
		if err != nil {
			return err
		}
		media := desc.Medias[s.Track.ID]
		for _, p := range packets {
			p.Timestamp += uint32(codec.Ticks(s.PTS, media.Formats[0].ClockRate()))
			if err := c.WritePacketRTPWithNTP(media, p, f.start.Add(s.PTS)); err != nil {
				return err
			}
			queued++
		}
		return nil
	}
	goodbye = func() {
		t.Helper()
		eventually(t, func() bool { return sent.Load() == queued }, "gortsplib sends %d packets", queued)
		c.Close()
	}
	return write, goodbye, nil
}

// gortsplibSetup asks for a stream and sets all its medias up. ctx is for that
// only.
func gortsplibSetup(ctx context.Context, rawURL, transport string) (*gortsplib.Client, *description.Session, error) {
	c, u, err := gortsplibClient(rawURL, transport)
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return nil, nil, err
	}
	defer context.AfterFunc(ctx, c.Close)()
	desc, _, err := c.Describe(u)
	if err == nil {
		err = c.SetupAll(desc.BaseURL, desc.Medias)
	}
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, desc, nil
}

// gortsplibPlay plays a stream that has such tracks by RTSP to its end. It may be
// called before the stream is there. What it knows of times are presentation
// times.
func gortsplibPlay(t testing.TB, tracks []*codec.Track, rawURL, transport string) func() []*codec.Frame {
	t.Helper()
	type result struct {
		frames []*codec.Frame
		err    error
	}
	done := make(chan result, 1)
	go func() {
		var res result
		defer func() { done <- res }()
		c, desc, err := gortsplibSetup(t.Context(), rawURL, transport)
		if res.err = err; err != nil {
			return
		}
		defer c.Close()
		defer context.AfterFunc(t.Context(), c.Close)()
		var mu sync.Mutex // guards res.frames: over UDP each media has its goroutine
		for _, media := range desc.Medias {
			for _, forma := range media.Formats {
				d, err := newGortsplibDecoder(forma, tracks)
				if res.err = err; err != nil {
					return
				}
				c.OnPacketRTP(media, forma, func(p *pionrtp.Packet) {
					mu.Lock()
					defer mu.Unlock()
					res.frames = append(res.frames, d.frames(p)...)
				})
			}
		}
		if _, res.err = c.Play(nil); res.err != nil {
			return
		}
		_ = c.Wait() // the server hangs up at the end
		mu.Lock()
		defer mu.Unlock()
	}()
	return func() []*codec.Frame {
		t.Helper()
		select {
		case res := <-done:
			require.NoError(t, res.err)
			return res.frames
		case <-time.After(patience):
			t.Fatal("gortsplib: the stream does not end")
			return nil
		}
	}
}

// A gortsplibDecoder makes frames of the packets of one media.
type gortsplibDecoder struct {
	track  *codec.Track
	rate   int
	decode decode
	clock  int64  // the time of the newest packet, in ticks, without wraps
	last   uint32 // as the packet has it
}

// A decode function returns the frames that a packet completes, or of H264, H265
// and AV1 the units of one.
type decode func(*pionrtp.Packet) ([][]byte, error)

// newGortsplibDecoder returns the decoder of a format and gives its frames the one
// of these tracks that has its codec.
func newGortsplibDecoder(forma format.Format, tracks []*codec.Track) (*gortsplibDecoder, error) {
	d := &gortsplibDecoder{rate: forma.ClockRate()}
	var c codec.Codec
	var err error
	switch f := forma.(type) {
	case *format.H264:
		c = codec.H264
		d.decode, err = several(f.CreateDecoder())
	case *format.H265:
		c = codec.H265
		d.decode, err = several(f.CreateDecoder())
	case *format.AV1:
		c = codec.AV1
		d.decode, err = several(f.CreateDecoder())
	case *format.VP8:
		c = codec.VP8
		d.decode, err = single(f.CreateDecoder())
	case *format.VP9:
		c = codec.VP9
		d.decode, err = single(f.CreateDecoder())
	case *format.MJPEG:
		c = codec.MJPEG
		d.decode, err = single(f.CreateDecoder())
	case *format.MPEG4Audio:
		c = codec.AAC
		d.decode, err = several(f.CreateDecoder())
	case *format.MPEG1Audio:
		c = codec.MP3
		d.decode, err = several(f.CreateDecoder())
	case *format.Opus:
		c = codec.Opus
		d.decode, err = single(f.CreateDecoder())
	case *format.LPCM:
		c = codec.L16
		d.decode, err = single(f.CreateDecoder())
	case *format.G711:
		c = codec.PCMA
		if f.MULaw {
			c = codec.PCMU
		}
		d.decode, err = single(f.CreateDecoder())
	}
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(tracks, func(tr *codec.Track) bool { return tr.Codec == c })
	if d.decode == nil || i < 0 {
		return nil, fmt.Errorf("%q is not expected", forma.RTPMap())
	}
	d.track = tracks[i]
	return d, nil
}

func several[D interface {
	Decode(*pionrtp.Packet) ([][]byte, error)
}](d D, err error) (decode, error) {
	return d.Decode, err
}

func single[D interface {
	Decode(*pionrtp.Packet) ([]byte, error)
}](d D, err error) (decode, error) {
	return func(p *pionrtp.Packet) ([][]byte, error) {
		b, err := d.Decode(p)
		return [][]byte{b}, err
	}, err
}

// frames returns the frames that the next packet completes.
func (d *gortsplibDecoder) frames(p *pionrtp.Packet) (frames []*codec.Frame) {
	d.clock += int64(int32(p.Timestamp - d.last))
	d.last = p.Timestamp
	list, err := d.decode(p)
	if err != nil {
		return nil // more packets are needed, or it shows in what is missing
	}
	switch d.track.Codec {
	case codec.H264, codec.H265, codec.AV1:
		list = slices.DeleteFunc(list, func(u []byte) bool { return d.track.Codec != codec.AV1 && isParameterSet(d.track.Codec, u) })
		data, err := joinUnits(d.track.Codec, list)
		if err != nil {
			return nil
		}
		list = [][]byte{data}
	}
	at := d.clock
	for _, data := range list {
		s := &codec.Frame{Track: d.track, PTS: codec.FromTicks(at, d.rate), Data: data}
		s.DTS = s.PTS
		if codec.IsKey(d.track, data) {
			s.Flags = codec.FlagKey
		}
		frames = append(frames, s)
		at += 1024 // only AAC comes several in a packet
	}
	return frames
}
