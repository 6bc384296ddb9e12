package vdk

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/deepch/vdk/av"
	"github.com/deepch/vdk/format/flv"
	"github.com/deepch/vdk/format/ts"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A log is a muxer that keeps what it was given.
type log struct {
	header   []av.CodecData
	packets  []av.Packet
	trailers int
	closed   int
	panics   string        // "header", "packet", "trailer" or "close": what panics
	fails    error         // of packets
	block    chan struct{} // a packet tells that it is there, and waits for Close
}

func (l *log) WriteHeader(s []av.CodecData) error {
	l.header = s
	return l.panicAt("header")
}

func (l *log) WritePacket(p av.Packet) error {
	if l.block != nil {
		l.block <- struct{}{}
		<-l.block
		return io.ErrClosedPipe
	}
	l.packets = append(l.packets, p)
	_ = l.panicAt("packet")
	return l.fails
}

func (l *log) WriteTrailer() error {
	l.trailers++
	return l.panicAt("trailer")
}

func (l *log) Close() error {
	l.closed++
	if l.block != nil {
		close(l.block)
	}
	return l.panicAt("close")
}

func (l *log) panicAt(what string) error {
	if l.panics == what {
		panic(what)
	}
	return nil
}

// What panics ends the writing with an error that says so.
func TestWriterPanics(t *testing.T) {
	s := testmedia.Stream{Audio: codec.AAC}
	f := s.Take(time.Millisecond)[0]
	for _, where := range []string{"header", "packet", "trailer", "close"} {
		t.Run(where, func(t *testing.T) {
			m := &log{panics: where}
			var p *PanicError
			w, err := NewWriter(m, s.Tracks())
			if where == "header" {
				require.ErrorAs(t, err, &p)
				return
			}
			require.NoError(t, err)
			err = w.WriteFrame(t.Context(), f)
			if where == "packet" {
				require.ErrorAs(t, err, &p)
				require.Equal(t, err, w.WriteFrame(t.Context(), f))
				require.Len(t, m.packets, 1)
				require.Equal(t, err, w.Close())
				require.Zero(t, m.trailers, "what panicked is not called again")
			} else {
				require.NoError(t, err)
				require.ErrorAs(t, w.Close(), &p)
				require.Equal(t, 1, m.trailers)
			}
			require.Equal(t, where, p.Value)
			require.Equal(t, 1, m.closed)
		})
	}
}

func TestWriterErrors(t *testing.T) {
	s := testmedia.Stream{Audio: codec.AAC}
	full := errors.New("disk full")
	m := &log{fails: full}
	w, err := NewWriter(m, s.Tracks())
	require.NoError(t, err)
	err = w.WriteFrame(t.Context(), s.Take(time.Millisecond)[0])
	require.ErrorIs(t, err, full)
	require.Equal(t, err, w.Close())

	for _, tracks := range [][]*codec.Track{nil, {testmedia.Track(1, codec.MP3)}, {{ID: 1, Codec: codec.H264}}} {
		_, err := NewWriter(m, tracks)
		require.ErrorIs(t, err, source.ErrUnsupported)
	}
	_, err = NewWriter(flv.NewMuxer(io.Discard), []*codec.Track{testmedia.Track(1, codec.Opus)})
	require.Error(t, err, "the muxer refuses it")
}

func TestWriterContext(t *testing.T) {
	s := testmedia.Stream{Audio: codec.AAC}
	f := s.Take(time.Millisecond)[0]
	m := &log{block: make(chan struct{})}
	w, err := NewWriter(m, s.Tracks())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.WriteFrame(ctx, f) }()
	<-m.block
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.ErrorIs(t, w.WriteFrame(ctx, f), context.Canceled)
	require.ErrorIs(t, w.Close(), context.Canceled)
	require.Equal(t, 1, m.closed)
}

// What the muxer cannot have is left out, and told.
func TestWriterLeavesOut(t *testing.T) {
	video, opus, mp3 := testmedia.Track(1, codec.H264), testmedia.Track(2, codec.Opus), testmedia.Track(3, codec.MP3)
	m := &log{}
	w, err := NewWriter(m, []*codec.Track{mp3, opus, video}, ts.CodecTypes...)
	require.NoError(t, err)
	require.Equal(t, []*codec.Track{mp3, opus}, w.LeftOut())
	require.Len(t, m.header, 1)
	for _, f := range (testmedia.Stream{Video: codec.H264, Audio: codec.Opus}).Take(time.Second) {
		require.NoError(t, w.WriteFrame(t.Context(), f))
	}
	require.Len(t, m.packets, 25)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.Equal(t, [2]int{1, 1}, [2]int{m.trailers, m.closed})

	var many []*codec.Track
	for i := range 130 {
		many = append(many, testmedia.Track(i, codec.PCMA))
	}
	w, err = NewWriter(m, many)
	require.NoError(t, err)
	require.Equal(t, many[128:], w.LeftOut(), "an index of a packet has 8 bits")
}

func TestWriterPackets(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, GOP: time.Second, Change: 2}
	m := &log{}
	w, err := NewWriter(m, s.Tracks())
	require.NoError(t, err)
	want := s.Take(6 * time.Second)
	containertest.Write(t, w, want)
	require.Len(t, m.packets, len(want))
	for i, f := range want {
		p := m.packets[i]
		require.Equal(t, f.DTS, p.Time)
		require.Equal(t, f.PTS, p.Time+p.CompositionTime)
		if f.Track.Kind() == codec.KindAudio {
			require.Equal(t, int8(1), p.Idx)
			require.False(t, p.IsKeyFrame)
			require.Equal(t, codec.FrameDuration(f), p.Duration)
			continue
		}
		require.Equal(t, int8(0), p.Idx)
		require.Equal(t, f.Key(), p.IsKeyFrame)
		require.Equal(t, 40*time.Millisecond, p.Duration)
		// Parameters are in band from the first change on.
		sets := 0
		for nalu := range codec.NALUs(p.Data) {
			if typ := nalu[0] & 0x1f; typ == 7 || typ == 8 {
				sets++
			}
		}
		want := 0
		if f.Key() && f.DTS >= 2*time.Second {
			want = 2
		}
		require.Equal(t, want, sets, "at %v", f.DTS)
		if want == 0 {
			require.Same(t, &f.Data[0], &p.Data[0], "no copy")
		}
	}
}

// Parameters that have no place in a packet.
func TestWriterNewFormat(t *testing.T) {
	for _, c := range []codec.Codec{codec.AAC, codec.PCMA, codec.Opus} {
		w, err := NewWriter(&log{}, []*codec.Track{testmedia.Track(1, c)})
		require.NoError(t, err)
		f := &codec.Frame{Track: testmedia.Track2(1, c), Data: []byte{1}}
		require.ErrorIs(t, w.WriteFrame(t.Context(), f), source.ErrNewFormat)
		f.Track = testmedia.Track(1, c) // equal ones are no change
		require.NoError(t, w.WriteFrame(t.Context(), f))
		f.Track = testmedia.Track(1, codec.H264)
		require.ErrorIs(t, w.WriteFrame(t.Context(), f), source.ErrNewFormat)
	}
}

func TestSink(t *testing.T) {
	refused := errors.New("refused")
	_, err := Sink(func(context.Context) (av.MuxCloser, error) { return nil, refused }).Create(t.Context(), nil)
	require.ErrorIs(t, err, refused)

	m := &log{}
	sink := Sink(func(context.Context) (av.MuxCloser, error) { return m, nil }, av.AAC)
	_, err = sink.Create(t.Context(), []*codec.Track{testmedia.Track(1, codec.Opus)})
	require.ErrorIs(t, err, source.ErrUnsupported)
	require.Equal(t, 1, m.closed)

	w, err := sink.Create(t.Context(), []*codec.Track{testmedia.Track(1, codec.AAC)})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, 1, m.trailers)
	require.Equal(t, 2, m.closed)
}
