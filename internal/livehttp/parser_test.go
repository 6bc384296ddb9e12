package livehttp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clientFrame returns a masked frame. first is FIN, RSV and opcode.
func clientFrame(first byte, data []byte) []byte {
	b := []byte{first}
	switch n := len(data); {
	case n < len16:
		b = append(b, bitMasked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, bitMasked|len16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bitMasked|len64), uint64(n))
	}
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, mask[:]...)
	for i, c := range data {
		b = append(b, c^mask[i&3])
	}
	return b
}

const fin = bitFinal

func frames(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

var parserCases = []struct {
	name string
	wire []byte
	want string // the control frames
	code int    // of the error; 0: none
}{
	{"nothing", nil, "", 0},
	{"text", clientFrame(fin|opText, []byte("hello")), "", 0},
	{"ping", clientFrame(fin|opPing, []byte("hello")), "9:hello", 0},
	{"empty ping and pong", frames(clientFrame(fin|opPing, nil), clientFrame(fin|opPong, nil)), "9: 10:", 0},
	{"longest ping", clientFrame(fin|opPing, bytes.Repeat([]byte("x"), 125)), "9:" + strings.Repeat("x", 125), 0},
	{"close", frames(clientFrame(fin|opClose, []byte{3, 0xe8}), []byte("what follows is nothing")), "8:\x03\xe8", 0},
	{"binary of 200 bytes", frames(clientFrame(fin|opBinary, make([]byte, 200)), clientFrame(fin|opPing, nil)), "9:", 0},
	{"binary of 64 KiB", frames(clientFrame(fin|opBinary, make([]byte, maxMessage)), clientFrame(fin|opPing, nil)), "9:", 0},
	{"fragments with a ping between", frames(
		clientFrame(opText, []byte("a")), clientFrame(opContinuation, nil), clientFrame(fin|opPing, []byte("p")), clientFrame(fin|opContinuation, []byte("b")),
		clientFrame(fin|opText, nil),
	), "9:p", 0},
	{"many messages", bytes.Repeat(clientFrame(fin|opBinary, make([]byte, 40<<10)), 10), "", 0},

	{"not masked", []byte{fin | opText, 1, 'a'}, "", closeProtocol},
	{"reserved bit", clientFrame(fin|0x40|opText, nil), "", closeProtocol},
	{"reserved opcode 3", clientFrame(fin|3, nil), "", closeProtocol},
	{"reserved opcode 15", clientFrame(fin|15, nil), "", closeProtocol},
	{"fragmented ping", clientFrame(opPing, nil), "", closeProtocol},
	{"ping of 126 bytes", clientFrame(fin|opPing, make([]byte, 126)), "", closeProtocol},
	{"continuation of nothing", clientFrame(fin|opContinuation, nil), "", closeProtocol},
	{"continuation after the end", frames(clientFrame(fin|opText, nil), clientFrame(opContinuation, nil)), "", closeProtocol},
	{"message in a message", frames(clientFrame(opText, nil), clientFrame(fin|opText, nil)), "", closeProtocol},
	{"length 5 in 16 bits", []byte{fin | opText, bitMasked | len16, 0, 5, 0, 0, 0, 0}, "", closeProtocol},
	{"length 5 in 64 bits", []byte{fin | opText, bitMasked | len64, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0}, "", closeProtocol},
	{"length 2^63", []byte{fin | opText, bitMasked | len64, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "", closeProtocol},
	{"length 2^63-1", []byte{fin | opText, bitMasked | len64, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, "", closeTooBig},
	{"frame above 64 KiB", clientFrame(fin|opBinary, make([]byte, maxMessage+1)), "", closeTooBig},
	{"message above 64 KiB", frames(clientFrame(opBinary, make([]byte, maxMessage)), clientFrame(opContinuation, []byte{1})), "", closeTooBig},
	{"fragments without end", frames(clientFrame(opText, nil), bytes.Repeat(clientFrame(opContinuation, nil), maxFragments)), "", closeTooBig},
	{"close of one byte", clientFrame(fin|opClose, []byte{3}), "", closeProtocol},
	{"close with 1005", clientFrame(fin|opClose, []byte{3, 0xed}), "", closeProtocol},
	{"close with 999", clientFrame(fin|opClose, []byte{3, 0xe7}), "", closeProtocol},
	{"close with 5000", clientFrame(fin|opClose, []byte{0x13, 0x88}), "", closeProtocol},
}

// run parses b in pieces of n bytes and returns what was seen.
func run(b []byte, n int) (seen string, err error) {
	var got []string
	p := parser{control: func(opcode byte, data []byte) error {
		if opcode == opClose {
			if _, err := closeStatus(data); err != nil {
				return err
			}
		}
		got = append(got, fmt.Sprintf("%d:%s", opcode, data))
		return nil
	}}
	for len(b) > 0 && err == nil {
		k := min(n, len(b))
		err = p.parse(b[:k])
		b = b[k:]
	}
	return strings.Join(got, " "), err
}

func TestParser(t *testing.T) {
	for _, c := range parserCases {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 7, 1 << 20} {
				seen, err := run(c.wire, n)
				require.Equal(t, c.want, seen)
				if c.code == 0 {
					require.NoError(t, err)
					continue
				}
				var e *closeError
				require.ErrorAs(t, err, &e)
				require.Equal(t, c.code, e.code)
			}
		})
	}
}

func TestParserStopsAtErrorOfControl(t *testing.T) {
	stop := errors.New("stop")
	p := parser{control: func(byte, []byte) error { return stop }}
	require.ErrorIs(t, p.parse(clientFrame(fin|opPing, nil)), stop)
}

func TestParserDoesNotAllocate(t *testing.T) {
	wire := frames(clientFrame(fin|opPing, []byte("p")), clientFrame(opBinary, make([]byte, 1000)), clientFrame(fin|opContinuation, nil))
	p := parser{control: func(byte, []byte) error { return nil }}
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = p.parse(wire) }))
}

func TestBinaryHeader(t *testing.T) {
	for n, want := range map[int][]byte{
		0:       {0x82, 0},
		125:     {0x82, 125},
		126:     {0x82, 126, 0, 126},
		65535:   {0x82, 126, 0xff, 0xff},
		65536:   {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0},
		1 << 24: {0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0},
	} {
		require.Equal(t, want, AppendBinaryHeader(nil, n))
		require.Equal(t, len(want), HeaderLen(n))
	}
}

func TestCloseFrame(t *testing.T) {
	require.Equal(t, []byte{0x88, 0}, closeFrame(closeNone, "not sent"))
	require.Equal(t, []byte{0x88, 4, 3, 0xe8, 'o', 'k'}, closeFrame(closeNormal, "ok"))
	long := closeFrame(closePolicy, strings.Repeat("é", 100))
	require.LessOrEqual(t, len(long), 2+maxControl)
	require.True(t, strings.HasSuffix(string(long), "é"), "no half letters")
}

func FuzzWSFrame(f *testing.F) {
	for _, c := range parserCases {
		f.Add(c.wire, 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		seen, err := run(b, max(n, 1))
		whole, werr := run(b, len(b)+1)
		require.Equal(t, whole, seen)
		require.Equal(t, werr == nil, err == nil)
		if err != nil {
			var e *closeError
			require.ErrorAs(t, err, &e)
		}
	})
}
