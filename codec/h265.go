package codec

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// NewH265Track returns the track of an H.265 stream with these parameter sets,
// given as NAL units without start codes or lengths. Size and frame rate come
// from the SPS. The sets are copied. Errors wrap [ErrInvalid].
func NewH265Track(id int, vps, sps, pps []byte) (*Track, error) {
	return trackOfSets(&Track{ID: id, Codec: H265}, vps, sps, pps)
}

// An HEVCConfig is an HEVCDecoderConfigurationRecord, the content of an hvcC
// box (ISO/IEC 14496-15, 8.3.3.1).
type HEVCConfig struct {
	ProfileSpace uint8  // general_profile_space, 0..3
	Tier         uint8  // general_tier_flag: 0 Main, 1 High
	Profile      uint8  // general_profile_idc: 1 Main, 2 Main 10, …
	Compat       uint32 // general_profile_compatibility_flags, flag 0 in the highest bit
	Constraints  uint64 // general_constraint_indicator_flags, 48 bits
	Level        uint8  // general_level_idc: 30 times the level

	MinSpatialSegmentation uint16 // 0 means unknown
	Parallelism            uint8  // 0 means unknown
	ChromaFormat           uint8  // chroma_format_idc: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4
	BitDepthLuma           uint8  // bits; 0 means 8
	BitDepthChroma         uint8  // bits; 0 means 8
	AvgFrameRate           uint16 // frames per 256 seconds; 0 means unspecified
	ConstantFrameRate      uint8  // 0 means unknown
	TemporalLayers         uint8  // 0 means unknown
	TemporalIDNested       bool
	LengthSize             int // bytes of a NAL unit's length: 1, 2 or 4; 0 means 4

	VPS, SPS, PPS [][]byte // NAL units
	SEI           [][]byte // prefix SEI NAL units that hold for the whole stream
}

// The arrays of an hvcC by NAL unit type, in the order 8.3.3.1.2 recommends.
const (
	hevcVPS = 32
	hevcSPS = 33
	hevcPPS = 34
	hevcSEI = 39
)

// Append appends the record to b. The arrays are marked complete, so that the
// sample entry hvc1 is right.
func (c HEVCConfig) Append(b []byte) []byte {
	b = append(b, 1, c.ProfileSpace<<6|c.Tier&1<<5|c.Profile&0x1f)
	b = binary.BigEndian.AppendUint32(b, c.Compat)
	b = binary.BigEndian.AppendUint16(b, uint16(c.Constraints>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Constraints))
	b = append(b, c.Level)
	b = binary.BigEndian.AppendUint16(b, 0xf000|c.MinSpatialSegmentation&0xfff)
	b = append(b, 0xfc|c.Parallelism&3, 0xfc|c.ChromaFormat&3,
		0xf8|depthMinus8(c.BitDepthLuma), 0xf8|depthMinus8(c.BitDepthChroma))
	b = binary.BigEndian.AppendUint16(b, c.AvgFrameRate)
	last := c.ConstantFrameRate&3<<6 | c.TemporalLayers&7<<3 | lengthSizeMinusOne(c.LengthSize)
	if c.TemporalIDNested {
		last |= 4
	}
	b = append(b, last, 0)
	arrays := len(b) - 1
	for _, a := range []struct {
		kind  byte
		nalus [][]byte
	}{{hevcVPS, c.VPS}, {hevcSPS, c.SPS}, {hevcPPS, c.PPS}, {hevcSEI, c.SEI}} {
		if len(a.nalus) == 0 {
			continue
		}
		b[arrays]++
		b = append(b, 0x80|a.kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.nalus)))
		b = appendSets(b, a.nalus)
	}
	return b
}

// Unmarshal decodes the record in b, which the NAL units then alias. Arrays of
// other NAL unit types are skipped. A record without an SPS is accepted.
func (c *HEVCConfig) Unmarshal(b []byte) error {
	*c = HEVCConfig{}
	err := eachHEVCSet(b, func(nalu []byte) {
		switch roleOf(H265, nalu) {
		case roleVPS:
			c.VPS = append(c.VPS, nalu)
		case roleSPS:
			c.SPS = append(c.SPS, nalu)
		case rolePPS:
			c.PPS = append(c.PPS, nalu)
		default:
			if nalu[0]>>1&0x3f == hevcSEI {
				c.SEI = append(c.SEI, nalu)
			}
		}
	})
	if err != nil {
		return err
	}
	c.setProfile(b[1:])
	c.MinSpatialSegmentation = binary.BigEndian.Uint16(b[13:]) & 0xfff
	c.Parallelism, c.ChromaFormat = b[15]&3, b[16]&3
	c.BitDepthLuma, c.BitDepthChroma = b[17]&7+8, b[18]&7+8
	c.AvgFrameRate = binary.BigEndian.Uint16(b[19:])
	c.ConstantFrameRate, c.TemporalLayers = b[21]>>6, b[21]>>3&7
	c.TemporalIDNested = b[21]&4 != 0
	c.LengthSize = int(b[21]&3) + 1
	if c.LengthSize == 3 {
		return invalid("hvcC: NAL unit lengths of 3 bytes")
	}
	if len(b) > maxConfig { // so that no count of a kind exceeds its field
		return invalid("hvcC of %d bytes", len(b))
	}
	return nil
}

// setProfile reads the 12 bytes that a record and the profile_tier_level of an
// SPS (H.265, 7.3.3) begin with.
func (c *HEVCConfig) setProfile(b []byte) {
	c.ProfileSpace, c.Tier, c.Profile = b[0]>>6, b[0]>>5&1, b[0]&0x1f
	c.Compat = binary.BigEndian.Uint32(b[1:])
	c.Constraints = uint64(binary.BigEndian.Uint16(b[5:]))<<32 | uint64(binary.BigEndian.Uint32(b[7:]))
	c.Level = b[11]
}

// eachHEVCSet calls f for each NAL unit of an hvcC.
func eachHEVCSet(b []byte, f func(nalu []byte)) error {
	if len(b) < 23 {
		return short("hvcC")
	}
	if b[0] != 1 && b[0] != 0 { // some early writers left the version 0
		return invalid("hvcC: version %d", b[0])
	}
	arrays := int(b[22])
	for b = b[23:]; arrays > 0; arrays-- {
		if len(b) < 3 {
			return short("hvcC")
		}
		var err error
		if b, err = eachSet(b[3:], int(binary.BigEndian.Uint16(b[1:])), f); err != nil {
			return err
		}
	}
	return nil
}

// newHEVCConfig returns the record for these parameter sets; sps[0] decides.
func newHEVCConfig(vps, sps, pps [][]byte) (*HEVCConfig, error) {
	c := &HEVCConfig{LengthSize: 4, ChromaFormat: 1, VPS: vps, SPS: sps, PPS: pps}
	if len(sps) == 0 {
		return c, nil
	}
	s, err := parseH265SPS(sps[0])
	if err != nil {
		return nil, err
	}
	c.setProfile(h264.EmulationPreventionRemove(sps[0])[3:]) // parsed, so it is there
	c.ChromaFormat = uint8(s.ChromaFormatIdc)
	c.BitDepthLuma, c.BitDepthChroma = uint8(s.BitDepthLumaMinus8+8), uint8(s.BitDepthChromaMinus8+8)
	c.TemporalLayers, c.TemporalIDNested = s.MaxSubLayersMinus1+1, s.TemporalIDNestingFlag
	return c, nil
}

// parseH265SPS decodes an SPS and refuses values outside the ranges of H.265,
// 7.4.3.2.1. What follows the fields needed here may break off, as the VUI of
// some cameras does, or be unknown to the library.
func parseH265SPS(nalu []byte) (*h265.SPS, error) {
	var s h265.SPS
	if err := s.Unmarshal(nalu); err != nil {
		if s.MaxNumReorderPics == nil {
			return nil, invalid("H265 SPS: %v", err)
		}
		s.VUI = nil
	}
	switch {
	case s.ID > 15, s.MaxSubLayersMinus1 > 6, s.BitDepthLumaMinus8 > 8, s.BitDepthChromaMinus8 > 8,
		s.Log2MaxPicOrderCntLsbMinus4 > 12,
		s.PicWidthInLumaSamples > maxSide, s.PicHeightInLumaSamples > maxSide,
		!validSize(s.Width(), s.Height()):
		return nil, invalid("H265 SPS: value out of range")
	}
	for _, n := range s.MaxNumReorderPics {
		if n > 16 {
			return nil, invalid("H265 SPS: %d pictures reordered", n)
		}
	}
	return &s, nil
}
