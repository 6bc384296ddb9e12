package e2e

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
)

// TestGB28181Example: examples/gb28181 receives on a port of its own, shows what
// comes, and sends it on to a port that others share.
func TestGB28181Example(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 6 * time.Second}
	f := load(t, c)
	far := serve(t, nil)
	to := ingest(t, far, &ps.Server{})
	p := example(t, "gb28181", "-rtp", "127.0.0.1:0", "-rtsp", "127.0.0.1:0", "-rtmp", "127.0.0.1:0", "-http", "127.0.0.1:0",
		"-ports", "24000-24100", "-open", "live/door@0/tcp,ssrc=0x21",
		"-send", fmt.Sprintf("live/door=%s,ssrc=0000000085", to), "-send", fmt.Sprintf("live/door=%s,ssrc=0x56,tcp,ts", to))
	p.until(" port=24")
	near := &server{addrs: map[string]string{}}
	for _, m := range regexp.MustCompile(`(\w+)://([\d.]+:\d+)/`).FindAllStringSubmatch(p.stderr.String(), -1) {
		near.addrs[m[1]] = m[2]
	}
	port, err := strconv.Atoi(regexp.MustCompile(` port=(24\d+)`).FindStringSubmatch(p.stderr.String())[1])
	require.NoError(t, err)
	viewers := []func() []*codec.Frame{
		until(t, player.Source(near.url("rtmp", "live/door")), len(f.frames)/2),
		until(t, player.Source(far.url("rtsp", bySSRC(0x55))), len(f.frames)/2),
		until(t, player.Source(far.url("rtsp", bySSRC(0x56))), len(f.frames)/2),
	}
	inHLS := shows(t, near, "live/door", "hls", c)
	wait := device{Sender: rtptest.Sender{SSRC: 0x21, PayloadType: 96}, network: "tcp"}.send(t, at(uint16(port)), programStream(t, f))
	for _, viewer := range viewers {
		f.requireLike(t, viewer(), exactness{tick: byFLV.tick, late: true, early: len(f.frames)})
	}
	eventually(t, func() bool { return inHLS.size() > 1e6 }, "ffmpeg decodes what came")
	wait()
	p.signal(syscall.SIGTERM)
	require.NoError(t, p.wait(patience))
}

// until plays so many frames of a stream.
func until(t testing.TB, from source.Source, frames int) func() []*codec.Frame {
	t.Helper()
	return playFrom(t, source.SourceFunc(func(ctx context.Context) (source.Reader, error) {
		r, err := from.Open(ctx)
		if err != nil {
			return nil, err
		}
		return source.Filter(r, func(s *codec.Frame) (*codec.Frame, error) {
			if frames--; frames < 0 {
				return nil, io.EOF
			}
			return s, nil
		}), nil
	}))
}

// TestMediaserverReceives: the ready server takes RTP, too.
func TestMediaserverReceives(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 5 * time.Second}
	f := load(t, c)
	p, s := mediaserver(t)
	require.NotEmpty(t, s.addrs["rtp"])
	viewer := until(t, player.Source(s.url("rtsp", bySSRC(0x12))), len(f.frames)/2)
	start(t, "ffmpeg", "-v", "error", "-re", "-i", c.file(t), "-c", "copy", "-f", "rtp_mpegts", "-rtp_muxer_options", "ssrc=18", "rtp://"+s.addrs["rtp"])
	f.requireLike(t, viewer(), exactness{tick: byFLV.tick, late: true, early: len(f.frames)})
	p.signal(syscall.SIGTERM)
	require.NoError(t, p.wait(patience))
}
