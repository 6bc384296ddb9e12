package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scannerCases are streams and what is in them. The fuzz target starts from them, too.
func scannerCases() []scannerCase {
	long := bytes.Repeat([]byte("x"), 700)
	flv := []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	flv = AppendTag(flv, 18, 0, []byte("meta"))
	flv = AppendTag(flv, 9, 20*time.Millisecond, long)
	flv = AppendTag(flv, 8, 30*time.Hour, []byte("a"))
	inFLV := []string{"18 4", "9 700", "8 1"}

	rtmp := AppendMessage(nil, 3, 20, 0, 0, long[:300], 128)
	rtmp = AppendMessage(rtmp, 2, 1, 0, 0, []byte{0, 0, 1, 0}, 128)
	rtmp = AppendMessage(rtmp, 6, 9, 1, 40*time.Millisecond, long, 256)
	rtmp = append(rtmp, 1<<6|6, 0, 0, 40, 0, 0, 3, 9, 'a', 'b', 'c') // type 1: another length
	rtmp = append(rtmp, 2<<6|6, 0, 0, 40, 'd', 'e', 'f')             // type 2
	rtmp = append(rtmp, 3<<6|6, 'g', 'h', 'i')                       // type 3 begins a message
	rtmp = AppendMessage(rtmp, 6, 9, 1, 5*time.Hour, long, 256)      // extended time in each chunk
	rtmp = append(rtmp, 0, 10, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 'a') // two-byte chunk stream id
	rtmp = append(rtmp, 1, 0, 1, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 'a')

	ws := []byte{0x89, 4, 'p', 'i', 'n', 'g'}
	for part := range chunks(flv, 1, 125, 126, 600) {
		ws = append(ws, 0x82)
		switch n := len(part); {
		case n < 126:
			ws = append(ws, byte(n))
		case n < 65536 && n%2 == 0:
			ws = binary.BigEndian.AppendUint16(append(ws, 126), uint16(n))
		default:
			ws = binary.BigEndian.AppendUint64(append(ws, 127), uint64(n))
		}
		ws = append(ws, part...)
	}
	const ok = "RTSP/1.0 200 OK\r\nCSeq: 4\r\n"
	idr := append([]byte{0x65}, long...)
	rtsp := []byte(ok + "\r\n")
	rtsp = appendRTP(rtsp, 0, false, 65534, 7, []byte{24, 0, 2, 0x67, 1, 0, 1, 0x68}) // SPS, PPS
	rtsp = appendRTP(rtsp, 0, false, 65535, 7, append([]byte{28, 0x85}, long[:600]...))
	rtsp = appendRTP(rtsp, 1, false, 0, 0, []byte("report"))
	rtsp = appendRTP(rtsp, 2, true, 9, 70, []byte("a"))
	rtsp = appendRTP(rtsp, 0, true, 0, 7, append([]byte{28, 0x45}, long[:100]...))
	rtsp = append(rtsp, ok+"Content-Length: 3\r\n\r\n$$$"...)
	rtsp = append(rtsp, '$', 0, 0, 0) // of no use, but no harm
	rtsp = appendRTP(rtsp, 2, true, 10, 70, []byte("bc"))
	rtsp = appendRTP(rtsp, 0, true, 1, 8, []byte{0x41, 2})
	rtsp = appendRTP(rtsp, 0, true, 2, 9, idr)
	lost := appendRTP(nil, 0, false, 1, 1, []byte("begins"))
	lost = appendRTP(lost, 0, true, 3, 1, []byte("damaged"))
	lost = appendRTP(lost, 0, false, 4, 2, []byte("the end is lost"))
	lost = appendRTP(lost, 0, false, 6, 3, []byte("perhaps not the beginning"))
	lost = appendRTP(lost, 0, true, 7, 3, []byte("damaged"))
	lost = appendRTP(lost, 0, true, 8, 4, []byte("whole"))

	ts := appendTS(nil, 0, false, false, append([]byte{0, 0}, long[:100]...)) // tables
	ts = appendTS(ts, 256, true, true, append([]byte{0, 0, 1, 0xe0, 0, 200}, long[:176]...))
	ts = appendTS(ts, 257, true, false, append([]byte{0, 0, 1, 0xc0, 0, 10}, long[:10]...))
	ts = appendTS(ts, 256, false, false, long[:24])
	ts = appendTS(ts, 256, true, false, append([]byte{0, 0, 1, 0xe0, 0, 9}, long[:9]...))
	ts = appendTS(ts, 256, true, false, append([]byte{0, 0, 1, 0xe0, 0, 0}, long[:9]...)) // does not tell its length
	ts = append(ts, append([]byte{0x47, 1, 0, 0x20, 183}, long[:183]...)...)              // no payload

	box := func(b []byte, name string, body []byte) []byte {
		return append(append(binary.BigEndian.AppendUint32(b, uint32(8+len(body))), name...), body...)
	}
	fmp4 := box(nil, "moov", long)
	fmp4 = box(fmp4, "free", nil)
	fmp4 = box(fmp4, "mdat", []byte("v234\x65"))
	fmp4 = box(fmp4, "mdat", []byte("a"))
	fmp4 = box(fmp4, "mdat", append([]byte("v234\x41"), long...))

	return []scannerCase{
		{"ts", "ts", ts, []string{"8 10", "9 200 key", "9 9"}, ""},
		{"no ts", "ts", make([]byte, 188), nil, "begins with 0x00"},
		{"adaptation", "ts", append([]byte{0x47, 1, 0, 0x30, 184}, make([]byte, 183)...), nil, "adaptation field of 184"},
		{"fmp4", "fmp4", fmp4, []string{"9 5 key", "8 1", "9 705"}, ""},
		{"no fmp4", "fmp4", make([]byte, 8), nil, "box of 0 bytes"},
		{"flv", "flv", flv, inFLV, ""},
		{"tags", "tags", flv[13:], inFLV, ""},
		{"no flv", "flv", []byte("<html></html>"), nil, "no FLV header"},
		{"bad tag", "tags", []byte{7, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, nil, "FLV tag of type 7"},
		{"empty tag", "tags", make([]byte, 11), nil, "FLV tag of type 0"},
		{"ws", "ws", ws, inFLV, ""},
		{"masked", "ws", []byte{0x82, 0x81, 1, 2, 3, 4, 5}, nil, "masked"},
		{"closed", "ws", []byte{0x88, 0}, nil, "opcode 8"},
		{"rtmp", "rtmp", rtmp, []string{"20 300", "1 4", "9 700", "9 3", "9 3", "9 3", "9 700", "8 1", "8 1"}, ""},
		{"type 3 first", "rtmp", []byte{3<<6 | 6, 1}, nil, "chunk of type 3"},
		{"chunk size 0", "rtmp", AppendMessage(nil, 2, 1, 0, 0, []byte{0, 0, 0, 0}, 128), nil, "chunk size 0"},
		{"short chunk size", "rtmp", AppendMessage(nil, 2, 1, 0, 0, []byte{0}, 128), nil, "short Set Chunk Size"},
		{"empty message", "rtmp", make([]byte, 14), nil, "message of 0 bytes"},
		{"rtsp", "rtsp", rtsp, []string{"8 1", "9 712 key", "8 2", "9 2", "9 701 key"}, ""},
		{"lost", "rtsp", lost, []string{"9 5"}, ""},
		{"refused", "rtsp", []byte("RTSP/1.0 404 Not Found\r\n\r\n"), nil, "status 404"},
		{"no rtsp", "rtsp", []byte("HTTP/1.1 200 OK\r\n\r\n"), nil, "no RTSP response"},
		{"bad header", "rtsp", []byte("RTSP/1.0 200 OK\r\nx\r\n\r\n"), nil, "malformed"},
		{"long header", "rtsp", bytes.Repeat([]byte("x"), maxRTSPBytes), nil, "more than 16384"},
		{"long body", "rtsp", []byte(ok + "Content-Length: 99999\r\n\r\n"), nil, "Content-Length"},
		{"negative body", "rtsp", []byte(ok + "Content-Length: -1\r\n\r\n"), nil, "Content-Length"},
		{"short packet", "rtsp", []byte{'$', 0, 0, 1, 0x80}, nil, "RTP packet of 1 bytes"},
		{"extension", "rtsp", append([]byte{'$', 0, 0, 12, 0x90}, make([]byte, 11)...), nil, "begins with 0x90"},
	}
}

type scannerCase struct {
	name, kind string
	wire       []byte
	want       []string // type and size of each message, and whether it is a key frame
	err        string
}

// appendRTP appends an interleaved packet.
func appendRTP(b []byte, channel byte, marker bool, sequence uint16, timestamp uint32, payload []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, '$', channel), uint16(rtpHeaderSize+len(payload)))
	pt := byte(96)
	if marker {
		pt |= 0x80
	}
	b = binary.BigEndian.AppendUint16(append(b, 0x80, pt), sequence)
	b = binary.BigEndian.AppendUint32(b, timestamp)
	return append(append(b, "ssrc"...), payload...)
}

// appendTS appends a transport packet with a payload of at most 183 bytes.
func appendTS(b []byte, pid uint16, begins, key bool, payload []byte) []byte {
	if begins {
		pid |= 0x4000
	}
	b = binary.BigEndian.AppendUint16(append(b, 0x47), pid)
	stuffing := tsPacketSize - 5 - len(payload)
	b = append(b, 0x30, byte(stuffing))
	flags := byte(0)
	if key {
		flags = 0x40
	}
	if stuffing > 0 {
		b = append(append(b, flags), bytes.Repeat([]byte{0xff}, stuffing-1)...)
	}
	return append(b, payload...)
}

// line describes m as the table does.
func line(m Message) string {
	if m.Key {
		return fmt.Sprint(m.Type, " ", m.Size, " key")
	}
	return fmt.Sprint(m.Type, " ", m.Size)
}

// chunks yields b in pieces of the sizes, then the rest.
func chunks(b []byte, sizes ...int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, n := range append(sizes, len(b)) {
			n = min(n, len(b))
			if n > 0 && !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

func newScanner(kind string, onMessage func(Message)) Scanner {
	switch kind {
	case "tags":
		return NewFLVScanner(true, onMessage)
	case "ws":
		return NewWSScanner(NewFLVScanner(false, onMessage))
	case "rtmp":
		return NewRTMPScanner(onMessage)
	case "ts":
		return NewTSScanner(onMessage)
	case "fmp4":
		return NewFMP4Scanner(func(head []byte) bool { return len(head) > 0 && head[0] == 'v' }, onMessage)
	case "rtsp":
		c := &rtspClient{playing: true}
		s := newRTSPScanner(c.response)
		s.tracks[0], s.tracks[2] = NewRTPTrack(typeVideo, onMessage), NewRTPTrack(typeAudio, onMessage)
		return s
	}
	return NewFLVScanner(false, onMessage)
}

func TestScanners(t *testing.T) {
	for _, c := range scannerCases() {
		for _, piece := range []int{1, 2, 7, 1000, 1 << 20} {
			t.Run(fmt.Sprintf("%s by %d", c.name, piece), func(t *testing.T) {
				var got []string
				s := newScanner(c.kind, func(m Message) {
					require.Len(t, m.Head, min(m.Size, HeadSize))
					got = append(got, line(m))
				})
				var err error
				for b := c.wire; len(b) > 0 && err == nil; {
					n := min(piece, len(b))
					err = s.Scan(b[:n])
					b = b[n:]
				}
				if c.err != "" {
					require.ErrorContains(t, err, c.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, c.want, got)
			})
		}
	}
}

// FuzzScanners checks that no scanner panics and that pieces make no difference.
func FuzzScanners(f *testing.F) {
	for _, c := range scannerCases() {
		f.Add(c.kind, c.wire)
	}
	f.Fuzz(func(t *testing.T, kind string, b []byte) {
		var whole, pieces strings.Builder
		err := newScanner(kind, func(m Message) { fmt.Fprintln(&whole, line(m)) }).Scan(b)
		s := newScanner(kind, func(m Message) { fmt.Fprintln(&pieces, line(m)) })
		var err2 error
		for i := 0; i < len(b) && err2 == nil; i++ {
			err2 = s.Scan(b[i : i+1])
		}
		require.Equal(t, err, err2)
		require.Equal(t, whole.String(), pieces.String())
	})
}

func TestKeyTag(t *testing.T) {
	for _, c := range []struct {
		typ  byte
		head string
		want bool
	}{
		{9, "\x17\x01", true},
		{9, "\x17\x00", false},
		{9, "\x27\x01", false},
		{8, "\x17\x01", false},
		{9, "\x91hvc1", true},
		{9, "\x93hvc1", true},
		{9, "\x90hvc1", false},
		{9, "\xa1hvc1", false},
		{9, "", false},
	} {
		require.Equal(t, c.want, keyTag(c.typ, []byte(c.head)), "%d %q", c.typ, c.head)
	}
}
