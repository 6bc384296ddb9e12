package tunnel

import (
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
)

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

var decoderCases = []struct {
	name string
	in   string
	want string
	err  error // nil: io.EOF
}{
	{"nothing", "", "", nil},
	{"whole groups", encode("abcdef"), "abcdef", nil},
	{"padding", encode("abcde"), "abcde", nil},
	{"two paddings", encode("abcd"), "abcd", nil},
	{"all bits", "+/+/", "\xfb\xff\xbf", nil},
	{"padding in the middle", encode("a") + encode("bc") + encode("def") + encode("g"), "abcdefg", nil},
	{"line ends and blanks", "\r\nYW\r\nJj \tZGU=\r\n\r\n", "abcde", nil},
	{"blank between paddings", "YQ= \r\n=YQ==", "aa", nil},
	{"ends in a group", "YWJjZ", "abc", io.ErrUnexpectedEOF},
	{"ends after a byte of a group", "YWJjZG", "abcd", io.ErrUnexpectedEOF},
	{"ends in padding", "YQ=", "a", io.ErrUnexpectedEOF},
	{"garbage", "YWJj!", "abc", wire.ErrInvalid},
	{"garbage first", "\x00", "", wire.ErrInvalid},
	{"alphabet of URLs", "-_-_", "", wire.ErrInvalid},
	{"padding first", "=", "", wire.ErrInvalid},
	{"padding second", "Y=", "", wire.ErrInvalid},
	{"padding after one", "YWJj=", "abc", wire.ErrInvalid},
	{"three paddings", "YQ===", "a", wire.ErrInvalid},
	{"one padding of two", "YQ=a", "a", wire.ErrInvalid},
}

func TestDecoder(t *testing.T) {
	for _, c := range decoderCases {
		for way, wrap := range map[string]func(io.Reader) io.Reader{
			"whole":    func(r io.Reader) io.Reader { return r },
			"bytes":    iotest.OneByteReader,
			"halves":   iotest.HalfReader,
			"with end": iotest.DataErrReader,
		} {
			for _, size := range []int{1, 2, 3, 4, 100} {
				d := &decoder{src: wrap(strings.NewReader(c.in))}
				var got []byte
				var err error
				for b := make([]byte, size); err == nil; {
					var n int
					n, err = d.Read(b)
					got = append(got, b[:n]...)
				}
				require.Equal(t, c.want, string(got), "%s %s %d", c.name, way, size)
				if c.err == nil {
					require.Equal(t, io.EOF, err, "%s %s %d", c.name, way, size)
				} else {
					require.ErrorIs(t, err, c.err, "%s %s %d", c.name, way, size)
				}
				_, again := d.Read(make([]byte, 10))
				require.Equal(t, err, again)
			}
		}
	}
	n, err := (&decoder{}).Read(nil)
	require.Zero(t, n)
	require.NoError(t, err)
}

// TestDecoderBlanks: blanks without end do not keep a Read busy for ever.
func TestDecoderBlanks(t *testing.T) {
	in := wire.NewReader(&decoder{src: blanks{}}, 256, wire.Limits{})
	_, err := in.Next()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type blanks struct{}

func (blanks) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '\n'
	}
	return len(b), nil
}

// FuzzDecoder: requests, each encoded by itself, come out as they went in,
// whatever the pieces.
func FuzzDecoder(f *testing.F) {
	for _, c := range decoderCases {
		f.Add(c.in, uint8(3), uint8(2))
	}
	f.Fuzz(func(t *testing.T, in string, each, size uint8) {
		raw, _ := io.ReadAll(&decoder{src: strings.NewReader(in)})
		if len(raw) > len(in) {
			t.Fatalf("%d bytes from %d", len(raw), len(in))
		}
		var encoded strings.Builder
		for piece := range slices.Chunk([]byte(in), int(each)+1) {
			encoded.WriteString(encode(string(piece)))
		}
		d := &decoder{src: iotest.HalfReader(strings.NewReader(encoded.String()))}
		var got []byte
		for b := make([]byte, int(size)+1); ; {
			n, err := d.Read(b)
			if got = append(got, b[:n]...); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != in {
			t.Fatalf("%q came out as %q", in, got)
		}
	})
}
