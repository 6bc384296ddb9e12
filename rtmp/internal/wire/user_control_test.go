package wire

import "testing"

var userControlCases = []bodyCase[UserControl]{
	{name: "stream begin", wire: "\x00\x00\x00\x00\x00\x01", want: UserControl{Event: EventStreamBegin, Value: 1}, used: 6},
	{name: "stream EOF", wire: "\x00\x01\x00\x00\x00\x01", want: UserControl{Event: EventStreamEOF, Value: 1}, used: 6},
	{name: "set buffer length", wire: "\x00\x03\x00\x00\x00\x01\x00\x00\x0b\xb8", want: UserControl{EventSetBufferLength, 1, 3000}, used: 10},
	{name: "ping", wire: "\x00\x06\x12\x34\x56\x78", want: UserControl{Event: EventPingRequest, Value: 0x12345678}, used: 6},
	{name: "unknown", wire: "\x00\x1f\x01", want: UserControl{Event: 31}, used: 2},
	{name: "ping without time", wire: "\x00\x06\x12\x34\x56"},
	{name: "buffer length without length", wire: "\x00\x03\x00\x00\x00\x01"},
	{name: "short", wire: "\x00"},
	{name: "empty", wire: ""},
}

func TestUserControl(t *testing.T) { testBody(t, userControlCases) }
func FuzzUserControl(f *testing.F) { fuzzBody(f, userControlCases) }
