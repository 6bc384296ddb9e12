package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// limits of the cases.
var (
	strict   = Limits{}
	tunnel   = Limits{HTTP: true}
	versions = Limits{AnyVersion: true}
	packets  = Limits{Wanted: func(c uint8) bool { return c < 4 }}
	small    = Limits{Wanted: func(c uint8) bool { return c%2 == 1 }, Packet: 100}
	camera   = Limits{Wanted: packets.Wanted, Garbage: 64 << 10}
	waiting  = Limits{Unwanted: 100}
)

// Parts of what peers send.
const (
	options    = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
	ok         = "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"
	rtpPacket  = "\x80\x60\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07payload"
	rtpOn2     = "$\x02\x00\x13" + rtpPacket
	rtcpPacket = "\x80\xc9\x00\x01\x00\x00\x00\x07"
	rtcpOn1    = "$\x01\x00\x08" + rtcpPacket
)

func optionsRequest() *Request {
	return &Request{Method: "OPTIONS", URL: "*", Proto: "RTSP/1.0", Header: Header{{"CSeq", "1"}}}
}

func okResponse() *Response {
	return &Response{Status: 200, Reason: "OK", Proto: "RTSP/1.0", Header: Header{{"CSeq", "1"}}}
}

func request(method, url string, h ...Field) *Request {
	return &Request{Method: method, URL: url, Proto: "RTSP/1.0", Header: append(Header{}, h...)}
}

func packet(channel uint8, payload string) *Interleaved {
	return &Interleaved{channel, []byte(payload)}
}

var readerCases = []struct {
	name   string
	limits Limits
	wire   string
	want   []Item
	status int   // of the Error
	err    error // io.EOF if nil, and without a status
}{
	{name: "nothing"},
	{name: "request", wire: options, want: []Item{optionsRequest()}},
	{name: "requests", wire: options + options, want: []Item{optionsRequest(), optionsRequest()}},
	{name: "response", wire: ok, want: []Item{okResponse()}},
	{name: "bare line feeds", wire: strings.ReplaceAll(options, "\r", ""), want: []Item{optionsRequest()}},
	{name: "line ends between messages", wire: "\r\n\n\r\n" + options + "\r\n" + options, want: []Item{optionsRequest(), optionsRequest()}},
	{name: "without headers", wire: "PLAY rtsp://h/a/b RTSP/1.0\r\n\r\n", want: []Item{request("PLAY", "rtsp://h/a/b")}},
	{name: "header with blanks around", wire: "PLAY / RTSP/1.0\r\nCSeq  :\t 7 \r\nRange:npt=0-\r\n\r\n",
		want: []Item{request("PLAY", "/", Field{"CSeq", "7"}, Field{"Range", "npt=0-"})}},
	{name: "header without a value", wire: "PLAY / RTSP/1.0\r\nSession:\r\n\r\n", want: []Item{request("PLAY", "/", Field{"Session", ""})}},
	{name: "header continued", wire: "PLAY / RTSP/1.0\r\nRange: npt=0-\r\n  ;time=1\r\n\t\r\nCSeq: 7\r\n\r\n",
		want: []Item{request("PLAY", "/", Field{"Range", "npt=0- ;time=1"}, Field{"CSeq", "7"})}},
	{name: "first header continues nothing", wire: "PLAY / RTSP/1.0\r\n CSeq: 7\r\n\r\n", status: 400},
	{name: "URL with blanks", wire: "PLAY  rtsp://h/a b/c  RTSP/1.0 \r\n\r\n", want: []Item{request("PLAY", "rtsp://h/a b/c")}},
	{name: "URL in UTF-8", wire: "PLAY rtsp://h/ü RTSP/1.0\r\nUser-Agent: ü\r\n\r\n", want: []Item{request("PLAY", "rtsp://h/ü", Field{"User-Agent", "ü"})}},
	{name: "method nobody knows", wire: "x-do rtsp://h RTSP/1.0\r\n\r\n", want: []Item{request("x-do", "rtsp://h")}},
	{name: "body", wire: "ANNOUNCE / RTSP/1.0\r\ncontent-length: 5\r\n\r\nv=0\r\n" + options,
		want: []Item{&Request{Method: "ANNOUNCE", URL: "/", Proto: "RTSP/1.0", Header: Header{{"content-length", "5"}}, Body: []byte("v=0\r\n")}, optionsRequest()}},
	{name: "empty body", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 0\r\n\r\n" + options,
		want: []Item{request("ANNOUNCE", "/", Field{"Content-Length", "0"}), optionsRequest()}},
	{name: "length twice", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		want: []Item{&Request{Method: "ANNOUNCE", URL: "/", Proto: "RTSP/1.0", Header: Header{{"Content-Length", "1"}, {"Content-Length", "1"}}, Body: []byte("x")}}},
	{name: "response with a body", wire: "RTSP/1.0 200\r\nContent-Length: 2\r\n\r\nab",
		want: []Item{&Response{Status: 200, Proto: "RTSP/1.0", Header: Header{{"Content-Length", "2"}}, Body: []byte("ab")}}},
	{name: "response with lines that are none", wire: "RTSP/1.0 404 Not  Found\r\n x\r\nnonsense\r\nbad name: 1\r\n:\r\nCSeq: 1\r\n\r\n",
		want: []Item{&Response{Status: 404, Reason: "Not  Found", Proto: "RTSP/1.0", Header: Header{{"CSeq", "1"}}}}},

	{name: "ends in a line", wire: options[:10], err: io.ErrUnexpectedEOF},
	{name: "ends in headers", wire: options[:len(options)-2], err: io.ErrUnexpectedEOF},
	{name: "ends in a body", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 5\r\n\r\nv=0\r", err: io.ErrUnexpectedEOF},
	{name: "TLS", wire: "\x16\x03\x01", status: 400},
	{name: "NUL in the first line", wire: "PLAY rtsp://h\x00 RTSP/1.0\r\n\r\n", status: 400},
	{name: "carriage return in the first line", wire: "PLAY rtsp://h\rx RTSP/1.0\r\n\r\n", status: 400},
	{name: "two carriage returns", wire: "PLAY rtsp://h RTSP/1.0\r\r\n\r\n", status: 400},
	{name: "control byte in a header", wire: "PLAY / RTSP/1.0\r\nA: \x01\r\n\r\n", status: 400},
	{name: "DEL in a header", wire: "PLAY / RTSP/1.0\r\nA: \x7f\r\n\r\n", status: 400},
	{name: "no URL", wire: "PLAY RTSP/1.0\r\n\r\n", status: 400},
	{name: "no version", wire: "PLAY rtsp://h\r\n\r\n", status: 400},
	{name: "no words", wire: "PLAY\r\n\r\n", status: 400},
	{name: "version without digits", wire: "PLAY / RTSP/x.y\r\n\r\n", status: 400},
	{name: "another protocol", wire: "PLAY / SIP/2.0\r\n\r\n", status: 400},
	{name: "method that is none", wire: "PL@Y / RTSP/1.0\r\n\r\n", status: 400},
	{name: "long method", wire: strings.Repeat("X", 33) + " / RTSP/1.0\r\n\r\n", status: 400},
	{name: "no status", wire: "RTSP/1.0\r\n\r\n", status: 400},
	{name: "status with a sign", wire: "RTSP/1.0 +20 OK\r\n\r\n", status: 400},
	{name: "status of two digits", wire: "RTSP/1.0 99 OK\r\n\r\n", status: 400},
	{name: "status below 100", wire: "RTSP/1.0 099 OK\r\n\r\n", status: 400},
	{name: "header without a colon", wire: "PLAY / RTSP/1.0\r\nnonsense\r\n\r\n", status: 400},
	{name: "header without a name", wire: "PLAY / RTSP/1.0\r\n: x\r\n\r\n", status: 400},
	{name: "header with a blank in its name", wire: "PLAY / RTSP/1.0\r\na b: x\r\n\r\n", status: 400},

	{name: "RTSP/2.0", wire: "PLAY / RTSP/2.0\r\n\r\n", status: 505},
	{name: "RTSP/2.0 allowed", limits: versions, wire: "PLAY / RTSP/2.0\r\n\r\nRTSP/1.1 200 OK\r\n\r\n",
		want: []Item{&Request{Method: "PLAY", URL: "/", Proto: "RTSP/2.0", Header: Header{}}, &Response{Status: 200, Reason: "OK", Proto: "RTSP/1.1", Header: Header{}}}},
	{name: "HTTP", wire: "GET / HTTP/1.0\r\n\r\n", status: 400},
	{name: "HTTP allowed", limits: tunnel, wire: "GET /a HTTP/1.1\r\nContent-Length: 30000\r\n\r\n" + options,
		want: []Item{&Request{Method: "GET", URL: "/a", Proto: "HTTP/1.1", Header: Header{{"Content-Length", "30000"}}}, optionsRequest()}},
	{name: "HTTP response", limits: tunnel, wire: "HTTP/1.0 200 OK\r\nContent-Length: 30000\r\n\r\n" + ok,
		want: []Item{&Response{Status: 200, Reason: "OK", Proto: "HTTP/1.0", Header: Header{{"Content-Length", "30000"}}}, okResponse()}},
	{name: "HTTP/2", limits: tunnel, wire: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 400},
	{name: "GET_PARAMETER is not GET", limits: tunnel, wire: "GET_PARAMETER / RTSP/1.0\r\n\r\n", want: []Item{request("GET_PARAMETER", "/")}},

	// T1
	{name: "longest first line", wire: "PLAY " + strings.Repeat("x", 8192-14) + " RTSP/1.0\r\n\r\n", want: []Item{request("PLAY", strings.Repeat("x", 8192-14))}},
	{name: "first line too long", wire: "PLAY " + strings.Repeat("x", 8193-14) + " RTSP/1.0\r\n\r\n", status: 414},
	{name: "first line without end", wire: strings.Repeat("x", 8193), status: 414},
	{name: "longest header", wire: "PLAY / RTSP/1.0\r\nA: " + strings.Repeat("x", 8192-3) + "\r\n\r\n", want: []Item{request("PLAY", "/", Field{"A", strings.Repeat("x", 8192-3)})}},
	{name: "header too long", wire: "PLAY / RTSP/1.0\r\nA: " + strings.Repeat("x", 8192-2) + "\r\n\r\n", status: 431},
	{name: "header without end", wire: "PLAY / RTSP/1.0\r\n" + strings.Repeat("x", 8193), status: 431},
	{name: "most headers", wire: "PLAY / RTSP/1.0\r\n" + strings.Repeat("A: b\r\n", 64) + "\r\n", want: []Item{request("PLAY", "/", manyFields(64)...)}},
	{name: "too many headers", wire: "PLAY / RTSP/1.0\r\n" + strings.Repeat("A: b\r\n", 65) + "\r\n", status: 431},
	{name: "ten thousand headers", wire: "PLAY / RTSP/1.0\r\n" + strings.Repeat("A: b\r\n", 10_000), status: 431},
	{name: "too many lines of one header", wire: "PLAY / RTSP/1.0\r\nA: b\r\n" + strings.Repeat(" b\r\n", 64) + "\r\n", status: 431},
	{name: "headers too long", wire: "PLAY / RTSP/1.0\r\n" + strings.Repeat("A: "+strings.Repeat("x", 8000)+"\r\n", 9) + "\r\n", status: 431},

	// T2
	{name: "longest body", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 131072\r\n\r\n" + strings.Repeat("x", 128<<10),
		want: []Item{&Request{Method: "ANNOUNCE", URL: "/", Proto: "RTSP/1.0", Header: Header{{"Content-Length", "131072"}}, Body: bytes.Repeat([]byte("x"), 128<<10)}}},
	{name: "body too long", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 131073\r\n\r\n", status: 413},
	{name: "length of 2^64", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 18446744073709551616\r\n\r\n", status: 413},
	{name: "length negative", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: -1\r\n\r\n", status: 400},
	{name: "length with a sign", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: +1\r\n\r\n", status: 400},
	{name: "length in hexadecimal", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 0x1\r\n\r\n", status: 400},
	{name: "length empty", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length:\r\n\r\n", status: 400},
	{name: "length is a list", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 1, 1\r\n\r\n", status: 400},
	{name: "lengths differ", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n", status: 400},
	{name: "lengths differ in zeros", wire: "ANNOUNCE / RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 01\r\n\r\n", status: 400},

	// T3
	{name: "packets", limits: packets, wire: rtpOn2 + options + rtcpOn1 + rtpOn2,
		want: []Item{packet(2, rtpPacket), optionsRequest(), packet(1, rtcpPacket), packet(2, rtpPacket)}},
	{name: "empty packet", limits: packets, wire: "$\x00\x00\x00" + options, want: []Item{packet(0, ""), optionsRequest()}},
	{name: "longest packet", limits: packets, wire: "$\x00\xff\xff" + strings.Repeat("x", 0xffff) + options, want: []Item{packet(0, strings.Repeat("x", 0xffff)), optionsRequest()}},
	{name: "packets that are not wanted", wire: rtpOn2 + "$\xff\xff\xff" + strings.Repeat("x", 0xffff) + options, want: []Item{optionsRequest()}},
	{name: "packets on channels that are not wanted", limits: packets, wire: "$\x04\x00\x01x" + rtpOn2 + "$\xff\x00\x00", want: []Item{packet(2, rtpPacket)}},
	{name: "packets that are too long", limits: small, wire: "$\x01\x00\x65" + strings.Repeat("x", 101) + rtpOn2 + rtcpOn1, want: []Item{packet(1, rtcpPacket)}},
	{name: "ends in a packet's header", limits: packets, wire: "$\x00\x00", err: io.ErrUnexpectedEOF},
	{name: "ends in a packet", limits: packets, wire: rtpOn2[:10], err: io.ErrUnexpectedEOF},
	{name: "ends in a packet that is not wanted", wire: rtpOn2[:10], err: io.ErrUnexpectedEOF},
	{name: "packets in a row that are not wanted", limits: waiting, wire: strings.Repeat(rtpOn2, 99) + options + strings.Repeat(rtpOn2, 99) + options, want: []Item{optionsRequest(), optionsRequest()}},
	{name: "too many packets in a row", limits: waiting, wire: strings.Repeat(rtpOn2, 100), status: 400},

	// garbage
	{name: "garbage before a packet", limits: camera, wire: "\x00\x01\x02\xff" + rtpOn2, want: []Item{packet(2, rtpPacket)}},
	{name: "garbage with packet signs", limits: camera, wire: "\x00$\x07\x00\x10$\x02\x00\x03$\x02\x00\x40\x00$" + rtpOn2 + rtcpOn1, want: []Item{packet(2, rtpPacket), packet(1, rtcpPacket)}},
	{name: "garbage before a request", limits: camera, wire: "\x00OPTIONSX" + options, want: []Item{optionsRequest()}},
	{name: "garbage before a response", limits: camera, wire: "\xffRTSP\x00" + ok, want: []Item{okResponse()}},
	{name: "garbage after every packet", limits: camera, wire: strings.Repeat(rtpOn2+"\x00\x00", 3), want: []Item{packet(2, rtpPacket), packet(2, rtpPacket), packet(2, rtpPacket)}, err: io.ErrUnexpectedEOF},
	{name: "garbage that begins like a message", limits: camera, wire: "AB\x00" + rtpOn2 + "Q " + "\x01\n" + rtpOn2 + "no request\n" + rtpOn2,
		want: []Item{packet(2, rtpPacket), packet(2, rtpPacket), packet(2, rtpPacket)}},
	{name: "garbage with a long word", limits: camera, wire: strings.Repeat("x", 100) + " " + rtpOn2, want: []Item{packet(2, rtpPacket)}},
	{name: "method nobody knows, garbage allowed", limits: camera, wire: "x-do / RTSP/1.0\r\n\r\n", want: []Item{request("x-do", "/")}},
	{name: "version, garbage allowed", limits: camera, wire: "PLAY / RTSP/3.0\r\n\r\n", status: 505},
	{name: "most garbage", limits: camera, wire: strings.Repeat("\xff", 64<<10) + rtpOn2, want: []Item{packet(2, rtpPacket)}},
	{name: "too much garbage", limits: camera, wire: strings.Repeat("\xff", 64<<10+1) + rtpOn2, status: 400},
	{name: "too much garbage in lines", limits: camera, wire: strings.Repeat("OPTIONS x\n", 7000), status: 400},
	{name: "garbage where there is to be none", limits: packets, wire: rtpOn2 + "\x00" + rtpOn2, want: []Item{packet(2, rtpPacket)}, status: 400},
}

func manyFields(n int) (h []Field) {
	for range n {
		h = append(h, Field{"A", "b"})
	}
	return h
}

// collect reads all items. Deadlines are no reason to stop.
func collect(r *Reader) (items []Item, err error) {
	for {
		item, err := r.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return items, err
		}
		if p, ok := item.(*Interleaved); ok {
			item = &Interleaved{p.Channel, p.Payload}
		}
		items = append(items, item)
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

// ways of reading the same bytes.
var ways = map[string]func(s string, l Limits) *Reader{
	"whole": func(s string, l Limits) *Reader { return NewReader(strings.NewReader(s), 256<<10, l) },
	"tiny":  func(s string, l Limits) *Reader { return NewReader(strings.NewReader(s), 0, l) },
	"bytes": func(s string, l Limits) *Reader {
		return NewReader(iotest.OneByteReader(strings.NewReader(s)), 4096, l)
	},
	"hesitant": func(s string, l Limits) *Reader { return NewReader(&hesitant{r: strings.NewReader(s)}, 256, l) },
	"with end": func(s string, l Limits) *Reader {
		return NewReader(iotest.DataErrReader(strings.NewReader(s)), 4096, l)
	},
}

func TestReader(t *testing.T) {
	for _, c := range readerCases {
		for way, open := range ways {
			t.Run(c.name+" "+way, func(t *testing.T) {
				items, err := collect(open(c.wire, c.limits))
				if !reflect.DeepEqual(c.want, items) { // require prints megabytes
					t.Fatalf("got %s", shorten(items))
				}
				var refused *Error
				switch {
				case c.status != 0:
					require.ErrorIs(t, err, ErrInvalid)
					require.ErrorAs(t, err, &refused)
					require.Equal(t, c.status, refused.Status, err)
				case c.err != nil:
					require.ErrorIs(t, err, c.err)
				default:
					require.Equal(t, io.EOF, err)
				}
			})
		}
	}
}

func shorten(items []Item) string {
	s := ""
	for _, i := range items {
		s += fmt.Sprintf("%.200q\n", fmt.Sprint(i))
	}
	return s
}

// TestReaderCut: what is cut anywhere is an unexpected end, or nothing came.
func TestReaderCut(t *testing.T) {
	for _, c := range readerCases {
		if c.status != 0 || len(c.wire) > 1000 || c.limits.Garbage > 0 {
			continue
		}
		for n := range len(c.wire) {
			items, err := collect(NewReader(strings.NewReader(c.wire[:n]), 64, c.limits))
			require.LessOrEqual(t, len(items), len(c.want))
			if err != io.EOF {
				require.Equal(t, io.ErrUnexpectedEOF, err, c.wire[:n])
			}
		}
	}
}

func TestErrorCSeq(t *testing.T) {
	for _, c := range []struct{ wire, cseq string }{
		{"PLAY / RTSP/1.0\r\nCSEQ : 7\r\nnonsense\r\n\r\n", "7"},
		{"PLAY / RTSP/1.0\r\nCSeq: 7\r\nA: \x00\r\n\r\n", "7"},
		{"PLAY / RTSP/1.0\r\nCSeq: 7\r\nContent-Length: 1000000\r\n\r\n", "7"},
		{"PLAY / RTSP/1.0\r\nCSeq: 7\r\nContent-Length: x\r\n\r\n", "7"},
		{"PLAY / RTSP/1.0\r\nCSeq: 7\r\n" + strings.Repeat("A: b\r\n", 64), "7"},
		{"PLAY / RTSP/1.0\r\nCSeq: 7\x00\r\n", ""},
		{"PLAY / RTSP/2.0\r\nCSeq: 7\r\n\r\n", ""},
		{"\x00", ""},
	} {
		_, err := NewReader(strings.NewReader(c.wire), 64, Limits{}).Next()
		var refused *Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, c.cseq, refused.CSeq, c.wire)
	}
}

func TestReaderCounts(t *testing.T) {
	in := "$\x07\x00\x01x" + rtpOn2 + "\x00\x00\x00" + rtpOn2 + "no request\n" + rtpOn2
	r := NewReader(strings.NewReader(in), 64, camera)
	items, err := collect(r)
	require.Equal(t, io.EOF, err)
	require.Len(t, items, 3)
	require.EqualValues(t, len(in), r.Bytes())
	require.EqualValues(t, 1, r.Skipped())
	require.EqualValues(t, 3+len("no request\n"), r.Garbage())
}

// TestReaderUse: another source and other limits, at every place between items.
func TestReaderUse(t *testing.T) {
	in := options + rtpOn2 + options + "ANNOUNCE / RTSP/1.0\r\nContent-Length: 300\r\n\r\n" + strings.Repeat("x", 300) + options
	for size := 64; size < 1000; size += 61 {
		for at := 1; at < 3; at++ {
			src := strings.NewReader(in)
			r := NewReader(src, 512, strict)
			for range at {
				item, err := r.Next()
				require.NoError(t, err)
				require.Equal(t, optionsRequest(), item)
			}
			r.Use(&hesitant{r: src}, size, packets)
			items, err := collect(r)
			require.Equal(t, io.EOF, err)
			require.Len(t, items, 5-at-(at-1))
			require.Equal(t, optionsRequest(), items[len(items)-1])
			require.Len(t, r.buf, size, "the buffer of before is kept")
			require.EqualValues(t, len(in), r.Bytes())
		}
	}
}

func TestUnread(t *testing.T) {
	r := NewReader(strings.NewReader("POST / HTTP/1.0\r\n\r\nT1BUSU9O"), 512, tunnel)
	item, err := r.Next()
	require.NoError(t, err)
	require.True(t, item.(*Request).IsHTTP())
	require.Equal(t, "T1BUSU9O", string(r.Unread()))
	require.Empty(t, r.Unread())
	_, err = r.Next()
	require.Equal(t, io.EOF, err)
}

// A pieces reader returns errMore when it has used up what was put into it.
type pieces struct{ unread []byte }

var errMore = errors.New("more to come")

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.unread) == 0 {
		return 0, errMore
	}
	n := copy(b, p.unread)
	p.unread = p.unread[n:]
	return n, nil
}

// TestReaderPieces: as viewers are read, whatever the pieces; nothing is kept
// between messages.
func TestReaderPieces(t *testing.T) {
	in := "PLAY rtsp://h/a RTSP/1.0\r\nUser-Agent: " + strings.Repeat("x", 700) + "\r\nCSeq: 3\r\n\r\n" + rtcpOn1 + options
	for size := range len(in) {
		src := &pieces{}
		r := NewReader(src, MinBuffer, small)
		var items []Item
		for rest := []byte(in); len(rest) > 0; {
			n := min(size+1, len(rest))
			src.unread, rest = rest[:n], rest[n:]
			for {
				item, err := r.Next()
				if err != nil {
					require.Equal(t, errMore, err)
					break
				}
				items = append(items, item)
			}
		}
		require.Len(t, items, 3)
		require.Equal(t, optionsRequest(), items[2])
		require.Len(t, r.buf, MinBuffer)
		require.Nil(t, r.msg)
	}
}

// TestReaderAllocates nothing for what is announced only.
func TestReaderAllocates(t *testing.T) {
	announce := "ANNOUNCE / RTSP/1.0\r\nContent-Length: 131072\r\n\r\n"
	for range 2 {
		r := NewReader(&pieces{unread: []byte(announce + "v=0")}, MinBuffer, strict)
		_, err := r.Next()
		require.Equal(t, errMore, err)
		require.Less(t, cap(*r.msg.body), 100)
	}
	r := NewReader(&pieces{unread: []byte("$\x00\xff\xffxxx")}, MinBuffer, packets)
	_, err := r.Next()
	require.Equal(t, errMore, err)
	require.Less(t, cap(r.packet), 100)

	src := &repeating{in: []byte(rtpOn2)}
	r = NewReader(src, 64<<10, packets)
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}), 1.0, "more than the payload of a packet")
}

// A repeating reader yields the same bytes for ever.
type repeating struct {
	in []byte
	at int
}

func (r *repeating) Read(b []byte) (n int, err error) {
	for n < len(b) {
		k := copy(b[n:], r.in[r.at:])
		n += k
		r.at = (r.at + k) % len(r.in)
	}
	return n, nil
}

func TestAppend(t *testing.T) {
	require.Equal(t, "DESCRIBE rtsp://h/a RTSP/1.0\r\nCSeq: 2\r\n\r\n",
		string((&Request{Method: "DESCRIBE", URL: "rtsp://h/a", Header: Header{{"CSeq", "2"}, {"Content-Length", "9"}}}).Append(nil)))
	require.Equal(t, "RTSP/1.0 461 Unsupported Transport\r\nCSeq: 2\r\nContent-Length: 3\r\n\r\nabc",
		string((&Response{Status: 461, Header: Header{{"CSeq", "2"}}, Body: []byte("abc")}).Append(nil)))
	require.Equal(t, "HTTP/1.0 404 No  such\r\n\r\n", string((&Response{Status: 404, Proto: HTTP10, Reason: "No\r\nsuch"}).Append(nil)))
	require.Equal(t, rtpOn2, string(packet(2, rtpPacket).Append(nil)))
	require.Len(t, packet(2, strings.Repeat("x", 70000)).Append(nil), 65539)
}

// FuzzReader: reading does not depend on the pieces, and what was read comes back
// from what is written of it.
func FuzzReader(f *testing.F) {
	all := []Limits{strict, tunnel, versions, packets, small, camera, waiting}
	for _, c := range readerCases {
		if len(c.wire) < 2000 {
			for i := range all {
				f.Add(uint8(i), c.wire)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, in string) {
		l := all[int(which)%len(all)]
		items, err := collect(NewReader(strings.NewReader(in), 64<<10, l))
		again, err2 := collect(NewReader(&hesitant{r: strings.NewReader(in)}, 64, l))
		if !reflect.DeepEqual(items, again) || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("%v %v, in pieces %v %v", shorten(items), err, shorten(again), err2)
		}
		for _, item := range items {
			var b []byte
			var want any = item
			switch m := item.(type) {
			case *Request:
				b = m.Append(nil)
			case *Response:
				b = m.Append(nil)
			case *Interleaved:
				b = m.Append(nil)
			}
			l := l
			l.Line, l.Head, l.Headers = 1<<20, 1<<20, 1<<20
			back, err := NewReader(bytes.NewReader(b), 4096, l).Next()
			if err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			normal(back)
			normal(item)
			if !reflect.DeepEqual(want, any(back)) {
				t.Fatalf("%q came back as %v, not %v", b, back, want)
			}
		}
	})
}

// normal takes out what is written in another way than it was read.
func normal(item Item) {
	switch m := item.(type) {
	case *Request:
		m.Header.Del(contentLength)
	case *Response:
		m.Header.Del(contentLength)
		if m.Reason == "" {
			m.Reason = StatusText(m.Status)
		}
	}
}

func BenchmarkPackets(b *testing.B) {
	in := packet(0, strings.Repeat("x", 1400)).Append(nil)
	r := NewReader(&repeating{in: in}, 64<<10, packets)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
