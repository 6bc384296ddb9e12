package rtsp

import (
	"net/http"
	"time"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
)

// A reply is what a request is answered.
type reply struct {
	status int
	reason string      // "" for that of the status
	header wire.Header // of its own
	kind   string      // Content-Type; "" means text/plain
	body   []byte
}

// append appends r, as the answer to a request of a session, "" if there is none.
func (r *reply) append(dst []byte, req *wire.Request, session string) []byte {
	h := make(wire.Header, 0, 6+len(r.header))
	if cseq := req.Header.Get("CSeq"); cseq != "" {
		h.Add("CSeq", cseq)
	}
	h.Add("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Add("Server", productName)
	if session != "" {
		h.Add("Session", session)
	}
	h = append(h, r.header...)
	if len(r.body) > 0 {
		kind := r.kind
		if kind == "" {
			kind = "text/plain"
		}
		h.Add("Content-Type", kind)
	}
	return (&wire.Response{Status: r.status, Reason: r.reason, Header: h, Body: r.body}).Append(dst)
}

// fields makes a header of names and values in turns.
func fields(namesAndValues ...string) wire.Header {
	h := make(wire.Header, 0, len(namesAndValues)/2)
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		h.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return h
}
