package mp4

import (
	"cmp"
	"slices"
	"time"
)

const (
	maxSamples = 1 << 16                // of a fragment
	maxSample  = 10 << 20               // bytes
	maxTime    = time.Duration(1) << 61 // 73 years
)

// An inSample is a sample of a fragment that is being read.
type inSample struct {
	track    *inTrack
	at       int64 // position in the stream
	size     int
	time     int64 // decode time in ticks
	composed int32 // presentation minus decode time
	flags    uint32
	dts      time.Duration
	data     []byte // what has come
}

// A fragment is what a moof box tells.
type fragment struct {
	tracks  []*inTrack
	start   int64 // position of the moof
	end     int64 // and behind it
	data    int64 // where the data of the next run begin, unless it tells
	count   int   // samples, those of other tracks included
	file    int64 // size of the file that positions are in; 0: a stream
	untimed bool  // a track's first decode time is missing
	samples []inSample
}

// parse reads the content of a moof box (ISO/IEC 14496-12, 8.8.4) and sorts the
// samples by position.
func (f *fragment) parse(b []byte) error {
	f.data = f.start
	err := eachBox(b, func(x box) error {
		if x.kind != typeOf("traf") {
			return nil
		}
		return f.parseTraf(x.body)
	})
	if err != nil {
		return err
	}
	byPosition := func(a, b inSample) int { return cmp.Compare(a.at, b.at) }
	if !slices.IsSortedFunc(f.samples, byPosition) {
		slices.SortStableFunc(f.samples, byPosition)
	}
	at := f.end + boxHeader
	for i := range f.samples {
		s := &f.samples[i]
		if s.at < at {
			return invalid("sample at %d, where others or no data are", s.at)
		}
		at = s.at + int64(s.size)
	}
	return nil
}

// A run is what is known of a traf while its trun boxes are read.
type run struct {
	track *inTrack // nil: not in the movie box
	defaults
	base int64 // position that offsets count from
	next int64 // decode time of the next sample
}

// parseTraf reads the content of a traf box (ISO/IEC 14496-12, 8.8.6).
func (f *fragment) parseTraf(b []byte) error {
	var r run
	var begun, timed bool
	err := eachBox(b, func(x box) (err error) {
		switch x.kind {
		case typeOf("tfhd"):
			begun = true
			r, err = f.parseTfhd(x.body)
		case typeOf("tfdt"):
			in := fields{b: x.body}
			version, _ := in.full()
			at := in.number(version)
			if in.over {
				return short("tfdt")
			}
			if at > maxPosition {
				return invalid("decode time %d", at)
			}
			r.next, timed = int64(at), true
		case typeOf("trun"):
			if !begun {
				return invalid("trun without tfhd")
			}
			err = f.parseTrun(x.body, &r)
		}
		return err
	})
	if err != nil || r.track == nil {
		return err
	}
	f.untimed = f.untimed || !timed
	if r.next > maxPosition {
		return invalid("decode time %d", r.next)
	}
	r.track.next = r.next
	return nil
}

// parseTfhd reads a tfhd box (ISO/IEC 14496-12, 8.8.7).
func (f *fragment) parseTfhd(b []byte) (r run, err error) {
	in := fields{b: b}
	_, flags := in.full()
	number := in.u32()
	for _, t := range f.tracks {
		if t.number == number {
			r.track, r.defaults, r.next = t, t.trex, t.next
		}
	}
	r.base = f.data
	if flags&tfhdBaseIsMoof != 0 {
		r.base = f.start
	}
	if flags&tfhdBaseOffset != 0 {
		// It counts from the beginning of a file, which a stream that was
		// joined, or a segment behind its initialization, is not: what does not
		// lead to the data that follow is the moof, as in most files.
		r.base = f.start
		if at := in.u64(); at >= uint64(f.end) && (at <= uint64(f.end)+bigHeader || at < uint64(f.file)) {
			r.base = int64(at)
		}
	}
	if flags&tfhdDescription != 0 {
		in.skip(4)
	}
	if flags&tfhdDuration != 0 {
		r.duration = in.u32()
	}
	if flags&tfhdSize != 0 {
		r.size = in.u32()
	}
	if flags&tfhdFlags != 0 {
		r.flags = in.u32()
	}
	if in.over {
		return r, short("tfhd")
	}
	f.data = r.base
	return r, nil
}

// parseTrun reads a trun box (ISO/IEC 14496-12, 8.8.8).
func (f *fragment) parseTrun(b []byte, r *run) error {
	in := fields{b: b}
	_, flags := in.full()
	count := in.u32()
	at := f.data
	if flags&trunOffset != 0 {
		at = r.base + int64(int32(in.u32()))
	}
	first, hasFirst := uint32(0), flags&trunFirstFlags != 0
	if hasFirst {
		first = in.u32()
	}
	entry := 0
	for _, has := range []uint32{trunDuration, trunSize, trunFlags, trunComposed} {
		if flags&has != 0 {
			entry += 4
		}
	}
	if in.over || uint64(count)*uint64(entry) > uint64(len(in.b)) {
		return short("trun")
	}
	most := maxSamples
	if f.file > 0 {
		most = maxFileSamples
	}
	if f.count += int(min(int64(count), int64(most)+1)); f.count > most {
		return invalid("more than %d samples in a fragment", most)
	}
	keep := r.track != nil && r.track.track != nil
	if keep && (f.file == 0 || entry > 0) { // else there may be fewer in the file
		f.samples = slices.Grow(f.samples, int(count))
	}
	for i := range count {
		d, composed := r.defaults, int32(0)
		if i == 0 && hasFirst {
			d.flags = first
		}
		if flags&trunDuration != 0 {
			d.duration = in.u32()
		}
		if flags&trunSize != 0 {
			d.size = in.u32()
		}
		if flags&trunFlags != 0 {
			d.flags = in.u32()
		}
		if flags&trunComposed != 0 {
			composed = int32(in.u32()) // negative in version 0, too, as some write it
		}
		if keep && d.size > 0 && (f.file == 0 || at <= f.file) {
			if d.size > maxSample && f.file == 0 || d.size > maxFileSample {
				return invalid("sample of %d bytes", d.size)
			}
			dts := r.track.dts(r.next)
			if dts > maxTime || dts < -maxTime {
				return invalid("decode time %v", dts)
			}
			f.samples = append(f.samples, inSample{
				track: r.track, at: at, size: int(d.size), time: r.next, composed: composed, flags: d.flags, dts: dts,
			})
		}
		at += int64(d.size)
		r.next += int64(d.duration)
	}
	f.data = at
	return nil
}
