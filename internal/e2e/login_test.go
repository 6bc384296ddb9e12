package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// A doorman is a handler that lets nobody in but "admin" with "secret".
type doorman struct {
	source.Handler
	basic bool
}

func (d doorman) ask(r *source.Request) error {
	if r.User == "admin" {
		return nil
	}
	return &source.Challenge{Realm: "MediaKit", Basic: d.basic, Secret: func(_ context.Context, user string, _ bool) (string, bool, error) {
		if user != "admin" {
			return "", false, errors.New("no such user")
		}
		return "secret", false, nil
	}}
}

func (d doorman) Play(ctx context.Context, r *source.Request) (source.Reader, error) {
	if err := d.ask(r); err != nil {
		return nil, err
	}
	return d.Handler.Play(ctx, r)
}

func (d doorman) Publish(ctx context.Context, r *source.Request) (source.Publication, error) {
	if err := d.ask(r); err != nil {
		return nil, err
	}
	return d.Handler.Publish(ctx, r)
}

// A stranger is a client that logs in with the user and password of its URL.
type stranger struct {
	name    string
	play    func(t *testing.T, url string) error // gets some of the stream, or is refused
	publish func(t *testing.T, url string) error // publishes until it is stopped, or is refused
}

// TestLogin: a server that asks for a password, by Digest and by Basic, lets
// everybody in who knows it, publisher or viewer, and nobody else.
func TestLogin(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 3 * time.Second}
	c.file(t)
	refused := errors.New("refused")
	// why turns the way a program ended into an error.
	why := func(p *process, err error) error {
		if err != nil {
			require.Contains(p.t, p.stdout.String()+p.stderr.String(), "nauthorized")
			return refused
		}
		return nil
	}
	ended := func(p *process) error { return why(p, p.wait(patience)) }
	status := func(err error) error {
		var s *rtsp.StatusError
		if errors.As(err, &s) && s.Status == 401 {
			return refused
		}
		return err
	}
	strangers := []stranger{
		{"ffmpeg", func(t *testing.T, url string) error {
			return ended(start(t, "ffprobe", "-v", "error", "-rtsp_transport", "tcp", url))
		}, func(t *testing.T, url string) error {
			return ended(publishRTSP(t, c.file(t), url, "tcp"))
		}},
		{"GStreamer", func(t *testing.T, url string) error {
			p := start(t, "gst-launch-1.0", "-q", "rtspsrc", "location="+url, "protocols=tcp", "!", "identity", "eos-after=20", "!", "fakesink")
			return why(p, endRTSP(p))
		}, func(t *testing.T, url string) error {
			p := start(t, "gst-launch-1.0", "-q", "filesrc", "location="+c.file(t), "!", "qtdemux", "!", "queue", "!", "h264parse", "!",
				"rtspclientsink", "protocols=tcp", "location="+url)
			return why(p, endSink(p, c.duration))
		}},
		{"gortsplib", func(t *testing.T, url string) error {
			client, u, err := gortsplibClient(url, "tcp")
			require.NoError(t, err)
			require.NoError(t, client.Start())
			defer client.Close()
			_, res, err := client.Describe(u)
			if res != nil && res.StatusCode == base.StatusUnauthorized {
				return refused
			}
			return err
		}, func(t *testing.T, url string) error {
			_, goodbye, err := gortsplibAnnounce(t, load(t, c), url)
			if err != nil {
				require.ErrorContains(t, err, "401")
				return refused
			}
			goodbye()
			return nil
		}},
		{"ours", func(t *testing.T, url string) error {
			return status(closed(rtsp.Open(t.Context(), url)))
		}, func(t *testing.T, url string) error {
			return status(closed((&rtsp.Client{}).Create(t.Context(), url, load(t, c).tracks)))
		}},
	}
	for name, basic := range map[string]bool{"Digest": false, "Basic": true} {
		t.Run(name, func(t *testing.T) {
			hub := &source.Hub{}
			s := serveHandler(t, hub, doorman{hub, basic})
			at := func(user, name string) string { return "rtsp://" + user + "@" + s.addrs["rtsp"] + "/live/" + name }
			publishRTSP(t, c.file(t), at("admin:secret", "t"), "tcp", "-stream_loop", "-1")
			eventually(t, func() bool {
				return hub.Stream(source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"}) != nil
			}, "the stream is there")
			for _, x := range strangers {
				t.Run(x.name, func(t *testing.T) {
					t.Parallel()
					require.NoError(t, x.play(t, at("admin:secret", "t")))
					require.Equal(t, refused, x.play(t, at("admin:wrong", "t")))
					require.Equal(t, refused, x.play(t, at("nobody:secret", "t")))
					require.NoError(t, x.publish(t, at("admin:secret", x.name)))
					require.Equal(t, refused, x.publish(t, at("admin:wrong", x.name)))
				})
			}
			t.Run("without a password", func(t *testing.T) {
				requireRTSPStatus(t, 401, func(ctx context.Context) error {
					return closed(rtsp.Open(ctx, s.url("rtsp", "live/t")))
				})
			})
		})
	}
}
