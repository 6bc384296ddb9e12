package player

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// serveHLS offers the first seconds of film at /vod.m3u8, and at /vod, which does
// not tell what it is. Segments are for those who have the playlist's cookie.
func serveHLS(t *testing.T, seconds int) (handler http.Handler, frames []*codec.Frame) {
	mux := http.NewServeMux()
	list := "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
	frames = film.Take(time.Duration(seconds) * time.Second)
	for i := range seconds {
		var part []*codec.Frame
		for _, f := range frames {
			if f.DTS/time.Second == time.Duration(i) {
				part = append(part, f)
			}
		}
		list += fmt.Sprintf("#EXTINF:1,\n%d.ts\n", i)
		segment := encodeFilm(t, ".ts", part)
		mux.HandleFunc(fmt.Sprintf("/%d.ts", i), func(w http.ResponseWriter, r *http.Request) {
			if c, err := r.Cookie("viewer"); err != nil || c.Value != "me" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			_, _ = w.Write(segment)
		})
	}
	for _, path := range []string{"/vod.m3u8", "/vod"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "viewer", Value: "me", Path: "/"})
			fmt.Fprint(w, list, "#EXT-X-ENDLIST\n")
		})
	}
	return mux, frames
}

func TestOpenHLS(t *testing.T) {
	h, want := serveHLS(t, 3)
	srv := httptest.NewServer(h)
	defer srv.Close()
	for _, path := range []string{"/vod.m3u8", "/vod.m3u8?x=1", "/vod"} {
		r, err := Open(filmtest.Soon(t), srv.URL+path)
		require.NoError(t, err)
		require.Len(t, r.Tracks(), 2)
		pulled, ok := source.As[*hls.Reader](r)
		require.True(t, ok)
		require.False(t, pulled.Live())
		var got []*codec.Frame
		for f, err := range source.Frames(filmtest.Soon(t), r) {
			require.NoError(t, err)
			got = append(got, f)
		}
		require.Len(t, got, len(want))
		filmtest.Require(t, got, 2*time.Millisecond)
		require.NoError(t, r.Close())
	}
}

// Paced is for streams that have an end.
func TestOpenHLSPaced(t *testing.T) {
	h, _ := serveHLS(t, 4)
	srv := httptest.NewServer(h)
	defer srv.Close()
	r, err := (&Client{Paced: true}).Open(filmtest.Soon(t), srv.URL+"/vod.m3u8")
	require.NoError(t, err)
	defer r.Close()
	start := time.Now()
	for {
		f, err := r.ReadFrame(filmtest.Soon(t))
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(start), f.DTS)
		if f.DTS > 300*time.Millisecond {
			return
		}
	}
}

// A stream that somebody cut in the middle of a packet is told by what the server
// calls it.
func TestOpenCut(t *testing.T) {
	for _, c := range []struct{ ext, path, contentType string }{
		{".ts", "/a", "video/MP2T"}, {".ts", "/a.ts", ""}, {".ts", "/a", "video/mp2t; charset=x"},
		{".mpg", "/a", "video/MP2P"}, {".mpg", "/a", "video/mpeg"}, {".mpg", "/a.PS", ""},
	} {
		b := encodeFilm(t, c.ext, film.Take(2*time.Second))[100:]
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.contentType != "" {
				w.Header().Set("Content-Type", c.contentType)
			}
			_, _ = bytes.NewReader(b).WriteTo(w)
		}))
		r, err := Open(filmtest.Soon(t), srv.URL+c.path)
		require.NoError(t, err)
		require.Len(t, r.Tracks(), 2)
		require.NoError(t, r.Close())
		srv.Close()
	}
}

// A stream without anything in it is opened, and ends.
func TestBegunEmpty(t *testing.T) {
	b := []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	r, err := begun(t.Context(), flv.NewReader(bytes.NewReader(b)))
	require.NoError(t, err)
	for range source.Frames(t.Context(), r) {
		t.Fatal("a frame")
	}
	require.NoError(t, r.Close())
}

// A transport stream that somebody sends by UDP.
func TestOpenUDP(t *testing.T) {
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.LocalAddr().String()
	require.NoError(t, free.Close())
	conn, err := net.Dial("udp", addr)
	require.NoError(t, err)
	b := encodeFilm(t, ".ts", film.Take(time.Minute))
	done := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		const datagram = 7 * ts.PacketSize
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for at := 0; ; at = (at + datagram) % (len(b) - datagram) / datagram * datagram {
			select {
			case <-done:
				return
			case <-tick.C:
				_, _ = conn.Write(b[at : at+datagram]) // fails while nobody listens
			}
		}
	})
	r, err := Open(filmtest.Soon(t), "udp://"+addr)
	require.NoError(t, err)
	require.Len(t, r.Tracks(), 2)
	for range 20 {
		_, err := r.ReadFrame(filmtest.Soon(t))
		require.NoError(t, err)
	}
	require.NoError(t, r.Close())
	close(done)
	sending.Wait()
	require.NoError(t, conn.Close())
	_, err = (&Client{ReadTimeout: 20 * time.Millisecond}).Open(filmtest.Soon(t), "udp://"+addr)
	require.ErrorIs(t, err, source.ErrTimeout)
}
