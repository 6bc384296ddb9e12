package ps

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func TestReader(t *testing.T) {
	eachDemux(t, func(t *testing.T, s testmedia.Stream) {
		want := s.Take(time.Second)
		for name, in := range containertest.Inputs(muxed(t, want)) {
			r := NewReader(in)
			require.Len(t, r.Tracks(), len(s.Tracks()), name)
			for _, track := range s.Tracks() {
				found := false
				for _, got := range r.Tracks() {
					found = found || track.SameConfig(got)
				}
				require.True(t, found, name)
			}
			got, err := containertest.ReadAll(r)
			require.Equal(t, io.EOF, err)
			requireDemuxed(t, want, got, 0)
			require.NoError(t, r.Close())
		}
	})
}

// Cut anywhere, a stream has the frames before, the last one marked where it can be
// known that it was cut.
func TestReaderCut(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 60_000}
	want := s.Take(100 * time.Millisecond)
	b := muxed(t, want)
	had := 0
	for n := range len(b) + 1 {
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(b[:n])))
		if len(got) == 0 && !errors.Is(err, io.EOF) {
			require.ErrorIs(t, err, ErrInvalid, n)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, n)
			require.Less(t, n, 200)
			continue
		}
		require.Equal(t, io.EOF, err, n)
		whole := containertest.Whole(got)
		require.GreaterOrEqual(t, whole, had, n)
		had = whole
	}
	require.Equal(t, len(want), had)
}

// Streams one behind the other: times go on.
func TestReaderJoined(t *testing.T) {
	for _, jump := range []time.Duration{0, time.Hour, 15 * time.Second} {
		a := shortDemux.Take(time.Second)
		b := containertest.Later(shortDemux.Take(time.Second), jump)
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(append(muxed(t, a), muxed(t, b)...))))
		require.Equal(t, io.EOF, err)
		require.Len(t, got, len(a)+len(b))
		requireDemuxed(t, a, got[:len(a)], 0)
		gap := got[len(a)].DTS - got[len(a)-1].DTS
		require.True(t, gap > 0 && gap < 100*time.Millisecond, gap)
		containertest.RequireOrder(t, got)
	}
}

// A stream that the map announces and that does not come is not waited for longer
// than two seconds.
func TestReaderProbe(t *testing.T) {
	s := testmedia.Stream{Audio: codec.AAC}
	want := s.Take(10 * time.Second)
	b := changedMaps(muxed(t, want), func(section) []byte {
		return appendMap(nil, 1, []pes.Carriage{{StreamType: pes.TypeH264, StreamID: 0xe0}, {StreamType: pes.TypeAAC, StreamID: 0xc0}})
	})
	in := bytes.NewReader(b)
	r := NewReader(in)
	require.Len(t, r.Tracks(), 1)
	require.Greater(t, in.Len(), len(b)/2)
	got, err := containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	requireDemuxed(t, want, got, 0)
}

func TestReaderErrors(t *testing.T) {
	containertest.TestReaderErrors(t, NewReader, muxed(t, shortDemux.Take(time.Second)), ErrInvalid)
}

func TestReaderEnds(t *testing.T) {
	containertest.TestReaderEnds(t, NewReader, muxed(t, shortDemux.Take(time.Second)))
}
