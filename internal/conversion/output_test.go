package conversion

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/record"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// An output is a way out of the hub.
type output struct {
	name     string
	feed     string // name of its format in source.FeedStats; "" if it has none
	tick     func(*codec.Track) time.Duration
	sessions int // of the stream, that a viewer makes
	begin    func(t *testing.T, s *site, key source.Key) viewer
	playlist string // of live HLS
	variant  string // what that of its feed begins with
	// apart is how far tracks may be moved against each other: they may be streams of
	// their own.
	apart time.Duration
}

// A viewer takes what comes out of one stream.
type viewer interface {
	// watching waits until nothing that comes from now on is missed, if there is
	// more to it than that the stream has the sessions of the output.
	watching(ctx context.Context) error
	// all returns what came when the stream has ended, and which tracks were
	// announced.
	all(ctx context.Context) (result, error)
}

// A result is what came out.
type result struct {
	tracks []*codec.Track
	frames []*codec.Frame
	left   uint64 // frames that were left out, where that is counted
	counts bool   // it is
}

var outputs = []output{
	{"RTSP", "rtsp", rtpTick, 1, pull("rtsp", "%s"), "", "", 0},
	{"RTMP", "rtmp", flvTick, 1, pull("rtmp", "%s"), "", "", 0},
	{"HTTP-FLV", "flv", flvTick, 1, pull("http", "%s.live.flv"), "", "", 0},
	{"WS-FLV", "flv", flvTick, 1, pull("ws", "%s.live.flv"), "", "", 0},
	{"HTTP-TS", "ts", tsTick, 1, pull("http", "%s.live.ts"), "", "", 0},
	{"HTTP-fMP4", "fmp4", mp4Tick, 1, pull("http", "%s.live.mp4"), "", "", 0},
	{"HLS, TS", "", tsTick, 2, pullHLS("hls.m3u8"), "hls.m3u8", "", 0},
	{"HLS, fMP4", "", mp4Tick, 2, pullHLS("hls.fmp4.m3u8"), "hls.fmp4.m3u8", "", 0},
	{"MP4 file", "", mp4Tick, 1, recorded(record.MP4), "", "", 0},
	{"FLV file", "", flvTick, 1, recorded(record.FLV), "", "", 0},
	{"TS file", "", tsTick, 1, recorded(record.TS), "", "", 0},
	{"HLS files, TS", "", tsTick, 1, recorded(record.HLS), "", "", 0},
	{"HLS files, fMP4", "", mp4Tick, 1, recorded(record.HLSFMP4), "", "", 0},
	{"RTP, PS", "rtp", tsTick, 1, sent(collected, ps.SendOptions{Payload: ps.PayloadPS}), "", variant(ps.PayloadPS), 0},
	{"RTP, TS", "rtp", tsTick, 1, sent(collected, ps.SendOptions{Payload: ps.PayloadTS}), "", variant(ps.PayloadTS), 0},
	{"RTP, ES", "rtp", rtpTick, 2, sent(unpacked, ps.SendOptions{Payload: ps.PayloadES}, ps.SendOptions{Payload: ps.PayloadES, OnlyAudio: true}), "", variant(ps.PayloadES), time.Hour},
}

// The ticks of the wires.

func flvTick(*codec.Track) time.Duration { return time.Millisecond }
func tsTick(*codec.Track) time.Duration  { return ticks(90000) }

func rtpTick(t *codec.Track) time.Duration {
	if t.Codec == codec.MP3 {
		return ticks(90000)
	}
	return mp4Tick(t)
}

func mp4Tick(t *codec.Track) time.Duration {
	if t.Kind() == codec.KindAudio {
		return ticks(t.SampleRate)
	}
	return ticks(90000)
}

// ticks returns the length of a tick, rounded up.
func ticks(rate int) time.Duration { return time.Second/time.Duration(rate) + 1 }

// A liveViewer plays a stream while it is there.
type liveViewer struct {
	late   bool          // it has a session before it watches
	opened chan struct{} // closed when it does
	done   chan struct{} // closed when it has come to an end
	result
	err error
}

// pull plays the URL whose path form makes of a stream's.
func pull(scheme, form string) func(*testing.T, *site, source.Key) viewer {
	return func(t *testing.T, s *site, key source.Key) viewer {
		v := &liveViewer{late: scheme == "rtsp", opened: make(chan struct{}), done: make(chan struct{})}
		url := s.url(scheme, fmt.Sprintf(form, key.Path()))
		ctx := t.Context()
		go func() {
			defer close(v.done)
			v.result, v.err = drain(ctx, &player.Client{Transport: rtsp.TransportTCP, Timeout: time.Minute}, url, v.opened)
		}()
		return v
	}
}

// drain plays url to the end. opened, if not nil, is closed when it is open.
func drain(ctx context.Context, c *player.Client, url string, opened chan<- struct{}) (result, error) {
	r, err := c.Open(ctx, url)
	if err != nil {
		return result{}, err
	}
	if opened != nil {
		close(opened)
	}
	return read(ctx, r)
}

// read reads r to its end and closes it.
func read(ctx context.Context, r source.Reader) (x result, err error) {
	x.tracks = r.Tracks()
	for f, err := range source.Frames(ctx, r) {
		if err != nil {
			_ = r.Close()
			return x, err
		}
		x.frames = append(x.frames, f)
	}
	return x, r.Close()
}

func (v *liveViewer) watching(ctx context.Context) error {
	if !v.late {
		return nil
	}
	select {
	case <-v.opened:
		return nil
	case <-v.done:
		return fmt.Errorf("ended after %d frames of %v: %w", len(v.frames), v.tracks, cmp.Or(v.err, io.EOF))
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *liveViewer) all(ctx context.Context) (result, error) {
	select {
	case <-v.done:
		return v.result, v.err
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
}

// An hlsViewer has a stream cut by asking for its playlist, and plays it when it
// is complete.
type hlsViewer struct {
	url    string
	client *http.Client
	done   chan struct{} // closed when the playlist is there
	err    error
}

func pullHLS(playlist string) func(*testing.T, *site, source.Key) viewer {
	return func(t *testing.T, s *site, key source.Key) viewer {
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		v := &hlsViewer{
			url:    s.url("http", key.Path()+"/"+playlist),
			client: &http.Client{Transport: transport, Jar: livehttp.NewJar()},
			done:   make(chan struct{}),
		}
		ctx := t.Context()
		go func() {
			defer close(v.done)
			_, v.err = v.get(ctx)
		}()
		return v
	}
}

// get returns the playlist.
func (v *hlsViewer) get(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", v.url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// watching is told by the number of sessions: the playlist is there only when the
// first segment is complete.
func (v *hlsViewer) watching(context.Context) error { return nil }

func (v *hlsViewer) all(ctx context.Context) (result, error) {
	<-v.done
	if v.err != nil {
		return result{}, v.err
	}
	for {
		list, err := v.get(ctx)
		if err != nil {
			return result{}, err
		}
		if bytes.Contains(list, []byte("#EXT-X-ENDLIST")) {
			break
		}
		if err := pause(ctx); err != nil {
			return result{}, err
		}
	}
	r, err := (&hls.Client{HTTP: v.client}).Open(ctx, v.url)
	if err != nil {
		return result{}, err
	}
	return read(ctx, r)
}

// pause is between two looks at something that is waited for.
func pause(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A fileViewer records a stream and plays the file.
type fileViewer struct {
	site     *site
	key      source.Key
	format   record.Format
	recorder *record.Recorder
}

func recorded(format record.Format) func(*testing.T, *site, source.Key) viewer {
	return func(t *testing.T, s *site, key source.Key) viewer {
		r, err := s.recorders.Start(key, record.Options{
			Format: format, Name: format.String(), Wait: true, NoSync: true, Fragment: gop,
		})
		require.NoError(t, err)
		return &fileViewer{s, key, format, r}
	}
}

func (v *fileViewer) watching(context.Context) error { return nil }

func (v *fileViewer) all(ctx context.Context) (result, error) {
	for v.site.recording(v.key, v.format) == "" {
		if err := v.recorder.Stats().Err; err != nil {
			return result{}, err
		}
		if err := pause(ctx); err != nil {
			return result{}, err
		}
	}
	if err := v.recorder.Close(); err != nil {
		return result{}, err
	}
	name := v.site.recording(v.key, v.format)
	url := filepath.Join(v.site.root, filepath.FromSlash(name))
	if strings.HasSuffix(name, ".m3u8") {
		url = v.site.url("http", "files/"+name)
	}
	x, err := drain(ctx, &player.Client{}, url, nil)
	x.left, x.counts = v.recorder.Stats().LeftOut, true
	return x, err
}
