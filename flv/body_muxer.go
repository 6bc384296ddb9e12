package flv

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
)

// A BodyMuxer turns frames into bodies. It carries one video and one audio
// track, the first of each that FLV can carry.
type BodyMuxer struct {
	form         Form
	video, audio *codec.Track // the descriptions in force; nil while there is none
	arena        []byte       // heads are cut from here
	length       float64      // seconds; 0: a live stream
}

// NewBodyMuxer returns a muxer for a stream that begins with these tracks. The
// others appear with their first frames.
func NewBodyMuxer(tracks []*codec.Track, form Form) *BodyMuxer {
	m := &BodyMuxer{form: form}
	for _, t := range tracks {
		if slot := m.slot(t); slot != nil && *slot == nil && m.Carries(t) {
			*slot = t
		}
	}
	return m
}

// PlayFilm makes Config tell how long the film is.
func (m *BodyMuxer) PlayFilm(length time.Duration) { m.length = length.Seconds() }

// Carries reports whether FLV has a code for t.
func (m *BodyMuxer) Carries(t *codec.Track) bool {
	if t.Wire == "flv" {
		return t.Kind() != codec.KindData
	}
	_, ok := carriageOf(t)
	return ok
}

// Writes reports whether frames of t make bodies: FLV has a code for it, and it is
// the first track of its kind.
func (m *BodyMuxer) Writes(t *codec.Track) bool {
	slot := m.slot(t)
	return slot != nil && m.Carries(t) && (*slot == nil || (*slot).ID == t.ID)
}

// slot returns where the track of t's kind is kept, or nil.
func (m *BodyMuxer) slot(t *codec.Track) **codec.Track {
	switch t.Kind() {
	case codec.KindVideo:
		return &m.video
	case codec.KindAudio:
		return &m.audio
	}
	return nil
}

// Config returns what a late joiner needs before the next frame: onMetaData and
// the sequence headers in force, at time 0.
func (m *BodyMuxer) Config() []Body {
	var first amf.ECMAArray
	if m.length > 0 {
		first = amf.ECMAArray{{Name: "duration", Value: m.length}}
	}
	bodies := []Body{m.metadata(first, nil)}
	bodies = m.appendSequenceHeader(bodies, m.video, 0)
	return m.appendSequenceHeader(bodies, m.audio, 0)
}

// Append appends the bodies of f to dst: a sequence header first if f.Track is
// new or needs another decoder set-up than the one before, then the frame. A
// frame that FLV cannot carry makes none. There is no metadata in mid-stream:
// ffmpeg makes another stream of it; who joins later finds it in Config.
func (m *BodyMuxer) Append(dst []Body, f *codec.Frame) ([]Body, error) {
	slot := m.slot(f.Track)
	if slot == nil || !m.Carries(f.Track) {
		return dst, nil
	}
	if last := *slot; last != f.Track {
		if last != nil && last.ID != f.Track.ID {
			return dst, nil // a second track of this kind
		}
		*slot = f.Track
		if last == nil || !last.SameConfig(f.Track) || last.Width != f.Track.Width || last.Height != f.Track.Height {
			dst = m.appendSequenceHeader(dst, f.Track, bodyDTS(f))
		}
	}
	b := Body{Type: TagAudio, Track: f.Track.ID, DTS: bodyDTS(f), Data: f.Data}
	if f.Track.Kind() == codec.KindVideo {
		b.Type, b.Key = TagVideo, f.Key()
	} else {
		b.Key = m.video == nil
	}
	if f.Track.Codec != codec.Opaque {
		b.Head = m.head(f)
	}
	return append(dst, b), nil
}

// bodyDTS returns the decoding time of f on this wire, which has no times before
// the start.
func bodyDTS(f *codec.Frame) time.Duration { return max(f.DTS, 0) }

// head returns what stands before the data of f.
func (m *BodyMuxer) head(f *codec.Frame) []byte {
	c, _ := carriageOf(f.Track)
	id := c.id(m.form)
	frame := byte(frameInter)
	if f.Key() {
		frame = frameKey
	}
	h := m.grab()
	switch {
	case f.Track.Kind() == codec.KindAudio:
		h = appendAudioHead(h, f.Track, c, id, packetFrames)
	case id != 0:
		h = append(h, frame<<4|id, packetFrames)
		h = appendOffset(h, f)
	default:
		h = append(h, 0x80|frame<<4|packetFrames)
		h = append(h, c.fourCC...)
		if hasOffset(c.codec) {
			h = appendOffset(h, f)
		}
	}
	return m.keep(h)
}

// maxHead is the length of the longest head: flags, FourCC, offset.
const maxHead = 8

// grab returns an empty slice with room for a head, which keep then takes out of
// the arena: one allocation serves some hundred frames, and a head stays valid.
func (m *BodyMuxer) grab() []byte {
	if cap(m.arena) < maxHead {
		m.arena = make([]byte, 0, 1024)
	}
	return m.arena[:0:maxHead]
}

func (m *BodyMuxer) keep(h []byte) []byte {
	m.arena = m.arena[len(h):cap(m.arena)][:0]
	return h[:len(h):len(h)]
}

// appendOffset appends the composition time offset of f, signed 24 bits of
// milliseconds: the difference of the times as the wire has them.
func appendOffset(h []byte, f *codec.Frame) []byte {
	const limit = 1<<23 - 1
	cts := codec.Ticks(f.PTS, 1000) - codec.Ticks(bodyDTS(f), 1000)
	cts = max(-limit, min(cts, limit))
	return append(h, byte(cts>>16), byte(cts>>8), byte(cts))
}

// appendAudioHead appends the head of an audio body. FLV's sound rates are 5.5,
// 11, 22 and 44.1 kHz; for AAC the flags are fixed (E.4.2.1), for the others
// decoders look into the stream, so the nearest rate is written.
func appendAudioHead(h []byte, t *codec.Track, c carriage, id, packet uint8) []byte {
	if id == 0 {
		h = append(h, idExAudio<<4|packet)
		return append(h, c.fourCC...)
	}
	const sample16 = 1 << 1
	flags := byte(sample16)
	if t.Channels != 1 {
		flags |= 1
	}
	switch {
	case t.SampleRate >= 32000 || id == idOpus:
		flags |= 3 << 2
	case t.SampleRate >= 16000:
		flags |= 2 << 2
	case t.SampleRate >= 11025:
		flags |= 1 << 2
	case id == idMP3 && t.SampleRate == 8000:
		id = idMP3At8k
	}
	if id == idAAC {
		return append(h, 0xaf, packet)
	}
	return append(h, id<<4|flags)
}

// appendSequenceHeader appends the body that sets up t's decoder, if there is
// such a thing.
func (m *BodyMuxer) appendSequenceHeader(dst []Body, t *codec.Track, dts time.Duration) []Body {
	if t == nil || len(t.Config) == 0 {
		return dst
	}
	b := Body{Type: TagVideo, Track: t.ID, Header: true, DTS: dts, Data: t.Config}
	if t.Kind() == codec.KindAudio {
		b.Type = TagAudio
	}
	c, ok := carriageOf(t)
	if !ok { // opaque: the configuration is a whole body
		return append(dst, b)
	}
	id := c.id(m.form)
	h := m.grab()
	switch {
	case t.Kind() == codec.KindAudio && id != 0 && id != idAAC:
		return dst // the ids of FLV's time have no sequence header but for AAC
	case t.Kind() == codec.KindAudio:
		h = appendAudioHead(h, t, c, id, packetStart)
	case id != 0:
		h = append(h, frameKey<<4|id, packetStart, 0, 0, 0)
	default:
		h = append(h, 0x80|frameKey<<4|packetStart)
		h = append(h, c.fourCC...)
	}
	b.Head = m.keep(h)
	if t.Codec == codec.Opus {
		b.Data = t.OpusHead()
	}
	return append(dst, b)
}
