package ts

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func TestReader(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		want := s.Take(time.Second)
		file := write(t, s.Tracks(), want)
		for name, in := range containertest.Inputs(file) {
			if name == "one byte at a time" {
				in = io.LimitReader(in, int64(min(len(file), 40_000)/PacketSize*PacketSize))
			}
			r := NewReader(in)
			require.Len(t, r.Tracks(), len(s.Tracks()), name)
			for i, track := range s.Tracks() {
				require.True(t, track.SameConfig(r.Tracks()[i]))
			}
			got, err := containertest.ReadAll(r)
			require.Equal(t, io.EOF, err)
			if name == "one byte at a time" {
				require.GreaterOrEqual(t, len(got), min(len(want), 10))
				continue
			}
			requireSameFrames(t, want, got, 0)
			require.NoError(t, r.Close())
		}
	})
}

// Cut anywhere, a stream has the frames before, the last one marked where it can
// be known that it was cut.
func TestReaderCutAtEveryLength(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 60_000}
	want := s.Take(100 * time.Millisecond)
	file := write(t, s.Tracks(), want)
	had := 0
	for n := range len(file) + 1 {
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(file[:n])))
		if n < 2*PacketSize {
			require.ErrorIs(t, err, ErrInvalid, n)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, n)
			require.NotErrorIs(t, err, io.EOF)
			require.Empty(t, got)
			continue
		}
		require.Equal(t, io.EOF, err, n)
		for _, f := range got {
			require.True(t, f.Has(codec.FlagCorrupt) || contained(want, f), n)
		}
		whole := containertest.Whole(got)
		require.GreaterOrEqual(t, whole, had, n)
		had = whole
	}
	require.Equal(t, len(want), had)
}

func contained(frames []*codec.Frame, f *codec.Frame) bool {
	for _, w := range frames {
		if w.DTS == f.DTS && bytes.Equal(w.Data, f.Data) {
			return true
		}
	}
	return false
}

// Streams one behind the other: times go on.
func TestReaderJoined(t *testing.T) {
	for _, jump := range []time.Duration{0, time.Hour, 15 * time.Second} {
		a, b := shortStream.Take(time.Second), shortStream.Take(time.Second)
		for _, f := range b {
			f.DTS += jump
			f.PTS += jump
		}
		file := append(write(t, shortStream.Tracks(), a), write(t, shortStream.Tracks(), b)...)
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(file)))
		require.Equal(t, io.EOF, err)
		require.Len(t, got, len(a)+len(b))
		requireSameFrames(t, a, got[:len(a)], 0)
		second := got[len(a):]
		gap := second[0].DTS - got[len(a)-1].DTS
		require.True(t, gap > 0 && gap < 100*time.Millisecond, gap)
		for i := range containertest.OfKind(b, codec.KindVideo) {
			v := containertest.OfKind(second, codec.KindVideo)[i]
			require.Equal(t, i == 0, v.Has(codec.FlagDiscont))
			require.InDelta(t, containertest.OfKind(b, codec.KindVideo)[i].DTS-jump+second[0].DTS, v.DTS, float64(tick))
		}
		containertest.RequireOrder(t, got)
		for _, f := range got {
			require.GreaterOrEqual(t, f.PTS, f.DTS)
		}
	}
}

// A track that is announced and does not come is not waited for longer than two
// seconds.
func TestReaderProbe(t *testing.T) {
	s := testmedia.Stream{Audio: codec.AAC}
	tracks := append(s.Tracks(), testmedia.Track(1, codec.H264))
	in := &counting{r: bytes.NewReader(write(t, tracks, s.Take(20*time.Second)))}
	r := NewReader(in)
	require.Len(t, r.Tracks(), 1)
	require.Less(t, in.n, 200_000)
	got, err := containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, s.Take(20*time.Second), got, 0)
}

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

func TestReaderErrors(t *testing.T) {
	containertest.TestReaderErrors(t, NewReader, write(t, shortStream.Tracks(), shortStream.Take(time.Second)), ErrInvalid)
}

func TestReaderEnds(t *testing.T) {
	containertest.TestReaderEnds(t, NewReader, write(t, shortStream.Tracks(), shortStream.Take(time.Second)))
}

func TestWriterErrors(t *testing.T) {
	broken := errors.New("broken")
	w := NewWriter(brokenWriter{broken}, shortStream.Tracks())
	f := shortStream.Take(time.Millisecond)[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.WriteFrame(ctx, f), context.Canceled)
	require.ErrorIs(t, w.WriteFrame(t.Context(), f), broken)
	require.ErrorIs(t, w.WriteFrame(t.Context(), f), broken)
	require.NoError(t, w.Close())

	var b bytes.Buffer
	w = NewWriter(&b, nil)
	require.NoError(t, w.WriteFrame(t.Context(), &codec.Frame{Track: testmedia.Track(1, codec.VP8), Data: []byte{1}}))
	require.Zero(t, b.Len())
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.WriteFrame(t.Context(), f), io.ErrClosedPipe)
}

// A Writer with a buffer writes the same in larger pieces, and all of it.
func TestWriterBuffer(t *testing.T) {
	frames := shortStream.Take(time.Second)
	for _, size := range []int{0, 1, 10_000, 1 << 20} {
		out := &pieces{}
		w := NewWriter(out, shortStream.Tracks())
		w.Buffer = size
		for _, f := range frames {
			require.NoError(t, w.WriteFrame(t.Context(), f))
		}
		require.NoError(t, w.Flush())
		require.NoError(t, w.Close())
		require.NoError(t, w.Close())
		require.Equal(t, 1, out.closed)
		require.Equal(t, write(t, shortStream.Tracks(), frames), slices.Concat(out.all...))
		if size <= 1 {
			require.Len(t, out.all, len(frames))
			continue
		}
		for _, b := range out.all[:len(out.all)-1] {
			require.GreaterOrEqual(t, len(b), size)
		}
	}
	out := &pieces{err: errors.New("broken")}
	w := NewWriter(out, shortStream.Tracks())
	w.Buffer = 1 << 20
	require.NoError(t, w.WriteFrame(t.Context(), frames[0]))
	require.ErrorIs(t, w.Close(), out.err)
	require.Equal(t, 1, out.closed)
}

// pieces keeps what is written to it.
type pieces struct {
	all    [][]byte
	closed int
	err    error
}

func (p *pieces) Write(b []byte) (int, error) {
	p.all = append(p.all, bytes.Clone(b))
	return len(b), p.err
}

func (p *pieces) Close() error { p.closed++; return nil }

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }
