package e2e

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// codecCases are clips that together have every codec an MP4 file of ffmpeg can
// hold and FLV can carry.
var codecCases = []struct {
	name string
	clip clip
	// ffprobe names the streams that each ffprobe understands in FLV.
	probes []string // kinds that Debian's ffprobe reads
	newer  []string // kinds that ffprobe 7.1 reads
}{
	{"H264 with B-frames, AAC", clip{video: "h264", audio: "aac", bframes: 2}, []string{"video", "audio"}, []string{"video", "audio"}},
	{"H264, MP3", clip{video: "h264", audio: "mp3"}, []string{"video", "audio"}, []string{"video", "audio"}},
	{"H265 with B-frames, AAC", clip{video: "h265", audio: "aac", bframes: 2}, []string{"audio"}, []string{"video", "audio"}},
	{"AV1, Opus", clip{video: "av1", audio: "opus"}, nil, []string{"video"}},
	{"VP9, AAC", clip{video: "vp9", audio: "aac"}, []string{"audio"}, []string{"video", "audio"}},
	{"AAC alone", clip{audio: "aac"}, []string{"audio"}, []string{"audio"}},
	{"H264 alone", clip{video: "h264"}, []string{"video"}, []string{"video"}},
}

// byRTP is what RTP carries: ticks of its clocks, none of which is longer here.
var byRTP = exactness{tick: time.Second / 44100, late: true}

// loosely is for publishers whose times are not known exactly.
const loosely = 250 * time.Millisecond

// TestCodecs publishes every codec with our clients, with gortmplib and with
// gortsplib, and plays it with our client by each protocol, with both of those and
// with ffprobe. Frames come out byte for byte as they went in.
func TestCodecs(t *testing.T) {
	t.Parallel()
	publishers := []struct {
		name    string
		publish func(t testing.TB, f *film, s *server)
		byRTMP  exactness // of viewers by RTMP and FLV
		byRTSP  exactness
	}{
		{"rtmp pusher", func(t testing.TB, f *film, s *server) {
			push(t, f, s.url("rtmp", "live/t"))
		}, byFLV, exactness{tick: byFLV.tick, late: true}},
		{"gortmplib", func(t testing.TB, f *film, s *server) {
			gortmplibPublish(t, f, s.url("rtmp", "live/t"))
		}, byFLV, exactness{tick: byFLV.tick, late: true}},
		{"rtsp pusher", func(t testing.TB, f *film, s *server) {
			pushTo(t, f, rtspSink(&rtsp.Client{Transport: rtsp.TransportTCP}, s.url("rtsp", "live/t")))
		}, byFLV, byRTP},
		// It tells how sound and picture belong together when it has sent some
		// of both, so that their times are changed a little at first.
		{"gortsplib", func(t testing.TB, f *film, s *server) {
			gortsplibPublish(t, f, s.url("rtsp", "live/t"))
		}, exactness{tick: loosely}, exactness{tick: loosely, late: true}},
	}
	for _, c := range codecCases {
		for _, p := range publishers {
			t.Run(c.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				film := c.clip
				film.duration = 3 * time.Second
				f := load(t, film)
				s := serve(t, &source.Hub{Options: source.StreamOptions{Linger: -1}})

				ours := map[string]func() []*codec.Frame{}
				for _, scheme := range []string{"rtmp", "http", "ws"} {
					ours[scheme] = play(t, s.url(scheme, "live/t"))
				}
				rtspURL := s.url("rtsp", "live/t")
				overRTSP := map[string]func() []*codec.Frame{
					"player, rtsp, tcp": playFrom(t, opener(&rtsp.Client{Transport: rtsp.TransportTCP, Timeout: patience}, rtspURL)),
					"player, rtsp, udp": playFrom(t, opener(&rtsp.Client{Transport: rtsp.TransportUDP, Timeout: patience}, rtspURL)),
				}
				gortsplib := gortsplibPlay(t, f.tracks, rtspURL, "tcp")

				// gortmplib announces AV1 with a configuration that is not the
				// stream's; the true one comes with the first frame, and its own
				// reader may refuse that change.
				viewers := len(ours) + len(overRTSP) + 3
				theirs := func() []*codec.Frame { return f.frames }
				if p.name != "gortmplib" || c.clip.video != "av1" {
					viewers++
					theirs = gortmplibPlay(t, f, s.url("rtmp", "live/t"))
				}
				direct := start(t, "ffprobe7", "-v", "error", "-show_streams", "-show_packets", "-show_data_hash", "md5",
					"-of", "json", s.url("rtmp", "live/t"))
				file := record(t, s.url("http", "live/t"))

				s.viewers(t, viewers)
				p.publish(t, f, s)

				for viewer, wait := range overRTSP {
					t.Run(viewer, func(t *testing.T) { f.requireLike(t, wait(), p.byRTSP) })
				}
				t.Run("gortsplib", func(t *testing.T) {
					x := p.byRTSP
					x.pts = true
					f.requireLike(t, gortsplib(), x)
				})
				for scheme, wait := range ours {
					t.Run("player, "+scheme, func(t *testing.T) { f.requireLike(t, wait(), p.byRTMP) })
				}
				t.Run("gortmplib", func(t *testing.T) { f.requireLike(t, theirs(), p.byRTMP) })
				if p.byRTMP.tick == loosely {
					return
				}
				published := probeFile(t, "ffprobe", film.file(t))
				got := parseProbe(t, direct.ok(patience))
				for _, kind := range c.newer {
					t.Run("ffprobe 7.1, rtmp, "+kind, func(t *testing.T) { requireSamePackets(t, published, got, kind, 0) })
				}
				path := file.wait()
				for tool, kinds := range map[string][]string{"ffprobe": c.probes, "ffprobe7": c.newer} {
					for _, kind := range kinds {
						t.Run(tool+", http, "+kind, func(t *testing.T) {
							requireSamePackets(t, published, probeFile(t, tool, path), kind, 0)
						})
					}
				}
			})
		}
	}
}

// push publishes a film with our client.
func push(t testing.TB, f *film, url string) {
	t.Helper()
	pushTo(t, f, pusher.Sink(url))
}

// pushTo is push for any sink.
func pushTo(t testing.TB, f *film, to source.Sink) {
	t.Helper()
	w, err := to.Create(t.Context(), f.Tracks())
	require.NoError(t, err)
	require.NoError(t, source.Copy(t.Context(), w, f))
	require.NoError(t, w.Close())
}

// play plays a stream to its end with our client. It may be called before the
// stream is there.
func play(t testing.TB, url string) func() []*codec.Frame {
	t.Helper()
	return playFrom(t, (&player.Client{Timeout: patience}).Source(url))
}

// playFrom is play for any source.
func playFrom(t testing.TB, from source.Source) func() []*codec.Frame {
	t.Helper()
	type result struct {
		frames []*codec.Frame
		err    error
	}
	done := make(chan result, 1)
	ctx := t.Context()
	go func() {
		var res result
		defer func() { done <- res }()
		r, err := from.Open(ctx)
		if err != nil {
			res.err = err
			return
		}
		defer r.Close()
		for {
			f, err := r.ReadFrame(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				res.err = err
				return
			}
			res.frames = append(res.frames, f)
		}
	}()
	return func() []*codec.Frame {
		t.Helper()
		select {
		case res := <-done:
			require.NoError(t, res.err)
			return res.frames
		case <-time.After(patience):
			t.Fatal("the stream does not end for our player")
			return nil
		}
	}
}

// TestG711 goes from ffmpeg to ffmpeg: MP4 files do not hold G.711.
func TestG711(t *testing.T) {
	t.Parallel()
	for _, law := range []string{"alaw", "mulaw"} {
		t.Run(law, func(t *testing.T) {
			t.Parallel()
			c := clip{video: "h264", audio: law, form: "flv", duration: 3 * time.Second}
			published := probeFile(t, "ffprobe", c.file(t))
			s := serve(t, nil)
			viewers := []*recording{record(t, s.url("rtmp", "live/t")), record(t, s.url("http", "live/t")), record(t, s.url("ws", "live/t"))}
			overRTSP := screenRTSP(t, s.url("rtsp", "live/t"), "tcp")
			s.viewers(t, len(viewers)+1)
			publish(t, c.file(t), s.url("rtmp", "live/t")).ok(patience)
			for _, v := range viewers {
				path := v.wait()
				got := probeFile(t, "ffprobe", path)
				requireSame(t, published, got, 0)
				requireDecodes(t, "ffmpeg", path)
			}
			overRTSP.wait()
			original := screen(t, c.file(t))
			original.wait()
			requireSound(t, original, overRTSP)
		})
	}
}
