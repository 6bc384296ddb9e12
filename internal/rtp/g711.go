package rtp

import "github.com/mediakit-go/mediakit/codec"

// pcmaCarriage is A-law G.711 (RFC 3551, 4.5.14).
func pcmaCarriage() carriage { return g711Carriage(codec.PCMA, "PCMA") }

// pcmuCarriage is mu-law G.711 (RFC 3551, 4.5.14).
func pcmuCarriage() carriage { return g711Carriage(codec.PCMU, "PCMU") }

func g711Carriage(c codec.Codec, name string) carriage {
	return pcmCarriage(c, name, 1, func(id, rate, channels int) *codec.Track {
		return codec.NewG711Track(id, c, rate, channels)
	})
}
