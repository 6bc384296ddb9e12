package wire

// ScriptTag returns the body of the FLV script tag that the body b of a data
// message of type t, TypeData or TypeDataAMF3, is (RTMP 1.0, section 7.1.2). It
// shares b's memory.
func ScriptTag(t Type, b []byte) []byte {
	if t == TypeDataAMF3 && len(b) > 0 && b[0] == formatAMF0 {
		b = b[1:]
	}
	return b
}
