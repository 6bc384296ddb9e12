package rtp

import (
	"encoding/binary"
	"time"
)

// Types of RTCP packets (RFC 3550, 12.1) and of SDES items (12.2).
const (
	typeSenderReport   = 200
	typeReceiverReport = 201
	typeSDES           = 202
	typeBye            = 203

	itemCNAME = 1
)

const rtcpHeaderSize = 4

// IsRTCP reports whether b, of which the first bytes are enough, is an RTCP packet
// rather than one of RTP, where both come the same way (RFC 5761, section 4).
func IsRTCP(b []byte) bool {
	return len(b) >= rtcpHeaderSize && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223
}

// AppendBye appends the end of a sender: an empty receiver report, with which
// compound packets have to begin, and a BYE (RFC 3550, 6.1 and 6.6), not framed.
func AppendBye(dst []byte, ssrc uint32) []byte {
	dst = appendRTCPHeader(dst, typeReceiverReport, 0, 4)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = appendRTCPHeader(dst, typeBye, 1, 4)
	return binary.BigEndian.AppendUint32(dst, ssrc)
}

// A senderReport is what a sender report (RFC 3550, 6.4.1) says of the clocks:
// timestamp was at ntp.
type senderReport struct {
	ssrc      uint32
	ntp       uint64 // seconds since 1900, 32.32; 0: the sender has no clock
	timestamp uint32
	at        time.Time // when it came; zero: there is none
}

// RTCP takes in an RTCP packet, which may be a compound one, of track i: sender
// reports and goodbyes. What is malformed is ignored but for the error.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V=2|P|  count  |      type     |   length in words, less one   |
//	+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//	|                        SSRC of sender                         |
//	+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//	|              NTP timestamp, most significant word             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             NTP timestamp, least significant word             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         RTP timestamp                         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func (r *Receiver) RTCP(i int, b []byte, now time.Time) error {
	t := r.tracks[i]
	return t.control(b, now, func() { r.useReport(t) })
}

// control takes in an RTCP packet, and calls heard for each sender report that is
// of who sends.
func (q *intake) control(b []byte, now time.Time, heard func()) error {
	for len(b) > 0 {
		if len(b) < rtcpHeaderSize {
			return invalid("RTCP header of %d bytes", len(b))
		}
		size := rtcpHeaderSize + 4*int(binary.BigEndian.Uint16(b[2:]))
		if b[0]>>6 != 2 || size > len(b) {
			return invalid("RTCP version %d, %d of %d bytes", b[0]>>6, len(b), size)
		}
		body := b[rtcpHeaderSize:size]
		switch b[1] {
		case typeSenderReport:
			if len(body) < 24 {
				return invalid("sender report of %d bytes", size)
			}
			report := senderReport{
				ssrc:      binary.BigEndian.Uint32(body),
				ntp:       binary.BigEndian.Uint64(body[4:]),
				timestamp: binary.BigEndian.Uint32(body[12:]),
				at:        now,
			}
			if !q.origin.begun || report.ssrc != q.origin.ssrc {
				q.early = report
				break
			}
			q.report = report
			heard()
		case typeBye:
			for range min(int(b[0]&31), len(body)/4) {
				if q.origin.begun && binary.BigEndian.Uint32(body) == q.origin.ssrc {
					q.origin.bye = true
				}
				body = body[4:]
			}
		}
		b = b[size:]
	}
	return nil
}

// NTP time (RFC 3550, 4) is in units of 2^-32 s since 1900; era 1 begins in 2036.
const (
	unixEpoch = 2208988800 // in seconds of NTP
	eraOne    = 1<<32 - unixEpoch
	year2000  = 946684800 // in seconds of Unix
	year2100  = 4102444800
)

// ntpTime returns t as NTP time.
func ntpTime(t time.Time) uint64 {
	return uint64(t.Unix()+unixEpoch)<<32 | (uint64(t.Nanosecond())<<32+uint64(time.Second)/2)/uint64(time.Second)
}

// wallTime returns an NTP time that was received at now; zero if it is absurd, as
// the time since the start of a camera is.
func wallTime(ntp uint64, now time.Time) time.Time {
	s := int64(ntp>>32) - unixEpoch
	if s < 0 && now.Unix() >= eraOne-24*60*60 {
		s += 1 << 32
	}
	if s < year2000 || s >= year2100 {
		return time.Time{}
	}
	return time.Unix(s, int64((ntp&(1<<32-1)*uint64(time.Second)+1<<31)>>32)).UTC()
}

// sinceNTP returns how much later a is than b, across eras.
func sinceNTP(a, b uint64) time.Duration {
	d := int64(a - b)
	return time.Duration(d>>32)*time.Second + time.Duration(((d&(1<<32-1))*int64(time.Second)+1<<31)>>32)
}
