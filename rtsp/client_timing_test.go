package rtsp

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

const memURL = "rtsp://u:p@127.0.0.1/cam"

// hang makes a camera say nothing when it is asked for one of the methods.
func hang(methods ...string) func(*cameraConn, *wire.Request) bool {
	return func(c *cameraConn, req *wire.Request) bool {
		for _, m := range methods {
			if m == req.Method {
				return true
			}
		}
		return false
	}
}

// Every step has an end.
func TestClientStepTimeouts(t *testing.T) {
	film := filming(t, camStream, time.Second)
	for _, c := range []struct {
		method  string
		timeout time.Duration
		after   time.Duration
		create  bool
	}{
		{wire.MethodOptions, 0, 10 * time.Second, false},
		{wire.MethodDescribe, 0, 20 * time.Second, false},
		{wire.MethodSetup, 0, 10 * time.Second, false},
		{wire.MethodPlay, 0, 10 * time.Second, false},
		{wire.MethodDescribe, time.Second, time.Second, false},
		{wire.MethodAnnounce, 0, 10 * time.Second, true},
		{wire.MethodSetup, 0, 10 * time.Second, true},
		{wire.MethodRecord, time.Minute, time.Minute, true},
	} {
		t.Run(fmt.Sprint(c.method, c.timeout, c.create), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cam := camera{sdp: film.sdp, answer: hang(c.method, wire.MethodTeardown)}
				client := &Client{Transport: TransportTCP, Timeout: c.timeout, Dial: cam.dial}
				began := time.Now()
				var err error
				if c.create {
					_, err = client.Create(t.Context(), memURL, camStream.Tracks())
				} else {
					_, err = client.Open(t.Context(), memURL)
				}
				require.ErrorIs(t, err, source.ErrTimeout)
				require.InDelta(t, c.after, time.Since(began), float64(farewell), "and the goodbye at most")

				if c.create {
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				began = time.Now()
				_, err = client.Open(ctx, memURL)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.LessOrEqual(t, time.Since(began), 100*time.Millisecond+farewell)
			})
		})
	}
}

// A server that falls silent is noticed, one that was never heard, too; a film at
// its end is no silence.
func TestClientSilence(t *testing.T) {
	film := filming(t, camStream, time.Second)
	for name, c := range map[string]struct {
		frames  int
		timeout time.Duration
		after   time.Duration
		film    bool
	}{
		"from the beginning": {0, 0, 5 * time.Second, false},
		"after some frames":  {10, 0, 5 * time.Second, false},
		"patience":           {10, time.Minute, time.Minute, false},
		"the end of a film":  {len(film.frames), 0, 5 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cam := camera{sdp: film.sdp, played: func(cc *cameraConn) {
					for _, w := range film.wires[:c.frames] {
						cc.raw(w)
					}
					cc.untilClosed()
				}}
				if c.film {
					cam.sdp = strings.Replace(cam.sdp, "npt=now-", "npt=0-1", 1)
				}
				r, err := (&Client{Transport: TransportTCP, ReadTimeout: c.timeout, Dial: cam.dial}).Open(t.Context(), memURL)
				require.NoError(t, err)
				defer r.Close()
				began := time.Now()
				if c.film {
					require.Len(t, readAll(t, r), c.frames)
					return
				}
				readSome(t, r, c.frames)
				_, err = r.ReadFrame(t.Context())
				require.ErrorIs(t, err, source.ErrTimeout)
				require.Equal(t, c.after, time.Since(began))
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		cam := camera{sdp: film.sdp, played: (*cameraConn).untilClosed}
		r, err := (&Client{Transport: TransportTCP, ReadTimeout: -1, Dial: cam.dial}).Open(t.Context(), memURL)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = r.ReadFrame(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, r.Close())
	})
}

// A viewer who does not read for an hour has not lost the server, which still
// hears from him.
func TestClientSlowReader(t *testing.T) {
	film := filming(t, camStream, 20*time.Second)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		heard := 0
		cam := camera{sdp: film.sdp, played: func(c *cameraConn) {
			gone := c.listen(func(wire.Item) {
				mu.Lock()
				heard++
				mu.Unlock()
			})
			film.send(c.raw)
			c.raw(film.bye())
			<-gone
		}}
		r, err := (&Client{Transport: TransportTCP, MaxBuffer: 100_000, Dial: cam.dial}).Open(t.Context(), memURL)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		mu.Lock()
		require.Greater(t, heard, 60)
		mu.Unlock()
		requireSame(t, film.frames, readAll(t, r))
		require.NoError(t, r.Close())
	})
}

// The session is kept alive by requests and reports in turns.
func TestClientKeepAlive(t *testing.T) {
	film := filming(t, testmedia.Stream{Video: codec.H264, Audio: codec.PCMA, Bitrate: 100_000, GOP: time.Second}, 61*time.Second)
	for name, c := range map[string]struct {
		public  string
		session string
		want    string
		every   time.Duration
	}{
		"GET_PARAMETER": {"OPTIONS, GET_PARAMETER", "1", "GET_PARAMETER", 5 * time.Second},
		"OPTIONS":       {"OPTIONS, PLAY", "1;timeout=60", "OPTIONS", 5 * time.Second},
		"hasty server":  {"GET_PARAMETER", "1;timeout=6", "GET_PARAMETER", 2 * time.Second},
		"absurd server": {"GET_PARAMETER", "1; timeout = 1 ", "GET_PARAMETER", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var seen []string
				cam := camera{sdp: film.sdp, public: c.public, session: c.session}
				cam.played = func(cc *cameraConn) {
					began := time.Now()
					gone := cc.listen(func(item wire.Item) {
						what := "report"
						if req, ok := item.(*wire.Request); ok {
							what = req.Method
							require.Equal(t, "1", req.Header.Get("Session"))
						}
						mu.Lock()
						seen = append(seen, fmt.Sprint(time.Since(began).Round(time.Second), " ", what))
						mu.Unlock()
					})
					for i, w := range film.wires {
						time.Sleep(time.Until(began.Add(film.frames[i].DTS)))
						cc.raw(w)
					}
					cc.raw(film.bye())
					<-gone
				}
				r, err := (&Client{Transport: TransportTCP, Dial: cam.dial}).Open(t.Context(), memURL)
				require.NoError(t, err)
				requireSame(t, film.frames, readAll(t, r))
				require.NoError(t, r.Close())
				var want []string
				for n, at := 0, c.every; at < 61*time.Second; at += c.every {
					if n%2 == 0 {
						want = append(want, fmt.Sprint(at, " report"), fmt.Sprint(at, " report"))
					} else {
						want = append(want, fmt.Sprint(at, " ", c.want))
					}
					n++
				}
				mu.Lock()
				defer mu.Unlock()
				require.Equal(t, want, seen[:min(len(seen), len(want))])
				require.Equal(t, "1m1s TEARDOWN", seen[len(seen)-1])
			})
		})
	}
}

// A server that wants another login for what keeps the session alive gets it,
// once.
func TestClientKeepAliveLogin(t *testing.T) {
	film := filming(t, camStream, time.Second)
	synctest.Test(t, func(t *testing.T) {
		var logins []string
		cam := camera{sdp: film.sdp, public: "GET_PARAMETER"}
		cam.played = func(c *cameraConn) {
			for n := 1; ; {
				item, err := c.in.Next()
				if err != nil {
					return
				}
				switch req, _ := item.(*wire.Request); {
				case req == nil:
				case req.Method == wire.MethodTeardown:
					c.reply(req, "200 OK", "", "")
				default:
					logins = append(logins, nonceOf(req))
					c.reply(req, "401 Unauthorized", fmt.Sprintf("WWW-Authenticate: Digest realm=\"r\", nonce=\"n%d\"\n", n), "")
					n++
				}
			}
		}
		r, err := (&Client{Transport: TransportTCP, ReadTimeout: -1, Dial: cam.dial}).Open(t.Context(), memURL)
		require.NoError(t, err)
		time.Sleep(16 * time.Second) // no packet came, so there is nothing to report
		require.NoError(t, r.Close())
		require.Equal(t, []string{"", "n1", "n2", "n3", "n4", "n5"}, logins)
	})
}

// nonceOf returns the nonce for which req authorizes itself.
func nonceOf(req *wire.Request) string {
	_, rest, _ := strings.Cut(req.Header.Get("Authorization"), `nonce="`)
	nonce, _, _ := strings.Cut(rest, `"`)
	return nonce
}

// A server that takes nothing any more is given up.
func TestClientWriterStall(t *testing.T) {
	for _, ctxFor := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			over := make(chan struct{})
			defer close(over)
			cam := camera{}
			cam.answer = func(c *cameraConn, req *wire.Request) bool {
				if req.Method != wire.MethodRecord {
					return false
				}
				c.reply(req, "200 OK", "", "")
				<-over // nothing is read
				return true
			}
			w, err := (&Client{Transport: TransportTCP, Dial: cam.dial}).Create(t.Context(), memURL, camStream.Tracks())
			require.NoError(t, err)
			ctx, after := t.Context(), 10*time.Second
			if ctxFor > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, ctxFor)
				defer cancel()
				after = ctxFor
			}
			began := time.Now()
			for _, f := range camStream.Take(10 * time.Second) {
				if err = w.WriteFrame(ctx, f); err != nil {
					break
				}
			}
			if ctxFor > 0 {
				require.ErrorIs(t, err, context.DeadlineExceeded)
			} else {
				require.ErrorIs(t, err, source.ErrTimeout)
			}
			require.InDelta(t, after, time.Since(began), float64(farewell))
			require.Equal(t, err, w.WriteFrame(t.Context(), camStream.Take(time.Millisecond)[0]))
			require.Equal(t, err, w.Close())
			require.NoError(t, w.Close())
		})
	}
}

// What the server says while it is published to.
func TestClientWriterHears(t *testing.T) {
	for name, say := range map[string]string{
		"TEARDOWN":        "TEARDOWN rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"PAUSE":           "PAUSE rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"the end":         "",
		"garbage, though": strings.Repeat("x", 2*maxGarbage),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan struct{})
				defer close(over)
				cam := camera{}
				cam.answer = func(c *cameraConn, req *wire.Request) bool {
					if req.Method != wire.MethodRecord {
						return false
					}
					c.reply(req, "200 OK", "", "")
					c.raw([]byte("$\x01\x00\x08\x80\xc9\x00\x01\x00\x00\x00\x01" + "OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n" + say))
					select {
					case <-time.After(time.Second):
					case <-over:
					}
					c.nc.Close()
					return true
				}
				w, err := (&Client{Transport: TransportTCP, Dial: cam.dial}).Create(t.Context(), memURL, camStream.Tracks())
				require.NoError(t, err)
				for _, f := range camStream.Take(10 * time.Second) {
					if err = w.WriteFrame(t.Context(), f); err != nil {
						break
					}
					time.Sleep(20 * time.Millisecond)
				}
				require.Error(t, err)
				require.NotErrorIs(t, err, io.EOF)
				if name != "garbage, though" {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				}
				require.Equal(t, err, w.Close())
			})
		})
	}
}

// A server that wants other channels than ours gets them.
func TestClientWriterChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		channels := map[uint8]int{}
		gone := make(chan struct{})
		cam := camera{}
		cam.answer = func(c *cameraConn, req *wire.Request) bool {
			switch req.Method {
			case wire.MethodSetup:
				numbers := map[bool]string{true: "200-201", false: "7-9"}[strings.HasSuffix(req.URL, "0")]
				c.reply(req, "200 OK", "Session: 1\nTransport: RTP/AVP/TCP;unicast;interleaved="+numbers+";mode=record\n", "")
				return true
			case wire.MethodRecord:
				c.reply(req, "200 OK", "", "")
				<-c.listen(func(item wire.Item) {
					if p, ok := item.(*wire.Interleaved); ok {
						channels[p.Channel]++
					}
				})
				close(gone)
				return true
			}
			return false
		}
		w, err := (&Client{Transport: TransportTCP, Dial: cam.dial}).Create(t.Context(), memURL, camStream.Tracks())
		require.NoError(t, err)
		for _, f := range camStream.Take(time.Second) {
			require.NoError(t, w.WriteFrame(t.Context(), f))
		}
		require.NoError(t, w.Close())
		<-gone
		require.Len(t, channels, 4)
		require.Equal(t, 1, channels[201])
		require.Equal(t, 1, channels[9])
		require.Equal(t, 50, channels[7])
		require.GreaterOrEqual(t, channels[200], 25)
	})
}

// Tracks that cannot be sent, or come too late, are left out; one that becomes
// another is an error.
func TestClientWriterTracks(t *testing.T) {
	film := filming(t, camStream, time.Second)
	cannot := &codec.Track{ID: 5, Codec: codec.G722, Wire: "flv", Name: "x"}
	cam := camera{sdp: film.sdp}
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Transport: TransportTCP, Dial: cam.dial, Logger: testLog(t)}
		_, err := c.Create(t.Context(), memURL, []*codec.Track{cannot})
		require.ErrorIs(t, err, source.ErrUnsupported)
		_, err = c.Create(t.Context(), memURL, nil)
		require.ErrorIs(t, err, source.ErrUnsupported)
		_, err = (&Client{Transport: TransportMulticast, Dial: cam.dial}).Create(t.Context(), memURL, camStream.Tracks())
		require.ErrorIs(t, err, source.ErrUnsupported)

		tracks := camStream.Tracks()
		w, err := c.Create(t.Context(), memURL, append(tracks[:1:1], cannot))
		require.NoError(t, err)
		for _, f := range film.frames { // with audio that was not announced
			require.NoError(t, w.WriteFrame(t.Context(), f))
		}
		require.NoError(t, w.WriteFrame(t.Context(), &codec.Frame{Track: cannot, Data: []byte{1}}))
		other := &codec.Frame{Track: testmedia.Track(testmedia.VideoID, codec.H265), DTS: time.Second, PTS: time.Second, Data: []byte{0, 0, 0, 1, 2}}
		err = w.WriteFrame(t.Context(), other)
		require.ErrorContains(t, err, "not what was announced")
		require.NotErrorIs(t, err, io.EOF)
		require.Equal(t, err, w.Close())
	})
}
