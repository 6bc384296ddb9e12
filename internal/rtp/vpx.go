package rtp

import "github.com/mediakit-go/mediakit/codec"

// A vpxPacker writes the packets of VP8 and VP9: a descriptor of one byte, then
// a part of the frame.
type vpxPacker struct {
	// descriptor returns that of a packet, which is the frame's first or last.
	descriptor func(f *codec.Frame, first, last bool) byte
}

func (p vpxPacker) pack(w *packetWriter, f *codec.Frame) error {
	if len(f.Data) == 0 {
		return invalid("empty frame")
	}
	room := w.room() - 1
	for rest := f.Data; len(rest) > 0; {
		n := min(len(rest), room)
		last := n == len(rest)
		w.packet(1+n, last)
		w.b = append(w.b, p.descriptor(f, len(rest) == len(f.Data), last))
		w.b = append(w.b, rest[:n]...)
		rest = rest[n:]
	}
	return nil
}

// A vpxDescriptor is what the descriptor of a VP8 or VP9 payload tells.
type vpxDescriptor struct {
	size       int  // in bytes
	start      bool // a frame begins here
	disposable bool // no other frame needs this one
}

// A vpxUnpacker puts frames of VP8 and VP9 together. The spatial layers of a
// VP9 picture, which have one timestamp, are one frame.
type vpxUnpacker struct {
	assembly
	parse func([]byte) (vpxDescriptor, error)
	flags codec.Flags // of the frame
}

func (u *vpxUnpacker) Append(dst []Unit, p *Packet, lost bool) ([]Unit, error) {
	return u.take(u, dst, p, lost)
}

func (u *vpxUnpacker) payload(b []byte, first bool) error {
	d, err := u.parse(b)
	if err != nil {
		u.drop()
		return err
	}
	if first && !d.start {
		u.drop()
		return nil
	}
	if first {
		u.flags = 0
		if d.disposable {
			u.flags = codec.FlagDisposable
		}
	}
	return u.add(b[d.size:])
}

func (u *vpxUnpacker) finish(dst []Unit) ([]Unit, error) {
	return u.emit(dst, u.flags, true)
}
