package e2e

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	pionrtp "github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// TestUnknownEncoding: what nobody here can parse goes from RTSP to RTSP as it
// is, payload by payload.
func TestUnknownEncoding(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var sent []*pionrtp.Packet
	for i := range 300 {
		p := &pionrtp.Packet{Header: pionrtp.Header{
			Version: 2, PayloadType: 98, Marker: i%3 == 2, SequenceNumber: uint16(65500 + i), Timestamp: 4294900000 + uint32(i/3*900), SSRC: 7,
		}}
		p.Payload = make([]byte, 1+rnd.IntN(1200))
		for j := range p.Payload {
			p.Payload[j] = byte(rnd.Uint32())
		}
		sent = append(sent, p)
	}
	s := serve(t, nil)
	url := s.url("rtsp", "live/t")
	viewers := map[string]func() []*pionrtp.Packet{}
	for _, transport := range []string{"tcp", "udp"} {
		viewers[transport] = playOpaque(t, url, transport)
	}
	s.viewers(t, len(viewers))

	forma := &format.Generic{PayloadTyp: 98, RTPMa: "X-Private/90000", FMT: map[string]string{"depth": "3"}}
	require.NoError(t, forma.Init())
	desc := &description.Session{Medias: []*description.Media{{Type: description.MediaTypeVideo, Formats: []format.Format{forma}}}}
	c, u, err := gortsplibClient(url, "tcp")
	require.NoError(t, err)
	require.NoError(t, c.Start())
	defer c.Close()
	_, err = c.Announce(u, desc)
	require.NoError(t, err)
	require.NoError(t, c.SetupAll(u, desc.Medias))
	_, err = c.Record()
	require.NoError(t, err)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i, p := range sent {
		if i%3 == 0 {
			<-tick.C
		}
		require.NoError(t, c.WritePacketRTP(desc.Medias[0], p))
	}
	c.Close()

	for transport, wait := range viewers {
		got := wait()
		if transport == "tcp" {
			require.Greater(t, len(got), len(sent)/2)
		}
		first := 0 // who came late, or lost the last datagrams to the end of the connection
		for first < len(sent) && string(sent[first].Payload) != string(got[0].Payload) {
			first++
		}
		require.LessOrEqual(t, first+len(got), len(sent))
		for i, p := range got {
			want := sent[first+i]
			require.Equal(t, want.Payload, p.Payload, "%s: packet %d", transport, i)
			require.Equal(t, want.Marker, p.Marker, "%s: packet %d", transport, i)
			require.Equal(t, want.Timestamp-sent[first].Timestamp, p.Timestamp-got[0].Timestamp, "%s: packet %d", transport, i)
		}
	}
}

// playOpaque plays a stream of one encoding that gortsplib does not know, either.
func playOpaque(t testing.TB, url, transport string) func() []*pionrtp.Packet {
	t.Helper()
	type result struct {
		packets []*pionrtp.Packet
		forma   format.Format
		err     error
	}
	done := make(chan result, 1)
	go func() {
		var res result
		defer func() { done <- res }()
		c, desc, err := gortsplibSetup(t.Context(), url, transport)
		if res.err = err; err != nil {
			return
		}
		defer c.Close()
		defer context.AfterFunc(t.Context(), c.Close)()
		res.forma = desc.Medias[0].Formats[0]
		c.OnPacketRTP(desc.Medias[0], res.forma, func(p *pionrtp.Packet) { res.packets = append(res.packets, p) })
		if _, res.err = c.Play(nil); res.err == nil {
			_ = c.Wait()
		}
	}()
	return func() []*pionrtp.Packet {
		t.Helper()
		select {
		case res := <-done:
			require.NoError(t, res.err)
			require.IsType(t, &format.Generic{}, res.forma)
			require.Equal(t, "X-Private/90000", res.forma.RTPMap())
			require.Equal(t, map[string]string{"depth": "3"}, res.forma.FMTP())
			require.NotEmpty(t, res.packets)
			return res.packets
		case <-time.After(patience):
			t.Fatal("the stream does not end")
			return nil
		}
	}
}
