package codec

import "strconv"

// A Codec identifies the coding of an elementary stream.
type Codec uint8

// The codecs that are converted between protocols, then those which are
// recognised and passed through only. Opaque is any other encoding; such a
// track is bound to the wire it came from, see [Track.Wire].
const (
	Opaque Codec = iota

	H264
	H265
	AV1
	VP8
	VP9
	MJPEG
	MPEG2Video
	AAC
	Opus
	PCMA
	PCMU
	MP3
	MP2
	L16
	AC3

	H266
	SVACVideo
	SVACAudio
	ADPCM
	G722
	G723
	G728
	G729

	codecEnd
)

// A Kind is what a track carries.
type Kind uint8

// The kinds of tracks.
const (
	KindData Kind = iota
	KindVideo
	KindAudio
)

// String returns "video", "audio" or "data".
func (k Kind) String() string {
	switch k {
	case KindVideo:
		return "video"
	case KindAudio:
		return "audio"
	}
	return "data"
}

var codecNames = [codecEnd]string{
	Opaque: "opaque", H264: "H264", H265: "H265", AV1: "AV1", VP8: "VP8", VP9: "VP9",
	MJPEG: "MJPEG", MPEG2Video: "MPEG-2 video", AAC: "AAC", Opus: "Opus", PCMA: "PCMA",
	PCMU: "PCMU", MP3: "MP3", MP2: "MP2", L16: "L16", AC3: "AC-3", H266: "H266",
	SVACVideo: "SVAC video", SVACAudio: "SVAC audio", ADPCM: "ADPCM", G722: "G722",
	G723: "G723", G728: "G728", G729: "G729",
}

// String returns the codec's usual name, such as "H264".
func (c Codec) String() string {
	if c < codecEnd {
		return codecNames[c]
	}
	return "codec " + strconv.Itoa(int(c))
}

// Kind tells whether c codes video or audio; KindData for Opaque.
func (c Codec) Kind() Kind {
	switch c {
	case H264, H265, AV1, VP8, VP9, MJPEG, MPEG2Video, H266, SVACVideo:
		return KindVideo
	case AAC, Opus, PCMA, PCMU, MP3, MP2, L16, AC3, SVACAudio, ADPCM, G722, G723, G728, G729:
		return KindAudio
	}
	return KindData
}
