package ps

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	mpeg2 "github.com/yapingcat/gomedia/go-mpeg2"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
)

// witnessTypes returns the codecs that gomedia knows.
func witnessTypes() map[codec.Codec]mpeg2.PS_STREAM_TYPE {
	return map[codec.Codec]mpeg2.PS_STREAM_TYPE{
		codec.H264: mpeg2.PS_STREAM_H264, codec.H265: mpeg2.PS_STREAM_H265, codec.AAC: mpeg2.PS_STREAM_AAC,
		codec.PCMA: mpeg2.PS_STREAM_G711A, codec.PCMU: mpeg2.PS_STREAM_G711U,
	}
}

// The demuxer of gomedia finds what was written. It yields NAL units one by one,
// knows times to a millisecond, and H.264, H.265, AAC and G.711.
func TestMuxerWitness(t *testing.T) {
	types := witnessTypes()
	for _, s := range muxerStreams {
		if s.Audio != codec.Opaque && types[s.Audio] == 0 {
			continue
		}
		for _, bitrate := range []int{300_000, 30_000_000} {
			if s.Bitrate = bitrate; bitrate > 1_000_000 {
				s.BFrames = 0 // in the second packet of a picture it takes the PTS for the DTS
			}
			t.Run(containertest.Name(s), func(t *testing.T) {
				frames := s.Take(time.Second)
				got := map[mpeg2.PS_STREAM_TYPE][]byte{}
				times := map[mpeg2.PS_STREAM_TYPE]map[uint64]uint64{}
				d := mpeg2.NewPSDemuxer()
				d.OnFrame = func(b []byte, c mpeg2.PS_STREAM_TYPE, pts, dts uint64) {
					got[c] = append(got[c], b...)
					if times[c] == nil {
						times[c] = map[uint64]uint64{}
					}
					times[c][dts] = pts
				}
				d.OnPacket = func(_ mpeg2.Display, err error) { require.NoError(t, err) }
				require.NoError(t, d.Input(mux(t, s.Tracks(), frames)))
				d.Flush()
				want := map[mpeg2.PS_STREAM_TYPE][]byte{}
				for _, f := range frames {
					c := types[f.Track.Codec]
					b := elementary(t, f, f.Key())
					switch f.Track.Codec { // it leaves delimiters out
					case codec.H264:
						b = b[6:]
					case codec.H265:
						b = b[7:]
					}
					want[c] = append(want[c], b...)
					dts := uint64(codec.Ticks(f.DTS, 90000)+lead) / 90
					require.Equal(t, uint64(codec.Ticks(f.PTS, 90000)+lead)/90, times[c][dts], "%v at %v", f.Track, f.DTS)
				}
				require.Len(t, got, len(want))
				for c, b := range want {
					require.Equal(t, containertest.Digest(b), containertest.Digest(got[c]))
				}
			})
		}
	}
}
