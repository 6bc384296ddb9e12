package e2e

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/source"
)

// webRoot serves a new folder with nginx and returns both.
func webRoot(t testing.TB) (dir, addr string) {
	t.Helper()
	find(t, "nginx")
	prefix := t.TempDir()
	dir, addr = filepath.Join(prefix, "root"), freeAddr(t)
	require.NoError(t, os.Mkdir(dir, 0o755))
	config := filepath.Join(prefix, "nginx.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
		daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
		events { worker_connections 256; }
		http {
			access_log off;
			client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
			uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
			types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/mp4 mp4 m4s; }
			server { listen %[2]s; root %[3]s; }
		}
	`, prefix, addr, dir), 0o600))
	start(t, "nginx", "-p", prefix, "-c", config, "-e", filepath.Join(prefix, "error.log"))
	listens(t, addr)
	return dir, addr
}

// A segmented is how ffmpeg cuts a clip for HLS.
type segmented struct {
	fmp4, live, encrypted bool
}

func (x segmented) String() string {
	name := "TS"
	if x.fmp4 {
		name = "fMP4"
	}
	if x.live {
		name += ", live"
	}
	if x.encrypted {
		name += ", encrypted"
	}
	return name
}

// The key of what is encrypted.
var segmentKey = []byte("sixteen bytes 16")

// cut has ffmpeg cut a clip into segments of two seconds in dir, which url is the
// address of, and returns when there is a playlist. A live one goes on.
func (x segmented) cut(t testing.TB, c clip, dir, url string) {
	t.Helper()
	if x.live && x.fmp4 && x.encrypted { // which is beyond it
		x.live = false
		film := t.TempDir()
		x.cut(t, c, film, url)
		air(t, film, dir)
		return
	}
	playlist := filepath.Join(dir, "stream.m3u8")
	args := []string{"-v", "error"}
	if x.live {
		args = append(args, "-re")
	}
	args = append(args, "-i", c.file(t), "-c", "copy", "-f", "hls", "-hls_time", "2")
	if x.fmp4 {
		args = append(args, "-hls_segment_type", "fmp4")
	}
	if x.encrypted {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "key"), segmentKey, 0o644))
	}
	if x.encrypted && !x.fmp4 { // of which it cannot encrypt those
		info := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(info, []byte(url+"/key\n"+filepath.Join(dir, "key")+"\n"), 0o600))
		args = append(args, "-hls_key_info_file", info)
	}
	if x.live {
		start(t, "ffmpeg", append(args, "-hls_list_size", "4", "-hls_flags", "delete_segments", playlist)...)
		eventually(t, func() bool {
			_, err := os.Stat(playlist)
			return err == nil
		}, "there is a playlist")
		return
	}
	start(t, "ffmpeg", append(args, "-hls_playlist_type", "vod", playlist)...).ok(patience)
	if x.encrypted && x.fmp4 {
		encryptSegments(t, dir, playlist)
	}
}

// air makes a live stream in dir of a film that was cut: a segment appears when
// it would have been recorded, and the playlist lists the last four.
func air(t testing.TB, film, dir string) {
	t.Helper()
	require.NoError(t, os.CopyFS(dir, os.DirFS(film)))
	playlist := filepath.Join(dir, "stream.m3u8")
	b, err := os.ReadFile(playlist)
	require.NoError(t, err)
	head, _, ok := strings.Cut(string(b), "#EXTINF:")
	require.True(t, ok)
	head = regexp.MustCompile(`#EXT-X-(PLAYLIST-TYPE|MEDIA-SEQUENCE):.*\n`).ReplaceAllString(head, "")
	segments := regexp.MustCompile(`#EXTINF:([\d.]+),\n[^#\n]+\n`).FindAllStringSubmatch(string(b), -1)
	require.NotEmpty(t, segments)
	show := func(n int) {
		first := max(0, n-4)
		text := fmt.Sprintf("%s#EXT-X-MEDIA-SEQUENCE:%d\n", head, first)
		for _, s := range segments[first:n] {
			text += s[0]
		}
		if n == len(segments) {
			text += "#EXT-X-ENDLIST\n"
		}
		next := playlist + ".next"
		if err := errors.Join(os.WriteFile(next, []byte(text), 0o644), os.Rename(next, playlist)); err != nil {
			t.Error(err)
		}
	}
	show(1)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		for n, s := range segments[1:] {
			length, _ := time.ParseDuration(s[1] + "s")
			select {
			case <-time.After(length):
				show(n + 2)
			case <-ctx.Done():
				return
			}
		}
	}()
}

// encryptSegments encrypts everything that a playlist lists, its initialization
// segment included (RFC 8216, 4.3.2.4 and 4.3.2.5).
func encryptSegments(t testing.TB, dir, playlist string) {
	t.Helper()
	b, err := os.ReadFile(playlist)
	require.NoError(t, err)
	block, err := aes.NewCipher(segmentKey)
	require.NoError(t, err)
	iv := []byte("0123456789abcdef")
	encrypt := func(name string) {
		file := filepath.Join(dir, name)
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		pad := aes.BlockSize - len(b)%aes.BlockSize
		for range pad {
			b = append(b, byte(pad))
		}
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(b, b)
		require.NoError(t, os.WriteFile(file, b, 0o644))
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		if m := regexp.MustCompile(`#EXT-X-MAP:URI="(.*)"`).FindStringSubmatch(line); m != nil {
			fmt.Fprintf(&out, "#EXT-X-KEY:METHOD=AES-128,URI=\"key\",IV=0x%x\n", iv)
			encrypt(m[1])
		} else if !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "" {
			encrypt(strings.TrimSpace(line))
		}
		out.WriteString(line)
	}
	require.NoError(t, os.WriteFile(playlist, []byte(out.String()), 0o644))
}

// TestPullHLS pulls what ffmpeg has cut and nginx serves, for viewers by RTMP and
// RTSP who ask for it: they see what was cut.
func TestPullHLS(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, gop: 50, duration: 16 * time.Second}
	published, pictures := probeFile(t, "ffprobe", c.file(t)), screen(t, c.file(t)).wait()
	for _, x := range []segmented{
		{}, {encrypted: true}, {live: true}, {live: true, encrypted: true},
		{fmp4: true}, {fmp4: true, encrypted: true}, {fmp4: true, live: true}, {fmp4: true, live: true, encrypted: true},
	} {
		t.Run(x.String(), func(t *testing.T) {
			t.Parallel()
			dir, addr := webRoot(t)
			url := "http://" + addr
			x.cut(t, c, dir, url)
			// The multivariant playlist lists something worse, too.
			require.NoError(t, os.WriteFile(filepath.Join(dir, "index.m3u8"), []byte("#EXTM3U\n"+
				"#EXT-X-STREAM-INF:BANDWIDTH=1000,RESOLUTION=16x16\nnone.m3u8\n"+
				"#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=320x192\nstream.m3u8\n"), 0o644))
			hub := &source.Hub{OnMiss: func(_ context.Context, r *source.Request) (source.Source, error) {
				return (&player.Client{Paced: true}).Source(url + "/" + r.Key.Stream + ".m3u8"), nil
			}}
			s := serve(t, hub)
			byRTMP := record(t, s.url("rtmp", "live/index"))
			byRTSP := screenRTSP(t, s.url("rtsp", "live/stream"), "tcp")
			// Who comes to a live playlist begins with what is in there: some way
			// from the beginning, if the machine is busy.
			late := 0
			if x.live {
				late = 4
			}
			t.Run("rtmp", func(t *testing.T) {
				got := probeFile(t, "ffprobe", byRTMP.wait())
				missing := late * c.gop
				requireSameStreams(t, published, got)
				requireSamePackets(t, published, got, "video", missing)
				requireSamePackets(t, published, got, "audio", 2*missing+1)
			})
			t.Run("rtsp", func(t *testing.T) {
				requireScreened(t, c, pictures, byRTSP.wait(), late+2, 3)
			})
		})
	}
}
