package ts

import (
	"bytes"
	"encoding/binary"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// Limits of what is looked at, in bytes.
const (
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
// Elementary streams that are not understood are opaque tracks of Wire "pes".
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
	units    pes.Assembler // that they make
	seen     int64         // bytes before the first PMT
	packets  int64         // and packets
	err      error
}

// Append appends the frames that b completes. Damage costs frames, and is no
// error; an error is final. It wraps [ErrInvalid]: there were no transport packets
// in 256 KiB, or no program in 16 MiB.
func (d *Demuxer) Append(dst []*codec.Frame, b []byte) ([]*codec.Frame, error) {
	if d.err != nil {
		return dst, d.err
	}
	d.units.Frames = dst
	d.sync.add(b, d.takePacket)
	dst, d.units.Frames = d.units.Frames, nil
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
	d.units.Frames = dst
	d.sync.flush(d.takePacket)
	for _, s := range d.streams {
		if s.gap {
			s.Lose()
		}
		s.counted, s.gap, s.inHead = false, false, false
	}
	d.pat.lose()
	d.pmt.lose()
	d.units.Flush()
	dst, d.units.Frames = d.units.Frames, nil
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
	d.units.Restart()
	return dst
}

// Tracks returns the tracks known so far, those without parameters left out.
func (d *Demuxer) Tracks() []*codec.Track { return d.units.Tracks() }

// Complete reports whether all tracks of the program are known and ready, apart
// from opaque ones, which are known with their first frame.
func (d *Demuxer) Complete() bool { return d.table != nil && d.units.Complete() }

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
			if s.Key == p.pid {
				s.takePayload(&p)
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

// setStreams makes the streams those of a PMT.
func (d *Demuxer) setStreams(info []byte, list []elementary) {
	var entries []pes.Entry
	for _, e := range list {
		if c, ok := pes.ContentOf(info, e.streamType, e.descriptors); ok {
			entries = append(entries, pes.Entry{Key: e.pid, StreamType: e.streamType, Descriptors: e.descriptors, Content: c})
		}
	}
	d.units.SetStreams(entries)
	old := d.streams
	d.streams = nil
	for _, units := range d.units.Streams() {
		s := &demuxStream{Stream: units}
		for _, o := range old {
			if o.Stream == units {
				s = o
			}
		}
		d.streams = append(d.streams, s)
	}
}
