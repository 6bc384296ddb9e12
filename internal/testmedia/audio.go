package testmedia

import "github.com/mediakit-go/mediakit/codec"

// An audio makes the frames of an audio track.
type audio struct {
	payload *payload
	track   *codec.Track
	header  []byte // of every frame
	size    int    // of a frame, in bytes
	samples int    // of a frame
	n       int    // frames made
}

// newAudio returns nil for codec.Opaque.
func newAudio(c codec.Codec, p *payload) *audio {
	if c == codec.Opaque {
		return nil
	}
	a := &audio{payload: p, track: Track(AudioID, c)}
	switch c {
	case codec.AAC:
		a.header, a.size, a.samples = []byte{0x21}, 341, 1024 // a channel pair; 128 kbit/s
	case codec.Opus:
		a.header, a.size, a.samples = []byte{0xfc}, 160, 960 // one CELT frame of 20 ms, stereo; 64 kbit/s
	case codec.PCMA, codec.PCMU:
		a.size, a.samples = 160, 160 // 20 ms
	case codec.L16:
		a.size, a.samples = 1920, 480 // 10 ms
	case codec.MP3:
		a.header, a.size, a.samples = unhex(mp3Header1), 384, 1152
	case codec.MP2:
		a.header, a.size, a.samples = unhex(mp2Header1), 384, 1152
	case codec.AC3:
		a.header, a.size, a.samples = unhex(ac3Header1), 768, 1536
	}
	return a
}

func (a *audio) next() *codec.Frame {
	t := at(a.n*a.samples, a.track.SampleRate)
	a.n++
	data := append(make([]byte, 0, a.size), a.header...)
	return &codec.Frame{
		Track: a.track, DTS: t, PTS: t, Flags: codec.FlagKey,
		Data: a.payload.append(data, a.size-len(data)),
	}
}
