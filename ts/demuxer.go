package ts

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// Limits of what is kept, and of what is looked at, in bytes.
const (
	maxUnit     = 8 << 20  // an access unit
	maxUnits    = 16 << 20 // all that have begun
	noSyncMost  = 256 << 10
	noTableMost = 16 << 20
)

// A Demuxer finds the frames of one program in a transport stream that comes in
// pieces of any size, of packets of 188, 192 or 204 bytes. Frames come in the
// order of decoding, for which those of one track are held back for up to a
// second of media. Times are those of the stream, its wraps undone, not moved to
// 0; where they jump, by more than half a second back or 10 seconds ahead, the
// next frames have FlagDiscont, else they do not fall within a track.
//
// Tracks keep their IDs, 1 and up, when the tables change: a track that is gone
// leaves its ID to the next one of its kind. Frames of H.264 and H.265 begin once
// there are parameter sets. A frame of which packets are missing is cut where they
// are and has FlagCorrupt; audio frames that are not whole are left out.
// Elementary streams that are not understood are opaque tracks of Wire "ts".
//
// The zero value is ready. It keeps no more than 8 MiB of an access unit, 32 MiB
// in all.
type Demuxer struct {
	// Program is the number of the program that is read; 0 means the first of
	// the PAT. It must not change after the first call.
	Program int

	sync     synchronizer
	pat, pmt sectionReader
	program  program // the one that is read, once there is a PAT
	found    bool    // there is
	table    []byte  // the PMT in force
	streams  []*demuxStream
	order    order
	clock    codec.Unwrapper // of the times of all tracks
	newest   int64           // DTS in ticks, of any track; valid if timed
	timed    bool
	units    int   // bytes of access units that have begun
	seen     int64 // bytes before the first PMT
	packets  int64 // and packets
	out      []*codec.Frame
	err      error

	restarted bool // the tracks of a new PMT begin with FlagDiscont
}

// Append appends the frames that b completes. Damage costs frames, and is no
// error; an error is final. It wraps [ErrInvalid]: there were no transport packets
// in 256 KiB, or no program in 16 MiB.
func (d *Demuxer) Append(dst []*codec.Frame, b []byte) ([]*codec.Frame, error) {
	if d.err != nil {
		return dst, d.err
	}
	d.out = dst
	d.sync.add(b, d.takePacket)
	dst, d.out = d.out, nil
	if d.table == nil {
		d.seen += int64(len(b))
		switch {
		case d.packets == 0 && d.seen > noSyncMost:
			d.err = invalid("no packets in %d bytes", d.seen)
		case d.seen > noTableMost:
			d.err = invalid("no program in %d bytes", d.seen)
		}
	}
	return dst, d.err
}

// Flush appends the frames that were waiting for their end: at the end of the
// stream, or where a discontinuity follows. What is appended after it may have
// other tables, counters and times.
func (d *Demuxer) Flush(dst []*codec.Frame) []*codec.Frame {
	d.out = dst
	d.sync.flush(d.takePacket)
	for _, s := range d.streams {
		d.finish(s, s.gap || s.size > 0)
		s.forget()
	}
	d.pat.lose()
	d.pmt.lose()
	dst, d.out = d.order.flush(d.out), nil
	return dst
}

// Lose tells that bytes are missing before what is appended next, as whoever
// receives packets knows: what was begun of frames is given up, and counters
// that happen to fit are not trusted.
func (d *Demuxer) Lose() {
	for _, s := range d.streams {
		s.counted, s.gap = false, true
	}
	d.pat.lose()
	d.pmt.lose()
}

// restart is Flush where another stream follows that the one before is cut by. The
// next frame of each track has FlagDiscont.
func (d *Demuxer) restart(dst []*codec.Frame) []*codec.Frame {
	d.Lose()
	dst = d.Flush(dst)
	d.restarted = true
	for _, s := range d.streams {
		s.discont = true
	}
	return dst
}

// Tracks returns the tracks known so far, those without parameters left out.
func (d *Demuxer) Tracks() []*codec.Track {
	var tracks []*codec.Track
	for _, s := range d.streams {
		if s.known() {
			tracks = append(tracks, s.track)
		}
	}
	return tracks
}

// Complete reports whether all tracks of the program are known and ready, apart
// from opaque ones, which are known with their first frame.
func (d *Demuxer) Complete() bool {
	for _, s := range d.streams {
		if s.codec != codec.Opaque && !s.known() {
			return false
		}
	}
	return d.table != nil
}

// takePacket takes in a transport packet.
func (d *Demuxer) takePacket(b []byte) {
	p, ok := parsePacket(b)
	if !ok {
		return // the counter tells that it is missing
	}
	if d.table == nil {
		d.packets++
	}
	switch {
	case p.pid == pidPAT && len(p.payload) > 0:
		d.pat.add(p.payload, p.start, d.takePAT)
	case d.found && p.pid == d.program.pid && len(p.payload) > 0:
		d.pmt.add(p.payload, p.start, d.takePMT)
	default:
		for _, s := range d.streams {
			if s.pid == p.pid {
				d.takePayload(s, &p)
				return
			}
		}
	}
}

// takePAT takes in a section of the PAT.
func (d *Demuxer) takePAT(b []byte) {
	if !checkSection(b, tablePAT) || d.Program == 0 && b[6] != 0 {
		return
	}
	chosen := false
	parsePAT(b, func(p program) {
		if chosen || d.Program != 0 && int(p.number) != d.Program {
			return
		}
		chosen = true
		if !d.found || p != d.program {
			d.program, d.found = p, true
			d.pmt.lose()
		}
	})
}

// takePMT takes in the PMT, most often the one that is in force.
func (d *Demuxer) takePMT(b []byte) {
	if bytes.Equal(b, d.table) || !checkSection(b, tablePMT) || binary.BigEndian.Uint16(b[3:]) != d.program.number {
		return
	}
	info, list := parsePMT(b)
	if len(list) == 0 {
		return
	}
	d.table = bytes.Clone(b)
	d.setStreams(info, list)
}

// setStreams makes the streams those of a PMT. A stream that is there goes on;
// one that is gone leaves its ID to one of its kind.
func (d *Demuxer) setStreams(info []byte, list []elementary) {
	old := d.streams
	d.streams = nil
	stays := map[uint16]bool{}
	for _, e := range list {
		c, ok := contentOf(info, e)
		if !ok || stays[e.pid] {
			continue
		}
		stays[e.pid] = true
		s := &demuxStream{pid: e.pid, elementary: e, content: c, discont: d.restarted}
		for _, o := range old {
			if o.pid == e.pid && o.content == c && o.streamType == e.streamType {
				s = o
			}
		}
		s.elementary = e
		s.descriptors = bytes.Clone(e.descriptors)
		d.streams = append(d.streams, s)
	}
	var gone []*demuxStream
	for _, o := range old {
		if !contains(d.streams, o) {
			d.finish(o, false)
			gone = append(gone, o)
		}
	}
	for _, s := range d.streams {
		if s.id == 0 {
			s.id, gone = d.idOf(s, gone)
			s.announce()
		}
	}
	var waited []int
	for _, s := range d.streams {
		if s.codec != codec.Opaque {
			waited = append(waited, s.id)
		}
	}
	d.out = d.order.expect(d.out, waited)
}

func contains(streams []*demuxStream, s *demuxStream) bool {
	for _, o := range streams {
		if o == s {
			return true
		}
	}
	return false
}

// idOf returns an ID for s: that of a stream of its kind that is gone, else the
// first that is free.
func (d *Demuxer) idOf(s *demuxStream, gone []*demuxStream) (id int, rest []*demuxStream) {
	for i, o := range gone {
		if o.codec.Kind() == s.codec.Kind() {
			return o.id, append(gone[:i:i], gone[i+1:]...)
		}
	}
	for id = 1; ; id++ {
		free := true
		for _, o := range d.streams {
			free = free && o.id != id
		}
		for _, o := range gone {
			free = free && o.id != id
		}
		if free {
			return id, gone
		}
	}
}

// timeOf undoes the wraps of the times in the header of a PES packet of s. Where
// they do not continue those before, what has begun in the old timeline goes out
// first.
func (d *Demuxer) timeOf(s *demuxStream, h *pes) (pts, dts int64) {
	ahead := int64(h.pts-h.dts) & maxTicks
	if ahead > clockRate*10 { // as good as before DTS
		ahead = 0
	}
	d.clock.Bits = 33
	if s.codec == codec.Opaque { // such times may be on a clock of their own
		c := d.clock
		dts = c.Unwrap(h.dts)
		return dts + ahead, dts
	}
	dts = d.clock.Unwrap(h.dts)
	back, last := int64(clockJump), d.newest
	if s.timed {
		back, last = clockRate/2, s.newest
	}
	if d.timed && (dts < last-back || dts > last+clockJump) {
		d.breakTime(s)
	}
	if !d.timed || dts > d.newest {
		d.newest = dts
	}
	d.timed = true
	s.newest, s.timed = dts, true
	return dts + ahead, dts
}

// breakTime ends the timeline before a PES packet of s.
func (d *Demuxer) breakTime(s *demuxStream) {
	for _, o := range d.streams {
		if o != s {
			d.finish(o, false)
		}
		o.timed, o.begun = false, false
		o.discont = true
	}
	d.timed = false
	d.out = d.order.flush(d.out)
}

// emit sends a frame of s on its way. Its times are those of the stream.
func (d *Demuxer) emit(s *demuxStream, f *codec.Frame) {
	if s.discont {
		s.discont = false
		f.Flags |= codec.FlagDiscont
	} else if s.begun && f.DTS < s.last {
		f.DTS = s.last
		f.PTS = max(f.PTS, f.DTS)
	}
	s.last, s.begun = f.DTS, true
	d.out = d.order.add(d.out, f)
}

// now returns the time of the newest frame: that of what has none.
func (d *Demuxer) now() time.Duration { return codec.FromTicks(d.newest, clockRate) }
