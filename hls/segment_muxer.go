package hls

import (
	"fmt"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// A muxer makes the bytes of segments; where they are cut is decided for it. Its
// tracks and their parameters never change.
type muxer interface {
	// header returns the initialization segment; nil if there is none.
	header() []byte
	// tracks returns those that are carried.
	tracks() []*codec.Track
	// changes reports whether f needs another muxer.
	changes(f *codec.Frame) bool
	// begin appends what a segment begins with.
	begin(dst []byte) []byte
	// write takes the next frame, and may append it at once.
	write(dst []byte, f *codec.Frame) ([]byte, error)
	// cut appends what of the frames written is not in dst yet. next is written
	// after it; nil if nothing is.
	cut(dst []byte, next *codec.Frame) []byte
	// back cuts before the last frame of the track that leads: mark was the
	// length of dst before that was written. It returns where the cut is.
	back(dst []byte, mark int) ([]byte, int)
}

// newMuxer returns the muxer of a container.
func (c Container) newMuxer(tracks []*codec.Track) (muxer, error) {
	if c == FMP4 {
		m, err := mp4.NewMuxer(tracks)
		if err != nil {
			return nil, err
		}
		return &fragmentMuxer{mux: m, carried: m.Tracks()}, nil
	}
	m := &packetMuxer{}
	for _, t := range tracks {
		if t.Ready() && ts.Carries(t) {
			m.carried = append(m.carried, t)
		}
	}
	if len(m.carried) == 0 {
		return nil, fmt.Errorf("hls: no track that can be carried: %w", source.ErrUnsupported)
	}
	m.mux = ts.NewMuxer(m.carried)
	return m, nil
}

// trackOf returns the track with this ID; nil if there is none.
func trackOf(tracks []*codec.Track, id int) *codec.Track {
	for _, t := range tracks {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// A packetMuxer makes segments of MPEG-TS.
type packetMuxer struct {
	mux     *ts.Muxer
	carried []*codec.Track
}

func (m *packetMuxer) header() []byte          { return nil }
func (m *packetMuxer) tracks() []*codec.Track  { return m.carried }
func (m *packetMuxer) begin(dst []byte) []byte { return m.mux.AppendTables(dst) }

func (m *packetMuxer) changes(f *codec.Frame) bool {
	t := trackOf(m.carried, f.Track.ID)
	switch {
	case t == f.Track:
		return false
	case t == nil:
		return f.Track.Ready() && ts.Carries(f.Track)
	}
	return !t.SameConfig(f.Track) || t.Width != f.Track.Width || t.Height != f.Track.Height
}

func (m *packetMuxer) write(dst []byte, f *codec.Frame) ([]byte, error) { return m.mux.Append(dst, f) }
func (m *packetMuxer) cut(dst []byte, _ *codec.Frame) []byte            { return dst }
func (m *packetMuxer) back(dst []byte, mark int) ([]byte, int)          { return dst, mark }

// A fragmentMuxer makes segments of fragmented MP4. A frame has to be followed
// by another of its track before it is in a fragment.
type fragmentMuxer struct {
	mux     *mp4.Muxer
	carried []*codec.Track
	taken   *codec.Frame // that cut was told of: the muxer has it already
	err     error        // of that
}

func (m *fragmentMuxer) header() []byte              { return m.mux.Init() }
func (m *fragmentMuxer) tracks() []*codec.Track      { return m.carried }
func (m *fragmentMuxer) changes(f *codec.Frame) bool { return m.mux.Changes(f) }
func (m *fragmentMuxer) begin(dst []byte) []byte     { return dst }

func (m *fragmentMuxer) write(dst []byte, f *codec.Frame) ([]byte, error) {
	if f == m.taken {
		m.taken = nil
		return dst, m.err
	}
	return dst, m.mux.Add(f)
}

func (m *fragmentMuxer) cut(dst []byte, next *codec.Frame) []byte {
	if next == nil {
		m.mux.Flush()
	} else if next != m.taken {
		m.mux.FlushAudio() // players take sound that is missing at the end of a part for a gap
		m.taken, m.err = next, m.mux.Add(next)
	}
	return m.mux.AppendFragment(dst)
}

func (m *fragmentMuxer) back(dst []byte, _ int) ([]byte, int) {
	dst = m.mux.AppendFragment(dst)
	return dst, len(dst)
}
