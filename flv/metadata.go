package flv

import (
	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
)

// metadata returns the onMetaData body of the tracks in force (FLV E.5), between
// first and last. What is not known is left out; a live stream has no duration.
func (m *BodyMuxer) metadata(first, last amf.ECMAArray) Body {
	o := append(amf.ECMAArray{}, first...)
	add := func(name string, v any) { o = append(o, amf.Property{Name: name, Value: v}) }
	number := func(name string, v float64) {
		if v > 0 {
			add(name, v)
		}
	}
	if t := m.video; t != nil {
		number("width", float64(t.Width))
		number("height", float64(t.Height))
		number("framerate", t.FrameRate)
		number("videocodecid", m.codecNumber(t))
	}
	if t := m.audio; t != nil {
		if t.Codec == codec.PCMA || t.Codec == codec.PCMU {
			number("audiodatarate", float64(t.SampleRate*t.Channels*8)/1000)
		}
		number("audiosamplerate", float64(t.SampleRate))
		add("audiosamplesize", 16)
		add("stereo", t.Channels != 1)
		number("audiocodecid", m.codecNumber(t))
	}
	add("encoder", "MediaKit")
	o = append(o, last...)
	h := amf.Append(nil, "onMetaData")
	return Body{Type: TagScript, Track: -1, Header: true, Head: amf.Append(h, o)}
}

// codecNumber returns the codec id of t as onMetaData has it; 0 for opaque
// tracks.
func (m *BodyMuxer) codecNumber(t *codec.Track) float64 {
	if c, ok := carriageOf(t); ok {
		return c.number(m.form)
	}
	return 0
}
