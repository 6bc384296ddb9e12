package mp4

import (
	"cmp"
	"errors"
	"math"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// maxTracks bounds the tracks of a stream, those that are left out included.
const maxTracks = 64

// A movie is what a moov box tells.
type movie struct {
	tracks  []*inTrack
	scale   uint32 // of the movie
	extends bool   // by fragments
	samples bool   // there are some in the movie box
	err     error  // why a track was left out
}

// An inTrack is a track that is read.
type inTrack struct {
	number uint32       // in the stream
	track  *codec.Track // in force; nil: left out
	entry  entry        // as the movie box has it
	scale  uint32       // Hz
	offset int64        // ticks added to all times, by the edit list
	early  int64        // ticks by which decoding is moved before the times that are told
	trex   defaults
	next   int64 // decode time of the sample behind the last one, in ticks
	seen   bool  // there was a frame
}

// dts returns the time of a decode time in ticks.
func (t *inTrack) dts(ticks int64) time.Duration {
	return codec.FromTicks(ticks+t.offset-t.early, int(t.scale))
}

// ticks returns the first decode time in ticks that is not before a time.
func (t *inTrack) ticks(dts time.Duration) int64 {
	n := codec.Ticks(dts, int(t.scale)) + t.early - t.offset
	if t.dts(n) < dts {
		n++
	}
	return n
}

// complete reports whether all is known of the track, if it is not left out.
func (t *inTrack) complete() bool {
	return t.track == nil || t.seen || t.track.Codec != codec.MP3 && ready(t.track)
}

// defaults are what samples have that do not tell.
type defaults struct {
	duration, size, flags uint32
}

// parseMovie reads the content of a moov box (ISO/IEC 14496-12, 8.2). A track
// that is damaged or of an unknown codec is left out, an encrypted one an error.
func parseMovie(b []byte) (m movie, err error) {
	err = eachBox(b, func(x box) error { // mvhd and mvex first: tracks need them
		switch x.kind {
		case typeOf("mvhd"):
			m.scale = timescale(x)
		case typeOf("mvex"):
			m.extends = true
		}
		return nil
	})
	if err != nil {
		return m, err
	}
	err = eachBox(b, func(x box) error {
		if x.kind != typeOf("trak") {
			return nil
		}
		if len(m.tracks) >= maxTracks {
			return invalid("more than %d tracks", maxTracks)
		}
		t, has, err := parseTrack(x.body, m.scale)
		m.samples = m.samples || has
		if err != nil {
			m.err = cmp.Or(m.err, err)
			t.track = nil
		}
		m.tracks = append(m.tracks, t)
		if errors.Is(err, source.ErrUnsupported) { // encrypted
			return err
		}
		return nil
	})
	if err != nil {
		return m, err
	}
	return m, eachBox(b, func(x box) error {
		if x.kind != typeOf("mvex") {
			return nil
		}
		return eachBox(x.body, m.parseTrex)
	})
}

// parseTrex reads a trex box (ISO/IEC 14496-12, 8.8.3).
func (m *movie) parseTrex(x box) error {
	if x.kind != typeOf("trex") {
		return nil
	}
	r := fields{b: x.body}
	r.full()
	number := r.u32()
	r.skip(4) // sample description
	d := defaults{r.u32(), r.u32(), r.u32()}
	if r.over {
		return short("trex")
	}
	for _, t := range m.tracks {
		if t.number == number {
			t.trex = d
		}
	}
	return nil
}

// parseTrack reads the content of a trak box. has tells whether there are samples
// in its tables.
func parseTrack(b []byte, movieScale uint32) (t *inTrack, has bool, err error) {
	t = &inTrack{}
	var header, edits, media []byte
	if err = eachBox(b, func(x box) error {
		switch x.kind {
		case typeOf("tkhd"):
			header = x.body
		case typeOf("edts"):
			edits = x.body
		case typeOf("mdia"):
			media = x.body
		}
		return nil
	}); err != nil {
		return t, false, err
	}
	r := fields{b: header}
	version, _ := r.full()
	r.number(version)
	r.number(version)
	t.number = r.u32()
	if r.over {
		return t, false, short("tkhd")
	}
	if t.number == 0 || t.number > math.MaxInt32 {
		return t, false, invalid("track number %d", t.number)
	}
	if has, err = t.parseMedia(media); err != nil {
		return t, has, err
	}
	return t, has, t.parseEdits(edits, movieScale)
}

// timescale returns the ticks per second of an mvhd or mdhd box, before which are
// the times of creation and modification.
func timescale(x box) uint32 {
	r := fields{b: x.body}
	version, _ := r.full()
	r.number(version)
	r.number(version)
	return r.u32()
}

// parseMedia reads the content of an mdia box.
func (t *inTrack) parseMedia(b []byte) (has bool, err error) {
	var description []byte
	err = eachBox(b, func(x box) error {
		switch x.kind {
		case typeOf("mdhd"):
			t.scale = timescale(x)
		case typeOf("minf"):
			return eachBox(x.body, func(x box) error {
				if x.kind != typeOf("stbl") {
					return nil
				}
				return eachBox(x.body, func(x box) error {
					r := fields{b: x.body}
					switch x.kind {
					case typeOf("stsd"):
						description = x.body
					case typeOf("stsz"):
						r.full()
						r.skip(4)
						has = r.u32() > 0
					case typeOf("stz2"):
						r.skip(8)
						has = r.u32() > 0
					}
					return nil
				})
			})
		}
		return nil
	})
	switch {
	case err != nil:
		return has, err
	case t.scale == 0 || t.scale > math.MaxInt32:
		return has, invalid("track %d: timescale %d", t.number, t.scale)
	}
	return has, t.parseDescription(description)
}

// parseDescription reads the content of an stsd box (ISO/IEC 14496-12, 8.5.2). The
// first entry counts.
func (t *inTrack) parseDescription(b []byte) error {
	r := fields{b: b}
	version, _ := r.full()
	r.u32()
	if r.over {
		return short("stsd")
	}
	x, _, err := cutBox(r.b)
	if err != nil {
		return err
	}
	if t.entry, err = parseSampleEntry(x, version, int(t.number)); err != nil {
		return err
	}
	n := t.entry.track
	if n == nil {
		return nil
	}
	if n.Kind() == codec.KindAudio && n.SampleRate == 0 { // too high for its field
		n.SampleRate, n.ClockRate = int(t.scale), int(t.scale)
	}
	t.track = n
	return nil
}

// parseEdits reads the content of an edts box (ISO/IEC 14496-12, 8.6.5 and 8.6.6):
// empty edits delay the track, the first other one tells which time is its 0.
func (t *inTrack) parseEdits(b []byte, movieScale uint32) error {
	return eachBox(b, func(x box) error {
		if x.kind != typeOf("elst") {
			return nil
		}
		r := fields{b: x.body}
		version, _ := r.full()
		const size32, size64 = 12, 20
		size := size32
		if version != 0 {
			size = size64
		}
		n := r.u32()
		if uint64(n)*uint64(size) > uint64(len(r.b)) {
			return short("elst")
		}
		var delay uint64
		for range n {
			duration, at := r.number(version), int64(r.number(version))
			if version == 0 {
				at = int64(int32(at))
			}
			r.skip(4)
			if duration > maxPosition || at > maxPosition {
				return invalid("track %d: edit of %d at %d", t.number, duration, at)
			}
			if at >= 0 {
				t.offset -= at
				break
			}
			if delay += duration; delay > maxPosition {
				return invalid("track %d: delay of %d", t.number, delay)
			}
		}
		if movieScale > 0 && movieScale <= math.MaxInt32 {
			delay := codec.Ticks(codec.FromTicks(int64(delay), int(movieScale)), int(t.scale))
			t.offset += min(delay, maxPosition)
		}
		return nil
	})
}
