package ps

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// packetsOf returns the RTP packets in what a muxer made, read by somebody else.
func packetsOf(t testing.TB, made ...source.Packet) []*pion.Packet {
	t.Helper()
	var all []*pion.Packet
	for _, m := range made {
		n := 0
		for b := range rtp.Packets(m.Wire) {
			p := &pion.Packet{}
			require.NoError(t, p.Unmarshal(b))
			require.LessOrEqual(t, len(b), 1500-48)
			n += 2 + len(b)
			all = append(all, p)
		}
		require.Equal(t, len(m.Wire), n)
	}
	return all
}

// muxAll returns what a form's muxer makes of a stream, frame by frame.
func muxAll(t testing.TB, f streamForm, tracks []*codec.Track, frames []*codec.Frame) []source.Packet {
	t.Helper()
	m, err := f.format().New(tracks)
	require.NoError(t, err)
	require.Nil(t, m.Header())
	var made []source.Packet
	for _, fr := range frames {
		made, err = m.Append(made, fr)
		require.NoError(t, err)
	}
	return m.(source.Flusher).Flush(made)
}

// containerOf returns what a container makes of frames.
func containerOf(t testing.TB, p Payload, tracks []*codec.Track, frames []*codec.Frame) []byte {
	t.Helper()
	var m containerMuxer = NewMuxer(tracks)
	if p == PayloadTS {
		m = ts.NewMuxer(tracks)
	}
	var b []byte
	for _, f := range frames {
		var err error
		b, err = m.Append(b, f)
		require.NoError(t, err)
	}
	return b
}

// formCases are streams in the forms that have a container.
var formCases = []struct {
	name      string
	stream    testmedia.Stream
	onlyAudio bool
}{
	{"H264 AAC", testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, GOP: time.Second}, false},
	{"H265 PCMA", testmedia.Stream{Video: codec.H265, Audio: codec.PCMA, GOP: time.Second, Bitrate: 8_000_000}, false},
	{"H264", testmedia.Stream{Video: codec.H264, GOP: time.Second}, false},
	{"PCMU", testmedia.Stream{Audio: codec.PCMU}, false},
	{"MP3", testmedia.Stream{Audio: codec.MP3}, false},
	{"audio of two", testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second}, true},
	{"changing", testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Change: 1}, false},
}

// The payloads are the container without a gap; packets have one source and rising
// numbers, those of a frame its time, which never goes back, and of a program stream
// the marker on the last.
func TestStreamMuxerContainers(t *testing.T) {
	for _, c := range formCases {
		for _, payload := range []Payload{PayloadPS, PayloadTS} {
			t.Run(fmt.Sprintf("%s in %v", c.name, payload), func(t *testing.T) {
				frames, tracks := c.stream.Take(3*time.Second), c.stream.Tracks()
				form := streamForm{payload: payload, payloadType: 100, ssrc: 0x01020304, onlyAudio: c.onlyAudio}
				made := muxAll(t, form, tracks, frames)
				if c.onlyAudio {
					tracks = tracks[1:]
					frames = only(frames, codec.KindAudio)
				}
				require.Len(t, made, len(frames))
				var got []byte
				var first, last *pion.Packet
				for i, m := range made {
					require.Equal(t, frames[i].Track.ID, m.Track)
					require.Equal(t, frames[i].DTS, m.DTS)
					packets := packetsOf(t, m)
					for k, p := range packets {
						if first == nil {
							first = p
						} else {
							require.Equal(t, last.SequenceNumber+1, p.SequenceNumber)
						}
						require.Equal(t, uint32(0x01020304), p.SSRC)
						require.Equal(t, uint8(100), p.PayloadType)
						require.Equal(t, payload == PayloadPS && k == len(packets)-1, p.Marker)
						require.EqualValues(t, codec.Ticks(frames[i].DTS-frames[0].DTS, 90000), p.Timestamp-first.Timestamp)
						if payload == PayloadTS {
							require.Zero(t, len(p.Payload)%ts.PacketSize)
						}
						got = append(got, p.Payload...)
						last = p
					}
				}
				require.Equal(t, containerOf(t, payload, tracks, frames), got)
			})
		}
	}
}

// only returns the frames of one kind.
func only(frames []*codec.Frame, k codec.Kind) (some []*codec.Frame) {
	for _, f := range frames {
		if f.Track.Kind() == k {
			some = append(some, f)
		}
	}
	return some
}

// A receiver can begin with key frames of video, or without video with what brings
// the tables, which is often enough.
func TestStreamMuxerKeys(t *testing.T) {
	for _, c := range formCases {
		for _, payload := range []Payload{PayloadPS, PayloadTS} {
			t.Run(fmt.Sprintf("%s in %v", c.name, payload), func(t *testing.T) {
				frames := c.stream.Take(5 * time.Second)
				form := streamForm{payload: payload, ssrc: 1, onlyAudio: c.onlyAudio}
				keys := map[time.Duration]bool{}
				for i, m := range muxAll(t, form, c.stream.Tracks(), frames) {
					require.True(t, i > 0 || m.Key)
					if !m.Key {
						continue
					}
					keys[m.DTS] = true
					start := packetsOf(t, m)[0].Payload
					if payload == PayloadPS {
						require.Equal(t, []byte{0, 0, 1, 0xba}, start[:4])
						require.Equal(t, []byte{0, 0, 1, 0xbb}, start[14:18])
					} else {
						require.Equal(t, []byte{0x47, 0x40, 0}, start[:3])
					}
				}
				video := only(frames, codec.KindVideo)
				if c.onlyAudio || len(video) == 0 {
					for at := time.Duration(0); at < 4*time.Second; at += 1200 * time.Millisecond {
						found := false
						for k := range keys {
							found = found || k >= at && k < at+1200*time.Millisecond
						}
						require.True(t, found, "none after %v of %v", at, keys)
					}
					return
				}
				for _, f := range video {
					require.Equal(t, f.Key(), keys[f.DTS], f.DTS)
				}
			})
		}
	}
}

// What a receiver gets who begins at any key packet is a container that can be read.
func TestStreamMuxerJoin(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second}
	made := muxAll(t, streamForm{payload: PayloadTS, ssrc: 1}, s.Tracks(), s.Take(4*time.Second))
	keys := 0
	for i := range made {
		if !made[i].Key {
			continue
		}
		keys++
		var d ts.Demuxer
		var frames []*codec.Frame
		for _, p := range packetsOf(t, made[i:]...) {
			var err error
			frames, err = d.Append(frames, p.Payload)
			require.NoError(t, err)
		}
		frames = d.Flush(frames)
		require.Len(t, d.Tracks(), 2)
		require.True(t, only(frames, codec.KindVideo)[0].Key())
		require.Len(t, frames, len(made)-i)
	}
	require.Equal(t, 4, keys)
}

// Of several tracks ES sends one.
func TestStreamMuxerElementary(t *testing.T) {
	for _, c := range []struct {
		name      string
		stream    testmedia.Stream
		onlyAudio bool
		want      codec.Codec
		usual     uint8
	}{
		{"video", testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, false, codec.H264, 98},
		{"audio", testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, true, codec.AAC, 96},
		{"H265", testmedia.Stream{Video: codec.H265}, false, codec.H265, 99},
		{"PCMA", testmedia.Stream{Audio: codec.PCMA}, false, codec.PCMA, 8},
		{"PCMU", testmedia.Stream{Video: codec.H264, Audio: codec.PCMU}, true, codec.PCMU, 0},
		{"Opus", testmedia.Stream{Audio: codec.Opus}, false, codec.Opus, 100},
		{"MJPEG", testmedia.Stream{Video: codec.MJPEG}, false, codec.MJPEG, 26},
	} {
		t.Run(c.name, func(t *testing.T) {
			frames, tracks := c.stream.Take(2*time.Second), c.stream.Tracks()
			form := streamForm{payload: PayloadES, ssrc: 9, onlyAudio: c.onlyAudio}
			require.Equal(t, c.usual, form.usualType(tracks))
			form.payloadType = 111
			made := muxAll(t, form, tracks, frames)
			var want []*codec.Frame
			for _, f := range frames {
				if f.Track.Codec == c.want {
					want = append(want, f)
				}
			}
			require.Len(t, made, len(want))
			r := &rtp.Receiver{}
			payload, ok := rtp.Describe(want[0].Track, 111)
			require.True(t, ok)
			payload.Type = 111
			track, err := payload.Track(1)
			require.NoError(t, err)
			_, err = r.Add(&payload, track)
			require.NoError(t, err)
			var got []*codec.Frame
			for i, m := range made {
				require.Equal(t, want[i].Key() || c.want.Kind() == codec.KindAudio, m.Key)
				for b := range rtp.Packets(m.Wire) {
					require.Equal(t, byte(111), b[1]&0x7f)
					got, err = r.RTP(got, 0, b, time.Unix(1e9, 0).Add(want[i].DTS))
					require.NoError(t, err)
				}
			}
			var sent, received []byte
			for _, f := range want[:len(want)-5] {
				sent = append(sent, f.Data...)
			}
			for _, f := range got {
				received = append(received, f.Data...)
			}
			require.Greater(t, len(received), len(sent))
			require.Equal(t, sent, received[:len(sent)])
		})
	}
}

// What a form cannot carry is refused, or left out and told.
func TestStreamMuxerLeftOut(t *testing.T) {
	both := testmedia.Stream{Video: codec.VP8, Audio: codec.AAC}
	for _, c := range []struct {
		name string
		form streamForm
		s    testmedia.Stream
		ok   bool
	}{
		{"PS without VP8", streamForm{payload: PayloadPS}, both, true},
		{"VP8 alone", streamForm{payload: PayloadPS}, testmedia.Stream{Video: codec.VP8}, false},
		{"VP8 in TS", streamForm{payload: PayloadTS}, testmedia.Stream{Video: codec.VP8}, false},
		{"VP8 as it is", streamForm{payload: PayloadES}, testmedia.Stream{Video: codec.VP8}, true},
		{"no audio", streamForm{payload: PayloadPS, onlyAudio: true}, testmedia.Stream{Video: codec.H264}, false},
		{"AC-3 as it is", streamForm{payload: PayloadES}, testmedia.Stream{Audio: codec.AC3}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := c.form.format().New(c.s.Tracks())
			if !c.ok {
				require.ErrorIs(t, err, source.ErrUnsupported)
				return
			}
			require.NoError(t, err)
			for _, f := range c.s.Take(time.Second) {
				made, err := m.Append(nil, f)
				require.NoError(t, err)
				require.Equal(t, m.(source.Carrier).Carries(f.Track), len(made) > 0)
			}
		})
	}
}

// A track of ES that becomes another ends the muxer, and it says so; other parameters
// of video are in its key frames.
func TestStreamMuxerReplaced(t *testing.T) {
	for _, c := range []struct {
		name       string
		a, b       *codec.Track
		unfollowed bool
	}{
		{"other codec", testmedia.Track(1, codec.H264), testmedia.Track(1, codec.H265), true},
		{"other size", testmedia.Track(1, codec.H264), testmedia.Track2(1, codec.H264), false},
		{"other rate", testmedia.Track(1, codec.AAC), testmedia.Track2(1, codec.AAC), true},
		{"the same", testmedia.Track(1, codec.AAC), testmedia.Track(1, codec.AAC), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newStreamMuxer(streamForm{payload: PayloadES, payloadType: 96}, []*codec.Track{c.a})
			data := []byte{0, 0, 0, 2, 0x65, 0x88}
			_, err := m.Append(nil, &codec.Frame{Track: c.a, Flags: codec.FlagKey, Data: data})
			require.NoError(t, err)
			for range 2 {
				_, err = m.Append(nil, &codec.Frame{Track: c.b, Flags: codec.FlagKey, Data: data})
				if c.unfollowed {
					require.ErrorIs(t, err, source.ErrNewFormat)
					require.ErrorIs(t, m.failure(), source.ErrNewFormat)
				} else {
					require.NoError(t, err)
					require.NoError(t, m.failure())
				}
			}
		})
	}
}

// joinCases are frames of G.711 by their length in bytes, and what becomes of them.
var joinCases = []struct {
	name   string
	size   time.Duration
	frames []int
	want   []int
}{
	{"20 to 100 ms", 100 * time.Millisecond, []int{160, 160, 160, 160, 160, 160, 160}, []int{800, 320}},
	{"as they are", 0, []int{160, 160}, []int{160, 160}},
	{"just right", 20 * time.Millisecond, []int{160, 160}, []int{160, 160}},
	{"too long", 20 * time.Millisecond, []int{400, 400}, []int{160, 160, 160, 160, 160}},
	{"odd", 40 * time.Millisecond, []int{186, 186, 185, 1}, []int{320, 238}},
	{"the longest", 180 * time.Millisecond, []int{800, 800}, []int{1440, 160}},
	{"a second", 100 * time.Millisecond, []int{8000}, []int{800, 800, 800, 800, 800, 800, 800, 800, 800, 800}},
	{"empty", 100 * time.Millisecond, []int{0, 800, 0}, []int{800}},
}

// Joined frames hold the samples of the ones before, in order, with their times.
func TestStreamMuxerG711(t *testing.T) {
	for _, c := range joinCases {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, requireJoined(t, c.size, c.frames))
		})
	}
}

// requireJoined joins frames of so many bytes, and returns the lengths of what
// becomes of them.
func requireJoined(t *testing.T, size time.Duration, lengths []int) (sizes []int) {
	t.Helper()
	track := testmedia.Track(7, codec.PCMA)
	var frames []*codec.Frame
	var samples, got []byte
	for _, n := range lengths {
		at := codec.FromTicks(int64(len(samples)), 8000) + time.Second
		for range n {
			samples = append(samples, byte(len(samples)*7))
		}
		frames = append(frames, &codec.Frame{Track: track, DTS: at, PTS: at, Flags: codec.FlagKey, Data: samples[len(samples)-n:]})
	}
	form := streamForm{payload: PayloadES, payloadType: 8, join: size}
	var first *pion.Packet
	for _, m := range muxAll(t, form, []*codec.Track{track}, frames) {
		require.InDelta(t, codec.FromTicks(int64(len(got)), 8000)+time.Second, m.DTS, float64(time.Microsecond))
		for _, p := range packetsOf(t, m) {
			if first == nil {
				first = p
			}
			require.EqualValues(t, len(got), p.Timestamp-first.Timestamp)
			got = append(got, p.Payload...)
			sizes = append(sizes, len(p.Payload))
		}
	}
	require.Equal(t, samples, got)
	return sizes
}

func FuzzStreamMuxerG711(f *testing.F) {
	for _, c := range joinCases {
		var lengths []byte
		for _, n := range c.frames {
			lengths = binary.BigEndian.AppendUint16(lengths, uint16(n))
		}
		f.Add(uint8(c.size.Milliseconds()), lengths)
	}
	f.Fuzz(func(t *testing.T, ms uint8, lengths []byte) {
		var frames []int
		for ; len(lengths) >= 2 && len(frames) < 50; lengths = lengths[2:] {
			frames = append(frames, int(binary.BigEndian.Uint16(lengths)%4000))
		}
		requireJoined(t, time.Duration(ms)*time.Millisecond, frames)
	})
}

// What waits is not joined over a gap, and not kept for ever.
func TestStreamMuxerG711Gap(t *testing.T) {
	track, video := testmedia.Track(7, codec.PCMU), testmedia.Track(1, codec.H264)
	m := newStreamMuxer(streamForm{payload: PayloadPS, payloadType: 96, join: 100 * time.Millisecond}, []*codec.Track{video, track})
	write := func(tr *codec.Track, at time.Duration, flags codec.Flags) (made []time.Duration) {
		data := make([]byte, 160)
		if tr == video {
			data = []byte{0, 0, 0, 2, 0x41, 0x9a}
		}
		packets, err := m.Append(nil, &codec.Frame{Track: tr, DTS: at, PTS: at, Flags: codec.FlagKey | flags, Data: data})
		require.NoError(t, err)
		for _, p := range packets {
			made = append(made, p.DTS)
		}
		return made
	}
	ms := time.Millisecond
	require.Equal(t, []time.Duration{0}, write(video, 0, 0))
	require.Empty(t, write(track, 0, 0))
	require.Empty(t, write(track, 25*ms, 0), "late by less than a frame")
	require.Equal(t, []time.Duration{0}, write(track, 80*ms, 0), "a gap")
	require.Equal(t, []time.Duration{200 * ms}, write(video, 200*ms, 0))
	require.Equal(t, []time.Duration{80 * ms, 300 * ms}, write(video, 300*ms, 0), "no more audio")
	require.Empty(t, write(track, 300*ms, 0))
	require.Equal(t, []time.Duration{300 * ms}, write(track, 320*ms, codec.FlagDiscont))
	require.Equal(t, []time.Duration{320 * ms}, write(testmedia.Track(7, codec.PCMA), 340*ms, 0), "another codec")
	require.Len(t, m.Flush(nil), 1)
	require.Empty(t, m.Flush(nil))
}

// Joined audio has a time before that of the video sent already: timestamps stay
// where they are.
func TestStreamMuxerTimestamps(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.PCMA, GOP: time.Second}
	form := streamForm{payload: PayloadPS, payloadType: 96, join: 180 * time.Millisecond}
	var last uint32
	for i, p := range packetsOf(t, muxAll(t, form, s.Tracks(), s.Take(3*time.Second))...) {
		if i > 0 {
			require.Less(t, p.Timestamp-last, uint32(90000))
		}
		last = p.Timestamp
	}
}

// Reports tell the time of the newest packet by the wall clock, as the sender of the
// stream knows it.
func TestStreamMuxerReports(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, GOP: time.Second}
	for _, payload := range []Payload{PayloadPS, PayloadTS, PayloadES} {
		m := newStreamMuxer(streamForm{payload: payload, payloadType: 96, ssrc: 5}, s.Tracks())
		require.Empty(t, m.appendReport(nil))
		require.Empty(t, m.appendBye(nil))
		wall := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		var packets []*pion.Packet
		octets := 0
		var newest time.Duration
		for _, f := range s.Take(time.Second) {
			f.Wall = wall.Add(f.PTS)
			made, err := m.Append(nil, f)
			require.NoError(t, err)
			packets = append(packets, packetsOf(t, made...)...)
			newest = f.PTS
		}
		for _, p := range packets {
			octets += len(p.Payload)
		}
		var got []rtcp.Packet
		for b := range rtp.Packets(m.appendBye(m.appendReport(nil))) {
			p, err := rtcp.Unmarshal(b)
			require.NoError(t, err)
			got = append(got, p...)
		}
		sr := got[0].(*rtcp.SenderReport)
		require.Equal(t, uint32(5), sr.SSRC)
		require.EqualValues(t, len(packets), sr.PacketCount)
		require.EqualValues(t, octets, sr.OctetCount)
		require.Equal(t, packets[len(packets)-1].Timestamp, sr.RTPTime)
		require.EqualValues(t, wall.Add(newest).Unix()+2208988800, sr.NTPTime>>32)
		require.Equal(t, []uint32{5}, got[len(got)-1].(*rtcp.Goodbye).Sources)
	}
}

func BenchmarkStreamMuxer(b *testing.B) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.PCMA, Bitrate: 4_000_000}
	frames := s.Take(2 * time.Second)
	for _, payload := range []Payload{PayloadPS, PayloadTS, PayloadES} {
		b.Run(payload.String(), func(b *testing.B) {
			m := newStreamMuxer(streamForm{payload: payload, payloadType: 96, join: 100 * time.Millisecond}, s.Tracks())
			var made []source.Packet
			var bytes int64
			b.ReportAllocs()
			for b.Loop() {
				bytes = 0
				for _, f := range frames {
					made, _ = m.Append(made[:0], f)
					for i := range made {
						bytes += int64(len(made[i].Wire))
					}
				}
			}
			b.SetBytes(bytes)
		})
	}
	b.Run("container", func(b *testing.B) {
		m := NewMuxer(s.Tracks())
		var buf []byte
		var bytes int64
		b.ReportAllocs()
		for b.Loop() {
			bytes = 0
			for _, f := range frames {
				buf, _ = m.Append(buf[:0], f)
				bytes += int64(len(buf))
			}
		}
		b.SetBytes(bytes)
	})
}
