package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTransmuxExample takes a film through all containers, one after the other, as
// examples/transmux does: other programs find the same in each.
func TestTransmuxExample(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 8 * time.Second, form: "mp4"}
	from := c.file(t)
	want := probeFile(t, "ffprobe", from)
	dir := t.TempDir()
	for _, step := range []struct{ layout, file string }{
		{"progressive", "a.ts"},
		{"progressive", "a.mpg"},
		{"progressive", "b.flv"},
		{"fragmented", "c.mp4"},
		{"progressive", "d.flv"},
		{"faststart", "e.mp4"},
		{"progressive", "f.m3u8"},
		{"progressive", "g.mp4"},
	} {
		to := filepath.Join(dir, step.file)
		p := example(t, "transmux", "-layout", step.layout, from, to)
		p.ok(patience)
		require.Contains(t, p.stderr.String(), "100 %")
		got := probeFile(t, "ffprobe", to)
		switch filepath.Ext(to) {
		case ".mp4", ".flv": // their packets are the same bytes
			requireSame(t, want, got, 0)
		default:
			requireSameStreams(t, want, got)
			for _, kind := range []string{"video", "audio"} {
				require.Len(t, got.packets(t, kind), len(want.packets(t, kind)), "%s in %s", kind, step.file)
			}
		}
		requireDecodes(t, "ffmpeg", to)
		if filepath.Ext(to) != ".m3u8" {
			from = to
		}
	}

	p := example(t, "transmux", from, from)
	require.Error(t, p.wait(patience), "a file is not written over what is read")
	requireSame(t, want, probeFile(t, "ffprobe", from), 0)
}
