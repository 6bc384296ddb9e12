package mp4

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A written is one traf as it stands on the wire.
type written struct {
	id        uint32
	dts       uint64
	durations []uint32
	flags     []uint32
	offsets   []int32
	data      uint32 // offset of the first sample
}

// fragments returns what the moof boxes of a stream say.
func fragments(t testing.TB, wire []byte) (all [][]written) {
	t.Helper()
	boxes, _ := topLevel(t, wire)
	for i, x := range boxes {
		if x.kind != typeOf("moof") {
			continue
		}
		require.Equal(t, "mdat", boxes[i+1].kind.String())
		var trafs []written
		require.NoError(t, eachBox(x.body, func(x box) error {
			if x.kind != typeOf("traf") {
				return nil
			}
			var w written
			require.NoError(t, eachBox(x.body, func(x box) error {
				r := fields{b: x.body}
				version, flags := r.full()
				switch x.kind.String() {
				case "tfhd":
					require.Equal(t, uint32(tfhdBaseIsMoof), flags)
					w.id = r.u32()
				case "tfdt":
					require.Equal(t, uint8(1), version)
					w.dts = r.u64()
				case "trun":
					require.Equal(t, uint8(1), version)
					require.Equal(t, uint32(trunOffset|trunDuration|trunSize|trunFlags|trunComposed), flags)
					n := r.u32()
					w.data = r.u32()
					for range n {
						w.durations = append(w.durations, r.u32())
						r.u32()
						w.flags = append(w.flags, r.u32())
						w.offsets = append(w.offsets, int32(r.u32()))
					}
				}
				require.False(t, r.over)
				require.Empty(t, r.b)
				return nil
			}))
			trafs = append(trafs, w)
			return nil
		}))
		all = append(all, trafs)
	}
	return all
}

// Each sample lasts until the next one of its track, over the ends of fragments,
// without a tick lost; the times of fragments are those of their frames.
func TestMuxerDurations(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Bitrate: 50_000, FPS: 30}
	frames := s.Take(5 * time.Second)
	for _, least := range []int{1, 10} {
		next := map[uint32]uint64{}
		for _, trafs := range fragments(t, mux(t, s.Tracks(), frames, least)) {
			for _, w := range trafs {
				if at, ok := next[w.id]; ok {
					require.Equal(t, at, w.dts)
				}
				for _, d := range w.durations {
					w.dts += uint64(d)
				}
				next[w.id] = w.dts
			}
		}
		require.InDelta(t, 5*90000, next[1], 90000/30)
		require.InDelta(t, 5*48000, next[2], 1024)
	}
}

// Flags of samples: what browsers look at.
func TestMuxerFlags(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 1, Bitrate: 50_000, GOP: 200 * time.Millisecond}
	for _, trafs := range fragments(t, mux(t, s.Tracks(), s.Take(600*time.Millisecond), 1000)) {
		require.Len(t, trafs, 2)
		require.Equal(t, []uint32{0x02000000, 0x01010000, 0x01810000, 0x01010000, 0x01810000, 0x02000000}, trafs[0].flags[:6])
		for _, flags := range trafs[1].flags {
			require.Equal(t, uint32(0x02000000), flags)
		}
	}
}

// How long the last frame lasts, which none follows.
func TestMuxerLastDuration(t *testing.T) {
	frame := func(track *codec.Track, ms int, data []byte) *codec.Frame {
		at := time.Duration(ms) * time.Millisecond
		return &codec.Frame{Track: track, DTS: at, PTS: at, Flags: codec.FlagKey, Data: data}
	}
	video, audio, unknown := testmedia.Track(1, codec.H264), testmedia.Track(1, codec.AAC), testmedia.Track(1, codec.VP8)
	unknown.FrameRate = 0
	nalu := []byte{0, 0, 0, 1, 0x65}
	for _, c := range []struct {
		name   string
		frames []*codec.Frame
		want   []uint32
	}{
		{"audio tells", []*codec.Frame{frame(audio, 0, []byte{0x21}), frame(audio, 500, []byte{0x21})}, []uint32{24000, 1024}},
		{"as the one before", []*codec.Frame{frame(video, 0, nalu), frame(video, 100, nalu)}, []uint32{9000, 9000}},
		{"by the frame rate", []*codec.Frame{frame(video, 0, nalu)}, []uint32{3600}},
		{"nothing known", []*codec.Frame{frame(unknown, 0, []byte{0, 0})}, []uint32{3600}},
		{"a step back", []*codec.Frame{frame(video, 1000, nalu), frame(video, 0, nalu)}, []uint32{3600, 3600}},
		{"the same time", []*codec.Frame{frame(video, 1000, nalu), frame(video, 1000, nalu)}, []uint32{0, 3600}},
		{"more than 32 bits", []*codec.Frame{frame(video, 0, nalu), frame(video, 50_000_000, nalu)}, []uint32{3600, 3600}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []uint32
			for _, trafs := range fragments(t, mux(t, []*codec.Track{c.frames[0].Track}, c.frames, 1)) {
				got = append(got, trafs[0].durations...)
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Nothing that comes makes a fragment with a time below 0.
func TestMuxerTimesFromZero(t *testing.T) {
	video, audio := testmedia.Track(1, codec.H264), testmedia.Track(2, codec.AAC)
	const ms = time.Millisecond
	nalu := []byte{0, 0, 0, 1, 0x65}
	wire := mux(t, []*codec.Track{video, audio}, []*codec.Frame{
		{Track: audio, DTS: -20 * ms, PTS: -20 * ms, Data: []byte{0x21}},
		{Track: video, DTS: -80 * ms, PTS: 0, Data: nalu, Flags: codec.FlagKey},
		{Track: video, DTS: -40 * ms, PTS: 40 * ms, Data: nalu},
		{Track: video, DTS: 0, PTS: 80 * ms, Data: nalu},
	}, 1)
	var dts []uint64
	var offsets []int32
	for _, trafs := range fragments(t, wire) {
		if trafs[0].id == 1 {
			dts, offsets = append(dts, trafs[0].dts), append(offsets, trafs[0].offsets...)
		}
	}
	require.Equal(t, []uint64{0, 0, 1800}, dts)
	require.Equal(t, []int32{1800, 5400, 7200}, offsets, "presentation times are kept")
}

func TestMuxerTracks(t *testing.T) {
	_, err := NewMuxer(nil)
	require.ErrorIs(t, err, source.ErrUnsupported)
	opaque := &codec.Track{ID: 1, WireKind: codec.KindVideo, Wire: "flv", Name: "xyz"}
	passed := &codec.Track{ID: 2, Codec: codec.G722, SampleRate: 16000}
	bare := &codec.Track{ID: 3, Codec: codec.H264}
	av1 := &codec.Track{ID: 4, Codec: codec.AV1}
	mp3 := &codec.Track{ID: 5, Codec: codec.MP3}
	require.False(t, Carries(opaque))
	require.False(t, Carries(passed))
	require.True(t, Carries(bare))
	_, err = NewMuxer([]*codec.Track{opaque, passed, bare, av1, mp3})
	require.ErrorIs(t, err, source.ErrUnsupported)
	aac := testmedia.Track(6, codec.AAC)
	m, err := NewMuxer([]*codec.Track{opaque, bare, aac, aac})
	require.NoError(t, err)
	require.Equal(t, []*codec.Track{aac}, m.Tracks())
	for _, track := range []*codec.Track{opaque, bare, av1} {
		f := &codec.Frame{Track: track, Data: []byte{1}}
		require.False(t, m.Changes(f))
		require.NoError(t, m.Add(f))
		require.NoError(t, m.Add(f))
	}
	m.Flush()
	require.Zero(t, m.Ready())
	require.Empty(t, m.AppendFragment(nil))
}

func TestMuxerChanges(t *testing.T) {
	old := testmedia.Track(1, codec.H264)
	m, err := NewMuxer([]*codec.Track{old})
	require.NoError(t, err)
	same := *old
	same.FrameRate = 50
	larger := *testmedia.Track(1, codec.H264)
	larger.Width = 1920
	for _, c := range []struct {
		name  string
		track *codec.Track
		want  bool
	}{
		{"the same", old, false},
		{"equal", &same, false},
		{"other parameters", testmedia.Track2(1, codec.H264), true},
		{"another size", &larger, true},
		{"another codec", testmedia.Track(1, codec.H265), true},
		{"a new track", testmedia.Track(2, codec.AAC), true},
		{"a new track that is not carried", &codec.Track{ID: 3, Codec: codec.G722}, false},
	} {
		f := &codec.Frame{Track: c.track, Data: []byte{0, 0, 0, 1, 0x65}}
		require.Equal(t, c.want, m.Changes(f), c.name)
		if err := m.Add(f); c.want {
			require.ErrorIs(t, err, source.ErrNewFormat, c.name)
		} else {
			require.NoError(t, err, c.name)
		}
	}
}

// The position of a track's data must fit into its field.
func TestMuxerTooLarge(t *testing.T) {
	track := testmedia.Track(1, codec.VP8)
	m, err := NewMuxer([]*codec.Track{track})
	require.NoError(t, err)
	block := make([]byte, 200<<20)
	for i := range 5 {
		require.NoError(t, m.Add(&codec.Frame{Track: track, DTS: time.Duration(i), Data: block}))
	}
	require.ErrorIs(t, m.Add(&codec.Frame{Track: track, DTS: 6, Data: block}), ErrInvalid)
}

// A rate above 16 bits stands in the timescale alone.
func TestHighSampleRate(t *testing.T) {
	for _, want := range []*codec.Track{codec.NewL16Track(1, 192000, 2), codec.NewL16Track(1, 65535, 1)} {
		got, err := demux(mux(t, []*codec.Track{want}, []*codec.Frame{{Track: want, Data: []byte{1, 2}}}, 1))
		require.NoError(t, err)
		require.Len(t, got, 1)
		containertest.RequireSameTrack(t, want, got[0].Track)
	}
}

// The initialization segment of every codec, box by box.
func TestInit(t *testing.T) {
	for _, c := range carriages {
		if c.codec == codec.MPEG2Video {
			continue // see TestRoundTripMPEG2Video
		}
		track := testmedia.Track(1, c.codec)
		wire := appendInit(nil, []*codec.Track{track})
		boxes, _ := topLevel(t, wire)
		require.Len(t, boxes, 2)
		require.Equal(t, "ftyp", boxes[0].kind.String())
		require.True(t, bytes.HasPrefix(boxes[0].body, []byte("iso6")))
		m, err := parseMovie(boxes[1].body)
		require.NoError(t, err)
		require.True(t, m.extends)
		require.False(t, m.samples)
		require.Len(t, m.tracks, 1)
		require.Equal(t, uint32(scaleOf(track)), m.tracks[0].scale)
		got := *m.tracks[0].track
		if c.codec == codec.MP2 {
			got.Codec = codec.MP2 // the frames tell
		}
		containertest.RequireSameTrack(t, track, &got)
		i := bytes.LastIndex(wire, []byte(c.entry))
		require.Equal(t, uint32(1), uint32(binary.BigEndian.Uint16(wire[i+10:])), "data reference of %s", c.entry)
	}
}

// A track that tells nothing but its codec is written with what is usual.
func TestInitDefaults(t *testing.T) {
	for _, track := range []*codec.Track{
		{ID: 1, Codec: codec.VP8}, {ID: 1, Codec: codec.VP9}, {ID: 1, Codec: codec.Opus, SampleRate: 48000}, {ID: 1, Codec: codec.MJPEG},
	} {
		got, err := parseMovie(bodyOf(t, appendInit(nil, []*codec.Track{track}), "moov"))
		require.NoError(t, err)
		want, err := codec.TrackFromConfig(1, track.Codec, nil)
		require.NoError(t, err)
		require.Equal(t, want.Config, got.tracks[0].track.Config)
	}
}

func bodyOf(t testing.TB, wire []byte, name string) []byte {
	t.Helper()
	boxes, _ := topLevel(t, wire)
	for _, x := range boxes {
		if x.kind.String() == name {
			return x.body
		}
	}
	require.Fail(t, "no box", name)
	return nil
}

func TestMIMEType(t *testing.T) {
	for _, c := range []struct {
		tracks []*codec.Track
		want   string
	}{
		{nil, "video/mp4"},
		{[]*codec.Track{testmedia.Track(1, codec.H264), testmedia.Track(2, codec.AAC)}, `video/mp4; codecs="avc1.64001f,mp4a.40.2"`},
		{[]*codec.Track{testmedia.Track(2, codec.Opus)}, `audio/mp4; codecs="opus"`},
		{[]*codec.Track{testmedia.Track(1, codec.H265), testmedia.Track(2, codec.PCMA)}, `video/mp4; codecs="hvc1.1.6.L93.90,alaw"`},
		{[]*codec.Track{{ID: 1, Codec: codec.G722}, testmedia.Track(2, codec.L16)}, `audio/mp4; codecs="ipcm"`},
	} {
		require.Equal(t, c.want, MIMEType(c.tracks))
	}
}

// Key frames repeat the parameter sets in force, for players that ignore all
// initialization segments but the first: what ours reads is the same without any
// other.
func TestRepeatSets(t *testing.T) {
	for _, c := range []codec.Codec{codec.H264, codec.H265} {
		s := testmedia.Stream{Video: c, Audio: codec.AAC, BFrames: 2, GOP: 200 * time.Millisecond, Bitrate: 200_000}
		want := s.Take(time.Second)
		other := []*codec.Track{testmedia.Track2(testmedia.VideoID, c), s.Tracks()[1]}
		first, err := NewMuxer(other)
		require.NoError(t, err)
		m, err := NewMuxer(s.Tracks())
		require.NoError(t, err)
		m.RepeatSets()
		film := bytes.Clone(first.Init())
		for _, f := range want {
			require.NoError(t, m.Add(f))
			if m.Ready() >= 7 {
				film = m.AppendFragment(film)
			}
		}
		m.Flush()
		film = m.AppendFragment(film)
		got, err := demux(film)
		require.NoError(t, err)
		for _, f := range got {
			require.NotEqual(t, other[0].Config, f.Track.Config)
		}
		requireSameFrames(t, want, got)
	}
}

// A feed repeats them once there was a change, and not before.
func TestFeedRepeatsSets(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, GOP: 200 * time.Millisecond, Change: 2, Bitrate: 100_000}
	m := newFeed(t, s.Tracks())
	changed, keys := false, [2]int{}
	frames := s.Take(2 * time.Second)
	for i, p := range feed(t, m, frames) {
		if p.Header {
			changed = true
			continue
		}
		f := frames[0]
		frames = frames[1:]
		sps := f.Track.ParameterSets()[0]
		require.Equal(t, f.Key() && changed, bytes.Contains(p.Wire, sps), "packet %d", i)
		if f.Key() && changed {
			keys[1]++
		} else if f.Key() {
			keys[0]++
		}
	}
	require.Empty(t, frames)
	require.Positive(t, keys[0])
	require.Positive(t, keys[1])
}

// TestFlushAudio: sound that tells how long it lasts need not wait for more.
func TestFlushAudio(t *testing.T) {
	m, err := NewMuxer([]*codec.Track{testmedia.Track(1, codec.H264), testmedia.Track(2, codec.AAC)})
	require.NoError(t, err)
	for _, tr := range m.Tracks() {
		require.NoError(t, m.Add(&codec.Frame{Track: tr, Flags: codec.FlagKey, Data: []byte{0, 0, 0, 1, 0x65}}))
	}
	require.Zero(t, m.Ready())
	m.FlushAudio()
	require.Equal(t, 1, m.Ready(), "the picture waits")
	m.FlushAudio()
	require.Equal(t, 1, m.Ready())
	m.Flush()
	require.Equal(t, 2, m.Ready())
}
