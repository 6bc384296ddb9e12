package flv

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// FeedFormat returns the format of live HTTP-FLV and WebSocket-FLV: each packet
// is a tag with its PreviousTagSize, and the header what an FLV stream begins
// with. Viewers of both share the bytes.
func FeedFormat(form Form) source.Format {
	f := source.Format{Name: "flv", Schema: schema, New: func(tracks []*codec.Track) (source.Muxer, error) {
		return &feedMuxer{mux: NewBodyMuxer(tracks, form)}, nil
	}}
	if form != FormStandard {
		f.Variant = form.String()
	}
	return f
}

// schema is what FLV viewers are counted by: FLV is RTMP on another transport.
const schema = "rtmp"

// A feedMuxer muxes a feed.
type feedMuxer struct {
	mux    *BodyMuxer
	header []byte // nil after a change
	bodies []Body
}

// Header returns FLV header, metadata and sequence headers.
func (m *feedMuxer) Header() []byte {
	if m.header == nil {
		b := appendFileHeader(nil, m.mux.video != nil, m.mux.audio != nil)
		for _, body := range m.mux.Config() {
			b = appendTag(b, &body)
		}
		m.header = b
	}
	return m.header
}

// PlayFilm implements source.FilmMuxer.
func (m *feedMuxer) PlayFilm(length time.Duration) {
	m.mux.PlayFilm(length)
	m.header = nil
}

// Carries implements source.Carrier.
func (m *feedMuxer) Carries(t *codec.Track) bool { return m.mux.Writes(t) }

// Append makes a packet of each body of f.
func (m *feedMuxer) Append(dst []source.Packet, f *codec.Frame) ([]source.Packet, error) {
	var err error
	m.bodies, err = m.mux.Append(m.bodies[:0], f)
	for i := range m.bodies {
		b := &m.bodies[i]
		if err := checkTag(b); err != nil {
			return dst, err
		}
		if b.Header {
			m.header = nil
		}
		dst = append(dst, packet(b))
	}
	clear(m.bodies)
	return dst, err
}

// packet returns the tag that holds b: one allocation, the WebSocket header
// before it.
func packet(b *Body) source.Packet {
	n := tagLen(b)
	room := livehttp.HeaderLen(n)
	framed := livehttp.AppendBinaryHeader(make([]byte, 0, room+n), n)
	framed = appendTag(framed, b)
	return source.Packet{
		Track: b.Track, Key: b.Key, Header: b.Header, DTS: b.DTS,
		Wire: framed[room:], Framed: framed,
	}
}
