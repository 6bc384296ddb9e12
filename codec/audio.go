package codec

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
)

// NewG711Track returns the track of a G.711 stream; c is PCMA or PCMU. A zero
// sampleRate means 8000 Hz, zero channels mean one.
func NewG711Track(id int, c Codec, sampleRate, channels int) *Track {
	if sampleRate <= 0 {
		sampleRate = 8000
	}
	return &Track{ID: id, Codec: c, ClockRate: sampleRate, SampleRate: sampleRate, Channels: max(channels, 1)}
}

// NewL16Track returns the track of linear PCM with samples of 16 bits. A zero
// sampleRate means 44100 Hz, zero channels mean one.
func NewL16Track(id, sampleRate, channels int) *Track {
	if sampleRate <= 0 {
		sampleRate = 44100
	}
	return &Track{ID: id, Codec: L16, ClockRate: sampleRate, SampleRate: sampleRate, Channels: max(channels, 1)}
}

// FrameDuration returns how long an audio frame plays, or 0 if its codec or
// its data do not tell.
func FrameDuration(f *Frame) time.Duration {
	t, samples := f.Track, 0
	switch t.Codec {
	case AAC:
		if a, err := parseASC(t.Config); err == nil {
			samples = a.samples()
		}
	case Opus:
		return FromTicks(opus.PacketDuration2(f.Data), opusRate)
	case MP3, MP2:
		return mpegAudioDuration(f.Data)
	case PCMA, PCMU:
		samples = len(f.Data) / max(t.Channels, 1)
	case L16:
		samples = len(f.Data) / 2 / max(t.Channels, 1)
	case AC3:
		samples = 1536 // ETSI TS 102 366, 4.1: six blocks of 256
	}
	if samples == 0 || t.SampleRate <= 0 {
		return 0
	}
	return FromTicks(int64(samples), t.SampleRate)
}
