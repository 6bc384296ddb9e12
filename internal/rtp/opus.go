package rtp

import "github.com/mediakit-go/mediakit/codec"

// opusCarriage is Opus by RFC 7587: a packet is a payload, the rtpmap says
// 48000 Hz and two channels whatever is inside, sprop-stereo tells more. More
// than two channels have no place there.
func opusCarriage() carriage {
	return carriage{
		codec: codec.Opus,
		names: []string{"opus"},
		describe: func(t *codec.Track, p *Payload) bool {
			stereo := "1"
			if t.Channels == 1 {
				stereo = "0"
			}
			p.ClockRate, p.Channels = opusClock, 2
			p.Params = []Parameter{{"sprop-stereo", stereo}}
			return t.Channels <= 2
		},
		track: func(p *Payload, t *codec.Track) (*codec.Track, error) {
			channels := 2 // a decoder of two channels loses nothing if the sender does not tell
			if p.Param("sprop-stereo") == "0" {
				channels = 1
			}
			opus := codec.NewOpusTrack(t.ID, channels)
			opus.ClockRate = p.ClockRate
			return opus, nil
		},
		packer:   func(*codec.Track) packer { return opusPacker{} },
		unpacker: func(_ *Payload, t *codec.Track) (Depacketizer, error) { return opusUnpacker{t}, nil },
	}
}

// opusClock is the clock of every Opus stream (RFC 7587, 4.1).
const opusClock = 48000

type opusPacker struct{}

// pack writes one packet: a payload is never split or shared (RFC 7587, 4.2).
func (opusPacker) pack(w *packetWriter, f *codec.Frame) error { return w.whole(f.Data, false) }

type opusUnpacker struct{ track *codec.Track }

func (u opusUnpacker) Append(dst []Unit, p *Packet, _ bool) ([]Unit, error) {
	if len(p.Payload) == 0 {
		return dst, nil
	}
	return append(dst, Unit{Track: u.track, Timestamp: p.Timestamp, Data: p.Payload, Flags: codec.FlagKey}), nil
}
