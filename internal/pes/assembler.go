package pes

import (
	"bytes"
	"slices"

	"github.com/mediakit-go/mediakit/codec"
)

// Limits of what is kept, in bytes.
const (
	MaxUnit  = 8 << 20  // an access unit
	maxUnits = 16 << 20 // all that have begun
)

// An Assembler makes frames of what is in the PES packets of a program. They come
// in the order of decoding, for which those of one track are held back for up to a
// second of media. Times are those of the stream, its wraps undone, not moved to
// 0; where they jump, by more than half a second back or 10 seconds ahead, the
// next frames have FlagDiscont, else they do not fall within a track.
//
// Frames of H.264 and H.265 begin once there are parameter sets. A picture of
// which bytes are missing is cut where they are and has FlagCorrupt; audio frames
// that are not whole are left out. Streams that are not understood are tracks of
// [Wire].
//
// The zero value is ready; it must not be copied once it has streams. It keeps no
// more than 8 MiB of an access unit, 32 MiB in all.
type Assembler struct {
	// Frames is what frames are appended to. It is the caller's between calls.
	Frames []*codec.Frame

	streams []*Stream
	order   order
	clock   codec.Unwrapper // of the times of all tracks
	newest  int64           // DTS in ticks, of any track; valid if timed
	timed   bool
	units   int // bytes of access units that have begun

	restarted bool // streams that are new begin with FlagDiscont
}

// An Entry is what is said of an elementary stream.
type Entry struct {
	Key         uint16 // by which the container knows its packets
	StreamType  byte
	Descriptors []byte // copied
	Content     Content
}

// SetStreams makes the streams those of a table. A stream that is there with what
// it carries goes on; one that is gone leaves its ID to the next one of its kind.
// Of entries with the same key the first one counts.
func (a *Assembler) SetStreams(list []Entry) {
	old := a.streams
	a.streams = nil
	for _, e := range list {
		if a.Stream(e.Key) != nil {
			continue
		}
		s := &Stream{Key: e.Key, a: a, streamType: e.StreamType, Content: e.Content, discont: a.restarted}
		for _, o := range old {
			if o.Key == e.Key && o.Content == e.Content && o.streamType == e.StreamType {
				s = o
			}
		}
		s.descriptors = bytes.Clone(e.Descriptors)
		a.streams = append(a.streams, s)
	}
	var gone []*Stream
	for _, o := range old {
		if !slices.Contains(a.streams, o) {
			o.finish(false)
			gone = append(gone, o)
		}
	}
	var waited []int
	for _, s := range a.streams {
		if s.ID == 0 {
			gone = a.identify(s, gone)
			s.announce()
		}
		if !s.Passes() {
			waited = append(waited, s.ID)
		}
	}
	a.Frames = a.order.expect(a.Frames, waited)
}

// identify gives s an ID: that of a stream of its kind that is gone, whose times it
// goes on from, else the first that is free. It returns the others that are gone.
func (a *Assembler) identify(s *Stream, gone []*Stream) (rest []*Stream) {
	for i, o := range gone {
		if o.Codec.Kind() == s.Codec.Kind() {
			s.ID, s.last, s.begun = o.ID, o.last, o.begun
			s.discont = s.discont || s.Passes() || o.Passes() // whose clocks may be their own
			return append(gone[:i:i], gone[i+1:]...)
		}
	}
	id := 1
	taken := func(s *Stream) bool { return s.ID == id }
	for slices.ContainsFunc(a.streams, taken) || slices.ContainsFunc(gone, taken) {
		id++
	}
	s.ID = id
	return gone
}

// Streams returns the streams, in the order of the table.
func (a *Assembler) Streams() []*Stream { return a.streams }

// Stream returns the stream with this key; nil if there is none.
func (a *Assembler) Stream(key uint16) *Stream {
	for _, s := range a.streams {
		if s.Key == key {
			return s
		}
	}
	return nil
}

// Tracks returns the tracks known so far, those without parameters left out.
func (a *Assembler) Tracks() []*codec.Track {
	var tracks []*codec.Track
	for _, s := range a.streams {
		if s.Known() {
			tracks = append(tracks, s.track)
		}
	}
	return tracks
}

// Complete reports whether the tracks of all streams are known, apart from those
// that are passed through, which are known with their first frame.
func (a *Assembler) Complete() bool {
	for _, s := range a.streams {
		if !s.Passes() && !s.Known() {
			return false
		}
	}
	return true
}

// Pending returns how many bytes of frames have come that are not whole yet.
func (a *Assembler) Pending() int { return a.units }

// Flush ends what has begun and gives out the frames that were waiting: at the end
// of the stream, or where a discontinuity follows. What comes after it may have
// other times.
func (a *Assembler) Flush() {
	for _, s := range a.streams {
		s.finish(s.size > 0)
		s.forget()
	}
	a.Frames = a.order.flush(a.Frames)
}

// Restart is what follows [Assembler.Flush] where another stream begins. The next
// frame of each track has FlagDiscont.
func (a *Assembler) Restart() {
	a.restarted = true
	for _, s := range a.streams {
		s.discont = true
	}
}

// Resume is what follows [Assembler.Flush] where reading goes on elsewhere in the
// stream, by that clock of 33 bits: no discontinuity.
func (a *Assembler) Resume(clock codec.Unwrapper) {
	for _, s := range a.streams {
		s.discont = false
		s.video.loose, s.video.seeking = s.video.wasLoose, s.video.wasLoose
	}
	a.clock, a.timed = clock, false
}

// emit sends a frame of s on its way. Its times are those of the stream.
func (a *Assembler) emit(s *Stream, f *codec.Frame) {
	if s.discont {
		s.discont = false
		f.Flags |= codec.FlagDiscont
	} else if s.begun && f.DTS < s.last {
		f.DTS = s.last
		f.PTS = max(f.PTS, f.DTS)
	}
	s.last, s.begun = f.DTS, true
	a.Frames = a.order.add(a.Frames, f)
}
