package ps

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// roundtripCases are streams that are sent to our own Receiver.
var roundtripCases = []struct {
	name    string
	stream  testmedia.Stream
	payload Payload
	only    codec.Kind // that arrives; KindData: all
}{
	{"H264 AAC in PS", testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2}, PayloadPS, codec.KindData},
	{"H265 PCMA in PS", testmedia.Stream{Video: codec.H265, Audio: codec.PCMA}, PayloadPS, codec.KindData},
	{"H264 in PS", testmedia.Stream{Video: codec.H264, Bitrate: 8_000_000}, PayloadPS, codec.KindData},
	{"PCMU in PS", testmedia.Stream{Audio: codec.PCMU}, PayloadPS, codec.KindData},
	{"H264 AAC in TS", testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2}, PayloadTS, codec.KindData},
	{"H264 as it is", testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2}, PayloadES, codec.KindVideo},
	{"H265 as it is", testmedia.Stream{Video: codec.H265}, PayloadES, codec.KindVideo},
	{"PCMA as it is", testmedia.Stream{Audio: codec.PCMA}, PayloadES, codec.KindAudio},
	{"Opus as it is", testmedia.Stream{Audio: codec.Opus}, PayloadES, codec.KindAudio},
}

// What a Sender sends is what a Receiver receives: the same bytes of each track, the
// same pictures with the same distances in time, by datagrams and by connections.
func TestSendToReceiver(t *testing.T) {
	for _, c := range roundtripCases {
		for _, mode := range []SendMode{SendUDP, SendTCP, SendTCPPassive} {
			t.Run(fmt.Sprintf("%s by %v", c.name, mode), func(t *testing.T) {
				t.Parallel()
				st := c.stream
				st.GOP, st.Bitrate = time.Second, cmp.Or(st.Bitrate, 500_000)
				s := newSent(t, st)
				hub := &source.Hub{MaxWait: 20 * time.Second, Options: source.StreamOptions{Linger: -1, Keep: time.Minute, KeepBytes: 64 << 20}}
				receivers := &Receivers{Handler: hub}
				t.Cleanup(func() {
					require.NoError(t, receivers.Close())
					require.NoError(t, hub.Close())
				})
				x, v := s.startTo(receivers, SendOptions{Mode: mode, Payload: c.payload, SSRC: 0xA1})
				ctx := filmtest.Soon(t)
				received := make(chan []*codec.Frame, 1)
				go func() { received <- framesOf(ctx, hub, v.Stats().Options.Key) }()
				written := s.writeUntil(3*time.Second, x, v)
				require.Eventually(t, func() bool { // somebody watches, and nothing waits for the Handler any more
					stream, session := hub.Stream(v.Stats().Options.Key), v.Session()
					if stream == nil || session == nil {
						return false
					}
					st := stream.Stats()
					return len(st.Sessions) > 0 && st.Publisher.Frames == session.Stats().Frames
				}, 10*time.Second, time.Millisecond)
				require.NoError(t, s.pub.Close())
				require.ErrorIs(t, s.over(x), io.EOF)
				got := <-received
				for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
					want := only(written, k)
					if c.only != codec.KindData && k != c.only || len(want) == 0 {
						require.Empty(t, only(got, k))
						continue
					}
					requireReceived(t, want, only(got, k))
				}
			})
		}
	}
}

// startTo starts to send to a new Receiver, and returns when there is a feed.
func (s *sent) startTo(r *Receivers, o SendOptions) (*Sender, *Receiver) {
	s.t.Helper()
	to := ReceiverOptions{Key: source.Key{Stream: "received"}, Addr: netip.MustParseAddr("127.0.0.1"), Mode: TCPPassive}
	if o.Mode.passive() {
		to.Mode = TCPActive
	}
	v, err := r.Open(to)
	require.NoError(s.t, err)
	o.To = netip.AddrPortFrom(to.Addr, v.Port()).String()
	x := s.start(o)
	if o.Mode.passive() {
		require.NoError(s.t, v.Connect(s.t.Context(), netip.AddrPortFrom(to.Addr, portOf(x.Stats().Local)).String()))
	}
	require.Eventually(s.t, func() bool { return len(s.hub.Stream(sendKey).Stats().Feeds) > 0 }, 10*time.Second, time.Millisecond)
	return x, v
}

// writeUntil writes the stream's frames up to a time, no faster than they arrive.
func (s *sent) writeUntil(d time.Duration, x *Sender, v *Receiver) (frames []*codec.Frame) {
	s.t.Helper()
	for len(frames) == 0 || frames[len(frames)-1].DTS < d {
		frames = append(frames, s.write(1)...)
		require.Eventually(s.t, func() bool {
			const most = 64 << 10 // of a socket that was not given a larger buffer
			session := v.Session()
			return session == nil || session.Stats().Bytes+most > x.Stats().Bytes
		}, 10*time.Second, time.Millisecond)
	}
	return frames
}

// framesOf returns the frames of a stream from its beginning to its end.
func framesOf(ctx context.Context, h source.Handler, key source.Key) (frames []*codec.Frame) {
	r, err := h.Play(ctx, &source.Request{Schema: "test", Key: key, Viewer: source.ViewerOptions{MaxLag: time.Minute, Back: time.Minute}})
	if err != nil {
		return nil
	}
	defer r.Close()
	for f, err := range source.Frames(ctx, r) {
		if err != nil {
			break
		}
		frames = append(frames, f)
	}
	return frames
}

// requireReceived fails unless got is a part of want, but for how sound is cut into
// frames: from the first second on to the end.
func requireReceived(t *testing.T, want, got []*codec.Frame) {
	t.Helper()
	require.NotEmpty(t, got)
	var sent, received []byte
	for _, f := range want {
		sent = append(sent, f.Data...)
	}
	for _, f := range got {
		received = append(received, f.Data...)
	}
	at := bytes.Index(sent, received)
	require.GreaterOrEqual(t, at, 0, "other bytes")
	require.Less(t, at, len(sent)/3, "a late beginning")
	require.Equal(t, len(sent), at+len(received), "an early end")
	if got[0].Track.Kind() != codec.KindVideo {
		return
	}
	for len(want) > 0 && !bytes.Equal(want[0].Data, got[0].Data) {
		want = want[1:]
	}
	require.GreaterOrEqual(t, len(want), len(got))
	for i, f := range got {
		require.Equal(t, want[i].Key(), f.Key())
		require.InDelta(t, want[i].PTS-want[0].PTS, f.PTS-got[0].PTS, float64(2*time.Millisecond), "picture %d", i)
	}
}
