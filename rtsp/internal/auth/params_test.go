package auth

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var paramsCases = []struct {
	in   string
	want params // nil: none
}{
	{``, params{}},
	{`a=b`, params{"a": "b"}},
	{`a="b"`, params{"a": "b"}},
	{`A = "b" , c=d,e="f,g"`, params{"a": "b", "c": "d", "e": "f,g"}},
	{`a="b\"c\\d"`, params{"a": `b"c\d`}},
	{`a="", b=`, params{"a": "", "b": ""}},
	{`,, a=b ,`, params{"a": "b"}},
	{`uri=rtsp://h/a?b=c,d=e`, params{"uri": "rtsp://h/a?b=c", "d": "e"}},
	{`a`, nil},
	{`=b`, nil},
	{`a=b, A=c`, nil},
	{`a="b`, nil},
	{`a="b\`, nil},
	{`a="b"c`, nil},
	{`a b=c`, nil},
	{`"a"=b`, nil},
	{`a=b "c=d"`, params{"a": `b "c=d"`}},
	{strings.Repeat(`a=b,`, 2), nil},
	{many(32), nil},
}

func many(n int) string {
	var b strings.Builder
	for i := range n + 1 {
		b.WriteString(strings.Repeat("x", i+1) + "=1,")
	}
	return b.String()
}

func TestParams(t *testing.T) {
	for _, c := range paramsCases {
		p, err := parseParams(c.in)
		if c.want == nil {
			require.Error(t, err, c.in)
			continue
		}
		require.NoError(t, err, c.in)
		require.Equal(t, c.want, p, c.in)
	}
	p, err := parseParams(many(31))
	require.NoError(t, err)
	require.Len(t, p, maxParams)
}

func TestQuote(t *testing.T) {
	require.Equal(t, `"a\"b\\c  d"`, quote("a\"b\\c\r\nd"))
}

// FuzzParams: what was parsed comes back when it is quoted.
func FuzzParams(f *testing.F) {
	for _, c := range paramsCases {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseParams(s)
		if err != nil {
			return
		}
		for name, v := range p {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return // the reader of messages refuses those
			}
			again, err := parseParams(name + "=" + quote(v) + ",,")
			if err != nil || again[name] != v {
				t.Fatalf("%q=%q came back as %q, %v", name, v, again, err)
			}
		}
	})
}
