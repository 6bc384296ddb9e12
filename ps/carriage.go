package ps

import (
	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// Carries reports whether a program stream can carry t: H264, H265, MPEG-2 video,
// AAC that ADTS can frame, MP3, MP2, AC3, Opus in its usual channel layouts, G.711
// at 8 kHz in mono, G722, G723 and G729 as RTP has them, and opaque tracks of other
// program and transport streams.
func Carries(t *codec.Track) bool {
	_, ok := carriageOf(t)
	return ok
}

// carriageOf returns how t is carried. Its stream_id is that of the first stream of
// its kind; other such streams have those that follow it.
func carriageOf(t *codec.Track) (c pes.Carriage, ok bool) {
	switch {
	case t.Wire == pes.Wire:
		return opaqueCarriage(t)
	case t.Wire == "rtp" && t.Kind() != codec.KindAudio, t.Wire != "" && t.Wire != "rtp":
		return c, false
	}
	if streamType := bareType(t.Codec); streamType > 0 { // the payload of RTP is all there is
		return pes.Carriage{StreamType: streamType, StreamID: pes.IDAudio}, true
	}
	if t.Wire != "" {
		return c, false
	}
	c.StreamID, ok = pes.IDAudio, true
	switch t.Codec {
	case codec.H264:
		c.StreamType, c.StreamID = pes.TypeH264, pes.IDVideo
	case codec.H265:
		c.StreamType, c.StreamID = pes.TypeH265, pes.IDVideo
	case codec.MPEG2Video:
		c.StreamType, c.StreamID = pes.TypeMPEG2Video, pes.IDVideo
	case codec.AAC:
		c.StreamType = pes.TypeAAC
		_, err := codec.AppendADTS(nil, t, nil)
		ok = err == nil
	case codec.MP3, codec.MP2:
		c.StreamType = pes.MPEGAudioType(t)
	case codec.AC3:
		c.StreamType = pes.TypeAC3
	case codec.Opus: // the packets as they are; the descriptors tell the channels
		c.StreamType = pes.TypeOpus
		c.Descriptors, ok = pes.OpusDescriptor(t)
		c.Descriptors = append(pes.Registration("Opus"), c.Descriptors...)
	case codec.PCMA:
		c.StreamType, ok = pes.TypePCMA, pes.PlainG711(t)
	case codec.PCMU:
		c.StreamType, ok = pes.TypePCMU, pes.PlainG711(t)
	default:
		ok = false
	}
	return c, ok
}

// bareType returns the stream_type of audio whose frames nobody looks into; 0 if c
// is something else.
func bareType(c codec.Codec) byte {
	switch c {
	case codec.G722:
		return pes.TypeG722
	case codec.G723:
		return pes.TypeG723
	case codec.G729:
		return pes.TypeG729
	}
	return 0
}

// opaqueCarriage returns how a track of another program or transport stream is
// carried. Video and audio have stream_ids of such, so that there may be several.
func opaqueCarriage(t *codec.Track) (c pes.Carriage, ok bool) {
	if c, ok = pes.OpaqueCarriage(t); !ok {
		return c, false
	}
	switch t.Kind() {
	case codec.KindVideo:
		c.StreamID = pes.IDVideo
	case codec.KindAudio:
		c.StreamID = pes.IDAudio
	}
	return c, true
}

// lastID returns the last stream_id of the kind of which id is the first.
func lastID(id byte) byte {
	switch id {
	case pes.IDVideo:
		return id | 0x0f
	case pes.IDAudio:
		return id | 0x1f
	}
	return id
}
