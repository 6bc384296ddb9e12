package wire

import "testing"

var peerBandwidthCases = []bodyCase[SetPeerBandwidth]{
	{name: "dynamic", wire: "\x00\x4c\x4b\x40\x02", want: SetPeerBandwidth{5000000, LimitDynamic}, used: 5},
	{name: "without limit type", wire: "\x00\x4c\x4b\x40", want: SetPeerBandwidth{5000000, LimitHard}, used: 4, out: "\x00\x4c\x4b\x40\x00"},
	{name: "unknown limit type", wire: "\x00\x4c\x4b\x40\x09", want: SetPeerBandwidth{5000000, 9}, used: 5},
	{name: "short", wire: "\x00\x4c\x4b"},
	{name: "empty", wire: ""},
}

func TestSetPeerBandwidth(t *testing.T) { testBody(t, peerBandwidthCases) }
func FuzzSetPeerBandwidth(f *testing.F) { fuzzBody(f, peerBandwidthCases) }
