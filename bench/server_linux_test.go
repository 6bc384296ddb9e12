package main

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestServer lets viewers of each protocol join the server that is measured, with
// a publisher by each.
func TestServer(t *testing.T) {
	for _, by := range []string{crowd.RTMP, crowd.RTSP} {
		t.Run("published by "+by, func(t *testing.T) { testServer(t, by) })
	}
}

func testServer(t *testing.T, by string) {
	s, err := startServer(0)
	require.NoError(t, err)
	defer s.close()
	conn, err := net.Dial("tcp", s.addrs()[by])
	require.NoError(t, err)
	encode, err := announce(conn, by, streamName)
	require.NoError(t, err)
	var publishing sync.WaitGroup
	publishing.Go(func() { publish(conn, encode, publishArgs{}, time.Now()) })
	defer publishing.Wait()
	defer conn.Close()

	for _, protocol := range protocols() {
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
