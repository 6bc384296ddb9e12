package ps

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	mpeg2 "github.com/yapingcat/gomedia/go-mpeg2"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// What the muxer of gomedia writes is read, whatever the pieces. It knows times in
// milliseconds.
func TestDemuxerWitness(t *testing.T) {
	types := witnessTypes()
	for _, s := range containertest.ProgramStreams() {
		if s.Audio != codec.Opaque && types[s.Audio] == 0 || s.Change > 0 {
			continue
		}
		for _, s.Bitrate = range []int{300_000, 30_000_000} {
			want := s.Take(time.Second)
			var b []byte
			m := mpeg2.NewPsMuxer()
			m.OnPacket = func(p []byte) { b = append(b, p...) }
			ids, framers := map[int]uint8{}, map[int]*pes.Framer{}
			for _, track := range s.Tracks() {
				ids[track.ID] = m.AddStream(types[track.Codec])
				framer := pes.NewFramer(track, false)
				framers[track.ID] = &framer
			}
			for _, f := range want {
				p, ok := framers[f.Track.ID].Frame(f)
				require.True(t, ok)
				var frame []byte
				for piece := range p.Pieces() {
					frame = append(frame, piece...)
				}
				require.NoError(t, m.Write(ids[f.Track.ID], frame, uint64(f.PTS/time.Millisecond), uint64(f.DTS/time.Millisecond)))
			}
			for _, n := range []int{len(b), 1400} {
				requireDemuxed(t, want, demuxedIn(t, b, n), 0)
			}
		}
	}
}
