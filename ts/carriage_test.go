package ts

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A stream that is not understood goes through as it is.
func TestOpaqueRoundTrip(t *testing.T) {
	video := testmedia.Stream{Video: codec.H264, Bitrate: 100_000}
	opaque := []*codec.Track{
		{ID: 3, ClockRate: 90000, Wire: "pes", Name: "0x15", Params: "bd"},
		{ID: 4, ClockRate: 90000, Wire: "pes", Name: "0x06", Params: "bd05044b4c5641"},
		{ID: 5, ClockRate: 90000, Wire: "pes", Name: "0x87", Params: "bd", WireKind: codec.KindAudio},
		{ID: 6, ClockRate: 90000, Wire: "pes", Name: "0x10", Params: "e0", WireKind: codec.KindVideo},
	}
	want := video.Take(time.Second)
	n := len(want)
	for i := range n {
		for k, track := range opaque {
			f := *want[i]
			f.Track = track
			f.Data = bytes.Repeat([]byte{byte(i)}, 100*(k+1))
			if k < 3 {
				f.Flags |= codec.FlagKey
			} else { // its length is open
				f.Data = bytes.Repeat([]byte{byte(i)}, 70_000)
			}
			want = append(want, &f)
		}
	}
	file := write(t, video.Tracks(), want)
	got := demux(t, file)
	require.Len(t, got, len(want))
	again := demux(t, write(t, nil, got)) // once more, from what was read
	byTrack := func(frames []*codec.Frame) map[string][]*codec.Frame {
		m := map[string][]*codec.Frame{}
		for _, f := range frames {
			m[f.Track.Name+f.Track.Params] = append(m[f.Track.Name+f.Track.Params], f)
		}
		return m
	}
	w, g, a := byTrack(want), byTrack(got), byTrack(again)
	require.Len(t, w, 5)
	for name, frames := range w {
		require.Len(t, g[name], n)
		for i, f := range frames {
			containertest.ProgramMatch(leadTime).Frame(t, f, g[name][i], name)
			containertest.ProgramMatch(2*leadTime).Frame(t, f, a[name][i], name)
			require.Equal(t, f.Track.Kind(), g[name][i].Track.Kind())
		}
	}
}

// Data without times has those of the frames around it.
func TestOpaqueWithoutTimes(t *testing.T) {
	data := &codec.Track{ID: 3, Wire: "pes", Name: "0x06", Params: "bd"}
	audio := codec.NewG711Track(1, codec.PCMA, 0, 0)
	m := NewMuxer([]*codec.Track{audio, data})
	var file []byte
	for i := range 10 {
		at := time.Duration(i) * 20 * time.Millisecond
		var err error
		file, err = m.Append(file, &codec.Frame{Track: audio, DTS: at, PTS: at, Data: make([]byte, 160)})
		require.NoError(t, err)
		file = append(file, unitOf(m.streams[1], 0, true, false, []byte{byte(i)})...)
	}
	got := demux(t, file)
	require.Len(t, got, 20)
	for i, f := range containertest.OfKind(got, codec.KindData) {
		require.Equal(t, []byte{byte(i)}, f.Data)
		require.Equal(t, time.Duration(i)*20*time.Millisecond+leadTime, f.DTS)
	}
}
