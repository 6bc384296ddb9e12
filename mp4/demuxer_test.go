package mp4

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// allocated returns the bytes allocated since the program began.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// demux returns the frames of a stream.
func demux(wire []byte) ([]*codec.Frame, error) {
	var d Demuxer
	return d.Append(nil, wire)
}

// aacInit is the initialization segment of an AAC track, number 1.
func aacInit() []byte { return appendInit(nil, []*codec.Track{testmedia.Track(1, codec.AAC)}) }

// A trafSpec is a traf box as a test writes it.
type trafSpec struct {
	id       uint32
	flags    uint32   // of tfhd
	head     []uint32 // what those flags announce
	time     []uint32 // of tfdt: version and flags, then what follows; nil leaves it out
	runFlags uint32
	count    uint32
	run      []uint32 // what follows the count
}

// moof returns a moof box of trafs.
func moof(trafs ...trafSpec) []byte {
	return appendBox(nil, "moof", func(b []byte) []byte {
		b = appendFullBox(b, "mfhd", 0, 0, func(b []byte) []byte { return appendUint32s(b, 1) })
		for _, s := range trafs {
			b = appendBox(b, "traf", func(b []byte) []byte {
				b = appendFullBox(b, "tfhd", 0, s.flags, func(b []byte) []byte { return appendUint32s(appendUint32s(b, s.id), s.head...) })
				if s.time != nil {
					b = appendBox(b, "tfdt", func(b []byte) []byte { return appendUint32s(b, s.time...) })
				}
				return appendFullBox(b, "trun", 0, s.runFlags, func(b []byte) []byte {
					return appendUint32s(appendUint32s(b, s.count), s.run...)
				})
			})
		}
		return b
	})
}

func mdat(data ...byte) []byte {
	return appendBox(nil, "mdat", func(b []byte) []byte { return append(b, data...) })
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// What other muxers write, and where the data are then.
func TestDemuxerLayouts(t *testing.T) {
	at0 := []uint32{0, 48000} // tfdt of version 0: one second
	for _, c := range []struct {
		name string
		wire func() []byte
		want []string // data of the frames
		dts  []int64  // samples
	}{
		{"sizes and durations from tfhd", func() []byte {
			m := moof(trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration | tfhdSize, head: []uint32{1024, 2}, time: at0,
				runFlags: trunOffset, count: 3, run: []uint32{0}})
			binary.BigEndian.PutUint32(m[len(m)-4:], uint32(len(m)+8))
			return join(m, mdat([]byte("aabbcc")...))
		}, []string{"aa", "bb", "cc"}, []int64{48000, 49024, 50048}},
		{"sizes and durations from trex", func() []byte {
			init := aacInit()
			i := bytes.Index(init, []byte("trex"))
			binary.BigEndian.PutUint32(init[i+16:], 1024) // default duration
			binary.BigEndian.PutUint32(init[i+20:], 3)    // and size
			m := moof(trafSpec{id: 1, flags: tfhdBaseIsMoof, time: at0, runFlags: trunOffset, count: 2, run: []uint32{0}})
			binary.BigEndian.PutUint32(m[len(m)-4:], uint32(len(m)+8))
			return join(init, m, mdat([]byte("aaabbb")...))
		}, []string{"aaa", "bbb"}, []int64{48000, 49024}},
		{"base data offset of the moof, counted from elsewhere", func() []byte {
			m := moof(trafSpec{id: 1, flags: tfhdBaseOffset | tfhdDuration, head: []uint32{0, 123456, 1024}, time: at0,
				runFlags: trunOffset | trunSize, count: 2, run: []uint32{0, 1, 2}})
			binary.BigEndian.PutUint32(m[len(m)-12:], uint32(len(m)+8))
			return join(m, mdat([]byte("abb")...))
		}, []string{"a", "bb"}, []int64{48000, 49024}},
		{"base data offset of the data", func() []byte {
			spec := trafSpec{id: 1, flags: tfhdBaseOffset | tfhdDuration, head: []uint32{0, 0, 1024}, time: at0,
				runFlags: trunSize, count: 2, run: []uint32{1, 2}}
			spec.head[1] = uint32(len(aacInit()) + len(moof(spec)) + 8)
			return join(moof(spec), mdat([]byte("abb")...))
		}, []string{"a", "bb"}, []int64{48000, 49024}},
		{"data of the second traf behind those of the first", func() []byte {
			first := trafSpec{id: 1, flags: tfhdDuration, head: []uint32{1024}, time: at0, runFlags: trunOffset | trunSize, count: 1, run: []uint32{0, 1}}
			second := trafSpec{id: 1, flags: tfhdDuration, head: []uint32{1024}, runFlags: trunSize, count: 2, run: []uint32{2, 3}}
			first.run[0] = uint32(len(moof(first, second)) + 8)
			return join(moof(first, second), mdat([]byte("abbccc")...))
		}, []string{"a", "bb", "ccc"}, []int64{48000, 49024, 50048}},
		{"no tfdt: time goes on", func() []byte {
			spec := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration, head: []uint32{1024}, runFlags: trunOffset | trunSize, count: 1, run: []uint32{0, 1}}
			spec.run[0] = uint32(len(moof(spec)) + 8)
			return join(moof(spec), mdat('a'), moof(spec), mdat('b'))
		}, []string{"a", "b"}, []int64{0, 1024}},
		{"gaps in the data, another track's between", func() []byte {
			ours := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration, head: []uint32{1024}, time: at0, runFlags: trunOffset | trunSize, count: 1, run: []uint32{0, 2}}
			theirs := trafSpec{id: 9, flags: tfhdBaseIsMoof, runFlags: trunOffset | trunSize, count: 1, run: []uint32{0, 2}}
			n := uint32(len(moof(theirs, ours)))
			theirs.run[0], ours.run[0] = n+8, n+8+3
			return join(moof(theirs, ours), mdat([]byte("xx-aa--")...))
		}, []string{"aa"}, []int64{48000}},
		{"boxes around, data in two mdat boxes of which one is large", func() []byte {
			spec := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration, head: []uint32{1024}, time: at0, runFlags: trunOffset | trunSize, count: 1, run: []uint32{0, 2}}
			other := spec
			other.time, other.run = nil, []uint32{0, 2}
			n := uint32(len(moof(spec, other)))
			spec.run[0], other.run[0] = n+16, n+16+2+8
			large := join([]byte{0, 0, 0, 1}, []byte("mdat"), []byte{0, 0, 0, 0, 0, 0, 0, 18}, []byte("aa"))
			skipped := func(name string) []byte {
				return appendBox(nil, name, func(b []byte) []byte { return append(b, "something"...) })
			}
			return join(skipped("styp"), skipped("sidx"), skipped("emsg"), skipped("prft"), mdat([]byte("before any")...),
				moof(spec, other), large, mdat([]byte("bb")...), skipped("free"), skipped("mfra"))
		}, []string{"aa", "bb"}, []int64{48000, 49024}},
		{"an mdat box to the end of the stream", func() []byte {
			spec := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration, head: []uint32{1024}, time: at0, runFlags: trunOffset | trunSize, count: 1, run: []uint32{0, 2}}
			spec.run[0] = uint32(len(moof(spec)) + 8)
			return join(moof(spec), []byte{0, 0, 0, 0}, []byte("mdataa and more"))
		}, []string{"aa"}, []int64{48000}},
		{"empty samples", func() []byte {
			spec := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration, head: []uint32{1024}, time: at0, runFlags: trunOffset | trunSize, count: 3, run: []uint32{0, 0, 1, 0}}
			spec.run[0] = uint32(len(moof(spec)) + 8)
			return join(moof(spec), mdat('a'))
		}, []string{"a"}, []int64{49024}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire := join(aacInit(), c.wire())
			for _, step := range []int{1, 5, len(wire)} {
				var d Demuxer
				var got []*codec.Frame
				var err error
				for b := range slices.Chunk(wire, step) {
					got, err = d.Append(got, b)
					require.NoError(t, err)
				}
				require.True(t, d.whole())
				var data []string
				var dts []int64
				for _, f := range got {
					data, dts = append(data, string(f.Data)), append(dts, codec.Ticks(f.DTS, 48000))
					require.Equal(t, f.DTS, f.PTS)
					require.True(t, f.Key())
				}
				require.Equal(t, c.want, data)
				require.Equal(t, c.dts, dts)
			}
		})
	}
}

// Composition offsets are negative in version 1, and in version 0 as some have it.
func TestDemuxerOffsets(t *testing.T) {
	for version := range uint32(2) {
		spec := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration, head: []uint32{4800}, time: []uint32{0, 48000},
			runFlags: version<<24 | trunOffset | trunSize | trunComposed, count: 2, run: []uint32{0, 1, 4800, 1, math.MaxUint32 - 4799}}
		spec.run[0] = uint32(len(moof(spec)) + 8)
		wire := join(aacInit(), moof(spec), mdat('a', 'b'))
		got, err := demux(wire)
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, 1100*time.Millisecond, got[0].PTS)
		require.Equal(t, time.Second, got[1].PTS)
		require.Equal(t, 1100*time.Millisecond, got[1].DTS)
	}
}

// A badStream is refused.
type badStream struct {
	name string
	wire func(t testing.TB) []byte
	text string
}

// edited returns a valid stream in which the 32 bits at an offset behind the
// first box type of that name are replaced.
func edited(name string, offset int, value uint32) func(t testing.TB) []byte {
	return func(t testing.TB) []byte {
		b := shortStream(t)
		i := bytes.Index(b, []byte(name))
		require.Positive(t, i)
		binary.BigEndian.PutUint32(b[i+offset:], value)
		return b
	}
}

func raw(b string) func(testing.TB) []byte { return func(testing.TB) []byte { return []byte(b) } }

// withFragment returns a stream with a fragment of one sample, after change.
func withFragment(change func(s *trafSpec)) func(testing.TB) []byte {
	return func(testing.TB) []byte {
		spec := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration, head: []uint32{1024}, time: []uint32{0, 0},
			runFlags: trunOffset | trunSize, count: 1, run: []uint32{0, 4}}
		spec.run[0] = uint32(len(moof(spec)) + 8)
		change(&spec)
		return join(aacInit(), moof(spec), mdat(1, 2, 3, 4), moof(spec))
	}
}

// withTrack returns an initialization segment after change of its bytes.
func withTrack(c codec.Codec, change func(b []byte) []byte) func(testing.TB) []byte {
	return func(testing.TB) []byte { return change(appendInit(nil, []*codec.Track{testmedia.Track(1, c)})) }
}

func replaced(old, new string) func(b []byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
}

// at32 sets 32 bits behind the last box type of that name.
func at32(name string, offset int, value uint32) func(b []byte) []byte {
	return func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[bytes.LastIndex(b, []byte(name))+offset:], value)
		return b
	}
}

var badStreams = []badStream{
	{"size below a header", raw("\x00\x00\x00\x07mdat"), "mdat box of 7 bytes"},
	{"size 2", raw("\x00\x00\x00\x02free"), "free box of 2 bytes"},
	{"64-bit size below a header", raw("\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x0f"), "mdat box of 15 bytes"},
	{"64-bit size 0", raw("\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x00"), "mdat box of 0 bytes"},
	{"64-bit size 2^63", raw("\x00\x00\x00\x01mdat\x80\x00\x00\x00\x00\x00\x00\x00"), "9223372036854775808 bytes"},
	{"moov to the end of the file", raw("\x00\x00\x00\x00moov"), "moov box without a size"},
	{"moov of 2 GB", raw("\x7f\xff\xff\xffmoov"), "moov box of"},
	{"moof of 2 MB", raw("\x00\x20\x00\x00moof"), "moof box of"},
	{"no initialization segment", func(t testing.TB) []byte {
		return shortStream(t)[len(appendInit(nil, (testmedia.Stream{Video: codec.H264, Audio: codec.AAC}).Tracks())):]
	}, "no initialization segment"},
	{"empty moov", raw("\x00\x00\x00\x08moov"), "no track"},
	{"text", raw("GET / HTTP/1.1\r\n\r\n, and a lot more of what is no MP4 at all"), ""},
	{"box in moov exceeds it", edited("mvhd", -4, 0x7fffffff), "mvhd box"},
	{"box in moov without a size", edited("mvhd", -4, 0), "without a size"},
	{"box in moof exceeds it", edited("traf", -4, 0x7fffffff), "traf box"},
	{"box in traf below a header", edited("tfdt", -4, 4), "tfdt box of 4 bytes"},
	{"count of a trun exceeds it", edited("trun", 8, 0x10000000), "trun"},
	{"data offset before the data", edited("trun", 12, 0), "where others or no data are"},
	{"negative data offset", edited("trun", 12, 0xffffff00), "where others or no data are"},
	{"data offset far away", edited("trun", 12, 0x7fffff00), "did not come"},
	{"sample size beyond the limit", edited("trun", 20, maxSample+1), "sample of 10485761 bytes"},
	{"sample size beyond the data", edited("trun", 20, maxSample), ""},
	{"decode time 2^63", edited("tfdt", 8, 0x80000000), "decode time"},
	{"decode time of 100 years", withFragment(func(s *trafSpec) { s.time = []uint32{1 << 24, 48000 * 3600 * 24 * 36524 >> 32, 0} }), "decode time"},
	{"samples without bytes of their own", withFragment(func(s *trafSpec) {
		s.flags, s.head = tfhdBaseIsMoof|tfhdDuration|tfhdSize, []uint32{1, 1}
		s.runFlags, s.count, s.run = trunOffset, 0xffffffff, []uint32{100}
	}), "more than 65536 samples"},
	{"samples that overlap", func(testing.TB) []byte {
		spec := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration, head: []uint32{1}, runFlags: trunOffset | trunSize, count: 1, run: []uint32{0, 4}}
		spec.run[0] = uint32(len(moof(spec, spec)) + 8)
		return join(aacInit(), moof(spec, spec), mdat(1, 2, 3, 4))
	}, "where others or no data are"},
	{"sample over the end of the mdat", withFragment(func(s *trafSpec) { s.run[1] = 5 }), "exceeds the mdat box"},
	{"data offset within the header of a large mdat", func(testing.TB) []byte {
		spec := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration, head: []uint32{1}, runFlags: trunOffset | trunSize, count: 1, run: []uint32{0, 2}}
		spec.run[0] = uint32(len(moof(spec)) + 8)
		return join(aacInit(), moof(spec), []byte("\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x14abcd"))
	}, "do not come behind"},
	{"trun before tfhd", func(testing.TB) []byte {
		return join(aacInit(), appendBox(nil, "moof", func(b []byte) []byte {
			return appendBox(b, "traf", func(b []byte) []byte {
				return appendFullBox(b, "trun", 0, 0, func(b []byte) []byte { return appendUint32s(b, 0) })
			})
		}))
	}, "trun without tfhd"},
	{"short tfhd", edited("tfhd", 4, tfhdDuration|tfhdSize|tfhdFlags), "tfhd"},
	{"timescale 0", withTrack(codec.AAC, at32("mdhd", 16, 0)), "timescale 0"},
	{"timescale 2^32-1", withTrack(codec.AAC, at32("mdhd", 16, math.MaxUint32)), "timescale 4294967295"},
	{"track number 0", withTrack(codec.AAC, at32("tkhd", 16, 0)), "track number 0"},
	{"track number 2^31", withTrack(codec.AAC, at32("tkhd", 16, 1<<31)), "track number 2147483648"},
	{"avcC cut", withTrack(codec.H264, at32("avcC", 8, 0xffe1ffff)), "NAL unit"},
	{"avcC of version 9", withTrack(codec.H264, at32("avcC", 4, 0x09640028)), "avcC"},
	{"esds without descriptor", withTrack(codec.AAC, at32("esds", 8, 0)), "esds: tag 0"},
	{"descriptor exceeds its box", withTrack(codec.AAC, at32("esds", 9, 0x80808070)), "descriptor"},
	{"descriptor of 2^28 bytes", withTrack(codec.AAC, at32("esds", 9, 0xffffffff)), "descriptor"},
	{"edit list exceeds its box", withEdits(0, func(b []byte) []byte { return appendUint32s(b, 0x20000000, 0, 0, 0) }), "elst"},
	{"edit of 2^63", withEdits(1, func(b []byte) []byte {
		return appendUint32s(b, 1, 0, 0, 0x7fffffff, 0, 1<<16)
	}), "edit of 0 at"},
	{"hundred bad samples", func(t testing.TB) []byte {
		s := testmedia.Stream{Video: codec.H264, Bitrate: 20_000, FPS: 50}
		frames := s.Take(2100 * time.Millisecond)
		for _, f := range frames {
			f.Data[0] = 0x7f // length of a NAL unit
		}
		return mux(t, s.Tracks(), frames, 10)
	}, "100 bad samples in a row"},
}

// withEdits returns an initialization segment with an edit list of that version.
func withEdits(version byte, entries func(b []byte) []byte) func(testing.TB) []byte {
	return func(testing.TB) []byte {
		edts := appendBox(nil, "edts", func(b []byte) []byte { return appendFullBox(b, "elst", version, 0, entries) })
		return inserted(aacInit(), "mdia", edts, "moov", "trak")
	}
}

// inserted returns b with a box before the one of that name, and the sizes of
// those around it corrected.
func inserted(b []byte, before string, x []byte, around ...string) []byte {
	i := bytes.Index(b, []byte(before)) - 4
	b = slices.Insert(b, i, x...)
	for _, name := range around {
		at := bytes.Index(b, []byte(name)) - 4
		binary.BigEndian.PutUint32(b[at:], binary.BigEndian.Uint32(b[at:])+uint32(len(x)))
	}
	return b
}

func TestDemuxerRefuses(t *testing.T) {
	for _, c := range badStreams {
		t.Run(c.name, func(t *testing.T) {
			wire := c.wire(t)
			for _, step := range []int{1, len(wire)} {
				var d Demuxer
				var err error
				for b := range slices.Chunk(wire, step) {
					if _, err = d.Append(nil, b); err != nil {
						break
					}
				}
				if err == nil {
					require.False(t, d.whole())
					require.Empty(t, c.text)
					continue
				}
				require.Contains(t, err.Error(), c.text)
				if c.name != "empty moov" {
					require.ErrorIs(t, err, ErrInvalid)
				}
				_, again := d.Append(nil, shortStream(t))
				require.Equal(t, err, again, "it sticks")
				d.Flush()
				got, err := d.Append(nil, shortStream(t))
				require.NoError(t, err)
				require.NotEmpty(t, got)
			}
		})
	}
}

// One track that cannot be read does not cost the others.
func TestDemuxerLeavesOut(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	frames := s.Take(time.Second)
	wire := mux(t, s.Tracks(), frames, 6)
	for name, change := range map[string]func(b []byte) []byte{
		"timescale 0":   at32("mdhd", 16, 0),
		"unknown codec": replaced("mp4a\x00\x00", "xyz!\x00\x00"),
		"damaged":       at32("esds", 8, 0),
		"cut entry":     withShortTable,
	} {
		t.Run(name, func(t *testing.T) {
			init := len(appendInit(nil, s.Tracks()))
			b := join(change(bytes.Clone(wire[:init])), wire[init:])
			got, err := containertest.ReadAll(NewReader(bytes.NewReader(b)))
			require.Equal(t, io.EOF, err)
			var want []*codec.Frame
			for _, f := range frames {
				if f.Track.Kind() == codec.KindVideo {
					want = append(want, f)
				}
			}
			requireSameFrames(t, want, got)
		})
	}
}

// withShortTable makes the sample entry too short for what one begins with.
func withShortTable(b []byte) []byte {
	i := bytes.LastIndex(b, []byte("mp4a"))
	binary.BigEndian.PutUint32(b[i-4:], 9)
	return b
}

func TestDemuxerRefusesEncrypted(t *testing.T) {
	for _, c := range []struct {
		codec            codec.Codec
		from, to, config string
	}{{codec.H264, "avc1", "encv", "avcC"}, {codec.AAC, "mp4a", "enca", "esds"}} {
		sinf := appendBox(nil, "sinf", func(b []byte) []byte {
			b = appendBox(b, "frma", func(b []byte) []byte { return append(b, c.from...) })
			return appendFullBox(b, "schm", 0, 0, func(b []byte) []byte { return append(b, "cenc\x00\x01\x00\x00"...) })
		})
		init := appendInit(nil, []*codec.Track{testmedia.Track(1, c.codec)})
		init = replaced(c.from+"\x00\x00\x00\x00\x00\x00", c.to+"\x00\x00\x00\x00\x00\x00")(init)
		init = inserted(init, c.config, sinf, "moov", "trak", "mdia", "minf", "stbl", "stsd", c.to)
		_, err := demux(init)
		require.ErrorIs(t, err, source.ErrUnsupported)
		require.ErrorContains(t, err, c.to+", "+c.from+", cenc")
	}
}

func TestDemuxerRefusesFiles(t *testing.T) {
	init := aacInit()
	i := bytes.Index(init, []byte("stsz"))
	binary.BigEndian.PutUint32(init[i+12:], 100) // samples
	copy(init[bytes.Index(init, []byte("mvex")):], "free")
	_, err := demux(init)
	require.ErrorIs(t, err, source.ErrUnsupported)
	require.ErrorContains(t, err, "not fragmented")
}

// Edit lists: an empty edit delays, the next one tells what is time 0.
func TestDemuxerEdits(t *testing.T) {
	for _, c := range []struct {
		name    string
		version byte
		entries []uint32
		want    time.Duration
	}{
		{"from a sample on", 0, []uint32{1, 0, 4800, 1 << 16}, -100 * time.Millisecond},
		{"delayed", 0, []uint32{2, 45000, 0xffffffff, 1 << 16, 0, 0, 1 << 16}, 500 * time.Millisecond},
		{"both", 0, []uint32{2, 45000, 0xffffffff, 1 << 16, 0, 4800, 1 << 16}, 400 * time.Millisecond},
		{"64 bits", 1, []uint32{2, 0, 45000, 0xffffffff, 0xffffffff, 1 << 16, 0, 0, 0, 4800, 1 << 16}, 400 * time.Millisecond},
		{"the second is not looked at", 0, []uint32{2, 9000, 4800, 1 << 16, 9000, 96000, 1 << 16}, -100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			init := withEdits(c.version, func(b []byte) []byte { return appendUint32s(b, c.entries...) })(t)
			s := testmedia.Stream{Audio: codec.AAC}
			rest := mux(t, s.Tracks(), s.Take(100*time.Millisecond), 1)[len(aacInit()):]
			got, err := demux(join(init, rest))
			require.NoError(t, err)
			require.Equal(t, c.want, got[0].DTS)
			require.Equal(t, c.want, got[0].PTS)
		})
	}
}

// NAL units with lengths of 1 and 2 bytes come out with 4.
func TestDemuxerLengthSizes(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 20_000}
	want := s.Take(400 * time.Millisecond)
	for _, size := range []int{1, 2} {
		track := *s.Tracks()[0]
		track.Config = bytes.Clone(track.Config)
		track.Config[4] = track.Config[4]&^3 | byte(size-1)
		var frames, kept []*codec.Frame
		for _, f := range want {
			g := *f
			g.Track, g.Data = &track, nil
			for nalu := range f.NALUs() {
				if size == 1 && len(nalu) > 255 {
					continue
				}
				g.Data = append(append(g.Data, []byte{byte(len(nalu) >> 8), byte(len(nalu))}[2-size:]...), nalu...)
			}
			if len(g.Data) > 0 {
				frames, kept = append(frames, &g), append(kept, f)
			}
		}
		require.NotEmpty(t, kept)
		got, err := demux(mux(t, []*codec.Track{&track}, frames, 3))
		require.NoError(t, err)
		requireSameFrames(t, kept, got)
	}
}

// L16 comes with either byte first, in three sample entries.
func TestDemuxerPCM(t *testing.T) {
	for name, change := range map[string]func(b []byte) []byte{
		"ipcm": func(b []byte) []byte { return b },
		"ipcm, low byte first": func(b []byte) []byte {
			b[bytes.Index(b, []byte("pcmC"))+8] = 1
			return b
		},
		"twos": replaced("ipcm", "twos"),
		"sowt": replaced("ipcm", "sowt"),
	} {
		t.Run(name, func(t *testing.T) {
			s := testmedia.Stream{Audio: codec.L16}
			want := s.Take(100 * time.Millisecond)
			sent := make([]*codec.Frame, len(want))
			for i, f := range want {
				g := *f
				if name == "sowt" || name == "ipcm, low byte first" {
					g.Data = swapped(f.Data)
					require.NotEqual(t, f.Data, g.Data)
				}
				sent[i] = &g
			}
			got, err := demux(change(mux(t, s.Tracks(), sent, 2)))
			require.NoError(t, err)
			requireSameFrames(t, want, got)
		})
	}
}

// QuickTime's sound descriptions have more before their boxes, and those in a
// box of their own.
func TestDemuxerQuickTimeSound(t *testing.T) {
	entry := func(version uint16, head, tail []byte) []byte {
		name := "twos"
		if tail != nil {
			name = "mp4a"
		}
		return appendBox(nil, name, func(b []byte) []byte {
			b = appendUint16s(appendZeros(b, 6), 1, version, 0, 0, 0, 3, 16, 0, 0)
			b = appendUint32s(b, 1<<16)
			return append(append(b, head...), tail...)
		})
	}
	second := binary.BigEndian.AppendUint64(appendUint32s(nil, 72), math.Float64bits(48000))
	second = appendUint32s(second, 2, 0x7f000000, 16, 0, 4, 1)
	aac := testmedia.Track(1, codec.AAC)
	c, _ := carriageOf(aac)
	wave := appendBox(nil, "wave", func(b []byte) []byte { return c.appendConfig(b, aac) })
	for name, x := range map[string]struct {
		wire []byte
		want *codec.Track
	}{
		"version 1":                {entry(1, make([]byte, 16), wave), aac},
		"version 2":                {entry(2, second, nil), codec.NewL16Track(1, 48000, 2)},
		"version 2 without a rate": {entry(2, make([]byte, 36), nil), &codec.Track{Codec: codec.L16}},
	} {
		b, _, err := cutBox(x.wire)
		require.NoError(t, err, name)
		e, err := parseSampleEntry(b, 0, 1)
		require.NoError(t, err, name)
		containertest.RequireSameTrack(t, x.want, e.track)
	}
}

// A new initialization segment with the same parameters does not make new tracks.
func TestDemuxerKeepsTracks(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 20_000}
	wire := mux(t, s.Tracks(), s.Take(200*time.Millisecond), 3)
	var d Demuxer
	_, err := d.Append(nil, wire)
	require.NoError(t, err)
	before := d.Tracks()
	frames, err := d.Append(nil, wire)
	require.NoError(t, err)
	require.NotEmpty(t, frames)
	for i, track := range d.Tracks() {
		require.Same(t, before[i], track)
	}
}

// After Flush a segment is read without another initialization segment.
func TestDemuxerFlush(t *testing.T) {
	wire := shortStream(t)
	init := len(appendInit(nil, (testmedia.Stream{Video: codec.H264, Audio: codec.AAC}).Tracks()))
	var d Demuxer
	for cut := init; cut < len(wire); cut += 7 {
		d.Flush()
		_, err := d.Append(nil, wire[:cut])
		require.NoError(t, err)
		d.Flush()
		frames, err := d.Append(nil, wire[init:])
		require.NoError(t, err)
		want, err := demux(wire)
		require.NoError(t, err)
		requireSameFrames(t, want, frames)
	}
}

// Frames of several tracks come in the order of their time, as soon as they can.
func TestDemuxerOrder(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	want := s.Take(time.Second)
	wire := mux(t, s.Tracks(), want, len(want)+1)
	got, err := demux(wire)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i := 1; i < len(got); i++ {
		require.GreaterOrEqual(t, got[i].DTS, got[i-1].DTS)
	}
	// Video alone is given out while it comes.
	v := testmedia.Stream{Video: codec.H264, Bitrate: 50_000}
	wire = mux(t, v.Tracks(), v.Take(time.Second), 1000)
	var d Demuxer
	got, err = d.Append(nil, wire[:len(wire)-1])
	require.NoError(t, err)
	require.Len(t, got, 24)
}

// What is announced and does not come costs nothing.
func TestDemuxerAllocation(t *testing.T) {
	many := withFragment(func(s *trafSpec) {
		s.flags, s.head = tfhdBaseIsMoof|tfhdDuration|tfhdSize, []uint32{1, maxSample}
		s.runFlags, s.count, s.run = trunOffset, 100, []uint32{112}
	})(t)
	for name, wire := range map[string][]byte{
		"a moov of 1 MB":      []byte("\x00\x0f\xff\xffmoov"),
		"samples of 10 MB":    many,
		"an mdat of 2^60 - 1": append(many[:len(many):len(many)], "\x00\x00\x00\x01mdat\x0f\xff\xff\xff\xff\xff\xff\xff"...),
	} {
		before := allocated()
		for range 100 {
			_, _ = demux(wire)
		}
		require.Less(t, (allocated()-before)/100, uint64(160<<10), "bytes for %s", name)
	}
}

// Samples that wait for one before them in time are bounded.
func TestDemuxerWaiting(t *testing.T) {
	late := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration | tfhdSize, head: []uint32{1024, 1 << 20}, time: []uint32{0, 1 << 20},
		runFlags: trunOffset, count: 100, run: []uint32{0}}
	first := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration | tfhdSize, head: []uint32{1024, 1}, time: []uint32{0, 0},
		runFlags: trunOffset, count: 1, run: []uint32{0}}
	n := uint32(len(moof(late, first)))
	late.run[0], first.run[0] = n+8, n+8+100<<20
	var d Demuxer
	_, err := d.Append(nil, join(aacInit(), moof(late, first), []byte("\x10\x00\x00\x00mdat")))
	require.NoError(t, err)
	block := make([]byte, 1<<20)
	for i := range 64 {
		_, err = d.Append(nil, block)
		require.NoError(t, err, i)
	}
	_, err = d.Append(nil, block)
	require.ErrorIs(t, err, ErrInvalid)

	// But not those that come all at once.
	n = uint32(len(moof(late)))
	late.run[0] = n + 8
	d = Demuxer{}
	got, err := d.Append(nil, join(aacInit(), moof(late), []byte("\x06\x40\x00\x08mdat"), make([]byte, 100<<20)))
	require.NoError(t, err)
	require.Len(t, got, 100)
}

func FuzzDemuxer(f *testing.F) {
	for _, s := range streams[:11] {
		s.Bitrate = 20_000
		f.Add(mux(f, s.Tracks(), s.Take(60*time.Millisecond), 3), uint16(17))
	}
	for _, c := range badStreams {
		f.Add(c.wire(f), uint16(5))
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint16) {
		var whole, cut Demuxer
		want, err := whole.Append(nil, b)
		var got []*codec.Frame
		var err2 error
		for piece := range slices.Chunk(b, int(step)+1) {
			if got, err2 = cut.Append(got, piece); err2 != nil {
				break
			}
		}
		require.Equal(t, err == nil, err2 == nil)
		require.Len(t, got, len(want))
		for i, f := range got {
			require.Equal(t, want[i].Data, f.Data)
			require.Equal(t, want[i].DTS, f.DTS)
		}
		// What was read can be written, if it has a track that can.
		m, err := NewMuxer(whole.Tracks())
		if err != nil {
			return
		}
		out := m.Init()
		for _, f := range want {
			if m.Add(f) == nil {
				out = m.AppendFragment(out[:len(out):len(out)])
			}
		}
		_, err = demux(out)
		require.NoError(t, err)
	})
}

func BenchmarkDemuxer(b *testing.B) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	frames := s.Take(2 * time.Second)
	wire := mux(b, s.Tracks(), frames, 1)
	var d Demuxer
	var got []*codec.Frame
	b.ReportAllocs()
	b.SetBytes(int64(len(wire) / len(frames)))
	for i := 0; b.Loop(); i++ { // an operation is a frame
		if i%len(frames) == 0 {
			got, _ = d.Append(got[:0], wire)
		}
	}
}
