package rtp

import (
	"encoding/binary"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// DefaultMaxSize is the size up to which packets are made: it leaves room for
// what tunnels and IPv6 add to a datagram on a link of 1500 bytes.
const DefaultMaxSize = 1400

// minMaxSize leaves room for the longest headers there are: quantisation
// tables of a JPEG picture.
const minMaxSize = 256

// frameSize is the size of the header of an interleaved packet (RFC 2326, 10.12).
const frameSize = 4

// A Packetizer makes the packets of one track.
type Packetizer struct {
	w       packetWriter
	p       packer
	track   *codec.Track
	cname   string
	packets uint32 // sent, as sender reports count them
	octets  uint32
}

// PacketizerOptions are what a Packetizer begins with.
type PacketizerOptions struct {
	PayloadType uint8
	SSRC        uint32
	Sequence    uint16 // of the first packet
	Timestamp   uint32 // of time 0
	Channel     uint8  // of interleaved RTP; RTCP has the next one
	MaxSize     int    // longest RTP packet, 256 to 65535 bytes; 0 means DefaultMaxSize
	CNAME       string // in reports
}

// NewPacketizer returns a Packetizer for t, which Describe has accepted.
func NewPacketizer(t *codec.Track, o PacketizerOptions) (*Packetizer, error) {
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.MaxSize < minMaxSize || o.MaxSize > 0xffff {
		return nil, invalid("packets of %d bytes", o.MaxSize)
	}
	d, ok := Describe(t, o.PayloadType)
	if !ok {
		return nil, invalid("%v cannot be carried", t)
	}
	c, _ := carriageOf(t)
	return &Packetizer{
		w: packetWriter{
			maxSize:     o.MaxSize,
			clockRate:   d.ClockRate,
			base:        o.Timestamp,
			sequence:    o.Sequence,
			ssrc:        o.SSRC,
			payloadType: d.Type & 0x7f,
			channel:     o.Channel,
		},
		p:     c.packer(t),
		track: t,
		cname: o.CNAME,
	}, nil
}

// Append appends the packets of f to dst, each with the 4 bytes that precede it
// on a TCP connection. Timestamps are presentation times. Before a key frame go
// the parameter sets of f.Track, which may differ from the one before. Errors
// wrap [ErrInvalid]; then nothing was appended.
func (p *Packetizer) Append(dst []byte, f *codec.Frame) ([]byte, error) {
	if family(f.Track.Codec) != family(p.track.Codec) {
		return dst, invalid("a frame of %v on a track of %v", f.Track, p.track)
	}
	before := p.w.sequence
	p.w.b, p.w.timestamp = dst, p.Timestamp(f.PTS)
	p.w.packets, p.w.octets = 0, 0
	err := p.p.pack(&p.w, f)
	b := p.w.b
	p.w.b = nil
	if err != nil {
		p.w.sequence = before
		return dst, err
	}
	p.packets += uint32(p.w.packets)
	p.octets += uint32(p.w.octets)
	return b, nil
}

// Sequence returns the sequence number of the next packet.
func (p *Packetizer) Sequence() uint16 { return p.w.sequence }

// SetSequence sets the sequence number of the next packet, for those that were
// made and not sent.
func (p *Packetizer) SetSequence(n uint16) { p.w.sequence = n }

// Timestamp returns a time of the stream as packets have it.
func (p *Packetizer) Timestamp(t time.Duration) uint32 {
	return p.w.base + uint32(codec.Ticks(t, p.w.clockRate))
}

// A packetWriter writes packets with their framing into one buffer.
type packetWriter struct {
	b           []byte
	maxSize     int
	clockRate   int
	base        uint32 // timestamp of time 0
	timestamp   uint32 // of the packets written now
	sequence    uint16 // of the next packet
	ssrc        uint32
	payloadType uint8
	channel     uint8
	start       int // of the packet written now
	packets     int // written since they were last counted
	octets      int // of payload
}

// room returns how long a payload may be.
func (w *packetWriter) room() int { return w.maxSize - headerSize }

// packet begins a packet with a payload of n bytes: the caller appends exactly
// as many to w.b.
func (w *packetWriter) packet(n int, marker bool) {
	w.begin()
	w.finish(n, marker)
}

// begin begins a packet with a payload of any size, which the caller appends to
// w.b before end.
func (w *packetWriter) begin() {
	w.start = len(w.b)
	w.b = append(w.b, '$', w.channel, 0, 0, 0x80, w.payloadType)
	w.b = binary.BigEndian.AppendUint16(w.b, w.sequence)
	w.b = binary.BigEndian.AppendUint32(w.b, w.timestamp)
	w.b = binary.BigEndian.AppendUint32(w.b, w.ssrc)
}

// end ends the packet that begin began.
func (w *packetWriter) end(marker bool) {
	w.finish(len(w.b)-w.start-frameSize-headerSize, marker)
}

// finish fills in what a payload of n bytes decides.
func (w *packetWriter) finish(n int, marker bool) {
	binary.BigEndian.PutUint16(w.b[w.start+2:], uint16(headerSize+n))
	if marker {
		w.b[w.start+frameSize+1] |= 0x80
	}
	w.sequence++
	w.packets++
	w.octets += n
}
