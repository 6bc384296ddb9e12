package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScriptTag(t *testing.T) {
	const metadata = "\x02\x00\x0aonMetaData\x05"
	for _, c := range []struct {
		name string
		typ  Type
		wire string
		want string
	}{
		{"AMF0", TypeData, metadata, metadata},
		{"AMF3", TypeDataAMF3, "\x00" + metadata, metadata},
		{"AMF3 without format byte", TypeDataAMF3, metadata, metadata},
		{"AMF0 that begins with a number", TypeData, "\x00" + metadata, "\x00" + metadata},
		{"empty", TypeData, "", ""},
		{"empty AMF3", TypeDataAMF3, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, string(ScriptTag(c.typ, []byte(c.wire))))
		})
	}
}
