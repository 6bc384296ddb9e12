package mp4

import (
	"github.com/mediakit-go/mediakit/codec"
)

// videoScale is the timescale of video tracks, in Hz. Those of audio have the
// sample rate.
const videoScale = 90000

// The object type indications that matter here (ISO/IEC 14496-1, 7.2.6.6, and
// the registration authority's list).
const (
	objectAAC         = 0x40
	objectMPEG2Video  = 0x61 // main profile; 0x60 to 0x65 are profiles of it
	objectMPEG2AAC    = 0x66 // main profile, 0x67 low complexity, 0x68 scalable rate
	objectMPEG2Audio  = 0x69 // layers I to III at the lower rates
	objectMPEG1Audio  = 0x6b
	objectJPEG        = 0x6c
	firstMPEG2Profile = 0x60
	lastMPEG2Profile  = 0x65
	lastMPEG2AAC      = 0x68
)

// A carriage is how MP4 carries a codec: the type of the sample entry and the
// box in there that holds Track.Config; esds holds it in descriptors. Entries
// without a box have nothing to configure.
type carriage struct {
	codec  codec.Codec
	entry  string
	config string
	object byte   // of an esds
	brand  string // what the binding of the codec asks a file to say; may be empty
}

// carriages has one row for each codec that is written.
var carriages = [...]carriage{
	{codec.H264, "avc1", "avcC", 0, "avc1"}, // ISO/IEC 14496-15, 5.4
	{codec.H265, "hvc1", "hvcC", 0, ""},     // ISO/IEC 14496-15, 8.4
	{codec.AV1, "av01", "av1C", 0, "av01"},  // AV1 Codec ISO Media File Format Binding, 2
	{codec.VP8, "vp08", "vpcC", 0, ""},      // VP Codec ISO Media File Format Binding, 2
	{codec.VP9, "vp09", "vpcC", 0, ""},
	{codec.MJPEG, "mp4v", "esds", objectJPEG, ""}, // ISO/IEC 14496-14, 5.6
	{codec.MPEG2Video, "mp4v", "esds", objectMPEG2Video, ""},
	{codec.AAC, "mp4a", "esds", objectAAC, ""},
	{codec.MP3, "mp4a", "esds", objectMPEG1Audio, ""},
	{codec.MP2, "mp4a", "esds", objectMPEG1Audio, ""},
	{codec.Opus, "Opus", "dOps", 0, ""}, // Encapsulation of Opus in ISO Base Media File Format, 4.3
	{codec.AC3, "ac-3", "dac3", 0, ""},  // ETSI TS 102 366, annex F
	{codec.PCMA, "alaw", "", 0, ""},     // QuickTime File Format, "Sound Media"
	{codec.PCMU, "ulaw", "", 0, ""},
	{codec.L16, "ipcm", "pcmC", 0, ""}, // ISO/IEC 23003-5
}

// carriageOf returns how t is carried; false if it is not.
func carriageOf(t *codec.Track) (carriage, bool) {
	for _, c := range carriages {
		if c.codec == t.Codec && t.Wire == "" {
			return c, true
		}
	}
	return carriage{}, false
}

// Carries reports whether MP4 has a sample entry for the codec of t. A track
// whose configuration is still unknown is written once it has one.
func Carries(t *codec.Track) bool {
	_, ok := carriageOf(t)
	return ok
}

// ready reports whether all is known that the sample entry of t takes.
func ready(t *codec.Track) bool {
	switch {
	case !Carries(t) || !t.Ready():
		return false
	case t.Kind() == codec.KindAudio:
		return t.SampleRate > 0
	}
	return true
}

// sized reports whether the size of t's pictures is known, or never will be: the
// codecs that can be announced without it tell it in their key frames, but for
// MPEG-2 video, whose frames nobody looks into.
func sized(t *codec.Track) bool {
	return t.Width > 0 || t.Kind() != codec.KindVideo || t.Codec == codec.MPEG2Video
}

// scaleOf returns the timescale of t.
func scaleOf(t *codec.Track) int {
	if t.Kind() == codec.KindAudio {
		return t.SampleRate
	}
	return videoScale
}

// mpeg2Rates are the rates below which MPEG audio is that of MPEG-2 (ISO/IEC
// 13818-3), in Hz.
const mpeg2Rates = 32000

// objectOf returns the object type indication of t.
func (c carriage) objectOf(t *codec.Track) byte {
	if c.object == objectMPEG1Audio && t.SampleRate < mpeg2Rates {
		return objectMPEG2Audio
	}
	return c.object
}

// codecOfObject returns the codec with an object type indication; Opaque if
// there is none. MPEG audio may be of layer II as well as III: its frames tell.
func codecOfObject(kind codec.Kind, object byte) codec.Codec {
	switch {
	case kind == codec.KindVideo && object == objectJPEG:
		return codec.MJPEG
	case kind == codec.KindVideo && object >= firstMPEG2Profile && object <= lastMPEG2Profile:
		return codec.MPEG2Video
	case kind == codec.KindAudio && (object == objectAAC || object >= objectMPEG2AAC && object <= lastMPEG2AAC):
		return codec.AAC
	case kind == codec.KindAudio && (object == objectMPEG1Audio || object == objectMPEG2Audio):
		return codec.MP3
	}
	return codec.Opaque
}
