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

// TestCodecs publishes every codec with our client and with gortmplib, and plays
// it with our client by each protocol, with gortmplib and with ffprobe. Frames
// come out byte for byte as they went in.
func TestCodecs(t *testing.T) {
	t.Parallel()
	publishers := map[string]func(t testing.TB, f *film, url string){
		"pusher":    push,
		"gortmplib": gortmplibPublish,
	}
	for _, c := range codecCases {
		for name, publish := range publishers {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				film := c.clip
				film.duration = 3 * time.Second
				f := load(t, film)
				s := serve(t, &source.Hub{Options: source.StreamOptions{Linger: -1}})

				ours := map[string]func() []*codec.Frame{}
				for _, scheme := range []string{"rtmp", "http", "ws"} {
					ours[scheme] = play(t, s.url(scheme, "live/t"))
				}
				// gortmplib announces AV1 with a configuration that is not the
				// stream's; the true one comes with the first frame, and its own
				// reader may refuse that change.
				viewers := len(ours) + 2
				theirs := func() []*codec.Frame { return f.frames }
				if name != "gortmplib" || c.clip.video != "av1" {
					viewers++
					theirs = gortmplibPlay(t, f, s.url("rtmp", "live/t"))
				}
				direct := start(t, "ffprobe7", "-v", "error", "-show_streams", "-show_packets", "-show_data_hash", "md5",
					"-of", "json", s.url("rtmp", "live/t"))
				file := record(t, s.url("http", "live/t"))

				s.viewers(t, viewers)
				publish(t, f, s.url("rtmp", "live/t"))

				for scheme, wait := range ours {
					t.Run("player, "+scheme, func(t *testing.T) { f.requireFrames(t, wait()) })
				}
				t.Run("gortmplib", func(t *testing.T) { f.requireFrames(t, theirs()) })
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
	w, err := pusher.Create(t.Context(), url, f.Tracks())
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
			s.viewers(t, len(viewers))
			publish(t, c.file(t), s.url("rtmp", "live/t")).ok(patience)
			for _, v := range viewers {
				path := v.wait()
				got := probeFile(t, "ffprobe", path)
				requireSame(t, published, got, 0)
				requireDecodes(t, "ffmpeg", path)
			}
		})
	}
}
