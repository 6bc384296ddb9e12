package codec

import (
	"cmp"
	"encoding/binary"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// NewH264Track returns the track of an H.264 stream with these parameter sets,
// given as NAL units without start codes or lengths. Size and frame rate come
// from the SPS. The sets are copied. Errors wrap [ErrInvalid].
func NewH264Track(id int, sps, pps []byte) (*Track, error) {
	return trackOfSets(&Track{ID: id, Codec: H264}, sps, pps)
}

// An AVCConfig is an AVCDecoderConfigurationRecord, the content of an avcC box
// (ISO/IEC 14496-15, 5.3.3.1).
type AVCConfig struct {
	Profile, Compat, Level uint8    // the three bytes after the first of the SPS
	LengthSize             int      // bytes of a NAL unit's length: 1, 2 or 4; 0 means 4
	SPS, PPS               [][]byte // NAL units; at most 31 and 255

	// Written for profiles other than Baseline, Main and Extended only.
	ChromaFormat                 uint8    // chroma_format_idc: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4
	BitDepthLuma, BitDepthChroma uint8    // bits; 0 means 8
	SPSExt                       [][]byte // sequence parameter set extensions
}

// hasChroma tells whether the record has the fields of 5.3.3.1.2 that early
// editions had not.
func (c *AVCConfig) hasChroma() bool {
	return c.Profile != 66 && c.Profile != 77 && c.Profile != 88
}

// Append appends the record to b.
func (c AVCConfig) Append(b []byte) []byte {
	b = append(b, 1, c.Profile, c.Compat, c.Level, 0xfc|lengthSizeMinusOne(c.LengthSize))
	b = append(b, 0xe0|byte(len(c.SPS)&0x1f))
	b = appendSets(b, c.SPS)
	b = append(b, byte(len(c.PPS)))
	b = appendSets(b, c.PPS)
	if c.hasChroma() {
		b = append(b, 0xfc|c.ChromaFormat&3, 0xf8|depthMinus8(c.BitDepthLuma), 0xf8|depthMinus8(c.BitDepthChroma))
		b = append(b, byte(len(c.SPSExt)))
		b = appendSets(b, c.SPSExt)
	}
	return b
}

// Unmarshal decodes the record in b, which the parameter sets then alias.
// Writers that follow the first edition omit the chroma fields; they are then
// those of 8-bit 4:2:0. A record without an SPS is accepted.
func (c *AVCConfig) Unmarshal(b []byte) error {
	*c = AVCConfig{ChromaFormat: 1, BitDepthLuma: 8, BitDepthChroma: 8}
	tail, err := eachAVCSet(b, func(nalu []byte) {
		switch roleOf(H264, nalu) {
		case roleSPS:
			c.SPS = append(c.SPS, nalu)
		case rolePPS:
			c.PPS = append(c.PPS, nalu)
		case roleSPSExt:
			c.SPSExt = append(c.SPSExt, nalu)
		}
	})
	if err != nil {
		return err
	}
	c.Profile, c.Compat, c.Level = b[1], b[2], b[3]
	c.LengthSize = int(b[4]&3) + 1
	switch {
	case c.LengthSize == 3:
		return invalid("avcC: NAL unit lengths of 3 bytes")
	case len(c.SPS) > 31 || len(c.PPS) > 255 || len(c.SPSExt) > 255: // lists may hold units of another's type
		return invalid("avcC: too many parameter sets")
	case !c.hasChroma():
		c.SPSExt = nil
	case len(tail) >= 3:
		c.ChromaFormat, c.BitDepthLuma, c.BitDepthChroma = tail[0]&3, tail[1]&7+8, tail[2]&7+8
	}
	return nil
}

// eachAVCSet calls f for each parameter set of an avcC and returns the bytes
// of the record after its PPS list.
func eachAVCSet(b []byte, f func(nalu []byte)) (tail []byte, err error) {
	if len(b) < 6 {
		return nil, short("avcC")
	}
	if b[0] != 1 {
		return nil, invalid("avcC: version %d", b[0])
	}
	profile := b[1]
	b, err = eachSet(b[6:], int(b[5]&0x1f), f)
	if err != nil {
		return nil, err
	}
	if len(b) < 1 {
		return nil, short("avcC")
	}
	b, err = eachSet(b[1:], int(b[0]), f)
	if err != nil {
		return nil, err
	}
	if c := (AVCConfig{Profile: profile}); c.hasChroma() && len(b) >= 4 {
		if _, err := eachSet(b[4:], int(b[3]), f); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// eachSet calls f for each of n NAL units with 2-byte lengths and returns
// what follows them. Empty units are skipped.
func eachSet(b []byte, n int, f func(nalu []byte)) ([]byte, error) {
	for range n {
		nalu, rest, err := cutNALU(b, 2)
		if err != nil {
			return nil, err
		}
		if b = rest; len(nalu) > 0 {
			f(nalu)
		}
	}
	return b, nil
}

// appendSets appends NAL units with 2-byte lengths.
func appendSets(b []byte, sets [][]byte) []byte {
	for _, nalu := range sets {
		b = binary.BigEndian.AppendUint16(b, uint16(len(nalu)))
		b = append(b, nalu...)
	}
	return b
}

// lengthSizeMinusOne is how records tell a LengthSize.
func lengthSizeMinusOne(n int) byte { return byte(cmp.Or(n, 4)-1) & 3 }

func depthMinus8(bits uint8) byte { return (max(bits, 8) - 8) & 7 }

// newAVCConfig returns the record for these parameter sets; sps[0] decides.
func newAVCConfig(sps, pps, ext [][]byte) (*AVCConfig, error) {
	c := &AVCConfig{LengthSize: 4, SPS: sps, PPS: pps, SPSExt: ext}
	if len(sps) == 0 {
		return c, nil
	}
	s, err := parseH264SPS(sps[0])
	if err != nil {
		return nil, err
	}
	c.Profile, c.Compat, c.Level = sps[0][1], sps[0][2], sps[0][3]
	c.ChromaFormat = uint8(s.ChromaFormatIdc)
	c.BitDepthLuma, c.BitDepthChroma = uint8(s.BitDepthLumaMinus8+8), uint8(s.BitDepthChromaMinus8+8)
	return c, nil
}

// parseH264SPS decodes an SPS and refuses values outside the ranges of H.264,
// 7.4.2.1.1. A VUI that breaks off, as some cameras write it, is left out.
func parseH264SPS(nalu []byte) (*h264.SPS, error) {
	var s h264.SPS
	if err := s.Unmarshal(nalu); err != nil {
		if s.VUI == nil {
			return nil, invalid("H264 SPS: %v", err)
		}
		s.VUI = nil
	}
	switch {
	case s.ID > 31, s.ChromaFormatIdc > 3, s.BitDepthLumaMinus8 > 6, s.BitDepthChromaMinus8 > 6,
		s.Log2MaxFrameNumMinus4 > 12, s.Log2MaxPicOrderCntLsbMinus4 > 12,
		s.PicWidthInMbsMinus1 >= maxSide/16, s.PicHeightInMapUnitsMinus1 >= maxSide/16,
		!validSize(s.Width(), s.Height()):
		return nil, invalid("H264 SPS: value out of range")
	}
	return &s, nil
}

// maxSide bounds the width and height of pictures, far above any level's.
const maxSide = 32768

// validSize tells whether a picture can have this size.
func validSize(width, height int) bool {
	return width > 0 && height > 0 && width <= maxSide && height <= maxSide
}

// validRate returns frames per second, or 0 if no video has so many.
func validRate(fps float64) float64 {
	if math.IsNaN(fps) || fps <= 0 || fps > 1000 {
		return 0
	}
	return fps
}
