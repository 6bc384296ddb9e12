package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A bodyCase is a body on the wire and what it means.
type bodyCase[T any] struct {
	name string
	wire string
	want T
	used int    // bytes; 0 means the body is invalid
	out  string // what Append makes of want; "" means wire[:used]
}

// body is what the types of control messages are.
type body[T any] interface {
	*T
	Unmarshal([]byte) (int, error)
}

func testBody[T Body, P body[T]](t *testing.T, cases []bodyCase[T]) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var m T
			n, err := P(&m).Unmarshal([]byte(c.wire))
			if c.used == 0 {
				require.ErrorIs(t, err, ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.used, n)
			require.Equal(t, c.want, m)
			if c.out == "" {
				c.out = c.wire[:c.used]
			}
			require.Equal(t, c.out, string(m.Append(nil)))
			for cut := range n - 1 {
				if _, err := P(&m).Unmarshal([]byte(c.wire[:cut])); err != nil {
					require.ErrorIs(t, err, ErrInvalid)
				}
			}
		})
	}
}

func fuzzBody[T interface {
	comparable
	Body
}, P body[T]](f *testing.F, cases []bodyCase[T]) {
	for _, c := range cases {
		f.Add([]byte(c.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, again T
		if _, err := P(&m).Unmarshal(b); err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		if _, err := P(&again).Unmarshal(m.Append(nil)); err != nil || again != m {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
	})
}
