package rtsp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A carrier is what the packets of a session travel on.
type carrier uint8

const (
	overTCP       carrier = iota + 1 // interleaved with the messages
	overUDP                          // to the peer
	overMulticast                    // to a group
)

// String returns "tcp", "udp" or "multicast".
func (c carrier) String() string {
	switch c {
	case overTCP:
		return "tcp"
	case overUDP:
		return "udp"
	case overMulticast:
		return "multicast"
	}
	return "none"
}

// A transport is one of the alternatives in a Transport header (RFC 2326,
// 12.39).
type transport struct {
	carrier     carrier
	channels    pair   // interleaved
	clientPorts pair   // client_port
	serverPorts pair   // server_port
	groupPorts  pair   // port
	destination string // an address
	source      string // an address
	ttl         int    // 0 if there is none
	ssrc        string // 8 hexadecimal digits
	record      bool   // mode: the client sends
}

// A pair is two numbers of a transport, for RTP and for RTCP.
type pair struct {
	ok       bool // it is there
	rtp, ctl uint16
}

// errNoTransport is for Transport headers without an alternative that we know.
var errNoTransport = errors.New("rtsp: no transport that is known")

// parseTransports decodes a Transport header, alternatives separated by commas.
// Those of other profiles are left out; errNoTransport is returned if none is
// left. Any other error is about a value that makes no sense.
func parseTransports(value string) ([]transport, error) {
	var ts []transport
	for one := range strings.SplitSeq(value, ",") {
		t, known, err := parseTransport(one)
		if err != nil {
			return nil, err
		}
		if known {
			ts = append(ts, t)
		}
	}
	if len(ts) == 0 {
		return nil, errNoTransport
	}
	return ts, nil
}

// parseTransport decodes one alternative. known is false if it is of a profile
// that we do not know.
func parseTransport(value string) (t transport, known bool, err error) {
	profile, params, _ := strings.Cut(value, ";")
	switch strings.ToUpper(strings.TrimSpace(profile)) {
	case "RTP/AVP", "RTP/AVP/UDP":
		t.carrier = overUDP
	case "RTP/AVP/TCP":
		t.carrier = overTCP
	default:
		return t, false, nil
	}
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "multicast":
			if t.carrier == overUDP {
				t.carrier = overMulticast
			}
		case "interleaved":
			t.channels, err = parsePair(value, 0, 255)
		case "client_port":
			t.clientPorts, err = parsePair(value, 1, 65535)
		case "server_port":
			t.serverPorts, err = parsePair(value, 1, 65535)
		case "port":
			t.groupPorts, err = parsePair(value, 1, 65535)
		case "destination":
			t.destination = value
		case "source":
			t.source = value
		case "ttl":
			if n, err := strconv.ParseUint(value, 10, 8); err == nil {
				t.ttl = int(n)
			}
		case "ssrc":
			t.ssrc = value
		case "mode":
			m := strings.ToLower(value)
			t.record = m == "record" || m == "receive"
		}
		if err != nil {
			return t, true, fmt.Errorf("rtsp: transport parameter %s: %w", name, err)
		}
	}
	return t, true, nil
}

// parsePair decodes "a-b", which must follow one another, or "a".
func parsePair(value string, least, most uint64) (pair, error) {
	first, second, two := strings.Cut(value, "-")
	a, err := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	if err != nil || a < least || a > most {
		return pair{}, fmt.Errorf("%q is out of range", value)
	}
	b := a + 1
	if two {
		if b, err = strconv.ParseUint(strings.TrimSpace(second), 10, 16); err != nil || b < a {
			return pair{}, fmt.Errorf("%q is no range", value)
		}
	}
	if b > most {
		return pair{}, fmt.Errorf("%q is out of range", value)
	}
	return pair{true, uint16(a), uint16(b)}, nil
}

// append appends t to dst as an alternative of a Transport header.
func (t *transport) append(dst []byte) []byte {
	switch t.carrier {
	case overTCP:
		dst = append(dst, "RTP/AVP/TCP;unicast"...)
	case overUDP:
		dst = append(dst, "RTP/AVP/UDP;unicast"...)
	case overMulticast:
		dst = append(dst, "RTP/AVP;multicast"...)
	}
	dst = appendParam(dst, "destination", t.destination)
	dst = appendParam(dst, "source", t.source)
	dst = t.channels.append(dst, "interleaved")
	dst = t.clientPorts.append(dst, "client_port")
	dst = t.serverPorts.append(dst, "server_port")
	dst = t.groupPorts.append(dst, "port")
	if t.ttl > 0 {
		dst = appendParam(dst, "ttl", strconv.Itoa(t.ttl))
	}
	dst = appendParam(dst, "ssrc", t.ssrc)
	if t.record {
		dst = append(dst, ";mode=record"...)
	}
	return dst
}

func appendParam(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, ';')
	dst = append(dst, name...)
	dst = append(dst, '=')
	return append(dst, value...)
}

func (p pair) append(dst []byte, name string) []byte {
	if !p.ok {
		return dst
	}
	return appendParam(dst, name, fmt.Sprintf("%d-%d", p.rtp, p.ctl))
}
