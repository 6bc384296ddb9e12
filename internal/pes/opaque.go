package pes

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/mediakit-go/mediakit/codec"
)

// Wire is Track.Wire of tracks that are passed through. A frame is the payload of
// a PES packet.
const Wire = "pes"

// OpaqueTrack returns the track of an elementary stream that is passed through
// only; c may be one of the codecs for which that is all that is done. Name is the
// stream_type, Params are the stream_id of the PES packets and the descriptors.
func OpaqueTrack(id int, c codec.Codec, carriage Carriage) *codec.Track {
	t := &codec.Track{
		ID: id, Codec: c, ClockRate: ClockRate, Wire: Wire, Name: fmt.Sprintf("0x%02x", carriage.StreamType),
		Params: hex.EncodeToString(append([]byte{carriage.StreamID}, carriage.Descriptors...)),
	}
	switch {
	case c != codec.Opaque:
		t.WireKind = c.Kind()
	case IsVideo(carriage.StreamID):
		t.WireKind = codec.KindVideo
	case IsAudio(carriage.StreamID) || isAudioType(carriage.StreamType, carriage.Descriptors):
		t.WireKind = codec.KindAudio
	}
	return t
}

// OpaqueCarriage undoes [OpaqueTrack].
func OpaqueCarriage(t *codec.Track) (c Carriage, ok bool) {
	params, err := hex.DecodeString(t.Params)
	if t.Wire != Wire || err != nil || len(params) == 0 || len(params) > 256 || !HasFlags(params[0]) {
		return c, false
	}
	if _, err := fmt.Sscanf(t.Name, "0x%02x", &c.StreamType); err != nil {
		return c, false
	}
	c.StreamID, c.Descriptors = params[0], params[1:]
	return c, true
}

// isAudioType tells whether a stream is audio whose PES packets do not say so:
// E-AC-3, DTS, SMPTE 302M.
func isAudioType(streamType byte, descriptors []byte) bool {
	switch streamType {
	case 0x82, 0x85, 0x87, 0x8a:
		return true
	case TypePrivate:
		audio := false
		EachDescriptor(descriptors, func(tag byte, data []byte) {
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
