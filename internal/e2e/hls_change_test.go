package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/hls"
)

// get returns what a URL has.
func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

// An hlsViewer is our client watching a playlist.
type hlsViewer struct {
	frames chan *codec.Frame
	end    chan error // gets one
}

func watchHLS(t testing.TB, url string) *hlsViewer {
	v := &hlsViewer{make(chan *codec.Frame, 1<<16), make(chan error, 1)}
	go func() {
		r, err := (&hls.Client{}).Open(t.Context(), url)
		for err == nil {
			var f *codec.Frame
			if f, err = r.ReadFrame(t.Context()); err == nil {
				v.frames <- f
			}
		}
		if r != nil {
			r.Close()
		}
		close(v.frames)
		v.end <- err
	}()
	return v
}

// wait waits for the end of the stream, which must be a proper one, and returns
// the frames.
func (v *hlsViewer) wait(t testing.TB) (all []*codec.Frame) {
	t.Helper()
	late := time.After(2 * patience)
	for {
		select {
		case f, ok := <-v.frames:
			if !ok {
				require.ErrorIs(t, <-v.end, io.EOF)
				return all
			}
			all = append(all, f)
		case <-late:
			t.Fatal("the stream does not end")
		}
	}
}

// requireOrder checks that times do not fall in a track, and have no gap longer
// than most.
func requireOrder(t testing.TB, frames []*codec.Frame, most time.Duration) {
	t.Helper()
	last := map[int]time.Duration{}
	for i, f := range frames {
		if before, ok := last[f.Track.ID]; ok {
			require.GreaterOrEqual(t, f.DTS, before, "frame %d", i)
			require.LessOrEqual(t, f.DTS-before, most, "frame %d", i)
		}
		last[f.Track.ID] = f.DTS
	}
}

// TestHLSPublisherComesBack kills a publisher as "kill -9" does. Another one
// takes the name, and who watches by HLS goes on, over a discontinuity in the
// playlist.
func TestHLSPublisherComesBack(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 8 * time.Second}
	for _, x := range []struct{ name, by string }{{"hls.m3u8", "rtmp"}, {"hls.fmp4.m3u8", "rtsp"}} {
		t.Run(x.name+" from "+x.by, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			url := s.at("http", "live/t/"+x.name)
			viewer := start(t, "ffmpeg", "-v", "warning", "-progress", "pipe:1", "-stats_period", "0.2", "-i", url,
				"-fps_mode", "passthrough", "-af", ownClock, "-f", "null", "-")
			ours := watchHLS(t, url)
			publishBy := func(more ...string) *process {
				if x.by == "rtsp" {
					return publishRTSP(t, c.file(t), s.url("rtsp", "live/t"), "tcp", more...)
				}
				return publish(t, c.file(t), s.url("rtmp", "live/t"), more...)
			}
			first := publishBy("-stream_loop", "-1")
			decoded := func() int { return lastFrame(viewer.stdout.String()) }
			eventually(t, func() bool { return decoded() > 30 }, "frames are decoded")
			first.kill()
			second := publishBy()
			eventually(t, func() bool {
				_, body := get(t, url)
				return strings.Contains(body, "#EXT-X-DISCONTINUITY\n")
			}, "the playlist has a discontinuity")
			second.ok(patience)
			viewer.ok(patience)
			require.Empty(t, complaints(viewer.stderr.String()))
			require.Greater(t, decoded(), 30+int(c.duration.Seconds()*25)*3/4)

			frames := ofKind(ours.wait(t), codec.KindVideo)
			requireOrder(t, frames, 10*time.Second)
			anew := 0
			for i, f := range frames {
				if i > 0 && f.Has(codec.FlagDiscont) {
					anew++
					require.True(t, f.Key())
				}
			}
			require.Equal(t, 1, anew)
			require.Greater(t, len(frames), int(c.duration.Seconds()*25)*3/4)
		})
	}
}

// A collector keeps what a live playlist lists, as players do.
type collector struct {
	films []string // files: an initialization segment and the segments that need it
	err   error
	done  chan struct{}
}

// collect fetches all segments of a playlist until that ends.
func collect(t testing.TB, url string) *collector {
	c := &collector{done: make(chan struct{})}
	dir := t.TempDir()
	go func() {
		defer close(c.done)
		c.err = c.run(t.Context(), url, dir)
	}()
	t.Cleanup(func() { <-c.done })
	return c
}

func (c *collector) run(ctx context.Context, playlist, dir string) error {
	fetch := func(uri string) (string, error) {
		body, err := open(ctx, uri)
		if err != nil {
			return "", fmt.Errorf("%s: %w", uri, err)
		}
		defer body.Close()
		b, err := io.ReadAll(body)
		return string(b), err
	}
	seen, initial := map[string]bool{}, ""
	base := playlist[:strings.LastIndexByte(playlist, '/')+1]
	for tick := time.NewTicker(500 * time.Millisecond); ; <-tick.C {
		text, err := fetch(playlist)
		if err != nil {
			return err
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if m := regexp.MustCompile(`^#EXT-X-MAP:.*URI="([^"]*)"`).FindStringSubmatch(line); m != nil {
				initial = m[1]
			}
			if line == "" || line[0] == '#' || seen[line] {
				continue
			}
			seen[line] = true
			segment, err := fetch(base + line)
			if err != nil {
				return err
			}
			if initial != "" && !seen[initial] {
				seen[initial] = true
				header, err := fetch(base + initial)
				if err != nil {
					return err
				}
				segment = header + segment
				c.films = append(c.films, filepath.Join(dir, fmt.Sprintf("%d.mp4", len(c.films))))
			}
			f, err := os.OpenFile(c.films[len(c.films)-1], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			_, err = f.WriteString(segment)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
		}
		if strings.Contains(text, "#EXT-X-ENDLIST") {
			return nil
		}
	}
}

// TestHLSParametersChange pushes two films of different size in a row. Who
// watches by HLS decodes all pictures of both. ffmpeg does of TS; of fMP4 it
// passes over the second initialization segment, and is given what goes with
// each.
func TestHLSParametersChange(t *testing.T) {
	t.Parallel()
	small := clip{video: "h264", audio: "aac", bframes: 2, duration: 6 * time.Second}
	large := clip{video: "h264", audio: "aac", bframes: 2, size: "640x360", duration: 6 * time.Second}
	for _, name := range []string{"hls.m3u8", "hls.fmp4.m3u8"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := load(t, small).then(load(t, large))
			s := serve(t, nil)
			url := s.at("http", "live/t/"+name)
			args := []string{"-v", "warning", "-select_streams", "v", "-show_entries", "frame=width,height", "-of", "csv=p=0"}
			var sizes func() string
			if name == "hls.m3u8" {
				p := start(t, "ffprobe", append(args, url)...)
				sizes = func() string {
					out := lines(p.ok(patience))
					require.Empty(t, complaints(p.stderr.String()))
					return out
				}
			} else {
				c := collect(t, url+"?by=hand")
				sizes = func() (all string) {
					<-c.done
					require.NoError(t, c.err)
					require.Len(t, c.films, 2)
					for _, film := range c.films {
						requireDecodes(t, "ffmpeg", film)
						all += lines(start(t, "ffprobe", append(args, film)...).ok(patience))
					}
					return all
				}
			}
			ours := watchHLS(t, url)
			s.viewers(t, 2)
			push(t, f, s.url("rtmp", "live/t"))

			frames := ours.wait(t)
			requireOrder(t, frames, time.Second)
			got := ofKind(frames, codec.KindVideo)
			require.Equal(t, []int{150, 150}, []int{countWidth(got, 320), countWidth(got, 640)})
			f.requireLike(t, frames, exactness{tick: loosely}) // after a discontinuity times are what the client makes them

			want := strings.Repeat("320,192\n", 150) + strings.Repeat("640,360\n", 150)
			require.Equal(t, want, sizes())
		})
	}
}

// countWidth returns how many pictures are that wide.
func countWidth(frames []*codec.Frame, width int) (n int) {
	for _, f := range frames {
		if f.Track.Width == width {
			n++
		}
	}
	return n
}
