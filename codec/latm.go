package codec

import "bytes"

// A StreamMuxConfig tells how AudioMuxElements, the packets of LATM, hold AAC
// (ISO/IEC 14496-3, 1.7.3). One stream of one program is understood, with
// frames whose length is written before them or always the same.
type StreamMuxConfig struct {
	Config    []byte // AudioSpecificConfig of the stream, as [Track].Config
	Subframes int    // frames in an AudioMuxElement, 1 to 64

	fixed int // length of every frame, in bits; 0 where it is written before each
}

// Unmarshal decodes a StreamMuxConfig, as SDP has it. Errors wrap [ErrInvalid];
// c is then unchanged.
func (c *StreamMuxConfig) Unmarshal(b []byte) error {
	r := bitReader{b: b}
	m, err := readStreamMuxConfig(&r)
	if err == nil {
		*c = m
	}
	return err
}

// readStreamMuxConfig reads table 1.42 of ISO/IEC 14496-3. What follows the
// frame length is of no use here and is cut off by some encoders.
//
//	1 bit audioMuxVersion, then 1 bit audioMuxVersionA, taraBufferFullness
//	1 bit allStreamsSameTimeFraming
//	6 bits numSubFrames, 4 numProgram, 3 numLayer, each less one
//	AudioSpecificConfig, in version 1 after its length in bits
//	3 bits frameLengthType, then 8 bits of no use for 0, 9 bits frameLength for 1
//	1 bit otherDataPresent, then the length of other data
//	1 bit crcCheckPresent, then 8 bits
func readStreamMuxConfig(r *bitReader) (c StreamMuxConfig, err error) {
	version := r.u(1)
	if version == 1 {
		if r.flag() {
			return c, invalid("StreamMuxConfig of audioMuxVersionA 1")
		}
		r.latmValue()
	}
	same := r.flag()
	c.Subframes = int(r.u(6)) + 1
	programs, layers := r.u(4), r.u(3)
	switch {
	case r.over:
		return c, short("StreamMuxConfig")
	case !same || programs > 0 || layers > 0:
		return c, invalid("StreamMuxConfig of several streams")
	}

	var size int // of the AudioSpecificConfig, in bits
	if version == 1 {
		n := r.latmValue()
		if n > uint32(r.left()) {
			return c, short("StreamMuxConfig")
		}
		size = int(n)
	} else if size, err = sizeOfASC(*r); err != nil {
		return c, err
	}
	c.Config = bytes.Clone(r.bits(size))
	if _, err := parseASC(c.Config); err != nil {
		return c, err
	}

	cut := r.left() < 3
	switch kind := r.u(3); {
	case cut || kind == 0:
		r.u(8) // latmBufferFullness
	case kind == 1:
		c.fixed = 8 * (int(r.u(9)) + 20)
	default:
		return c, invalid("StreamMuxConfig of frameLengthType %d", kind)
	}
	if r.flag() { // otherDataPresent
		if version == 1 {
			r.latmValue()
		} else {
			for r.flag() { // otherDataLenEsc
				r.u(8)
			}
			r.u(8)
		}
	}
	if r.flag() { // crcCheckPresent
		r.u(8)
	}
	return c, nil
}

// Split returns the frames of an AudioMuxElement (table 1.41), which alias b
// where they begin at a byte of it. inBand is muxConfigPresent: the element then
// tells whether a new StreamMuxConfig is inside, which replaces c. Errors wrap
// [ErrInvalid].
func (c *StreamMuxConfig) Split(b []byte, inBand bool) (frames [][]byte, err error) {
	r := bitReader{b: b}
	if inBand && !r.flag() { // useSameStreamMux
		m, err := readStreamMuxConfig(&r)
		if err != nil {
			return nil, err
		}
		*c = m
	}
	if c.Subframes == 0 {
		return nil, invalid("AudioMuxElement without a StreamMuxConfig")
	}
	for range c.Subframes {
		size := c.fixed
		for more := size == 0; more; { // PayloadLengthInfo (table 1.44)
			v := r.u(8)
			size += 8 * int(v)
			more = v == 255
		}
		frame := r.bits(size)
		if r.over {
			return nil, short("AudioMuxElement")
		}
		if len(frame) > 0 {
			frames = append(frames, frame)
		}
	}
	return frames, nil
}

// latmValue reads LatmGetValue (table 1.43).
func (r *bitReader) latmValue() uint32 {
	n := int(r.u(2)) + 1
	return r.u(8 * n)
}

// bits returns the next n bits, filled up with zeros to whole bytes: a part of
// what is read if that begins at a byte and is some.
func (r *bitReader) bits(n int) []byte {
	if n > r.left() {
		r.over, r.pos = true, len(r.b)*8
		return nil
	}
	start, shift := r.pos>>3, r.pos&7
	r.pos += n
	size := (n + 7) >> 3
	if shift == 0 && n&7 == 0 {
		return r.b[start : start+size : start+size]
	}
	out := make([]byte, size)
	for i := range out {
		out[i] = r.b[start+i] << shift
		if next := start + i + 1; shift > 0 && next < len(r.b) {
			out[i] |= r.b[next] >> (8 - shift)
		}
	}
	if n&7 > 0 {
		out[size-1] &= 0xff << (8 - n&7)
	}
	return out
}

// sizeOfASC returns how many bits the AudioSpecificConfig has that r stands at
// (ISO/IEC 14496-3, 1.6.2.1). What announces SBR behind it is part of it, though
// version 0 has no place for that: some encoders write it, and what would
// be read instead is a frameLengthType that AAC does not have.
func sizeOfASC(r bitReader) (int, error) {
	start := r.pos
	a := readASC(&r)
	switch {
	case r.over:
		return 0, short("AudioSpecificConfig")
	case a.core >= aotMain && a.core <= aotLTP, a.core == aotER, a.core == aotERLTP, a.core == aotLD:
		skipGASpecificConfig(&r, a, start)
	case a.core == aotELD:
		r.u(4) // frameLengthFlag and three of error resilience
		if r.flag() {
			return 0, invalid("LATM with SBR of AAC-ELD")
		}
		if r.u(4) != 0 { // ELDEXT_TERM
			return 0, invalid("LATM with extensions of AAC-ELD")
		}
	default:
		return 0, invalid("LATM with object type %d", a.core)
	}
	if a.core >= aotER && r.u(2) > 1 { // epConfig
		return 0, invalid("LATM with error protection")
	}
	if r.over {
		return 0, short("AudioSpecificConfig")
	}
	if end := r; r.u(11) == syncExtension && r.object() == aotSBR {
		if r.flag() && r.u(4) == escapeRate {
			r.u(24)
		}
		if r.over {
			r = end
		}
	} else {
		r = end
	}
	return r.pos - start, nil
}

// skipGASpecificConfig skips what follows the channel configuration of an
// AudioSpecificConfig that began at bit start (ISO/IEC 14496-3, 4.4.1).
func skipGASpecificConfig(r *bitReader, a asc, start int) {
	r.u(1)        // frameLengthFlag
	if r.flag() { // dependsOnCoreCoder
		r.u(14)
	}
	extension := r.flag()
	if a.channels == 0 {
		skipProgramConfig(r, start)
	}
	if extension {
		if a.core >= aotER {
			r.u(3) // of error resilience
		}
		r.u(1)
	}
}

// skipProgramConfig skips a program_config_element (ISO/IEC 14496-3, 4.4.1.1),
// which fills up bytes counted from bit start.
func skipProgramConfig(r *bitReader, start int) {
	r.u(4 + 2 + 4)
	front, side, back := r.u(4), r.u(4), r.u(4)
	lfe, assoc, cc := r.u(2), r.u(3), r.u(4)
	for _, n := range []int{4, 4, 3} { // mixdowns
		if r.flag() {
			r.u(n)
		}
	}
	for range front + side + back + cc {
		r.u(5)
	}
	for range lfe + assoc {
		r.u(4)
	}
	r.u(-(r.pos - start) & 7)
	for range r.u(8) { // comment_field_data
		r.u(8)
	}
}
