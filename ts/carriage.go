package ts

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/mediakit-go/mediakit/codec"
)

// The stream_types that matter here (13818-1, table 2-34; ATSC A/53 part 3 for
// AC-3). Those of G.711 are ZLMediaKit's.
const (
	typeMPEG1Video  = 0x01
	typeMPEG2Video  = 0x02
	typeMPEG1Audio  = 0x03
	typeMPEG2Audio  = 0x04
	typeSections    = 0x05
	typePrivate     = 0x06
	typeAAC         = 0x0f // in ADTS
	typeLATM        = 0x11 // AAC in LATM, in LOAS
	typeH264        = 0x1b
	typeH265        = 0x24
	typeAC3         = 0x81
	typePCMA        = 0x90
	typePCMU        = 0x91
	tagRegistration = 0x05
	tagAC3          = 0x6a // DVB (ETSI EN 300 468, annex D)
	tagExtension    = 0x7f
	tagOpus         = 0x80 // an extension (ETSI TS 101 154, Opus in MPEG-2 TS)
)

const (
	mpeg1Rates = 32000 // Hz and above: MPEG-1 audio, else MPEG-2
	g711Rate   = 8000
)

// A carriage is how a track stands in a PMT and in PES packets.
type carriage struct {
	streamType  byte
	streamID    byte
	descriptors []byte
}

// registration returns a registration descriptor (2.6.8).
func registration(id string) []byte { return append([]byte{tagRegistration, 4}, id...) }

// Carries reports whether a transport stream can carry t: H264, H265, MPEG-2
// video, AAC that ADTS can frame, MP3, MP2, AC3, Opus in its usual channel
// layouts, G.711 at 8 kHz in mono, and opaque tracks of other transport streams.
func Carries(t *codec.Track) bool {
	_, ok := carriageOf(t)
	return ok
}

// carriageOf returns how t is carried.
func carriageOf(t *codec.Track) (c carriage, ok bool) {
	if t.Wire != "" {
		return opaqueCarriage(t)
	}
	switch t.Codec {
	case codec.H264:
		return carriage{typeH264, idVideo, nil}, true
	case codec.H265:
		return carriage{typeH265, idVideo, registration("HEVC")}, true
	case codec.MPEG2Video:
		return carriage{typeMPEG2Video, idVideo, nil}, true
	case codec.AAC:
		_, err := codec.AppendADTS(nil, t, nil)
		return carriage{typeAAC, idAudio, nil}, err == nil
	case codec.MP3, codec.MP2:
		if t.SampleRate > 0 && t.SampleRate < mpeg1Rates {
			return carriage{typeMPEG2Audio, idAudio, nil}, true
		}
		return carriage{typeMPEG1Audio, idAudio, nil}, true
	case codec.AC3:
		return carriage{typeAC3, idPrivate1, registration("AC-3")}, true
	case codec.Opus:
		d, ok := opusDescriptor(t)
		return carriage{typePrivate, idPrivate1, append(registration("Opus"), d...)}, ok
	case codec.PCMA:
		return carriage{typePCMA, idAudio, nil}, plainG711(t)
	case codec.PCMU:
		return carriage{typePCMU, idAudio, nil}, plainG711(t)
	}
	return c, false
}

// plainG711 tells whether t is what a reader takes G.711 for, as nothing tells
// rate and channels.
func plainG711(t *codec.Track) bool { return t.SampleRate == g711Rate && t.Channels == 1 }

// wire is Track.Wire of opaque tracks. A frame is the payload of a PES packet.
const wire = "ts"

// opaqueTrack returns the track of an elementary stream that is passed through
// only. Name is its stream_type, Params are the stream_id of its PES packets and
// its descriptors.
func opaqueTrack(id int, e elementary, streamID byte) *codec.Track {
	t := &codec.Track{
		ID: id, ClockRate: clockRate, Wire: wire, Name: fmt.Sprintf("0x%02x", e.streamType),
		Params: hex.EncodeToString(append([]byte{streamID}, e.descriptors...)),
	}
	switch {
	case streamID&0xf0 == idVideo:
		t.WireKind = codec.KindVideo
	case streamID&0xe0 == idAudio || isAudioType(e):
		t.WireKind = codec.KindAudio
	}
	return t
}

// isAudioType tells whether e is audio whose PES packets do not say so: E-AC-3,
// DTS, SMPTE 302M.
func isAudioType(e elementary) bool {
	switch e.streamType {
	case 0x82, 0x85, 0x87, 0x8a:
		return true
	case typePrivate:
		audio := false
		eachDescriptor(e.descriptors, func(tag byte, data []byte) {
			switch tag {
			case 0x7a, 0x7b, 0x7c: // DVB: E-AC-3, DTS, AAC
				audio = true
			case tagRegistration:
				for _, id := range []string{"EAC3", "DTS1", "DTS2", "DTS3", "BSSD"} {
					audio = audio || bytes.HasPrefix(data, []byte(id))
				}
			}
		})
		return audio
	}
	return false
}

// opaqueCarriage undoes opaqueTrack.
func opaqueCarriage(t *codec.Track) (c carriage, ok bool) {
	params, err := hex.DecodeString(t.Params)
	if t.Wire != wire || err != nil || len(params) == 0 || len(params) > 256 || !hasPESHeader(params[0]) {
		return c, false
	}
	if _, err := fmt.Sscanf(t.Name, "0x%02x", &c.streamType); err != nil {
		return c, false
	}
	c.streamID, c.descriptors = params[0], params[1:]
	return c, true
}

// A content is what an elementary stream is said to carry.
type content struct {
	codec codec.Codec // MP3 stands for MP2 too; Opaque for what is passed through
	latm  bool
	opus  int // channels
}

// contentOf returns what e carries; false if it has no PES packets. program has
// the descriptors of the program.
func contentOf(program []byte, e elementary) (c content, ok bool) {
	switch e.streamType {
	case typeMPEG1Video, typeMPEG2Video:
		c.codec = codec.MPEG2Video
	case typeMPEG1Audio, typeMPEG2Audio:
		c.codec = codec.MP3
	case typeAAC:
		c.codec = codec.AAC
	case typeLATM:
		c.codec, c.latm = codec.AAC, true
	case typeH264:
		c.codec = codec.H264
	case typeH265:
		c.codec = codec.H265
	case typeAC3:
		c.codec = codec.AC3
	case typePCMA, typePCMU:
		if registered(program, "HDMV") { // Blu-ray: subtitles
			break
		}
		c.codec = codec.PCMA
		if e.streamType == typePCMU {
			c.codec = codec.PCMU
		}
	case typePrivate:
		return privateContent(e), true
	case typeSections, 0x0b, 0x0c, 0x0d, 0x14, 0x86: // DSM-CC, SCTE 35
		return c, false
	}
	return c, true
}

// registered reports whether there is a registration descriptor for id.
func registered(descriptors []byte, id string) (found bool) {
	eachDescriptor(descriptors, func(tag byte, data []byte) {
		found = found || tag == tagRegistration && bytes.HasPrefix(data, []byte(id))
	})
	return found
}

// privateContent returns what a stream of private PES packets carries.
func privateContent(e elementary) (c content) {
	switch {
	case registered(e.descriptors, "Opus"):
		c.codec = codec.Opus
	case registered(e.descriptors, "HEVC"):
		c.codec = codec.H265
	case registered(e.descriptors, "AC-3"):
		c.codec = codec.AC3
	}
	eachDescriptor(e.descriptors, func(tag byte, data []byte) {
		switch {
		case tag == tagAC3 && c.codec == codec.Opaque:
			c.codec = codec.AC3
		case tag == tagExtension && c.codec == codec.Opus && len(data) > 1 && data[0] == tagOpus:
			c.opus = opusChannels(data[1:])
		}
	})
	return c
}
