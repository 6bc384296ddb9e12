package codec

import (
	"fmt"
	"math/bits"
	"strings"
)

// CodecString returns the codecs parameter of RFC 6381 for t, such as
// "avc1.64001f" or "mp4a.40.2", for HLS playlists and MIME types. It is empty
// for codecs without one and while what it takes is unknown.
func (t *Track) CodecString() string {
	c := t.Config
	switch t.Codec {
	case H264:
		if len(c) < 4 {
			return ""
		}
		return fmt.Sprintf("avc1.%02x%02x%02x", c[1], c[2], c[3])
	case H265:
		return t.hevcString()
	case AV1:
		return t.av1String()
	case VP8, VP9:
		if len(c) < 12 {
			return ""
		}
		return fmt.Sprintf("%s.%02d.%02d.%02d", map[Codec]string{VP8: "vp08", VP9: "vp09"}[t.Codec], c[4], c[5], c[6]>>4)
	case MJPEG:
		return "mp4v.6c"
	case MPEG2Video:
		return "mp4v.61"
	case AAC:
		a, err := parseASC(c)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("mp4a.40.%d", a.object)
	case MP3, MP2:
		if t.SampleRate > 0 && t.SampleRate < 32000 {
			return "mp4a.69" // MPEG-2 audio
		}
		return "mp4a.6B" // MPEG-1 audio; browsers want the capital
	case Opus:
		return "opus"
	case AC3:
		return "ac-3"
	}
	return ""
}

// hevcString follows ISO/IEC 14496-15, E.3: profile, compatibility flags in
// reverse bit order, tier and level, constraint bytes without trailing zeros.
func (t *Track) hevcString() string {
	var c HEVCConfig
	if c.Unmarshal(t.Config) != nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("hvc1.")
	if c.ProfileSpace > 0 {
		b.WriteByte('A' + c.ProfileSpace - 1)
	}
	fmt.Fprintf(&b, "%d.%X.%c%d", c.Profile, bits.Reverse32(c.Compat), "LH"[c.Tier], c.Level)
	for v := c.Constraints << 16; v != 0; v <<= 8 {
		fmt.Fprintf(&b, ".%X", v>>56)
	}
	return b.String()
}

// av1String follows the AV1 Codec ISO Media File Format Binding, 5: profile,
// level and tier, bit depth; the rest has its default values nearly always.
func (t *Track) av1String() string {
	c := t.Config
	if len(c) < 4 {
		return ""
	}
	depth := 8
	if c[2]&0x40 != 0 {
		depth = 10
		if c[2]&0x20 != 0 {
			depth = 12
		}
	}
	return fmt.Sprintf("av01.%d.%02d%c.%02d", c[1]>>5, c[1]&0x1f, "MH"[c[2]>>7], depth)
}

// Profile returns the name of the stream's profile for people, such as "High"
// or "Main 10"; empty if t has none or it is unknown.
func (t *Track) Profile() string {
	c := t.Config
	switch t.Codec {
	case H264:
		if len(c) >= 4 {
			return avcProfile(c[1], c[2])
		}
	case H265:
		if len(c) >= 2 {
			return map[byte]string{1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Rext",
				5: "High Throughput", 6: "Multiview Main", 7: "Scalable Main", 8: "3D Main",
				9: "SCC"}[c[1]&0x1f]
		}
	case AV1:
		if len(c) >= 4 {
			return map[byte]string{0: "Main", 1: "High", 2: "Professional"}[c[1]>>5]
		}
	case VP8, VP9:
		if len(c) >= 12 {
			return fmt.Sprintf("Profile %d", c[4])
		}
	case AAC:
		if a, err := parseASC(c); err == nil {
			return aacProfile(a)
		}
	}
	return ""
}

// avcProfile names profile_idc with its constraint flags (H.264, annex A).
func avcProfile(profile, compat byte) string {
	const set1, set3 = 0x40, 0x10
	switch profile {
	case 66:
		if compat&set1 != 0 {
			return "Constrained Baseline"
		}
		return "Baseline"
	case 77:
		return "Main"
	case 88:
		return "Extended"
	case 100:
		return "High"
	case 110:
		if compat&set3 != 0 {
			return "High 10 Intra"
		}
		return "High 10"
	case 122:
		if compat&set3 != 0 {
			return "High 4:2:2 Intra"
		}
		return "High 4:2:2"
	case 244:
		return "High 4:4:4 Predictive"
	}
	return ""
}

func aacProfile(a asc) string {
	switch {
	case a.object == aotPS:
		return "HE-AACv2"
	case a.sbr:
		return "HE-AAC"
	}
	return map[int]string{aotMain: "Main", aotLC: "LC", aotSSR: "SSR", aotLTP: "LTP",
		aotLD: "LD", aotELD: "ELD", aotUSAC: "xHE-AAC"}[a.object]
}
