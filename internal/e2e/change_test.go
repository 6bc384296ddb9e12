package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/source"
)

// TestParametersChange pushes two films of different size in a row on one
// connection. Every viewer, there from the start or come in between, decodes
// what it gets, and all pictures of both sizes arrive.
func TestParametersChange(t *testing.T) {
	t.Parallel()
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
	direct := start(t, "ffprobe", "-v", "warning", "-select_streams", "v", "-show_entries", "frame=width,height", "-of", "csv=p=0", s.url("rtmp", "live/t"))

	s.viewers(t, len(schemes)+1)
	w, err := pusher.Create(t.Context(), s.url("rtmp", "live/t"), f.Tracks())
	require.NoError(t, err)
	require.NoError(t, source.Copy(t.Context(), w, f))
	require.NoError(t, w.Close())

	want := strings.Repeat("320,192\n", 75) + strings.Repeat("640,360\n", 75)
	for _, scheme := range schemes[1:] {
		t.Run(scheme, func(t *testing.T) {
			path := viewers[scheme].wait()
			requireDecodes(t, "ffmpeg", path)
			sizes := start(t, "ffprobe", "-v", "warning", "-select_streams", "v", "-show_entries", "frame=width,height", "-of", "csv=p=0", path)
			require.Equal(t, want, lines(sizes.ok(patience)))
		})
	}
	t.Run("rtmp", func(t *testing.T) {
		require.Equal(t, want, lines(direct.ok(patience)))
		require.Empty(t, direct.stderr.String())
		viewers["rtmp"].wait()
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
