package floor

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFloor reads the stream as two viewers until each has some frames.
func TestFloor(t *testing.T) {
	for _, window := range []time.Duration{0, 100 * time.Millisecond} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		f := Start(ln, window)
		for range 2 {
			conn, err := net.Dial("tcp", ln.Addr().String())
			require.NoError(t, err)
			var video, audio int
			var first, last uint32
			s := wire.NewFLVScanner(true, func(m wire.Message) {
				if m.Type == media.TagAudio {
					audio++
					return
				}
				n, at, ok := media.ReadStamp(m.Head)
				require.True(t, ok)
				require.Positive(t, at)
				if video == 0 {
					first = n
				}
				last = n
				video++
			})
			buf := make([]byte, 64<<10)
			for video < 10 || audio < 10 {
				n, err := conn.Read(buf)
				require.NoError(t, err)
				require.NoError(t, s.Scan(buf[:n]))
			}
			require.Equal(t, uint32(video-1), last-first, "frames without a gap")
			conn.Close()
		}
		f.Close()
	}
}
