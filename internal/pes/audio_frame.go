package pes

import (
	"errors"
	"io"

	"github.com/mediakit-go/mediakit/codec"
)

// errInvalid is of bytes that are no audio frame.
var errInvalid = errors.New("pes: no audio frame")

// FrameSize returns the length of the audio frame that b begins with. It may exceed
// len(b); the error wraps io.ErrUnexpectedEOF while b is too short to tell.
func (c Content) FrameSize(b []byte) (int, error) {
	switch {
	case c.LATM:
		return loasSize(b)
	case c.Codec == codec.AAC:
		return codec.ADTSFrameSize(b)
	case c.Codec == codec.AC3:
		return ac3Size(b)
	}
	n, err := codec.MPEGAudioFrameSize(b)
	if err == nil && n == 0 { // the free format
		n = len(b)
	}
	return n, err
}

// loasSize returns the length of a frame of AudioSyncStream (ISO/IEC 14496-3,
// 1.7.2): 11 bits syncword, 13 bits length of what follows.
func loasSize(b []byte) (int, error) {
	if len(b) < 3 {
		return 0, io.ErrUnexpectedEOF
	}
	if b[0] != 0x56 || b[1]&0xe0 != 0xe0 {
		return 0, errInvalid
	}
	return loasHeader + int(b[1]&0x1f)<<8 + int(b[2]), nil
}

const loasHeader = 3

// ac3Rates are the bit rates of AC-3 in kbit/s by frmsizecod, without its lowest
// bit (ETSI TS 102 366, 4.4.1.4).
var ac3Rates = [19]int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640}

// ac3Size returns the length of an AC-3 frame: 1536 samples, rounded down to 16
// bits at 44.1 kHz, where every other frame has 16 bits more.
func ac3Size(b []byte) (int, error) {
	if len(b) < 5 {
		return 0, io.ErrUnexpectedEOF
	}
	fscod, code := b[4]>>6, int(b[4]&0x3f)
	if b[0] != 0x0b || b[1] != 0x77 || fscod == 3 || code/2 >= len(ac3Rates) {
		return 0, errInvalid
	}
	rate := ac3Rates[code/2]
	switch fscod {
	case 0:
		return rate * 4, nil
	case 1:
		return 2 * (rate*320/147 + code&1), nil
	}
	return rate * 6, nil
}
