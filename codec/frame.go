package codec

import (
	"encoding/binary"
	"iter"
	"time"
)

// Flags are facts about a frame.
type Flags uint8

// The flags of a frame.
const (
	FlagKey        Flags = 1 << iota // decoding can start here
	FlagDiscont                      // does not continue the frame before it: a jump, a new publisher, a seek
	FlagDisposable                   // no other frame needs it
	FlagCorrupt                      // data is missing or damaged
	FlagMarker                       // opaque RTP payloads: the packet's marker bit
)

// A Frame is one access unit of one track. It is immutable once written:
// anyone may keep it, nobody may change it. Data is exactly what an ISO BMFF
// sample of its codec holds:
//
//   - H264, H265: NAL units after their lengths in 4 bytes, without parameter
//     sets and access unit delimiters
//   - AV1: a temporal unit, OBUs with sizes and without a temporal delimiter
//   - VP8, VP9: a frame, of VP9 a superframe
//   - MJPEG: a whole picture, from the start of image to its end, with all the
//     tables that decode it
//   - AAC: a raw_data_block, without ADTS
//   - Opus: a packet; MP3, MP2: a frame, which may be several; AC3: a syncframe
//   - PCMA, PCMU: a byte per sample; L16: two, the high one first; the samples
//     of all channels together
//   - an opaque track (see [Track].Wire): the payload of an RTP packet, the body
//     of an FLV tag, the payload of a PES packet
type Frame struct {
	Track *Track        // the description in force; a pointer that differs from the previous frame's means new parameters
	DTS   time.Duration // decoding time since the stream's start; never falls within a track
	PTS   time.Duration // presentation time since the stream's start
	Wall  time.Time     // capture time if the sender told it, else zero
	Flags Flags
	Data  []byte // in the form of its codec, see above
}

// Has reports whether all the given flags are set.
func (f *Frame) Has(x Flags) bool { return f.Flags&x == x }

// Key reports whether decoding can start at f.
func (f *Frame) Key() bool { return f.Flags&FlagKey != 0 }

// NALUs yields the NAL units of an H.264, H.265 or H.266 frame, without their
// length fields. It stops at a length that exceeds the data.
func (f *Frame) NALUs() iter.Seq[[]byte] { return NALUs(f.Data) }

// NALUs yields the NAL units of data in the length-prefixed form with 4-byte
// lengths (ISO/IEC 14496-15, 5.3.3.1.2). It stops at a length that exceeds the
// rest of data.
func NALUs(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { yieldNALUs(data, yield) }
}

// yieldNALUs is apart so that NALUs can be inlined; then a loop over it does
// not allocate.
func yieldNALUs(b []byte, yield func([]byte) bool) {
	for len(b) >= 4 {
		n := binary.BigEndian.Uint32(b)
		if uint64(n) > uint64(len(b)-4) {
			return
		}
		if !yield(b[4 : 4+n : 4+n]) {
			return
		}
		b = b[4+n:]
	}
}
