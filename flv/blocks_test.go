package flv

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// Whatever is asked for in whatever way comes in order, and what was taken stays
// what it was.
func TestBlocks(t *testing.T) {
	data := make([]byte, 3*blockSize+1000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	for name, in := range map[string]io.Reader{
		"whole": bytes.NewReader(data), "halves": iotest.HalfReader(bytes.NewReader(data)), "data with EOF": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		t.Run(name, func(t *testing.T) {
			b := &blocks{}
			b.Reset(in)
			var taken, want [][]byte
			for at := 0; at < len(data); {
				n := min(random.IntN(2*blockSize/(1+random.IntN(20)))+1, len(data)-at)
				part := data[at : at+n]
				switch random.IntN(4) {
				case 0:
					v, err := b.Peek(n)
					require.NoError(t, err)
					require.True(t, bytes.Equal(part, v))
					require.GreaterOrEqual(t, b.Buffered(), n)
				case 1:
					m, err := b.Discard(n)
					require.NoError(t, err)
					require.Equal(t, n, m)
					at += n
				case 2:
					v := make([]byte, n)
					_, err := io.ReadFull(b, v)
					require.NoError(t, err)
					require.True(t, bytes.Equal(part, v))
					at += n
				case 3:
					v, err := b.take(n)
					require.NoError(t, err)
					require.Equal(t, n, cap(v))
					taken, want = append(taken, v), append(want, part)
					at += n
				}
			}
			for i := range taken {
				require.True(t, bytes.Equal(want[i], taken[i]))
			}
			_, err := b.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
			_, err = b.take(1)
			require.Equal(t, io.EOF, err)
		})
	}
}

func TestBlocksEnd(t *testing.T) {
	broken := errors.New("broken disk")
	for _, end := range []error{io.EOF, broken} {
		in := func() *blocks {
			return &blocks{r: io.MultiReader(bytes.NewReader([]byte("abc")), iotest.ErrReader(end))}
		}
		v, err := in().Peek(5)
		require.Equal(t, end, err)
		require.Equal(t, "abc", string(v))
		n, err := in().Discard(5)
		require.Equal(t, end, err)
		require.Equal(t, 3, n)
		v, err = in().take(5)
		require.Equal(t, "abc", string(v))
		if end == io.EOF {
			require.Equal(t, io.ErrUnexpectedEOF, err)
		} else {
			require.Equal(t, broken, err)
		}
	}
}
