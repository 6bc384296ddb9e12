package codec

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
)

// NewVP9Track returns the track of a VP9 stream that begins with this key
// frame, whose header tells size and format. With a nil keyFrame the size is
// unknown and the format that of nearly all streams, 8-bit 4:2:0. Errors wrap
// [ErrInvalid].
func NewVP9Track(id int, keyFrame []byte) (*Track, error) {
	t := &Track{ID: id, Codec: VP9, ClockRate: videoClock, Config: defaultVPC.append(nil)}
	if keyFrame == nil {
		return t, nil
	}
	return t.withVP9(keyFrame)
}

// withVP9 returns t as a key frame describes it: t itself if it does already.
func (t *Track) withVP9(keyFrame []byte) (*Track, error) {
	var h vp9.Header
	if err := h.Unmarshal(keyFrame); err != nil {
		return nil, invalid("VP9 frame: %v", err)
	}
	if h.ColorConfig == nil || h.FrameSize == nil {
		return nil, invalid("VP9 frame: not a key frame")
	}
	colour := vp9Colours[h.ColorConfig.ColorSpace&7]
	return t.withVPC(vpc{
		profile:      h.Profile,
		level:        vp9Level(h.Width() * h.Height()),
		bitDepth:     h.ColorConfig.BitDepth,
		subsampling:  h.ChromaSubsampling(),
		fullRange:    h.ColorConfig.ColorRange,
		colourTriple: colour,
	}, h.Width(), h.Height())
}

// A colourTriple holds code points of ISO/IEC 23091-2.
type colourTriple struct{ primaries, transfer, matrix byte }

// vp9Colours are the code points for a VP9 color_space (VP9, 7.2.2).
var vp9Colours = [8]colourTriple{
	{2, 2, 2},  // unknown
	{6, 6, 6},  // BT.601
	{1, 1, 1},  // BT.709
	{6, 6, 6},  // SMPTE 170
	{7, 7, 7},  // SMPTE 240
	{9, 14, 9}, // BT.2020
	{2, 2, 2},  // reserved
	{1, 13, 0}, // sRGB
}

// vp9Level returns ten times the lowest level that allows pictures of so many
// luma samples (VP9, annex A); the frame rate, which is not known, may need a
// higher one.
func vp9Level(samples int) byte {
	for _, l := range []struct {
		samples int
		level   byte
	}{{36864, 10}, {73728, 11}, {122880, 20}, {245760, 21}, {552960, 30}, {983040, 31}, {2228224, 40}, {8912896, 50}} {
		if samples <= l.samples {
			return l.level
		}
	}
	return 60
}

// A vpc is a VPCodecConfigurationRecord (VP Codec ISO Media File Format
// Binding, 2.3).
type vpc struct {
	profile, level byte // ten times the level; 0 means undefined
	bitDepth       byte
	subsampling    byte // 1 is 4:2:0 with chroma at luma positions
	fullRange      bool
	colourTriple
}

// defaultVPC is the format of nearly all streams.
var defaultVPC = vpc{bitDepth: 8, subsampling: 1, colourTriple: vp9Colours[0]}

// append appends the content of a vpcC box: version and flags, the record
// without initialisation data.
func (v vpc) append(b []byte) []byte {
	return append(b, 1, 0, 0, 0,
		v.profile, v.level, v.bitDepth<<4|v.subsampling&7<<1|byte(bit(v.fullRange)),
		v.primaries, v.transfer, v.matrix, 0, 0)
}

// withVPC returns t with this configuration and size: t itself if it has them.
func (t *Track) withVPC(v vpc, width, height int) (*Track, error) {
	if !validSize(width, height) {
		return nil, invalid("%v picture of %dx%d", t.Codec, width, height)
	}
	var buf [12]byte
	config := v.append(buf[:0])
	if t.Width == width && t.Height == height && bytes.Equal(t.Config, config) {
		return t, nil
	}
	t2 := *t
	t2.Config, t2.Width, t2.Height, t2.ClockRate = bytes.Clone(config), width, height, videoClock
	return &t2, nil
}

// trackFromVPC accepts the content of a vpcC box and the bare record.
func trackFromVPC(id int, c Codec, config []byte) (*Track, error) {
	t := &Track{ID: id, Codec: c, ClockRate: videoClock, Config: defaultVPC.append(nil)}
	if len(config) == 0 {
		return t, nil
	}
	// A record cannot begin like version and flags: its third byte, with the
	// bit depth in the upper half, is never 0.
	if !bytes.HasPrefix(config, []byte{1, 0, 0, 0}) {
		config = append([]byte{1, 0, 0, 0}, config...)
	}
	if len(config) < 12 {
		return nil, short("vpcC")
	}
	t.Config = bytes.Clone(config)
	return t, nil
}
