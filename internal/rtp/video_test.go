package rtp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// videoCodecs are the codecs of pictures that RTP carries here.
func videoCodecs() []codec.Codec {
	return []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.VP8, codec.VP9, codec.MJPEG}
}

// videoTracks returns two tracks of a codec with unequal parameters.
func videoTracks(c codec.Codec) [2]*codec.Track {
	return [2]*codec.Track{testmedia.Track(1, c), testmedia.Track2(1, c)}
}

// A filler hands out bytes none of which is 0 or 0xff.
type filler struct{ pos int }

func (f *filler) append(b []byte, n int) []byte {
	for range n {
		f.pos++
		b = append(b, byte(1+f.pos*f.pos%251))
	}
	return b
}

// videoFrame returns the data of a frame whose units, NAL units or OBUs, have
// these sizes in bytes; for other codecs there is one. n is 0 or 1 and tells
// which of videoTracks.
func videoFrame(c codec.Codec, n int, key bool, sizes []int, f *filler) []byte {
	head := func(size int, h ...byte) []byte {
		size = max(size, len(h))
		return f.append(append(make([]byte, 0, size), h...), size-len(h))
	}
	pick := func(k, inter byte) byte {
		if key {
			return k
		}
		return inter
	}
	var b []byte
	switch c {
	case codec.H264, codec.H265:
		for i, size := range sizes {
			first := byte(0x80)
			if i > 0 {
				first = 0x41 // a slice that does not begin the picture
			}
			nalu := head(size, pick(0x65, 0x41), first)
			if c == codec.H265 {
				nalu = head(size, pick(19<<1, 1<<1), 1, first)
			}
			b = binary.BigEndian.AppendUint32(b, uint32(len(nalu)))
			b = append(b, nalu...)
		}
	case codec.AV1:
		if key {
			b = append(b, videoTracks(c)[n].Config[4:]...)
		}
		for i, size := range sizes {
			o := head(size, 6<<3, pick(0x1f, 0x3f))
			if i > 0 {
				o = head(size, 5<<3|4, 0x20) // metadata, with an extension
			}
			b = (&obuWriter{b}).sized(o)
		}
	case codec.VP8:
		if b = head(sizes[0], 0x11, 0, 0); key {
			b = head(sizes[0], [][]byte{
				{0xd0, 0x87, 0x01, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02},
				{0x10, 0xae, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01}}[n]...)
		}
	case codec.VP9:
		if b = head(sizes[0], 0x86); key {
			b = head(sizes[0], [][]byte{
				{0x82, 0x49, 0x83, 0x42, 0x00, 0x4f, 0xf0, 0x2c, 0xf6},
				{0x82, 0x49, 0x83, 0x42, 0x00, 0x27, 0xf0, 0x16, 0x76}}[n]...)
		}
	case codec.MJPEG:
		b = canonicalJPEG([]image.Point{{1280, 720}, {640, 360}}[n], n, head(sizes[0]+1))
	default:
		panic(c)
	}
	return b
}

type obuWriter struct{ b []byte }

// sized appends an OBU that has no size field with one.
func (w *obuWriter) sized(o []byte) []byte {
	header := 1 + int(o[0]>>2&1)
	w.b = append(w.b, o[0]|2)
	w.b = append(w.b, o[1:header]...)
	w.b = binary.AppendUvarint(w.b, uint64(len(o)-header))
	return append(w.b, o[header:]...)
}

// canonicalJPEG returns a picture of this size as an mjpegUnpacker builds it.
func canonicalJPEG(size image.Point, restart int, scan []byte) []byte {
	j := jpegHeader{kind: jpeg420, width: size.X, height: size.Y, restart: uint16(restart)}
	tables := appendQuantisers(nil, 60)
	j.dqt = appendDQT(nil, 0, tables[:64], tables[64:])
	return append(append(j.append(nil), scan...), 0xff, jpegEOI)
}

// realJPEG returns a picture that image/jpeg has coded.
func realJPEG(size image.Point, quality int) []byte {
	m := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			m.SetRGBA(x, y, color.RGBA{byte(x), byte(y), byte(x * y / 9), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// A videoStream is frames of one track and their packets.
type videoStream struct {
	payload Payload
	track   *codec.Track // by its description
	frames  []*codec.Frame
	packets [][]Packet // of each frame
	base    uint32     // timestamp of time 0
}

// newVideoStream sends frames with packets of up to maxSize bytes.
func newVideoStream(t require.TestingT, frames []*codec.Frame, maxSize int) *videoStream {
	s := &videoStream{frames: frames, base: 0xfffff000} // wraps soon
	var ok bool
	s.payload, ok = Describe(frames[0].Track, 96)
	require.True(t, ok)
	var err error
	s.track, err = s.payload.Track(1)
	require.NoError(t, err)
	p, err := NewPacketizer(frames[0].Track, PacketizerOptions{
		PayloadType: s.payload.Type, SSRC: 7, Sequence: 0xfff0, Timestamp: s.base, Channel: 2, MaxSize: maxSize,
	})
	require.NoError(t, err)
	sequence := uint16(0xfff0)
	for _, f := range frames {
		wire, err := p.Append(nil, f)
		require.NoError(t, err)
		var packets []Packet
		rest := len(wire)
		for channel, b := range Datagrams(wire) {
			require.EqualValues(t, 2, channel)
			require.LessOrEqual(t, len(b), maxSize)
			var packet Packet
			require.NoError(t, packet.Unmarshal(b))
			require.Equal(t, sequence, packet.Sequence)
			require.EqualValues(t, 7, packet.SSRC)
			require.Equal(t, s.payload.Type, packet.PayloadType)
			require.Equal(t, s.base+uint32(codec.Ticks(f.PTS, 90000)), packet.Timestamp)
			sequence++
			rest -= frameSize + len(b)
			packets = append(packets, packet)
		}
		require.Zero(t, rest)
		for i, packet := range packets {
			require.Equal(t, i == len(packets)-1, packet.Marker)
		}
		s.packets = append(s.packets, packets)
	}
	require.Equal(t, sequence, p.Sequence())
	return s
}

// all returns the packets of all frames; payloads are copies, for a
// Depacketizer may change them.
func (s *videoStream) all() []Packet {
	packets := slices.Concat(s.packets...)
	for i := range packets {
		packets[i].Payload = bytes.Clone(packets[i].Payload)
	}
	return packets
}

// receive puts packets together; those for which lost is true do not come.
func (s *videoStream) receive(t require.TestingT, packets []Packet, lost func(i int) bool) []Unit {
	d, err := NewDepacketizer(&s.payload, s.track)
	require.NoError(t, err)
	var units []Unit
	gap := false
	for i := range packets {
		if lost != nil && lost(i) {
			gap = true
			continue
		}
		units, err = d.Append(units, &packets[i], gap)
		require.NoError(t, err)
		gap = false
	}
	return units
}

func (s *videoStream) timestamp(i int) uint32 {
	return s.base + uint32(codec.Ticks(s.frames[i].PTS, 90000))
}

// requireFrames checks that units are the frames, all of them.
func (s *videoStream) requireFrames(t require.TestingT, units []Unit) {
	require.Len(t, units, len(s.frames))
	for i, u := range units {
		s.requireFrame(t, i, u)
		if i > 0 { // receivers compare pointers
			require.Equal(t, s.frames[i].Track == s.frames[i-1].Track, u.Track == units[i-1].Track, "frame %d", i)
		}
	}
}

func (s *videoStream) requireFrame(t require.TestingT, i int, u Unit) {
	f := s.frames[i]
	require.Equal(t, s.timestamp(i), u.Timestamp, "frame %d", i)
	require.True(t, bytes.Equal(f.Data, u.Data), "frame %d of %d bytes came as %d", i, len(f.Data), len(u.Data))
	require.Equal(t, f.Flags&codec.FlagKey, u.Flags&^codec.FlagDisposable, "frame %d", i)
	require.Equal(t, 1, u.Track.ID)
	require.Equal(t, f.Track.Config, u.Track.Config, "frame %d", i)
	require.Equal(t, [2]int{f.Track.Width, f.Track.Height}, [2]int{u.Track.Width, u.Track.Height}, "frame %d", i)
}

// drawFrames draws frames of one codec whose sizes are about those at which
// packets of maxSize bytes are full: up to so many, of up to so many units. Where the track changes, and at random, a
// GOP begins.
func drawFrames(t *rapid.T, c codec.Codec, maxSize, most int) []*codec.Frame {
	tracks := videoTracks(c)
	size := rapid.Custom(func(t *rapid.T) int {
		if rapid.IntRange(0, 3).Draw(t, "small") == 0 {
			return rapid.IntRange(1, 40).Draw(t, "size")
		}
		packets := rapid.IntRange(1, 5).Draw(t, "packets")
		return max(1, packets*(maxSize-headerSize)+rapid.IntRange(-14, 8).Draw(t, "over"))
	})
	var frames []*codec.Frame
	n := 0
	var fill filler
	for i := range rapid.IntRange(1, most).Draw(t, "frames") {
		key := i == 0 || rapid.IntRange(0, 2).Draw(t, "gop") == 0
		if i > 0 && key && rapid.IntRange(0, 2).Draw(t, "change") == 0 {
			n = 1 - n
		}
		key = key || c == codec.MJPEG
		f := &codec.Frame{
			Track: tracks[n],
			PTS:   time.Duration(i) * 40 * time.Millisecond,
			Data:  videoFrame(c, n, key, rapid.SliceOfN(size, 1, most).Draw(t, "sizes"), &fill),
		}
		if key {
			f.Flags = codec.FlagKey
		}
		frames = append(frames, f)
	}
	return frames
}

func drawMaxSize(t *rapid.T) int {
	return rapid.OneOf(rapid.IntRange(minMaxSize, 1500), rapid.SampledFrom([]int{minMaxSize, 1400, 9000, 0xffff})).Draw(t, "maxSize")
}

// What comes out is what went in, whatever the sizes of frames and packets.
func TestVideoRoundTrip(t *testing.T) {
	for _, c := range videoCodecs() {
		t.Run(c.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				size := drawMaxSize(t)
				s := newVideoStream(t, drawFrames(t, c, size, 6), size)
				s.requireFrames(t, s.receive(t, s.all(), nil))
			})
		})
	}
}

// Cameras that never set the marker lose nothing but the time of one frame.
func TestVideoWithoutMarkers(t *testing.T) {
	for _, c := range videoCodecs() {
		t.Run(c.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := newVideoStream(t, drawFrames(t, c, 1400, 6), 1400)
				packets := s.all()
				for i := range packets {
					packets[i].Marker = false
				}
				units := s.receive(t, packets, nil)
				s.frames = s.frames[:len(s.frames)-1]
				s.requireFrames(t, units)
			})
		})
	}
}

// Whatever is lost, what goes out unmarked is whole, and so is what it refers
// to; and the next key frame heals it.
func TestVideoLoss(t *testing.T) {
	for _, c := range videoCodecs() {
		t.Run(c.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := newVideoStream(t, drawFrames(t, c, 300, 4), 300)
				n := len(s.all())
				for lost := range n { // every single packet
					s.requireIntact(t, func(i int) bool { return i == lost })
				}
				burst := rapid.SliceOfN(rapid.IntRange(0, 4), n, n).Draw(t, "lost")
				s.requireIntact(t, func(i int) bool { return burst[i] == 0 })
			})
		})
	}
}

// requireIntact receives the stream with losses and checks what comes out.
func (s *videoStream) requireIntact(t require.TestingT, lost func(i int) bool) {
	units := s.receive(t, s.all(), lost)
	whole := make([]bool, len(s.frames)) // frames that came whole, by their packets
	i := 0
	for f := range s.frames {
		whole[f] = true
		for range s.packets[f] {
			whole[f] = whole[f] && !lost(i)
			i++
		}
	}
	good := make([]bool, len(s.frames)) // frames that came out unmarked
	last := -1
	for _, u := range units {
		f := slices.IndexFunc(s.frames, func(f *codec.Frame) bool {
			return s.base+uint32(codec.Ticks(f.PTS, 90000)) == u.Timestamp
		})
		require.Greater(t, f, last)
		last = f
		if u.Flags&codec.FlagCorrupt != 0 {
			continue
		}
		s.requireFrame(t, f, u) // parameter sets that are known already may be missing
		good[f] = true
		require.True(t, f == 0 || s.frames[f].Key() || good[f-1], "frame %d refers to a damaged one", f)
	}
	for f := range s.frames {
		if whole[f] && (f == 0 || good[f-1] || whole[f-1] && s.frames[f].Key()) {
			require.True(t, good[f], "frame %d is whole", f)
		}
	}
}

// Packets of a large frame are equally long, so that the system can cut them.
func TestVideoPacketsAreFull(t *testing.T) {
	for _, c := range videoCodecs() {
		frame := &codec.Frame{Track: videoTracks(c)[0], Data: videoFrame(c, 0, false, []int{50_000}, &filler{})}
		s := newVideoStream(t, []*codec.Frame{frame}, 1400)
		packets := s.packets[0]
		for i, p := range packets[:len(packets)-1] {
			require.Len(t, p.Payload, 1400-headerSize, "%v, packet %d of %d", c, i, len(packets))
		}
	}
}

// Bad frames are refused, and leave nothing behind.
func TestVideoBadFrames(t *testing.T) {
	for _, c := range []struct {
		codec codec.Codec
		data  string
	}{
		{codec.H264, ""}, {codec.H264, "\x00\x00\x00"}, {codec.H264, "\x00\x00\x00\x02\x65"}, {codec.H264, "\x00\x00\x00\x00"},
		{codec.H264, "\xff\xff\xff\xff\x65"}, {codec.H265, "\x00\x00\x00\x01\x26"}, {codec.H265, "\x7f\xff\xff\xff\x26\x01\x80"},
		{codec.AV1, ""}, {codec.AV1, "\x12\x00"}, {codec.AV1, "\x32\x05\x1f"}, {codec.AV1, "\xb2\x00"}, {codec.AV1, "\x36"}, {codec.AV1, "\x32\xff\xff"},
		{codec.VP8, ""}, {codec.VP9, ""}, {codec.MJPEG, ""},
	} {
		track := videoTracks(c.codec)[0]
		p, err := NewPacketizer(track, PacketizerOptions{Sequence: 5})
		require.NoError(t, err)
		dst := []byte("before")
		got, err := p.Append(dst, &codec.Frame{Track: track, Data: []byte(c.data)})
		require.ErrorIs(t, err, ErrInvalid, "%v %x", c.codec, c.data)
		require.Equal(t, dst, got)
		require.EqualValues(t, 5, p.Sequence())
		require.Zero(t, p.packets)
	}
}

// Access units that never end are given up, without keeping what has come.
func TestVideoEndlessUnits(t *testing.T) {
	part := bytes.Repeat([]byte{0x55}, 60_000)
	for _, c := range []struct {
		codec       codec.Codec
		first, next []byte // of the payloads of the endless frame
		offset      int    // where a payload has its place in the frame, if it has
	}{
		{codec: codec.H264, first: []byte{0x7c, 0x85, 0x88}, next: []byte{0x7c, 0x05}},
		{codec: codec.H264, first: []byte{0x65, 0x88}, next: []byte{0x65, 0x41}},
		{codec: codec.H265, first: []byte{49 << 1, 1, 0x93, 0x80}, next: []byte{49 << 1, 1, 0x13}},
		{codec: codec.AV1, first: []byte{0x58, 6 << 3, 0x1f}, next: []byte{0xd0}},
		{codec: codec.VP8, first: []byte{0x10, 0x10}, next: []byte{0}},
		{codec: codec.VP9, first: []byte{0x08, 0x82}, next: []byte{0}},
		{codec: codec.MJPEG, first: []byte{0, 0, 0, 0, 1, 60, 10, 10}, next: []byte{0, 0, 0, 0, 1, 60, 10, 10}, offset: 1},
	} {
		s := newVideoStream(t, []*codec.Frame{
			{Track: videoTracks(c.codec)[0], Flags: codec.FlagKey, Data: videoFrame(c.codec, 0, true, []int{2000}, &filler{})},
		}, 1400)
		d, err := NewDepacketizer(&s.payload, s.track)
		require.NoError(t, err)
		var units []Unit
		refused := 0
		for i := range 2 * maxUnit / len(part) {
			p := Packet{Sequence: uint16(i), Timestamp: 1, Payload: slices.Concat(c.next, part)}
			if i == 0 {
				p.Payload = slices.Concat(c.first, part)
			}
			if c.offset > 0 {
				at := i * len(part)
				p.Payload[1], p.Payload[2], p.Payload[3] = byte(at>>16), byte(at>>8), byte(at)
			}
			if units, err = d.Append(units, &p, false); err != nil {
				require.ErrorIs(t, err, ErrInvalid)
				refused++
			}
		}
		require.Equal(t, 1, refused, "%v", c.codec) // and the rest skipped
		require.Empty(t, units)
		require.LessOrEqual(t, scratch(d), maxScratch)
		for _, p := range s.all() { // the next one is well
			units, err = d.Append(units, &p, false)
			require.NoError(t, err)
		}
		s.requireFrames(t, units)
	}
}

// scratch returns how much memory d keeps.
func scratch(d Depacketizer) int {
	switch u := d.(type) {
	case *naluUnpacker:
		return cap(u.buf)
	case *av1Unpacker:
		return cap(u.buf)
	case *vpxUnpacker:
		return cap(u.buf)
	case *mjpegUnpacker:
		return cap(u.buf)
	}
	panic(fmt.Sprintf("%T", d))
}

// Packets that hold nothing keep a way open and are no frame.
func TestVideoEmptyPackets(t *testing.T) {
	for _, c := range videoCodecs() {
		s := newVideoStream(t, []*codec.Frame{
			{Track: videoTracks(c)[0], Flags: codec.FlagKey, Data: videoFrame(c, 0, true, []int{3000}, &filler{})},
		}, 1000)
		var packets []Packet
		for _, p := range s.all() {
			packets = append(packets, Packet{Timestamp: p.Timestamp, Marker: true}, p, Packet{Timestamp: p.Timestamp + 5})
		}
		s.requireFrames(t, s.receive(t, packets, nil))
	}
}

func TestVideoWrongCodec(t *testing.T) {
	p, err := NewPacketizer(testmedia.Track(1, codec.H264), PacketizerOptions{})
	require.NoError(t, err)
	_, err = p.Append(nil, &codec.Frame{Track: testmedia.Track(1, codec.H265), Data: videoFrame(codec.H265, 0, true, []int{9}, &filler{})})
	require.ErrorIs(t, err, ErrInvalid)
}

func TestPacketizerSizes(t *testing.T) {
	for size, ok := range map[int]bool{0: true, 255: false, 256: true, 65535: true, 65536: false, -1: false} {
		_, err := NewPacketizer(testmedia.Track(1, codec.H264), PacketizerOptions{MaxSize: size})
		if !ok {
			require.ErrorIs(t, err, ErrInvalid)
			continue
		}
		require.NoError(t, err)
	}
	_, err := NewPacketizer(&codec.Track{ID: 1, Codec: codec.MPEG2Video}, PacketizerOptions{})
	require.ErrorIs(t, err, ErrInvalid)
}

// Sending allocates nothing but the buffer, which callers may provide.
func BenchmarkVideoAppend(b *testing.B) {
	for _, c := range videoCodecs() {
		b.Run(c.String(), func(b *testing.B) {
			tracks := videoTracks(c)
			frames := make([]*codec.Frame, 50)
			size := 0
			for i := range frames {
				key := i == 0
				n := 10_000
				if key {
					n = 100_000
				}
				frames[i] = &codec.Frame{Track: tracks[0], Data: videoFrame(c, 0, key, []int{n}, &filler{})}
				if key {
					frames[i].Flags = codec.FlagKey
				}
				size += len(frames[i].Data)
			}
			p, err := NewPacketizer(tracks[0], PacketizerOptions{})
			require.NoError(b, err)
			dst := make([]byte, 0, 200_000)
			b.ReportAllocs()
			b.SetBytes(int64(size / len(frames)))
			for i := 0; b.Loop(); i++ {
				if _, err := p.Append(dst, frames[i%len(frames)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestVideoAppendAllocations(t *testing.T) {
	for _, c := range videoCodecs() {
		track := videoTracks(c)[0]
		p, err := NewPacketizer(track, PacketizerOptions{})
		require.NoError(t, err)
		frames := []*codec.Frame{
			{Track: track, Flags: codec.FlagKey, Data: videoFrame(c, 0, true, []int{9000, 300, 20}, &filler{})},
			{Track: track, Data: videoFrame(c, 0, false, []int{2000, 100, 10, 10, 10}, &filler{})},
		}
		dst := make([]byte, 0, 20_000)
		require.Zero(t, testing.AllocsPerRun(20, func() {
			for _, f := range frames {
				if _, err := p.Append(dst, f); err != nil {
					panic(err)
				}
			}
		}), "%v", c)
	}
}

// Receiving costs an allocation for each unit.
func BenchmarkVideoReceive(b *testing.B) {
	for _, c := range videoCodecs() {
		b.Run(c.String(), func(b *testing.B) {
			track := videoTracks(c)[0]
			s := newVideoStream(b, []*codec.Frame{{Track: track, Data: videoFrame(c, 0, false, []int{10_000}, &filler{})}}, 1400)
			d, err := NewDepacketizer(&s.payload, s.track)
			require.NoError(b, err)
			packets := s.packets[0]
			units := make([]Unit, 0, 4)
			b.ReportAllocs()
			b.SetBytes(10_000)
			for b.Loop() {
				units = units[:0]
				for i := range packets {
					if units, err = d.Append(units, &packets[i], false); err != nil {
						b.Fatal(err)
					}
				}
				if len(units) != 1 {
					b.Fatal(fmt.Sprint(len(units), " units"))
				}
			}
		})
	}
}
