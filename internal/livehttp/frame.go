package livehttp

import (
	"encoding/binary"
	"strings"
)

// The opcodes of WebSocket frames (RFC 6455, section 11.8).
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

const (
	bitFinal   = 0x80
	bitsRSV    = 0x70
	bitMasked  = 0x80
	len16      = 126 // the length follows in 16 bits
	len64      = 127 // or in 64
	maxControl = 125 // bytes a control frame may carry
)

// HeaderLen returns the length of the header of an unmasked frame that carries
// n bytes: 2, 4 or 10.
func HeaderLen(n int) int {
	switch {
	case n < len16:
		return 2
	case n < 1<<16:
		return 4
	}
	return 10
}

// AppendBinaryHeader appends the header of a server's frame that carries a
// binary message of n bytes (RFC 6455, section 5.2).
func AppendBinaryHeader(b []byte, n int) []byte { return appendHeader(b, opBinary, n) }

// appendHeader appends the header of a final, unmasked frame:
//
//	 0                   1
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//	+-+-----+-------+-+-------------+-------------------------
//	|F| RSV | opcode|M| length 0-127| 16 or 64 bits of length …
//	+-+-----+-------+-+-------------+-------------------------
func appendHeader(b []byte, opcode byte, n int) []byte {
	b = append(b, bitFinal|opcode)
	switch {
	case n < len16:
		return append(b, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, len16), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, len64), uint64(n))
}

// frameBinary returns b as one binary message.
func frameBinary(b []byte) []byte {
	return append(AppendBinaryHeader(make([]byte, 0, HeaderLen(len(b))+len(b)), len(b)), b...)
}

// Status codes of closing (RFC 6455, section 7.4.1).
const (
	closeNormal    = 1000
	closeGoingAway = 1001
	closeProtocol  = 1002
	closeNone      = 1005 // the peer gave no status; never on the wire
	closePolicy    = 1008
	closeTooBig    = 1009
	closeInternal  = 1011
	closeTryLater  = 1013
)

// closeFrame returns a CLOSE frame with a status and a reason, which is cut to
// what fits.
func closeFrame(code int, reason string) []byte {
	if code == closeNone {
		return appendHeader(nil, opClose, 0)
	}
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxControl-2)], "")
	b := appendHeader(nil, opClose, 2+len(reason))
	b = binary.BigEndian.AppendUint16(b, uint16(code))
	return append(b, reason...)
}

// pongFrame returns the answer to a PING frame that carried data.
func pongFrame(data []byte) []byte {
	return append(appendHeader(nil, opPong, len(data)), data...)
}
