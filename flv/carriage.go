package flv

import (
	"encoding/binary"

	"github.com/mediakit-go/mediakit/codec"
)

// A Form chooses how codecs are written that FLV itself has no id for. Reading
// accepts both.
type Form uint8

// The forms.
const (
	// FormStandard writes FLV's own ids where they exist (H264, AAC, MP3, G711)
	// and Enhanced RTMP's FourCC for the others.
	FormStandard Form = iota
	// FormLegacy writes the ids that Chinese networks and older players use:
	// video 12 H265, 13 AV1, 14 VP8, 15 VP9, audio 13 Opus. What has none is
	// written as in FormStandard.
	FormLegacy
)

// String returns "standard" or "legacy".
func (f Form) String() string {
	if f == FormLegacy {
		return "legacy"
	}
	return "standard"
}

// A carriage is how FLV carries a codec: by an id of its own (FLV E.4.2.1,
// E.4.3.1), by one that others added, or by FourCC (Enhanced RTMP v2, "Extended
// AudioTagHeader" and "Extended VideoTagHeader"). 0 and "" mean not at all.
type carriage struct {
	codec  codec.Codec
	own    uint8
	legacy uint8
	fourCC string
}

// Ids that more than the table needs to know.
const (
	idMP3      = 2
	idPCMA     = 7
	idPCMU     = 8
	idExAudio  = 9 // a FourCC follows
	idAAC      = 10
	idOpus     = 13
	idMP3At8k  = 14
	idH264     = 7
	idVP9      = 15
	idH265     = 12
	frameKey   = 1
	frameInter = 2
	frameInfo  = 5 // a command for Flash players, no picture
)

var videoCarriage = [...]carriage{
	{codec.H264, idH264, 0, "avc1"},
	{codec.H265, 0, idH265, "hvc1"},
	{codec.AV1, 0, 13, "av01"},
	{codec.VP8, 0, 14, "vp08"},
	{codec.VP9, 0, idVP9, "vp09"},
	{codec.H266, 0, 0, "vvc1"},
}

var audioCarriage = [...]carriage{
	{codec.AAC, idAAC, 0, "mp4a"},
	{codec.MP3, idMP3, 0, ".mp3"},
	{codec.PCMA, idPCMA, 0, ""},
	{codec.PCMU, idPCMU, 0, ""},
	{codec.Opus, 0, idOpus, "Opus"},
	{codec.AC3, 0, 0, "ac-3"},
}

// carriages returns the table of a kind.
func carriages(k codec.Kind) []carriage {
	switch k {
	case codec.KindVideo:
		return videoCarriage[:]
	case codec.KindAudio:
		return audioCarriage[:]
	}
	return nil
}

// carriageOf returns how t is carried.
func carriageOf(t *codec.Track) (carriage, bool) {
	for _, c := range carriages(t.Kind()) {
		if c.codec == t.Codec && t.Wire == "" {
			return c, true
		}
	}
	return carriage{}, false
}

// codecOfID returns the codec with an id of FLV's own or a legacy one; Opaque if
// there is none.
func codecOfID(k codec.Kind, id uint8) codec.Codec {
	if k == codec.KindAudio && id == idMP3At8k {
		return codec.MP3
	}
	for _, c := range carriages(k) {
		if id != 0 && (c.own == id || c.legacy == id) {
			return c.codec
		}
	}
	return codec.Opaque
}

// codecOfFourCC returns the codec with a FourCC; Opaque if there is none.
func codecOfFourCC(k codec.Kind, fourCC string) codec.Codec {
	if fourCC == "hev1" { // H265 with parameter sets in band; not in the specification, but sent
		return codec.H265
	}
	for _, c := range carriages(k) {
		if fourCC != "" && c.fourCC == fourCC {
			return c.codec
		}
	}
	return codec.Opaque
}

// id returns the codec id that the form f uses for c, or 0 for the FourCC.
func (c carriage) id(f Form) uint8 {
	if c.own == 0 && f == FormLegacy {
		return c.legacy
	}
	return c.own
}

// number returns what onMetaData says of the codec: the id, or the FourCC as a
// number (Enhanced RTMP v2, "onMetaData").
func (c carriage) number(f Form) float64 {
	if id := c.id(f); id != 0 {
		return float64(id)
	}
	return float64(binary.BigEndian.Uint32([]byte(c.fourCC)))
}

// hasOffset reports whether enhanced frames of the codec have a composition
// time offset.
func hasOffset(c codec.Codec) bool {
	return c == codec.H264 || c == codec.H265 || c == codec.H266
}
