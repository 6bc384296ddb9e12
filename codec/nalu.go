package codec

// A naluRole is what a NAL unit is to the functions here.
type naluRole uint8

const (
	rolePicture naluRole = iota // slices and whatever else stays in a frame
	roleKey                     // a slice of a picture at which decoding can start
	roleSEI                     // H.264 only: may hold a recovery point
	roleNothing                 // access unit delimiters and units too short to be any
	roleVPS
	roleSPS
	rolePPS
	roleSPSExt // H.264 only: sequence parameter set extension
)

// kept tells whether frame data holds units of this role.
func (r naluRole) kept() bool { return r < roleNothing }

// isSet tells whether the unit belongs in the decoder configuration.
func (r naluRole) isSet() bool { return r > roleNothing }

// roleOf reads the NAL unit type: ITU-T H.264, table 7-1; H.265, table 7-1.
func roleOf(c Codec, nalu []byte) naluRole {
	if c == H265 {
		if len(nalu) < 2 {
			return roleNothing
		}
		switch t := nalu[0] >> 1 & 0x3f; {
		case t >= 16 && t <= 21: // BLA, IDR, CRA
			return roleKey
		case t == 32:
			return roleVPS
		case t == 33:
			return roleSPS
		case t == 34:
			return rolePPS
		case t == 35:
			return roleNothing
		}
		return rolePicture
	}
	if len(nalu) == 0 {
		return roleNothing
	}
	switch nalu[0] & 0x1f {
	case 5:
		return roleKey
	case 6:
		return roleSEI
	case 7:
		return roleSPS
	case 8:
		return rolePPS
	case 9:
		return roleNothing
	case 13:
		return roleSPSExt
	}
	return rolePicture
}

// recoveryPoint is the SEI payload type of a recovery point (H.264, D.1.8).
const recoveryPoint = 6

// hasRecoveryPoint tells whether an H.264 SEI unit holds a recovery point
// message (H.264, 7.3.2.3.1).
func hasRecoveryPoint(nalu []byte) bool {
	b, zeros := nalu[1:], 0
	next := func() (v byte, ok bool) { // a byte without emulation prevention (7.4.1)
		if zeros >= 2 && len(b) > 0 && b[0] == 3 {
			b, zeros = b[1:], 0
		}
		if len(b) == 0 {
			return 0, false
		}
		v, b = b[0], b[1:]
		if zeros++; v != 0 {
			zeros = 0
		}
		return v, true
	}
	number := func() (n int, ok bool) { // ff_byte … last_byte
		for {
			v, ok := next()
			if n += int(v); !ok || v != 0xff {
				return n, ok
			}
		}
	}
	for len(b) > 1 { // the last byte holds the trailing bits
		kind, _ := number()
		size, ok := number()
		if !ok {
			return false
		}
		if kind == recoveryPoint {
			return true
		}
		for range size {
			if _, ok := next(); !ok {
				return false
			}
		}
	}
	return false
}
