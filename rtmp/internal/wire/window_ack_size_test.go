package wire

import "testing"

var windowAckSizeCases = []bodyCase[WindowAckSize]{
	{name: "usual", wire: "\x00\x4c\x4b\x40", want: WindowAckSize{5000000}, used: 4},
	{name: "0", wire: "\x00\x00\x00\x00", want: WindowAckSize{0}, used: 4},
	{name: "short", wire: "\x00\x4c\x4b"},
	{name: "empty", wire: ""},
}

func TestWindowAckSize(t *testing.T) { testBody(t, windowAckSizeCases) }
func FuzzWindowAckSize(f *testing.F) { fuzzBody(f, windowAckSizeCases) }
