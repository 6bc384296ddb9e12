package wire

import (
	"encoding/binary"
	"fmt"
)

// An RTPTrack finds the frames in the RTP packets of one track (RFC 3550, 5.1):
// the packets of a frame have one timestamp, and the last has the marker bit.
type RTPTrack struct {
	typ       byte // of its messages
	onMessage func(Message)

	started   bool
	next      uint16 // sequence number of the next packet
	timestamp uint32 // of the frame
	damaged   bool   // packets of the frame are missing
	msg       Message
	head      head
}

// rtpHeaderSize is the size of an RTP header without CSRCs and extension: no
// server in the benchmark has use for them.
const rtpHeaderSize = 12

// NewRTPTrack returns a track whose messages have the type typ.
func NewRTPTrack(typ byte, onMessage func(Message)) *RTPTrack {
	return &RTPTrack{typ: typ, onMessage: onMessage}
}

// Packet takes the next packet: its first bytes, at least the first HeadSize if
// it has as many, and its size. A frame of which packets are missing makes no
// message.
func (t *RTPTrack) Packet(b []byte, size int) error {
	if len(b) < rtpHeaderSize {
		return fmt.Errorf("wire: RTP packet of %d bytes", size)
	}
	if b[0] != 0x80 {
		return fmt.Errorf("wire: RTP header that begins with %#x", b[0])
	}
	sequence, timestamp := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])
	if !t.started || timestamp != t.timestamp {
		t.begin(timestamp)
	}
	if t.started && sequence != t.next {
		t.damaged = true
	}
	t.started, t.next = true, sequence+1

	payload := b[rtpHeaderSize:]
	t.head.add(payload)
	t.msg.Size += size - rtpHeaderSize
	t.msg.Key = t.msg.Key || t.typ == typeVideo && keyPayload(payload)
	if b[1]&0x80 == 0 {
		return nil
	}
	if !t.damaged {
		t.msg.Head = t.head.buf[:t.head.n]
		t.onMessage(t.msg)
	}
	t.begin(timestamp) // audio may have packets of the same time that are frames of their own
	return nil
}

// begin begins a frame.
func (t *RTPTrack) begin(timestamp uint32) {
	t.timestamp, t.damaged = timestamp, false
	t.msg = Message{Type: t.typ}
	t.head.n = 0
}

// keyPayload reports whether an H.264 payload has something of an IDR picture
// (RFC 6184, 5.4): a NAL unit, an aggregation (STAP-A) or a fragment (FU-A).
func keyPayload(b []byte) bool {
	const (
		idr   = 5
		stapA = 24
		fuA   = 28
	)
	if len(b) < 2 {
		return false
	}
	switch b[0] & 31 {
	case idr:
		return true
	case fuA:
		return b[1]&31 == idr
	case stapA:
		for b = b[1:]; len(b) > 2; {
			if b[2]&31 == idr {
				return true
			}
			b = b[min(len(b), 2+int(binary.BigEndian.Uint16(b))):]
		}
	}
	return false
}
