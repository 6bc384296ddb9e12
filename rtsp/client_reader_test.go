package rtsp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// show makes c send f and say goodbye.
func (f *filmed) show(c *cameraConn) {
	f.send(c.raw)
	c.raw(f.bye())
	c.untilClosed()
}

// Cameras that do one thing in another way than the specification has it.
func TestClientOddCameras(t *testing.T) {
	film := filming(t, camStream, 2*time.Second)
	for name, make := range map[string]func() camera{
		"by the book":       func() camera { return camera{public: "OPTIONS, GET_PARAMETER"} },
		"no Content-Base":   func() camera { return camera{base: "-"} },
		"Content-Base path": func() camera { return camera{base: "/other/path/"} },
		"absolute controls": func() camera {
			return camera{sdp: strings.NewReplacer("a=control:trackID=", "a=control:rtsp://10.1.2.3:8554/x/trackID=").Replace(film.sdp)}
		},
		"an absolute control of the whole": func() camera {
			return camera{sdp: strings.Replace(film.sdp, "a=control:*", "a=control:rtsp://10.1.2.3/whole/", 1), answer: func(c *cameraConn, req *wire.Request) bool {
				want := map[string]string{wire.MethodSetup: "rtsp://10.1.2.3/whole/trackID=", wire.MethodPlay: "rtsp://10.1.2.3/whole/"}
				if strings.HasPrefix(req.URL, want[req.Method]) {
					return false
				}
				c.reply(req, "404 Not Found", "", "")
				return true
			}}
		},
		"channels of its own": func() camera {
			return camera{answer: func(c *cameraConn, req *wire.Request) bool {
				if req.Method != wire.MethodSetup {
					return false
				}
				channels := map[bool]string{true: "200-201", false: "7"}[strings.HasSuffix(req.URL, "0")]
				c.reply(req, "200 OK", "Session: 1\nTransport: RTP/AVP/TCP;unicast;interleaved="+channels+"\n", "")
				return true
			}, played: func(c *cameraConn) {
				film.send(func(b []byte) { c.raw(relabelled(b, 200, 201, 7, 8)) })
				c.raw(relabelled(film.bye(), 200, 201, 7, 8))
				c.untilClosed()
			}}
		},
		"interleaved, and UDP by name": func() camera {
			return camera{answer: func(c *cameraConn, req *wire.Request) bool {
				if req.Method != wire.MethodSetup {
					return false
				}
				c.reply(req, "200 OK", "Session: 1\nTransport: "+strings.Replace(req.Header.Get("Transport"), "RTP/AVP/TCP", "RTP/AVP", 1)+"\n", "")
				return true
			}}
		},
		"extra headers":             func() camera { return camera{headers: "Server: x\nX-Odd:\n: nameless\nnot a header\n"} },
		"no Transport in answers":   func() camera { return camera{transport: "-"} },
		"a Transport without sense": func() camera { return camera{transport: "RTP/AVP/TCP;interleaved=x-y"} },
		"options refused": func() camera {
			return camera{answer: func(c *cameraConn, req *wire.Request) bool {
				if req.Method != wire.MethodOptions {
					return false
				}
				c.reply(req, "405 Method Not Allowed", "", "")
				return true
			}}
		},
		"no CSeq in answers": func() camera {
			return camera{answer: func(c *cameraConn, req *wire.Request) bool {
				req.Header.Del("CSeq")
				return false
			}}
		},
		"answers nobody asked for": func() camera {
			return camera{answer: func(c *cameraConn, req *wire.Request) bool {
				c.raw([]byte("RTSP/1.0 200 OK\r\nCSeq: 99999\r\n\r\nRTSP/1.0 404 Not Found\r\nCSeq: 88888\r\n\r\n"))
				return false
			}}
		},
		"requests in between": func() camera {
			return camera{answer: func(c *cameraConn, req *wire.Request) bool {
				c.raw([]byte("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\nDANCE * RTSP/1.0\r\nCSeq: 2\r\n\r\n"))
				return false
			}}
		},
		"another version": func() camera {
			return camera{answer: func(c *cameraConn, req *wire.Request) bool {
				if req.Method != wire.MethodOptions {
					return false
				}
				c.raw([]byte("RTSP/2.0 200 OK\r\nCSeq: " + req.Header.Get("CSeq") + "\r\n\r\n"))
				return true
			}}
		},
		"media before the answer to PLAY": func() camera {
			return camera{answer: func(c *cameraConn, req *wire.Request) bool {
				if req.Method == wire.MethodPlay {
					for _, w := range film.wires[:5] {
						c.raw(w)
					}
				}
				return false
			}, played: func(c *cameraConn) {
				for _, w := range film.wires[5:] {
					c.raw(w)
				}
				c.raw(film.bye())
				c.untilClosed()
			}}
		},
		"garbage between packets": func() camera {
			return camera{played: func(c *cameraConn) {
				r := rand.New(rand.NewPCG(1, 2))
				film.send(func(b []byte) {
					garbage := bytes.Repeat([]byte{0xff}, r.IntN(2000)) // '$' within it could look like a packet
					c.raw(append(garbage, b...))
				})
				c.raw(film.bye())
				c.untilClosed()
			}}
		},
		"packets on channels nobody set up": func() camera {
			return camera{played: func(c *cameraConn) {
				film.send(func(b []byte) { c.raw(append([]byte{'$', 40, 0, 5, 1, 2, 3, 4, 5}, b...)) })
				c.raw(film.bye())
				c.untilClosed()
			}}
		},
		"a byte at a time": func() camera {
			return camera{played: func(c *cameraConn) {
				film.send(func(b []byte) {
					for i := range b[:min(len(b), 20)] {
						c.raw(b[i : i+1])
					}
					c.raw(b[min(len(b), 20):])
				})
				c.raw(film.bye())
				c.untilClosed()
			}}
		},
		"metadata that cannot be had": func() camera {
			return camera{
				sdp: film.sdp + "m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\na=control:meta\n",
				answer: func(c *cameraConn, req *wire.Request) bool {
					if req.Method != wire.MethodSetup || !strings.HasSuffix(req.URL, "/meta") {
						return false
					}
					c.reply(req, "500 Internal Server Error", "", "")
					return true
				},
			}
		},
		"a back channel": func() camera {
			return camera{
				sdp: film.sdp + "m=audio 0 RTP/AVP 0\na=control:back\na=sendonly\n",
				answer: func(c *cameraConn, req *wire.Request) bool {
					if strings.HasSuffix(req.URL, "/back") {
						c.reply(req, "551 Option Not Supported", "", "")
						return true
					}
					return false
				},
			}
		},
		"TEARDOWN at the end": func() camera {
			return camera{played: func(c *cameraConn) {
				film.send(c.raw)
				c.raw([]byte("TEARDOWN rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"))
				c.untilClosed()
			}}
		},
		"a notice at the end": func() camera {
			return camera{played: func(c *cameraConn) {
				film.send(c.raw)
				c.raw([]byte("ANNOUNCE rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\nX-Notice: 2101 \"End-of-Stream Reached\"\r\n\r\n"))
				c.untilClosed()
			}}
		},
		"a film that just ends": func() camera {
			return camera{
				sdp:    strings.Replace(film.sdp, "npt=now-", "npt=0-2.000", 1),
				played: func(c *cameraConn) { film.send(c.raw) },
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := make()
			if c.sdp == "" {
				c.sdp = film.sdp
			}
			if c.played == nil {
				c.played = film.show
			}
			r, err := (&Client{Transport: TransportTCP, Logger: testLog(t)}).Open(soon(t), c.start(t))
			require.NoError(t, err)
			defer r.Close()
			requireSame(t, film.frames, readAll(t, r))
		})
	}
}

// relabelled returns packets with other channels instead of 0, 1, 2 and so on.
func relabelled(b []byte, channels ...byte) []byte {
	b = bytes.Clone(b)
	for p := b; len(p) > 0; p = p[4+int(p[2])<<8+int(p[3]):] {
		p[1] = channels[p[1]]
	}
	return b
}

// A server that sends us elsewhere in the middle, and one that is not there.
func TestClientElsewhere(t *testing.T) {
	film := filming(t, camStream, time.Second)
	c := camera{sdp: film.sdp, played: func(c *cameraConn) {
		film.send(c.raw)
		c.raw([]byte("REDIRECT rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://y/\r\n\r\n"))
		c.untilClosed()
	}}
	r, err := (&Client{Transport: TransportTCP}).Open(soon(t), c.start(t))
	require.NoError(t, err)
	readSome(t, r, len(film.frames))
	_, err = r.ReadFrame(soon(t))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, r.Close())

	failing := &Client{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }}
	for _, failing.Transport = range []Transport{TransportAuto, TransportTCP, TransportHTTP} {
		_, err = failing.Open(soon(t), memURL)
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = failing.Create(soon(t), memURL, camStream.Tracks())
		require.ErrorIs(t, err, net.ErrClosed)
	}
}

// A camera that sends another payload type than it says: it is believed what it
// does, after some packets.
func TestClientWrongPayloadType(t *testing.T) {
	film := filming(t, camStream, 5*time.Second)
	c := camera{sdp: film.sdp, played: func(c *cameraConn) {
		film.send(func(b []byte) {
			b = bytes.Clone(b)
			for p := b; len(p) > 0; p = p[4+int(p[2])<<8+int(p[3]):] {
				if p[1]%2 == 0 && p[5]&0x7f == 96 {
					p[5] += 5
				}
			}
			c.raw(b)
		})
		c.raw(film.bye())
		c.untilClosed()
	}}
	r, err := (&Client{Transport: TransportTCP}).Open(soon(t), c.start(t))
	require.NoError(t, err)
	defer r.Close()
	got := ofKind(readAll(t, r), codec.KindVideo)
	want := ofKind(film.frames, codec.KindVideo)
	require.Greater(t, len(got), len(want)/2)
	require.Equal(t, want[len(want)-1].Data, got[len(got)-1].Data)
}

// Everything that a server can refuse, at every step.
func TestClientRefusals(t *testing.T) {
	film := filming(t, camStream, time.Second)
	for _, c := range []struct {
		status string
		err    error
	}{
		{"401 Unauthorized", source.ErrUnauthorized},
		{"403 Forbidden", source.ErrForbidden},
		{"404 Stream Not Found", source.ErrNotFound},
		{"453 Not Enough Bandwidth", source.ErrLimit},
		{"455 Method Not Valid in This State", nil},
		{"500 Internal Server Error", nil},
	} {
		for _, method := range []string{wire.MethodDescribe, wire.MethodSetup, wire.MethodPlay} {
			t.Run(c.status+" "+method, func(t *testing.T) {
				cam := camera{sdp: film.sdp, answer: func(cc *cameraConn, req *wire.Request) bool {
					if req.Method != method {
						return false
					}
					cc.reply(req, c.status, "", "")
					return true
				}}
				_, err := (&Client{Transport: TransportTCP}).Open(soon(t), cam.start(t))
				var status *StatusError
				require.ErrorAs(t, err, &status)
				require.Equal(t, c.status, fmt.Sprint(status.Status, " ", status.Reason))
				if c.err != nil {
					require.ErrorIs(t, err, c.err)
				}
				require.NotContains(t, err.Error(), "pa:ss")
			})
		}
	}
}

// What cannot be played fails, and soon.
func TestClientNonsense(t *testing.T) {
	for name, c := range map[string]camera{
		"no description":        {sdp: ""},
		"a description of none": {sdp: "v=0\n"},
		"a web server": {answer: func(c *cameraConn, _ *wire.Request) bool {
			c.raw([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
			c.nc.Close()
			return true
		}},
		"silence, then nothing": {answer: func(c *cameraConn, _ *wire.Request) bool {
			c.nc.Close()
			return true
		}},
		"a giant header": {answer: func(c *cameraConn, _ *wire.Request) bool {
			c.raw([]byte("RTSP/1.0 200 OK\r\nX: " + strings.Repeat("x", 1<<20)))
			return true
		}},
		"a giant body": {answer: func(c *cameraConn, _ *wire.Request) bool {
			c.raw([]byte("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n"))
			return true
		}},
		"packets without end": {answer: func(c *cameraConn, _ *wire.Request) bool {
			c.raw(bytes.Repeat([]byte("$\x05\x00\x00"), maxUnwanted+1))
			return true
		}},
		"garbage without end": {answer: func(c *cameraConn, _ *wire.Request) bool {
			c.raw(bytes.Repeat([]byte("garbage "), maxGarbage/4))
			return true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := (&Client{Transport: TransportTCP}).Open(soon(t), c.start(t))
			require.Error(t, err)
			require.NotErrorIs(t, err, source.ErrTimeout)
			require.NotErrorIs(t, err, io.EOF)
		})
	}
}

// A server that ends the connection in the middle is no graceful end.
func TestClientLost(t *testing.T) {
	film := filming(t, camStream, time.Second)
	c := camera{sdp: film.sdp, played: func(c *cameraConn) { film.send(c.raw) }}
	r, err := (&Client{Transport: TransportTCP}).Open(soon(t), c.start(t))
	require.NoError(t, err)
	defer r.Close()
	n := 0
	for {
		_, err = r.ReadFrame(soon(t))
		if err != nil {
			break
		}
		n++
	}
	require.Equal(t, len(film.frames), n)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = r.ReadFrame(soon(t))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "it stays")
}

func TestClientRedirect(t *testing.T) {
	film := filming(t, camStream, time.Second)
	there := camera{sdp: film.sdp, played: film.show}
	url := there.start(t)
	for _, method := range []string{wire.MethodOptions, wire.MethodDescribe, wire.MethodSetup} {
		here := camera{sdp: film.sdp, answer: func(c *cameraConn, req *wire.Request) bool {
			if req.Method != method {
				return false
			}
			c.reply(req, "302 Moved Temporarily", "Location: "+url+"\n", "")
			return true
		}}
		r, err := (&Client{Transport: TransportTCP}).Open(soon(t), here.start(t))
		require.NoError(t, err)
		requireSame(t, film.frames, readAll(t, r))
		require.NoError(t, r.Close())
	}

	loop := camera{answer: func(c *cameraConn, req *wire.Request) bool {
		c.reply(req, "301 Moved Permanently", "Location: "+req.URL+"\n", "")
		return true
	}}
	_, err := Open(soon(t), loop.start(t))
	require.ErrorContains(t, err, "too many redirects")
	nowhere := camera{answer: func(c *cameraConn, req *wire.Request) bool {
		c.reply(req, "301 Moved Permanently", "Location: http://example.com/\n", "")
		return true
	}}
	_, err = Open(soon(t), nowhere.start(t))
	require.ErrorIs(t, err, ErrURL)
}

// Frames that nobody reads are not taken from the network without end.
func TestClientBackPressure(t *testing.T) {
	film := filming(t, camStream, 10*time.Second)
	sent := make(chan struct{})
	c := camera{sdp: film.sdp, played: func(c *cameraConn) {
		film.send(c.raw)
		c.raw(film.bye())
		close(sent)
		c.untilClosed()
	}}
	const most = 50_000
	opened, err := (&Client{Transport: TransportTCP, MaxBuffer: most, ReadTimeout: time.Hour}).Open(soon(t), c.start(t))
	require.NoError(t, err)
	r := opened.(*clientReader)
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		require.Less(t, r.size, most+100_000, "one frame more at most")
		return r.blocked > 0
	}, 20*time.Second, time.Millisecond)
	requireSame(t, film.frames, readAll(t, r))
	<-sent
	require.NoError(t, r.Close())

	// Close wakes what waits for room.
	film2 := camera{sdp: film.sdp, played: film.show}
	opened, err = (&Client{Transport: TransportTCP, MaxBuffer: most}).Open(soon(t), film2.start(t))
	require.NoError(t, err)
	r = opened.(*clientReader)
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.blocked > 0
	}, 20*time.Second, time.Millisecond)
	require.NoError(t, r.Close())
	_, err = r.ReadFrame(soon(t))
	require.ErrorIs(t, err, source.ErrClosed)
	require.NoError(t, r.Close())
}

func TestClientURL(t *testing.T) {
	for _, c := range []struct {
		raw            string
		hostPort, url  string
		user, password string
		secure         bool
	}{
		{"rtsp://host/a", "host:554", "rtsp://host/a", "", "", false},
		{"RTSP://host:8554/a/b?x=1&y=2#z", "host:8554", "rtsp://host:8554/a/b?x=1&y=2#z", "", "", false},
		{"rtsps://host/a", "host:322", "rtsps://host/a", "", "", true},
		{"rtsp://host", "host:554", "rtsp://host", "", "", false},
		{"rtsp://host?x=1", "host:554", "rtsp://host?x=1", "", "", false},
		{"rtsp://[::1]:554/a", "[::1]:554", "rtsp://[::1]:554/a", "", "", false},
		{"rtsp://[fe80::1]/a", "[fe80::1]:554", "rtsp://[fe80::1]/a", "", "", false},
		{"rtsp://u:p@host/a", "host:554", "rtsp://host/a", "u", "p", false},
		{"rtsp://admin:p@ss#1?!@host:554/a@b", "host:554", "rtsp://host:554/a@b", "admin", "p@ss#1?!", false},
		{"rtsp://u%40x:p%2F%3A@host/a", "host:554", "rtsp://host/a", "u@x", "p/:", false},
		{"rtsp://u:100%@host/a", "host:554", "rtsp://host/a", "u", "100%", false},
		{"rtsp://u@host/a", "host:554", "rtsp://host/a", "u", "", false},
		{"rtsp://host/%7e/ä", "host:554", "rtsp://host/%7e/ä", "", "", false},
	} {
		a, err := parseURL(c.raw)
		require.NoError(t, err, c.raw)
		require.Equal(t, c.hostPort, a.hostPort, c.raw)
		require.Equal(t, c.url, a.url, c.raw)
		require.Equal(t, c.user, a.user, c.raw)
		require.Equal(t, c.password, a.password, c.raw)
		require.Equal(t, c.user != "", a.login, c.raw)
		require.Equal(t, c.secure, a.secure, c.raw)
	}
	for _, raw := range []string{
		"", "host/a", "http://host/a", "rtsp:///a", "rtsp://", "rtsp://:554/a", "rtsp://u:p@/a", "rtsp://host:port/a",
		"rtsp://ho st/a", "rtsp://host/a\r\nX: y", "rtsp://secret:secret@[::1/a", "rtsp://host/\x7f",
	} {
		_, err := Open(t.Context(), raw)
		require.ErrorIs(t, err, ErrURL, raw)
		require.ErrorIs(t, err, source.ErrBadKey, raw)
		require.NotContains(t, err.Error(), "secret")
		_, err = Create(t.Context(), raw, nil)
		require.ErrorIs(t, err, ErrURL, raw)
	}
}

func TestRedirected(t *testing.T) {
	for _, c := range []struct {
		from, to string
		login    bool
	}{
		{"rtsp://u:p@host/a", "rtsp://host:8554/b", true},
		{"rtsp://u:p@host/a", "rtsps://HOST/b", true},
		{"rtsp://u:p@host/a", "rtsp://other/b", false},
		{"rtsps://u:p@host/a", "rtsp://host/b", false},
		{"rtsp://host/a", "rtsp://x:y@other/b", true},
	} {
		a, err := parseURL(c.from)
		require.NoError(t, err)
		b, err := a.redirected(c.to)
		require.NoError(t, err)
		require.Equal(t, c.login, b.login, c)
	}
}

func TestControlURL(t *testing.T) {
	for _, c := range [][3]string{
		{"rtsp://h/a", "", "rtsp://h/a"},
		{"rtsp://h/a", "*", "rtsp://h/a"},
		{"rtsp://h/a", "trackID=1", "rtsp://h/a/trackID=1"},
		{"rtsp://h/a/", "trackID=1", "rtsp://h/a/trackID=1"},
		{"rtsp://h/a/", "/trackID=1", "rtsp://h/a/trackID=1"},
		{"rtsp://h/a", "/trackID=1", "rtsp://h/a/trackID=1"},
		{"rtsp://h/a?x=1", "trackID=1", "rtsp://h/a?x=1/trackID=1"},
		{"rtsp://h/a", "?ctype=video", "rtsp://h/a?ctype=video"},
		{"rtsp://h/a", "rtsp://u:p@other/b", "rtsp://other/b"},
		{"rtsp://h/a", "RTSP://other/b", "rtsp://other/b"},
	} {
		require.Equal(t, c[2], controlURL(c[0], c[1]), c)
	}
}

func TestRTPInfo(t *testing.T) {
	infos := parseRTPInfo(`url=rtsp://h/a;b,c/trackID=0;seq=1;rtptime=4294967295, url="trackID=1" ; rtptime = 7,url=x;rtptime=nonsense`)
	require.Len(t, infos, 3)
	require.Equal(t, rtpInfo{url: "trackID=1", timestamp: 7, known: true}, infos[1])
	require.True(t, infos[0].numbered)
	require.Equal(t, uint16(1), infos[0].sequence)
	require.Equal(t, uint32(math.MaxUint32), infos[0].timestamp)
	require.False(t, infos[2].known)
	require.Equal(t, infos[1], infoOf(infos, 0, 2, "rtsp://h/a/trackID=1"))
	require.Equal(t, infos[0], infoOf(infos, 0, 3, "rtsp://h/else"), "in order")
	require.Equal(t, rtpInfo{}, infoOf(infos, 0, 2, "rtsp://h/else"))
	require.Len(t, parseRTPInfo(strings.Repeat("url=x,", 1000)), maxMedias)
	for _, s := range []string{"", ",", ";", "=", "seq=1"} {
		for _, info := range parseRTPInfo(s) {
			require.False(t, info.known)
		}
	}
	require.Equal(t, 12500*time.Millisecond, rangeStart("npt=12.5-"))
	require.Zero(t, rangeStart("npt=now-"))
	require.Zero(t, rangeStart("clock=20260101T000000Z-"))
}

func TestTransportText(t *testing.T) {
	for _, want := range []Transport{TransportAuto, TransportTCP, TransportUDP, TransportHTTP, TransportMulticast} {
		text, err := want.MarshalText()
		require.NoError(t, err)
		got := Transport(99)
		require.NoError(t, got.UnmarshalText(bytes.ToUpper(text)))
		require.Equal(t, want, got)
	}
	got := Transport(99)
	_, err := got.MarshalText()
	require.ErrorIs(t, err, source.ErrUnsupported)
	require.Equal(t, "transport 99", got.String())
	require.ErrorIs(t, got.UnmarshalText([]byte("pigeon")), source.ErrUnsupported)
	require.NoError(t, got.UnmarshalText(nil))
	require.Equal(t, TransportAuto, got)
}
