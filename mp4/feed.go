package mp4

import (
	"fmt"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// schema is what viewers are counted by, and the name of the format.
const schema = "fmp4"

// FeedFormat returns the format of live HTTP-fMP4 and WebSocket-fMP4: each packet
// is a fragment of one frame, the header an initialization segment. Viewers of
// both share the bytes. New parameters of a track make a new initialization
// segment, and key frames repeat parameter sets from then on ([Muxer.RepeatSets]);
// a track that comes late, or has another codec, ends the stream for its viewers
// (source.ErrNewFormat).
func FeedFormat() source.Format {
	return source.Format{Name: schema, Schema: schema, New: func(tracks []*codec.Track) (source.Muxer, error) {
		mux, err := NewMuxer(tracks)
		if err != nil {
			return nil, err
		}
		return &feedMuxer{mux: mux}, nil
	}}
}

// A feedMuxer muxes a feed. It implements source.Flusher.
type feedMuxer struct {
	mux *Muxer
}

// Header returns the initialization segment in force; nil while the first key
// frame has not told how large the pictures are, which makes another one before
// anything is shown: browsers give up at pictures without a size.
func (m *feedMuxer) Header() []byte {
	for _, t := range m.mux.tracks {
		if !sized(t.track) {
			return nil
		}
	}
	return m.mux.Init()
}

// Carries implements source.Carrier.
func (m *feedMuxer) Carries(t *codec.Track) bool { return Carries(t) }

// Append makes a packet of the frame that f completes.
func (m *feedMuxer) Append(dst []source.Packet, f *codec.Frame) ([]source.Packet, error) {
	t := m.mux.find(f.Track.ID)
	if t == nil {
		if ready(f.Track) {
			return dst, fmt.Errorf("mp4: %v comes late: %w", f.Track, source.ErrNewFormat)
		}
		return dst, nil
	}
	changed := t.changes(f.Track)
	if changed && (t.track.Codec != f.Track.Codec || !ready(f.Track)) {
		return dst, fmt.Errorf("mp4: %v becomes %v: %w", t.track, f.Track, source.ErrNewFormat)
	}
	before := t.held
	if err := m.mux.add(t, f); err != nil {
		return dst, err
	}
	if before != nil {
		p := m.packet(before)
		// The header is the next segment's already: nobody can start here.
		p.Key = p.Key && !changed
		dst = append(dst, p)
	}
	if changed {
		t.track, t.scale = f.Track, scaleOf(f.Track)
		t.repeatSets()
		m.mux.makeInit()
		p := framed(len(m.mux.init), func(b []byte) []byte { return append(b, m.mux.init...) })
		p.Track, p.Header, p.DTS = f.Track.ID, true, f.DTS
		dst = append(dst, p)
	}
	return dst, nil
}

// Flush makes packets of the frames that were held back.
func (m *feedMuxer) Flush(dst []source.Packet) []source.Packet {
	for _, t := range m.mux.tracks {
		if f := t.held; f != nil {
			m.mux.complete(t, -1)
			dst = append(dst, m.packet(f))
		}
	}
	return dst
}

// packet returns the fragment that is ready, of one frame.
func (m *feedMuxer) packet(f *codec.Frame) source.Packet {
	_, n := m.mux.fragmentLen()
	p := framed(n, m.mux.AppendFragment)
	p.Track, p.DTS, p.Key = f.Track.ID, f.DTS, m.startsAt(f)
	return p
}

// startsAt reports whether a viewer can start at f: a key frame of the first
// video track, or any frame where there is no video.
func (m *feedMuxer) startsAt(f *codec.Frame) bool {
	for _, t := range m.mux.tracks {
		if t.track.Kind() == codec.KindVideo {
			return t.track.ID == f.Track.ID && f.Key()
		}
	}
	return true
}

// framed returns a packet of n bytes, which body appends: one allocation, the
// WebSocket header before them.
func framed(n int, body func([]byte) []byte) source.Packet {
	room := livehttp.HeaderLen(n)
	b := livehttp.AppendBinaryHeader(make([]byte, 0, room+n), n)
	b = body(b)
	return source.Packet{Wire: b[room:], Framed: b}
}
