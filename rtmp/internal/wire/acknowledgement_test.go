package wire

import "testing"

var acknowledgementCases = []bodyCase[Acknowledgement]{
	{name: "usual", wire: "\x00\x26\x25\xa0", want: Acknowledgement{2500000}, used: 4},
	{name: "short", wire: "\x00\x26\x25"},
	{name: "empty", wire: ""},
}

func TestAcknowledgement(t *testing.T) { testBody(t, acknowledgementCases) }
func FuzzAcknowledgement(f *testing.F) { fuzzBody(f, acknowledgementCases) }
