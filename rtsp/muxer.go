package rtsp

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/source"
)

const (
	reportEvery  = 5 * time.Second       // between the sender reports of a track
	clockFit     = time.Second           // by which it may seem to change when a sender comes back
	clockStep    = 10 * time.Millisecond // by which the wall clock's time of a stream must change to be told at once
	firstDynamic = 96                    // payload type
	maxTracks    = 32                    // that a stream is sent with
)

// FeedFormat returns the form in which viewers are sent a stream: every packet
// is the RTP packets of one frame, each framed for a TCP connection (RFC 2326,
// 10.12), with a sender report among them every 5 s. Channels are 2n for RTP and
// 2n+1 for RTCP of the nth track.
func FeedFormat() source.Format {
	return source.Format{
		Name:   "rtsp",
		Schema: "rtsp",
		New: func(tracks []*codec.Track) (source.Muxer, error) {
			return newMuxer(tracks), nil
		},
	}
}

// errChanged ends the feed of a stream whose tracks have become others than its
// viewers were told of.
var errChanged = fmt.Errorf("rtsp: a track was replaced: %w", source.ErrNewFormat)

// errPlayed ends the feed of a film that was to be played up to some time only.
var errPlayed = fmt.Errorf("rtsp: the end of the range: %w", source.ErrNewFormat)

// A muxer makes RTP packets of frames. A feed calls it; viewers ask it what it
// sends.
type muxer struct {
	mu     sync.Mutex // guards what follows
	tracks []*muxedTrack
	lead   *muxedTrack   // whose key frames viewers start at: the first video; nil: there is none
	zero   time.Time     // when time 0 of the stream was; the zero Time before the first frame
	skew   time.Duration // by which the sender's clock is ahead of zero
	header []byte        // as of the newest key packet, before it
	film   *playback     // nil: the packets have the times of the stream
	end    time.Duration // of what is sent of a film; 0: its own end
}

// A muxedTrack is a track that is sent.
type muxedTrack struct {
	track      *codec.Track // the description in force
	payload    rtp.Payload
	packetizer *rtp.Packetizer
	ssrc       uint32
	begun      bool          // there was a frame
	at         time.Duration // PTS of the newest one
	reported   time.Duration // DTS of the one with the last report, or the first
	due        bool          // a report goes with the next one
}

func newMuxer(tracks []*codec.Track) *muxer {
	m := &muxer{}
	for _, t := range tracks {
		m.add(t)
	}
	return m
}

// add begins to send a track; nil if RTP cannot carry it. Sequence, timestamps
// and source identifier begin at random (RFC 3550, 5.1).
func (m *muxer) add(t *codec.Track) *muxedTrack {
	n := len(m.tracks)
	p, ok := rtp.Describe(t, uint8(firstDynamic+n))
	if !ok || n == maxTracks {
		return nil
	}
	var random [10]byte
	_, _ = rand.Read(random[:]) // never fails
	x := &muxedTrack{track: t, payload: p, ssrc: binary.BigEndian.Uint32(random[:])}
	var err error
	x.packetizer, err = rtp.NewPacketizer(t, rtp.PacketizerOptions{
		PayloadType: p.Type,
		SSRC:        x.ssrc,
		Sequence:    binary.BigEndian.Uint16(random[4:]),
		Timestamp:   binary.BigEndian.Uint32(random[6:]),
		Channel:     uint8(2 * n),
		CNAME:       productName,
	})
	if err != nil {
		return nil
	}
	m.tracks = append(m.tracks, x)
	if m.lead == nil && t.Kind() == codec.KindVideo {
		m.lead = x
	}
	return x
}

// Header returns what is known of the packets from the newest key packet on,
// for readStart.
func (m *muxer) Header() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.header
}

// Carries implements source.Carrier.
func (m *muxer) Carries(t *codec.Track) bool {
	_, ok := rtp.Describe(t, firstDynamic)
	return ok
}

// Append appends the packet of f.
func (m *muxer) Append(dst []source.Packet, f *codec.Frame) ([]source.Packet, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.end > 0 && f.DTS >= m.end {
		return dst, errPlayed
	}
	x, err := m.trackOf(f.Track)
	if x == nil || err != nil {
		return dst, err
	}
	at, key := f.PTS, m.isKey(x, f)
	x.at = at
	if m.film != nil {
		f = m.film.take(f, key && m.lead != nil)
	}
	m.tell(f)
	if key {
		m.header = m.appendStart(nil, at, f.PTS)
	}
	if !x.begun { // whoever begins here has a report from the header
		x.begun, x.reported = true, f.DTS
	}
	wire := make([]byte, 0, sizeOf(f))
	x.due = x.due || f.DTS-x.reported >= reportEvery || f.DTS < x.reported
	if x.due {
		x.due, x.reported = false, f.DTS
		wire = x.packetizer.AppendReport(wire, f.PTS, m.zero.Add(f.PTS))
	}
	n := len(wire)
	if wire, err = x.packetizer.Append(wire, f); err != nil {
		return dst, err
	}
	if len(wire) == n {
		return dst, nil
	}
	return append(dst, source.Packet{Track: f.Track.ID, Key: key, DTS: f.DTS, Wire: wire}), nil
}

// sizeOf returns about how much room the packets of f need.
func sizeOf(f *codec.Frame) int {
	const report, header = 128, 24
	n := report + len(f.Data) + header*(len(f.Data)/(rtp.DefaultMaxSize-header)+2)
	if f.Key() {
		n += len(f.Track.Config)
	}
	return n
}

// trackOf returns the track that t describes, which may be a new one; nil if it
// is not sent.
func (m *muxer) trackOf(t *codec.Track) (*muxedTrack, error) {
	for _, x := range m.tracks {
		if x.track == t {
			return x, nil
		}
		if x.track.ID != t.ID {
			continue
		}
		p, ok := rtp.Describe(t, x.payload.Type)
		if !ok || !sameDecoder(&p, &x.payload) || !inBand(t.Codec) && !bytes.Equal(t.Config, x.track.Config) {
			return nil, errChanged
		}
		x.track, x.payload = t, p
		return x, nil
	}
	return m.add(t), nil
}

// sameDecoder reports whether who was told of p can receive q.
func sameDecoder(p, q *rtp.Payload) bool {
	return p.Type == q.Type && p.Encoding == q.Encoding && p.ClockRate == q.ClockRate && p.Channels == q.Channels
}

// inBand reports whether a codec's parameters are sent with its key frames.
func inBand(c codec.Codec) bool { return c.Kind() == codec.KindVideo }

// isKey reports whether a viewer can start with f: of a stream without video,
// and of an encoding we do not know, with any frame.
func (m *muxer) isKey(x *muxedTrack, f *codec.Frame) bool {
	switch {
	case m.lead == nil:
		return true
	case x != m.lead:
		return false
	case f.Track.Codec == codec.Opaque:
		return f.Key() || !x.begun || f.PTS != x.at
	}
	return f.Key()
}

// tell keeps the time that the stream began at by the wall clock: as the sender
// tells it, else as the first frame came. When it turns out to be another, all
// tracks report soon, so that they stay together. A sender that has come back, at
// whose first frame the stream's time was fitted to what came before, is taken to
// have the clock it had.
func (m *muxer) tell(f *codec.Frame) {
	zero := m.zero
	switch {
	case !f.Wall.IsZero():
		zero = f.Wall.Add(-f.PTS - m.skew)
		if d := zero.Sub(m.zero); f.Has(codec.FlagDiscont) && !m.zero.IsZero() && d.Abs() < clockFit {
			m.skew += d
			return
		}
	case zero.IsZero():
		zero = time.Now().Add(-f.DTS)
	}
	if d := zero.Sub(m.zero); d < clockStep && d > -clockStep {
		return
	}
	for _, x := range m.tracks {
		x.due = !m.zero.IsZero()
	}
	m.zero = zero.Round(0) // the wall clock's time only
}

// A start says how the packets of a stream go on from some point. A header of
// the feed holds it.
type start struct {
	at     time.Duration // of the stream
	tracks []trackStart  // by channel
}

// A trackStart says how one track goes on.
type trackStart struct {
	sequence  uint16 // of the next packet
	timestamp uint32 // of the start's time
	report    []byte // sender report, framed
}

// appendStart appends how the packets go on: at is the time of the stream, and when
// that of the packets.
func (m *muxer) appendStart(dst []byte, at, when time.Duration) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(at))
	var report []byte
	for _, x := range m.tracks {
		report = x.packetizer.AppendReport(report[:0], when, m.zero.Add(when))
		dst = binary.BigEndian.AppendUint16(dst, x.packetizer.Sequence())
		dst = binary.BigEndian.AppendUint32(dst, x.packetizer.Timestamp(when))
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(report)))
		dst = append(dst, report...)
	}
	return dst
}

// readStart decodes what appendStart has written.
func readStart(header []byte) start {
	const fixed = 8
	var s start
	if len(header) < 8 {
		return s
	}
	s.at, header = time.Duration(binary.BigEndian.Uint64(header)), header[8:]
	for len(header) >= fixed {
		n := fixed + int(binary.BigEndian.Uint16(header[6:]))
		s.tracks = append(s.tracks, trackStart{
			sequence:  binary.BigEndian.Uint16(header),
			timestamp: binary.BigEndian.Uint32(header[2:]),
			report:    header[fixed:n],
		})
		header = header[n:]
	}
	return s
}

// now returns how the packets go on after those that were made.
func (m *muxer) now() start {
	m.mu.Lock()
	defer m.mu.Unlock()
	var at time.Duration
	for _, x := range m.tracks {
		at = max(at, x.at)
	}
	when := at
	if m.film != nil {
		at = m.film.last
		when = m.film.when(at)
	}
	return readStart(m.appendStart(nil, at, when))
}

// PlayFilm implements source.FilmMuxer: the packets of a film have times of their
// own.
func (m *muxer) PlayFilm(time.Duration) { m.film = &playback{} }

// Rewind implements source.Rewinder: who is sent datagrams waits for every number.
func (m *muxer) Rewind(unsent []source.Packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range slices.Backward(unsent) {
		for channel, b := range rtp.Datagrams(p.Wire) {
			if i := int(channel / 2); channel%2 == 0 && i < len(m.tracks) {
				m.tracks[i].packetizer.SetSequence(binary.BigEndian.Uint16(b[2:]))
				break
			}
		}
	}
	if m.film != nil {
		m.film.end = min(m.film.end, unsent[0].DTS)
	}
}

// setScale has the packets of a film, from the next one on, go by the wall clock
// when it is played at that speed.
func (m *muxer) setScale(scale float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.film != nil {
		m.film.setScale(scale)
	}
}

// setEnd ends a film at a time; not before its own end for 0.
func (m *muxer) setEnd(at time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end = at
}

// A sent is a track as viewers are told of it.
type sent struct {
	id   int // of the codec.Track
	ssrc uint32
	media
}

// sent returns the tracks that are sent, by channel.
func (m *muxer) sent() []sent {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]sent, 0, len(m.tracks))
	for i, x := range m.tracks {
		p := x.payload
		p.Params = slices.Clone(p.Params)
		all = append(all, sent{
			id:    x.track.ID,
			ssrc:  x.ssrc,
			media: media{payload: p, track: x.track, control: trackControl(i)},
		})
	}
	return all
}
