package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A clip describes a test film: a moving picture with a clock in it and a tone.
type clip struct {
	video    string // "h264", "h265", "av1", "vp9"; "" for none
	audio    string // "aac", "opus", "mp3", "alaw", "mulaw"; "" for none
	size     string // of the picture; "" means 320x192
	fps      int    // 0 means 25
	gop      int    // frames from key frame to key frame; 0 means 25
	bframes  int    // between two P frames
	kbps     int    // of the video; 0 means what the encoder likes
	numbered bool   // pictures have their number written into them, see browser_number_test.go
	duration time.Duration
	form     string // the file's extension; "" means "mp4"
}

// encoders holds ffmpeg's arguments for a codec. All are made to be quick.
var encoders = map[string]string{
	"h264":  "-c:v libx264 -preset veryfast -sc_threshold 0 -bf BF -g GOP",
	"h265":  "-c:v libx265 -preset ultrafast -x265-params log-level=error:scenecut=0:keyint=GOP:min-keyint=GOP:bframes=BF:repeat-headers=0 -tag:v hvc1",
	"av1":   "-c:v libsvtav1 -preset 12 -g GOP",
	"vp9":   "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g GOP",
	"aac":   "-c:a aac -b:a 96k -ar 44100 -ac 2",
	"opus":  "-c:a libopus -b:a 64k -ar 48000 -ac 2",
	"mp3":   "-c:a libmp3lame -b:a 96k -ar 44100 -ac 2",
	"alaw":  "-c:a pcm_alaw -ar 8000 -ac 1",
	"mulaw": "-c:a pcm_mulaw -ar 8000 -ac 1",
}

// A clipStore makes each clip once a run.
type clipStore struct {
	dir   string
	mu    sync.Mutex // guards files
	files map[clip]func() (string, error)
}

// file returns the path of the clip, which the first call makes.
func (c clip) file(t testing.TB) string {
	t.Helper()
	find(t, "ffmpeg")
	clips.mu.Lock()
	if clips.files == nil {
		clips.files = map[clip]func() (string, error){}
	}
	build, ok := clips.files[c]
	if !ok {
		name := filepath.Join(clips.dir, fmt.Sprintf("clip%d.%s", len(clips.files), c.ext()))
		build = sync.OnceValues(func() (string, error) { return name, c.make(name) })
		clips.files[c] = build
	}
	clips.mu.Unlock()
	path, err := build()
	require.NoError(t, err)
	return path
}

func (c clip) ext() string {
	if c.form == "" {
		return "mp4"
	}
	return c.form
}

// make encodes the clip. It knows no test: a later one may use the same clip.
func (c clip) make(path string) error {
	size, fps, gop := c.size, c.fps, c.gop
	if size == "" {
		size = "320x192"
	}
	if fps == 0 {
		fps = 25
	}
	if gop == 0 {
		gop = 25
	}
	args := []string{"-v", "error", "-y"}
	if c.video != "" {
		args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%s:rate=%d", size, fps))
	}
	if c.audio != "" {
		args = append(args, "-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4")
	}
	for _, name := range []string{c.video, c.audio} {
		if name != "" {
			enc := strings.NewReplacer("BF", strconv.Itoa(c.bframes), "GOP", strconv.Itoa(gop)).Replace(encoders[name])
			args = append(args, strings.Fields(enc)...)
		}
	}
	if c.kbps > 0 {
		rate := strconv.Itoa(c.kbps) + "k"
		args = append(args, "-vf", "noise=alls=30:allf=t", // else the encoder would stay below the rate
			"-b:v", rate, "-maxrate", rate, "-bufsize", strconv.Itoa(c.kbps/2)+"k")
	}
	if c.numbered {
		args = append(args, "-vf", numberFilter())
	}
	args = append(args, "-pix_fmt", "yuv420p", "-t", strconv.FormatFloat(c.duration.Seconds(), 'f', 3, 64), path)
	out, err := execute("ffmpeg", args...)
	if err != nil {
		return fmt.Errorf("make %+v: %w\n%s", c, err, out)
	}
	if st, err := os.Stat(path); err != nil || st.Size() == 0 {
		return fmt.Errorf("make %+v: nothing came out", c)
	}
	return nil
}
