package rtp

import (
	"github.com/mediakit-go/mediakit/codec"
)

// A carriage is how RTP carries one codec: one file per codec.
type carriage struct {
	codec    codec.Codec
	names    []string                                               // rtpmap names, the one we write first; compared without regard to case
	describe func(t *codec.Track, p *Payload) bool                  // completes p, which has the dynamic Type, the Kind, names[0] and t's ClockRate; false: cannot be carried
	track    func(p *Payload, t *codec.Track) (*codec.Track, error) // completes t, which has ID, Codec and ClockRate, from p
	packer   func(t *codec.Track) packer                            // frames to payloads
	unpacker func(p *Payload, t *codec.Track) (Depacketizer, error) // payloads to frames
}

// A packer writes the payloads of frames of one codec. Most have no state.
type packer interface {
	// pack writes the payloads of f's packets with w.
	pack(w *packetWriter, f *codec.Frame) error
}

// carriages are all codecs that are converted. The opaque carriage of whatever
// else there is stands in opaque.go.
func carriages() []carriage {
	return []carriage{
		h264Carriage(), h265Carriage(), av1Carriage(), vp8Carriage(), vp9Carriage(), mjpegCarriage(),
		aacCarriage(), latmCarriage(), opusCarriage(), pcmaCarriage(), pcmuCarriage(), mpegAudioCarriage(), l16Carriage(),
	}
}
