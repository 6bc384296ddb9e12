package rtp

import "github.com/mediakit-go/mediakit/codec"

// pcmCarriage is how codecs with a fixed number of bytes per sample travel
// (RFC 3551, 4.3): a payload is any number of samples, those of all channels
// together.
func pcmCarriage(c codec.Codec, name string, bytesPerSample int, newTrack func(id, rate, channels int) *codec.Track) carriage {
	return carriage{
		codec: c,
		names: []string{name},
		describe: func(t *codec.Track, p *Payload) bool {
			p.ClockRate = t.SampleRate
			if t.Channels > 1 {
				p.Channels = t.Channels
			}
			return t.Channels > 0 && t.Channels <= maxChannels
		},
		track: func(p *Payload, t *codec.Track) (*codec.Track, error) {
			if p.Channels > maxChannels {
				return nil, invalid("%s with %d channels", name, p.Channels)
			}
			return newTrack(t.ID, p.ClockRate, max(p.Channels, 1)), nil
		},
		packer: func(t *codec.Track) packer { return pcmPacker{bytesPerSample * t.Channels} },
		unpacker: func(_ *Payload, t *codec.Track) (Depacketizer, error) {
			return pcmUnpacker{t, bytesPerSample * t.Channels}, nil
		},
	}
}

// maxChannels is how many channels a sample may have; each packet holds several.
const maxChannels = 32

// A pcmPacker packs samples that take so many bytes with all their channels.
type pcmPacker struct{ size int }

// pack writes packets of about equal length. At 8 kHz a full one lasts 170 ms,
// below the 200 ms that receivers are asked to take (RFC 3551, 4.2).
func (k pcmPacker) pack(w *packetWriter, f *codec.Frame) error {
	samples, room := len(f.Data)/k.size, w.room()/k.size
	if room == 0 {
		return invalid("no room for samples of %d bytes", k.size)
	}
	start := w.timestamp
	packets := (samples + room - 1) / room
	for i := range packets {
		from, to := samples*i/packets, samples*(i+1)/packets
		w.timestamp = start + uint32(from)
		w.packet((to-from)*k.size, false)
		w.b = append(w.b, f.Data[from*k.size:to*k.size]...)
	}
	return nil
}

// A pcmUnpacker yields each payload as a unit, without what is no whole sample.
type pcmUnpacker struct {
	track *codec.Track
	size  int
}

func (u pcmUnpacker) Append(dst []Unit, p *Packet, _ bool) ([]Unit, error) {
	n := len(p.Payload) / u.size * u.size
	if n == 0 {
		return dst, nil
	}
	return append(dst, Unit{Track: u.track, Timestamp: p.Timestamp, Data: p.Payload[:n:n], Flags: codec.FlagKey}), nil
}
