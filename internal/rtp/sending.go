package rtp

import (
	"encoding/binary"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A sending is what the packets of one sender have in common.
type sending struct {
	w       packetWriter
	cname   string
	packets uint32 // sent, as sender reports count them
	octets  uint32
}

// newSending returns the beginning of packets with a clock of rate Hz.
func newSending(o *PacketizerOptions, rate int) (sending, error) {
	size := o.MaxSize
	if size == 0 {
		size = DefaultMaxSize
	}
	if size < minMaxSize || size > 0xffff {
		return sending{}, invalid("packets of %d bytes", size)
	}
	return sending{
		w: packetWriter{
			maxSize:     size,
			clockRate:   rate,
			base:        o.Timestamp,
			sequence:    o.Sequence,
			ssrc:        o.SSRC,
			payloadType: o.PayloadType & 0x7f,
			framing:     o.Framing,
			channel:     o.Channel,
		},
		cname: o.CNAME,
	}, nil
}

// begin begins to append the packets of a time to dst.
func (s *sending) begin(dst []byte, at time.Duration) {
	s.w.b, s.w.timestamp = dst, s.Timestamp(at)
	s.w.packets, s.w.octets = 0, 0
}

// finish returns what was appended to, with the packets.
func (s *sending) finish() []byte {
	b := s.w.b
	s.w.b = nil
	return b
}

// count counts the packets as sent.
func (s *sending) count() {
	s.packets += uint32(s.w.packets)
	s.octets += uint32(s.w.octets)
}

// Sequence returns the sequence number of the next packet.
func (s *sending) Sequence() uint16 { return s.w.sequence }

// SetSequence sets the sequence number of the next packet, for those that were
// made and not sent.
func (s *sending) SetSequence(n uint16) { s.w.sequence = n }

// Timestamp returns a time of the stream as packets have it.
func (s *sending) Timestamp(t time.Duration) uint32 {
	return s.w.base + uint32(codec.Ticks(t, s.w.clockRate))
}

// AppendReport appends a sender report with the CNAME (RFC 3550, 6.4.1 and
// 6.5), framed as packets are: the time at of the stream was, or will be, at wall.
func (s *sending) AppendReport(dst []byte, at time.Duration, wall time.Time) []byte {
	f := s.w.framing
	dst = f.begin(dst, s.w.channel+1)
	begin := len(dst)
	dst = appendRTCPHeader(dst, typeSenderReport, 0, 24)
	dst = binary.BigEndian.AppendUint32(dst, s.w.ssrc)
	dst = binary.BigEndian.AppendUint64(dst, ntpTime(wall))
	dst = binary.BigEndian.AppendUint32(dst, s.Timestamp(at))
	dst = binary.BigEndian.AppendUint32(dst, s.packets)
	dst = binary.BigEndian.AppendUint32(dst, s.octets)
	dst = appendCNAME(dst, s.w.ssrc, s.cname)
	f.finish(dst, begin)
	return dst
}

// AppendBye appends the end of the sender, as [AppendBye] does, framed as packets
// are.
func (s *sending) AppendBye(dst []byte) []byte {
	f := s.w.framing
	dst = f.begin(dst, s.w.channel+1)
	begin := len(dst)
	dst = AppendBye(dst, s.w.ssrc)
	f.finish(dst, begin)
	return dst
}
