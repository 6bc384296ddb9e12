package codec

// NewVP8Track returns the track of a VP8 stream that begins with this key
// frame, whose header tells the size (RFC 6386, 9.1). With a nil keyFrame the
// size is unknown. Errors wrap [ErrInvalid].
func NewVP8Track(id int, keyFrame []byte) (*Track, error) {
	t := &Track{ID: id, Codec: VP8, ClockRate: videoClock, Config: defaultVPC.append(nil)}
	if keyFrame == nil {
		return t, nil
	}
	return t.withVP8(keyFrame)
}

// withVP8 returns t as a key frame describes it: t itself if it does already.
//
//	3 bytes: size, show_frame, version, !key_frame (the lowest bit)
//	3 bytes: start code 9d 01 2a
//	2 bytes: scale, width; 2 bytes: scale, height; both little-endian
func (t *Track) withVP8(f []byte) (*Track, error) {
	if len(f) < 10 {
		return nil, short("VP8 frame header")
	}
	if f[0]&1 != 0 || f[3] != 0x9d || f[4] != 0x01 || f[5] != 0x2a {
		return nil, invalid("VP8 frame: not a key frame")
	}
	v := defaultVPC
	v.profile = f[0] >> 1 & 7
	return t.withVPC(v, int(f[7]&0x3f)<<8|int(f[6]), int(f[9]&0x3f)<<8|int(f[8]))
}
