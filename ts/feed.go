package ts

import (
	"fmt"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// schema is what viewers are counted by.
const schema = "ts"

// FeedFormat returns the format of live HTTP-TS and WebSocket-TS: a packet is the
// transport packets of a frame, tables included, and the header is the tables.
// Viewers of both share the bytes. A stream of which nothing can be carried is an
// error that wraps source.ErrUnsupported.
func FeedFormat() source.Format {
	return source.Format{Name: "ts", Schema: schema, New: func(tracks []*codec.Track) (source.Muxer, error) {
		m := &feedMuxer{mux: NewMuxer(tracks)}
		if len(tracks) > 0 && m.mux.clock == nil {
			return nil, fmt.Errorf("ts: %w: none of %v", source.ErrUnsupported, tracks)
		}
		return m, nil
	}}
}

// A feedMuxer muxes a feed. It makes no Header packets: tables are in the key
// packets, and are repeated.
type feedMuxer struct {
	mux    *Muxer
	tabled bool // the last packet has tables
	header []byte
}

// Header returns the tables, with the counters that come before those in the
// stream.
func (m *feedMuxer) Header() []byte {
	if m.header == nil {
		m.header = m.mux.previousTables(m.tabled)
	}
	return m.header
}

// Carries implements source.Carrier.
func (m *feedMuxer) Carries(t *codec.Track) bool { return Carries(t) }

// Append makes one packet of f: one allocation, the WebSocket header before it. A
// viewer can start at the frames of the track that has the clock, of video at its
// key frames.
func (m *feedMuxer) Append(dst []source.Packet, f *codec.Frame) ([]source.Packet, error) {
	p, ok, err := m.mux.plan(f)
	if !ok || err != nil {
		return dst, err
	}
	if p.tables || m.tabled {
		m.header = nil
	}
	m.tabled = p.tables
	room := livehttp.HeaderLen(p.size)
	framed := livehttp.AppendBinaryHeader(make([]byte, 0, room+p.size), p.size)
	framed = m.mux.write(framed, &p)
	return append(dst, source.Packet{
		Track: f.Track.ID, Key: p.s == m.mux.clock && (f.Key() || !p.s.video() || p.s.opaque()),
		DTS: f.DTS, Wire: framed[room:], Framed: framed,
	}), nil
}
