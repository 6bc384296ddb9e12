package child

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain is the child when it was started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "echo" {
		methods := Methods{
			"double": Func(func(n int) (int, error) { return 2 * n, nil }),
			"fail":   Func(func(struct{}) (any, error) { return nil, errors.New("no") }),
		}
		if methods.Serve(os.Stdin, os.Stdout) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestCall(t *testing.T) {
	c, err := Start("echo")
	require.NoError(t, err)
	require.Positive(t, c.PID())
	var n int
	require.NoError(t, c.Call("double", 21, &n))
	require.Equal(t, 42, n)
	require.ErrorContains(t, c.Call("fail", struct{}{}, nil), "no")
	require.ErrorContains(t, c.Call("other", nil, nil), "no method other")
	require.Error(t, c.Call("double", "x", &n))
	require.NoError(t, c.Close())
	require.Error(t, c.Call("double", 1, &n))
}
