package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// TestTLS publishes and plays over TLS with our clients, which check the
// certificate, and with ffmpeg's.
func TestTLS(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 3 * time.Second}
	published := probeFile(t, "ffprobe", c.file(t))
	f := load(t, c)
	s := serve(t, nil)
	trust := &tls.Config{RootCAs: s.roots}

	_, err := player.Open(t.Context(), s.url("rtmps", "live/t"))
	require.ErrorAs(t, err, new(x509.UnknownAuthorityError))
	_, err = pusher.Create(t.Context(), s.url("rtmps", "live/t"), f.Tracks())
	require.ErrorAs(t, err, new(x509.UnknownAuthorityError))

	ours := map[string]func() []*codec.Frame{}
	for _, scheme := range []string{"rtmps", "https", "wss", "rtsps"} {
		ours[scheme] = playFrom(t, (&player.Client{TLSConfig: trust, Timeout: patience}).Source(s.url(scheme, "live/t")))
	}
	theirs := record(t, s.url("rtmps", "live/t"))
	s.viewers(t, len(ours)+1)
	w, err := (&pusher.Client{TLSConfig: trust}).Create(t.Context(), s.url("rtmps", "live/t"), f.Tracks())
	require.NoError(t, err)
	require.NoError(t, source.Copy(t.Context(), w, f))
	require.NoError(t, w.Close())
	for scheme, wait := range ours {
		t.Run("player, "+scheme, func(t *testing.T) { f.requireLike(t, wait(), exactness{tick: byFLV.tick, late: scheme == "rtsps"}) })
	}
	t.Run("ffmpeg plays", func(t *testing.T) {
		got := probeFile(t, "ffprobe", theirs.wait())
		requireSame(t, published, got, 0)
	})
	t.Run("ffmpeg publishes", func(t *testing.T) {
		wait := playFrom(t, (&player.Client{TLSConfig: trust, Timeout: patience}).Source(s.url("rtmps", "live/u")))
		s.viewers(t, len(ours)+2)
		publish(t, c.file(t), s.url("rtmps", "live/u")).ok(patience)
		f.requireFrames(t, wait())
	})
}

// TestRTSPS publishes and plays by RTSP over TLS with our client, ffmpeg,
// GStreamer and gortsplib.
func TestRTSPS(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 3 * time.Second}
	pictures := screen(t, c.file(t)).wait()
	s := serve(t, nil)
	client := &rtsp.Client{TLSConfig: &tls.Config{RootCAs: s.roots}, Timeout: patience}

	// What our film is, gortsplib and our client are compared with; ffmpeg, which
	// plays from the file, with the file.
	for name, publish := range map[string]func(url string){
		"ours":      func(url string) { pushTo(t, load(t, c), rtspSink(client, url)) },
		"gortsplib": func(url string) { gortsplibPublish(t, load(t, c), url) },
	} {
		t.Run(name+" publishes", func(t *testing.T) {
			url := s.url("rtsps", "live/"+name)
			f := load(t, c)
			before := int(s.plays.Load())
			ours := playFrom(t, opener(client, url))
			gortsplib := gortsplibPlay(t, f.tracks, url, "tcp")
			s.viewers(t, before+2)
			publish(url)
			f.requireLike(t, ours(), exactness{tick: loosely, late: true})
			f.requireLike(t, gortsplib(), exactness{tick: loosely, late: true, pts: true})
		})
	}
	t.Run("ffmpeg publishes", func(t *testing.T) {
		url := s.url("rtsps", "live/ffmpeg")
		before := int(s.plays.Load())
		v := screenRTSP(t, url, "tcp")
		s.viewers(t, before+1)
		publishRTSP(t, c.file(t), url, "tcp").ok(patience)
		requireScreened(t, c, pictures, v.wait(), 2, forgotten)
	})
	t.Run("a client that does not trust it", func(t *testing.T) {
		_, err := player.Open(t.Context(), s.url("rtsps", "live/t"))
		require.ErrorAs(t, err, new(x509.UnknownAuthorityError))
	})
}
