package ps

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A sending is what a camera sends, and how.
type sending struct {
	payload  Payload
	ssrc     uint32
	pt       uint8
	sequence uint16
	stream   testmedia.Stream
	unlisted bool // PS: video is e2, and there is no map
}

// packets returns the RTP packets of frames.
func (c *sending) packets(t testing.TB, frames []*codec.Frame) [][]byte {
	t.Helper()
	sender := &rtptest.Sender{SSRC: c.ssrc, PayloadType: c.pt, Sequence: c.sequence}
	switch c.payload {
	case PayloadTS:
		return tsPackets(t, sender, frames)
	case PayloadPS:
		m := NewMuxer(c.stream.Tracks())
		var b []byte
		for _, f := range frames {
			var err error
			b, err = m.Append(b, f)
			require.NoError(t, err)
		}
		if c.unlisted {
			for from, to := range map[string]string{"\xe0": "\xe2", "\xbc": "\xbe", "\xbb": "\xbe"} {
				b = bytes.ReplaceAll(b, []byte("\x00\x00\x01"+from), []byte("\x00\x00\x01"+to))
			}
		}
		units, err := rtptest.CutPS(b)
		require.NoError(t, err)
		return sender.AllPackets(units)
	}
	p, err := rtp.NewPacketizer(frames[0].Track, rtp.PacketizerOptions{PayloadType: c.pt, SSRC: c.ssrc})
	require.NoError(t, err)
	var packets [][]byte
	for _, f := range frames {
		wire, err := p.Append(nil, f)
		require.NoError(t, err)
		for _, b := range rtp.Datagrams(wire) {
			packets = append(packets, bytes.Clone(b))
		}
	}
	return packets
}

// successions are senders and those that come after them.
var successions = []struct {
	name          string
	first, second sending
	published     int // times
}{
	{"TS, then PS", sending{payload: PayloadTS, ssrc: testSSRC, pt: 33}, sending{payload: PayloadPS, ssrc: 9, pt: 96}, 1},
	{"PS, then TS", sending{payload: PayloadPS, ssrc: testSSRC, pt: 96}, sending{payload: PayloadTS, ssrc: 9, pt: 33}, 1},
	{"PS, then TS of the same type", sending{payload: PayloadPS, ssrc: testSSRC, pt: 96}, sending{payload: PayloadTS, ssrc: 9, pt: 96}, 1},
	{"PS, then TS of the same sender", sending{payload: PayloadPS, ssrc: testSSRC, pt: 96}, sending{payload: PayloadTS, ssrc: testSSRC, pt: 96, sequence: 777}, 1},
	{"TS, then PS of the same sender", sending{payload: PayloadTS, ssrc: testSSRC, pt: 96}, sending{payload: PayloadPS, ssrc: testSSRC, pt: 96, sequence: 777}, 1},
	{"PS of another type", sending{payload: PayloadPS, ssrc: testSSRC, pt: 96}, sending{payload: PayloadPS, ssrc: testSSRC, pt: 97, sequence: 777}, 1},
	{"PS, then another", sending{payload: PayloadPS, ssrc: testSSRC, pt: 96}, sending{payload: PayloadPS, ssrc: 9, pt: 96}, 1},
	{
		"PS of other stream_ids",
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96, unlisted: true},
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96, sequence: 30000}, 1,
	},
	{
		"PS with other codecs",
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96},
		sending{payload: PayloadPS, ssrc: 9, pt: 96, stream: testmedia.Stream{Video: codec.H265, Audio: codec.PCMA}}, 1,
	},
	{
		"PS without audio now",
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96},
		sending{payload: PayloadPS, ssrc: 9, pt: 96, stream: testmedia.Stream{Video: codec.H264}}, 2,
	},
	{
		"PS without video now",
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96},
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96, sequence: 30000, stream: testmedia.Stream{Audio: codec.AAC}}, 2,
	},
	{
		"TS without audio now",
		sending{payload: PayloadTS, ssrc: testSSRC, pt: 33},
		sending{payload: PayloadTS, ssrc: 9, pt: 33, stream: testmedia.Stream{Video: codec.H264}}, 2,
	},
	{
		"PS with audio now",
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96, stream: testmedia.Stream{Video: codec.H264}},
		sending{payload: PayloadPS, ssrc: 9, pt: 96}, 1,
	},
	{
		"PS, then ES",
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96},
		sending{payload: PayloadES, ssrc: 9, pt: 98, stream: testmedia.Stream{Video: codec.H264}}, 2,
	},
	{
		"PS, then ES of the same sender",
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96, stream: testmedia.Stream{Video: codec.H264}},
		sending{payload: PayloadES, ssrc: testSSRC, pt: 96, stream: testmedia.Stream{Video: codec.H265}}, 1,
	},
	{
		"PS, then audio only",
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96},
		sending{payload: PayloadES, ssrc: testSSRC, pt: 8, stream: testmedia.Stream{Audio: codec.PCMA}}, 2,
	},
	{
		"ES, then PS",
		sending{payload: PayloadES, ssrc: testSSRC, pt: 98, stream: testmedia.Stream{Video: codec.H264}},
		sending{payload: PayloadPS, ssrc: 9, pt: 96}, 1,
	},
	{
		"ES, then PS of the same sender",
		sending{payload: PayloadES, ssrc: testSSRC, pt: 96, stream: testmedia.Stream{Video: codec.H264}},
		sending{payload: PayloadPS, ssrc: testSSRC, pt: 96, sequence: 777}, 1,
	},
	{
		"ES, then TS",
		sending{payload: PayloadES, ssrc: testSSRC, pt: 8, stream: testmedia.Stream{Audio: codec.PCMA}},
		sending{payload: PayloadTS, ssrc: 9, pt: 33}, 1,
	},
	{
		"H264, then H265",
		sending{payload: PayloadES, ssrc: testSSRC, pt: 98, stream: testmedia.Stream{Video: codec.H264}},
		sending{payload: PayloadES, ssrc: testSSRC, pt: 99, stream: testmedia.Stream{Video: codec.H265}}, 1,
	},
	{
		"H264, then H265 of the same type",
		sending{payload: PayloadES, ssrc: testSSRC, pt: 96, stream: testmedia.Stream{Video: codec.H264}},
		sending{payload: PayloadES, ssrc: testSSRC, pt: 96, stream: testmedia.Stream{Video: codec.H265}}, 1,
	},
	{
		"PCMA, then PCMU",
		sending{payload: PayloadES, ssrc: testSSRC, pt: 8, stream: testmedia.Stream{Audio: codec.PCMA}},
		sending{payload: PayloadES, ssrc: 9, pt: 0, stream: testmedia.Stream{Audio: codec.PCMU}}, 1,
	},
}

// media returns the frames of both senders; they have H264 and AAC if nothing is said.
func (c *sending) media(seed uint64) []*codec.Frame {
	if c.stream == (testmedia.Stream{}) {
		c.stream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	}
	c.stream.GOP, c.stream.Seed = 400*time.Millisecond, seed
	return c.stream.Take(3 * time.Second)
}

// A sender that is followed by another, or comes back, whatever sends: the stream has
// the tracks of the new one, by the IDs of those before, and no other; none of its
// frames is missing.
func TestSessionSuccession(t *testing.T) {
	for _, c := range successions {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				s, _ := newTestSession(r, ReceiveOptions{})
				before, after := c.first.media(1), c.second.media(2)
				first, second := c.first.packets(t, before), c.second.packets(t, after)
				now := arrive(s, first, time.Now())
				synctest.Wait()
				n, tracks := len(r.got()), r.tracks
				require.NotEmpty(t, tracks)

				half := len(second) / 2
				now = arrive(s, second[:half], now.Add(6*time.Second))
				synctest.Wait()
				require.Equal(t, c.second.payload, statsOf(s).Payload)
				require.EqualValues(t, c.second.ssrc, statsOf(s).SSRC)
				require.NotEmpty(t, r.got()[n:])
				arrive(s, second[half:], now)
				s.end(nil)
				ended(t, s, io.EOF)
				st := statsOf(s)
				require.EqualValues(t, 1, st.Resets)
				require.EqualValues(t, len(first)+len(second), st.Packets)
				require.Zero(t, st.Invalid+st.Lost+st.Dropped)

				require.Len(t, r.asked, c.published)
				require.Equal(t, st.ID, r.asked[c.published-1].ID)
				require.Equal(t, testKey, r.asked[c.published-1].Key)
				require.Len(t, r.closed, c.published)
				if c.published > 1 {
					require.NotSame(t, r.asked[0], r.asked[1])
					require.ErrorIs(t, r.closed[0], io.ErrUnexpectedEOF)
				}
				require.True(t, r.complete)
				require.Equal(t, kindsOf(c.second.stream.Tracks()), kindsOf(r.tracks))
				for _, track := range r.tracks {
					i := slices.IndexFunc(tracks, func(o *codec.Track) bool { return o.Kind() == track.Kind() })
					if i >= 0 {
						require.Equal(t, tracks[i].ID, track.ID)
					}
				}
				requireHeirs(t, after, r.frames)
			})
		})
	}
}

// kindsOf tells of which kinds tracks are.
func kindsOf(tracks []*codec.Track) map[codec.Kind]int {
	kinds := map[codec.Kind]int{}
	for _, t := range tracks {
		kinds[t.Kind()]++
	}
	return kinds
}

// requireHeirs requires that of each kind the last frames are the frames want, of
// which the first one is a discontinuity and no other.
func requireHeirs(t testing.TB, want, got []*codec.Frame) {
	t.Helper()
	var last []*codec.Frame
	for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		other := func(f *codec.Frame) bool { return f.Track.Kind() != kind }
		n := len(slices.DeleteFunc(slices.Clone(want), other))
		of := slices.DeleteFunc(slices.Clone(got), other)
		require.GreaterOrEqual(t, len(of), n)
		of = of[len(of)-n:]
		for i, f := range of {
			require.Equal(t, i == 0, f.Has(codec.FlagDiscont), "%v frame %d", kind, i)
		}
		last = append(last, of...)
	}
	requireFrames(t, want, last)
}

// What is no other sender leaves the one there is alone, and costs none of its frames.
func TestSessionNoSuccession(t *testing.T) {
	media := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	ps := &sending{payload: PayloadPS, ssrc: testSSRC, pt: 96, stream: media}
	strangers := map[string]sending{
		"TS":                      {payload: PayloadTS, ssrc: 9, pt: 33, stream: media},
		"TS with the same SSRC":   {payload: PayloadTS, ssrc: testSSRC, pt: 33, stream: media},
		"ES":                      {payload: PayloadES, ssrc: 9, pt: 98, stream: testmedia.Stream{Video: codec.H264}},
		"ES with the same SSRC":   {payload: PayloadES, ssrc: testSSRC, pt: 98, stream: testmedia.Stream{Video: codec.H264}},
		"PS":                      {payload: PayloadPS, ssrc: 9, pt: 96, stream: media},
		"audio with another type": {payload: PayloadES, ssrc: testSSRC, pt: 8, stream: testmedia.Stream{Audio: codec.PCMA}},
	}
	for name, stranger := range strangers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				s, _ := newTestSession(r, ReceiveOptions{})
				frames := ps.media(1)
				sent, other := ps.packets(t, frames), stranger.packets(t, stranger.media(2))
				now := time.Now()
				for i, p := range sent {
					now = arrive(s, [][]byte{p}, now)
					if i > 0 {
						now = arrive(s, other[i%len(other):][:1], now)
					}
				}
				s.end(nil)
				ended(t, s, io.EOF)
				require.Equal(t, 1, r.asks())
				require.Equal(t, PayloadPS, statsOf(s).Payload)
				require.Zero(t, statsOf(s).Resets)
				requireFrames(t, frames, r.frames)
			})
		})
	}
}

// Packets that are cut where a sequence parameter set begins are no elementary stream.
func TestSessionNoSuccessionBySets(t *testing.T) {
	frames := sessionStreams[0].Take(time.Second)
	tried := 0
	for size := 40; size < 400 && tried < 3; size++ {
		sender := psSender()
		sender.MaxPayload = size
		sent := psPackets(t, sender, frames)
		if !slices.ContainsFunc(sent, func(b []byte) bool {
			var p rtp.Packet
			return p.Unmarshal(b) == nil && contradiction(&p, PayloadPS, &ReceiveOptions{}).certain
		}) {
			continue
		}
		tried++
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			s, _ := newTestSession(r, ReceiveOptions{})
			arrive(s, sent, time.Now())
			s.end(nil)
			ended(t, s, io.EOF)
			require.Zero(t, statsOf(s).Resets)
			requireFrames(t, frames, r.frames)
		})
	}
	require.Equal(t, 3, tried)
}

// Another sender may begin while the Handler is still asked of the first, while it is
// waited for the new tracks, and while viewers make the stream wait.
func TestSessionSuccessionEarly(t *testing.T) {
	first := sending{payload: PayloadPS, ssrc: testSSRC, pt: 96, stream: testmedia.Stream{Video: codec.H264, Audio: codec.AAC}}
	second := sending{payload: PayloadTS, ssrc: 9, pt: 33, stream: testmedia.Stream{Video: codec.H265}}
	third := sending{payload: PayloadPS, ssrc: 10, pt: 96, stream: testmedia.Stream{Audio: codec.PCMA}}
	for name, c := range map[string]struct {
		answer, writing bool // they wait
	}{"handler": {answer: true}, "viewers": {writing: true}, "nobody": {}} {
		for _, senders := range [][]*sending{{&first, &second}, {&first, &second, &third}} {
			t.Run(fmt.Sprintf("%s, %d", name, len(senders)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					goOn := make(chan struct{})
					wait := func(ctx context.Context) error {
						select {
						case <-goOn:
						case <-ctx.Done():
							return context.Cause(ctx)
						}
						return nil
					}
					r := &recorder{}
					if c.answer {
						r.answer = wait
					}
					if c.writing {
						r.onWrite = func(ctx context.Context, _ *codec.Frame) error { return wait(ctx) }
					}
					s, _ := newTestSession(r, ReceiveOptions{})
					now := time.Now()
					var frames []*codec.Frame
					for i, of := range senders {
						frames = of.media(uint64(i))
						now = arrive(s, of.packets(t, frames), now)
						requireBounded(t, s)
						synctest.Wait()
					}
					close(goOn)
					synctest.Wait()
					s.end(nil)
					ended(t, s, io.EOF)
					require.Equal(t, kindsOf(senders[len(senders)-1].stream.Tracks()), kindsOf(r.tracks))
					require.Len(t, r.closed, len(r.asked))
					requireHeirs(t, frames, r.frames)
				})
			})
		}
	}
}

// The Publication that is made again may be refused, and the session may end
// meanwhile.
func TestSessionSuccessionRefused(t *testing.T) {
	first := sending{payload: PayloadPS, ssrc: testSSRC, pt: 96}
	second := sending{payload: PayloadTS, ssrc: 9, pt: 33, stream: testmedia.Stream{Video: codec.H265}}
	for name, want := range map[string]error{"refused": source.ErrBusy, "closed": errTest} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				r := &recorder{answer: func(ctx context.Context) error {
					if asked++; asked == 1 {
						return nil
					}
					if want == errTest {
						<-ctx.Done()
						return ctx.Err()
					}
					return want
				}}
				s, _ := newTestSession(r, ReceiveOptions{})
				now := arrive(s, first.packets(t, first.media(1)), time.Now())
				synctest.Wait()
				arrive(s, second.packets(t, second.media(2)), now)
				synctest.Wait()
				if want == errTest {
					s.Close(errTest)
				}
				ended(t, s, want)
				require.Equal(t, 2, asked)
				require.Len(t, r.closed, 1)
				st := statsOf(s)
				require.EqualValues(t, len(r.frames), st.Frames-st.Dropped)
			})
		})
	}
}

// Viewers stay, and those who come afterwards get the tracks of the new sender only.
func TestSessionSuccessionViewers(t *testing.T) {
	for _, c := range successions {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &source.Hub{}
				defer hub.Close()
				s, _ := newTestSession(hub, ReceiveOptions{})
				before, after := c.first.media(1), c.second.media(2)
				now := arrive(s, c.first.packets(t, before), time.Now())
				synctest.Wait()
				time.Sleep(5 * time.Second) // a stream of one track waits for another
				stays, err := hub.Play(t.Context(), &source.Request{ID: source.NewID(), Schema: "test", Key: testKey})
				require.NoError(t, err)
				defer stays.Close()

				time.Sleep(time.Second)
				now = arrive(s, c.second.packets(t, after), now.Add(6*time.Second))
				synctest.Wait()
				s.tick(now)
				synctest.Wait()
				require.Equal(t, kindsOf(c.second.stream.Tracks()), kindsOf(hub.Stream(testKey).Tracks()))
				comes, err := hub.Play(t.Context(), &source.Request{ID: source.NewID(), Schema: "test", Key: testKey})
				require.NoError(t, err)
				defer comes.Close()
				s.end(nil)
				ended(t, s, io.EOF)

				wanted := map[string]bool{}
				for _, f := range after {
					wanted[string(f.Data)] = true
				}
				for name, reader := range map[string]source.Reader{"who stays": stays, "who comes": comes} {
					got := 0
					for {
						f, err := reader.ReadFrame(t.Context())
						if err != nil {
							require.ErrorIs(t, err, io.EOF)
							break
						}
						if wanted[string(f.Data)] {
							got++
						} else {
							require.Equal(t, "who stays", name)
						}
					}
					require.NotZero(t, got, name)
				}
			})
		})
	}
}
