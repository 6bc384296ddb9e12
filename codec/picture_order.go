package codec

import "github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

// A PictureOrder tells in what order the pictures of an H.264 or H.265 track are
// shown, from their slice headers. It is for streams that do not tell it by times. The
// zero value is ready. It serves one track.
type PictureOrder struct {
	track  *Track // the one it was set up for
	layout sliceLayout

	// Of the last picture that counts are told relative to (H.264, 8.2.1.1,
	// prevPicOrderCntMsb; H.265, 8.3.1, prevTid0Pic).
	msb, lsb int
	begun    bool
	plain    int // pictures since the sequence began, where they are not reordered
}

// A sliceLayout is what parameter sets tell of slice headers up to the count.
type sliceLayout struct {
	lsbBits      int  // 0: it is not known where it is
	planes       bool // separate_colour_plane_flag
	unordered    bool // pic_order_cnt_type 2: pictures are shown as they are decoded
	frameNumBits int  // H.264
	frames       bool // H.264, frame_mbs_only_flag
	outputFlag   bool // H.265, output_flag_present_flag
	extraBits    int  // H.265, num_extra_slice_header_bits
}

// Count returns the picture order count of f, which is to be shown before pictures
// with a higher one. That holds within a sequence, which a key frame may begin:
// first is true then. Steps from picture to picture are even, but for an encoder's
// choice how long they are. Frames must come in decoding order. ok is false if the
// count cannot be read.
func (o *PictureOrder) Count(f *Frame) (count int, first, ok bool) {
	if o.track != f.Track {
		if o.track == nil || !o.track.SameConfig(f.Track) {
			o.layout = layoutOf(f.Track)
		}
		o.track = f.Track
	}
	for nalu := range f.NALUs() {
		switch {
		case len(nalu) < 3:
		case f.Track.Codec == H264 && (nalu[0]&0x1f == 1 || nalu[0]&0x1f == 5):
			return o.countH264(nalu)
		case f.Track.Codec == H265 && nalu[0]>>1 < 32 && nalu[2]&0x80 != 0: // first_slice_segment_in_pic_flag
			return o.countH265(nalu)
		}
	}
	return 0, false, false
}

// countH264 reads the header of a slice (H.264, 7.3.3).
func (o *PictureOrder) countH264(nalu []byte) (count int, first, ok bool) {
	l, idr := &o.layout, nalu[0]&0x1f == 5
	if l.unordered {
		o.plain++
		if idr {
			o.plain = 0
		}
		return 2 * o.plain, idr, true
	}
	if l.lsbBits == 0 {
		return 0, false, false
	}
	var buf [sliceHead]byte
	r := &bitReader{b: appendRBSP(buf[:0], nalu[1:])}
	r.ue() // first_mb_in_slice
	r.ue() // slice_type
	r.ue() // pic_parameter_set_id
	if l.planes {
		r.u(2)
	}
	r.u(l.frameNumBits)
	if !l.frames && r.flag() { // field_pic_flag
		r.u(1)
	}
	if idr {
		r.ue() // idr_pic_id
	}
	lsb := int(r.u(l.lsbBits))
	if r.over {
		return 0, false, false
	}
	return o.count(lsb, idr, nalu[0]&0x60 != 0), idr, true
}

// countH265 reads the header of the first slice segment of a picture (H.265,
// 7.3.6.1).
func (o *PictureOrder) countH265(nalu []byte) (count int, first, ok bool) {
	const blaFirst, idrFirst, idrLast, irapLast = 16, 19, 20, 23
	l, t := &o.layout, nalu[0]>>1&0x3f
	if l.lsbBits == 0 {
		return 0, false, false
	}
	var buf [sliceHead]byte
	r := &bitReader{b: appendRBSP(buf[:0], nalu[2:])}
	r.u(1)
	if t >= blaFirst && t <= irapLast {
		r.u(1) // no_output_of_prior_pics_flag
	}
	r.ue() // slice_pic_parameter_set_id
	r.u(l.extraBits)
	r.ue() // slice_type
	if l.outputFlag {
		r.u(1)
	}
	if l.planes {
		r.u(2)
	}
	lsb := 0
	if t != idrFirst && t != idrLast {
		lsb = int(r.u(l.lsbBits))
	}
	if r.over {
		return 0, false, false
	}
	first = t >= blaFirst && t <= idrLast
	base := nalu[1]&7 == 1 && (t >= blaFirst || t < 6 && t&1 == 1) // TemporalId 0, and neither RASL, RADL nor SLNR
	return o.count(lsb, first, base), first, true
}

// count completes the low bits of a count. base tells that the next ones are
// relative to it.
func (o *PictureOrder) count(lsb int, first, base bool) int {
	msb := o.msb
	switch half := 1 << (o.layout.lsbBits - 1); {
	case first || !o.begun:
		msb, base = 0, true
	case lsb < o.lsb && o.lsb-lsb >= half:
		msb += 2 * half
	case lsb > o.lsb && lsb-o.lsb > half:
		msb -= 2 * half
	}
	if base {
		o.msb, o.lsb, o.begun = msb, lsb, true
	}
	return msb + lsb
}

// layoutOf reads the parameter sets of t. Where there are several, those of other
// ids are as good.
func layoutOf(t *Track) (l sliceLayout) {
	for _, nalu := range t.ParameterSets() {
		switch r := roleOf(t.Codec, nalu); {
		case r == roleSPS && t.Codec == H264:
			s, err := parseH264SPS(nalu)
			if err != nil {
				return sliceLayout{}
			}
			l.planes, l.frames = s.SeparateColourPlaneFlag, s.FrameMbsOnlyFlag
			l.frameNumBits, l.unordered = int(s.Log2MaxFrameNumMinus4)+4, s.PicOrderCntType == 2
			if s.PicOrderCntType == 0 {
				l.lsbBits = int(s.Log2MaxPicOrderCntLsbMinus4) + 4
			}
		case r == roleSPS:
			s, err := parseH265SPS(nalu)
			if err != nil {
				return sliceLayout{}
			}
			l.planes, l.lsbBits = s.SeparateColourPlaneFlag, int(s.Log2MaxPicOrderCntLsbMinus4)+4
		case r == rolePPS && t.Codec == H265:
			var p h265.PPS
			if p.Unmarshal(nalu) != nil {
				return sliceLayout{}
			}
			l.outputFlag, l.extraBits = p.OutputFlagPresentFlag, int(p.NumExtraSliceHeaderBits)
		}
	}
	return l
}

// sliceHead is more bytes than there are in a slice header up to the count.
const sliceHead = 48

// appendRBSP appends the beginning of a NAL unit without emulation prevention bytes
// (H.264 and H.265, 7.4.1) to b, up to its capacity.
func appendRBSP(b, nalu []byte) []byte {
	zeros := 0
	for _, x := range nalu {
		switch {
		case len(b) == cap(b):
			return b
		case zeros >= 2 && x == 3:
			zeros = 0
			continue
		case x == 0:
			zeros++
		default:
			zeros = 0
		}
		b = append(b, x)
	}
	return b
}
