package main

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestServer lets viewers of each protocol join the server that is measured.
func TestServer(t *testing.T) {
	s, err := startServer(0)
	require.NoError(t, err)
	defer s.close()
	conn, err := net.Dial("tcp", s.addrs()[crowd.RTMP])
	require.NoError(t, err)
	id, err := wire.PublishRTMP(conn, streamApp, streamName)
	require.NoError(t, err)
	var publishing sync.WaitGroup
	publishing.Go(func() { publish(conn, id, publishArgs{}, time.Now()) })
	defer publishing.Wait()
	defer conn.Close()

	for _, protocol := range []string{crowd.RTMP, crowd.FLV, crowd.WS} {
		target := crowd.Target{Protocol: protocol, Addr: s.addrs()[protocol], App: streamApp, Stream: streamName}
		j, err := crowd.Join(target, 2, 0)
		require.NoError(t, err, protocol)
		require.Positive(t, j.ConnectP99)
		require.LessOrEqual(t, j.AskedP50, j.ConnectP50)
	}
	st := s.stats()
	require.Equal(t, 1, st.Streams)
	require.Positive(t, st.RingBytes)
	require.Zero(t, st.Jumps)
}
