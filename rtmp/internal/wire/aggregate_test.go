package wire

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// aggregate returns the body of an aggregate message.
func aggregate(ms ...Message) string {
	var b []byte
	for _, m := range ms {
		b = AppendAggregated(b, m)
	}
	return string(b)
}

var (
	aggregatedVideo = Message{Type: TypeVideo, Timestamp: 1000, Body: []byte("video")}
	aggregatedAudio = Message{Type: TypeAudio, Timestamp: 1023, Body: []byte("a")}
	aggregatedLate  = Message{Type: TypeAudio, Timestamp: 0x01000010, Body: []byte("b")}
)

var aggregateCases = []struct {
	name  string
	wire  string
	want  []Type
	times []uint32 // of messages in an aggregate of time 5000
}{
	{"two", aggregate(aggregatedVideo, aggregatedAudio), []Type{TypeVideo, TypeAudio}, []uint32{5000, 5023}},
	{"24 bits are not enough", aggregate(aggregatedVideo, aggregatedLate), []Type{TypeVideo, TypeAudio}, []uint32{5000, 5000 + 0x01000010 - 1000}},
	{"without the last back pointer", aggregate(aggregatedAudio)[:12], []Type{TypeAudio}, []uint32{5000}},
	{"second cut", aggregate(aggregatedAudio, aggregatedVideo)[:30], []Type{TypeAudio}, []uint32{5000}},
	{"size that lies", "\x08\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00" + "abc", nil, nil},
	{"second size that lies", aggregate(aggregatedAudio) + "\x08\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00" + "a", []Type{TypeAudio}, []uint32{5000}},
	{"header cut", "\x08\x00\x00\x01\x00\x00", nil, nil},
	{"empty", "", nil, nil},
	{"empty message", aggregate(Message{Type: TypeAudio, Timestamp: 7}), []Type{TypeAudio}, []uint32{5000}},
}

func TestSplit(t *testing.T) {
	for _, c := range aggregateCases {
		t.Run(c.name, func(t *testing.T) {
			var types []Type
			var times []uint32
			for m := range Split(Message{Type: TypeAggregate, StreamID: 1, Timestamp: 5000, Body: []byte(c.wire)}) {
				require.EqualValues(t, 1, m.StreamID)
				require.Equal(t, len(m.Body), cap(m.Body))
				types, times = append(types, m.Type), append(times, m.Timestamp)
			}
			require.Equal(t, c.want, types)
			require.Equal(t, c.times, times)
		})
	}
}

func FuzzSplit(f *testing.F) {
	for _, c := range aggregateCases {
		f.Add([]byte(c.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		subs := slices.Collect(Split(Message{Type: TypeAggregate, Timestamp: 1000, Body: b}))
		again := slices.Collect(Split(Message{Type: TypeAggregate, Timestamp: 1000, Body: []byte(aggregate(subs...))}))
		require.Len(t, again, len(subs))
		for i := range subs {
			require.Equal(t, subs[i].Timestamp, again[i].Timestamp)
			require.Equal(t, string(subs[i].Body), string(again[i].Body))
		}
	})
}
