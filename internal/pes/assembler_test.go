package pes

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// Memory is bounded, however many streams there are.
func TestAssemblerBounds(t *testing.T) {
	var entries []Entry
	for key := range uint16(8) {
		entries = append(entries, Entry{Key: key, Content: Content{Codec: codec.MPEG2Video}})
	}
	var a Assembler
	a.SetStreams(entries)
	picture := append([]byte{0, 0, 1, 0xb3}, bytes.Repeat([]byte{7}, 4<<20)...)
	for _, s := range a.Streams() {
		s.Begin(&Header{ID: IDVideo, HasPTS: true}, false, picture[:100])
		for rest := picture[100:]; len(rest) > 0; {
			n := min(len(rest), 1000)
			s.Add(rest[:n])
			rest = rest[n:]
			if a.Pending() > maxUnits {
				t.Fatalf("%d bytes", a.Pending())
			}
		}
	}
	sum := 0
	for _, s := range a.Streams() {
		sum += len(s.unit)
	}
	require.Equal(t, sum, a.Pending())
	require.NotZero(t, sum)
	a.Flush()
	require.Zero(t, a.Pending())
	require.Len(t, a.Frames, 3)
}

// IDs: a stream that stays keeps its own, one that is gone leaves it to one of its
// kind, another gets the first that is free.
func TestAssemblerIDs(t *testing.T) {
	var a Assembler
	entry := func(key uint16, c codec.Codec) Entry { return Entry{Key: key, Content: Content{Codec: c}} }
	for _, c := range []struct {
		entries []Entry
		want    []int
	}{
		{[]Entry{entry(1, codec.H264), entry(2, codec.AAC)}, []int{1, 2}},
		{[]Entry{entry(2, codec.AAC), entry(3, codec.H265)}, []int{2, 1}},
		{[]Entry{entry(2, codec.PCMA), entry(3, codec.H265), entry(4, codec.MP3)}, []int{2, 1, 3}},
		{[]Entry{entry(4, codec.MP3), entry(4, codec.AAC)}, []int{3}},
		{[]Entry{entry(4, codec.MP3), entry(1, codec.H264)}, []int{3, 1}},
	} {
		a.SetStreams(c.entries)
		var ids []int
		for _, s := range a.Streams() {
			ids = append(ids, s.ID)
		}
		require.Equal(t, c.want, ids)
	}
}

// A stream that takes the place of another goes on from its times.
func TestAssemblerHeir(t *testing.T) {
	var a Assembler
	sound := func(key uint16, pts uint64) {
		a.Stream(key).Begin(&Header{ID: IDAudio, Header: 14, Size: 14 + 4, HasPTS: true, PTS: pts, DTS: pts}, false, []byte{1, 2, 3, 4})
	}
	a.SetStreams([]Entry{{Key: 1, Content: Content{Codec: codec.PCMA}}})
	sound(1, 9000)
	a.SetStreams([]Entry{{Key: 2, Content: Content{Codec: codec.PCMU}}})
	sound(2, 900)
	sound(2, 18000)
	a.SetStreams([]Entry{{Key: 2, Content: Content{Codec: codec.G722}}})
	sound(2, 90)
	a.Flush()
	var at []time.Duration
	for _, f := range a.Frames {
		require.Equal(t, 1, f.Track.ID)
		require.Equal(t, f.Track.Codec == codec.G722, f.Has(codec.FlagDiscont))
		at = append(at, f.DTS/time.Millisecond)
	}
	require.Equal(t, []time.Duration{100, 100, 200, 1}, at)
}
