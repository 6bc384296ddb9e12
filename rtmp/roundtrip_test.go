package rtmp

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

var roundTripStreams = []testmedia.Stream{
	{Video: codec.H264, Audio: codec.AAC},
	{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
	{Video: codec.H265, Audio: codec.Opus, BFrames: 2},
	{Video: codec.AV1, Audio: codec.PCMA},
	{Video: codec.VP9, Audio: codec.PCMU},
	{Video: codec.VP8, Audio: codec.MP3},
	{Video: codec.H264},
	{Audio: codec.AAC},
	{Audio: codec.Opus},
}

// TestRoundTrip: frames come out as they went in, whatever form they take, there
// and back.
func TestRoundTrip(t *testing.T) {
	for _, st := range roundTripStreams {
		for _, form := range []flv.Form{flv.FormStandard, flv.FormLegacy} {
			name := st.Video.String() + " " + st.Audio.String() + " " + form.String()
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				st := st
				st.Bitrate = 300_000
				url := startServer(t, &Server{Handler: patient{newHub(t)}})
				roundTrip(t, &Client{Form: form}, url, st)
			})
		}
	}
}

// roundTrip publishes 3 s of st with c, plays it again and compares.
func roundTrip(t *testing.T, c *Client, url string, st testmedia.Stream) {
	want := st.Take(3 * time.Second)
	w, err := c.Create(t.Context(), url+"cam", st.Tracks())
	require.NoError(t, err)
	r := make(chan source.Reader, 1)
	go func() { // it waits for the stream
		reader, err := c.Open(context.Background(), url+"cam")
		if err != nil {
			t.Errorf("Open: %v", err)
		}
		r <- reader
	}()
	pushed := make(chan error, 1)
	go func() {
		writeFast(t, want, func(f *codec.Frame) error { return w.WriteFrame(context.Background(), f) })
		pushed <- w.Close()
	}()
	reader := <-r
	require.NotNil(t, reader)
	for _, track := range st.Tracks() {
		found := false
		for _, got := range reader.Tracks() {
			found = found || got.Codec == track.Codec && got.Width == track.Width && got.SampleRate == track.SampleRate && got.Channels == track.Channels
		}
		require.True(t, found, "%v is not among %v", track, reader.Tracks())
	}
	var got []*codec.Frame
	require.NoError(t, source.Copy(t.Context(), writerFunc(func(f *codec.Frame) { got = append(got, f) }), reader))
	require.NoError(t, reader.Close())
	require.NoError(t, <-pushed)

	for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		in, out := ofKind(want, kind), ofKind(got, kind)
		require.NotZero(t, len(out)+len(st.Tracks())-2)
		if len(in) == 0 {
			require.Empty(t, out)
			continue
		}
		skip := len(in) - len(out) // what was over when the viewer came
		require.GreaterOrEqual(t, skip, 0)
		in = in[skip:]
		shift := out[0].DTS - in[0].DTS // the stream starts at 0
		for i := range in {
			require.Equal(t, in[i].Data, out[i].Data)
			require.Equal(t, in[i].Key(), out[i].Key())
			require.InDelta(t, in[i].DTS+shift, out[i].DTS, float64(2*time.Millisecond))
			require.InDelta(t, in[i].PTS-in[i].DTS, out[i].PTS-out[i].DTS, float64(2*time.Millisecond))
		}
	}
}

// A patient handler lets viewers be slow: what is published ten times too fast
// is soon seconds behind.
type patient struct{ source.Handler }

func (p patient) Play(ctx context.Context, req *source.Request) (source.Reader, error) {
	req.Viewer.MaxLag = time.Hour
	return p.Handler.Play(ctx, req)
}

// writeFast writes frames ten times as fast as they came into being.
func writeFast(t testing.TB, frames []*codec.Frame, write func(*codec.Frame) error) {
	began := time.Now()
	for _, f := range frames {
		time.Sleep(time.Until(began.Add((f.DTS - frames[0].DTS) / 10)))
		if err := write(f); err != nil {
			t.Errorf("write: %v", err)
			return
		}
	}
}

type writerFunc func(*codec.Frame)

func (w writerFunc) WriteFrame(_ context.Context, f *codec.Frame) error { w(f); return nil }
func (w writerFunc) Close() error                                       { return nil }

func ofKind(fs []*codec.Frame, k codec.Kind) (of []*codec.Frame) {
	for _, f := range fs {
		if f.Track.Kind() == k {
			of = append(of, f)
		}
	}
	return of
}

// TestParametersChange: a new size in mid-stream comes out with its frames.
func TestParametersChange(t *testing.T) {
	st := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 300_000, GOP: time.Second, Change: 1}
	url := startServer(t, &Server{Handler: newHub(t)})
	w, err := Create(t.Context(), url+"cam", st.Tracks())
	require.NoError(t, err)
	frames := st.Take(3 * time.Second)
	written := 0
	for ; frames[written].DTS < 500*time.Millisecond; written++ {
		require.NoError(t, w.WriteFrame(t.Context(), frames[written]))
	}
	r, err := Open(t.Context(), url+"cam")
	require.NoError(t, err)
	go func() {
		writeFast(t, frames[written:], func(f *codec.Frame) error { return w.WriteFrame(context.Background(), f) })
		_ = w.Close()
	}()
	i := 0
	in := ofKind(frames, codec.KindVideo)
	require.NoError(t, source.Copy(t.Context(), writerFunc(func(f *codec.Frame) {
		if f.Track.Kind() != codec.KindVideo {
			return
		}
		require.Equal(t, in[i].Data, f.Data)
		require.Equal(t, in[i].Track.Width, f.Track.Width)
		require.Equal(t, in[i].Track.Config, f.Track.Config)
		i++
	}), r))
	require.Equal(t, len(in), i)
	require.NoError(t, r.Close())
}
