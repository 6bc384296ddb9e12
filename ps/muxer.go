package ps

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// ErrInvalid is wrapped by the errors for what breaks its specification.
var ErrInvalid = errors.New("ps: invalid")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// maxStreams bounds the elementary streams of a program: 16 of video, 32 of audio
// and one that is neither.
const maxStreams = 49

const (
	// muxRate is the rate of all packs, in units of 50 bytes a second: at 100 MB/s the
	// longest frame that readers take arrives in half the time that it may.
	muxRate = 2_000_000
	// lead is how far PTS and DTS run ahead of the clock: so long a decoder has to get
	// a frame.
	lead       = pes.ClockRate / 5
	tablesMost = pes.ClockRate * 2 / 5 // between tables while there is no video
	clockJump  = systemClock * 10      // a clock that is back by so much is another
	toldJump   = systemClock           // the same, at a frame with FlagDiscont: those of other tracks may be a bit behind it
)

// A Muxer turns frames into a program stream as GB/T 28181 has it (annex C): a pack
// for each frame, of one PES packet or, where that cannot tell the length, several,
// the first of which has the times. System header and program stream map stand
// before key frames of video, before the first frame of a new track, and every
// 400 ms while there is no video. H.264 and H.265 frames begin with an access unit
// delimiter, key frames with the parameter sets behind it. Times are written as they
// are, 200 ms ahead of the clock. It keeps no frames.
type Muxer struct {
	streams pes.Streams[muxerStream, *muxerStream]
	tables  []byte // system header and map; nil after a change
	version byte   // of the map

	begun    bool
	due      bool  // the tables were not written since they changed
	tablesAt int64 // when they were written last, in ticks; valid if begun
	video    bool  // there was some since
	clock    int64 // when all that was written has arrived, in ticks of the system clock; valid if begun
}

// A muxerStream is a track of a Muxer.
type muxerStream struct{ pes.Muxed }

// NewMuxer returns a Muxer of the tracks that can be carried. Others may come with
// the first of their frames.
func NewMuxer(tracks []*codec.Track) *Muxer {
	m := &Muxer{version: 31}
	for _, t := range tracks {
		m.streamOf(t)
	}
	return m
}

// Tracks returns the tracks that are carried, as they are now.
func (m *Muxer) Tracks() []*codec.Track { return m.streams.Tracks() }

// AppendTables appends a pack that has only system header and map, for a reader who
// gets what is appended next and nothing of what was before. It changes nothing of
// that, and the clock is 0 before the first frame.
func (m *Muxer) AppendTables(dst []byte) []byte {
	tables := m.header()
	at := m.clock
	if m.begun {
		at -= arrival(packHeaderSize + len(tables))
	}
	return append(appendPackHeader(dst, at, muxRate), tables...)
}

// Append appends the pack that f makes. A frame that cannot be carried makes none,
// and no error.
func (m *Muxer) Append(dst []byte, f *codec.Frame) ([]byte, error) {
	s := m.streamOf(f.Track)
	if s == nil || !s.Carried {
		return dst, nil
	}
	p, ok := s.Framer.Frame(f)
	switch {
	case !ok:
		return dst, invalid("AAC frame of %d bytes", len(f.Data))
	case p.Size == 0:
		return dst, nil
	}
	pts, dts := codec.Ticks(f.PTS, pes.ClockRate), codec.Ticks(f.DTS, pes.ClockRate)
	var tables []byte
	if m.tablesDue(s, f, dts) {
		tables = m.header()
	}
	size := packHeaderSize + len(tables) + packetsLen(p.Size, timesLen(pts, dts))
	dst = slices.Grow(dst, size)
	dst = appendPackHeader(dst, m.advance(f, dts, size), muxRate)
	dst = append(dst, tables...)
	return appendPackets(dst, s.StreamID, &p, pts+lead, dts+lead), nil
}

// tablesDue reports whether system header and map go before f.
func (m *Muxer) tablesDue(s *muxerStream, f *codec.Frame, dts int64) bool {
	video, since := pes.IsVideo(s.StreamID), dts-m.tablesAt
	due := m.due || video && f.Key() || !video && !m.video && (since >= tablesMost || since <= -tablesMost)
	if due {
		m.due, m.tablesAt, m.video = false, dts, false
	}
	m.video = m.video || video
	return due
}

// advance returns the clock of a pack of size bytes whose frame has this DTS: the
// pack before has arrived by then.
func (m *Muxer) advance(f *codec.Frame, dts int64, size int) int64 {
	at, jump := dts*(systemClock/pes.ClockRate), int64(clockJump)
	if f.Has(codec.FlagDiscont) {
		jump = toldJump
	}
	if m.begun && at < m.clock && at > m.clock-jump {
		at = m.clock
	}
	m.begun, m.clock = true, at+arrival(size)
	return at
}

// arrival returns how long size bytes take, in ticks of the system clock.
func arrival(size int) int64 {
	const rate = rateUnit * muxRate
	return (int64(size)*systemClock + rate - 1) / rate
}

// header returns system header and map, of a new version if the streams have
// changed.
func (m *Muxer) header() []byte {
	if m.tables != nil {
		return m.tables
	}
	m.version = (m.version + 1) & 31
	streams := m.carried()
	m.tables = appendSystemHeader(nil, muxRate, streams)
	m.tables = appendMap(m.tables, m.version, streams)
	return m.tables
}

// carried returns the entries of the map.
func (m *Muxer) carried() (list []pes.Carriage) {
	for _, s := range m.streams {
		if s.Carried {
			list = append(list, s.Carriage)
		}
	}
	return list
}

// streamOf returns the stream of t, with t as its track; nil if there are too many.
func (m *Muxer) streamOf(t *codec.Track) *muxerStream {
	s, other := m.streams.Of(t, maxStreams)
	if other {
		m.setTrack(s, t)
	}
	return s
}

// setTrack makes t the track of s. Where that is another codec it gets another
// stream_id, so that nobody takes its packets for those before.
func (m *Muxer) setTrack(s *muxerStream, t *codec.Track) {
	old := s.Track
	s.Track = t
	if s.Carried && old.SameConfig(t) {
		return
	}
	c, ok := carriageOf(t)
	if !ok && !s.Carried {
		return
	}
	if s.Carried && old.Codec == t.Codec && s.StreamType == c.StreamType && c.StreamID <= s.StreamID && s.StreamID <= lastID(c.StreamID) {
		c.StreamID = s.StreamID
	} else if ok {
		c.StreamID, ok = m.freeID(c.StreamID)
	}
	s.Carriage, s.Carried = c, ok
	if mapLen(m.carried()) > maxMap {
		s.Carried = false
	}
	s.Framer = pes.NewFramer(t, false)
	m.tables, m.due = nil, true
}

// freeID returns a stream_id that no stream has, of the kind whose first is id;
// false if there is none.
func (m *Muxer) freeID(id byte) (byte, bool) {
	for last := lastID(id); ; id++ {
		taken := slices.ContainsFunc(m.streams, func(s *muxerStream) bool { return s.Carried && s.StreamID == id })
		if !taken || id == last {
			return id, !taken
		}
	}
}
