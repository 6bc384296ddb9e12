package rtp

import "github.com/mediakit-go/mediakit/codec"

// l16Carriage is linear PCM of 16 bits in network byte order (RFC 3551, 4.5.11),
// which is the form of frame data.
func l16Carriage() carriage { return pcmCarriage(codec.L16, "L16", 2, codec.NewL16Track) }
