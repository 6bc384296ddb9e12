package codec

import "time"

// mpegAudioHeader is the length of a header in bytes.
const mpegAudioHeader = 4

// mpegBitrates are the bit rates in kbit/s by index, of MPEG-1 layers II and
// III and of MPEG-2 (ISO/IEC 11172-3, 2.4.2.3; 13818-3, 2.4.2.3). Index 0 is the free
// format, 15 is forbidden.
var mpegBitrates = [3][15]int{
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// An mpegAudio is the header of an MPEG audio frame of layer II or III.
type mpegAudio struct {
	codec          Codec // MP2 or MP3
	rate, channels int
	samples        int // per channel
	size           int // bytes, header included; 0 in the free format, which does not tell
}

// parseMPEGAudio reads the header b begins with (ISO/IEC 11172-3, 2.4.1.3).
//
//	11 bits syncword, 2 version, 2 layer, 1 no checksum
//	4 bits bit rate, 2 sampling frequency, 1 padding, 1 private, 2 mode, 6 more
//
// Version 0 is MPEG-2.5, which halves the rates of MPEG-2 once more.
func parseMPEGAudio(b []byte) (h mpegAudio, err error) {
	if len(b) < mpegAudioHeader {
		return h, short("MPEG audio header")
	}
	version, layer := b[1]>>3&3, 4-b[1]>>1&3
	bitrate, rate := int(b[2]>>4), int(b[2]>>2&3)
	switch {
	case b[0] != 0xff || b[1]&0xe0 != 0xe0:
		return h, invalid("no MPEG audio syncword")
	case version == 1 || b[1]>>1&3 == 0 || layer == 1 || bitrate == 15 || rate == 3:
		return h, invalid("MPEG audio version %d, layer %d, bit rate %d, rate %d", version, layer, bitrate, rate)
	}
	h.rate = [3]int{44100, 48000, 32000}[rate] >> [4]int{2, 0, 1, 0}[version]
	h.channels = 2
	if b[3]>>6 == 3 {
		h.channels = 1
	}
	h.codec, h.samples = MP2, 1152
	row := 0
	if layer == 3 {
		h.codec, row = MP3, 1
		if version != 3 {
			h.samples = 576
		}
	}
	if version != 3 {
		row = 2
	}
	if bitrate > 0 {
		h.size = h.samples/8*mpegBitrates[row][bitrate]*1000/h.rate + int(b[2]>>1&1)
	}
	return h, nil
}

// NewMP3Track returns the track of an MPEG-1, MPEG-2 or MPEG-2.5 audio stream,
// whose rate and channels the header of this frame tells. Its codec is MP3 for
// layer III, MP2 for layer II. Errors wrap [ErrInvalid].
func NewMP3Track(id int, frame []byte) (*Track, error) {
	return (&Track{ID: id}).withMPEGAudio(frame)
}

// withMPEGAudio returns t as a frame's header describes it: t itself if it
// does already.
func (t *Track) withMPEGAudio(frame []byte) (*Track, error) {
	h, err := parseMPEGAudio(frame)
	if err != nil {
		return nil, err
	}
	if t.Codec == h.codec && t.SampleRate == h.rate && t.Channels == h.channels {
		return t, nil
	}
	t2 := *t
	t2.Codec, t2.ClockRate, t2.SampleRate, t2.Channels = h.codec, h.rate, h.rate, h.channels
	return &t2, nil
}

// MPEGAudioFrameSize returns the length of the MPEG audio frame (layer II or
// III) that b begins with, header included; it may exceed len(b). It is 0 for
// the free format, which does not tell. Errors wrap [ErrInvalid], and
// [io.ErrUnexpectedEOF] while b is shorter than a header.
func MPEGAudioFrameSize(b []byte) (int, error) {
	h, err := parseMPEGAudio(b)
	return h.size, err
}

// mpegAudioDuration returns how long the frames in b, which are alike, play.
func mpegAudioDuration(b []byte) time.Duration {
	first, err := parseMPEGAudio(b)
	if err != nil {
		return 0
	}
	samples := 0
	for h := first; err == nil; h, err = parseMPEGAudio(b) {
		samples += h.samples
		if h.size == 0 || h.size >= len(b) {
			break
		}
		b = b[h.size:]
	}
	return FromTicks(int64(samples), first.rate)
}
