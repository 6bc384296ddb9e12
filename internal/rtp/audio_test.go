package rtp_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// opaqueTrack is a track of an encoding that nobody knows.
func opaqueTrack() *codec.Track {
	return &codec.Track{ID: 1, ClockRate: 90000, Wire: "rtp", WireKind: codec.KindVideo, Name: "X-UNKNOWN"}
}

// audioTracks are one track at least of each codec that is not video, and an
// opaque one.
func audioTracks() []*codec.Track {
	tracks := []*codec.Track{opaqueTrack(), codec.NewG711Track(1, codec.PCMU, 8000, 2), testmedia.Track2(1, codec.MP3)}
	for _, c := range []codec.Codec{codec.AAC, codec.Opus, codec.PCMA, codec.MP3, codec.MP2, codec.L16} {
		tracks = append(tracks, testmedia.Track(1, c))
	}
	return tracks
}

// An audioStream is frames and what became of them.
type audioStream struct {
	track   *codec.Track
	payload rtp.Payload
	frames  []*codec.Frame
	want    [][]unitOut  // for each frame; of PCM for each packet
	packets []rtp.Packet // of all frames
	of      []int        // which frame a packet is of
}

const audioBase = 0xfffff000 // timestamps wrap soon

// drawAudio draws frames of a track and packs them.
func drawAudio(t *rapid.T, track *codec.Track) *audioStream {
	s := &audioStream{track: track}
	var ok bool
	s.payload, ok = rtp.Describe(track, 97)
	require.True(t, ok)
	p, err := rtp.NewPacketizer(track, rtp.PacketizerOptions{
		PayloadType: 97, SSRC: 7, Sequence: 0xfffe, Timestamp: audioBase, Channel: 2,
		MaxSize: rapid.SampledFrom([]int{256, 257, 512, 1400, 9000}).Draw(t, "max size"),
	})
	require.NoError(t, err)
	at := time.Duration(0)
	for i := range rapid.IntRange(1, 8).Draw(t, "frames") {
		f := &codec.Frame{Track: track, DTS: at, PTS: at, Flags: codec.FlagKey}
		ts := audioBase + uint32(codec.Ticks(at, s.payload.ClockRate))
		var units []unitOut
		f.Data, units = drawData(t, f, ts, s.payload.ClockRate)
		if d := codec.FrameDuration(f); d > 0 {
			at += d
		} else {
			at += 20 * time.Millisecond
		}
		b, err := p.Append(nil, f)
		require.NoError(t, err)
		for channel, datagram := range rtp.Datagrams(b) {
			require.EqualValues(t, 2, channel)
			var packet rtp.Packet
			require.NoError(t, packet.Unmarshal(datagram))
			require.Equal(t, s.payload.Type, packet.PayloadType)
			require.Equal(t, uint16(0xfffe+len(s.packets)), packet.Sequence)
			s.packets, s.of = append(s.packets, packet), append(s.of, i)
			if isPCM(track) {
				units = append(units, unitOut{packet.Timestamp, 0, packet.Payload})
			}
		}
		s.frames, s.want = append(s.frames, f), append(s.want, units)
	}
	return s
}

func isPCM(t *codec.Track) bool {
	return t.Codec == codec.PCMA || t.Codec == codec.PCMU || t.Codec == codec.L16
}

// drawData draws the data of f, and tells what units it becomes; nil for PCM.
func drawData(t *rapid.T, f *codec.Frame, ts uint32, clock int) ([]byte, []unitOut) {
	fill := byte(rapid.IntRange(0, 254).Draw(t, "fill"))
	data := func(least, most int) []byte {
		n := rapid.IntRange(least, most).Draw(t, "size")
		b := bytes.Repeat([]byte{fill}, n)
		if n >= 8 {
			binary.BigEndian.PutUint32(b[4:], uint32(n))
		}
		return b
	}
	switch f.Track.Codec {
	case codec.MP3, codec.MP2:
		var b []byte
		var units []unitOut
		at := time.Duration(0)
		for range rapid.IntRange(1, 4).Draw(t, "frames in a frame") {
			one := drawMPEGAudio(t, f.Track, fill)
			b = append(b, one...)
			units = append(units, unitOut{ts, int(codec.Ticks(at, clock)), one})
			at += codec.FrameDuration(&codec.Frame{Track: f.Track, Data: one})
		}
		return b, units
	case codec.PCMA, codec.PCMU:
		return data(1, 3000), nil
	case codec.L16:
		return data(2, 6000), nil
	case codec.AAC:
		b := data(1, 4000)
		return b, []unitOut{{ts, 0, b}}
	case codec.Opus:
		b := append([]byte{0xfc}, data(0, 3000)...)
		return b, []unitOut{{ts, 0, b}}
	}
	if rapid.Bool().Draw(t, "marker") {
		f.Flags |= codec.FlagMarker
	}
	b := data(1, 3000)
	return b, []unitOut{{ts, 0, b}}
}

// drawMPEGAudio draws a frame of a bit rate that has the rate and channels of t.
func drawMPEGAudio(t *rapid.T, track *codec.Track, fill byte) []byte {
	header := unhex("fffb9444")
	if track.Codec == codec.MP2 {
		header = unhex("fffd8444")
	}
	if track.Channels == 1 {
		header[3] |= 0xc0
	}
	if track.SampleRate == 32000 {
		header[2] = header[2]&0xf3 | 0x08
	}
	header[2] = header[2]&0x0f | byte(rapid.IntRange(1, 14).Draw(t, "bit rate"))<<4
	size, err := codec.MPEGAudioFrameSize(header)
	require.NoError(t, err)
	return append(header, bytes.Repeat([]byte{fill}, size-4)...)
}

// receive unpacks the packets but those that are lost.
func (s *audioStream) receive(t *rapid.T, lost []bool) []rtp.Unit {
	p := s.payload
	tr, err := p.Track(s.track.ID)
	require.NoError(t, err)
	d, err := rtp.NewDepacketizer(&p, tr)
	require.NoError(t, err)
	var units []rtp.Unit
	gap := false
	for i := range s.packets {
		if lost != nil && lost[i] {
			gap = true
			continue
		}
		packet := s.packets[i]
		units, err = d.Append(units, &packet, gap)
		if !gap { // what is left of something lost may be refused
			require.True(t, err == nil || lost != nil, "%v", err)
		}
		gap = false
	}
	return units
}

// same reports whether u is w; the time of frames that share a packet may be
// rounded twice.
func same(u rtp.Unit, w unitOut) bool {
	d := int32(u.Timestamp-w.time) + int32(u.Skip-w.skip)
	return d >= -1 && d <= 1 && bytes.Equal(u.Data, w.data)
}

// Frames become packets and these the same units again, at the same times.
func TestAudioRoundTrip(t *testing.T) {
	for _, track := range audioTracks() {
		t.Run(track.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := drawAudio(t, track)
				units := s.receive(t, nil)
				want := slices.Concat(s.want...)
				require.Len(t, units, len(want))
				for i, u := range units {
					require.True(t, same(u, want[i]), "unit %d: %+v, %+v", i, want[i], u)
					require.Equal(t, track.Codec, u.Track.Codec)
					require.Equal(t, s.payload.ClockRate, u.Track.ClockRate)
					require.True(t, track.SameConfig(u.Track), "%+v, %+v", track, u.Track)
				}
				switch {
				case isPCM(track):
					requirePCM(t, s)
				case track.Wire != "":
					for i, f := range s.frames {
						require.Equal(t, f.Flags, units[i].Flags)
					}
				default:
					for _, u := range units {
						require.Equal(t, codec.FlagKey, u.Flags)
					}
				}
			})
		})
	}
}

// requirePCM checks that packets have the samples of each frame one after the
// other, in parts of about the same length, at the times of their first ones.
func requirePCM(t *rapid.T, s *audioStream) {
	bytesPerSample := s.track.Channels
	if s.track.Codec == codec.L16 {
		bytesPerSample *= 2
	}
	for i, f := range s.frames {
		var data []byte
		start := audioBase + uint32(codec.Ticks(f.PTS, s.track.SampleRate))
		least, most := 1<<20, 0
		for _, u := range s.want[i] {
			require.Equal(t, start+uint32(len(data)/bytesPerSample), u.time)
			require.Zero(t, len(u.data)%bytesPerSample)
			data = append(data, u.data...)
			least, most = min(least, len(u.data)), max(most, len(u.data))
		}
		whole := len(f.Data) / bytesPerSample * bytesPerSample
		require.Equal(t, f.Data[:whole], append([]byte{}, data...))
		if whole > 0 {
			require.LessOrEqual(t, most-least, bytesPerSample)
		}
	}
}

// A loss costs the frames that packets of are lost, and nothing else; no frame
// comes damaged.
func TestAudioLoss(t *testing.T) {
	for _, track := range audioTracks() {
		t.Run(track.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := drawAudio(t, track)
				lost := rapid.SliceOfN(rapid.Bool(), len(s.packets), len(s.packets)).Draw(t, "lost")
				broken := make([]bool, len(s.frames))
				for i, l := range lost {
					broken[s.of[i]] = broken[s.of[i]] || l
				}
				units := s.receive(t, lost)
				// Units may be alike, so it is the order that counts: what was not
				// touched is among what came, and that among what was sent.
				came := units
				for i, want := range s.want {
					for _, w := range want {
						if len(units) > 0 && same(units[0], w) {
							units = units[1:]
						}
						if broken[i] {
							continue
						}
						for len(came) > 0 && !same(came[0], w) {
							came = came[1:]
						}
						require.NotEmpty(t, came, "frame %d is missing", i)
						came = came[1:]
					}
				}
				require.Empty(t, units, "units that were not sent")
			})
		})
	}
}

// An opaque payload goes out as it is, however long it is, in one packet.
func TestOpaqueSizes(t *testing.T) {
	track := opaqueTrack()
	p, err := rtp.NewPacketizer(track, rtp.PacketizerOptions{})
	require.NoError(t, err)
	for size, ok := range map[int]bool{1: true, 1389: true, 65523: true, 65524: false} {
		f := &codec.Frame{Track: track, Data: make([]byte, size)}
		b, err := p.Append(nil, f)
		if !ok {
			require.ErrorIs(t, err, rtp.ErrInvalid)
			require.Empty(t, b)
			continue
		}
		require.NoError(t, err)
		require.Len(t, b, 4+12+size)
	}
}

var opaqueCases = []unpackCase{
	{"one", "X-UNKNOWN/90000", "", []packetIn{{0, "m", unhex("01")}}, []unitOut{{0, 0, unhex("01")}}},
	{"many channels", "x/8000/255", "a", []packetIn{{0, "", unhex("01")}, {1, "", nil}, {2, "", unhex("02")}},
		[]unitOut{{0, 0, unhex("01")}, {2, 0, unhex("02")}}},
}

func TestOpaqueUnpack(t *testing.T) {
	for _, c := range opaqueCases {
		c.run(t)
	}
}

// Each new timestamp is a place to start at; the marker passes; a loss is told
// with the next payload.
func TestOpaqueFlags(t *testing.T) {
	d, _ := opaqueCases[0].depacketizer(t)
	for _, c := range []struct {
		time         uint32
		marker, lost bool
		want         codec.Flags
	}{
		{0, false, false, codec.FlagKey},
		{0, true, false, codec.FlagMarker},
		{3000, false, false, codec.FlagKey},
		{3000, false, true, codec.FlagCorrupt},
		{3000, false, false, 0},
		{6000, true, true, codec.FlagKey | codec.FlagMarker | codec.FlagCorrupt},
		{0, false, false, codec.FlagKey},
	} {
		units, err := d.Append(nil, &rtp.Packet{Timestamp: c.time, Marker: c.marker, Payload: []byte{1}}, c.lost)
		require.NoError(t, err)
		require.Equal(t, c.want, units[0].Flags)
	}
	units, err := d.Append(nil, &rtp.Packet{Timestamp: 9000}, true)
	require.NoError(t, err)
	require.Empty(t, units)
	units, err = d.Append(nil, &rtp.Packet{Timestamp: 9000, Payload: []byte{1}}, false)
	require.NoError(t, err)
	require.Equal(t, codec.FlagKey|codec.FlagCorrupt, units[0].Flags, "padding does not hide a loss")
}

var pcmCases = []unpackCase{
	{"PCMA", "PCMA/8000", "", []packetIn{{0, "m", unhex("01")}, {1, "", unhex("0203")}}, []unitOut{{0, 0, unhex("01")}, {1, 0, unhex("0203")}}},
	{"PCMU, half a sample", "PCMU/8000/2", "", []packetIn{{0, "", unhex("010203")}, {1, "", unhex("01")}}, []unitOut{{0, 0, unhex("0102")}}},
	{"L16, half a sample", "L16/44100/2", "", []packetIn{{0, "", unhex("01020304 05")}, {1, "", unhex("010203")}, {2, "", nil}},
		[]unitOut{{0, 0, unhex("01020304")}}},
	{"Opus", "opus/48000/2", "", []packetIn{{0, "", unhex("fc01")}, {960, "l", unhex("fc02")}, {961, "", nil}},
		[]unitOut{{0, 0, unhex("fc01")}, {960, 0, unhex("fc02")}}},
}

func TestPCMUnpack(t *testing.T) {
	for _, c := range pcmCases {
		t.Run(c.name, func(t *testing.T) { c.run(t) })
	}
}

func FuzzPlainUnpack(f *testing.F) { fuzzUnpacker(f, slices.Concat(pcmCases, opaqueCases)) }

func BenchmarkAudioAppend(b *testing.B) {
	for _, c := range []codec.Codec{codec.AAC, codec.Opus, codec.PCMA, codec.MP3, codec.L16} {
		b.Run(c.String(), func(b *testing.B) {
			f := (testmedia.Stream{Audio: c}).Take(1)[0]
			p, err := rtp.NewPacketizer(f.Track, rtp.PacketizerOptions{})
			require.NoError(b, err)
			var buf []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(f.Data)))
			for b.Loop() {
				buf, _ = p.Append(buf[:0], f)
			}
		})
	}
}
