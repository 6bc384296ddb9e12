package rtmp

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// bodies returns the messages of the first n frames of st, after those of its
// configuration.
func bodies(t testing.TB, st testmedia.Stream, n int) (ms []wire.Message) {
	t.Helper()
	m := flv.NewBodyMuxer(st.Tracks(), flv.FormStandard)
	bs := m.Config()
	for f := range st.Frames() {
		if n--; n < 0 {
			break
		}
		var err error
		bs, err = m.Append(bs, f)
		require.NoError(t, err)
	}
	for _, b := range bs {
		ms = append(ms, wire.Message{Type: wire.Type(b.Type), Timestamp: timestamp(b.DTS), Body: append(b.Head[:len(b.Head):len(b.Head)], b.Data...)})
	}
	return ms
}

var testStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 200_000}

// opaqueVideo is a video body of a codec nobody knows: a frame of its own.
const opaqueVideo = "\x21body"

func TestPublish(t *testing.T) {
	rec := newRecording()
	p := connected(t, startServer(t, &Server{Handler: rec}))
	p.call("releaseStream", nil, "cam")
	p.call("FCPublish", nil, "cam")
	p.call("createStream", nil)
	require.Equal(t, "_result", p.command().Name)
	p.call("publish", nil, "cam?token=x", "live")
	cmd := p.command()
	require.Equal(t, "onStatus", cmd.Name)
	code, level, _, _ := status(cmd)
	require.Equal(t, "NetStream.Publish.Start", code)
	require.Equal(t, "status", level)
	require.Equal(t, source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "cam"}, rec.req.Key)
	require.Equal(t, "token=x", rec.req.Params)
	require.Equal(t, "rtmp", rec.req.Schema)
	require.Equal(t, "rtmp", rec.req.Protocol)
	require.Equal(t, p.nc.LocalAddr().String(), rec.req.Remote.String())
	require.NotEmpty(t, rec.req.ID)
	for _, m := range bodies(t, testStream, 20) {
		p.message(m.Type, m.Timestamp, string(m.Body))
	}
	p.call("FCUnpublish", nil, "cam")
	require.NoError(t, <-rec.ended)
	p.call("deleteStream", nil, 1.0)
	require.Equal(t, "NetStream.Unpublish.Success", p.status())
	p.requireClosed()

	require.True(t, rec.complete)
	require.Len(t, rec.tracks, 2)
	require.Len(t, rec.frames, 20)
	i := 0
	for f := range testStream.Frames() {
		if i == len(rec.frames) {
			break
		}
		require.Equal(t, f.Data, rec.frames[i].Data)
		require.Equal(t, f.Track.Codec, rec.frames[i].Track.Codec)
		require.InDelta(t, f.DTS, rec.frames[i].DTS, float64(time.Millisecond))
		i++
	}
	require.Empty(t, rec.ended, "ended twice")
}

// TestPublishEnds: a goodbye ends the stream, anything else lets it linger.
func TestPublishEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(p *testPeer)
		want error
	}{
		{"FCUnpublish", func(p *testPeer) { p.call("FCUnpublish", nil, "cam") }, nil},
		{"closeStream", func(p *testPeer) { p.call("closeStream", nil) }, nil},
		{"deleteStream", func(p *testPeer) { p.call("deleteStream", nil, 1.0) }, nil},
		{"connection closed", func(p *testPeer) { _ = p.nc.Close() }, io.ErrUnexpectedEOF},
		{"closed within a message", func(p *testPeer) { p.write([]byte("\x06\x00")); _ = p.nc.Close() }, io.ErrUnexpectedEOF},
		{"protocol error", func(p *testPeer) { p.write([]byte("\xff")) }, ErrProtocol},
		{"silence", func(p *testPeer) {
			time.Sleep(15*time.Second - 1)
			p.message(wire.TypeAudio, 0, "")
			time.Sleep(15 * time.Second)
		}, source.ErrTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := newRecording()
			inMemory(t, &Server{Handler: rec}, func(t *testing.T, ln *pipeListener) {
				p := newTestPeer(t, dialPipe(t, ln))
				p.connect()
				p.publish()
				c.end(p)
				synctest.Wait()
				require.Len(t, rec.ended, 1)
				require.ErrorIs(t, <-rec.ended, c.want)
				_ = p.nc.Close()
			})
		})
	}
}

// TestPublishSilence: bytes, not messages, are signs of life.
func TestPublishSilence(t *testing.T) {
	rec := newRecording()
	inMemory(t, &Server{Handler: rec}, func(t *testing.T, ln *pipeListener) {
		p := newTestPeer(t, dialPipe(t, ln))
		p.connect()
		p.publish()
		for _, b := range wire.AppendMessage(nil, 6, wire.TypeAudio, 1, 0, 128, nil, make([]byte, 20)) {
			time.Sleep(14 * time.Second)
			p.write([]byte{b})
		}
		synctest.Wait()
		require.Empty(t, rec.ended)
		began := time.Now()
		p.requireClosed()
		require.Equal(t, 15*time.Second, time.Since(began))
		require.ErrorIs(t, <-rec.ended, source.ErrTimeout)
	})
	rec = newRecording()
	inMemory(t, &Server{Handler: rec, ReadTimeout: -1}, func(t *testing.T, ln *pipeListener) {
		p := newTestPeer(t, dialPipe(t, ln))
		p.connect()
		p.publish()
		time.Sleep(time.Hour)
		require.Empty(t, rec.ended)
	})
}

// TestPublishAgain: after a goodbye the connection can be used again, within
// the time for a first publish or play.
func TestPublishAgain(t *testing.T) {
	rec := newRecording()
	inMemory(t, &Server{Handler: rec}, func(t *testing.T, ln *pipeListener) {
		p := newTestPeer(t, dialPipe(t, ln))
		p.connect()
		for range 3 {
			p.publish()
			p.message(wire.TypeVideo, 0, opaqueVideo)
			p.call("closeStream", nil)
			synctest.Wait()
			require.NoError(t, <-rec.ended)
			time.Sleep(9 * time.Second)
		}
		require.Len(t, rec.got(), 3)
		p.message(wire.TypeVideo, 0, opaqueVideo) // to nobody
		began := time.Now()
		p.requireClosed()
		require.LessOrEqual(t, time.Since(began), 2*time.Second)
		require.Len(t, rec.got(), 3)
	})
}

func TestPublishTwice(t *testing.T) {
	url := startServer(t, &Server{Handler: newHub(t)})
	p := connected(t, url)
	p.publish()

	// On the same connection: refused, and the first goes on.
	p.call("publish", nil, "other")
	require.Equal(t, codePublishBadName, p.status())
	p.call("play", nil, "cam")
	require.Equal(t, codePlayFailed, p.status())
	p.message(wire.TypeVideo, 0, opaqueVideo)
	p.call("createStream", nil)
	require.Equal(t, "_result", p.command().Name)

	// On another one: refused and closed.
	q := connected(t, url)
	q.call("publish", nil, "cam")
	require.Equal(t, codePublishBadName, q.status())
	q.requireClosed()

	p.call("deleteStream", nil, 1.0)
	require.Equal(t, codeUnpublishSuccess, p.status())
	connected(t, url).publish()
}

func TestPublishRefused(t *testing.T) {
	url := startServer(t, &Server{Handler: handlerFuncs{publish: func(_ context.Context, req *source.Request) (source.Publication, error) {
		return nil, source.Refuse(source.ErrUnauthorized, "wrong token")
	}}})
	p := connected(t, url)
	p.call("publish", nil, "cam")
	cmd := p.command()
	code, level, text, _ := status(cmd)
	require.Equal(t, []string{"NetStream.Publish.BadAuth", "error", "wrong token"}, []string{code, level, text})
	p.requireClosed()
}

// TestPublishEarly: what comes before publishing was accepted is lost but for
// metadata and sequence headers; what comes while the Handler decides is not.
func TestPublishEarly(t *testing.T) {
	rec := newRecording()
	decide := make(chan bool)
	url := startServer(t, &Server{Handler: handlerFuncs{publish: func(ctx context.Context, req *source.Request) (source.Publication, error) {
		<-decide
		return rec.Publish(ctx, req)
	}}})
	ms := bodies(t, testStream, 20)
	p := connected(t, url)
	for _, m := range ms[:13] { // the configuration, 10 frames
		p.message(m.Type, m.Timestamp, string(m.Body))
	}
	p.call("publish", nil, "cam", "live")
	for _, m := range ms[13:] {
		p.message(m.Type, m.Timestamp, string(m.Body))
	}
	p.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest}))
	decide <- true
	require.Equal(t, codePublishStart, p.status())
	require.Equal(t, wire.TypeUserControl, p.next().Type)
	require.Len(t, rec.got(), 10)
	require.Len(t, rec.tracks, 2)
}

func TestIsConfig(t *testing.T) {
	for _, c := range []struct {
		typ  wire.Type
		body string
		want bool
	}{
		{wire.TypeData, "\x02\x00\x01a", true},
		{wire.TypeDataAMF3, "\x00\x02\x00\x01a", true},
		{wire.TypeVideo, "\x17\x00\x00\x00\x00", true},
		{wire.TypeVideo, "\x17\x01\x00\x00\x00", false},
		{wire.TypeVideo, "\x1c\x00\x00\x00\x00", true},
		{wire.TypeVideo, "\x12\x00\x00\x00\x00", false}, // Sorenson
		{wire.TypeVideo, "\x90hvc1", true},
		{wire.TypeVideo, "\x91hvc1", false},
		{wire.TypeVideo, "\x17", false},
		{wire.TypeAudio, "\xaf\x00\x12\x10", true},
		{wire.TypeAudio, "\xaf\x01\x12\x10", false},
		{wire.TypeAudio, "\x90Opus", true},
		{wire.TypeAudio, "\x91Opus", false},
		{wire.TypeAudio, "\x2f\x00", false},
		{wire.TypeAudio, "", false},
		{wire.TypeAggregate, "\x17\x00\x00\x00\x00", false},
	} {
		require.Equal(t, c.want, isConfig(&wire.Message{Type: c.typ, Body: []byte(c.body)}), "%d %q", c.typ, c.body)
	}
}

// TestPublisherLeavesEarly: a Handler that takes its time says yes to somebody
// who is gone.
func TestPublisherLeavesEarly(t *testing.T) {
	for _, saysYes := range []bool{true, false} {
		rec := newRecording()
		inMemory(t, &Server{Handler: handlerFuncs{publish: func(ctx context.Context, req *source.Request) (source.Publication, error) {
			<-ctx.Done()
			if saysYes {
				return rec.Publish(ctx, req)
			}
			return nil, ctx.Err()
		}}}, func(t *testing.T, ln *pipeListener) {
			p := newTestPeer(t, dialPipe(t, ln))
			p.connect()
			p.call("publish", nil, "cam")
			synctest.Wait()
			_ = p.nc.Close()
			synctest.Wait()
			if saysYes {
				require.Error(t, <-rec.ended)
			}
			require.Empty(t, rec.ended)
		})
	}
}

func TestPublishAggregates(t *testing.T) {
	rec := newRecording()
	p := connected(t, startServer(t, &Server{Handler: rec}))
	p.publish()
	var body []byte
	ms := bodies(t, testStream, 20)
	for _, m := range ms {
		m.Timestamp += 700
		body = wire.AppendAggregated(body, m)
	}
	p.message(wire.TypeAggregate, 5000, string(body))
	lying := wire.AppendAggregated(nil, wire.Message{Type: wire.TypeVideo, Timestamp: 1, Body: []byte(opaqueVideo)})
	p.message(wire.TypeAggregate, 6000, string(lying)+"\x09\xff\xff\xff"+strings.Repeat("\x00", 7)+"body")
	p.call("deleteStream", nil, 1.0)
	require.NoError(t, <-rec.ended)
	require.Len(t, rec.frames, 21)
	require.Equal(t, 5000*time.Millisecond, rec.frames[0].DTS)
	require.Equal(t, 6000*time.Millisecond, rec.frames[20].DTS)
}

func TestPublishMetadata(t *testing.T) {
	ms := bodies(t, testStream, 0)
	for name, send := range map[string]func(p *testPeer){
		"@setDataFrame": func(p *testPeer) { p.message(wire.TypeData, 0, string(setDataFrame)+string(ms[0].Body)) },
		"bare":          func(p *testPeer) { p.message(wire.TypeData, 0, string(ms[0].Body)) },
		"AMF3":          func(p *testPeer) { p.message(wire.TypeDataAMF3, 0, "\x00"+string(ms[0].Body)) },
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecording()
			p := connected(t, startServer(t, &Server{Handler: rec}))
			p.publish()
			send(p)
			p.message(wire.TypeVideo, 0, string(ms[1].Body))
			p.message(wire.TypeAudio, 0, string(ms[2].Body))
			p.call("deleteStream", nil, 1.0)
			require.NoError(t, <-rec.ended)
			require.True(t, rec.complete)
			require.Len(t, rec.tracks, 2)
			require.Equal(t, 1280, rec.tracks[0].Width)
		})
	}
}

// TestPublishTimestamps: clocks that wrap, and those that jump as they please.
func TestPublishTimestamps(t *testing.T) {
	for _, c := range clockCases {
		t.Run(c.name, func(t *testing.T) {
			rec := newRecording()
			p := connected(t, startServer(t, &Server{Handler: rec}))
			p.publish()
			for _, s := range c.stamps {
				p.message(wire.TypeVideo, s, opaqueVideo)
			}
			p.call("deleteStream", nil, 1.0)
			require.NoError(t, <-rec.ended)
			var got []int64
			for _, f := range rec.frames {
				got = append(got, f.DTS.Milliseconds())
			}
			require.Equal(t, c.want, got)
		})
	}
}

// TestPublishBadFrames: a stream lives through frames that cannot be parsed, but
// not through a hundred in a row.
func TestPublishBadFrames(t *testing.T) {
	rec := newRecording()
	s := &Server{Handler: rec}
	p := connected(t, startServer(t, s))
	p.publish()
	const bad = "\x17\x01\x00"
	for range 3 {
		for range 99 {
			p.message(wire.TypeVideo, 0, bad)
		}
		p.message(wire.TypeAudio, 0, "\x2f"+"\xff\xfb\x90\x00"+strings.Repeat("\x00", 413)) // MP3
	}
	p.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest}))
	require.Equal(t, wire.TypeUserControl, p.next().Type)
	require.EqualValues(t, 3*99, s.Stats().FramesDropped)
	require.Len(t, rec.got(), 3)
	for range 100 {
		p.message(wire.TypeVideo, 0, bad)
	}
	p.requireClosed()
	require.ErrorIs(t, <-rec.ended, ErrProtocol)
}

// TestPublicationFails: a stream that was ended ends its publisher.
func TestPublicationFails(t *testing.T) {
	rec := newRecording()
	rec.fail = source.ErrKicked
	p := connected(t, startServer(t, &Server{Handler: rec}))
	p.publish()
	p.message(wire.TypeVideo, 0, opaqueVideo)
	p.requireClosed()
	require.ErrorIs(t, <-rec.ended, source.ErrKicked)
}

func TestPublishAcknowledged(t *testing.T) {
	p := connected(t, startServer(t, &Server{Handler: newRecording()}))
	p.publish()
	p.write(wire.AppendControl(nil, p.size, wire.WindowAckSize{Size: 1}))
	p.write(wire.AppendControl(nil, p.size, wire.SetChunkSize{Size: 60000}))
	p.size = 60000
	p.message(wire.TypeVideo, 0, opaqueVideo+strings.Repeat("x", minWindow))
	var a wire.Acknowledgement
	m := p.next()
	require.Equal(t, wire.TypeAcknowledgement, m.Type)
	_, err := a.Unmarshal(m.Body)
	require.NoError(t, err)
	require.GreaterOrEqual(t, a.Sequence, uint32(minWindow))
}

// TestOpaquePassesThrough: a codec nobody knows comes out as it went in.
func TestOpaquePassesThrough(t *testing.T) {
	url := startServer(t, &Server{Handler: newHub(t)})
	p := connected(t, url)
	p.publish()
	video := func(i int) string { return fmt.Sprintf("\x12%d", i) } // Sorenson, key frame
	audio := func(i int) string { return fmt.Sprintf("\xb2%d", i) } // Speex
	send := func(i int) {
		p.message(wire.TypeVideo, uint32(40*i), video(i))
		p.message(wire.TypeAudio, uint32(40*i), audio(i))
	}
	for i := range 5 {
		send(i)
	}
	q := connected(t, url)
	q.call("play", nil, "cam")
	require.Equal(t, codePlayReset, q.status())
	seen := map[string]bool{}
	for i := 5; len(seen) < 6; i++ {
		send(i)
		for range 2 {
			m := q.next()
			for m.Type != wire.TypeVideo && m.Type != wire.TypeAudio {
				m = q.next()
			}
			seen[string(m.Body)] = true
		}
	}
	for body := range seen {
		require.True(t, strings.HasPrefix(body, "\x12") || strings.HasPrefix(body, "\xb2"), "%q", body)
	}
}

func TestEarlyIsBounded(t *testing.T) {
	var e early
	for range 100 {
		e.keep(&wire.Message{Type: wire.TypeData, Body: make([]byte, 11<<10)})
		e.keep(&wire.Message{Type: wire.TypeData, Body: make([]byte, 9<<10)})
		e.keep(&wire.Message{Type: wire.TypeVideo, Body: []byte("\x17\x00\x00\x00\x00")})
		e.keep(&wire.Message{Type: wire.TypeVideo, Body: []byte("\x17\x01\x00\x00\x00")})
		e.keep(&wire.Message{Type: wire.TypeAudio, Body: []byte("\xaf\x00\x12\x10")})
	}
	ms := e.take()
	require.Len(t, ms, 3)
	require.Len(t, ms[0].Body, 9<<10)
	require.Empty(t, e.take())
}
