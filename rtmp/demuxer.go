package rtmp

import (
	"fmt"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
)

// A demuxer makes frames of audio, video and data messages.
type demuxer struct {
	clock   clock
	body    flv.BodyDemuxer
	dropped func(error) // called for a message that cannot be parsed
}

// append appends the frames that m holds to dst. They keep m's body. Messages of
// other types, and aggregates in aggregates, hold none. An error is one too many;
// a single message that cannot be parsed is left out.
func (d *demuxer) append(dst []*codec.Frame, m *wire.Message) ([]*codec.Frame, error) {
	typ, body := flv.TagType(m.Type), m.Body
	switch m.Type {
	case wire.TypeAudio, wire.TypeVideo:
	case wire.TypeData, wire.TypeDataAMF3:
		typ, body = flv.TagScript, wire.ScriptTag(m.Type, m.Body)
	default:
		return dst, nil
	}
	dst, err := d.body.Append(dst, typ, d.clock.unwrap(m.Timestamp), body)
	if err != nil {
		d.dropped(err)
		if d.body.Hopeless() {
			return dst, fmt.Errorf("%w: too many bad frames: %w", ErrProtocol, err)
		}
	}
	return dst, nil
}
