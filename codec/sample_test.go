package codec_test

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

var (
	h264Sets1 = testmedia.Track(1, codec.H264).ParameterSets()
	h264Sets2 = testmedia.Track2(1, codec.H264).ParameterSets()
	h265Sets1 = testmedia.Track(1, codec.H265).ParameterSets()
	h265Sets2 = testmedia.Track2(1, codec.H265).ParameterSets()

	idr      = unhex("6588840a")
	slice    = unhex("419a246c")
	aud      = unhex("09f0")
	recovery = unhex("0606 01c4 80")              // SEI: recovery point
	sei      = unhex("0605 04 01020304 80")       // SEI: something else
	seiTwo   = unhex("0605 01ff 0601c4 80")       // something else, then recovery point
	seiEmu   = unhex("0605 03000003 01 0601c480") // the first message has an emulation prevention byte
	idr265   = unhex("2601af04")
	cra265   = unhex("2a01ac40")
	trail265 = unhex("0201d021")
	aud265   = unhex("460110")
)

// sampleCases are access units for a track with h264Sets1 or h265Sets1.
var sampleCases = []struct {
	name  string
	codec codec.Codec
	in    [][]byte
	want  [][]byte
	key   bool
	sets  [][]byte // nil: the track stays
}{
	{"IDR", codec.H264, [][]byte{idr}, [][]byte{idr}, true, nil},
	{"slice", codec.H264, [][]byte{slice}, [][]byte{slice}, false, nil},
	{"AUD", codec.H264, [][]byte{aud, slice}, [][]byte{slice}, false, nil},
	{"AUD only", codec.H264, [][]byte{aud}, nil, false, nil},
	{"empty unit", codec.H264, [][]byte{{}, slice, {}}, [][]byte{slice}, false, nil},
	{"nothing", codec.H264, nil, nil, false, nil},
	{"recovery point", codec.H264, [][]byte{recovery, slice}, [][]byte{recovery, slice}, true, nil},
	{"other SEI", codec.H264, [][]byte{sei, slice}, [][]byte{sei, slice}, false, nil},
	{"recovery point second", codec.H264, [][]byte{seiTwo, slice}, [][]byte{seiTwo, slice}, true, nil},
	{"recovery point after escape", codec.H264, [][]byte{seiEmu, slice}, [][]byte{seiEmu, slice}, true, nil},
	{"SEI cut", codec.H264, [][]byte{{6}, {6, 0xff, 0xff}, {6, 5, 200, 1}, slice}, [][]byte{{6}, {6, 0xff, 0xff}, {6, 5, 200, 1}, slice}, false, nil},
	{"known sets", codec.H264, [][]byte{aud, h264Sets1[0], h264Sets1[1], idr}, [][]byte{idr}, true, nil},
	{"other sets", codec.H264, [][]byte{h264Sets2[0], h264Sets2[1], idr}, [][]byte{idr}, true, h264Sets2},
	{"sets after the slice", codec.H264, [][]byte{idr, h264Sets2[0], h264Sets2[1]}, [][]byte{idr}, true, h264Sets2},
	{"sets only", codec.H264, [][]byte{h264Sets2[0], h264Sets2[1]}, nil, false, h264Sets2},
	{"second PPS", codec.H264, [][]byte{unhex("68 5b e3"), idr}, [][]byte{idr}, true, [][]byte{h264Sets1[0], unhex("68 5b e3"), h264Sets1[1]}},
	{"SPS without its PPS", codec.H264, [][]byte{h264Sets2[0], idr}, [][]byte{idr}, true, h264Sets2[:1]},

	{"IDR", codec.H265, [][]byte{idr265}, [][]byte{idr265}, true, nil},
	{"CRA", codec.H265, [][]byte{aud265, cra265}, [][]byte{cra265}, true, nil},
	{"slice", codec.H265, [][]byte{trail265}, [][]byte{trail265}, false, nil},
	{"unit of one byte", codec.H265, [][]byte{{2}, trail265}, [][]byte{trail265}, false, nil},
	{"known sets", codec.H265, append(slices.Clone(h265Sets1), idr265), [][]byte{idr265}, true, nil},
	{"other sets", codec.H265, append(slices.Clone(h265Sets2), idr265), [][]byte{idr265}, true, h265Sets2},
	{"SEI stays", codec.H265, [][]byte{{0x4e, 1, 6}, trail265}, [][]byte{{0x4e, 1, 6}, trail265}, false, nil},
}

func TestParseSample(t *testing.T) {
	for _, c := range sampleCases {
		tr := testmedia.Track(5, c.codec)
		check := func(t *testing.T, t2 *codec.Track, out []byte, key bool, err error) {
			require.NoError(t, err)
			require.Equal(t, sample(c.want...), out)
			require.Equal(t, c.key, key)
			if c.sets == nil {
				require.Same(t, tr, t2)
			} else {
				require.NotSame(t, tr, t2)
				require.Equal(t, tr.ID, t2.ID)
				require.Equal(t, c.sets, t2.ParameterSets())
				require.False(t, tr.SameConfig(t2))
			}
			requireCanonical(t, t2, out)
			require.Equal(t, key, codec.IsKey(t2, out))
		}
		for _, size := range []int{1, 2, 4} {
			t.Run(c.codec.String()+" "+c.name, func(t *testing.T) {
				in := lengthPrefixed(size, c.in...)
				keep := bytes.Clone(in)
				t2, out, key, err := codec.ParseSample(tr, in, size)
				if len(out) == 0 {
					out = nil
				}
				check(t, t2, out, key, err)
				require.True(t, bytes.Equal(keep, in), "input changed")
			})
		}
		t.Run(c.codec.String()+" "+c.name+" Annex B", func(t *testing.T) {
			t2, out, key, err := codec.ParseAnnexB(tr, annexB(c.in...))
			check(t, t2, out, key, err)
			t2, out, key, err = codec.ParseNALUs(tr, slices.Values(c.in))
			check(t, t2, out, key, err)
		})
	}
}

func TestParseSampleErrors(t *testing.T) {
	tr := testmedia.Track(1, codec.H264)
	for _, c := range []struct {
		name string
		in   []byte
		size int
		err  error
	}{
		{"length beyond", unhex("00000005 6588"), 4, io.ErrUnexpectedEOF},
		{"length cut", unhex("00000002 6588 0000"), 4, io.ErrUnexpectedEOF},
		{"huge length", unhex("ffffffff 6588"), 4, io.ErrUnexpectedEOF},
		{"length size", unhex("000002 6588"), 3, codec.ErrInvalid},
		{"length size 0", unhex("000002 6588"), 0, codec.ErrInvalid},
		{"bad SPS", sample(unhex("6764"), idr), 4, codec.ErrInvalid},
		{"bad PPS", sample(unhex("6800"), idr), 4, codec.ErrInvalid},
	} {
		t2, out, key, err := codec.ParseSample(tr, c.in, c.size)
		require.ErrorIs(t, err, c.err, c.name)
		require.ErrorIs(t, err, codec.ErrInvalid, c.name)
		require.Same(t, tr, t2, c.name)
		require.Nil(t, out, c.name)
		require.False(t, key, c.name)
	}
	_, _, _, err := codec.ParseAnnexB(tr, []byte{1, 2, 3})
	require.ErrorIs(t, err, codec.ErrInvalid)
	_, _, _, err = codec.ParseSample(testmedia.Track(1, codec.AAC), sample(idr), 4)
	require.ErrorIs(t, err, codec.ErrInvalid)
}

// Sets that come one by one make the track ready with the last of them.
func TestParseAnnexBWithoutConfig(t *testing.T) {
	for c, sets := range map[codec.Codec][][]byte{codec.H264: h264Sets1, codec.H265: h265Sets1} {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
			tr := &codec.Track{ID: 3, Codec: c}
			seen := 0
			for _, i := range order {
				if i >= len(sets) {
					continue
				}
				require.False(t, tr.Ready())
				var err error
				var out []byte
				tr, out, _, err = codec.ParseAnnexB(tr, annexB(sets[i]))
				require.NoError(t, err)
				require.Empty(t, out)
				seen++
			}
			require.Equal(t, len(sets), seen)
			require.True(t, tr.Ready(), "%v %v", c, order)
			require.Equal(t, sets, tr.ParameterSets())
			require.Equal(t, testmedia.Track(3, c), tr)
		}
	}
}

// Two sets of parameters with different ids live side by side.
func TestParseSampleAlternatingSets(t *testing.T) {
	tr := testmedia.Track(1, codec.H264)
	pps1 := unhex("68 5b e3") // id 1
	tr, _, _, err := codec.ParseSample(tr, sample(pps1, idr), 4)
	require.NoError(t, err)
	for range 3 {
		for _, pps := range [][]byte{h264Sets1[1], pps1} {
			t2, _, _, err := codec.ParseSample(tr, sample(h264Sets1[0], pps, idr), 4)
			require.NoError(t, err)
			require.Same(t, tr, t2)
		}
	}
}

// A publisher cannot grow the configuration without bound.
func TestParseSampleManySets(t *testing.T) {
	tr := testmedia.Track(1, codec.H264)
	var failed bool
	for id := range 300 {
		var w testmedia.BitWriter
		w.U(8, 0x68)
		w.UE(uint32(id))
		w.UE(0)
		pps := append(w.NALU(), bytes.Repeat([]byte{0xaa}, 1000)...)
		t2, _, _, err := codec.ParseSample(tr, sample(pps, idr), 4)
		if err != nil {
			require.ErrorIs(t, err, codec.ErrInvalid)
			failed = true
			break
		}
		tr = t2
	}
	require.True(t, failed)
	require.Less(t, len(tr.Config), 70<<10)
}

func TestParseSampleAllocs(t *testing.T) {
	for _, c := range []codec.Codec{codec.H264, codec.H265} {
		s := testmedia.Stream{Video: c, BFrames: 1}
		for _, f := range s.Take(200 * 1e6) {
			n := testing.AllocsPerRun(100, func() {
				_, out, _, err := codec.ParseSample(f.Track, f.Data, 4)
				if err != nil || &out[0] != &f.Data[0] {
					t.Fatal("copied", err)
				}
			})
			require.Zero(t, n, "%v", c)
			require.Zero(t, testing.AllocsPerRun(100, func() { codec.IsKey(f.Track, f.Data) }))
		}
	}
	tr := testmedia.Track(1, codec.H264)
	au := annexB(aud, slice, slice)
	n := testing.AllocsPerRun(100, func() {
		if t2, _, _, err := codec.ParseAnnexB(tr, au); err != nil || t2 != tr {
			t.Fatal(err)
		}
	})
	require.LessOrEqual(t, n, 5.) // the data and the loop's state
}

func BenchmarkParseSample(b *testing.B) {
	s := testmedia.Stream{Video: codec.H264}
	f := s.Take(1)[0]
	b.ReportAllocs()
	for b.Loop() {
		codec.ParseSample(f.Track, f.Data, 4)
	}
}

func FuzzParseSample(f *testing.F) {
	for _, c := range sampleCases {
		for i, size := range []int{1, 2, 4} {
			f.Add(lengthPrefixed(size, c.in...), byte(i), c.codec == codec.H265)
		}
		f.Add(annexB(c.in...), byte(3), c.codec == codec.H265)
	}
	f.Fuzz(func(t *testing.T, b []byte, mode byte, h265 bool) {
		c := codec.H264
		if h265 {
			c = codec.H265
		}
		for _, tr := range []*codec.Track{{ID: 1, Codec: c}, testmedia.Track(1, c)} {
			var t2 *codec.Track
			var out []byte
			var key bool
			var err error
			if mode%4 == 3 {
				t2, out, key, err = codec.ParseAnnexB(tr, b)
			} else {
				t2, out, key, err = codec.ParseSample(tr, b, []int{1, 2, 4}[mode%4])
			}
			if err != nil {
				require.ErrorIs(t, err, codec.ErrInvalid)
				require.Same(t, tr, t2)
				continue
			}
			requireCanonical(t, t2, out)
			require.Equal(t, key, codec.IsKey(t2, out))
			if t2.Ready() {
				again, err := codec.TrackFromConfig(t2.ID, c, t2.Config)
				require.NoError(t, err)
				require.True(t, t2.SameConfig(again))
			}
			_ = t2.CodecString() + t2.Profile() + t2.String()
		}
	})
}
