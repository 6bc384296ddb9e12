package wire

import "testing"

var setChunkSizeCases = []bodyCase[SetChunkSize]{
	{name: "60000", wire: "\x00\x00\xea\x60", want: SetChunkSize{60000}, used: 4},
	{name: "1", wire: "\x00\x00\x00\x01", want: SetChunkSize{1}, used: 4},
	{name: "too long", wire: "\x00\x00\x00\x80\xff", want: SetChunkSize{128}, used: 4},
	{name: "most", wire: "\x00\xff\xff\xff", want: SetChunkSize{MaxChunkSize}, used: 4},
	{name: "more than a message has", wire: "\x7f\xff\xff\xff", want: SetChunkSize{MaxChunkSize}, used: 4, out: "\x00\xff\xff\xff"},
	{name: "0", wire: "\x00\x00\x00\x00"},
	{name: "first bit set", wire: "\x80\x00\x00\x80"},
	{name: "short", wire: "\x00\x00\x80"},
	{name: "empty", wire: ""},
}

func TestSetChunkSize(t *testing.T) { testBody(t, setChunkSizeCases) }
func FuzzSetChunkSize(f *testing.F) { fuzzBody(f, setChunkSizeCases) }
