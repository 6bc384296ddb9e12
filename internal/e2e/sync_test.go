package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// TestSync sends a film in which a light flashes and a bell rings together each
// second by RTMP to one server, by RTSP to a second and by RTMP to a viewer.
// There they are still together.
func TestSync(t *testing.T) {
	t.Parallel()
	film := filepath.Join(t.TempDir(), "flash.mp4")
	start(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i",
		`color=black:size=320x192:rate=25,drawbox=color=white:thickness=fill:enable=lt(mod(t\,1)\,0.1)`,
		"-f", "lavfi", "-i", `aevalsrc=0.8*sin(2*PI*1000*t)*lt(mod(t\,1)\,0.1):sample_rate=44100`,
		"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-b:a", "128k", "-t", "8", film).ok(patience)
	want := apart(t, film)
	require.Greater(t, len(want), 5)

	for name, transport := range map[string]rtsp.Transport{"tcp": rtsp.TransportTCP, "udp": rtsp.TransportUDP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := serve(t, nil)
			second := serve(t, &source.Hub{OnMiss: func(_ context.Context, r *source.Request) (source.Source, error) {
				return opener(&rtsp.Client{Transport: transport, Timeout: patience}, first.url("rtsp", r.Key.Path())), nil
			}})
			viewer := record(t, second.url("rtmp", "live/t"))
			first.viewers(t, 1)
			publish(t, film, first.url("rtmp", "live/t")).ok(patience)
			requireTogether(t, want, apart(t, viewer.wait()))
		})
	}
	t.Run("published by RTSP", func(t *testing.T) {
		t.Parallel()
		s := serve(t, nil)
		viewer := record(t, s.url("rtmp", "live/t"))
		s.viewers(t, 1)
		publishRTSP(t, film, s.url("rtsp", "live/t"), "udp").ok(patience)
		requireTogether(t, want, apart(t, viewer.wait()))
	})
}

// requireTogether checks that sound is as far from picture as it was.
func requireTogether(t testing.TB, want, got []time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, len(got), len(want)-2)
	t.Logf("apart: %v, were %v", got, want)
	for _, d := range got {
		require.InDelta(t, want[0], d, float64(20*time.Millisecond))
	}
}

// apart decodes a film and returns how much later the bell rings than the light
// flashes, each time.
func apart(t testing.TB, path string) (list []time.Duration) {
	t.Helper()
	dir := t.TempDir()
	picture, sound := filepath.Join(dir, "picture"), filepath.Join(dir, "sound")
	start(t, "ffmpeg", "-v", "error", "-copyts", "-i", path,
		"-map", "0:v", "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file="+picture, "-f", "null", "-",
		"-map", "0:a", "-af", "asetnsamples=44,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.RMS_level:file="+sound, "-f", "null", "-",
	).ok(patience)
	flashes, rings := rises(t, picture, 128), rises(t, sound, -20)
	for _, f := range flashes {
		for _, r := range rings {
			if d := r - f; d.Abs() < 500*time.Millisecond {
				list = append(list, d)
			}
		}
	}
	return list
}

// rises returns when the value in a file of ffmpeg's metadata filter begins to
// be more than limit. A value has two lines:
//
//	frame:25   pts:1000    pts_time:1
//	lavfi.signalstats.YAVG=235
func rises(t testing.TB, file string, limit float64) (list []time.Duration) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	above := true // a film that begins in the middle of a flash does not count it
	var at float64
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if _, text, ok := strings.Cut(line, "pts_time:"); ok {
			at, err = strconv.ParseFloat(text, 64)
			require.NoError(t, err)
		} else if _, text, ok := strings.Cut(line, "="); ok {
			v, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			if v > limit && !above {
				list = append(list, time.Duration(at*float64(time.Second)))
			}
			above = v > limit
		}
	}
	return list
}
