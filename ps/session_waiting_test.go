package ps

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// othersKeep is what other sessions keep.
const othersKeep = maxUnanswered - 1<<20

// What is kept for all streams whose Handler does not answer is bounded, and a stream
// that is accepted then goes on from a key frame (G2).
func TestSessionUnanswered(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 20_000_000, GOP: 400 * time.Millisecond}
	frames := stream.Take(3 * time.Second)
	sent := psPackets(t, psSender(), frames)
	half := len(sent) / 2
	synctest.Test(t, func(t *testing.T) {
		accept := make(chan struct{})
		r := &recorder{answer: func(context.Context) error { <-accept; return nil }}
		s, _ := newTestSession(r, ReceiveOptions{})
		s.unanswered = &unanswered{}
		s.unanswered.size.Add(othersKeep)
		now := time.Now()
		most := int64(0)
		for _, p := range sent[:half] {
			now = arrive(s, [][]byte{p}, now)
			require.LessOrEqual(t, s.unanswered.size.Load(), int64(maxUnanswered+maxShare))
			most = max(most, s.unanswered.size.Load())
		}
		require.Greater(t, most, int64(maxUnanswered-1<<19))
		close(accept)
		synctest.Wait()
		arrive(s, sent[half:], now)
		s.end(nil)
		ended(t, s, io.EOF)
		require.EqualValues(t, othersKeep, s.unanswered.size.Load())
		st := statsOf(s)
		require.NotZero(t, st.Dropped)
		require.EqualValues(t, len(r.frames), st.Frames-st.Dropped)
		i := slices.IndexFunc(r.frames, func(f *codec.Frame) bool { return f.Track.Kind() == codec.KindVideo })
		require.True(t, r.frames[i].Key())
		last := frames[len(frames)*2/3:]
		require.GreaterOrEqual(t, len(r.frames), len(last))
		for i, f := range r.frames[len(r.frames)-len(last):] {
			require.Equal(t, last[i].Data, f.Data)
		}
	})
}

// The same goes for pictures that do not end.
func TestSessionUnansweredPicture(t *testing.T) {
	filler := bytes.Repeat([]byte("\x55"), 1400)
	kinds := map[string]struct {
		pt    uint8
		begin string
		next  []byte
	}{
		"PS": {96, packDahua + "\x00\x00\x01\xe0\x00\x00\x80\x80\x05\x21\x00\x01\x00\x01\x00\x00\x00\x01\x65\x88", filler},
		"ES": {98, "\x7c\x85\x88", append([]byte("\x7c\x05"), filler...)},
	}
	for name, c := range kinds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stream := testmedia.Stream{Video: codec.H264, GOP: 400 * time.Millisecond}
				accept := make(chan struct{})
				r := &recorder{answer: func(context.Context) error { <-accept; return nil }}
				s, _ := newTestSession(r, ReceiveOptions{})
				s.unanswered = &unanswered{}
				s.unanswered.size.Add(maxUnanswered)
				frames := stream.Take(time.Second)
				sent := psPackets(t, &rtptest.Sender{SSRC: testSSRC, PayloadType: c.pt}, frames)
				if name == "ES" {
					sent = esPackets(t, c.pt, frames)
				}
				now := arrive(s, sent, time.Now())
				require.True(t, s.begun())
				sender := &rtptest.Sender{SSRC: testSSRC, PayloadType: c.pt, Sequence: uint16(len(sent))}
				now = arrive(s, [][]byte{sender.Packet([]byte(c.begin), 90000, false)}, now)
				for range 2000 {
					now = arrive(s, [][]byte{sender.Packet(c.next, 90000, false)}, now)
					require.LessOrEqual(t, s.unanswered.size.Load(), int64(maxUnanswered+maxShare))
					if d, ok := s.decoder.(*containerDecoder); ok {
						require.LessOrEqual(t, d.demuxer.(*Demuxer).units.Pending(), maxShare+8<<10)
					}
				}
				close(accept)
				synctest.Wait()
				s.end(nil)
				ended(t, s, io.EOF)
				require.EqualValues(t, maxUnanswered, s.unanswered.size.Load())
				for _, f := range r.frames {
					require.Less(t, len(f.Data), 2*maxShare)
				}
			})
		})
	}
}

// All sessions of a Server count together.
func TestServerUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accept := make(chan struct{})
		h := &recorder{answer: func(context.Context) error { <-accept; return nil }}
		s := &Server{Handler: h}
		s.init()
		sent := psPackets(t, psSender(), sessionStreams[0].Take(time.Second))
		keeps := func() int64 { return s.unanswered.size.Load() }
		var rosters []*roster
		one := int64(0)
		for i := range 3 {
			r := s.newRoster()
			r.link = func(origin) link { return &fakeLink{over: "udp"} }
			rosters = append(rosters, r)
			for _, b := range sent {
				r.datagram(nil, b, netip.AddrPort{}, time.Now())
			}
			if i == 0 {
				one = keeps()
				require.NotZero(t, one)
			}
			require.Equal(t, int64(i+1)*one, keeps())
		}
		close(accept)
		synctest.Wait()
		for _, r := range rosters {
			r.dismiss(ErrServerClosed)
		}
		require.Zero(t, keeps())
	})
}
