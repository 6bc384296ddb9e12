package rtmp

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

func TestFeedFormat(t *testing.T) {
	standard, legacy := FeedFormat(flv.FormStandard), FeedFormat(flv.FormLegacy)
	require.Equal(t, "rtmp", standard.Name)
	require.Equal(t, "rtmp", standard.Schema)
	require.Equal(t, "rtmp", legacy.Name)
	require.NotEqual(t, standard.Variant, legacy.Variant)
}

// muxerCases are frames and how their messages begin.
var muxerCases = []struct {
	name  string
	codec codec.Codec
	form  flv.Form
	dts   time.Duration
	cts   time.Duration
	key   bool
	wire  string // of a frame whose data are "data"
}{
	{"H264 key", codec.H264, flv.FormStandard, 0, 0, true,
		"\x07\x00\x00\x00\x00\x00\x09\x09\x01\x00\x00\x00" + "\x17\x01\x00\x00\x00data"},
	{"H264, composed later", codec.H264, flv.FormStandard, 40 * time.Millisecond, 80 * time.Millisecond, false,
		"\x07\x00\x00\x28\x00\x00\x09\x09\x01\x00\x00\x00" + "\x27\x01\x00\x00\x50data"},
	{"AAC", codec.AAC, flv.FormStandard, 21333 * time.Microsecond, 0, true,
		"\x06\x00\x00\x15\x00\x00\x06\x08\x01\x00\x00\x00" + "\xaf\x01data"},
	{"H265 enhanced", codec.H265, flv.FormStandard, 0, 0, true,
		"\x07\x00\x00\x00\x00\x00\x0c\x09\x01\x00\x00\x00" + "\x91hvc1\x00\x00\x00data"},
	{"H265 legacy", codec.H265, flv.FormLegacy, 0, 0, true,
		"\x07\x00\x00\x00\x00\x00\x09\x09\x01\x00\x00\x00" + "\x1c\x01\x00\x00\x00data"},
	{"after 4.7 hours", codec.AAC, flv.FormStandard, 0x1000000 * time.Millisecond, 0, true,
		"\x06\xff\xff\xff\x00\x00\x06\x08\x01\x00\x00\x00\x01\x00\x00\x00" + "\xaf\x01data"},
	{"after 50 days", codec.AAC, flv.FormStandard, 0x100000005 * time.Millisecond, 0, true,
		"\x06\x00\x00\x05\x00\x00\x06\x08\x01\x00\x00\x00" + "\xaf\x01data"},
}

func TestMuxer(t *testing.T) {
	for _, c := range muxerCases {
		t.Run(c.name, func(t *testing.T) {
			track := testmedia.Track(3, c.codec)
			m, err := FeedFormat(c.form).New([]*codec.Track{track})
			require.NoError(t, err)
			f := &codec.Frame{Track: track, DTS: c.dts, PTS: c.dts + c.cts, Data: []byte("data")}
			if c.key {
				f.Flags = codec.FlagKey
			}
			ps, err := m.Append(nil, f)
			require.NoError(t, err)
			require.Equal(t, []source.Packet{{Track: 3, Key: c.key, DTS: c.dts, Wire: []byte(c.wire)}}, ps)
			require.Equal(t, len(c.wire), cap(ps[0].Wire))
		})
	}
}

// TestMuxerHeader: metadata and sequence headers, at time 0, anew when they
// change.
func TestMuxerHeader(t *testing.T) {
	st := testStream
	m, err := FeedFormat(flv.FormStandard).New(st.Tracks())
	require.NoError(t, err)
	before := string(m.Header())
	var ps []source.Packet
	for f := range st.Frames() {
		if ps, err = m.Append(ps, f); len(ps) > 20 {
			break
		}
		require.NoError(t, err)
	}
	for _, p := range ps {
		require.False(t, p.Header)
	}
	require.Equal(t, before, string(m.Header()))

	second := testmedia.Track2(testmedia.VideoID, codec.H264)
	ps, err = m.Append(nil, &codec.Frame{Track: second, DTS: time.Second, PTS: time.Second, Flags: codec.FlagKey, Data: []byte("data")})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(ps), 2)
	for i, p := range ps {
		require.Equal(t, i < len(ps)-1, p.Header)
		require.Equal(t, i == len(ps)-1, p.Key)
		require.Equal(t, "\x00\x03\xe8", string(p.Wire[1:4]), "at the frame's time")
	}
	require.NotEqual(t, before, string(m.Header()))
	require.Equal(t, "\x00\x00\x00", string(m.Header()[1:4]))
	require.Contains(t, string(m.Header()), string(second.Config))

	none, err := m.Append(nil, &codec.Frame{Track: &codec.Track{ID: 9, Codec: codec.G722}, Data: []byte("data")})
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = m.Append(nil, &codec.Frame{Track: second, Data: make([]byte, maxBody)})
	require.Error(t, err)
}

// TestMuxerReads reads what is written with the client's side of the wire.
func TestMuxerReads(t *testing.T) {
	st := testStream
	m, err := FeedFormat(flv.FormStandard).New(st.Tracks())
	require.NoError(t, err)
	all := wire.AppendControl(nil, 128, wire.SetChunkSize{Size: chunkSize})
	all = append(all, m.Header()...)
	want := st.Take(3 * time.Second)
	var ps []source.Packet
	for _, f := range want {
		ps, err = m.Append(ps[:0], f)
		require.NoError(t, err)
		require.Len(t, ps, 1)
		all = append(all, ps[0].Wire...)
	}
	r := wire.NewReader(bytes.NewReader(all), make([]byte, 4096), testPeerLimits)
	d := demuxer{dropped: func(err error) { require.NoError(t, err) }}
	var got []*codec.Frame
	for {
		msg, err := r.Next()
		if err != nil {
			break
		}
		got, err = d.append(got, &msg)
		require.NoError(t, err)
	}
	require.Len(t, got, len(want))
	for i, f := range got {
		require.Equal(t, want[i].Data, f.Data)
	}
}

// TestMuxerAllocations: a frame is one allocation and is copied once.
func TestMuxerAllocations(t *testing.T) {
	track := testmedia.Track(0, codec.H264)
	m := newMuxer([]*codec.Track{track}, flv.FormStandard)
	f := &codec.Frame{Track: track, Data: make([]byte, 100_000)}
	var ps []source.Packet
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		var err error
		ps, err = m.Append(ps[:0], f)
		require.NoError(t, err)
	}), 1.1) // now and then one for the heads of some hundred frames
}

func BenchmarkMuxer(b *testing.B) {
	st := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	frames, bytes := st.Take(2*time.Second), 0
	for _, f := range frames {
		bytes += len(f.Data)
	}
	m := newMuxer([]*codec.Track{frames[0].Track, ofKind(frames, codec.KindAudio)[0].Track}, flv.FormStandard)
	b.ReportAllocs()
	b.SetBytes(int64(bytes / len(frames)))
	var ps []source.Packet
	for i := 0; b.Loop(); i++ {
		ps, _ = m.Append(ps[:0], frames[i%len(frames)])
	}
}
