package conversion

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// An input is a way into the hub.
type input struct {
	name string
	tick func(*codec.Track) time.Duration
	// apart is how far tracks may be moved against each other: by RTP they are put
	// together by the time of arrival if that is as good as their reports.
	apart time.Duration
	// publish brings f to the hub as the stream key, waiting at the gate.
	publish func(t *testing.T, s *site, key source.Key, f *film, open <-chan struct{}) error
}

var inputs = []input{
	{"RTSP", rtpTick, time.Millisecond, push("rtsp")},
	{"RTMP", flvTick, 0, push("rtmp")},
	{"HTTP-FLV", flvTick, 0, pulled(".live.flv", func(h source.Handler) http.Handler { return &flv.Handler{Handler: h} })},
	{"FLV file", flvTick, 0, played("film.flv", func(w *os.File, tracks []*codec.Track) (source.Writer, error) {
		return flv.NewWriter(w, tracks), nil
	})},
	{"HTTP-TS", tsTick, 0, pulled(".live.ts", func(h source.Handler) http.Handler { return &ts.Handler{Handler: h} })},
	{"TS file", tsTick, 0, played("film.ts", func(w *os.File, tracks []*codec.Track) (source.Writer, error) {
		return ts.NewWriter(w, tracks), nil
	})},
	{"HTTP-fMP4", mp4Tick, 0, pulled(".live.mp4", func(h source.Handler) http.Handler { return &mp4.Handler{Handler: h} })},
	{"MP4 file", mp4Tick, 0, played("film.mp4", func(w *os.File, tracks []*codec.Track) (source.Writer, error) {
		return mp4.NewWriter(w, tracks, nil)
	})},
	{"HLS, TS", tsTick, 0, segmented(hls.TS, "hls.m3u8")},
	{"HLS, fMP4", mp4Tick, 0, segmented(hls.FMP4, "hls.fmp4.m3u8")},
	{"RTP, PS", tsTick, 0, received(programDevice)},
	{"RTP, TS", tsTick, 0, received(transportDevice)},
	{"RTP, ES", rtpTick, time.Second, received(elementaryDevice)},
}

// push publishes to the site's server.
func push(scheme string) func(*testing.T, *site, source.Key, *film, <-chan struct{}) error {
	return func(t *testing.T, s *site, key source.Key, f *film, open <-chan struct{}) error {
		w, err := (&pusher.Client{Transport: rtsp.TransportTCP}).Create(t.Context(), s.url(scheme, key.Path()), f.tracks)
		if err != nil {
			return err
		}
		if err := source.Copy(t.Context(), w, &gate{f.again(), open}); err != nil {
			_ = w.Close()
			return err
		}
		return w.Close()
	}
}

// publish publishes what there is at url.
func publish(ctx context.Context, s *site, key source.Key, url string, open <-chan struct{}) error {
	r, err := player.Open(ctx, url)
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := s.hub.Publish(ctx, &source.Request{ID: source.NewID(), Schema: "pull", Key: key})
	if err != nil {
		return err
	}
	if err = p.SetTracks(r.Tracks(), true); err == nil {
		err = source.Copy(ctx, p, &gate{r, open})
	}
	if err != nil {
		_ = p.CloseWithError(err)
		return err
	}
	return p.Close()
}

// pulled publishes what is pulled from another server.
func pulled(suffix string, handler func(source.Handler) http.Handler) func(*testing.T, *site, source.Key, *film, <-chan struct{}) error {
	return func(t *testing.T, s *site, key source.Key, f *film, open <-chan struct{}) error {
		origin := httptest.NewServer(handler(theater{f}))
		defer origin.Close()
		return publish(t.Context(), s, key, origin.URL+"/origin/film"+suffix, open)
	}
}

// A theater shows a film, whatever is asked for.
type theater struct{ film *film }

func (h theater) Play(context.Context, *source.Request) (source.Reader, error) {
	return h.film.again(), nil
}

func (h theater) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}

// played publishes a file.
func played(name string, writer func(*os.File, []*codec.Track) (source.Writer, error)) func(*testing.T, *site, source.Key, *film, <-chan struct{}) error {
	return func(t *testing.T, s *site, key source.Key, f *film, open <-chan struct{}) error {
		path := filepath.Join(t.TempDir(), name)
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		w, err := writer(file, f.tracks)
		if err != nil {
			_ = file.Close()
			return err
		}
		if err := write(t.Context(), w, f); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		return publish(t.Context(), s, key, path, open)
	}
}

// write writes all of f and closes w.
func write(ctx context.Context, w source.Writer, f *film) error {
	if err := source.Copy(ctx, w, f.again()); err != nil {
		_ = w.Close()
		return err
	}
	return w.Close()
}

// segmented publishes what is pulled from a playlist that has an end.
func segmented(c hls.Container, playlist string) func(*testing.T, *site, source.Key, *film, <-chan struct{}) error {
	return func(t *testing.T, s *site, key source.Key, f *film, open <-chan struct{}) error {
		w, err := hls.NewWriter(f.tracks, hls.Options{Container: c, Segments: -1, Segment: gop})
		if err != nil {
			return err
		}
		if err := write(t.Context(), w, f); err != nil {
			return err
		}
		origin := httptest.NewServer(w)
		defer origin.Close()
		return publish(t.Context(), s, key, origin.URL+"/"+playlist, open)
	}
}
