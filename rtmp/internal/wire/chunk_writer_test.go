package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var writerCases = []struct {
	name       string
	stream     uint8
	typ        Type
	id, stamp  uint32
	size       int
	head, data string
	want       string
}{
	{"one chunk", 6, TypeAudio, 1, 0x010203, 128, "h", "data",
		"\x06\x01\x02\x03\x00\x00\x05\x08\x01\x00\x00\x00" + "hdata"},
	{"empty", 2, TypeAbort, 0, 0, 128, "", "",
		"\x02\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00"},
	{"exactly one chunk", 7, TypeVideo, 1, 0, 4, "he", "ad",
		"\x07\x00\x00\x00\x00\x00\x04\x09\x01\x00\x00\x00" + "head"},
	{"three chunks", 7, TypeVideo, 1, 40, 3, "he", "addata",
		"\x07\x00\x00\x28\x00\x00\x08\x09\x01\x00\x00\x00" + "hea" + "\xc7" + "dda" + "\xc7" + "ta"},
	{"head of two chunks", 7, TypeVideo, 1, 40, 3, "headhe", "ad",
		"\x07\x00\x00\x28\x00\x00\x08\x09\x01\x00\x00\x00" + "hea" + "\xc7" + "dhe" + "\xc7" + "ad"},
	{"largest plain timestamp", 6, TypeAudio, 1, 0xfffffe, 2, "", "abc",
		"\x06\xff\xff\xfe\x00\x00\x03\x08\x01\x00\x00\x00" + "ab" + "\xc6" + "c"},
	{"smallest extended timestamp", 6, TypeAudio, 1, 0xffffff, 2, "", "abc",
		"\x06\xff\xff\xff\x00\x00\x03\x08\x01\x00\x00\x00" + "\x00\xff\xff\xff" + "ab" + "\xc6\x00\xff\xff\xff" + "c"},
	{"extended timestamp", 6, TypeAudio, 1, 0xfffffffe, 2, "", "abc",
		"\x06\xff\xff\xff\x00\x00\x03\x08\x01\x00\x00\x00" + "\xff\xff\xff\xfe" + "ab" + "\xc6\xff\xff\xff\xfe" + "c"},
	{"message stream", 3, TypeCommand, 0x04030201, 0, 128, "", "",
		"\x03\x00\x00\x00\x00\x00\x00\x14\x01\x02\x03\x04"},
}

func TestAppendMessage(t *testing.T) {
	for _, c := range writerCases {
		t.Run(c.name, func(t *testing.T) {
			got := AppendMessage([]byte("before"), c.stream, c.typ, c.id, c.stamp, c.size, []byte(c.head), []byte(c.data))
			require.Equal(t, "before"+c.want, string(got))
			require.Equal(t, len(c.want), MessageSize(c.stamp, c.size, len(c.head)+len(c.data)))
		})
	}
}

func TestAppendBodies(t *testing.T) {
	require.Equal(t, "\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00"+"\x00\x00\xea\x60",
		string(AppendControl(nil, 128, SetChunkSize{60000})))
	require.Equal(t, "\x03\x00\x00\x00\x00\x00\x11\x14\x01\x00\x00\x00"+"\x02\x00\x04play\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05",
		string(AppendCommand(nil, 1, 128, Command{Name: "play"})))
	long := Command{Name: strings.Repeat("a", 500)}
	require.Equal(t, MessageSize(0, 128, len(long.Append(nil))), len(AppendCommand(nil, 1, 128, long)))
}

// TestMessageSurvives writes messages and reads them back.
func TestMessageSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 200).Draw(t, "chunk size")
		wire := AppendControl(nil, DefaultChunkSize, SetChunkSize{uint32(size)})
		var want []Message
		for range rapid.IntRange(1, 5).Draw(t, "messages") {
			m := Message{
				Type:      rapid.SampledFrom([]Type{TypeAudio, TypeVideo, TypeData, TypeCommand}).Draw(t, "type"),
				StreamID:  rapid.Uint32().Draw(t, "stream"),
				Timestamp: rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(extended-1, extended+1)).Draw(t, "timestamp"),
				Body:      rapid.SliceOfN(rapid.Byte(), 1, 1000).Draw(t, "body"),
			}
			want = append(want, m)
			n := rapid.IntRange(0, len(m.Body)).Draw(t, "head")
			stream := rapid.Uint8Range(2, 63).Draw(t, "chunk stream")
			before := len(wire)
			wire = AppendMessage(wire, stream, m.Type, m.StreamID, m.Timestamp, size, m.Body[:n], m.Body[n:])
			require.Equal(t, MessageSize(m.Timestamp, size, len(m.Body)), len(wire)-before)
		}
		r := NewReader(bytes.NewReader(wire), make([]byte, rapid.IntRange(MinBuffer, 300).Draw(t, "buffer")), testLimits)
		for _, m := range want {
			got, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, m, got)
		}
		require.EqualValues(t, len(wire), r.Bytes())
	})
}
