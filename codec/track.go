package codec

import "fmt"

// A Track describes one elementary stream. It is immutable: new parameters (a
// new SPS, say) make a new *Track with the same ID, and the frames that need
// them point at it.
type Track struct {
	ID        int    // small, stable for the life of the stream
	Codec     Codec  //
	ClockRate int    // ticks per second the wire uses; 0 where the wire has none of its own
	Config    []byte // decoder configuration as ISO BMFF stores it: avcC, hvcC, av1C, vpcC, AudioSpecificConfig, dOps; nil where the codec has none

	Width, Height        int     // pixels, of video; 0 while unknown
	FrameRate            float64 // frames per second, of video; 0 while unknown
	SampleRate, Channels int     // Hz and count, of audio; 0 while unknown

	Synthetic bool   // made by this process (silent audio), not by the publisher
	Wire      string // "" for codecs that are converted; "rtp", "flv" or "pes" (MPEG-TS and MPEG-PS) for an opaque track bound to that wire
	WireKind  Kind   // of an opaque track: what its wire says it carries
	Name      string // of an opaque track: rtpmap encoding, FourCC, codec id or stream_type
	Params    string // of an opaque track: fmtp; of "pes" stream_id and descriptors in hexadecimal
}

// Kind tells whether the track is video, audio or data.
func (t *Track) Kind() Kind {
	if t.Codec == Opaque {
		return t.WireKind
	}
	return t.Codec.Kind()
}

// NeedsConfig reports whether decoding needs Config, so that the track is not
// ready to be announced while it is empty.
func (t *Track) NeedsConfig() bool {
	switch t.Codec {
	case H264, H265, AAC:
		return t.Wire == ""
	}
	return false
}

// Ready reports whether the track can be announced to viewers: it has what those
// need to know of it before its first frame. That is a Config with every kind of
// parameter set where decoding needs one; AV1 and AC-3, whose frames tell
// decoders all, need theirs in containers, and MPEG audio its sample rate.
func (t *Track) Ready() bool {
	if t.Wire != "" {
		return true
	}
	switch t.Codec {
	case H264, H265:
		return t.hasSets()
	case AAC, AV1, AC3:
		return len(t.Config) > 0
	case MP3, MP2:
		return t.SampleRate > 0
	}
	return true
}

// String returns a line for people, such as "video H264 1280x720".
func (t *Track) String() string {
	name := t.Codec.String()
	if t.Codec == Opaque && t.Name != "" {
		name = t.Name
	}
	switch {
	case t.Kind() == KindVideo && t.Width > 0:
		return fmt.Sprintf("video %s %dx%d", name, t.Width, t.Height)
	case t.Kind() == KindAudio && t.SampleRate > 0:
		return fmt.Sprintf("audio %s %d Hz %d ch", name, t.SampleRate, t.Channels)
	}
	return t.Kind().String() + " " + name
}
