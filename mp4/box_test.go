package mp4

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// boxCases are box headers: how long they are themselves, and the box.
var boxCases = []struct {
	name string
	wire string
	n    int // 0: too short
	size int64
	bad  bool
}{
	{"nothing", "", 0, 0, false},
	{"cut", "\x00\x00\x00\x08fre", 0, 0, false},
	{"empty", "\x00\x00\x00\x08free", 8, 8, false},
	{"to the end", "\x00\x00\x00\x00free", 8, 0, false},
	{"32 bits", "\xff\xff\xff\xfffree", 8, 1<<32 - 1, false},
	{"64 bits, cut", "\x00\x00\x00\x01free\x00\x00\x00\x00\x00\x00\x00", 0, 0, false},
	{"64 bits", "\x00\x00\x00\x01free\x00\x00\x00\x01\x00\x00\x00\x00", 16, 1 << 32, false},
	{"64 bits, empty", "\x00\x00\x00\x01free\x00\x00\x00\x00\x00\x00\x00\x10", 16, 16, false},
	{"below the header", "\x00\x00\x00\x07free", 0, 0, true},
	{"64 bits, below the header", "\x00\x00\x00\x01free\x00\x00\x00\x00\x00\x00\x00\x0f", 0, 0, true},
	{"64 bits, 0", "\x00\x00\x00\x01free\x00\x00\x00\x00\x00\x00\x00\x00", 0, 0, true},
	{"64 bits, the highest", "\x00\x00\x00\x01free\xff\xff\xff\xff\xff\xff\xff\xff", 0, 0, true},
}

func TestParseHeader(t *testing.T) {
	for _, c := range boxCases {
		kind, n, size, err := parseHeader([]byte(c.wire))
		if c.bad {
			require.ErrorIs(t, err, ErrInvalid, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, c.n, n, c.name)
		require.Equal(t, c.size, size, c.name)
		if n > 0 {
			require.Equal(t, "free", kind.String())
		}
	}
}

func TestBoxType(t *testing.T) {
	require.Equal(t, "a?b?", typeOf("a\x00b\xff").String())
}

// Boxes and fields of anything do not panic, and yield nothing that is not there.
func FuzzEachBox(f *testing.F) {
	for _, c := range boxCases {
		f.Add([]byte(c.wire))
	}
	f.Add(appendInit(nil, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		_ = eachBox(b, func(x box) error {
			total += boxHeader + len(x.body)
			return nil
		})
		require.LessOrEqual(t, total, len(b))
		_, _ = parseMovie(b)
		object, config, err := parseESDS(b)
		if err == nil && len(config) > 0 {
			again, same, err := parseESDS(appendESDS(nil, object, 0, config))
			require.NoError(t, err)
			require.Equal(t, object, again)
			require.Equal(t, config, same)
		}
	})
}
