package livehttp

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

// NewRequest describes r for a source.Handler. scheme is "http" or "ws", what it
// is with TLS is found here; name is that of the format, as in "https-flv".
func NewRequest(r *http.Request, key source.Key, schema, scheme, name string) *source.Request {
	if r.TLS != nil {
		scheme += "s"
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return &source.Request{
		ID: source.NewID(), Schema: schema, Protocol: scheme + "-" + name,
		Key: key, Params: r.URL.RawQuery, Remote: peerAddr(r.RemoteAddr), Local: local,
		TLS: r.TLS, Header: lasting(r.Header),
	}
}

// lasting returns what of a header is about the peer, not the connection: it is
// kept as long as the session.
func lasting(h http.Header) http.Header {
	kept := make(http.Header) // it is mostly a few
	for k, v := range h {
		if k != "Connection" && k != "Upgrade" && !strings.HasPrefix(k, "Sec-Websocket-") {
			kept[k] = v
		}
	}
	return kept
}

// peerAddr returns the address that net/http gives as text.
func peerAddr(s string) net.Addr {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return net.TCPAddrFromAddrPort(a)
	}
	return textAddr(s)
}

// A textAddr is the address of a peer that is not on TCP.
type textAddr string

func (textAddr) Network() string  { return "http" }
func (a textAddr) String() string { return string(a) }
