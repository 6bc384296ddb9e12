package flv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// write returns frames as a file that cannot seek.
func write(t testing.TB, form Form, tracks []*codec.Track, frames []*codec.Frame) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, tracks)
	w.Form = form
	for _, f := range frames {
		require.NoError(t, w.WriteFrame(t.Context(), f))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestFileRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream, form Form) {
		want := s.Take(2 * time.Second)
		file := write(t, form, s.Tracks(), want)
		for name, in := range containertest.Inputs(file) {
			r := NewReader(in)
			tracks := r.Tracks()
			require.Len(t, tracks, len(s.Tracks()), name)
			got, err := containertest.ReadAll(r)
			require.Equal(t, io.EOF, err)
			requireSameFrames(t, want, got)
			require.NoError(t, r.Close())
		}
	})
}

// short is a file of three tags behind the header.
func short(t testing.TB) []byte {
	return write(t, FormStandard, tracksOf(frameOf(codec.H264)), []*codec.Frame{frameOf(codec.H264)})
}

func TestReaderCutAtEveryLength(t *testing.T) {
	whole := short(t)
	ends := map[int]bool{} // where a tag ends, with its size behind it
	for at := fileHeader + tagSize; at <= len(whole); {
		ends[at] = true
		if at == len(whole) {
			break
		}
		at += tagHeader + int(binary.BigEndian.Uint32(whole[at:])&maxTag) + tagSize
	}
	require.Len(t, ends, 4)
	for n := range len(whole) + 1 {
		frames, err := containertest.ReadAll(NewReader(bytes.NewReader(whole[:n])))
		if ends[n] {
			require.Equal(t, io.EOF, err, n)
			continue
		}
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, n)
		require.ErrorIs(t, err, ErrInvalid, n)
		require.NotErrorIs(t, err, io.EOF, n)
		require.Empty(t, frames)
	}
}

// raw returns a tag with these sizes.
func raw(typ byte, size int, data []byte, previous int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(typ)<<24|uint32(size))
	b = append(b, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, data...)
	return binary.BigEndian.AppendUint32(b, uint32(previous))
}

// badFiles are what stands behind the FLV header.
var badFiles = []struct {
	name string
	wire []byte
	cut  bool
	text string
}{
	{"data size beyond the file", raw(9, 1<<20, []byte{1, 2}, 13), true, "tag 1 at byte 13"},
	{"data size beyond the limit", raw(9, maxTag, nil, 0), false, "16777215 bytes of data, 10485760 are allowed"},
	{"previous size too large, another type behind it", append(raw(8, 2, []byte{0xaf, 2}, 14), raw(15, 2, []byte{1, 2}, 13)...), false, "tag 2 at byte 30"},
	{"previous size too small, zeros behind it", append(raw(8, 2, []byte{0xaf, 2}, 3), make([]byte, 100)...), false, "is no tag"},
	{"previous size 0, another stream behind it", append(raw(8, 2, []byte{0xaf, 2}, 0), 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 11), false, "is no tag"},
	{"encrypted", raw(0x29, 2, []byte{1, 2}, 13), false, "encrypted"},
	{"reserved bits", raw(0x89, 2, []byte{1, 2}, 13), false, "reserved"},
	{"a hundred bad tags", bytes.Repeat(raw(8, 1, []byte{0xaf}, 12), 100), false, "100 bad ones in a row"},
}

var fileStart = appendFileHeader(nil, true, true)

func TestReaderRefuses(t *testing.T) {
	for _, c := range badFiles {
		t.Run(c.name, func(t *testing.T) {
			_, err := containertest.ReadAll(NewReader(bytes.NewReader(append(fileStart[:len(fileStart):len(fileStart)], c.wire...))))
			require.ErrorIs(t, err, ErrInvalid)
			require.Equal(t, c.cut, errors.Is(err, io.ErrUnexpectedEOF))
			require.ErrorContains(t, err, c.text)
		})
	}
	for _, header := range []string{"", "FL", "GET / HTTP/1.1\r\n\r\n", "FLV\x01\x05\x00\x00\x00\x08", "FLV\x01\x05\xff\xff\xff\xff\x00"} {
		_, err := containertest.ReadAll(NewReader(bytes.NewReader([]byte(header))))
		require.ErrorIs(t, err, ErrInvalid, header)
	}
}

func TestReaderErrorSticks(t *testing.T) {
	containertest.TestErrorSticks(t, NewReader(bytes.NewReader(nil)))
}

// A tag that claims 10 MiB and does not have them costs what it has.
func TestReaderAllocation(t *testing.T) {
	wire := append(fileStart[:len(fileStart):len(fileStart)], raw(9, 10<<20, make([]byte, 100), 0)...)
	before := allocated()
	for range 100 {
		_, err := containertest.ReadAll(NewReader(bytes.NewReader(wire)))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	require.Less(t, (allocated()-before)/100, uint64(256<<10), "bytes for each")
}

func TestReaderMaxTagSize(t *testing.T) {
	r := NewReader(bytes.NewReader(short(t)))
	r.MaxTagSize = 100
	_, err := containertest.ReadAll(r)
	require.ErrorContains(t, err, "100 are allowed")
}

// What is tolerated: script data of any kind, unknown types, tags whose previous
// size leaves out the header, a longer FLV header, empty tags.
func TestReaderTolerates(t *testing.T) {
	f := frameOf(codec.AAC)
	bodies := bodiesOf(t, f)
	long := append(amf.Append(nil, "onMetaData"), bytes.Repeat([]byte{5}, 200_000)...)
	file := append([]byte("FLV\x01\x00\x00\x00\x00\x0bxx"), 9, 9, 9, 9)
	for _, body := range [][]byte{nil, {0xff}, amf.Append(nil, "onCuePoint"), amf.Append(nil, 1), long} {
		file = append(file, raw(18, len(body), body, len(body)+11)...)
	}
	file = append(file, raw(8, 0, nil, 11)...)
	file = append(file, raw(9, 0, nil, 11)...)
	file = append(file, raw(15, 3, []byte{1, 2, 3}, 14)...)
	for _, b := range bodies {
		file = append(file, raw(byte(b.Type), b.Len(), join(b), b.Len())...)
	}
	frames, err := containertest.ReadAll(NewReader(bytes.NewReader(file)))
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, []*codec.Frame{f}, frames)
}

// eachSize calls fn for the PreviousTagSize of each tag of a file.
func eachSize(file []byte, fn func(n int, size []byte)) {
	n := 0
	for at := fileHeader + tagSize; at < len(file); n++ {
		at += tagHeader + int(binary.BigEndian.Uint32(file[at:])&maxTag) + tagSize
		fn(n, file[at-tagSize:at])
	}
}

// wrongSizes are what writers have been seen to put behind tags, and damage.
var wrongSizes = map[string]func(n int, size []byte){
	"none":        func(_ int, size []byte) { clear(size) },
	"of the next": func(_ int, size []byte) { size[3] += 4 },
	"large":       func(_ int, size []byte) { size[0] = 0xff },
	"some":        func(n int, size []byte) { size[3] += byte(n / 200 % 2) },
	"one": func(n int, size []byte) {
		if n == 77 {
			size[1]++
		}
	},
}

// The size behind a tag says nothing that the tag has not said.
func TestReaderWrongSizes(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Bitrate: 500_000}
	want := s.Take(10 * time.Second)
	file := write(t, FormStandard, s.Tracks(), want)
	for name, change := range wrongSizes {
		b := bytes.Clone(file)
		eachSize(b, change)
		require.NotEqual(t, containertest.Digest(file), containertest.Digest(b), name)
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(b)))
		require.Equal(t, io.EOF, err, name)
		requireSameFrames(t, want, got)
	}
}

// The clock has 32 bits and wraps; the upper eight come last.
func TestReaderClock(t *testing.T) {
	track := testmedia.Track(1, codec.AAC)
	m := NewBodyMuxer([]*codec.Track{track}, FormStandard)
	file := appendFileHeader(nil, false, true)
	for _, b := range m.Config() {
		file = appendTag(file, &b)
	}
	const wrap = 1 << 32
	times := []int64{0xfffffe, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, wrap - 1, wrap, wrap + 20}
	for _, ms := range times {
		bodies, err := m.Append(nil, &codec.Frame{Track: track, DTS: time.Duration(ms) * time.Millisecond, Data: []byte{0x21}})
		require.NoError(t, err)
		file = appendTag(file, &bodies[0])
	}
	frames, err := containertest.ReadAll(NewReader(bytes.NewReader(file)))
	require.Equal(t, io.EOF, err)
	require.Len(t, frames, len(times))
	for i, f := range frames {
		require.Equal(t, times[i], f.DTS.Milliseconds())
	}
}

// Two files in one: time goes on. A small step back is levelled.
func TestReaderTimesDoNotFall(t *testing.T) {
	video, audio := testmedia.Track(0, codec.H264), testmedia.Track(1, codec.AAC)
	data := frameOf(codec.H264).Data
	m := NewBodyMuxer([]*codec.Track{video, audio}, FormStandard)
	file := appendFileHeader(nil, true, true)
	for _, b := range m.Config() {
		file = appendTag(file, &b)
	}
	const ms = time.Millisecond
	for _, f := range []*codec.Frame{
		{Track: video, DTS: 5000 * ms, PTS: 5000 * ms, Data: data},
		{Track: audio, DTS: 5010 * ms, Data: []byte{0x21}},
		{Track: audio, DTS: 5005 * ms, Data: []byte{0x21}},
		{Track: video, DTS: 0, PTS: 80 * ms, Data: data},
		{Track: audio, DTS: 30 * ms, Data: []byte{0x21}},
		{Track: video, DTS: 40 * ms, PTS: 40 * ms, Data: data},
	} {
		bodies, err := m.Append(nil, f)
		require.NoError(t, err)
		file = appendTag(file, &bodies[0])
	}
	frames, err := containertest.ReadAll(NewReader(bytes.NewReader(file)))
	require.Equal(t, io.EOF, err)
	type at struct {
		dts, pts time.Duration
		discont  bool
	}
	var got []at
	for _, f := range frames {
		got = append(got, at{f.DTS / ms, f.PTS / ms, f.Has(codec.FlagDiscont)})
	}
	require.Equal(t, []at{
		{5000, 5000, false}, {5010, 5010, false}, {5010, 5005, false},
		{5000, 5080, true}, {5030, 5030, false}, {5040, 5040, false},
	}, got)
}

// Tracks looks ahead as far as needed and no further.
func TestReaderLooksAhead(t *testing.T) {
	video := testmedia.Stream{Video: codec.H264, Bitrate: 100_000}
	both := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000}
	for _, c := range []struct {
		name      string
		file      []byte
		flags     byte
		want      int
		lookahead time.Duration // at most
	}{
		{"announced by metadata", write(t, FormStandard, video.Tracks(), video.Take(5*time.Second)), 5, 1, 0},
		{"announced by flags", withoutMetadata(write(t, FormStandard, video.Tracks(), video.Take(5*time.Second))), 1, 1, 0},
		{"nothing announced", withoutMetadata(write(t, FormStandard, video.Tracks(), video.Take(5*time.Second))), 0, 1, 2100 * time.Millisecond},
		{"audio announced, none there", withoutMetadata(write(t, FormStandard, video.Tracks(), video.Take(5*time.Second))), 5, 1, 2100 * time.Millisecond},
		{"audio not announced", withoutMetadata(write(t, FormStandard, nil, both.Take(5*time.Second))), 1, 1, 0},
		{"audio after video", withoutMetadata(write(t, FormStandard, nil, both.Take(5*time.Second))), 5, 2, 100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.file[4] = c.flags
			r := NewReader(bytes.NewReader(c.file))
			require.Len(t, r.Tracks(), c.want)
			var ahead time.Duration
			if n := len(r.ahead.Frames); n > 0 {
				ahead = r.ahead.Frames[n-1].DTS
			}
			require.LessOrEqual(t, ahead, c.lookahead)
			_, err := containertest.ReadAll(r)
			require.Equal(t, io.EOF, err)
		})
	}
}

// withoutMetadata returns a file with its script tags made unknown ones.
func withoutMetadata(file []byte) []byte {
	for at := fileHeader + tagSize; at < len(file); {
		if file[at] == byte(TagScript) {
			file[at] = 17
		}
		at += tagHeader + int(binary.BigEndian.Uint32(file[at:])&maxTag) + tagSize
	}
	return file
}

func TestReaderEnds(t *testing.T) { containertest.TestReaderEnds(t, NewReader, fileStart) }

func TestWriterCompletesMetadata(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000}
	name := filepath.Join(t.TempDir(), "a.flv")
	file, err := os.Create(name)
	require.NoError(t, err)
	_, err = file.WriteString("before")
	require.NoError(t, err)
	w := NewWriter(file, s.Tracks())
	frames := s.Take(3 * time.Second)
	for _, f := range frames {
		require.NoError(t, w.WriteFrame(t.Context(), f))
	}
	require.NoError(t, w.Close())
	require.ErrorIs(t, file.Close(), os.ErrClosed)
	require.Error(t, w.WriteFrame(t.Context(), frames[0]))

	got, err := os.ReadFile(name)
	require.NoError(t, err)
	got, ok := bytes.CutPrefix(got, []byte("before"))
	require.True(t, ok)
	r := NewReader(bytes.NewReader(got))
	r.Tracks()
	duration, _ := amf.Number(r.demux.Metadata().Get("duration"))
	require.InDelta(t, 3, duration, 0.05)
	require.Equal(t, float64(len(got)), r.demux.Metadata().Get("filesize"))
	back, err := containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, frames, back)
}

// An empty file is an FLV file.
func TestWriterEmpty(t *testing.T) {
	for _, tracks := range [][]*codec.Track{nil, {testmedia.Track(1, codec.H264)}} {
		file := write(t, FormStandard, tracks, nil)
		frames, err := containertest.ReadAll(NewReader(bytes.NewReader(file)))
		require.Equal(t, io.EOF, err)
		require.Empty(t, frames)
	}
}

func TestWriterFlags(t *testing.T) {
	for want, s := range map[byte]testmedia.Stream{
		5: {Video: codec.H264, Audio: codec.AAC}, 1: {Video: codec.AV1}, 4: {Audio: codec.Opus}, 0: {Audio: codec.L16},
	} {
		require.Equal(t, want, write(t, FormStandard, s.Tracks(), nil)[4])
	}
}

func TestWriterErrorSticks(t *testing.T) {
	w := NewWriter(failingWriter{}, nil)
	f := frameOf(codec.H264)
	require.ErrorIs(t, w.WriteFrame(t.Context(), f), io.ErrShortWrite)
	require.ErrorIs(t, w.WriteFrame(t.Context(), f), io.ErrShortWrite)
	require.ErrorIs(t, w.Close(), io.ErrShortWrite)
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// A frame that no tag can hold is refused; the next is written.
func TestWriterFrameTooLarge(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, nil)
	f := frameOf(codec.H264)
	big := *f
	big.Data = make([]byte, maxTag)
	require.ErrorIs(t, w.WriteFrame(t.Context(), &big), ErrInvalid)
	require.NoError(t, w.WriteFrame(t.Context(), f))
}

func FuzzReader(f *testing.F) {
	for _, s := range streams[:5] {
		s.Bitrate = 20_000
		f.Add(write(f, FormStandard, s.Tracks(), s.Take(100*time.Millisecond)))
		f.Add(write(f, FormLegacy, s.Tracks(), s.Take(100*time.Millisecond)))
	}
	for _, c := range badFiles {
		f.Add(append(fileStart[:len(fileStart):len(fileStart)], c.wire...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b))
		frames, err := containertest.ReadAll(r)
		if err != io.EOF {
			require.ErrorIs(t, err, ErrInvalid)
		}
		containertest.RequireOrder(t, frames)
		for _, f := range frames {
			require.GreaterOrEqual(t, f.DTS, time.Duration(0))
		}
		again, _ := containertest.ReadAll(NewReader(iotest.OneByteReader(bytes.NewReader(b))))
		require.Len(t, again, len(frames))
	})
}
