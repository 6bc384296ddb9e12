package hls

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// A medium is a Reader that can be read from any place: a file, or several.
type medium interface {
	source.Reader
	source.Seeker
	source.KeyIndexer
}

// A seamed medium tells at which times the description of a track changes, as it
// can between files that are played one after the other.
type seamed interface{ Seams() []time.Duration }

// A presenter tells which tracks there are at the place where it is read, if Tracks
// returns those of all places.
type presenter interface{ Present() []*codec.Track }

// A vod shows a medium to one viewer, by a playlist of type VOD. Its segments are
// made when they are asked for, each by a muxer of its own, so that it does not
// matter in which order they are. The medium stays where the last one ended: who
// plays it does not seek. It rests while nothing is asked for.
type vod struct {
	o     Options // with its defaults
	m     medium
	shelf *shelf
	fixed headers
	ward  *ward       // where m is awake; nil if it cannot rest
	rest  func()      // has m rest
	warn  func(error) // reports what is wrong with m

	turn   chan struct{} // holds one value; who has it may use what follows
	plan   *vodPlan      // nil until a request needs it; others may have it, too
	at     int           // the segment that begins with read, or with what m yields next; -1: neither
	read   []*codec.Frame
	over   bool  // m has ended after those frames
	broken error // m has, because of this
	awake  bool  // m may be open
	size   int   // bytes that were made at once the last time

	// Guarded by the ward's lock.
	place *list.Element // nil: not there
	since time.Time     // when m was read last
}

// newVOD returns a vod of what can be carried. A shelf keeps segments for all
// viewers.
func newVOD(m medium, o Options, s *shelf) (*vod, error) {
	o = o.withDefaults()
	v := &vod{
		o: o, m: m, shelf: s, fixed: newHeaders(), warn: func(error) {},
		turn: make(chan struct{}, 1), at: -1, awake: true,
	}
	if _, err := v.muxer(); err != nil {
		return nil, err
	}
	v.turn <- struct{}{}
	return v, nil
}

// tracks returns those there are where the medium is.
func (v *vod) tracks() []*codec.Track {
	if p, ok := v.m.(presenter); ok {
		return p.Present()
	}
	return v.m.Tracks()
}

// enter waits until nobody else uses v, and makes the plan. leave is due unless
// there is an error.
func (v *vod) enter(ctx context.Context) error {
	select {
	case <-v.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if v.plan != nil {
		return nil
	}
	v.awake = true
	keys, err := v.m.KeyTimes(ctx)
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("hls: nothing to play: %w", source.ErrUnsupported)
	}
	if err != nil {
		v.leave()
		return err
	}
	var seams []time.Duration
	if s, ok := v.m.(seamed); ok {
		seams = s.Seams()
	}
	plan := planOf(keys, seams, v.m.Duration(), v.o.Segment)
	plan.name(v.o.Container, v.m.Tracks())
	v.plan = v.shelf.share(plan)
	return nil
}

// leave lets others use v.
func (v *vod) leave() {
	awake := v.awake
	v.turn <- struct{}{}
	if awake && v.ward != nil {
		v.ward.put(v)
	}
}

// name gives the medium a name that it has in common with no other.
func (p *vodPlan) name(c Container, tracks []*codec.Track) {
	sum := sha256.New()
	for _, cut := range p.cuts {
		fmt.Fprintln(sum, cut)
	}
	for _, t := range tracks {
		fmt.Fprintf(sum, "%d %v %x %d\n", t.ID, t, t.Config, c)
	}
	p.id = fmt.Sprintf("%x", sum.Sum(nil)[:12])
}

// The names of what a vod's playlist lists.
const (
	vodSegment = "vod-"      // and its number
	vodInit    = "vod-init-" // and the number of the segment that is the first to need it
)

// vodName returns the container of what a vod's playlist lists, by its name, and
// the number of the segment.
func vodName(name string) (c Container, n int, init, ok bool) {
	stem, isTS := strings.CutSuffix(name, TS.extension())
	if !isTS {
		c = FMP4
		if stem, ok = strings.CutSuffix(name, FMP4.extension()); !ok {
			return 0, 0, false, false
		}
	}
	digits, init := strings.CutPrefix(stem, vodInit)
	if !init {
		if digits, ok = strings.CutPrefix(stem, vodSegment); !ok {
			return 0, 0, false, false
		}
	}
	n, err := strconv.Atoi(digits)
	return c, n, init, isNumber(digits) && err == nil && !(init && isTS)
}

// serve implements cutter.
func (v *vod) serve(rw http.ResponseWriter, r *http.Request, name string, o serveOptions) int64 {
	a := &answer{fixed: &v.fixed, rw: rw, r: r, ctl: http.NewResponseController(rw)}
	defer a.end()
	if name == v.o.Container.playlist() {
		v.servePlaylist(a, o)
		return a.sent
	}
	c, n, init, ok := vodName(name)
	switch {
	case !ok || c != v.o.Container:
		a.refuse(http.StatusNotFound)
	case init:
		v.serveInit(a, n)
	default:
		v.serveSegment(a, n)
	}
	return a.sent
}

// refusals are errors of a medium that its bytes are not to blame for, and that
// viewers are told of.
var refusals = []error{
	source.ErrNotFound, source.ErrForbidden, source.ErrUnsupported,
	source.ErrTimeout, source.ErrLimit, source.ErrClosed, context.DeadlineExceeded,
}

// fail answers with an error, unless the peer has gone. What cannot be read is not
// there.
func (v *vod) fail(a *answer, err error) {
	if a.r.Context().Err() != nil {
		return
	}
	if !slices.ContainsFunc(refusals, func(known error) bool { return errors.Is(err, known) }) {
		v.warn(err)
		err = fmt.Errorf("%w: %w", source.ErrNotFound, err)
	}
	livehttp.Refuse(a.rw, a.r, err)
}

// servePlaylist answers with the playlist.
func (v *vod) servePlaylist(a *answer, o serveOptions) {
	if err := v.enter(a.r.Context()); err != nil {
		v.fail(a, err)
		return
	}
	p := v.plan
	v.leave()
	a.text([][]byte{p.playlist(v.o.Container, startOf(a.r.URL.RawQuery))}, o)
}

// startOf returns where a player is asked to begin, in seconds; 0 if it is not.
func startOf(query string) float64 {
	s, _ := queryValue(query, "start")
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > 0 && f < 1e9) {
		return 0
	}
	return f
}

// variant implements cutter. How many bits a second the medium has is told by two
// segments, one of them from the middle.
func (v *vod) variant(ctx context.Context) (variantInfo, error) {
	if err := v.enter(ctx); err != nil {
		return variantInfo{}, err
	}
	defer v.leave()
	var i variantInfo
	var size int
	var length time.Duration
	for _, n := range []int{0, v.plan.segments() / 2} {
		var bytes int
		err := v.make(ctx, n, func(b []byte) error { bytes += len(b); return nil })
		if errors.Is(err, errEmpty) {
			continue
		}
		if err != nil {
			return variantInfo{}, err
		}
		d := v.plan.cuts[n+1].at - v.plan.cuts[n].at
		size, length = size+bytes, length+d
		i.Bandwidth = max(i.Bandwidth, bitrate(bytes, d))
	}
	if length == 0 {
		return variantInfo{}, errEmpty
	}
	i.AverageBandwidth = bitrate(size, length)
	m, err := v.muxer()
	if err != nil {
		return variantInfo{}, err
	}
	i.describe(m.tracks(), func(t *codec.Track) float64 { return t.FrameRate })
	return i, nil
}

// The rest of cutter: nobody writes to a vod.

func (v *vod) WriteFrame(context.Context, *codec.Frame) error { return errWriterClosed }
func (v *vod) Close() error                                   { return nil }
func (v *vod) Purge() error                                   { return nil }
func (v *vod) SetTracks([]*codec.Track)                       {}
func (v *vod) position() position                             { return position{} }

var _ cutter = (*vod)(nil)
