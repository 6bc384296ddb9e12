package rtp

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A reception counts what a receiver report tells of a sender (RFC 3550, A.3 and
// A.8).
type reception struct {
	base     uint32 // first sequence number
	highest  uint32 // sequence number, wraps in the upper half
	received uint32 // packets, also those that came twice or too late

	// By the last report.
	lastExpected, lastReceived uint32

	epoch   time.Time // transit times count from it
	transit uint32    // of the last packet, in ticks
	jitter  int64     // in ticks, times 16
}

// begin starts with the first packet's sequence number.
func (c *reception) begin(sequence uint16) {
	*c = reception{base: uint32(sequence), highest: uint32(sequence)}
}

// add counts a packet of a clock of rate Hz.
func (c *reception) add(a *arrived, rate int) {
	if d := int16(a.Sequence - uint16(c.highest)); d > 0 {
		c.highest += uint32(d)
	}
	if c.received == 0 {
		c.epoch = a.at
	}
	transit := uint32(codec.Ticks(a.at.Sub(c.epoch), rate)) - a.Timestamp
	if c.received > 0 {
		d := int64(int32(transit - c.transit))
		c.jitter += max(d, -d) - (c.jitter+8)>>4
	}
	c.transit = transit
	c.received++
}

// jitterTime returns the jitter of a clock of rate Hz.
func (c *reception) jitterTime(rate int) time.Duration {
	return codec.FromTicks(c.jitter>>4, rate)
}

// append appends a report block about the sender s.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//	|                             SSRC                              |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| fraction lost |       cumulative number of packets lost       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           extended highest sequence number received           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      interarrival jitter                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         last SR (LSR)                         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                   delay since last SR (DLSR)                  |
//	+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
func (c *reception) append(dst []byte, ssrc uint32, s *senderReport, now time.Time) []byte {
	expected := c.highest - c.base + 1
	lost := min(max(int64(expected)-int64(c.received), -1<<23), 1<<23-1)
	since := int64(expected - c.lastExpected)
	fraction := int64(0)
	if n := since - int64(c.received-c.lastReceived); n > 0 {
		fraction = min(n<<8/since, math.MaxUint8)
	}
	c.lastExpected, c.lastReceived = expected, c.received

	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = binary.BigEndian.AppendUint32(dst, uint32(fraction)<<24|uint32(lost)&0xffffff)
	dst = binary.BigEndian.AppendUint32(dst, c.highest)
	dst = binary.BigEndian.AppendUint32(dst, uint32(min(c.jitter>>4, math.MaxUint32)))
	if s.at.IsZero() {
		return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	delay := codec.Ticks(now.Sub(s.at), 1<<16)
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.ntp>>16))
	return binary.BigEndian.AppendUint32(dst, uint32(min(max(delay, 0), math.MaxUint32)))
}

// AppendReport appends a receiver report with a CNAME for track i (RFC 3550,
// 6.4.2), not framed; nothing if no packet has come yet.
func (r *Receiver) AppendReport(dst []byte, i int, cname string, now time.Time) []byte {
	t := r.tracks[i]
	if !t.origin.begun {
		return dst
	}
	return t.appendReport(dst, r.ssrc(t), cname, now)
}

// appendReport appends a receiver report with a CNAME, as from the SSRC own.
func (q *intake) appendReport(dst []byte, own uint32, cname string, now time.Time) []byte {
	dst = appendRTCPHeader(dst, typeReceiverReport, 1, 28)
	dst = binary.BigEndian.AppendUint32(dst, own)
	dst = q.reception.append(dst, q.origin.ssrc, &q.report, now)
	return appendCNAME(dst, own, cname)
}

// ssrc returns the SSRC that we report about t with: next to the sender's.
func (r *Receiver) ssrc(t *receivedTrack) uint32 {
	own := t.origin.ssrc + 1
	for i := 0; i < len(r.tracks); i++ {
		if r.tracks[i].origin.ssrc == own {
			own, i = own+1, -1
		}
	}
	return own
}

// appendRTCPHeader begins an RTCP packet with so many bytes after the header.
func appendRTCPHeader(dst []byte, kind uint8, count, size int) []byte {
	dst = append(dst, 0x80|byte(count), kind)
	return binary.BigEndian.AppendUint16(dst, uint16(size/4))
}

// appendCNAME appends an SDES packet with a canonical name (RFC 3550, 6.5.1), of
// which no more than 255 bytes are told.
//
//	+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//	|                              SSRC                             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|    CNAME=1    |     length    | user and domain name        ...
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func appendCNAME(dst []byte, ssrc uint32, name string) []byte {
	name = name[:min(len(name), math.MaxUint8)]
	end := 4 - (2+len(name))%4 // an item of type 0 ends the list, up to the next word
	dst = appendRTCPHeader(dst, typeSDES, 1, 4+2+len(name)+end)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = append(dst, itemCNAME, byte(len(name)))
	dst = append(dst, name...)
	return append(dst, make([]byte, end)...)
}
