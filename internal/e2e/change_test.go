package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestParametersChange pushes two films of different size in a row on one
// connection, by RTMP and by RTSP. Every viewer decodes what it gets, and all
// pictures of both sizes arrive.
func TestParametersChange(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"rtmp", "rtsp"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			parametersChange(t, scheme)
		})
	}
}

func parametersChange(t *testing.T, by string) {
	small := clip{video: "h264", audio: "aac", bframes: 2, duration: 3 * time.Second}
	large := clip{video: "h264", audio: "aac", bframes: 2, size: "640x360", duration: 3 * time.Second}
	f := load(t, small).then(load(t, large))
	s := serve(t, nil)

	schemes := []string{"rtmp", "http", "ws"}
	viewers := map[string]*recording{}
	for _, scheme := range schemes {
		viewers[scheme] = record(t, s.url(scheme, "live/t"))
	}
	// ffprobe sees the stream itself, not a file that ffmpeg wrote.
	sizes := []string{"-v", "warning", "-select_streams", "v", "-show_entries", "frame=width,height", "-of", "csv=p=0"}
	direct := start(t, "ffprobe", append(sizes, s.url("rtmp", "live/t"))...)
	overRTSP := start(t, "ffprobe", append(sizes, "-rtsp_transport", "tcp", s.url("rtsp", "live/t"))...)

	s.viewers(t, len(schemes)+2)
	push(t, f, s.url(by, "live/t"))

	want := strings.Repeat("320,192\n", 75) + strings.Repeat("640,360\n", 75)
	for _, scheme := range schemes[1:] {
		t.Run(scheme, func(t *testing.T) {
			path := viewers[scheme].wait()
			requireDecodes(t, "ffmpeg", path)
			require.Equal(t, want, lines(start(t, "ffprobe", append(sizes, path)...).ok(patience)))
		})
	}
	t.Run("rtmp", func(t *testing.T) {
		require.Equal(t, want, lines(direct.ok(patience)))
		require.Empty(t, direct.stderr.String())
		viewers["rtmp"].wait()
	})
	t.Run("rtsp", func(t *testing.T) {
		got := lines(overRTSP.ok(patience))
		require.Empty(t, complaints(overRTSP.stderr.String()))
		require.True(t, strings.HasSuffix(want, got), "%d bytes, want %d", len(got), len(want))
		require.Contains(t, got, "320,192\n640,360\n")
	})
}

// lines brings ffprobe's CSV to one form: it ends some lines with a comma and
// leaves a blank one where side data would be.
func lines(csv string) string {
	var b strings.Builder
	for line := range strings.Lines(csv) {
		if line = strings.TrimRight(line, ",\r\n"); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
