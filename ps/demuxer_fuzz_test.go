package ps

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// FuzzDemuxer takes anything. What comes out holds the promises: times do not fall,
// tracks can be announced, memory is bounded, whatever the pieces are, and it can be
// written.
func FuzzDemuxer(f *testing.F) {
	for _, s := range containertest.ProgramStreams() {
		s.Bitrate = 60_000
		b := muxed(f, s.Take(150*time.Millisecond))
		f.Add(b[:min(len(b), 4000)], uint16(188), uint16(3))
	}
	small := muxed(f, testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 30_000}.Take(80*time.Millisecond))
	f.Add(toMPEG1(small), uint16(100), uint16(0))
	f.Add(loosened(testmedia.Stream{Video: codec.H264, Bitrate: 60_000}.Take(300*time.Millisecond), 300), uint16(1), uint16(20))
	f.Add(withoutTimes(small, func(section) bool { return false }), uint16(77), uint16(2))
	for _, c := range mapCases {
		f.Add(changedMaps(slices.Clone(small), c.change), uint16(200), uint16(5))
	}
	for _, unit := range storms {
		f.Add(append(slices.Clone(small), unit+unit+unit...), uint16(1000), uint16(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, piece, event uint16) {
		var d Demuxer
		var frames []*codec.Frame
		n := 0
		for p := range slices.Chunk(b, max(int(piece), 1)) {
			var err error
			if frames, err = d.Append(frames, p); err != nil {
				require.ErrorIs(t, err, ErrInvalid)
				break
			}
			n++
			switch {
			case event == 0:
			case n%(4*int(event)) == 0:
				d.Lose()
			case n%int(event) == 0:
				frames = d.Boundary(frames)
			}
			require.LessOrEqual(t, len(d.packets.rest), 512)
			require.LessOrEqual(t, len(d.packets.short), maxMap)
			require.LessOrEqual(t, len(d.streams), maxStreams)
		}
		frames = d.Flush(frames)
		require.Zero(t, d.units.Pending())
		containertest.RequirePromises(t, frames, 2*maxStreams)
		demuxed(t, containertest.Mux(t, NewMuxer(d.Tracks()), frames, ErrInvalid))
	})
}

func FuzzParseMap(f *testing.F) {
	right := section(appendMap(nil, 1, []pes.Carriage{
		{StreamType: pes.TypeH264, StreamID: 0xe0}, {StreamType: pes.TypeOpus, StreamID: 0xc0, Descriptors: pes.Registration("Opus")},
	}))
	for _, c := range mapCases {
		f.Add(c.change(slices.Clone(right)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []pes.Carriage
		if !parseMap(b, func(c pes.Carriage) { list = append(list, c) }) {
			require.Empty(t, list)
			return
		}
		require.LessOrEqual(t, mapLen(list), len(b)+4)
		again := appendMap(nil, 1, list)
		var second []pes.Carriage
		parseMap(again, func(c pes.Carriage) { second = append(second, c) })
		require.Equal(t, len(list), len(second))
	})
}
