package ts

import (
	"encoding/binary"
	"slices"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// The PIDs of what is written.
const (
	pidPMT   = 0x1000
	firstPID = 0x100 // of the elementary streams
	endPID   = pidPMT
)

// maxStreams bounds the elementary streams of a program.
const maxStreams = 32

// Times in ticks of 90 kHz.
const (
	lead       = pes.ClockRate / 5         // PTS and DTS run ahead of the clock: a decoder has so long to get a frame
	tablesMost = pes.ClockRate * 2 / 5     // between tables; DVB allows 500 ms (ETSI TR 101 290, 5.2.1), and a frame may be late
	pcrLeast   = pes.ClockRate * 30 / 1000 // between clock references
	pcrMost    = pes.ClockRate * 60 / 1000 // then one goes before a frame of another track; 100 ms are allowed (13818-1, 2.7.2)
)

// A Muxer turns frames into transport packets: one program, a PES packet for each
// frame, PAT and PMT before key frames of video and at least every 500 ms, the
// clock on the video's PID, else on the audio's. H.264 and H.265 frames begin with
// an access unit delimiter, key frames with the parameter sets behind it. Times are
// written as they are, 200 ms ahead of the clock. It keeps no frames.
type Muxer struct {
	streams pes.Streams[muxerStream, *muxerStream]
	clock   *muxerStream // whose PID has the PCR; nil without streams
	pid     uint16       // the next free one, less firstPID

	pmt                    []byte // section; nil after a change
	version                byte   // of the PMT
	patCounter, pmtCounter byte
	fresh                  bool  // tables were the last that was written
	tablesAt               int64 // when they were written last; valid if begun
	pcr                    int64 // the newest; valid if clocked
	begun, clocked         bool

	head []byte // scratch: the PES header of a frame
}

// A muxerStream is a track of a Muxer.
type muxerStream struct {
	pes.Muxed
	pid     uint16
	counter byte
}

// next returns the continuity counter of the next packet.
func (s *muxerStream) next() byte {
	c := s.counter
	s.counter = (c + 1) & 15
	return c
}

func (s *muxerStream) video() bool { return s.Track.Kind() == codec.KindVideo }

// opaque tells whether s is only passed through.
func (s *muxerStream) opaque() bool { return s.Track.Wire != "" }

// NewMuxer returns a Muxer of the tracks that can be carried. Others may come
// with the first of their frames.
func NewMuxer(tracks []*codec.Track) *Muxer {
	m := &Muxer{version: 31}
	for _, t := range tracks {
		m.streamOf(t)
	}
	return m
}

// Tracks returns the tracks that are carried, as they are now.
func (m *Muxer) Tracks() []*codec.Track { return m.streams.Tracks() }

// AppendTables appends PAT and PMT: what a reader must have first. The next frame
// does not repeat them.
func (m *Muxer) AppendTables(dst []byte) []byte {
	dst = m.appendTables(dst)
	m.fresh = true
	return dst
}

// Append appends the packets that f makes, tables before them where they are due
// or have changed. A frame that cannot be carried makes none, and no error.
func (m *Muxer) Append(dst []byte, f *codec.Frame) ([]byte, error) {
	p, ok, err := m.plan(f)
	if !ok || err != nil {
		return dst, err
	}
	return m.write(slices.Grow(dst, p.size), &p), nil
}

// A plan is what will be written for a frame.
type plan struct {
	f         *codec.Frame
	s         *muxerStream
	payload   pes.Payload
	dts       int64
	tables    bool // before the frame
	idlePCR   bool // a packet with the clock, before the frame
	field     [8]byte
	fieldSize int
	size      int // of all packets
}

// plan finds out what Append has to write. It reports false if that is nothing.
func (m *Muxer) plan(f *codec.Frame) (p plan, ok bool, err error) {
	s := m.streamOf(f.Track)
	if s == nil || !s.Carried {
		return p, false, nil
	}
	p = plan{f: f, s: s, dts: codec.Ticks(f.DTS, pes.ClockRate)}
	if p.payload, ok = s.Framer.Frame(f); !ok {
		return p, false, invalid("AAC frame of %d bytes", len(f.Data))
	}
	if p.payload.Size == 0 {
		return p, false, nil
	}
	m.head = pes.AppendHeader(m.head[:0], s.StreamID, p.payload.Size, codec.Ticks(f.PTS, pes.ClockRate)+lead, p.dts+lead)

	key := f.Key() && s.video()
	back := m.begun && p.dts < m.tablesAt-pes.ClockJump
	p.tables = m.pmt == nil || !m.fresh && (!m.begun || key || back || p.dts-m.tablesAt >= tablesMost)
	if p.tables {
		p.size += PacketSize * (1 + (len(m.section())+1+packetRoom-1)/packetRoom)
	}
	m.planClock(&p, key)
	p.size += PacketSize * packetsOf(len(m.head)+p.payload.Size, p.fieldLen())
	return p, true, nil
}

// fieldLen returns the length of the first packet's adaptation field.
func (p *plan) fieldLen() int {
	if p.fieldSize == 0 {
		return 0
	}
	return 1 + p.fieldSize
}

// planClock decides where the clock is written. It does not go back, except at a
// discontinuity.
func (m *Muxer) planClock(p *plan, key bool) {
	discont := p.f.Has(codec.FlagDiscont) && m.begun
	other := discont || !m.clocked || p.dts < m.pcr-pes.ClockJump
	since := p.dts - m.pcr
	var flags byte
	switch {
	case p.s != m.clock:
		if p.idlePCR = other || since >= pcrMost; p.idlePCR {
			p.size += PacketSize
		}
	case other || since >= pcrLeast || key && since > 0:
		flags |= flagPCR
	}
	if discont {
		flags |= flagDiscontinuity
	}
	if key {
		flags |= flagRandomAccess
	}
	if flags == 0 {
		return
	}
	p.fieldSize = 1
	p.field[0] = flags
	if flags&flagPCR != 0 {
		p.fieldSize = len(appendPCR(p.field[:1], p.dts))
	}
}

// write appends what was planned.
func (m *Muxer) write(dst []byte, p *plan) []byte {
	if p.tables {
		dst = m.appendTables(dst)
	}
	if p.tables || m.fresh || !m.begun {
		m.tablesAt = p.dts
	}
	m.begun, m.fresh = true, false
	if p.idlePCR {
		dst = m.appendIdlePCR(dst, p.dts, p.field[0]&flagDiscontinuity)
	}
	if p.idlePCR || p.field[0]&flagPCR != 0 {
		m.pcr, m.clocked = p.dts, true
	}
	w := packetizer{dst: dst, s: p.s, left: len(m.head) + p.payload.Size}
	w.begin(p.field[:p.fieldSize])
	w.write(m.head)
	for piece := range p.payload.Pieces() {
		w.write(piece)
	}
	return w.dst
}

// appendIdlePCR appends a packet that has nothing but the clock. Such a packet
// does not count (2.4.3.3).
func (m *Muxer) appendIdlePCR(b []byte, ticks int64, flags byte) []byte {
	h := uint32(syncByte)<<24 | uint32(m.clock.pid)<<8 | 0x20 | uint32(m.clock.counter-1)&15
	b = binary.BigEndian.AppendUint32(b, h)
	b = append(b, packetRoom-1, flagPCR|flags)
	b = appendPCR(b, ticks)
	return appendStuffing(b, packetRoom-8)
}

// streamOf returns the stream of t, with t as its track; nil if there are too
// many.
func (m *Muxer) streamOf(t *codec.Track) *muxerStream {
	s, other := m.streams.Of(t, maxStreams)
	if other {
		m.setTrack(s, t)
	}
	return s
}

// setTrack makes t the track of s. Where that is another codec it gets another
// PID, so that nobody takes its packets for those before.
func (m *Muxer) setTrack(s *muxerStream, t *codec.Track) {
	old := *s
	if s.Track != nil && s.Carried && s.Track.SameConfig(t) {
		s.Track = t
		return
	}
	s.Track = t
	if s.Carriage, s.Carried = carriageOf(t); !s.Carried && !old.Carried {
		return
	}
	if s.Carried && (!old.Carried || s.StreamType != old.StreamType || s.StreamID != old.StreamID || s.Track.Codec != old.Track.Codec) {
		s.pid = m.newPID()
		s.counter = 0
	}
	s.Framer = pes.NewFramer(t, true)
	if s.Carried && m.tableSize() > maxTable {
		s.Carried = false
	}
	m.pmt = nil
	m.chooseClock()
}

// newPID returns a PID that no stream has.
func (m *Muxer) newPID() uint16 {
	for {
		pid := firstPID + m.pid
		m.pid = (m.pid + 1) % (endPID - firstPID)
		if !slices.ContainsFunc(m.streams, func(s *muxerStream) bool { return s.pid == pid }) {
			return pid
		}
	}
}

// chooseClock chooses whose PID has the clock: video, then audio, then what is
// passed through.
func (m *Muxer) chooseClock() {
	rank := func(s *muxerStream) int {
		switch {
		case s == nil || !s.Carried:
			return 0
		case s.opaque():
			return 1
		case s.video():
			return 3
		}
		return 2
	}
	old := m.clock
	m.clock = nil
	for _, s := range m.streams {
		if rank(s) > rank(m.clock) {
			m.clock = s
		}
	}
	if old != m.clock {
		m.clocked = false
	}
}

// tableSize returns the length of the PMT.
func (m *Muxer) tableSize() int {
	n := sectionHeader + 4 + sectionCRC
	for _, s := range m.streams {
		if s.Carried {
			n += 5 + len(s.Descriptors)
		}
	}
	return n
}

// section returns the PMT (2.4.4.9): the PID of the clock, no descriptors of the
// program, and the streams. Its version is another than before.
func (m *Muxer) section() []byte {
	if m.pmt != nil {
		return m.pmt
	}
	m.version = (m.version + 1) & 31
	pcr := uint16(pidNull)
	if m.clock != nil {
		pcr = m.clock.pid
	}
	b := beginSection(nil, tablePMT, 1, m.version)
	b = binary.BigEndian.AppendUint16(b, 0xe000|pcr)
	b = append(b, 0xf0, 0)
	for _, s := range m.streams {
		if s.Carried {
			b = appendElementary(b, elementary{s.pid, s.StreamType, s.Descriptors})
		}
	}
	m.pmt = endSection(b)
	return m.pmt
}

// appendTables appends the packets of PAT and PMT.
func (m *Muxer) appendTables(dst []byte) []byte {
	var pat [sectionHeader + 4 + sectionCRC]byte
	b := beginSection(pat[:0], tablePAT, 1, 0)
	b = append(b, 0, 1, 0xe0|pidPMT>>8, pidPMT&0xff) // program 1
	dst = appendSectionPackets(dst, pidPAT, &m.patCounter, endSection(b))
	return appendSectionPackets(dst, pidPMT, &m.pmtCounter, m.section())
}

// previousTables returns the tables as they were written before what was written
// last: a reader who gets them now finds that the counters go on.
func (m *Muxer) previousTables(inLast bool) []byte {
	back := byte(1)
	if inLast {
		back = 2
	}
	n := byte((len(m.section()) + 1 + packetRoom - 1) / packetRoom)
	c := *m
	c.patCounter = (m.patCounter - back) & 15
	c.pmtCounter = (m.pmtCounter - back*n) & 15
	return c.appendTables(make([]byte, 0, PacketSize*(1+int(n))))
}
