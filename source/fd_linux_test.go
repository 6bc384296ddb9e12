package source

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// openSockets returns this process's sockets.
func openSockets(t *testing.T) (sockets []string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, "socket:") {
			sockets = append(sockets, to)
		}
	}
	return sockets
}
