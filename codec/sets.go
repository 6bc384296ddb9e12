package codec

import (
	"bytes"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// maxConfig bounds a decoder configuration in bytes; those of real streams
// have some hundred.
const maxConfig = 64 << 10

// ParameterSets returns the parameter sets in the configuration of an H.264 or
// H.265 track, as NAL units in the order VPS, SPS, PPS. They alias t.Config.
// It is nil for other codecs and while t has no configuration.
func (t *Track) ParameterSets() [][]byte {
	var lists [3][][]byte
	t.eachSet(func(nalu []byte) {
		if r := roleOf(t.Codec, nalu); r >= roleVPS && r <= rolePPS {
			lists[r-roleVPS] = append(lists[r-roleVPS], nalu)
		}
	})
	return slices.Concat(lists[:]...)
}

// eachSet calls f for each NAL unit in the configuration of t.
func (t *Track) eachSet(f func(nalu []byte)) {
	switch {
	case len(t.Config) == 0:
	case t.Codec == H264:
		_, _ = eachAVCSet(t.Config, f) // what precedes damage counts
	case t.Codec == H265:
		_ = eachHEVCSet(t.Config, f)
	}
}

// hasSets reports whether there is a parameter set of each kind a decoder of
// H.264 or H.265 needs.
func (t *Track) hasSets() bool {
	var vps, sps, pps bool
	t.eachSet(func(nalu []byte) {
		switch roleOf(t.Codec, nalu) {
		case roleVPS:
			vps = true
		case roleSPS:
			sps = true
		case rolePPS:
			pps = true
		}
	})
	return sps && pps && (vps || t.Codec == H264)
}

// hasSet reports whether the configuration of t has exactly this NAL unit.
func (t *Track) hasSet(set []byte) bool {
	found := false
	t.eachSet(func(nalu []byte) { found = found || bytes.Equal(nalu, set) })
	return found
}

// trackOfSets returns t with the given parameter sets, one of each kind.
func trackOfSets(t *Track, sets ...[]byte) (*Track, error) {
	want := []naluRole{roleVPS, roleSPS, rolePPS}[3-len(sets):]
	for i, nalu := range sets {
		if roleOf(t.Codec, nalu) != want[i] {
			return nil, invalid("%v: parameter set %d is missing or of another type", t.Codec, i+1)
		}
	}
	return t.withSets(sets)
}

// A paramSet is a parameter set with the ids that bind sets together.
type paramSet struct {
	nalu []byte
	role naluRole
	id   uint32
	sps  uint32 // of a PPS: the SPS it is for
}

// parseParamSet reads the ids of a parameter set.
func parseParamSet(c Codec, nalu []byte) (paramSet, error) {
	p := paramSet{nalu: nalu, role: roleOf(c, nalu)}
	header := 1
	if c == H265 {
		header = 2
	}
	switch p.role {
	case roleSPS:
		if c == H265 {
			s, err := parseH265SPS(nalu)
			if err != nil {
				return p, err
			}
			p.id = uint32(s.ID)
			break
		}
		s, err := parseH264SPS(nalu)
		if err != nil {
			return p, err
		}
		p.id = s.ID
	case rolePPS: // pic_parameter_set_id, seq_parameter_set_id
		r := bitReader{b: h264.EmulationPreventionRemove(nalu[header:])}
		if p.id, p.sps = r.ue(), r.ue(); r.over {
			return p, short("PPS")
		}
	case roleVPS: // vps_video_parameter_set_id
		r := bitReader{b: nalu[header:]}
		if p.id = r.u(4); r.over {
			return p, short("VPS")
		}
	}
	return p, nil
}

// withSets returns t if its configuration has all the given parameter sets,
// else a new track whose configuration has them too. A set replaces the one of
// its kind and id; a replaced SPS takes along the PPSs that were made for it.
// The newest SPS comes first and tells the size.
func (t *Track) withSets(sets [][]byte) (*Track, error) {
	known := true
	for _, nalu := range sets {
		known = known && t.hasSet(nalu)
	}
	if known {
		return t, nil
	}
	var old, fresh []paramSet
	t.eachSet(func(nalu []byte) {
		if p, err := parseParamSet(t.Codec, nalu); err == nil && p.role.isSet() {
			old = append(old, p)
		}
	})
	for _, nalu := range sets {
		p, err := parseParamSet(t.Codec, nalu)
		if err != nil {
			return nil, err
		}
		fresh = slices.DeleteFunc(fresh, p.replaces)
		fresh = append(fresh, p)
	}
	for _, p := range fresh {
		changed := p.role == roleSPS && !t.hasSet(p.nalu) && slices.ContainsFunc(old, p.replaces)
		old = slices.DeleteFunc(old, func(o paramSet) bool {
			orphan := changed && o.role == rolePPS && o.sps == p.id
			return orphan || p.replaces(o)
		})
	}
	return t.withConfigOf(append(fresh, old...))
}

// replaces reports whether p takes the place of o.
func (p paramSet) replaces(o paramSet) bool { return p.role == o.role && p.id == o.id }

// withConfigOf returns a copy of t configured by the given sets alone.
func (t *Track) withConfigOf(sets []paramSet) (*Track, error) {
	of := func(role naluRole) (nalus [][]byte) {
		for _, p := range sets {
			if p.role == role {
				nalus = append(nalus, p.nalu)
			}
		}
		return nalus
	}
	size := 0
	for _, p := range sets {
		if size += len(p.nalu) + 2; len(p.nalu) > 0xffff || size > maxConfig {
			return nil, invalid("%v: more than %d bytes of parameter sets", t.Codec, maxConfig)
		}
	}
	if len(of(roleSPS)) > 31 || len(of(rolePPS)) > 255 {
		return nil, invalid("%v: too many parameter sets", t.Codec)
	}
	t2 := *t
	if t.Codec == H265 {
		c, err := newHEVCConfig(of(roleVPS), of(roleSPS), of(rolePPS))
		if err != nil {
			return nil, err
		}
		t2.Config = c.Append(nil)
	} else {
		c, err := newAVCConfig(of(roleSPS), of(rolePPS), of(roleSPSExt))
		if err != nil {
			return nil, err
		}
		t2.Config = c.Append(nil)
	}
	return &t2, t2.readSPS()
}

// readSPS fills in what the first SPS of the configuration tells. It does
// nothing without an SPS.
func (t *Track) readSPS() error {
	if t.ClockRate == 0 {
		t.ClockRate = videoClock
	}
	var sps []byte
	t.eachSet(func(nalu []byte) {
		if sps == nil && roleOf(t.Codec, nalu) == roleSPS {
			sps = nalu
		}
	})
	if sps == nil {
		return nil
	}
	var fps float64
	if t.Codec == H265 {
		s, err := parseH265SPS(sps)
		if err != nil {
			return err
		}
		t.Width, t.Height, fps = s.Width(), s.Height(), validRate(s.FPS())
	} else {
		s, err := parseH264SPS(sps)
		if err != nil {
			return err
		}
		t.Width, t.Height, fps = s.Width(), s.Height(), validRate(s.FPS())
	}
	if fps > 0 {
		t.FrameRate = fps
	}
	return nil
}
