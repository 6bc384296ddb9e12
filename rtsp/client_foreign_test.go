package rtsp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
	pionrtcp "github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// testTLS returns the configurations of a server with a certificate for
// 127.0.0.1 and of clients who trust it.
func testTLS(t testing.TB) (server, client *tls.Config) {
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	return &tls.Config{Certificates: s.TLS.Certificates}, s.Client().Transport.(*http.Transport).TLSClientConfig
}

// A foreign is a server of gortsplib's, which plays a film and takes in what is
// published.
type foreign struct {
	gortsplib.Server
	t      testing.TB
	film   *filmed
	desc   *description.Session
	stream *gortsplib.ServerStream
	url    string

	user, password string // "" lets in everybody
	tls            *tls.Config

	mu        sync.Mutex // guards what follows
	playing   sync.WaitGroup
	announced *description.Session
	units     map[int][][]byte // by media, what was received
	reports   map[int]int      // sender reports
	ended     chan struct{}
}

// start starts s with this film, TCP and UDP.
func (s *foreign) start(t testing.TB, film *filmed) {
	t.Helper()
	s.t, s.film = t, film
	s.units, s.reports, s.ended = map[int][][]byte{}, map[int]int{}, make(chan struct{})
	var sdp description.Session
	parsed, err := sdpunmarshaler.Unmarshal([]byte(strings.ReplaceAll(film.sdp, "\n", "\r\n")))
	require.NoError(t, err)
	require.NoError(t, sdp.Unmarshal2(parsed))
	s.desc = &sdp
	s.RTSPAddress = "127.0.0.1:0"
	s.Handler = s
	s.WriteQueueSize = 1 << 14
	s.DisableRTCPSenderReports = true // the film has them
	scheme := "rtsp"
	if s.tls != nil {
		scheme = "rtsps"
		s.Listen = func(network, address string) (net.Listener, error) { return tls.Listen(network, address, s.tls) }
	}
	a, b, err := new(udp.Ports).Pair(netip.MustParseAddr("127.0.0.1"))
	require.NoError(t, err)
	s.UDPRTPAddress, s.UDPRTCPAddress = a.LocalAddr().String(), b.LocalAddr().String()
	a.Close()
	b.Close()
	require.NoError(t, s.Start())
	s.stream = &gortsplib.ServerStream{Server: &s.Server, Desc: s.desc}
	require.NoError(t, s.stream.Initialize())
	s.url = scheme + "://u:p@" + s.NetListener().Addr().String() + "/cam"
	t.Cleanup(func() {
		s.stream.Close()
		s.Close()
		s.playing.Wait()
	})
}

func (s *foreign) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	switch {
	case s.user != "" && !ctx.Conn.VerifyCredentials(ctx.Request, s.user, s.password):
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	case ctx.Path != "/cam":
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, s.stream, nil
}

func (s *foreign) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if ctx.Session.State() == gortsplib.ServerSessionStatePreRecord {
		return &base.Response{StatusCode: base.StatusOK}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, s.stream, nil
}

func (s *foreign) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnResponse begins to play the film with the answer to PLAY.
func (s *foreign) OnResponse(_ *gortsplib.ServerConn, res *base.Response) {
	if _, ok := res.Header["RTP-Info"]; !ok {
		return
	}
	s.playing.Go(func() {
		s.film.send(func(wire []byte) {
			for channel, b := range rtp.Datagrams(wire) {
				m := s.desc.Medias[channel/2]
				if channel%2 == 1 {
					reports, err := pionrtcp.Unmarshal(b)
					require.NoError(s.t, err)
					for _, r := range reports {
						_ = s.stream.WritePacketRTCP(m, r)
					}
					continue
				}
				p := new(pionrtp.Packet)
				require.NoError(s.t, p.Unmarshal(b))
				_ = s.stream.WritePacketRTP(m, p)
			}
		})
	})
}

func (s *foreign) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	if s.user != "" && !ctx.Conn.VerifyCredentials(ctx.Request, s.user, s.password) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
	}
	s.mu.Lock()
	s.announced = ctx.Description
	s.mu.Unlock()
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (s *foreign) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	medias := ctx.Session.AnnouncedDescription().Medias
	decode := make([]func(*pionrtp.Packet) [][]byte, len(medias))
	for i, m := range medias {
		decode[i] = decoder(s.t, m.Formats[0])
	}
	ctx.Session.OnPacketRTPAny(func(m *description.Media, _ format.Format, p *pionrtp.Packet) {
		i := slices.Index(medias, m)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.units[i] = append(s.units[i], decode[i](p)...)
	})
	ctx.Session.OnPacketRTCPAny(func(m *description.Media, p pionrtcp.Packet) {
		if _, ok := p.(*pionrtcp.SenderReport); ok {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reports[slices.Index(medias, m)]++
		}
	})
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (s *foreign) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.announced != nil {
		close(s.ended)
		s.announced = nil
	}
}

func (s *foreign) OnPacketsLost(ctx *gortsplib.ServerHandlerOnPacketsLostCtx) {
	s.t.Errorf("%d packets lost", ctx.Lost)
}

// decoder returns what makes NAL units or frames of packets.
func decoder(t testing.TB, f format.Format) func(*pionrtp.Packet) [][]byte {
	switch f := f.(type) {
	case *format.H264:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte {
			nalus, _ := d.Decode(p)
			return slices.DeleteFunc(slices.Clone(nalus), func(n []byte) bool { return n[0]&31 == 7 || n[0]&31 == 8 })
		}
	case *format.H265:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte {
			nalus, _ := d.Decode(p)
			return slices.DeleteFunc(slices.Clone(nalus), func(n []byte) bool { return n[0]>>1 >= 32 && n[0]>>1 <= 34 })
		}
	case *format.MPEG4Audio:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte { frames, _ := d.Decode(p); return slices.Clone(frames) }
	case *format.Opus:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte { frame, _ := d.Decode(p); return [][]byte{frame} }
	case *format.G711, *format.Generic:
		return func(p *pionrtp.Packet) [][]byte { return [][]byte{p.Payload} }
	}
	t.Errorf("no decoder of %T", f)
	return nil
}

// readSome reads n frames.
func readSome(t testing.TB, r source.Reader, n int) []*codec.Frame {
	t.Helper()
	var fs []*codec.Frame
	for len(fs) < n {
		f, err := r.ReadFrame(soon(t))
		require.NoError(t, err)
		fs = append(fs, f)
	}
	return fs
}

// tunnelled calls f again if it fails by HTTP: gortsplib's server answers the GET
// before it knows it for its own, and may not find it when the POST comes.
func tunnelled[T any](transport Transport, f func() (T, error)) (T, error) {
	v, err := f()
	for n := 0; n < 5 && transport == TransportHTTP && errors.Is(err, io.ErrUnexpectedEOF); n++ {
		v, err = f()
	}
	return v, err
}

// Another implementation's server can be played, by every transport that it has.
func TestClientPlaysForeign(t *testing.T) {
	for transport, bFrames := range map[Transport]int{TransportAuto: 0, TransportTCP: 2, TransportUDP: 0, TransportHTTP: 2} {
		t.Run(transport.String(), func(t *testing.T) {
			// By UDP, audio may come before the picture that it belongs to, and so
			// before the beginning is known.
			st := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: bFrames, Bitrate: 500_000, GOP: time.Second}
			film := filming(t, st, 2*time.Second).withoutReports()
			s := &foreign{}
			s.start(t, film)
			c := &Client{Transport: transport, Logger: testLog(t)}
			r, err := tunnelled(transport, func() (source.Reader, error) { return c.Open(soon(t), s.url) })
			require.NoError(t, err)
			requireSame(t, film.frames, readSome(t, r, len(film.frames)))
			require.NoError(t, r.Close())
			require.Zero(t, c.ports.Open())
		})
	}
}

// Every login of another implementation's server is answered, in playing and in
// publishing.
func TestClientLogsIn(t *testing.T) {
	film := filming(t, camStream, time.Second)
	for name, methods := range map[string][]auth.VerifyMethod{
		"basic":  {auth.VerifyMethodBasic},
		"md5":    {auth.VerifyMethodDigestMD5},
		"sha256": {auth.VerifyMethodDigestSHA256},
		"any":    {auth.VerifyMethodBasic, auth.VerifyMethodDigestMD5, auth.VerifyMethodDigestSHA256},
	} {
		t.Run(name, func(t *testing.T) {
			s := &foreign{user: "u", password: "p"}
			s.AuthMethods = methods
			s.start(t, film)
			c := &Client{Transport: TransportTCP}
			r, err := c.Open(soon(t), s.url)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			w, err := c.Create(soon(t), s.url, camStream.Tracks())
			require.NoError(t, err)
			require.NoError(t, w.Close())

			for _, user := range []string{"u:wrong@", "wrong:p@", ""} {
				url := strings.Replace(s.url, "u:p@", user, 1)
				_, err = c.Open(soon(t), url)
				require.ErrorIs(t, err, source.ErrUnauthorized)
				_, err = c.Create(soon(t), url, camStream.Tracks())
				require.ErrorIs(t, err, source.ErrUnauthorized)
			}
		})
	}
}

// Another implementation's server takes in what is published, and finds in it
// what was written.
func TestClientPublishesForeign(t *testing.T) {
	for _, st := range []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Bitrate: 500_000, GOP: 500 * time.Millisecond},
		{Video: codec.H265, Audio: codec.Opus, Bitrate: 500_000, GOP: 500 * time.Millisecond},
		{Video: codec.H264, Audio: codec.PCMA, Bitrate: 16_000_000, GOP: 500 * time.Millisecond},
	} {
		for _, transport := range []Transport{TransportAuto, TransportTCP, TransportUDP, TransportHTTP} {
			t.Run(st.Video.String()+" "+st.Audio.String()+" "+transport.String(), func(t *testing.T) {
				s := &foreign{}
				s.UDPReadBufferSize = 200_000
				s.start(t, filming(t, camStream, time.Second))
				c := &Client{Transport: transport, Logger: testLog(t)}
				w, err := tunnelled(transport, func() (source.Writer, error) { return c.Create(soon(t), s.url, st.Tracks()) })
				require.NoError(t, err)
				want := map[int][][]byte{}
				for _, f := range st.Take(time.Second) {
					require.NoError(t, w.WriteFrame(soon(t), f))
					media := 1
					if f.Track.Kind() == codec.KindVideo {
						media = 0
						want[0] = slices.AppendSeq(want[0], f.NALUs())
					} else {
						want[1] = append(want[1], f.Data)
					}
					require.Eventually(t, func() bool { // datagrams know no flow control
						s.mu.Lock()
						defer s.mu.Unlock()
						return len(s.units[media]) >= len(want[media])
					}, 20*time.Second, 100*time.Microsecond)
				}
				require.NoError(t, w.Close())
				<-s.ended
				require.Zero(t, c.ports.Open())
				for media := range want {
					require.Equal(t, want[media], s.units[media])
					require.Equal(t, 1, s.reports[media], "a sender report at once, and not too often")
				}
				require.ErrorIs(t, w.WriteFrame(soon(t), st.Take(time.Millisecond)[0]), source.ErrClosed)
				require.NoError(t, w.Close())
			})
		}
	}
}

// TLS, in both directions.
func TestClientForeignTLS(t *testing.T) {
	server, client := testTLS(t)
	film := filming(t, camStream, time.Second)
	for _, transport := range []Transport{TransportAuto, TransportTCP, TransportHTTP} {
		s := &foreign{tls: server}
		s.start(t, film)
		c := &Client{Transport: transport, TLSConfig: client}
		r, err := tunnelled(transport, func() (source.Reader, error) { return c.Open(soon(t), s.url) })
		require.NoError(t, err)
		requireSame(t, film.frames, readSome(t, r, len(film.frames)))
		require.NoError(t, r.Close())
		w, err := tunnelled(transport, func() (source.Writer, error) { return c.Create(soon(t), s.url, camStream.Tracks()) })
		require.NoError(t, err)
		require.NoError(t, w.WriteFrame(soon(t), film.frames[0]))
		require.NoError(t, w.Close())
		<-s.ended

		_, err = (&Client{Transport: transport}).Open(soon(t), s.url)
		require.ErrorContains(t, err, "certificate")
	}
}
