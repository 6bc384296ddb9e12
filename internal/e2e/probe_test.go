package e2e

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A probe is what ffprobe says of a file or URL.
type probe struct {
	Streams []probeStream
	Packets []probePacket
}

type probeStream struct {
	Index     int
	Kind      string `json:"codec_type"`
	Codec     string `json:"codec_name"`
	Width     int
	Height    int
	BFrames   int    `json:"has_b_frames"`
	Rate      string `json:"sample_rate"`
	Channels  int
	Profile   string
	FrameRate string `json:"r_frame_rate"`
}

type probePacket struct {
	Stream int     `json:"stream_index"`
	PTS    seconds `json:"pts_time"`
	DTS    seconds `json:"dts_time"`
	Size   int     `json:",string"`
	Flags  string  // "K_" for a key frame
	Hash   string  `json:"data_hash"`
}

// seconds is a time as ffprobe prints it.
type seconds time.Duration

func (s *seconds) UnmarshalJSON(b []byte) error {
	text, err := strconv.Unquote(string(b))
	if err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	*s = seconds(math.Round(v * float64(time.Second)))
	return err
}

// probeURL asks tool, "ffprobe" or "ffprobe7", for the streams of url.
func probeURL(t testing.TB, tool, url string) probe {
	t.Helper()
	return parseProbe(t, start(t, tool, "-v", "error", "-show_streams", "-of", "json", url).ok(patience))
}

// probeFile asks for the streams and for every packet of a file.
func probeFile(t testing.TB, tool, path string) probe {
	t.Helper()
	return parseProbe(t, start(t, tool, "-v", "error", "-show_streams", "-show_packets",
		"-show_data_hash", "md5", "-of", "json", path).ok(patience))
}

func parseProbe(t testing.TB, out string) (p probe) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(out), &p), out)
	require.NotEmpty(t, p.Streams, out)
	return p
}

// stream returns the first stream of a kind.
func (p probe) stream(t testing.TB, kind string) probeStream {
	t.Helper()
	for _, s := range p.Streams {
		if s.Kind == kind {
			return s
		}
	}
	t.Fatalf("no %s stream in %+v", kind, p.Streams)
	return probeStream{}
}

// packets returns the packets of the first stream of a kind.
func (p probe) packets(t testing.TB, kind string) []probePacket {
	t.Helper()
	i := p.stream(t, kind).Index
	var list []probePacket
	for _, pkt := range p.Packets {
		if pkt.Stream == i {
			list = append(list, pkt)
		}
	}
	return list
}

// requireSameStreams checks that got has the codecs, sizes and rates of want.
func requireSameStreams(t testing.TB, want, got probe) {
	t.Helper()
	require.Len(t, got.Streams, len(want.Streams))
	for _, w := range want.Streams {
		g := got.stream(t, w.Kind)
		require.Equal(t, w.Codec, g.Codec)
		require.Equal(t, w.Width, g.Width, "width")
		require.Equal(t, w.Height, g.Height, "height")
		require.Equal(t, w.Rate, g.Rate, "sample rate")
		require.Equal(t, w.Channels, g.Channels, "channels")
	}
}

// requireSamePackets checks that got holds the packets of want of a kind, byte
// for byte and in order, without a gap, with the same distances in time up to
// the wire's millisecond. got may start late and end early, by as many packets as
// missing says. It returns how many it has, and how much later their times are.
func requireSamePackets(t testing.TB, want, got probe, kind string, missing int) (n int, shift time.Duration) {
	t.Helper()
	w, g := want.packets(t, kind), got.packets(t, kind)
	require.NotEmpty(t, g, "no %s packets", kind)
	require.LessOrEqual(t, len(g), len(w), "%s packets", kind)
	first := 0
	for first < len(w) && w[first].Hash != g[0].Hash {
		first++
	}
	require.Less(t, first, len(w), "the first %s packet is not the publisher's", kind)
	require.LessOrEqual(t, len(w)-len(g), missing, "%s packets missing: got %d of %d, from number %d on", kind, len(g), len(w), first)
	require.LessOrEqual(t, first+len(g), len(w))
	for i := range g {
		a, b := w[first+i], g[i]
		require.Equal(t, a.Hash, b.Hash, "%s packet %d (%d of the publisher's): size %d, got %d", kind, i, first+i, a.Size, b.Size)
		require.Equal(t, a.Flags[0], b.Flags[0], "%s packet %d: key", kind, i)
		for _, d := range []struct{ want, got seconds }{
			{a.DTS - w[first].DTS, b.DTS - g[0].DTS},
			{a.PTS - w[first].PTS, b.PTS - g[0].PTS},
		} {
			require.InDelta(t, float64(d.want), float64(d.got), float64(2*time.Millisecond), "%s packet %d: time", kind, i)
		}
	}
	return len(g), time.Duration(g[0].DTS - w[first].DTS)
}

// anyPart is for viewers who come late or leave early.
const anyPart = 1 << 30

// requireSame checks that got has the streams of want and all their packets, and
// that audio and video are as far apart as they were. missing packets of each
// may lack at either end; anyPart allows any number.
func requireSame(t testing.TB, want, got probe, missing int) {
	t.Helper()
	requireSameStreams(t, want, got)
	var shifts []time.Duration
	for _, s := range want.Streams {
		_, shift := requireSamePackets(t, want, got, s.Kind, missing)
		shifts = append(shifts, shift)
	}
	if video := got.packets(t, "video"); len(video) > 0 {
		require.Equal(t, byte('K'), video[0].Flags[0], "does not begin with a key frame")
	}
	require.InDelta(t, shifts[0], shifts[len(shifts)-1], float64(3*time.Millisecond), "audio and video are out of step: %v", shifts)
}

// ownClock is a filter that counts the time of audio by its samples.
const ownClock = "asetpts=N/SR/TB"

// requireDecodes decodes all of a file and fails on anything ffmpeg complains of,
// but for audio that is a fraction of FLV's millisecond out of place.
func requireDecodes(t testing.TB, tool, path string) {
	t.Helper()
	p := start(t, tool, "-v", "warning", "-xerror", "-i", path, "-af", ownClock, "-f", "null", "-")
	p.ok(2 * patience)
	require.Empty(t, p.stderr.String())
}
