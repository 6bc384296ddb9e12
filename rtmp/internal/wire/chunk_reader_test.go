package wire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

var testLimits = Limits{Streams: 64, Media: 10 << 20, Other: 64 << 10, Pending: 20 << 20, Ahead: 512 << 10}

// Parts of chunks: audio messages of 3 bytes on chunk stream 6.
const (
	audioHeader = "\x06\x00\x03\xe8\x00\x00\x03\x08\x01\x00\x00\x00" // at 1000
	size2       = "\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00" + "\x00\x00\x00\x02"
	extHeader   = "\x06\xff\xff\xff\x00\x00\x03\x08\x01\x00\x00\x00" + "\x01\x02\x03\x04"
)

func audio(stamp uint32, body string) Message {
	return Message{Type: TypeAudio, StreamID: 1, Timestamp: stamp, Body: []byte(body)}
}

var readerCases = []struct {
	name string
	wire string
	want []Message
	err  error // io.EOF if nil
}{
	{name: "nothing"},
	{name: "form 0", wire: audioHeader + "abc", want: []Message{audio(1000, "abc")}},
	{name: "form 1", wire: audioHeader + "abc" + "\x46\x00\x00\x14\x00\x00\x02\x09" + "de",
		want: []Message{audio(1000, "abc"), {Type: TypeVideo, StreamID: 1, Timestamp: 1020, Body: []byte("de")}}},
	{name: "form 2", wire: audioHeader + "abc" + "\x86\x00\x00\x14" + "def", want: []Message{audio(1000, "abc"), audio(1020, "def")}},
	{name: "form 3 repeats the delta", wire: audioHeader + "abc" + "\x86\x00\x00\x14" + "def" + "\xc6" + "ghi" + "\xc6" + "jkl",
		want: []Message{audio(1000, "abc"), audio(1020, "def"), audio(1040, "ghi"), audio(1060, "jkl")}},
	{name: "form 3 after form 0 repeats the timestamp", wire: audioHeader + "abc" + "\xc6" + "def", // section 5.3.1.2.4
		want: []Message{audio(1000, "abc"), audio(2000, "def")}},
	{name: "chunk stream in 2 bytes", wire: "\x00\x00" + audioHeader[1:] + "abc" + "\xc0\x00" + "def" + "\x00\xff" + audioHeader[1:] + "ghi",
		want: []Message{audio(1000, "abc"), audio(2000, "def"), audio(1000, "ghi")}},
	{name: "chunk stream in 3 bytes", wire: "\x01\x00\x01" + audioHeader[1:] + "abc" + "\xc1\x00\x01" + "def",
		want: []Message{audio(1000, "abc"), audio(2000, "def")}},
	{name: "one chunk stream in 2 and 3 bytes", wire: "\x00\x05" + audioHeader[1:] + "abc" + "\xc1\x05\x00" + "def",
		want: []Message{audio(1000, "abc"), audio(2000, "def")}},
	{name: "chunks", wire: size2 + audioHeader + "ab" + "\xc6" + "c", want: []Message{audio(1000, "abc")}},
	{name: "chunks of 1 byte", wire: size2[:15] + "\x01" + audioHeader + "a" + "\xc6" + "b" + "\xc6" + "c", want: []Message{audio(1000, "abc")}},
	{name: "interleaved", wire: size2 + audioHeader + "ab" + "\x07" + audioHeader[1:] + "de" + "\xc6" + "c" + "\xc7" + "f",
		want: []Message{audio(1000, "abc"), audio(1000, "def")}},
	{name: "empty message", wire: "\x06\x00\x03\xe8\x00\x00\x00\x08\x01\x00\x00\x00" + audioHeader + "abc",
		want: []Message{{Type: TypeAudio, StreamID: 1, Timestamp: 1000}, audio(1000, "abc")}},
	{name: "extended timestamp", wire: extHeader + "abc", want: []Message{audio(0x01020304, "abc")}},
	{name: "extended timestamp repeated", wire: size2 + extHeader + "ab" + "\xc6\x01\x02\x03\x04" + "c", want: []Message{audio(0x01020304, "abc")}},
	{name: "extended timestamp not repeated", wire: size2 + extHeader + "ab" + "\xc6" + "c" + audioHeader + "de" + "\xc6" + "f",
		want: []Message{audio(0x01020304, "abc"), audio(1000, "def")}},
	{name: "extended timestamp not repeated, payload begins like it", wire: size2 + extHeader + "ab" + "\xc6" + "\x01" + audioHeader + "de" + "\xc6" + "f",
		want: []Message{audio(0x01020304, "ab\x01"), audio(1000, "def")}},
	{name: "extended delta in form 1", wire: audioHeader + "abc" + "\x46\xff\xff\xff\x00\x00\x03\x08\x01\x00\x00\x00" + "def",
		want: []Message{audio(1000, "abc"), audio(1000+0x01000000, "def")}},
	{name: "extended delta in form 2", wire: audioHeader + "abc" + "\x86\xff\xff\xff\x01\x00\x00\x00" + "def",
		want: []Message{audio(1000, "abc"), audio(1000+0x01000000, "def")}},
	{name: "extended delta repeated by form 3", wire: audioHeader + "abc" + "\x86\xff\xff\xff\x01\x00\x00\x00" + "def" + "\xc6\x01\x00\x00\x00" + "ghi",
		want: []Message{audio(1000, "abc"), audio(1000+0x01000000, "def"), audio(1000+0x02000000, "ghi")}},
	{name: "extended delta, chunks with the whole timestamp", wire: size2 + audioHeader + "ab" + "\xc6" + "c" + "\x86\xff\xff\xff\x01\x00\x00\x00" + "de" + "\xc6\x01\x00\x03\xe8" + "f",
		want: []Message{audio(1000, "abc"), audio(1000+0x01000000, "def")}},
	{name: "timestamp wraps", wire: "\x06\xff\xff\xff\x00\x00\x03\x08\x01\x00\x00\x00" + "\xff\xff\xff\xff" + "abc" + "\x86\x00\x00\x14" + "def",
		want: []Message{audio(0xffffffff, "abc"), audio(19, "def")}},
	{name: "abort", wire: size2 + audioHeader + "ab" + "\x42\x00\x00\x00\x00\x00\x04\x02" + "\x00\x00" + "\xc2" + "\x00\x06" + "\xc6" + "de" + "\xc6" + "f",
		want: []Message{audio(2000, "def")}},
	{name: "abort of a chunk stream that is not there", wire: "\x02\x00\x00\x00\x00\x00\x04\x02\x00\x00\x00\x00" + "\x00\x00\x00\x09" + audioHeader + "abc",
		want: []Message{audio(1000, "abc")}},
	{name: "header within a message begins another", wire: size2 + audioHeader + "ab" + audioHeader + "de" + "\xc6" + "f", want: []Message{audio(1000, "def")}},
	{name: "set chunk size within a message", wire: size2 + audioHeader + "ab" + size2[:12] + "\x00\x00" + "\xc2" + "\x00\x09" + "\xc6" + "c" + audioHeader + "def",
		want: []Message{audio(1000, "abc"), audio(1000, "def")}},
	{name: "ends in a header", wire: audioHeader[:5], err: io.ErrUnexpectedEOF},
	{name: "ends in a body", wire: audioHeader + "ab", err: io.ErrUnexpectedEOF},
	{name: "chunk size 0", wire: size2[:15] + "\x00", err: ErrInvalid},
	{name: "chunk size with the first bit set", wire: size2[:12] + "\x80\x00\x00\x80", err: ErrInvalid},
	{name: "chunk size without a body", wire: "\x02\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", err: ErrInvalid},
	{name: "chunk size above the most", wire: size2[:12] + "\x7f\xff\xff\xff" + audioHeader + "abc", want: []Message{audio(1000, "abc")}},
	{name: "abort without a body", wire: "\x02\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00", err: ErrInvalid},
	{name: "form 1 first", wire: "\x46\x00\x00\x14\x00\x00\x02\x09" + "de", err: ErrInvalid},
	{name: "form 2 first", wire: "\x86\x00\x00\x14", err: ErrInvalid},
	{name: "form 3 first", wire: "\xc6", err: ErrInvalid},
	{name: "form 3 first after another chunk stream", wire: audioHeader + "abc" + "\xc7", want: []Message{audio(1000, "abc")}, err: ErrInvalid},
	{name: "command too long", wire: "\x03\x00\x00\x00\x01\x00\x01\x14\x00\x00\x00\x00", err: ErrInvalid},
	{name: "media too long", wire: "\x06\x00\x00\x00\xff\xff\xff\x09\x01\x00\x00\x00", err: ErrInvalid},
	{name: "too many chunk streams", wire: manyStreams(65), want: repeated(64), err: ErrInvalid},
}

func manyStreams(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("\x00" + string([]byte{byte(i)}) + audioHeader[1:] + "abc")
	}
	return b.String()
}

func repeated(n int) (ms []Message) {
	for range n {
		ms = append(ms, audio(1000, "abc"))
	}
	return ms
}

// collect reads all messages. Deadlines are no reason to stop.
func collect(r *Reader) (ms []Message, err error) {
	for {
		m, err := r.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return ms, err
		}
		ms = append(ms, m)
	}
}

// A hesitant reader returns a deadline's error before each byte.
type hesitant struct {
	r     io.Reader
	ready bool
}

func (h *hesitant) Read(b []byte) (int, error) {
	if h.ready = !h.ready; h.ready {
		return 0, os.ErrDeadlineExceeded
	}
	return h.r.Read(b[:1])
}

func TestReader(t *testing.T) {
	ways := map[string]func(string) *Reader{
		"whole": func(s string) *Reader { return NewReader(strings.NewReader(s), make([]byte, 4096), testLimits) },
		"tiny":  func(s string) *Reader { return NewReader(strings.NewReader(s), make([]byte, MinBuffer), testLimits) },
		"bytes": func(s string) *Reader {
			return NewReader(iotest.OneByteReader(strings.NewReader(s)), make([]byte, 64), testLimits)
		},
		"hesitant": func(s string) *Reader {
			return NewReader(&hesitant{r: strings.NewReader(s)}, make([]byte, 64), testLimits)
		},
		"data with EOF": func(s string) *Reader {
			return NewReader(iotest.DataErrReader(strings.NewReader(s)), make([]byte, 64), testLimits)
		},
	}
	for _, c := range readerCases {
		for way, reader := range ways {
			t.Run(c.name+"/"+way, func(t *testing.T) {
				r := reader(c.wire)
				ms, err := collect(r)
				if c.err == nil {
					c.err = io.EOF
				}
				require.ErrorIs(t, err, c.err)
				require.Equal(t, c.want, ms)
				if c.err == io.EOF {
					require.EqualValues(t, len(c.wire), r.Bytes())
				}
			})
		}
	}
}

func TestReaderCutShort(t *testing.T) {
	for _, c := range readerCases {
		for n := range c.wire {
			ms, err := collect(NewReader(strings.NewReader(c.wire[:n]), make([]byte, 64), testLimits))
			require.LessOrEqual(t, len(ms), len(c.want))
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				require.ErrorIs(t, err, ErrInvalid)
			}
		}
	}
}

// TestReaderUse changes the buffer at every byte of every case.
func TestReaderUse(t *testing.T) {
	for _, c := range readerCases {
		for n := range c.wire {
			first := &hesitant{r: strings.NewReader(c.wire[:n])}
			r := NewReader(first, make([]byte, 256), testLimits)
			ms, err := collect(r)
			if errors.Is(err, ErrInvalid) {
				continue
			}
			r.Use(strings.NewReader(c.wire[n:]), make([]byte, MinBuffer), testLimits)
			rest, err := collect(r)
			if c.err == nil {
				c.err = io.EOF
			}
			require.ErrorIs(t, err, c.err, c.name)
			require.Equal(t, c.want, append(ms, rest...), c.name)
		}
	}
}

// TestReaderUseWithUnread changes to a buffer that is smaller than what was read.
func TestReaderUseWithUnread(t *testing.T) {
	var wire []byte
	for range 10 {
		wire = AppendMessage(wire, 6, TypeAudio, 1, 1000, 128, nil, []byte("abc"))
	}
	src := bytes.NewReader(append(wire, wire...))
	r := NewReader(io.LimitReader(src, int64(len(wire))), make([]byte, 1024), testLimits)
	_, err := r.Next()
	require.NoError(t, err)
	r.Use(src, make([]byte, MinBuffer), testLimits)
	ms, err := collect(r)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, repeated(19), ms)
	require.Len(t, r.buf, MinBuffer, "the large buffer is still there")
}

func TestReaderControlOnly(t *testing.T) {
	limits := testLimits
	limits.ControlOnly = true
	ping := UserControl{Event: EventPingRequest, Value: 1}
	wire := AppendMessage(nil, 7, TypeVideo, 1, 0, 128, nil, make([]byte, 1000))
	half := len(wire) / 2
	wire = append(wire, size2...)
	wire = AppendMessage(wire, 7, TypeVideo, 1, 0, 2, nil, make([]byte, 10))
	wire = AppendControl(wire, 2, ping)
	wire = AppendMessage(wire, 4, TypeData, 1, 0, 2, nil, make([]byte, 10))
	want := []Message{{Type: TypeUserControl, Body: ping.Append(nil)}}

	r := NewReader(bytes.NewReader(wire), make([]byte, 64), limits)
	ms, err := collect(r)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, want, ms)

	// Half of the first message was kept when the limits change.
	r = NewReader(bytes.NewReader(wire[:half]), make([]byte, 64), testLimits)
	_, err = r.Next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotZero(t, r.pending)
	r.Use(bytes.NewReader(wire[half:]), make([]byte, 64), limits)
	require.Zero(t, r.pending)
	ms, err = collect(r)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, want, ms)
	require.Zero(t, r.pending)
}

// TestReaderMemory holds that a peer which announces more than it sends gets
// no more memory than it sent bytes, but for Limits.Ahead.
func TestReaderMemory(t *testing.T) {
	limits := Limits{Streams: 16, Media: 64 << 10, Other: 64 << 10, Pending: 64 << 10}
	const chunk = 100
	send := func(streams int, bytesEach int) []byte {
		wire := AppendControl(nil, 128, SetChunkSize{chunk})
		header := "\x00\x00\x00\x00\x00\xff\xff\x09\x01\x00\x00\x00" // 65535 bytes
		for sent := 0; sent < bytesEach; sent += chunk {
			for i := range streams {
				if sent == 0 {
					wire = append(wire, byte(i+3))
					wire = append(wire, header[1:]...)
				} else {
					wire = append(wire, 0xc0|byte(i+3))
				}
				wire = append(wire, make([]byte, chunk)...)
			}
		}
		return wire
	}
	r := NewReader(bytes.NewReader(send(15, 1000)), make([]byte, 4096), limits)
	_, err := collect(r)
	require.ErrorIs(t, err, io.EOF)
	require.LessOrEqual(t, r.pending, 2*15*1000)

	r = NewReader(bytes.NewReader(send(15, 60_000)), make([]byte, 4096), limits)
	_, err = collect(r)
	require.ErrorIs(t, err, ErrInvalid)

	limits.Ahead, limits.Pending = 128<<10, 256<<10
	r = NewReader(bytes.NewReader(send(15, chunk)), make([]byte, 4096), limits)
	_, err = collect(r)
	require.ErrorIs(t, err, io.EOF)
	require.LessOrEqual(t, r.pending, limits.Ahead+15*chunk)
	require.Equal(t, 0xffff, cap(r.streams[1].body), "the first message is allocated at once")
}

// TestReaderExactBodies holds that bodies waste no memory, whatever their way.
func TestReaderExactBodies(t *testing.T) {
	limits := testLimits
	for _, ahead := range []int{0, 1000, 1 << 20} {
		for _, n := range []int{1, 100, 4095, 4096, 4097, 100_000, 1_000_000} {
			for _, size := range []int{128, 4096, 60000, MaxChunkSize} {
				limits.Ahead = ahead
				wire := AppendControl(nil, 128, SetChunkSize{uint32(size)})
				wire = AppendMessage(wire, 7, TypeVideo, 1, 5, size, nil, bytes.Repeat([]byte{7}, n))
				r := NewReader(bytes.NewReader(wire), make([]byte, 4096), limits)
				m, err := r.Next()
				require.NoError(t, err)
				require.Equal(t, n, len(m.Body))
				require.Equal(t, n, cap(m.Body))
				require.Equal(t, n, bytes.Count(m.Body, []byte{7}))
				require.Zero(t, r.pending)
			}
		}
	}
}

func TestReaderNoProgress(t *testing.T) {
	_, err := NewReader(stuck{}, make([]byte, 64), testLimits).Next()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func FuzzChunkReader(f *testing.F) {
	for _, c := range readerCases {
		f.Add([]byte(c.wire))
	}
	limits := Limits{Streams: 16, Media: 64 << 10, Other: 64 << 10, Pending: 96 << 10, Ahead: 1 << 10}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, err := collect(NewReader(bytes.NewReader(b), make([]byte, 4096), limits))
		require.Error(t, err)
		r := NewReader(&hesitant{r: bytes.NewReader(b)}, make([]byte, MinBuffer), limits)
		slow, slowErr := collect(r)
		require.Equal(t, whole, slow)
		require.Equal(t, err.Error(), slowErr.Error())
		require.LessOrEqual(t, r.pending, limits.Pending+64<<10)
	})
}

func BenchmarkReader(b *testing.B) {
	wire := AppendControl(nil, 128, SetChunkSize{4096})
	for range 10 {
		wire = AppendMessage(wire, 7, TypeVideo, 1, 40, 4096, nil, make([]byte, 10_000))
		wire = AppendMessage(wire, 6, TypeAudio, 1, 40, 4096, nil, make([]byte, 300))
	}
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	src, buf := bytes.NewReader(wire), make([]byte, 64<<10)
	for b.Loop() {
		src.Reset(wire)
		r := NewReader(src, buf, testLimits)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}
