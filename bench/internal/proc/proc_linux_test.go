package proc

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNow(t *testing.T) {
	a := Now()
	b := Now()
	require.Positive(t, a)
	require.GreaterOrEqual(t, b, a)
}

func TestCPU(t *testing.T) {
	before, err := CPU(os.Getpid())
	require.NoError(t, err)
	for x := before; x-before < time.Millisecond; { // spends what it waits for
		x, err = CPU(os.Getpid())
		require.NoError(t, err)
	}
	_, err = CPU(1 << 22)
	require.Error(t, err)
}

func TestRSS(t *testing.T) {
	n, err := RSS(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, n, int64(1<<20))
	_, err = RSS(1 << 22)
	require.Error(t, err)
}

func TestLineOf(t *testing.T) {
	b := []byte("Name:\tbench\nVmRSS:\t  1234 kB\nRss: 5 kB")
	require.Equal(t, "1234 kB", lineOf(b, "VmRSS:"))
	require.Equal(t, "5 kB", lineOf(b, "Rss:"))
	require.Equal(t, "", lineOf(b, "Pss:"))
}

func TestRelease(t *testing.T) {
	require.Equal(t, "6.1.0", release("6.1.0-44-amd64\n"))
	require.Equal(t, "6.18.44", release("6.18.44"))
}

func TestBusy(t *testing.T) {
	busy, total := Busy()
	require.Positive(t, total)
	require.LessOrEqual(t, busy, total)
}

func TestMachine(t *testing.T) { require.Contains(t, Machine(), "cores, Linux ") }
