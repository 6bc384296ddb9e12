package rtptest

import (
	"encoding/binary"
	"slices"
)

// maxPayload is what fits into a datagram on a link of 1500 bytes, with room for
// tunnels.
const maxPayload = 1400

// A Sender makes the RTP packets of one stream (RFC 3550, 5.1). The zero value is
// ready for use. Copy it to make the same packets again.
type Sender struct {
	SSRC        uint32
	PayloadType uint8  // 96 is PS, 33 TS
	Sequence    uint16 // of the next packet
	MaxPayload  int    // bytes; 0 means 1400
	Marker      Marker
}

// A Marker says which packets a Sender marks. Devices differ.
type Marker uint8

// The markers.
const (
	MarkLast  Marker = iota // the last one of a unit
	MarkAll                 // every one
	MarkNever               // none
)

// Packets returns the packets of u. Those of a transport stream have whole transport
// packets.
func (s *Sender) Packets(u Unit) [][]byte {
	most := s.mostPayload()
	if most >= tsPacket && len(u.Data) > 0 && u.Data[0] == 0x47 && len(u.Data)%tsPacket == 0 {
		most -= most % tsPacket
	}
	var packets [][]byte
	for b := u.Data; len(b) > 0; {
		n := min(most, len(b))
		last := n == len(b)
		packets = append(packets, s.Packet(b[:n], u.Timestamp, s.Marker == MarkAll || s.Marker == MarkLast && last))
		b = b[n:]
	}
	return packets
}

// AllPackets returns the packets of all units.
func (s *Sender) AllPackets(units []Unit) [][]byte {
	var packets [][]byte
	for _, u := range units {
		packets = append(packets, s.Packets(u)...)
	}
	return packets
}

// Packet returns the next packet, with this payload.
func (s *Sender) Packet(payload []byte, timestamp uint32, marker bool) []byte {
	b := make([]byte, 0, 12+len(payload))
	second := s.PayloadType & 0x7f
	if marker {
		second |= 0x80
	}
	b = append(b, 0x80, second)
	b = binary.BigEndian.AppendUint16(b, s.Sequence)
	b = binary.BigEndian.AppendUint32(b, timestamp)
	b = binary.BigEndian.AppendUint32(b, s.SSRC)
	s.Sequence++
	return append(b, payload...)
}

// Goodbye returns the RTCP packet that ends the stream: an empty receiver report and
// a BYE (RFC 3550, 6.4.2 and 6.6).
func (s *Sender) Goodbye() []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x80, 201, 0, 1}, s.SSRC)
	return binary.BigEndian.AppendUint32(append(b, 0x81, 203, 0, 1), s.SSRC)
}

// H264 returns the packets of an access unit, given as NAL units: each in a packet
// of its own, or in fragments where it is too long (RFC 6184, 5.6 and 5.8).
func (s *Sender) H264(nalus [][]byte, timestamp uint32) [][]byte {
	return s.nalus(nalus, timestamp, 1, func(nalu []byte) (indicator []byte, kind byte) {
		return []byte{nalu[0]&0xe0 | 28}, nalu[0] & 0x1f
	})
}

// H265 does the same for H.265 (RFC 7798, 4.4.1 and 4.4.3).
func (s *Sender) H265(nalus [][]byte, timestamp uint32) [][]byte {
	return s.nalus(nalus, timestamp, 2, func(nalu []byte) (indicator []byte, kind byte) {
		return []byte{nalu[0]&0x81 | 49<<1, nalu[1]}, nalu[0] >> 1 & 0x3f
	})
}

// nalus returns the packets of an access unit. of tells what stands in fragments in
// place of the header of a NAL unit, which has header bytes.
func (s *Sender) nalus(nalus [][]byte, timestamp uint32, header int, of func(nalu []byte) (indicator []byte, kind byte)) [][]byte {
	most := s.mostPayload()
	var packets [][]byte
	for i, nalu := range nalus {
		last := i == len(nalus)-1
		if len(nalu) <= most {
			packets = append(packets, s.Packet(nalu, timestamp, last))
			continue
		}
		indicator, kind := of(nalu)
		start := byte(0x80)
		for b := nalu[header:]; len(b) > 0; {
			n := min(most-header-1, len(b))
			end := byte(0)
			if n == len(b) {
				end = 0x40
			}
			payload := slices.Concat(indicator, []byte{start | end | kind}, b[:n])
			packets = append(packets, s.Packet(payload, timestamp, last && end != 0))
			b, start = b[n:], 0
		}
	}
	return packets
}

// mostPayload returns how long a payload may be.
func (s *Sender) mostPayload() int {
	if s.MaxPayload <= 0 {
		return maxPayload
	}
	return s.MaxPayload
}
