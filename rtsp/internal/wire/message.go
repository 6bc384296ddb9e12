package wire

import (
	"errors"
	"strconv"
	"strings"
)

// ErrInvalid is wrapped by the errors of everything a peer must not send.
var ErrInvalid = errors.New("rtsp: protocol violation")

// An Error is a violation of the protocol or of a limit. It wraps [ErrInvalid].
type Error struct {
	Status int    // to answer a request with
	Text   string // for people
	CSeq   string // of the message that is refused, if that was read
}

func (e *Error) Error() string { return ErrInvalid.Error() + ": " + e.Text }

// Unwrap returns ErrInvalid.
func (e *Error) Unwrap() error { return ErrInvalid }

// An Item is what a connection consists of: a *[Request], a *[Response] or an
// *[Interleaved].
type Item interface{ item() }

// The names of the protocol's version.
const (
	RTSP10 = "RTSP/1.0"
	HTTP10 = "HTTP/1.0"
)

// A Request is a request of RTSP (section 6), or of HTTP, whose body is not part
// of it.
type Request struct {
	Method string
	URL    string // as sent; "*" is none
	Proto  string // "RTSP/1.0", "HTTP/1.1"; "" is RTSP/1.0
	Header Header // a Content-Length that is wrong or absent does no harm when appended
	Body   []byte // belongs to whoever received the request
}

// A Response is a response of RTSP (section 7), or of HTTP, whose body is not
// part of it.
type Response struct {
	Status int
	Reason string // "" is that of the status
	Proto  string // as for a Request
	Header Header
	Body   []byte // belongs to whoever received the response
}

// An Interleaved is a binary packet between messages (section 10.12).
type Interleaved struct {
	Channel uint8
	Payload []byte // belongs to whoever received the packet
}

func (*Request) item()     {}
func (*Response) item()    {}
func (*Interleaved) item() {}

// IsHTTP reports whether r is a request of HTTP.
func (r *Request) IsHTTP() bool { return isHTTP(r.Proto) }

func isHTTP(proto string) bool { return strings.HasPrefix(proto, "HTTP/") }

// Append appends r to b. Line ends within its parts become blanks.
func (r *Request) Append(b []byte) []byte {
	b = appendText(b, r.Method)
	b = append(b, ' ')
	b = appendText(b, r.URL)
	b = append(b, ' ')
	b = appendProto(b, r.Proto)
	b = append(b, "\r\n"...)
	return appendRest(b, r.Header, r.Body)
}

// Append appends r to b. Line ends within its parts become blanks.
func (r *Response) Append(b []byte) []byte {
	b = appendProto(b, r.Proto)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ' ')
	if r.Reason != "" {
		b = appendText(b, r.Reason)
	} else {
		b = append(b, StatusText(r.Status)...)
	}
	b = append(b, "\r\n"...)
	return appendRest(b, r.Header, r.Body)
}

// Append appends p to b. Of a payload longer than 65535 bytes, the rest is left
// out.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|   "$" = 24    |    channel    |            length             |
//	+---------------+---------------+-------------------------------+
//	|                         payload ...
//	+---------------------------------------------------------------+
func (p *Interleaved) Append(b []byte) []byte {
	payload := p.Payload[:min(len(p.Payload), maxPayload)]
	b = append(b, '$', p.Channel, byte(len(payload)>>8), byte(len(payload)))
	return append(b, payload...)
}

// Sizes of interleaved packets, in bytes.
const (
	packetHeader = 4
	maxPayload   = 0xffff
)

func appendProto(b []byte, proto string) []byte {
	if proto == "" {
		proto = RTSP10
	}
	return appendText(b, proto)
}

func appendRest(b []byte, h Header, body []byte) []byte {
	b = h.Append(b)
	if len(body) > 0 {
		b = append(b, contentLength+": "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, body...)
}
