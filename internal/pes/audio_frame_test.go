package pes

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The lengths of AC-3 frames at all rates.
func TestAC3Size(t *testing.T) {
	for _, c := range []struct {
		fscod, code byte
		size        int
	}{{0, 0, 128}, {0, 1, 128}, {0, 37, 2560}, {1, 0, 138}, {1, 1, 140}, {1, 20, 834}, {1, 21, 836}, {1, 37, 2788}, {2, 0, 192}, {2, 36, 3840}} {
		n, err := ac3Size([]byte{0x0b, 0x77, 0, 0, c.fscod<<6 | c.code})
		require.NoError(t, err)
		require.Equal(t, c.size, n)
	}
	for _, bad := range [][]byte{{0x0b, 0x77, 0, 0, 0xc0}, {0x0b, 0x77, 0, 0, 38}, {0x77, 0x0b, 0, 0, 0}} {
		_, err := ac3Size(bad)
		require.ErrorIs(t, err, errInvalid)
	}
}
