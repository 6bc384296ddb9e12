package wire

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/amf"
)

// Strings of AMF0 as commands have them.
const (
	amfConnect = "\x02\x00\x07connect"
	amfOne     = "\x00\x3f\xf0\x00\x00\x00\x00\x00\x00"
	amfNull    = "\x05"
	amfObject  = "\x03\x00\x03app\x02\x00\x04live\x00\x00\x09"
)

var commandCases = []struct {
	name string
	typ  Type
	wire string
	want Command
	bad  bool
}{
	{name: "connect", typ: TypeCommand, wire: amfConnect + amfOne + amfObject,
		want: Command{Name: "connect", ID: 1, Object: amf.Object{{Name: "app", Value: "live"}}}},
	{name: "arguments", typ: TypeCommand, wire: "\x02\x00\x04play" + amfOne + amfNull + "\x02\x00\x01s\x01\x01",
		want: Command{Name: "play", ID: 1, Args: []any{"s", true}}},
	{name: "name only", typ: TypeCommand, wire: amfConnect, want: Command{Name: "connect"}},
	{name: "AMF3 with format byte", typ: TypeCommandAMF3, wire: "\x00" + amfConnect + amfOne + amfObject,
		want: Command{Name: "connect", ID: 1, Object: amf.Object{{Name: "app", Value: "live"}}}},
	{name: "AMF3 switching", typ: TypeCommandAMF3, wire: "\x00" + amfConnect + amfOne + "\x11\x04\x05",
		want: Command{Name: "connect", ID: 1, Object: 5.0}},
	{name: "AMF3 without format byte", typ: TypeCommandAMF3, wire: amfConnect + amfOne,
		want: Command{Name: "connect", ID: 1}},
	{name: "AMF3 values", typ: TypeCommandAMF3, wire: "\x06\x09play\x04\x01\x01\x06\x03s",
		want: Command{Name: "play", ID: 1, Args: []any{"s"}}},
	{name: "empty", typ: TypeCommand, wire: "", bad: true},
	{name: "empty AMF3", typ: TypeCommandAMF3, wire: "", bad: true},
	{name: "name is a number", typ: TypeCommand, wire: amfOne, bad: true},
	{name: "name cut", typ: TypeCommand, wire: "\x02\x00\x07conn", bad: true},
	{name: "object cut", typ: TypeCommand, wire: amfConnect + amfOne + amfObject[:8], bad: true},
	{name: "too deep", typ: TypeCommand, wire: amfConnect + amfOne + strings.Repeat("\x03\x00\x01a", 40), bad: true},
	{name: "2^32 elements", typ: TypeCommand, wire: amfConnect + amfOne + "\x0a\xff\xff\xff\xff", bad: true},
	{name: "long string that lies", typ: TypeCommand, wire: amfConnect + amfOne + "\x0c\xff\xff\xff\xffa", bad: true},
	{name: "too many values", typ: TypeCommand, wire: amfConnect + strings.Repeat("\x05", 2000), bad: true},
}

func TestCommand(t *testing.T) {
	for _, c := range commandCases {
		t.Run(c.name, func(t *testing.T) {
			var m Command
			err := m.Unmarshal(c.typ, []byte(c.wire))
			if c.bad {
				require.ErrorIs(t, err, ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, m)
			var again Command
			require.NoError(t, again.Unmarshal(TypeCommand, m.Append(nil)))
			require.Equal(t, m, again)
		})
	}
}

func TestCommandArguments(t *testing.T) {
	m := Command{Args: []any{"a", 2.0, true}}
	require.Equal(t, "a", m.StringArg(0))
	require.Equal(t, 2.0, m.NumberArg(1))
	require.Equal(t, 1.0, m.NumberArg(2))
	require.Equal(t, "", m.StringArg(1))
	require.Equal(t, 0.0, m.NumberArg(0))
	require.Nil(t, m.Arg(3))
}

func FuzzCommand(f *testing.F) {
	for _, c := range commandCases {
		f.Add(byte(c.typ), []byte(c.wire))
	}
	f.Fuzz(func(t *testing.T, typ byte, b []byte) {
		var m, again Command
		if err := m.Unmarshal(Type(typ), b); err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		if err := again.Unmarshal(TypeCommand, m.Append(nil)); err == nil {
			require.Equal(t, m.Name, again.Name)
		}
	})
}
