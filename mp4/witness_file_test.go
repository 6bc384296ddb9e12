package mp4

import (
	"bytes"
	"io"
	"testing"
	"time"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
)

// whole are the layouts that have one movie box.
var whole = []Layout{LayoutProgressive, LayoutFastStart}

// What we write, mp4ff reads, every box of it.
func TestMP4FFReadsFiles(t *testing.T) {
	eachWitnessed(t, nil, func(t *testing.T, tracks []*codec.Track, frames []*codec.Frame) {
		for _, layout := range whole {
			wire := record(t, tracks, frames, &WriterOptions{Layout: layout, FragmentDuration: 500 * time.Millisecond})
			file, err := mp4ff.DecodeFile(bytes.NewReader(wire))
			require.NoError(t, err)
			require.False(t, file.IsFragmented())
			var again bytes.Buffer
			require.NoError(t, file.Moov.Encode(&again))
			require.True(t, bytes.Contains(wire, again.Bytes()), "as it understands it")
			for i, track := range tracks {
				trak := file.Moov.Traks[i]
				stbl := trak.Mdia.Minf.Stbl
				require.Equal(t, uint32(scaleOf(track)), trak.Mdia.Mdhd.Timescale)
				var got []seen
				n := trak.GetNrSamples()
				samples, err := trak.GetSampleData(1, n)
				require.NoError(t, err)
				sum := uint64(0)
				for k, s := range samples {
					nr := uint32(k + 1)
					dts, _ := stbl.Stts.GetDecodeTime(nr)
					ranges, err := trak.GetRangesForSampleInterval(nr, nr)
					require.NoError(t, err)
					data := wire[ranges[0].Offset : ranges[0].Offset+ranges[0].Size]
					key := stbl.Stss == nil || stbl.Stss.IsSyncSample(nr)
					got = append(got, seen{int64(dts), int64(dts) + int64(s.CompositionTimeOffset), key, containertest.Digest(data)})
					sum += uint64(s.Dur)
				}
				require.Equal(t, inTicks(frames, track.Kind()), got)
				require.Equal(t, sum, trak.Mdia.Mdhd.Duration)
				require.InDelta(t, float64(sum)*movieScale/float64(scaleOf(track)), float64(trak.Tkhd.Duration), 1)
			}
		}
	})
}

// What we write, mediacommon reads.
func TestMediacommonReadsFiles(t *testing.T) {
	eachWitnessed(t, notInMediacommon, func(t *testing.T, tracks []*codec.Track, frames []*codec.Frame) {
		for _, layout := range whole {
			wire := record(t, tracks, frames, &WriterOptions{Layout: layout, FragmentDuration: 500 * time.Millisecond})
			var p pmp4.Presentation
			require.NoError(t, p.Unmarshal(bytes.NewReader(wire)))
			require.Len(t, p.Tracks, len(tracks))
			for i, track := range tracks {
				require.Equal(t, mediacommonCodec(t, track), p.Tracks[i].Codec)
				require.Equal(t, scaleOf(track), int(p.Tracks[i].TimeScale))
				var got []seen
				at := int64(p.Tracks[i].TimeOffset)
				for _, s := range p.Tracks[i].Samples {
					data, err := s.GetPayload()
					require.NoError(t, err)
					got = append(got, seen{at, at + int64(s.PTSOffset), !s.IsNonSyncSample, containertest.Digest(data)})
					at += int64(s.Duration)
				}
				require.Equal(t, inTicks(frames, track.Kind()), got)
			}
		}
	})
}

// What mediacommon writes, we read: positions, edit lists, a track that begins
// late.
func TestMediacommonWritesFiles(t *testing.T) {
	for _, late := range []time.Duration{0, 300 * time.Millisecond} {
		eachWitnessed(t, notInMediacommon, func(t *testing.T, tracks []*codec.Track, frames []*codec.Frame) {
			var p pmp4.Presentation
			var sent []*codec.Frame
			for i, track := range tracks {
				scale := scaleOf(track)
				pt := &pmp4.Track{ID: i + 1, TimeScale: uint32(scale), Codec: mediacommonCodec(t, track)}
				shift := time.Duration(0)
				if i > 0 {
					shift = late
				}
				pt.TimeOffset = int32(codec.Ticks(shift, scale))
				of := containertest.OfKind(frames, track.Kind())
				for n, f := range of {
					dts, next := codec.Ticks(f.DTS, scale), codec.Ticks(f.DTS, scale)+1
					if n+1 < len(of) {
						next = codec.Ticks(of[n+1].DTS, scale)
					}
					pt.Samples = append(pt.Samples, &pmp4.Sample{
						Duration: uint32(next - dts), PTSOffset: int32(codec.Ticks(f.PTS, scale) - dts), IsNonSyncSample: !f.Key(),
						PayloadSize: uint32(len(f.Data)), GetPayload: func() ([]byte, error) { return f.Data, nil },
					})
					g := *f
					g.DTS += shift
					g.PTS += shift
					sent = append(sent, &g)
				}
				p.Tracks = append(p.Tracks, pt)
			}
			var b seekablebuffer.Buffer
			require.NoError(t, p.Marshal(&b))
			f, err := openBytes(b.Bytes())
			require.NoError(t, err)
			require.NoError(t, f.Damage())
			got, err := containertest.ReadAll(f)
			require.Equal(t, io.EOF, err)
			requireSeen(t, sent, got)
		})
	}
}
