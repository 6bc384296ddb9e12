package player

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// writeFilm writes the first d of film to a file and returns its path and its
// frames.
func writeFilm(t *testing.T, ext string, d time.Duration) (path string, frames []*codec.Frame) {
	path = filepath.Join(t.TempDir(), "a film"+ext)
	frames = film.Take(d)
	require.NoError(t, os.WriteFile(path, encodeFilm(t, ext, frames), 0o600))
	return path, frames
}

// encodeFilm returns frames of film as a file.
func encodeFilm(t *testing.T, ext string, frames []*codec.Frame) []byte {
	var b bytes.Buffer
	var w source.Writer
	switch ext {
	case ".flv":
		w = flv.NewWriter(&b, film.Tracks())
	case ".ts":
		w = ts.NewWriter(&b, film.Tracks())
	case ".mpg":
		w = ps.NewWriter(&b, film.Tracks())
	case ".mp4":
		m, err := mp4.NewMuxer(film.Tracks())
		require.NoError(t, err)
		b.Write(m.Init())
		for _, f := range frames {
			require.NoError(t, m.Add(f))
			if m.Ready() > 20 {
				b.Write(m.AppendFragment(nil))
			}
		}
		m.Flush()
		return m.AppendFragment(b.Bytes())
	}
	for _, f := range frames {
		require.NoError(t, w.WriteFrame(t.Context(), f))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestOpenFile(t *testing.T) {
	for _, ext := range []string{".flv", ".ts", ".mpg", ".mp4"} {
		path, want := writeFilm(t, ext, 2*time.Second)
		fileURL := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
		if runtime.GOOS == "windows" {
			fileURL.Path = "/" + fileURL.Path
		}
		other := filepath.Join(filepath.Dir(path), "nameless") // what it is does not depend on its name
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(other, b, 0o600))
		for _, c := range []struct {
			name   string
			client Client
			url    string
		}{
			{"path", Client{}, path},
			{"URL", Client{}, fileURL.String()},
			{"no extension", Client{}, other},
			{"a file is not opened again", Client{Retry: &source.Backoff{}}, path},
		} {
			t.Run(ext+" "+c.name, func(t *testing.T) {
				r, err := c.client.Open(t.Context(), c.url)
				require.NoError(t, err)
				require.Len(t, r.Tracks(), 2)
				var got []*codec.Frame
				for f, err := range source.Frames(t.Context(), r) {
					require.NoError(t, err)
					got = append(got, f)
				}
				require.Len(t, got, len(want))
				filmtest.Require(t, got, 2*time.Millisecond)
				require.NoError(t, r.Close())
			})
		}
	}
}

func TestOpenFilePaced(t *testing.T) {
	path, _ := writeFilm(t, ".flv", 10*time.Second)
	synctest.Test(t, func(t *testing.T) {
		r, err := (&Client{Paced: true}).Open(t.Context(), path)
		require.NoError(t, err)
		start := time.Now()
		for f, err := range source.Frames(t.Context(), r) {
			require.NoError(t, err)
			require.Equal(t, f.DTS, time.Since(start))
		}
		require.NoError(t, r.Close())
	})
}

// Every kind of URL gives the stream that was published.
func TestOpenLive(t *testing.T) {
	o := startOrigin(t, "")
	publish(t, "rtmp://"+o.rtmp+"/live/cam", film)
	var dialed atomic.Int32
	c := &Client{
		TLSConfig: o.clientTLS(),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	plain, secure := strings.TrimPrefix(o.http.URL, "http://"), strings.TrimPrefix(o.tls.URL, "https://")
	urls := []string{
		"rtsp://" + o.rtsp + "/live/cam",
		"rtsps://" + o.rtsps + "/live/cam",
		"rtmp://" + o.rtmp + "/live/cam",
		"RTMP://" + o.rtmp + "/live/cam",
		"rtmps://" + o.rtmps + "/live/cam",
		"http://" + plain + "/live/cam.live.flv",
		"https://" + secure + "/live/cam.live.flv",
		"ws://" + plain + "/live/cam.live.flv",
		"wss://" + secure + "/live/cam.live.flv",
	}
	for _, u := range []string{"http://" + plain, "https://" + secure, "ws://" + plain, "wss://" + secure} {
		urls = append(urls, u+"/live/cam.live.ts", u+"/live/cam.live.mp4")
	}
	for _, name := range []string{"/live/cam/hls.m3u8", "/live/cam/hls.fmp4.m3u8", "/live/cam/index.m3u8"} {
		urls = append(urls, o.http.URL+name, o.tls.URL+name)
	}
	for _, u := range urls {
		scheme, _, _ := strings.Cut(u, ":")
		t.Run(scheme+path.Base(u), func(t *testing.T) {
			r, err := c.Open(filmtest.Soon(t), u)
			require.NoError(t, err)
			defer r.Close()
			tracks := r.Tracks()
			require.Len(t, tracks, 2)
			require.Equal(t, codec.H264, tracks[0].Codec)
			require.Equal(t, 1280, tracks[0].Width)
			require.Equal(t, codec.AAC, tracks[1].Codec)
			f, err := r.ReadFrame(filmtest.Soon(t))
			require.NoError(t, err)
			require.True(t, f.Key())
		})
	}
	require.GreaterOrEqual(t, int(dialed.Load()), len(urls), "the client's own Dial is used")
}

// The transport of RTSP can be chosen, and is used.
func TestOpenRTSP(t *testing.T) {
	o := startOrigin(t, "")
	publish(t, "rtmp://"+o.rtmp+"/live/cam", film)
	for transport, dials := range map[rtsp.Transport]int32{rtsp.TransportTCP: 1, rtsp.TransportUDP: 1, rtsp.TransportHTTP: 2} {
		t.Run(transport.String(), func(t *testing.T) {
			var dialed atomic.Int32
			c := &Client{Transport: transport, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}}
			r, err := c.Open(filmtest.Soon(t), "rtsp://"+o.rtsp+"/live/cam")
			require.NoError(t, err)
			defer r.Close()
			require.Equal(t, dials, dialed.Load())
			for range 20 {
				_, err := r.ReadFrame(filmtest.Soon(t))
				require.NoError(t, err)
			}
		})
	}
}

// A hub gets what it has not from another server, in any form, and gives it out
// by RTMP and RTSP: frame by frame, with audio and video as far apart as they
// were.
func TestPull(t *testing.T) {
	first := startOrigin(t, "")
	publish(t, "rtmp://"+first.rtmp+"/live/cam", film)
	for name, from := range map[string]string{
		"RTSP": "rtsp://" + first.rtsp + "/live/cam", "TS": first.http.URL + "/live/cam.live.ts", "fMP4": first.http.URL + "/live/cam.live.mp4",
		"HLS with TS": first.http.URL + "/live/cam/hls.m3u8", "HLS with fMP4": first.http.URL + "/live/cam/index.m3u8",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edge := startOrigin(t, "")
			edge.hub.OnMiss = func(context.Context, *source.Request) (source.Source, error) {
				return (&Client{Transport: rtsp.TransportTCP}).Source(from), nil
			}
			for _, u := range []string{"rtmp://" + edge.rtmp + "/live/cam", "rtsp://" + edge.rtsp + "/live/cam"} {
				r, err := (&Client{Transport: rtsp.TransportTCP}).Open(filmtest.Soon(t), u)
				require.NoError(t, err)
				var got []*codec.Frame
				for len(got) < 60 {
					f, err := r.ReadFrame(filmtest.Soon(t))
					require.NoError(t, err)
					got = append(got, f)
				}
				require.NoError(t, r.Close())
				filmtest.Require(t, got, 2*time.Millisecond)
			}
		})
	}
}

func TestOpenHTTPRefusals(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	answer := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		err     error
		says    string
	}{
		{"an empty playlist", answer(200, "#EXTM3U\n#EXT-X-VERSION:3\n"), hls.ErrInvalid, "playlist"},
		{"Matroska", answer(200, "\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00"), source.ErrUnsupported, "Matroska"},
		{"a page", answer(200, "<html>come back later</html>"), ErrUnknown, "<html>"},
		{"nothing", answer(200, ""), io.ErrUnexpectedEOF, ""},
		{"too little", answer(200, "FLV\x01"), io.ErrUnexpectedEOF, ""},
		{"missing", answer(404, ""), source.ErrNotFound, "404"},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}, source.ErrTimeout, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(c.handler)
			defer srv.Close()
			client := &Client{}
			if c.name == "no answer" {
				client.Timeout = 50 * time.Millisecond
			}
			_, err := client.Open(filmtest.Soon(t), srv.URL+"/live/cam.live.flv")
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// A URL that cannot work is not tried again.
func TestOpenBadURL(t *testing.T) {
	c := &Client{Retry: &source.Backoff{}}
	for _, u := range []string{"rtsp:///live/cam", "rtmp://127.0.0.1", "rtmp://127.0.0.1/live", "rtmps:///live/cam", "http:///live/cam.flv", "ws://%zz/"} {
		_, err := c.Open(filmtest.Soon(t), u)
		require.ErrorIs(t, err, source.ErrBadKey, u)
	}
}

func ExampleOpen() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := Open(ctx, "rtmp://example.com/live/cam")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	for _, t := range r.Tracks() {
		fmt.Println(t)
	}
	for f, err := range source.Frames(context.Background(), r) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(f.Track.Codec, f.DTS, len(f.Data))
	}
}
