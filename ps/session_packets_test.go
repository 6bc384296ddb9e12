package ps

import (
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// What a network does to packets costs frames and nothing else: what comes out and
// is not marked is what went in.
func TestSessionFaults(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond, BFrames: 2}
	frames := stream.Take(10 * time.Second)
	whole := map[string]bool{}
	for _, f := range frames {
		whole[string(f.Data)] = true
	}
	audio := 0
	for _, f := range frames {
		if f.Track.Kind() == codec.KindAudio {
			audio++
		}
	}
	cases := map[string]struct {
		faults rtptest.Faults
		loss   bool // frames may be missing
	}{
		"reordering": {rtptest.Faults{Seed: 1, Reorder: 0.05}, false},
		"duplicates": {rtptest.Faults{Seed: 2, Duplicate: 0.05}, false},
		"garbage":    {rtptest.Faults{Seed: 3, Garbage: 0.02}, false},
		"5 % loss":   {rtptest.Faults{Seed: 4, Loss: 0.05}, true},
		"everything": {rtptest.Faults{Seed: 5, Loss: 0.05, Reorder: 0.05, Duplicate: 0.02, Garbage: 0.02}, true},
	}
	for _, kind := range []string{"PS", "TS", "ES"} {
		for name, c := range cases {
			t.Run(kind+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var sent [][]byte
					frames, audio := frames, audio
					switch kind {
					case "PS":
						sent = psPackets(t, psSender(), frames)
					case "TS":
						sent = tsPackets(t, &rtptest.Sender{SSRC: testSSRC, PayloadType: 33}, frames)
					case "ES":
						frames = slices.DeleteFunc(slices.Clone(frames), func(f *codec.Frame) bool { return f.Track.Kind() == codec.KindAudio })
						audio = 0
						sent = esPackets(t, 98, frames)
					}
					r := &recorder{}
					s, _ := newTestSession(r, ReceiveOptions{})
					now := time.Now()
					for _, p := range c.faults.Apply(sent) {
						now = arrive(s, [][]byte{p}, now)
						s.tick(now)
					}
					s.tick(now.Add(time.Second))
					s.end(nil)
					ended(t, s, io.EOF)
					if !c.loss {
						requireFrames(t, frames, r.frames)
						require.Zero(t, statsOf(s).Lost)
						return
					}
					require.NotZero(t, statsOf(s).Lost)
					gotAudio, keys := 0, 0
					for _, f := range r.frames {
						if f.Track.Kind() == codec.KindAudio {
							gotAudio++
						} else if f.Key() && !f.Has(codec.FlagCorrupt) {
							keys++
						}
						require.True(t, f.Has(codec.FlagCorrupt) || whole[string(f.Data)], "%v at %v", f.Track, f.DTS)
					}
					require.GreaterOrEqual(t, gotAudio, audio*8/10)
					require.Greater(t, keys, 2)
				})
			})
		}
	}
}

// The end of a stream that is cut in the midst of a frame is not taken for a whole
// one.
func TestSessionCut(t *testing.T) {
	frames := sessionStreams[0].Take(2 * time.Second)
	whole := map[string]bool{}
	for _, f := range frames {
		whole[string(f.Data)] = true
	}
	for name, sent := range map[string][][]byte{
		"PS": psPackets(t, &rtptest.Sender{SSRC: testSSRC, PayloadType: 96, MaxPayload: 400}, frames),
		"TS": tsPackets(t, &rtptest.Sender{SSRC: testSSRC, PayloadType: 33, MaxPayload: 400, Marker: rtptest.MarkNever}, frames),
	} {
		for left := range 40 {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				s, _ := newTestSession(r, ReceiveOptions{})
				now := arrive(s, sent[:len(sent)-left], time.Now())
				s.tick(now.Add(time.Minute))
				ended(t, s, source.ErrTimeout)
				require.NotEmpty(t, r.frames)
				for _, f := range r.frames {
					require.True(t, f.Has(codec.FlagCorrupt) || whole[string(f.Data)], "%s less %d: %v", name, left, f.Track)
				}
				if left == 0 && name == "PS" { // which ends with the marker
					requireFrames(t, frames, r.frames)
				}
			})
		}
	}
}

// Another sender, or one that begins anew, has another timeline and the same viewers
// (T11).
func TestSessionRestart(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond}
	before, after := stream.Take(time.Second), testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond, Seed: 9}.Take(time.Second)
	for name, next := range map[string]rtptest.Sender{
		"another SSRC":     {SSRC: 0x1234, PayloadType: 96, Sequence: 3},
		"another type":     {SSRC: 0x1234, PayloadType: 97, Sequence: 3},
		"the same, anew":   {SSRC: testSSRC, PayloadType: 96, Sequence: 30000},
		"another SSRC, TS": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				s, _ := newTestSession(r, ReceiveOptions{})
				var first, second [][]byte
				if next.PayloadType == 0 {
					first = tsPackets(t, &rtptest.Sender{SSRC: testSSRC, PayloadType: 33}, before)
					next = rtptest.Sender{SSRC: 0x1234, PayloadType: 33, Sequence: 7}
					second = tsPackets(t, &next, after)
				} else {
					first, second = psPackets(t, psSender(), before), psPackets(t, &next, after)
				}
				now := arrive(s, first, time.Now())
				synctest.Wait()
				n := len(r.got())
				arrive(s, second, now.Add(20*time.Second))
				require.EqualValues(t, next.SSRC, statsOf(s).SSRC)
				require.EqualValues(t, 1, statsOf(s).Resets)
				s.end(nil)
				ended(t, s, io.EOF)
				require.Equal(t, 1, r.asks())
				require.GreaterOrEqual(t, n, len(before)-6)

				marked := map[codec.Kind]int{}
				for _, f := range r.frames[n:] {
					if f.Has(codec.FlagDiscont) {
						marked[f.Track.Kind()]++
					}
				}
				require.Equal(t, map[codec.Kind]int{codec.KindVideo: 1, codec.KindAudio: 1}, marked)
				i := slices.IndexFunc(r.frames, func(f *codec.Frame) bool { return f.Has(codec.FlagDiscont) })
				requireFrames(t, after, r.frames[i:])
			})
		})
	}
}

// Headers that lie cost their packet (T10).
func TestSessionInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s, _ := newTestSession(r, ReceiveOptions{})
		frames := sessionStreams[0].Take(time.Second)
		sent := psPackets(t, psSender(), frames)
		lies := [][]byte{
			{}, {0x80}, sent[0][:11],
			append([]byte{0x40}, sent[0][1:]...),                                                 // version 1
			append([]byte{0x8f}, sent[0][1:40]...),                                               // more CSRCs than bytes
			append([]byte{0x90}, append(slices.Clone(sent[0][1:12]), 0xbe, 0xde, 0xff, 0xff)...), // extension beyond the end
			append([]byte{0xa0}, append(slices.Clone(sent[0][1:20]), 0xff)...),                   // padding
			append([]byte{0xa0}, append(slices.Clone(sent[0][1:20]), 0)...),
		}
		invalid := 0
		now := time.Now()
		for i, p := range sent {
			if i%5 == 0 {
				now = arrive(s, [][]byte{lies[i/5%len(lies)]}, now)
				invalid++
			}
			now = arrive(s, [][]byte{p}, now)
		}
		// A payload type that is not the stream's.
		other := slices.Clone(sent[1])
		other[1] = other[1]&0x80 | 8
		arrive(s, [][]byte{other}, now)
		invalid++
		s.end(nil)
		ended(t, s, io.EOF)
		requireFrames(t, frames, r.frames)
		require.EqualValues(t, invalid, statsOf(s).Invalid)
	})
}

// Packets that mean nothing are not kept without bound, nobody is asked, and the
// session ends (P3).
func TestSessionNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s, _ := newTestSession(r, ReceiveOptions{})
		sender := rtptest.Sender{SSRC: testSSRC, PayloadType: 96}
		now := time.Now()
		for i := range 1000 {
			p := sender.Packet(rtptest.Garbage(1400, uint64(i)), uint32(i), false)
			now = arrive(s, [][]byte{p}, now)
			requireBounded(t, s)
			held := 0
			for _, k := range s.candidate.packets {
				held += cap(k.b)
			}
			require.LessOrEqual(t, held, 80<<10)
		}
		arrive(s, [][]byte{make([]byte, 65535)}, now)
		s.tick(s.began.Add(candidacy - time.Millisecond))
		require.NoError(t, statsOf(s).Err)
		s.tick(s.began.Add(candidacy))
		ended(t, s, source.ErrUnsupported)
		require.Zero(t, r.asks())
		require.False(t, s.begun())
	})
}

// A packet that looks right is no stream: nobody is asked before there is a frame, or
// many packets (P3).
func TestSessionProof(t *testing.T) {
	pack := packDahua + strings.Repeat("\x00", 18)
	cases := []struct {
		name    string
		payload func(i int) string
		asked   int // after how many packets; 0: never
	}{
		{"packs", func(int) string { return pack }, provenPackets},
		{"one pack", func(i int) string { return []string{pack, ""}[min(i, 1)] }, 0},
		{"no key frame", func(i int) string { return packDahua + pesOpen[:14] + strings.Repeat("\x00\x00\x01\x41\x9a", 3) }, provenPackets},
		{"large packets", func(i int) string { return packDahua + strings.Repeat("\xff", 30_000) }, 2},
		{"sync bytes", func(i int) string { return tsPacket }, provenPackets},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				s, _ := newTestSession(r, ReceiveOptions{})
				sender := rtptest.Sender{SSRC: testSSRC, PayloadType: 96}
				asked := 0
				for i := range 100 {
					if payload := c.payload(i); payload != "" {
						arrive(s, [][]byte{sender.Packet([]byte(payload), uint32(i)*3600, true)}, s.began)
					}
					if asked == 0 && s.begun() {
						asked = i + 1
					}
				}
				require.Equal(t, c.asked, asked)
				s.tick(s.began.Add(candidacy))
				synctest.Wait()
				require.Equal(t, min(asked, 1), r.asks())
				if asked == 0 {
					ended(t, s, source.ErrUnsupported)
					return
				}
				s.Close(errTest)
				ended(t, s, errTest)
			})
		})
	}
}

// A stream that is met in the midst of it begins with what can be understood, and the
// packets that came before are used.
func TestSessionMeets(t *testing.T) {
	frames := sessionStreams[0].Take(2 * time.Second)
	sent := psPackets(t, psSender(), frames)
	for _, skip := range []int{1, 3, 10} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			s, _ := newTestSession(r, ReceiveOptions{})
			arrive(s, sent[skip:], time.Now())
			s.end(nil)
			ended(t, s, io.EOF)
			require.Zero(t, statsOf(s).Lost)
			require.Greater(t, len(r.frames), len(frames)/2)
			for _, f := range r.frames {
				if f.Track.Kind() == codec.KindVideo {
					require.True(t, f.Key(), "the first picture")
					break
				}
			}
		})
	}
}

// The first packets may be out of order, too.
func TestSessionBeginsShuffled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s, _ := newTestSession(r, ReceiveOptions{})
		frames := sessionStreams[0].Take(time.Second)
		sent := psPackets(t, psSender(), frames)
		sent[0], sent[1], sent[2] = sent[2], sent[0], sent[1]
		arrive(s, sent, time.Now())
		s.end(nil)
		ended(t, s, io.EOF)
		requireFrames(t, frames, r.frames)
	})
}

func TestSessionTimeout(t *testing.T) {
	sent := psPackets(t, psSender(), sessionStreams[0].Take(time.Second))
	t.Run("silence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			s, _ := newTestSession(r, ReceiveOptions{})
			now := arrive(s, sent, time.Now())
			s.tick(now.Add(14 * time.Second))
			require.NoError(t, statsOf(s).Err)
			s.tick(now.Add(15 * time.Second))
			ended(t, s, source.ErrTimeout)
			require.Len(t, r.closed, 1)
			require.ErrorIs(t, r.closed[0], source.ErrTimeout)
		})
	})
	t.Run("packets without frames", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newTestSession(&recorder{}, ReceiveOptions{Timeout: 3 * time.Second})
			sender := psSender()
			now := arrive(s, psPackets(t, sender, sessionStreams[0].Take(time.Second)), time.Now())
			for range 40 {
				now = now.Add(100 * time.Millisecond)
				arrive(s, [][]byte{sender.Packet([]byte("nothing"), 0, false)}, now)
				s.tick(now)
			}
			ended(t, s, source.ErrTimeout)
		})
	})
	t.Run("never", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newTestSession(&recorder{}, ReceiveOptions{Timeout: -1})
			now := arrive(s, sent, time.Now())
			s.tick(now.Add(24 * time.Hour))
			require.NoError(t, statsOf(s).Err)
			s.Close(nil)
			ended(t, s, source.ErrKicked)
		})
	})
	t.Run("paused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newTestSession(&recorder{}, ReceiveOptions{})
			now := arrive(s, sent, time.Now())
			s.PauseTimeout(time.Minute)
			s.tick(now.Add(time.Minute + 10*time.Second))
			require.NoError(t, statsOf(s).Err)
			s.tick(now.Add(time.Minute + 15*time.Second))
			ended(t, s, source.ErrTimeout)
		})
	})
	t.Run("resumed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newTestSession(&recorder{}, ReceiveOptions{})
			arrive(s, sent, time.Now())
			s.PauseTimeout(time.Hour)
			time.Sleep(20 * time.Second)
			s.PauseTimeout(0)
			s.tick(time.Now().Add(14 * time.Second))
			require.NoError(t, statsOf(s).Err)
			s.tick(time.Now().Add(15 * time.Second))
			ended(t, s, source.ErrTimeout)
		})
	})
}

// byeOf returns a BYE of an SSRC.
func byeOf(ssrc uint32) string {
	b := binary.BigEndian.AppendUint32([]byte{0x81, 203, 0, 1}, ssrc)
	return string(b)
}

// A goodbye counts if it is the sender's (T12), who then is silent.
func TestSessionBye(t *testing.T) {
	for name, packets := range map[string]func([]*codec.Frame) [][]byte{
		"PS": func(frames []*codec.Frame) [][]byte { return psPackets(t, psSender(), frames) },
		"ES": func(frames []*codec.Frame) [][]byte { return esPackets(t, 98, frames) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				s, _ := newTestSession(r, ReceiveOptions{})
				frames := sessionStreams[3].Take(time.Second)
				s.control([]byte(byeOf(testSSRC)), time.Now()) // nobody has come yet
				sent := packets(frames)
				half := len(sent) / 2
				now := arrive(s, sent[:half], time.Now())
				for _, b := range []string{"", "\x81", byeOf(testSSRC)[:7], byeOf(testSSRC + 1)} {
					s.control([]byte(b), now)
					s.tick(now.Add(time.Second))
					require.NoError(t, statsOf(s).Err)
				}
				require.EqualValues(t, 2, statsOf(s).Invalid)
				s.control([]byte(byeOf(testSSRC)), now) // somebody else's, for the sender goes on
				now = arrive(s, sent[half:], now)
				s.tick(now.Add(time.Second))
				require.NoError(t, statsOf(s).Err)

				s.control([]byte(byeOf(testSSRC)), now)
				s.tick(now.Add(byeTime - time.Millisecond))
				require.NoError(t, statsOf(s).Err)
				s.tick(now.Add(byeTime))
				ended(t, s, io.EOF)
				requireFrames(t, frames, r.frames)
				require.Equal(t, []error{nil}, r.closed)
			})
		})
	}
}

// On a connection nobody else can say goodbye.
func TestSessionByeTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(&fakeLink{over: "tcp"}, testKey, testSSRC, &recorder{}, &ReceiveOptions{}, nil)
		now := arrive(s, psPackets(t, psSender(), sessionStreams[3].Take(time.Second)), time.Now())
		s.control([]byte(byeOf(testSSRC)), now)
		ended(t, s, io.EOF)
	})
}

// The sender is reported to every 5 s, over UDP.
func TestSessionReports(t *testing.T) {
	for name, c := range map[string]struct {
		over string
		pt   uint8
		o    ReceiveOptions
	}{
		"PS": {"udp", 96, ReceiveOptions{}}, "ES": {"udp", 98, ReceiveOptions{}},
		"TCP": {"tcp", 96, ReceiveOptions{}}, "not wanted": {"udp", 96, ReceiveOptions{NoReport: true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &fakeLink{over: c.over}
				s := newSession(l, testKey, testSSRC, &recorder{}, &c.o, nil)
				frames := sessionStreams[3].Take(5 * time.Second)
				sent := psPackets(t, psSender(), frames)
				if c.pt == 98 {
					sent = esPackets(t, 98, frames)
				}
				now := time.Now()
				for i, p := range sent {
					if i != 30 {
						now = arrive(s, [][]byte{p}, now)
					}
					s.tick(now)
				}
				for _, ms := range []int{4900, 5100, 9900, 10200} {
					s.tick(s.began.Add(time.Duration(ms) * time.Millisecond))
				}
				s.Close(errTest)
				ended(t, s, errTest)
				if c.over != "udp" || c.o.NoReport {
					require.Empty(t, l.reports)
					return
				}
				require.Len(t, l.reports, 2)
				packets, err := rtcp.Unmarshal(l.reports[0])
				require.NoError(t, err)
				report := packets[0].(*rtcp.ReceiverReport).Reports[0]
				require.EqualValues(t, testSSRC, report.SSRC)
				require.EqualValues(t, 1, report.TotalLost)
			})
		})
	}
}

// A session that was resynchronised does not wait for what is known to be missing.
func TestSessionLose(t *testing.T) {
	frames := sessionStreams[3].Take(2 * time.Second)
	for name, sent := range map[string][][]byte{"PS": psPackets(t, psSender(), frames), "ES": esPackets(t, 98, frames)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := newTestSession(&recorder{}, ReceiveOptions{})
				s.lose() // before anything has come
				now := arrive(s, sent[:30], time.Now())
				s.lose()
				now = arrive(s, sent[40:50], now)
				require.EqualValues(t, 10, statsOf(s).Lost)
				require.EqualValues(t, 40, statsOf(s).Packets)
				require.EqualValues(t, 2, statsOf(s).Resyncs)
				arrive(s, sent[50:], now)
				s.Close(errTest)
				ended(t, s, errTest)
			})
		})
	}
}

// What the demuxer gives up is given up.
func TestSessionUseless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestSession(&recorder{}, ReceiveOptions{})
		sender := rtptest.Sender{SSRC: testSSRC, PayloadType: 33}
		nulls := []byte(strings.Repeat("\x47\x1f\xff\x10"+strings.Repeat("\xff", 184), 7))
		for i := 0; i <= 16<<20 && !s.stopped.Load(); i += len(nulls) {
			s.take(sender.Packet(nulls, 0, false), time.Now())
		}
		ended(t, s, ts.ErrInvalid)
	})
}

// FuzzSession: whatever comes, nothing panics, and what waits stays within bounds.
func FuzzSession(f *testing.F) {
	frames := sessionStreams[0].Take(100 * time.Millisecond)
	seed := func(packets [][]byte) {
		var b []byte
		for i, p := range packets[:min(len(packets), 12)] {
			b = append(b, byte(i%3), byte(len(p)>>8), byte(len(p)))
			b = append(b, p...)
		}
		f.Add(b, uint8(0))
	}
	seed(psPackets(f, psSender(), frames))
	seed(tsPackets(f, &rtptest.Sender{SSRC: testSSRC, PayloadType: 33}, frames))
	seed(esPackets(f, 98, sessionStreams[3].Take(100*time.Millisecond)))
	for _, c := range detectCases {
		p := &rtptest.Sender{SSRC: testSSRC, PayloadType: c.pt}
		seed([][]byte{p.Packet([]byte(c.payload), 0, true), p.Packet([]byte(c.payload), 0, false)})
	}
	f.Fuzz(func(t *testing.T, b []byte, payload uint8) {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			s, _ := newTestSession(r, ReceiveOptions{Payload: Payload(payload % 4), Depth: 8})
			now := time.Now()
			for len(b) >= 3 {
				what, n := b[0], min(int(binary.BigEndian.Uint16(b[1:])), len(b)-3)
				p := slices.Clone(b[3 : 3+n])
				b = b[3+n:]
				now = now.Add(time.Duration(what>>4) * 50 * time.Millisecond)
				switch what & 7 {
				case 6:
					s.control(p, now)
				case 7:
					s.lose()
					s.tick(now)
				default:
					s.take(p, now)
				}
				requireBounded(t, s)
			}
			synctest.Wait()
			s.tick(now.Add(time.Second))
			s.end(nil)
			<-s.Done()
			require.NotErrorIs(t, s.Stats().Err, listen.ErrPanic)
			last := map[int]time.Duration{}
			for _, f := range r.frames {
				require.NotEmpty(t, f.Data)
				if before, ok := last[f.Track.ID]; ok && !f.Has(codec.FlagDiscont) {
					require.GreaterOrEqual(t, f.DTS, before)
				}
				last[f.Track.ID] = f.DTS
			}
		})
	})
}
