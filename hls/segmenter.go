package hls

import (
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	keyWait     = 10 * time.Second      // of media: how long the video is waited for that has no key frame
	unknownStep = 40 * time.Millisecond // between frames of which nothing is known
	wallSlack   = time.Second           // how far program date times may be from the clock, for them to fit the durations
	minCapacity = 16 << 10              // of a segment's memory before it grows
	maxCapacity = 8 << 20               //
)

// An output is told what a segmenter makes.
type output interface {
	begun(s *segment)     // it has no bytes yet
	grown(s *segment)     // by a part
	completed(s *segment) //
	abandoned(s *segment) // it has no bytes and will not have any
	initialized(f *file)  // the segments that begin from now on need it
}

// A segmenter decides where a stream is cut. One track leads: the first of the
// video, or of the audio where there is no video.
type segmenter struct {
	o        Options // with its defaults
	newMuxer func([]*codec.Track) (muxer, error)
	out      output

	tracks   []*codec.Track // the newest description of every track
	mux      muxer          // nil while no track can be carried
	inits    uint64         // initialization segments made
	init     *file          // the newest; nil if there is none
	sequence uint64         // of the segment that is cut, or of the next
	first    uint64         // of the first one
	discont  bool           // the next segment does not continue the one before
	begun    bool           // there was a segment
	breaches uint64         // discontinuities between segments
	dropped  uint64         // frames the muxer refused
	told     []int          // IDs of tracks that are left out, as the log knows

	// Since the last break.
	clocks  []clock       // of the tracks that had frames
	lead    int           // ID of the track that leads
	video   int           // ID of the first video track; -1 if there is none
	started bool          // the video has had a key frame
	waiting bool          // for it
	since   time.Duration // DTS of the first frame then

	seg       *segment // being cut; nil at the beginning and after a break
	buf       []byte   // its bytes, those that are not in a part included
	key, last bool     // that part will have a key frame; and the newest frame that leads is one
	bytes     int      // of its frames
	mark      int      // length of buf before the newest frame that leads
	size      int      // of the segment before

	cadence    cadence
	partTarget time.Duration // 0 until it is known, or if no parts are listed

	wall    time.Time     // where the segment before began; zero if there is none
	elapsed time.Duration // its duration
	listed  *file         // its initialization segment
}

// A clock is where a track is.
type clock struct {
	id   int
	dts  time.Duration // of its newest frame
	step time.Duration // how long that lasts, as far as known
}

// newSegmenter returns a segmenter whose first segments and initialization
// segments have these numbers.
func newSegmenter(tracks []*codec.Track, o Options, from position, out output, newMuxer func([]*codec.Track) (muxer, error)) (*segmenter, error) {
	g := &segmenter{o: o, newMuxer: newMuxer, out: out, tracks: slices.Clone(tracks), inits: from.init, sequence: from.sequence, first: from.sequence}
	var err error
	if g.mux, err = newMuxer(g.tracks); err != nil {
		return nil, err
	}
	g.choose()
	return g, nil
}

// choose finds the tracks that matter for cutting.
func (g *segmenter) choose() {
	for _, t := range g.leftOut() {
		g.tell(t)
	}
	g.video, g.lead, g.started, g.waiting, g.clocks = -1, -1, false, false, g.clocks[:0]
	for _, t := range g.mux.tracks() {
		switch t.Kind() {
		case codec.KindVideo:
			if g.video < 0 {
				g.video = t.ID
			}
		case codec.KindAudio:
			if g.lead < 0 {
				g.lead = t.ID
			}
		}
	}
	switch {
	case g.video >= 0:
		g.lead = g.video
	case g.lead < 0:
		g.lead = g.mux.tracks()[0].ID
	}
}

// write takes the next frame. now is the time.
func (g *segmenter) write(f *codec.Frame, now time.Time) {
	g.learn(f.Track)
	if g.mux == nil || g.mux.changes(f) || g.breaks(f) {
		g.restart(now)
	}
	if g.mux == nil {
		return
	}
	if trackOf(g.mux.tracks(), f.Track.ID) == nil {
		g.tell(f.Track)
		return
	}
	if !g.ready(f) {
		return
	}
	at := f.DTS.Round(time.Microsecond)
	switch {
	case g.seg == nil:
		g.begin(f, at, now)
	case g.endsSegment(f, at):
		g.cutLong(f, at, now)
		at = max(at, g.seg.end())
		if g.cut(f, at, now) || g.seg.size > 0 {
			g.complete(now)
			g.begin(f, at, now)
		}
	case g.partTarget > 0:
		g.cutParts(f, at, now)
	case g.o.Part > 0 && f.Track.ID == g.lead && at > g.seg.end():
		g.cut(f, at, now) // the first segment: complete joins these
	}
	g.append(f)
	g.date(f, now)
}

// date corrects the program date time of the first segment, which may begin with
// frames that were kept: those that come live tell how old they were.
func (g *segmenter) date(f *codec.Frame, now time.Time) {
	if !g.wall.IsZero() || !f.Wall.IsZero() {
		return
	}
	if wall := now.UTC().Round(0).Add(g.seg.start - f.DTS); wall.Before(g.seg.wall) {
		g.seg.wall = wall
	}
}

// learn keeps the description of a track.
func (g *segmenter) learn(t *codec.Track) {
	i := slices.IndexFunc(g.tracks, func(o *codec.Track) bool { return o.ID == t.ID })
	if i < 0 {
		g.tracks = append(g.tracks, t)
	} else {
		g.tracks[i] = t
	}
}

// clock returns that of a track; nil if it has had no frame since the last break.
func (g *segmenter) clock(id int) *clock {
	for i := range g.clocks {
		if g.clocks[i].id == id {
			return &g.clocks[i]
		}
	}
	return nil
}

// breaks reports whether f does not continue what was before: it says so, and is
// not the first of several tracks' that do, or time jumps.
func (g *segmenter) breaks(f *codec.Frame) bool {
	if g.seg == nil {
		return false
	}
	c := g.clock(f.Track.ID)
	if c != nil && (f.Has(codec.FlagDiscont) || f.DTS < c.dts) {
		return true
	}
	newest := g.seg.start
	for _, c := range g.clocks {
		newest = max(newest, c.dts)
	}
	return f.DTS-newest > g.longest()
}

// longest returns how long a segment may be.
func (g *segmenter) longest() time.Duration { return capFactor * g.o.Segment }

// restart ends the segment, and what was before. The next one has a muxer of its
// own, for the tracks as they are now.
func (g *segmenter) restart(now time.Time) {
	g.finish(now)
	var err error
	if g.mux, err = g.newMuxer(g.tracks); err != nil {
		g.mux = nil
		return
	}
	if m, ok := g.mux.(*fragmentMuxer); ok {
		m.mux.RepeatSets() // for players that read the first initialization segment only, as ffmpeg does
	}
	g.choose()
}

// finish completes the segment, which no frame follows.
func (g *segmenter) finish(now time.Time) {
	if g.seg == nil {
		return
	}
	end := g.seg.end()
	if c := g.clock(g.lead); c != nil {
		end = max(end, (c.dts + c.step).Round(time.Microsecond))
	}
	if end == g.seg.end() { // what is left is of other tracks
		for _, c := range g.clocks {
			end = max(end, (c.dts + c.step).Round(time.Microsecond))
		}
	}
	if g.cut(nil, end, now) || g.seg.size > 0 {
		g.complete(now)
		g.discont = true
		return
	}
	g.out.abandoned(g.seg)
	g.discont = g.discont || g.seg.discont
	g.seg = nil
}

// ready reports whether f may be written: at the beginning, and after a break,
// all waits for a key frame of the video, but not for ever.
func (g *segmenter) ready(f *codec.Frame) bool {
	switch {
	case g.video < 0:
		return true
	case f.Track.ID == g.video && f.Key():
		g.started = true
		return true
	case f.Track.ID == g.video:
		return g.started
	case g.seg != nil:
		return true
	case !g.waiting:
		g.waiting, g.since = true, f.DTS
	}
	return f.DTS-g.since >= keyWait
}

// begin begins a segment with f, which is cut at the time at.
func (g *segmenter) begin(f *codec.Frame, at time.Duration, now time.Time) {
	g.lead = g.leader(f)
	g.initialize(now)
	s := newSegment(&g.o, g.sequence, now)
	s.start, s.wall, s.init = at, g.wallOf(f, now), g.init
	s.independent = g.entry(f)
	s.discont, g.discont = g.discont, false
	s.mapped = g.init != nil && (g.init != g.listed || s.discont)
	s.partial = g.partTarget > 0
	g.seg, g.bytes, g.key, g.last = s, 0, false, false
	if s.discont {
		g.breaches++
	}
	g.begun = true
	g.buf = g.mux.begin(make([]byte, 0, min(max(g.size+g.size/8, minCapacity), maxCapacity)))
	g.mark = len(g.buf)
	g.out.begun(s)
}

// leader returns the track that leads from f on: the video if it is there, else
// what led so far, unless that has gone silent.
func (g *segmenter) leader(f *codec.Frame) int {
	lead := g.lead
	if g.started {
		lead = g.video
	}
	if c := g.clock(lead); f.Track.ID != lead && (c == nil || f.DTS-c.dts >= g.o.Segment) {
		lead = f.Track.ID
	}
	return lead
}

// initialize makes the initialization segment if it is another.
func (g *segmenter) initialize(now time.Time) {
	h := g.mux.header()
	switch {
	case h == nil:
		g.init = nil
	case g.init == nil || !slices.Equal(g.init.content.Load().data, h):
		g.init = newInit(&g.o, g.inits, h, now)
		g.inits++
		g.out.initialized(g.init)
	}
}

// wallOf returns the program date time of a segment that begins with f: what the
// sender tells, or what follows from the segment before, or the clock where that
// is earlier (no frame is of a time after it came) or far off.
func (g *segmenter) wallOf(f *codec.Frame, now time.Time) time.Time {
	wall := f.Wall
	if wall.IsZero() {
		wall = now.UTC().Round(0)
		next := g.wall.Add(g.elapsed)
		early := next.Before(wall) || g.o.Record != "" // which may be of a file, and made in no time
		if early && !g.discont && !g.wall.IsZero() && wall.Sub(next) < wallSlack {
			wall = next
		}
	}
	return wall
}

// entry reports whether decoding can start with f as far as the leading track is
// concerned.
func (g *segmenter) entry(f *codec.Frame) bool {
	return f.Track.ID == g.lead && (f.Key() || f.Track.Kind() != codec.KindVideo)
}

// endsSegment reports whether a new segment begins with f. A key frame may come
// a little early, for the times of some publishers shake.
func (g *segmenter) endsSegment(f *codec.Frame, at time.Duration) bool {
	length := at - g.seg.start
	switch {
	case length >= g.longest(), g.bytes >= maxSegmentBytes:
		return true
	case length <= 0:
		return false
	case f.Track.ID == g.video && g.lead != g.video: // the video is back
		return f.Key()
	}
	return g.entry(f) && length >= g.o.Segment-g.o.Segment/64
}

// cutParts cuts the parts that end before f.
func (g *segmenter) cutParts(f *codec.Frame, at time.Duration, now time.Time) {
	marked, overdue := g.cutLong(f, at, now)
	leads := f.Track.ID == g.lead
	length := at - g.seg.end()
	switch {
	case leads && (length*100 >= g.partTarget*leastPart || length+at-marked > g.partTarget):
	case !leads && overdue && length+codec.FrameDuration(f) > g.partTarget:
	default:
		return
	}
	if length > 0 {
		g.cut(f, at, now)
	}
}

// cutLong cuts a part before the newest frame that leads if it became too long by
// that. It returns when that frame was, and whether the next one of its track is
// overdue.
func (g *segmenter) cutLong(f *codec.Frame, at time.Duration, now time.Time) (marked time.Duration, overdue bool) {
	c := g.clock(g.lead)
	if c == nil {
		return at, true
	}
	marked = c.dts.Round(time.Microsecond)
	overdue = at > marked+c.step
	if g.partTarget == 0 || at-g.seg.end() <= g.partTarget || marked <= g.seg.end() || f.Track.ID != g.lead && !overdue {
		return marked, overdue
	}
	var n int
	g.buf, n = g.mux.back(g.buf, g.mark)
	if n > g.seg.size {
		g.seg.add(g.buf[:n:n], marked, g.key, now)
		g.key = false
		g.out.grown(g.seg)
	}
	return marked, overdue
}

// cut cuts a part that ends at the time to, before next, and reports whether
// there was anything for it.
func (g *segmenter) cut(next *codec.Frame, to time.Duration, now time.Time) bool {
	g.buf = g.mux.cut(g.buf, next)
	if len(g.buf) == g.seg.size {
		return false
	}
	g.seg.add(g.buf, to, g.key || g.last, now)
	g.key, g.last = false, false
	g.out.grown(g.seg)
	return true
}

// complete completes the segment, all of which was cut.
func (g *segmenter) complete(now time.Time) {
	s := g.seg
	s.complete(g.buf[:s.size], now)
	if g.partTarget == 0 && g.o.Part > 0 {
		g.partTarget = g.cadence.target(g.o.Part)
		g.cadence.intervals = nil
		s.joinParts(g.partTarget)
	}
	g.size, g.wall, g.elapsed, g.listed = s.size, s.wall, s.duration, s.init
	g.sequence++
	g.seg, g.buf = nil, nil
	g.out.completed(s)
}

// append writes f to the segment.
func (g *segmenter) append(f *codec.Frame) {
	leads := f.Track.ID == g.lead
	if leads {
		g.key = g.key || g.last
		g.mark, g.last = len(g.buf), g.entry(f)
	}
	g.bytes += len(f.Data)
	var err error
	if g.buf, err = g.mux.write(g.buf, f); err != nil {
		g.dropped++
	}
	c := g.clock(f.Track.ID)
	if c == nil {
		g.clocks = append(g.clocks, clock{id: f.Track.ID, dts: f.DTS, step: stepOf(f)})
		return
	}
	if d := f.DTS - c.dts; d > 0 {
		c.step = d
		if leads && g.sequence == g.first {
			g.cadence.add(d)
		}
	}
	c.dts = f.DTS
}

// stepOf returns how long f lasts as far as it tells.
func stepOf(f *codec.Frame) time.Duration {
	if d := codec.FrameDuration(f); d > 0 {
		return d
	}
	if r := f.Track.FrameRate; r > 1 {
		return time.Duration(float64(time.Second) / r)
	}
	return unknownStep
}

// leftOut returns the tracks that are not, though all is known of them.
func (g *segmenter) leftOut() (tracks []*codec.Track) {
	carried := g.carried()
	for _, t := range g.tracks {
		if !t.Synthetic && (t.Ready() || t.Wire != "") && trackOf(carried, t.ID) == nil {
			tracks = append(tracks, t)
		}
	}
	return tracks
}

// tell logs once that a track is left out.
func (g *segmenter) tell(t *codec.Track) {
	if g.o.Logger == nil || slices.Contains(g.told, t.ID) {
		return
	}
	g.told = append(g.told, t.ID)
	g.o.Logger.Warn("hls: track left out", "playlist", g.o.Container.playlist(), "track", t.String())
}

// carried returns the tracks that are in the segments.
func (g *segmenter) carried() []*codec.Track {
	if g.mux == nil {
		return nil
	}
	return g.mux.tracks()
}

// frameRate returns the pictures per second of t: what it tells, else what the
// first segment had.
func (g *segmenter) frameRate(t *codec.Track) float64 {
	if d := g.cadence.average(); t.FrameRate <= 0 && t.ID == g.lead && d > 0 {
		return 1 / d.Seconds()
	}
	return t.FrameRate
}
