package wire

import "testing"

var abortCases = []bodyCase[Abort]{
	{name: "usual", wire: "\x00\x00\x00\x06", want: Abort{6}, used: 4},
	{name: "short", wire: "\x00\x00\x06"},
	{name: "empty", wire: ""},
}

func TestAbort(t *testing.T) { testBody(t, abortCases) }
func FuzzAbort(f *testing.F) { fuzzBody(f, abortCases) }
