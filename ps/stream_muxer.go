package ps

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// schema is what viewers are counted by.
const schema = "rtp"

// A streamForm is what the RTP packets of a stream are like. Who is sent a stream in
// one form is sent the same packets.
type streamForm struct {
	payload     Payload // not PayloadAuto
	payloadType uint8
	ssrc        uint32
	onlyAudio   bool
	join        time.Duration // of G.711 in a frame; 0: frames as they are
}

// format returns f as a feed has it: each packet is the RTP packets of a frame, in
// the framing of RFC 4571.
func (f streamForm) format() source.Format {
	return source.Format{
		Name:    "rtp",
		Variant: fmt.Sprintf("%d %d %08X %t %v", f.payload, f.payloadType, f.ssrc, f.onlyAudio, f.join),
		Schema:  schema,
		New: func(tracks []*codec.Track) (source.Muxer, error) {
			if len(tracks) > 0 && !f.carriesAny(tracks) {
				return nil, fmt.Errorf("ps: %w: none of %v", source.ErrUnsupported, tracks)
			}
			return newStreamMuxer(f, tracks), nil
		},
	}
}

// carries reports whether f can carry t.
func (f streamForm) carries(t *codec.Track) bool {
	if f.onlyAudio && t.Kind() != codec.KindAudio {
		return false
	}
	switch f.payload {
	case PayloadTS:
		return ts.Carries(t)
	case PayloadES:
		_, ok := rtp.Describe(t, f.payloadType)
		return ok && t.Wire == ""
	}
	return Carries(t)
}

func (f streamForm) carriesAny(tracks []*codec.Track) bool {
	for _, t := range tracks {
		if f.carries(t) {
			return true
		}
	}
	return false
}

// elementary returns the one track that is sent as it is: the first video, without
// video or with onlyAudio the first audio. nil: there is none.
func (f streamForm) elementary(tracks []*codec.Track) *codec.Track {
	var best *codec.Track
	for _, t := range tracks {
		if f.carries(t) && (best == nil || best.Kind() != codec.KindVideo && t.Kind() == codec.KindVideo) {
			best = t
		}
	}
	return best
}

// typePS is the payload type that program streams, and whatever else has no usual
// one, are sent with.
const typePS = 96

// usualType returns the payload type of a form that has none, when the stream has
// these tracks.
func (f streamForm) usualType(tracks []*codec.Track) uint8 {
	switch f.payload {
	case PayloadPS:
		return typePS
	case PayloadTS:
		return typeMP2T
	}
	t := f.elementary(tracks)
	if t == nil {
		return typePS
	}
	switch t.Codec {
	case codec.H264:
		return defaultH264
	case codec.H265:
		return defaultH265
	case codec.Opus:
		return defaultOpus
	}
	p, _ := rtp.Describe(t, typePS)
	return p.Type
}

// A streamMuxer makes the RTP packets of a stream. A feed calls it; who sends them
// asks it for reports.
type streamMuxer struct {
	form streamForm

	mu     sync.Mutex // guards what follows
	body   streamBody
	known  []carriedTrack
	joins  []*join
	zero   time.Time     // when time 0 of the stream was
	at     time.Duration // that the newest packets are of
	begun  bool          // there were some
	failed error         // why the muxer cannot go on
}

// A carriedTrack is whether a track is carried, which takes a while to find out.
type carriedTrack struct {
	track *codec.Track
	ok    bool
}

// A streamBody is what becomes payloads.
type streamBody interface {
	// append appends the packets of f, and returns the time they have and whether a
	// receiver can begin with them.
	append(dst []byte, f *codec.Frame) (wire []byte, at time.Duration, key bool, err error)
	// appendReport and appendBye append RTCP packets, framed as the others.
	appendReport(dst []byte, at time.Duration, wall time.Time) []byte
	appendBye(dst []byte) []byte
}

func newStreamMuxer(f streamForm, tracks []*codec.Track) *streamMuxer {
	o := rtp.PacketizerOptions{
		PayloadType: f.payloadType,
		SSRC:        f.ssrc,
		Sequence:    uint16(rand.Uint32()),
		Timestamp:   rand.Uint32(),
		Framing:     rtp.LengthOnly,
		CNAME:       cname,
		Exact:       true,
	}
	m := &streamMuxer{form: f}
	if f.payload == PayloadES {
		m.body = newElementaryBody(f, o, tracks)
	} else {
		m.body = newContainerBody(f, o, tracks)
	}
	return m
}

// Header implements source.Muxer: there is nothing that RTP has no packets for.
func (m *streamMuxer) Header() []byte { return nil }

// Carries implements source.Carrier.
func (m *streamMuxer) Carries(t *codec.Track) bool { return m.form.carries(t) }

// Append implements source.Muxer.
func (m *streamMuxer) Append(dst []source.Packet, f *codec.Frame) ([]source.Packet, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed != nil {
		return dst, m.failed
	}
	m.tell(f)
	for _, j := range m.joins { // what waits for a frame that does not come
		if j.overdue(f.DTS) {
			dst = m.appendWaiting(dst, j)
		}
	}
	if !m.carries(f.Track) {
		return dst, nil
	}
	if m.form.join <= 0 || !joinable(f.Track) {
		return m.appendFrame(dst, f)
	}
	j := m.joinOf(f.Track)
	if !j.follows(f) {
		dst = m.appendWaiting(dst, j)
	}
	var err error
	for g := range j.take(f) {
		var errFrame error
		dst, errFrame = m.appendFrame(dst, g)
		err = cmp.Or(err, errFrame)
	}
	return dst, err
}

// Flush implements source.Flusher.
func (m *streamMuxer) Flush(dst []source.Packet) []source.Packet {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.joins {
		dst = m.appendWaiting(dst, j)
	}
	return dst
}

// appendWaiting appends the packet of what waits to be joined.
func (m *streamMuxer) appendWaiting(dst []source.Packet, j *join) []source.Packet {
	if f := j.rest(); f != nil {
		dst, _ = m.appendFrame(dst, f)
	}
	return dst
}

// appendFrame appends the packet of a frame.
func (m *streamMuxer) appendFrame(dst []source.Packet, f *codec.Frame) ([]source.Packet, error) {
	wire, at, key, err := m.body.append(nil, f)
	if err != nil {
		if errors.Is(err, source.ErrNewFormat) {
			m.failed = err
		}
		return dst, err
	}
	if len(wire) == 0 {
		return dst, nil
	}
	m.at, m.begun = at, true
	return append(dst, source.Packet{Track: f.Track.ID, Key: key, DTS: f.DTS, Wire: wire}), nil
}

// maxTracks bounds the tracks of a stream that is sent; a container carries fewer.
const maxTracks = 64

// carries reports whether t is carried.
func (m *streamMuxer) carries(t *codec.Track) bool {
	k := slices.IndexFunc(m.known, func(k carriedTrack) bool { return k.track.ID == t.ID })
	switch {
	case k < 0 && len(m.known) == maxTracks:
		return false
	case k < 0:
		k = len(m.known)
		m.known = append(m.known, carriedTrack{t, m.form.carries(t)})
	case m.known[k].track != t:
		m.known[k] = carriedTrack{t, m.form.carries(t)}
	}
	return m.known[k].ok
}

// joinOf returns what joins the frames of a track.
func (m *streamMuxer) joinOf(t *codec.Track) *join {
	for _, j := range m.joins {
		if j.id == t.ID {
			return j
		}
	}
	j := &join{id: t.ID, size: m.form.join}
	m.joins = append(m.joins, j)
	return j
}

// tell keeps when time 0 of the stream was by the wall clock: as the sender tells
// it, else as the first frame came.
func (m *streamMuxer) tell(f *codec.Frame) {
	switch {
	case !f.Wall.IsZero():
		m.zero = f.Wall.Add(-f.PTS)
	case m.zero.IsZero():
		m.zero = time.Now().Add(-f.DTS)
	}
}

// failure returns why the muxer cannot go on, nil while it can.
func (m *streamMuxer) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// appendReport appends a sender report, framed as packets are; nothing before the
// first packet.
func (m *streamMuxer) appendReport(dst []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.begun {
		return dst
	}
	return m.body.appendReport(dst, m.at, m.zero.Add(m.at))
}

// appendBye appends the end of the stream, as far as there was a beginning.
func (m *streamMuxer) appendBye(dst []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.begun {
		return dst
	}
	return m.body.appendBye(dst)
}
