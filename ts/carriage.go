package ts

import (
	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// Carries reports whether a transport stream can carry t: H264, H265, MPEG-2
// video, AAC that ADTS can frame, MP3, MP2, AC3, Opus in its usual channel
// layouts, G.711 at 8 kHz in mono, and opaque tracks of other transport streams
// or of program streams.
func Carries(t *codec.Track) bool {
	_, ok := carriageOf(t)
	return ok
}

// carriageOf returns how t is carried. The stream types of G.711 are ZLMediaKit's.
func carriageOf(t *codec.Track) (c pes.Carriage, ok bool) {
	if t.Wire != "" {
		return pes.OpaqueCarriage(t)
	}
	switch t.Codec {
	case codec.H264:
		return pes.Carriage{StreamType: pes.TypeH264, StreamID: pes.IDVideo}, true
	case codec.H265:
		return pes.Carriage{StreamType: pes.TypeH265, StreamID: pes.IDVideo, Descriptors: pes.Registration("HEVC")}, true
	case codec.MPEG2Video:
		return pes.Carriage{StreamType: pes.TypeMPEG2Video, StreamID: pes.IDVideo}, true
	case codec.AAC:
		_, err := codec.AppendADTS(nil, t, nil)
		return pes.Carriage{StreamType: pes.TypeAAC, StreamID: pes.IDAudio}, err == nil
	case codec.MP3, codec.MP2:
		return pes.Carriage{StreamType: pes.MPEGAudioType(t), StreamID: pes.IDAudio}, true
	case codec.AC3:
		return pes.Carriage{StreamType: pes.TypeAC3, StreamID: pes.IDPrivate1, Descriptors: pes.Registration("AC-3")}, true
	case codec.Opus:
		d, ok := pes.OpusDescriptor(t)
		d = append(pes.Registration("Opus"), d...)
		return pes.Carriage{StreamType: pes.TypePrivate, StreamID: pes.IDPrivate1, Descriptors: d}, ok
	case codec.PCMA:
		return pes.Carriage{StreamType: pes.TypePCMA, StreamID: pes.IDAudio}, pes.PlainG711(t)
	case codec.PCMU:
		return pes.Carriage{StreamType: pes.TypePCMU, StreamID: pes.IDAudio}, pes.PlainG711(t)
	}
	return c, false
}
