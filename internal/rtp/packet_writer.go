package rtp

import "encoding/binary"

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
	framing     Framing
	channel     uint8
	start       int // of the packet written now, behind what precedes it
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
	w.b = w.framing.begin(w.b, w.channel)
	w.start = len(w.b)
	w.b = append(w.b, 0x80, w.payloadType)
	w.b = binary.BigEndian.AppendUint16(w.b, w.sequence)
	w.b = binary.BigEndian.AppendUint32(w.b, w.timestamp)
	w.b = binary.BigEndian.AppendUint32(w.b, w.ssrc)
}

// end ends the packet that begin began.
func (w *packetWriter) end(marker bool) {
	w.finish(len(w.b)-w.start-headerSize, marker)
}

// finish fills in what a payload of n bytes decides.
func (w *packetWriter) finish(n int, marker bool) {
	binary.BigEndian.PutUint16(w.b[w.start-2:], uint16(headerSize+n))
	if marker {
		w.b[w.start+1] |= 0x80
	}
	w.sequence++
	w.packets++
	w.octets += n
}
