package codec

// An av1Sequence is a sequence header (AV1, 5.5.1), as far as av1C and the
// track need it.
type av1Sequence struct {
	profile                          byte
	still                            bool // reduced_still_picture_header
	level, tier                      byte // of operating point 0
	highBitDepth, twelveBit          bool
	monochrome                       bool
	subsamplingX, subsamplingY       bool
	samplePosition                   byte
	primaries, transfer, matrix      byte
	fullRange                        bool
	width, height                    int
	unitsInTick, timeScale, ticksPer uint64
}

// parseSequence reads the payload of a sequence header OBU.
func parseSequence(b []byte) (*av1Sequence, error) {
	r := &bitReader{b: b}
	s := &av1Sequence{profile: byte(r.u(3))}
	r.u(1) // still_picture
	if s.still = r.flag(); s.still {
		s.level = byte(r.u(5))
	} else {
		s.operatingPoints(r)
	}
	widthBits, heightBits := int(r.u(4))+1, int(r.u(4))+1
	s.width, s.height = int(r.u(widthBits))+1, int(r.u(heightBits))+1
	if !s.still && r.flag() { // frame_id_numbers_present_flag
		r.u(4 + 3)
	}
	r.u(3) // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
	if !s.still {
		skipTools(r)
	}
	r.u(3) // enable_superres, enable_cdef, enable_restoration
	s.colorConfig(r)
	r.u(1) // film_grain_params_present
	if r.over {
		return nil, short("AV1 sequence header")
	}
	if s.profile > 2 {
		return nil, invalid("AV1 profile %d", s.profile)
	}
	if !validSize(s.width, s.height) {
		return nil, invalid("AV1 picture of %dx%d", s.width, s.height)
	}
	return s, nil
}

// operatingPoints reads from timing_info_present_flag to the end of the
// operating points.
func (s *av1Sequence) operatingPoints(r *bitReader) {
	decoderModel, delayBits := false, 0
	if r.flag() { // timing_info (5.5.3)
		s.unitsInTick, s.timeScale = uint64(r.u(32)), uint64(r.u(32))
		if r.flag() { // equal_picture_interval
			s.ticksPer = uint64(r.ue()) + 1
		}
		if decoderModel = r.flag(); decoderModel { // decoder_model_info (5.5.4)
			delayBits = int(r.u(5)) + 1
			r.u(32)
			r.u(5 + 5)
		}
	}
	displayDelay := r.flag()
	points := int(r.u(5)) + 1
	for i := range points {
		var tier uint32
		r.u(12) // operating_point_idc
		level := r.u(5)
		if level > 7 {
			tier = r.u(1)
		}
		if i == 0 {
			s.level, s.tier = byte(level), byte(tier)
		}
		if decoderModel && r.flag() { // operating_parameters_info (5.5.5)
			r.u(delayBits)
			r.u(delayBits)
			r.u(1)
		}
		if displayDelay && r.flag() {
			r.u(4)
		}
	}
}

// skipTools reads from enable_interintra_compound to order_hint_bits_minus_1.
func skipTools(r *bitReader) {
	r.u(4) // enable_interintra_compound … enable_dual_filter
	orderHint := r.flag()
	if orderHint {
		r.u(2) // enable_jnt_comp, enable_ref_frame_mvs
	}
	screenContent := true
	if !r.flag() { // seq_choose_screen_content_tools
		screenContent = r.flag()
	}
	if screenContent && !r.flag() { // seq_choose_integer_mv
		r.u(1)
	}
	if orderHint {
		r.u(3)
	}
}

// colorConfig reads color_config (5.5.2).
func (s *av1Sequence) colorConfig(r *bitReader) {
	s.highBitDepth = r.flag()
	if s.profile == 2 && s.highBitDepth {
		s.twelveBit = r.flag()
	}
	if s.profile != 1 {
		s.monochrome = r.flag()
	}
	const unspecified, bt709, srgb, identity = 2, 1, 13, 0
	s.primaries, s.transfer, s.matrix = unspecified, unspecified, unspecified
	if r.flag() { // color_description_present_flag
		s.primaries, s.transfer, s.matrix = byte(r.u(8)), byte(r.u(8)), byte(r.u(8))
	}
	switch {
	case s.monochrome:
		s.fullRange, s.subsamplingX, s.subsamplingY = r.flag(), true, true
		return
	case s.primaries == bt709 && s.transfer == srgb && s.matrix == identity:
		s.fullRange = true
	default:
		s.fullRange = r.flag()
		switch {
		case s.profile == 0:
			s.subsamplingX, s.subsamplingY = true, true
		case s.profile == 2 && s.twelveBit:
			if s.subsamplingX = r.flag(); s.subsamplingX {
				s.subsamplingY = r.flag()
			}
		case s.profile == 2:
			s.subsamplingX = true
		}
		if s.subsamplingX && s.subsamplingY {
			s.samplePosition = byte(r.u(2))
		}
	}
	r.u(1) // separate_uv_delta_q
}

// appendAV1C appends the fixed part of an AV1CodecConfigurationRecord (AV1
// Codec ISO Media File Format Binding, 2.3.3).
func (s *av1Sequence) appendAV1C(b []byte) []byte {
	w := bitWriter{b: b}
	w.u(8, 0x81) // marker, version 1
	w.u(3, uint32(s.profile))
	w.u(5, uint32(s.level))
	w.u(1, uint32(s.tier))
	for _, f := range []bool{s.highBitDepth, s.twelveBit, s.monochrome, s.subsamplingX, s.subsamplingY} {
		w.u(1, bit(f))
	}
	w.u(2, uint32(s.samplePosition))
	w.u(8, 0) // no initial presentation delay
	return w.b
}

// fill sets what the sequence header tells of t.
func (s *av1Sequence) fill(t *Track) {
	t.Width, t.Height = s.width, s.height
	if s.ticksPer > 0 && s.unitsInTick > 0 {
		if fps := validRate(float64(s.timeScale) / float64(s.unitsInTick*s.ticksPer)); fps > 0 {
			t.FrameRate = fps
		}
	}
}

func bit(f bool) uint32 {
	if f {
		return 1
	}
	return 0
}
