package rtp

import "github.com/mediakit-go/mediakit/codec"

// DefaultMaxSize is the size up to which packets are made: it leaves room for
// what tunnels and IPv6 add to a datagram on a link of 1500 bytes.
const DefaultMaxSize = 1400

// minMaxSize leaves room for the longest headers there are: quantisation
// tables of a JPEG picture.
const minMaxSize = 256

// A Packetizer makes the packets of one track.
type Packetizer struct {
	sending
	p     packer
	track *codec.Track
}

// PacketizerOptions are what a Packetizer begins with.
type PacketizerOptions struct {
	PayloadType uint8
	Sequence    uint16 // of the first packet
	SSRC        uint32
	Timestamp   uint32  // of time 0
	Framing     Framing // what precedes each packet
	Channel     uint8   // of Interleaved RTP; RTCP has the next one
	MaxSize     int     // longest RTP packet, 256 to 65535 bytes; 0 means DefaultMaxSize
	CNAME       string  // in reports
	Exact       bool    // PayloadType even where RFC 3551 assigns another
}

// NewPacketizer returns a Packetizer for t, which Describe has accepted.
func NewPacketizer(t *codec.Track, o PacketizerOptions) (*Packetizer, error) {
	d, ok := Describe(t, o.PayloadType)
	if !ok {
		return nil, invalid("%v cannot be carried", t)
	}
	if !o.Exact {
		o.PayloadType = d.Type
	}
	s, err := newSending(&o, d.ClockRate)
	if err != nil {
		return nil, err
	}
	c, _ := carriageOf(t)
	return &Packetizer{sending: s, p: c.packer(t), track: t}, nil
}

// Append appends the packets of f to dst, each with what precedes it on a TCP
// connection. Timestamps are presentation times. Before a key frame go
// the parameter sets of f.Track, which may differ from the one before. Errors
// wrap [ErrInvalid]; then nothing was appended.
func (p *Packetizer) Append(dst []byte, f *codec.Frame) ([]byte, error) {
	if family(f.Track.Codec) != family(p.track.Codec) {
		return dst, invalid("a frame of %v on a track of %v", f.Track, p.track)
	}
	before := p.w.sequence
	p.begin(dst, f.PTS)
	err := p.p.pack(&p.w, f)
	b := p.finish()
	if err != nil {
		p.w.sequence = before
		return dst, err
	}
	p.count()
	return b, nil
}
