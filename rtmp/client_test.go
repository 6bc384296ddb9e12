package rtmp

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtmp/internal/handshake"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// withServer runs f in a bubble of virtual time, with a Client whose
// connections are served by script, one after the other.
func withServer(t *testing.T, script func(p *testPeer), f func(t *testing.T, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				serving.Go(func() {
					defer nc.Close()
					if p := acceptPeer(t, nc); p != nil {
						script(p)
					}
				})
			}
		})
		defer serving.Wait()
		defer ln.Close()
		f(t, &Client{Dial: ln.Dial})
	})
}

// acceptPeer does a server's handshake on nc.
func acceptPeer(t testing.TB, nc net.Conn) *testPeer {
	var b [handshake.Reply]byte
	var c1 [handshake.Opening]byte
	if _, err := io.ReadFull(nc, c1[:]); err != nil {
		return nil
	}
	handshake.Answer(b[:], c1[1:])
	if _, err := nc.Write(b[:]); err != nil {
		return nil
	}
	if _, err := io.ReadFull(nc, c1[1:]); err != nil {
		return nil
	}
	return &testPeer{t: t, nc: nc, in: wire.NewReader(nc, make([]byte, 4096), testPeerLimits), size: wire.DefaultChunkSize}
}

// answer answers the peer's commands until it gets the one called name, which
// it returns.
func (p *testPeer) answer(name string) *wire.Command {
	for {
		cmd := p.command()
		if cmd.Name == name {
			return cmd
		}
		switch cmd.Name {
		case "connect", "createStream":
			p.write(wire.AppendCommand(nil, 0, p.size, wire.Command{Name: "_result", ID: cmd.ID, Args: []any{1.0}}))
		}
	}
}

func (p *testPeer) say(level, code, text string) {
	p.write(appendStatus(nil, p.size, level, code, text))
}

// untilClosed reads what the client says to the end.
func (p *testPeer) untilClosed() { _, _ = io.Copy(io.Discard, p.nc) }

const testURL = "rtmp://host/live/cam"

// TestClientCommands holds what a client says.
func TestClientCommands(t *testing.T) {
	said := make(chan *wire.Command, 10)
	script := func(p *testPeer) {
		for {
			m, err := p.in.Next()
			if err != nil {
				return
			}
			if m.Type != wire.TypeCommand {
				continue
			}
			var cmd wire.Command
			require.NoError(t, cmd.Unmarshal(m.Type, m.Body))
			said <- &cmd
			switch cmd.Name {
			case "connect", "createStream":
				p.write(wire.AppendCommand(nil, 0, p.size, wire.Command{Name: "_result", ID: cmd.ID, Args: []any{7.0}}))
			case "publish":
				require.EqualValues(t, 7, m.StreamID)
				p.say(levelStatus, codePublishStart, "")
			case "play":
				require.EqualValues(t, 7, m.StreamID)
				p.say(levelStatus, codePlayReset, "")
				p.say(levelStatus, codePlayStart, "")
				p.say(levelStatus, codePlayStop, "")
			case "deleteStream":
				p.say(levelStatus, codeUnpublishSuccess, "")
			}
		}
	}
	withServer(t, script, func(t *testing.T, c *Client) {
		w, err := c.Create(t.Context(), testURL+"?token=x", nil)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		var names []string
		for range 7 {
			cmd := <-said
			names = append(names, cmd.Name)
			switch cmd.Name {
			case "connect":
				require.Equal(t, "live", amf.Get(cmd.Object, "app"))
				require.Equal(t, "rtmp://host/live", amf.Get(cmd.Object, "tcUrl"))
				require.Equal(t, []any{"av01", "vp09", "hvc1", "vp08", "vvc1", "Opus", "ac-3"}, amf.Get(cmd.Object, "fourCcList"))
			case "publish":
				require.Equal(t, []any{"cam?token=x", "live"}, cmd.Args)
			case "releaseStream", "FCPublish", "FCUnpublish":
				require.Equal(t, []any{"cam?token=x"}, cmd.Args)
			case "deleteStream":
				require.Equal(t, []any{7.0}, cmd.Args)
			}
		}
		require.Equal(t, []string{"connect", "releaseStream", "FCPublish", "createStream", "publish", "FCUnpublish", "deleteStream"}, names)

		r, err := c.Open(t.Context(), testURL+"?token=x")
		require.NoError(t, err)
		_, err = r.ReadFrame(t.Context()) // it ends at once
		require.Equal(t, io.EOF, err)
		require.NoError(t, r.Close())
		names = nil
		for range 3 {
			cmd := <-said
			names = append(names, cmd.Name)
			if cmd.Name == "play" {
				require.Equal(t, []any{"cam?token=x"}, cmd.Args)
			}
		}
		require.Equal(t, []string{"connect", "createStream", "play"}, names)
	})
}

// TestClientRefused: what the server says is in the error.
func TestClientRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(p *testPeer)
		want   *StatusError
	}{
		{"connect", func(p *testPeer) {
			cmd := p.answer("connect")
			p.write(wire.AppendCommand(nil, 0, p.size, wire.Command{Name: "_error", ID: cmd.ID, Args: []any{
				amf.Object{{Name: "level", Value: "error"}, {Name: "code", Value: codeConnectRejected}, {Name: "description", Value: "no"}}}}))
		}, &StatusError{codeConnectRejected, "no"}},
		{"connect, without a word", func(p *testPeer) {
			cmd := p.answer("connect")
			p.write(wire.AppendCommand(nil, 0, p.size, wire.Command{Name: "_error", ID: cmd.ID}))
		}, &StatusError{codeCallFailed, ""}},
		{"createStream", func(p *testPeer) {
			cmd := p.answer("createStream")
			p.write(wire.AppendCommand(nil, 0, p.size, wire.Command{Name: "_error", ID: cmd.ID, Args: []any{
				amf.Object{{Name: "code", Value: "NetStream.Failed"}}}}))
		}, &StatusError{"NetStream.Failed", ""}},
		{"publish", func(p *testPeer) {
			p.answer("publish")
			p.say(levelError, codePublishBadName, "taken")
		}, &StatusError{codePublishBadName, "taken"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			withServer(t, func(p *testPeer) { c.script(p); p.untilClosed() }, func(t *testing.T, client *Client) {
				_, err := client.Create(t.Context(), testURL, nil)
				var refused *StatusError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, c.want, refused)
			})
		})
	}
	withServer(t, func(p *testPeer) {
		p.answer("play")
		p.say(levelStatus, codePlayReset, "")
		p.say(levelError, codePlayNotFound, "")
		p.untilClosed()
	}, func(t *testing.T, c *Client) {
		_, err := c.Open(t.Context(), testURL)
		require.ErrorIs(t, err, source.ErrNotFound)
	})
}

// TestClientTimeout: a server that says nothing, at any step.
func TestClientTimeout(t *testing.T) {
	for name, script := range map[string]func(p *testPeer){
		"connect":      func(p *testPeer) {},
		"createStream": func(p *testPeer) { p.answer("createStream") },
		"publish":      func(p *testPeer) { p.answer("publish") },
		"pings": func(p *testPeer) {
			p.answer("publish")
			for {
				if _, err := p.nc.Write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest})); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			withServer(t, func(p *testPeer) { script(p); p.untilClosed() }, func(t *testing.T, c *Client) {
				began := time.Now()
				_, err := c.Create(t.Context(), testURL, nil)
				require.ErrorIs(t, err, source.ErrTimeout)
				require.Equal(t, 10*time.Second, time.Since(began))

				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began = time.Now()
				_, err = c.Create(ctx, testURL, nil)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, time.Second, time.Since(began))
			})
		})
	}
}

// TestClientServerGone: the server closes the connection, at any step.
func TestClientServerGone(t *testing.T) {
	for _, at := range []string{"connect", "createStream", "play"} {
		withServer(t, func(p *testPeer) { p.answer(at) }, func(t *testing.T, c *Client) {
			_, err := c.Open(t.Context(), testURL)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, at)
		})
	}
	c := &Client{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errTest }}
	_, err := c.Open(t.Context(), testURL)
	require.ErrorIs(t, err, errTest)
	_, err = c.Open(t.Context(), "rtmp://host")
	require.ErrorIs(t, err, ErrURL)
	_, err = c.Create(t.Context(), "http://host/a/b", nil)
	require.ErrorIs(t, err, ErrURL)
}

// TestClientNotRTMP: what answers is no RTMP server.
func TestClientNotRTMP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = nc.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		_, _ = io.Copy(io.Discard, nc)
		_ = nc.Close()
	}()
	_, err = Open(t.Context(), "rtmp://"+ln.Addr().String()+"/live/cam")
	require.ErrorIs(t, err, ErrHandshake)
	<-done
	_ = ln.Close()
}

// TestClientRedirect follows a server that names another, once.
func TestClientRedirect(t *testing.T) {
	reject := func(p *testPeer, to string) {
		cmd := p.answer("connect")
		p.write(wire.AppendCommand(nil, 0, p.size, wire.Command{Name: "_error", ID: cmd.ID, Args: []any{amf.Object{
			{Name: "level", Value: "error"}, {Name: "code", Value: codeConnectRejected},
			{Name: "ex", Value: amf.Object{{Name: "code", Value: 302.0}, {Name: "redirect", Value: to}}}}}}))
	}
	for to, ok := range map[string]bool{"rtmp://good/app": true, "rtmp://bad/app": false, "nonsense": false} {
		var dialed []string
		script := func(p *testPeer) {
			if dialed[len(dialed)-1] != "good:1935" {
				reject(p, to)
			} else {
				require.Equal(t, []any{"cam?x=1", "live"}, p.answer("publish").Args)
				p.say(levelStatus, codePublishStart, "")
			}
			p.untilClosed()
		}
		withServer(t, script, func(t *testing.T, c *Client) {
			dial := c.Dial
			c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed = append(dialed, addr)
				return dial(ctx, network, addr)
			}
			w, err := c.Create(t.Context(), "rtmp://first/live/cam?x=1", nil)
			if ok {
				require.NoError(t, err)
				require.NoError(t, w.Close())
				require.Equal(t, []string{"first:1935", "good:1935"}, dialed)
			} else {
				require.Error(t, err)
				require.LessOrEqual(t, len(dialed), 2)
			}
		})
	}
}

// serveMedia answers play and sends the messages of n frames of testStream.
func serveMedia(p *testPeer, t testing.TB, n int) {
	p.answer("play")
	p.say(levelStatus, codePlayStart, "")
	for _, m := range bodies(t, testStream, n) {
		p.message(m.Type, m.Timestamp, string(m.Body))
	}
}

func TestReaderEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(p *testPeer)
		want error
	}{
		{"UnpublishNotify", func(p *testPeer) { p.say(levelStatus, codeUnpublishNotify, "") }, io.EOF},
		{"Stop", func(p *testPeer) { p.say(levelStatus, codePlayStop, "") }, io.EOF},
		{"Complete", func(p *testPeer) { p.say(levelStatus, codePlayComplete, "") }, io.EOF},
		{"StreamEOF", func(p *testPeer) {
			p.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventStreamEOF, Value: 1}))
		}, io.EOF},
		{"closed", func(p *testPeer) { _ = p.nc.Close() }, io.ErrUnexpectedEOF},
		{"failed", func(p *testPeer) { p.say(levelError, codePlayFailed, "") }, &StatusError{Code: codePlayFailed}},
		{"silence", func(p *testPeer) {}, source.ErrTimeout},
		{"garbage", func(p *testPeer) { p.write([]byte{0xff}) }, ErrProtocol},
		{"bad frames", func(p *testPeer) {
			for range 100 {
				p.message(wire.TypeVideo, 0, "\x17\x01\x00")
			}
		}, ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			withServer(t, func(p *testPeer) {
				serveMedia(p, t, 20)
				c.end(p)
				p.untilClosed()
			}, func(t *testing.T, client *Client) {
				r, err := client.Open(t.Context(), testURL)
				require.NoError(t, err)
				require.Len(t, r.Tracks(), 2)
				i := 0
				for f := range testStream.Frames() {
					if i == 20 {
						break
					}
					got, err := r.ReadFrame(t.Context())
					require.NoError(t, err)
					require.Equal(t, f.Data, got.Data)
					i++
				}
				began := time.Now()
				_, err = r.ReadFrame(t.Context())
				if s := (*StatusError)(nil); errors.As(c.want, &s) {
					require.Equal(t, c.want, err)
				} else {
					require.ErrorIs(t, err, c.want)
				}
				if c.want == source.ErrTimeout {
					require.Equal(t, 5*time.Second, time.Since(began))
				}
				_, again := r.ReadFrame(t.Context())
				require.Equal(t, err, again)
				require.NoError(t, r.Close())
			})
		})
	}
}

// TestReaderContext: a read that was given up can be repeated.
func TestReaderContext(t *testing.T) {
	withServer(t, func(p *testPeer) {
		serveMedia(p, t, 4)
		b := wire.AppendMessage(nil, 7, wire.TypeVideo, 1, 500, 128, nil, []byte(bodies(t, testStream, 1)[3].Body))
		p.write(b[:len(b)/2])
		time.Sleep(10 * time.Second)
		p.write(b[len(b)/2:])
		p.untilClosed()
	}, func(t *testing.T, c *Client) {
		c.ReadTimeout = time.Minute
		r, err := c.Open(t.Context(), testURL)
		require.NoError(t, err)
		readFrames(t, r, 4)
		for range 3 {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err = r.ReadFrame(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, time.Second, time.Since(began))
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.ReadFrame(cancelled)
		require.ErrorIs(t, err, context.Canceled)
		f := readFrames(t, r, 1)[0]
		require.Equal(t, 500*time.Millisecond, f.DTS)

		go func() {
			time.Sleep(time.Second)
			_ = r.Close()
		}()
		_, err = r.ReadFrame(t.Context())
		require.ErrorIs(t, err, source.ErrClosed)
	})
}

// TestOpenProbes: tracks are known when Open returns, if there is a way.
func TestOpenProbes(t *testing.T) {
	ms := bodies(t, testStream, 200)
	video := func(yield func(wire.Message) bool) {
		for _, m := range ms {
			if m.Type == wire.TypeVideo && !yield(m) {
				return
			}
		}
	}
	for _, c := range []struct {
		name   string
		script func(p *testPeer)
		tracks int
		waited time.Duration
	}{
		{"announced", func(p *testPeer) { serveMedia(p, t, 1) }, 2, 0},
		{"media without Play.Start", func(p *testPeer) {
			p.answer("play")
			for _, m := range ms[:10] {
				p.message(m.Type, m.Timestamp, string(m.Body))
			}
		}, 2, 0},
		{"video only, much at once", func(p *testPeer) {
			p.answer("play")
			p.say(levelStatus, codePlayStart, "")
			for m := range video {
				p.message(m.Type, m.Timestamp, string(m.Body))
			}
		}, 1, 0},
		{"video only, a frame each 40 ms", func(p *testPeer) {
			p.answer("play")
			p.say(levelStatus, codePlayStart, "")
			for m := range video {
				p.message(m.Type, m.Timestamp, string(m.Body))
				time.Sleep(40 * time.Millisecond)
			}
		}, 1, 1040 * time.Millisecond},
		{"video only, slow", func(p *testPeer) {
			p.answer("play")
			p.say(levelStatus, codePlayStart, "")
			for m := range video {
				p.message(m.Type, m.Timestamp/100, string(m.Body))
				time.Sleep(100 * time.Millisecond)
			}
		}, 1, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			withServer(t, func(p *testPeer) {
				defer func() {
					if recover() != nil { // the client left
						return
					}
				}()
				c.script(p)
				p.untilClosed()
			}, func(t *testing.T, client *Client) {
				began := time.Now()
				r, err := client.Open(t.Context(), testURL)
				require.NoError(t, err)
				require.Len(t, r.Tracks(), c.tracks)
				require.Equal(t, c.waited, time.Since(began))
				readFrames(t, r, 1)
				go func() { _ = source.Copy(t.Context(), discard{}, r) }()
				time.Sleep(time.Minute)
				require.NoError(t, r.Close())
			})
		})
	}
}

// TestWriterLosesServer: the next write, at the latest, tells why.
func TestWriterLosesServer(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(p *testPeer)
		want error
	}{
		{"closed", func(p *testPeer) {}, io.ErrUnexpectedEOF},
		{"status", func(p *testPeer) { p.say(levelError, codePublishBadName, "kicked") }, source.ErrBusy},
		{"unpublished", func(p *testPeer) { p.say(levelStatus, codeUnpublishSuccess, "") }, io.ErrUnexpectedEOF},
		{"garbage", func(p *testPeer) { p.write([]byte{0xff}) }, ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			withServer(t, func(p *testPeer) {
				p.answer("publish")
				p.say(levelStatus, codePublishStart, "")
				time.Sleep(time.Second)
				c.end(p)
			}, func(t *testing.T, client *Client) {
				w, err := client.Create(t.Context(), testURL, testStream.Tracks())
				require.NoError(t, err)
				time.Sleep(2 * time.Second)
				for f := range testStream.Frames() {
					if err = w.WriteFrame(t.Context(), f); err != nil {
						break
					}
				}
				require.ErrorIs(t, err, c.want)
				require.ErrorIs(t, w.Close(), c.want)
				require.NoError(t, w.Close())
				for f := range testStream.Frames() {
					require.ErrorIs(t, w.WriteFrame(t.Context(), f), source.ErrClosed)
					break
				}
			})
		})
	}
}

// TestWriterStalls: a server that reads nothing.
func TestWriterStalls(t *testing.T) {
	stall := func(p *testPeer) {
		p.answer("publish")
		p.say(levelStatus, codePublishStart, "")
		time.Sleep(time.Minute)
	}
	write := func(ctx context.Context, w source.Writer) (err error) {
		for f := range testStream.Frames() {
			if err = w.WriteFrame(ctx, f); err != nil {
				break
			}
		}
		return err
	}
	withServer(t, stall, func(t *testing.T, c *Client) {
		w, err := c.Create(t.Context(), testURL, testStream.Tracks())
		require.NoError(t, err)
		began := time.Now()
		require.ErrorIs(t, write(t.Context(), w), source.ErrTimeout)
		require.LessOrEqual(t, time.Since(began), 11*time.Second)
		require.ErrorIs(t, w.Close(), source.ErrTimeout)

		w, err = c.Create(t.Context(), testURL, testStream.Tracks())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		require.ErrorIs(t, write(ctx, w), context.DeadlineExceeded)
		require.LessOrEqual(t, time.Since(began), 2*time.Second)
		require.Error(t, w.Close())
	})
}

// TestWriterAnswers pings and acknowledges while it publishes.
func TestWriterAnswers(t *testing.T) {
	answered := make(chan bool, 1)
	withServer(t, func(p *testPeer) {
		p.answer("publish")
		p.say(levelStatus, codePublishStart, "")
		p.write(wire.AppendControl(nil, 128, wire.WindowAckSize{Size: 1}))
		p.message(wire.TypeData, 0, string(make([]byte, minWindow)))
		p.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest, Value: 3}))
		acked := false
		for {
			switch m := p.next(); m.Type {
			case wire.TypeAcknowledgement:
				acked = true
			case wire.TypeUserControl:
				answered <- acked
				p.untilClosed()
				return
			}
		}
	}, func(t *testing.T, c *Client) {
		w, err := c.Create(t.Context(), testURL, nil)
		require.NoError(t, err)
		require.True(t, <-answered)
		require.NoError(t, w.Close())
	})
}

func TestWriterTracks(t *testing.T) {
	url := startServer(t, &Server{Handler: newHub(t)})
	cannot := &codec.Track{ID: 5, Codec: codec.G722}
	_, err := Create(t.Context(), url+"a", []*codec.Track{cannot})
	require.ErrorIs(t, err, source.ErrUnsupported)

	c := Client{Logger: testLog(t)}
	w, err := c.Create(t.Context(), url+"cam", append(testStream.Tracks(), cannot))
	require.NoError(t, err)
	require.NoError(t, w.WriteFrame(t.Context(), &codec.Frame{Track: cannot, Data: []byte{1}}))
	want := writeFrames(t, w, testStream, 20)
	r, err := c.Open(t.Context(), url+"cam")
	require.NoError(t, err)
	require.Len(t, r.Tracks(), 2)
	require.Equal(t, want[0].Data, readFrames(t, r, 1)[0].Data)
	huge := &codec.Frame{Track: want[0].Track, Data: make([]byte, maxBody)}
	require.Error(t, w.WriteFrame(t.Context(), huge))
	require.NoError(t, w.Close())
	require.NoError(t, r.Close())
}

// TestVodHandshake: the app "vod" gets the simple handshake, as old servers of
// files want it.
func TestVodHandshake(t *testing.T) {
	for url, digest := range map[string]bool{"rtmp://host/live/a": true, "rtmp://host/vod/a": false} {
		a, b := newPipe(4096)
		got := make(chan []byte, 1)
		go func() {
			c1 := make([]byte, handshake.Opening)
			_, _ = io.ReadFull(b, c1)
			got <- c1
			_ = b.Close()
		}()
		c := Client{Dial: func(context.Context, string, string) (net.Conn, error) { return a, nil }}
		_, err := c.Open(t.Context(), url)
		require.Error(t, err)
		require.Equal(t, digest, handshake.Answer(make([]byte, handshake.Reply), (<-got)[1:]))
	}
}

// TestLive pulls and pushes between servers for a while.
func TestRelay(t *testing.T) {
	url := startServer(t, &Server{Handler: newHub(t)})
	st := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2}
	w, err := Create(t.Context(), url+"a", st.Tracks())
	require.NoError(t, err)
	want := writeFrames(t, w, st, 100)
	r, err := Open(t.Context(), url+"a")
	require.NoError(t, err)
	w2, err := Create(t.Context(), url+"b", r.Tracks())
	require.NoError(t, err)
	copied := make(chan error, 1)
	go func() { copied <- source.Copy(t.Context(), w2, r) }()
	r2, err := Open(t.Context(), url+"b")
	require.NoError(t, err)
	got := readFrames(t, r2, 90)
	for i, f := range got {
		require.Equal(t, want[i].Data, f.Data)
		require.InDelta(t, want[i].DTS, f.DTS, float64(time.Millisecond))
		require.InDelta(t, want[i].PTS-want[i].DTS, f.PTS-f.DTS, float64(2*time.Millisecond))
	}
	require.NoError(t, w.Close())
	require.NoError(t, <-copied)
	require.NoError(t, w2.Close())
	require.NoError(t, source.Copy(t.Context(), discard{}, r2))
	require.NoError(t, r2.Close())
	require.NoError(t, r.Close())
}
