package pes

import (
	"bytes"

	"github.com/mediakit-go/mediakit/codec"
)

// The stream_types that matter here (13818-1, table 2-34; ATSC A/53 part 3 for
// AC-3).
const (
	TypeMPEG1Video = 0x01
	TypeMPEG2Video = 0x02
	TypeMPEG1Audio = 0x03
	TypeMPEG2Audio = 0x04
	TypeSections   = 0x05
	TypePrivate    = 0x06
	TypeAAC        = 0x0f // in ADTS
	TypeLATM       = 0x11 // AAC in LATM, in LOAS
	TypeH264       = 0x1b
	TypeH265       = 0x24
	TypeAC3        = 0x81
)

// The stream_types that GB/T 28181 has beyond those (2016, annex C, table C.1 and
// C.2); those of µ-law and Opus are ZLMediaKit's.
const (
	TypeSVACVideo = 0x80
	TypePCMA      = 0x90
	TypePCMU      = 0x91
	TypeG722      = 0x92
	TypeG723      = 0x93
	TypeG729      = 0x99
	TypeSVACAudio = 0x9b
	TypeOpus      = 0x9c
)

// The descriptors that matter here (13818-1, 2.6).
const (
	tagRegistration = 0x05
	tagAC3          = 0x6a // DVB (ETSI EN 300 468, annex D)
	tagExtension    = 0x7f
	tagOpus         = 0x80 // an extension (ETSI TS 101 154, Opus in MPEG-2 TS)
)

// mpeg1Rates are those of MPEG-1 audio, in Hz, and above; the others MPEG-2's.
const mpeg1Rates = 32000

// G711Rate is the sampling rate of G.711, of which no stream tells it, in Hz. It
// has one channel.
const G711Rate = 8000

// PlainG711 tells whether t is what a reader takes G.711 for.
func PlainG711(t *codec.Track) bool { return t.SampleRate == G711Rate && t.Channels == 1 }

// MPEGAudioType returns the stream_type of a track of MP2 or MP3.
func MPEGAudioType(t *codec.Track) byte {
	if t.SampleRate > 0 && t.SampleRate < mpeg1Rates {
		return TypeMPEG2Audio
	}
	return TypeMPEG1Audio
}

// A Carriage is how a track stands in the table of a program and in PES packets.
type Carriage struct {
	StreamType  byte
	StreamID    byte
	Descriptors []byte
}

// Registration returns a registration descriptor (2.6.8).
func Registration(id string) []byte { return append([]byte{tagRegistration, 4}, id...) }

// EachDescriptor calls fn for each descriptor of a list (2.6.1).
func EachDescriptor(b []byte, fn func(tag byte, data []byte)) {
	for len(b) >= 2 && int(b[1]) <= len(b)-2 {
		n := 2 + int(b[1])
		fn(b[0], b[2:n])
		b = b[n:]
	}
}

// registered reports whether there is a registration descriptor for id.
func registered(descriptors []byte, id string) (found bool) {
	EachDescriptor(descriptors, func(tag byte, data []byte) {
		found = found || tag == tagRegistration && bytes.HasPrefix(data, []byte(id))
	})
	return found
}

// A Content is what an elementary stream is said to carry.
type Content struct {
	Codec codec.Codec // MP3 stands for MP2 too; Opaque for what is not understood
	LATM  bool        // AAC is in LATM, else in ADTS
	Opus  int         // channels; 0 if nothing tells
}

// Passes tells whether the stream is passed through only: it is not understood, or
// of a codec that nobody converts.
func (c Content) Passes() bool {
	switch c.Codec {
	case codec.H264, codec.H265, codec.MPEG2Video, codec.AAC, codec.Opus, codec.PCMA, codec.PCMU, codec.MP3, codec.AC3:
		return false
	}
	return true
}

// ContentOf returns what a stream of this type carries; false if it has no PES
// packets. program has the descriptors of the program.
func ContentOf(program []byte, streamType byte, descriptors []byte) (c Content, ok bool) {
	switch streamType {
	case TypeMPEG1Video, TypeMPEG2Video:
		c.Codec = codec.MPEG2Video
	case TypeMPEG1Audio, TypeMPEG2Audio:
		c.Codec = codec.MP3
	case TypeAAC:
		c.Codec = codec.AAC
	case TypeLATM:
		c.Codec, c.LATM = codec.AAC, true
	case TypeH264:
		c.Codec = codec.H264
	case TypeH265:
		c.Codec = codec.H265
	case TypeAC3:
		c.Codec = codec.AC3
	case TypePCMA, TypePCMU:
		if registered(program, "HDMV") { // Blu-ray: subtitles
			break
		}
		c.Codec = codec.PCMA
		if streamType == TypePCMU {
			c.Codec = codec.PCMU
		}
	case TypePrivate:
		return privateContent(descriptors), true
	case TypeSections, 0x0b, 0x0c, 0x0d, 0x14, 0x86: // DSM-CC, SCTE 35
		return c, false
	}
	return c, true
}

// privateContent returns what a stream of private PES packets carries.
func privateContent(descriptors []byte) (c Content) {
	switch {
	case registered(descriptors, "Opus"):
		c.Codec = codec.Opus
	case registered(descriptors, "HEVC"):
		c.Codec = codec.H265
	case registered(descriptors, "AC-3"):
		c.Codec = codec.AC3
	}
	EachDescriptor(descriptors, func(tag byte, data []byte) {
		switch {
		case tag == tagAC3 && c.Codec == codec.Opaque:
			c.Codec = codec.AC3
		case tag == tagExtension && c.Codec == codec.Opus && len(data) > 1 && data[0] == tagOpus:
			c.Opus = opusChannels(data[1:])
		}
	})
	return c
}
