package ts

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// FuzzDemuxer takes anything. What comes out holds the promises: times do not
// fall, tracks can be announced, memory is bounded, whatever the pieces are.
func FuzzDemuxer(f *testing.F) {
	for _, s := range streams {
		s.Bitrate = 60_000
		file := write(f, s.Tracks(), s.Take(150*time.Millisecond))
		f.Add(file[:min(len(file), 8000)], uint16(188))
	}
	for _, c := range badPackets {
		bad := append(bytes.Clone(c.packet), bytes.Repeat([]byte{0xff}, 188-len(c.packet))...)
		f.Add(append(write(f, nil, shortStream.Take(40*time.Millisecond)), bad...), uint16(1))
	}
	m := NewMuxer([]*codec.Track{testmedia.Track(1, codec.H264)})
	for _, bad := range badHeaders {
		w := packetizer{dst: m.AppendTables(nil), s: m.streams[0], left: len(bad)}
		w.begin(nil)
		w.write(bad)
		f.Add(w.dst, uint16(1000))
	}
	latm := NewMuxer([]*codec.Track{testmedia.Track(1, codec.AAC)})
	latm.streams[0].StreamType = pes.TypeLATM
	file := latm.AppendTables(nil)
	f.Add(append(file, unitOf(latm.streams[0], 900, true, true, []byte{0x56, 0xe0, 8, 0x20, 0, 0x11, 0x90, 0x03, 0xff, 4, 1})...), uint16(188))
	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		var d Demuxer
		var frames []*codec.Frame
		for p := range slices.Chunk(b, max(int(piece), 1)) {
			var err error
			if frames, err = d.Append(frames, p); err != nil {
				require.ErrorIs(t, err, ErrInvalid)
				break
			}
			require.LessOrEqual(t, len(d.sync.rest), 3*maxStride)
			require.LessOrEqual(t, len(d.pat.buf)+len(d.pmt.buf), 2*(maxSection+PacketSize))
		}
		frames = d.Flush(frames)
		require.Zero(t, d.units.Pending())
		containertest.RequirePromises(t, frames, 64)
		// What was read can be written.
		takeApart(t, containertest.Mux(t, NewMuxer(d.Tracks()), frames, ErrInvalid))
	})
}

// FuzzFrame writes a frame of any bytes at any time and reads it.
func FuzzFrame(f *testing.F) {
	for i := range uint8(8) {
		f.Add(i, int64(i)*90000, int64(3600), []byte("\x00\x00\x00\x03\x65\x88\x80"))
	}
	f.Fuzz(func(t *testing.T, kind uint8, dts, ahead int64, data []byte) {
		codecs := []codec.Codec{codec.H264, codec.H265, codec.AAC, codec.Opus, codec.PCMA, codec.MP3, codec.AC3, codec.MPEG2Video}
		c := codecs[int(kind)%len(codecs)]
		track := &codec.Track{ID: 1, Codec: codec.MPEG2Video}
		if c != codec.MPEG2Video {
			track = testmedia.Track(1, c)
		}
		in := &codec.Frame{
			Track: track, DTS: codec.FromTicks(dts%(1<<40), 90000), Flags: codec.FlagKey, Data: data,
		}
		in.PTS = in.DTS + codec.FromTicks(max(ahead, 0)%900_000, 90000)
		if track.Kind() == codec.KindAudio {
			in.PTS = in.DTS
		}
		b, err := NewMuxer([]*codec.Track{track}).Append(nil, in)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		if len(b) == 0 {
			return
		}
		require.Len(t, inspect(t, b, time.Hour).units, 1)
		got := demux(t, b)
		if c != codec.AAC && c != codec.Opus && c != codec.PCMA && c != codec.MPEG2Video {
			return // such data is not theirs, and what comes of it is not the same
		}
		require.Len(t, got, 1)
		require.True(t, bytes.Equal(in.Data, got[0].Data))
		require.Equal(t, codec.Ticks(in.PTS-in.DTS, 90000), codec.Ticks(got[0].PTS-got[0].DTS, 90000))
	})
}
