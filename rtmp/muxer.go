package rtmp

import (
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// FeedFormat returns the form in which viewers are sent a stream: every packet
// is one whole message in chunks of 60000 bytes, the first with a full header,
// so that a viewer can start at any. form says how codecs that FLV has no id for
// are coded.
func FeedFormat(form flv.Form) source.Format {
	f := source.Format{
		Name:   "rtmp",
		Schema: "rtmp",
		New: func(tracks []*codec.Track) (source.Muxer, error) {
			return newMuxer(tracks, form), nil
		},
	}
	if form == flv.FormLegacy {
		f.Variant = "legacy"
	}
	return f
}

// maxBody is the longest body whose length a chunk's header can hold.
const maxBody = 1<<24 - 1

// A muxer makes messages of frames.
type muxer struct {
	body   *flv.BodyMuxer
	header []byte
	bodies []flv.Body // of one frame; kept for its memory
}

func newMuxer(tracks []*codec.Track, form flv.Form) *muxer {
	m := &muxer{body: flv.NewBodyMuxer(tracks, form)}
	m.configure()
	return m
}

// configure makes the header of the tracks in force: onMetaData and sequence
// headers, at time 0 whatever the time of the stream.
func (m *muxer) configure() {
	m.header = nil
	for _, b := range m.body.Config() {
		m.header = appendBody(m.header, &b)
	}
}

// Header returns what a late joiner is sent first.
func (m *muxer) Header() []byte { return m.header }

// PlayFilm implements source.FilmMuxer.
func (m *muxer) PlayFilm(length time.Duration) {
	m.body.PlayFilm(length)
	m.configure()
}

// Carries implements source.Carrier.
func (m *muxer) Carries(t *codec.Track) bool { return m.body.Writes(t) }

// Append appends the messages that f makes.
func (m *muxer) Append(dst []source.Packet, f *codec.Frame) ([]source.Packet, error) {
	var err error
	m.bodies, err = m.body.Append(m.bodies[:0], f)
	changed := false
	for i := range m.bodies {
		b := &m.bodies[i]
		if b.Len() > maxBody {
			return dst, fmt.Errorf("rtmp: frame of %d bytes is too long for a message", b.Len())
		}
		dst = append(dst, source.Packet{
			Track:  b.Track,
			Key:    b.Key,
			Header: b.Header,
			DTS:    b.DTS,
			Wire:   appendBody(nil, b),
		})
		changed = changed || b.Header
	}
	clear(m.bodies)
	if changed {
		m.configure()
	}
	return dst, err
}

// appendBody appends the message of b to dst. If dst is nil the message is
// allocated in one piece.
func appendBody(dst []byte, b *flv.Body) []byte {
	stamp := timestamp(b.DTS)
	if dst == nil {
		dst = make([]byte, 0, wire.MessageSize(stamp, chunkSize, b.Len()))
	}
	chunkStream := uint8(wire.ChunkStreamData)
	switch b.Type {
	case flv.TagAudio:
		chunkStream = wire.ChunkStreamAudio
	case flv.TagVideo:
		chunkStream = wire.ChunkStreamVideo
	}
	return wire.AppendMessage(dst, chunkStream, wire.Type(b.Type), streamID, stamp, chunkSize, b.Head, b.Data)
}

// timestamp returns a time as messages have it: milliseconds, wrapping.
func timestamp(t time.Duration) uint32 { return uint32(codec.Ticks(t, 1000)) }
