package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	takeAtOnce = 64                    // frames muxed between two looks at the ring
	audioHold  = 50 * time.Millisecond // how long audio waits for a video frame to ride with
	batchBytes = 64 << 10              // what a viewer who is behind is sent at once, so that its lag is looked at often
	batchItems = 16                    // and in how many packets: a connection keeps a vector as long as the longest it wrote
	feedAhead  = 64                    // packets a private feed may be ahead of its viewer
)

// FeedOf returns a Cursor in the feed of r's stream that has the format f: the
// wire bytes, muxed once for all viewers. It follows Unwrap to find the
// [Subscription]; for any other Reader (a file, a filtered stream) and for
// viewers with SlowBlock it muxes for this viewer alone. The Cursor takes r
// over: closing it closes r. ctx is for reading from such a Reader and must
// outlive the Cursor.
func FeedOf(ctx context.Context, r Reader, f Format) (*Cursor, error) {
	sub, shared := As[*Subscription](r)
	if !shared || sub.req.Viewer.Slow == SlowBlock {
		return privateFeed(ctx, r, sub, f)
	}
	feed, err := sub.stream.feed(f)
	if err != nil {
		return nil, err
	}
	c := &Cursor{feed: feed, r: r, sub: sub, place: &sub.place}
	c.enter(sub.req.Viewer)
	return c, nil
}

// A feedKey is what feeds of a stream are shared by.
type feedKey struct{ name, variant string }

// A Feed is a stream in one wire form, muxed once for all who watch it in that
// form. It has no goroutine: whoever wants packets makes those that are due.
type Feed struct {
	format Format
	stream *Stream // nil for a private feed
	users  int     // guarded by the stream's lock
	bare   bool    // no synthetic tracks
	ring   ring[entry]
	pos    atomic.Uint64 // the next frame of the stream's ring; the packets of those before are in ring
	video  atomic.Bool   // there is a video track
	over   atomic.Bool   // the muxer could not go on: who comes now gets another feed, from pos on

	mu      sync.Mutex // guards what follows
	mux     Muxer
	frames  []slot[*codec.Frame]
	packets []Packet
	ended   bool
	dropped uint64 // frames the muxer refused

	config atomic.Pointer[[]headerAt] // the newest Header packet of each track; replaced, never changed

	shardsMu sync.Mutex // guards shards
	shards   []*shard

	buffers sync.Pool // *[]byte, of deliveries that join packets

	flush atomic.Uint64 // private feeds: viewers before this position go there, after a seek
	pump  *pump         // private feeds: what fills it
}

// An entry is a packet in a feed's ring.
type entry struct {
	Packet
	video bool
	start *start // at a key packet: what a viewer needs to start here
}

// A start is what a viewer needs to begin at a key packet.
type start struct {
	header []byte     // for one who joins
	config []headerAt // for one who comes from an earlier position
}

// A headerAt is a Header packet and where in the ring it was.
type headerAt struct {
	pos uint64
	Packet
}

// wire returns the form of p that is written.
func (p *Packet) wire(framed bool) []byte {
	if framed {
		return p.Framed
	}
	return p.Wire
}

// feed returns the stream's feed of that format, made if there is none, with
// one user more.
func (s *Stream) feed(format Format) (*Feed, error) {
	var leftOut []*codec.Track
	defer func() {
		for _, t := range leftOut {
			s.hub.log(slog.LevelInfo, "track left out", "stream", s.key.String(), "format", format.Name, "track", t.String())
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := feedKey{format.Name, format.Variant}
	old := s.feeds[key]
	if old != nil && !old.over.Load() {
		old.users++
		return old, nil
	}
	f := &Feed{format: format, stream: s, users: 1, bare: format.Schema != "" && format.Schema == s.schema}
	f.ring.window = ringWindow
	pos, _ := s.ring.start()
	if old != nil {
		pos = max(pos, old.pos.Load())
	}
	f.pos.Store(pos)
	var tracks []*codec.Track
	for _, t := range s.tracksAt(pos) {
		if !t.Synthetic || !f.bare {
			tracks = append(tracks, t)
			f.seeVideo(t)
		}
	}
	var err error
	if f.mux, err = format.New(tracks); err != nil {
		return nil, fmt.Errorf("source: feed %s of %s: %w", format.Name, s.key, err)
	}
	if s.feeds == nil {
		s.feeds = map[feedKey]*Feed{}
	}
	s.feeds[key] = f
	if old == nil {
		leftOut = f.leftOut(tracks)
	}
	return f, nil
}

// leftOut returns those of tracks that the feed's muxer does not carry.
func (f *Feed) leftOut(tracks []*codec.Track) (out []*codec.Track) {
	c, ok := f.mux.(Carrier)
	for _, t := range tracks {
		if ok && !t.Synthetic && !c.Carries(t) {
			out = append(out, t)
		}
	}
	return out
}

// tracksAt returns the tracks as they were at a position of the ring. The lock
// is held.
func (s *Stream) tracksAt(pos uint64) []*codec.Track {
	tracks := append([]*codec.Track(nil), s.tracks...)
	seen := map[int]bool{}
	s.ring.mu.RLock()
	defer s.ring.mu.RUnlock()
	for p := max(pos, s.ring.tail); p < s.ring.head.Load(); p++ {
		t := s.ring.at(p).item.Track
		if seen[t.ID] {
			continue
		}
		seen[t.ID] = true
		for i := range tracks {
			if tracks[i].ID == t.ID {
				tracks[i] = t
			}
		}
	}
	return tracks
}

// release takes one user away; with the last one the feed goes.
func (s *Stream) release(f *Feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := feedKey{f.format.Name, f.format.Variant}
	if f.users--; f.users == 0 && s.feeds[key] == f {
		delete(s.feeds, key)
	}
}

// fill muxes what the stream has and the feed has not.
func (f *Feed) fill() {
	if f.stream == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ended {
		pos, err := f.take()
		for i := range f.frames {
			ok := f.add(f.frames[i].item, f.frames[i].at)
			if !ok {
				clear(f.frames[i:])
				f.pos.Store(pos - uint64(len(f.frames)-i))
				f.over.Store(true)
				f.ended = true
				f.finish(io.EOF)
				return
			}
			f.frames[i] = slot[*codec.Frame]{}
		}
		f.pos.Store(pos) // not before: see wait
		if len(f.frames) == 0 {
			if err != nil {
				f.ended = true
				f.finish(err)
			}
			return
		}
	}
}

// take copies the next frames out of the stream's ring. It returns the position
// after them, and why the ring was closed if there is nothing more to come.
func (f *Feed) take() (pos uint64, err error) {
	r := &f.stream.ring
	f.frames = f.frames[:0]
	r.mu.RLock()
	defer r.mu.RUnlock()
	pos = f.pos.Load()
	head := r.head.Load()
	if pos < r.tail { // nobody looked for a long time
		pos = r.tail
		if r.hasKey {
			pos = r.key
		}
	}
	for ; pos < head && len(f.frames) < takeAtOnce; pos++ {
		f.frames = append(f.frames, *r.at(pos))
	}
	if pos == head {
		return pos, r.err
	}
	return pos, nil
}

// add muxes one frame. It reports false if the muxer cannot go on. The lock is
// held.
func (f *Feed) add(fr *codec.Frame, at time.Time) bool {
	if fr.Track.Synthetic && f.bare {
		return true
	}
	video := f.seeVideo(fr.Track)
	err := f.muxFrame(fr)
	if errors.Is(err, ErrNewFormat) {
		return false
	}
	if err != nil {
		f.dropped++
	}
	f.keep(video, at)
	return true
}

// keep puts the packets that were made into the ring. The lock is held.
func (f *Feed) keep(video bool, at time.Time) {
	for i := range f.packets {
		p := &f.packets[i]
		e := entry{Packet: *p, video: video}
		if p.Header {
			f.config.Store(f.configWith(*p))
		}
		if p.Key {
			e.start = &start{header: f.mux.Header()}
			if config := f.config.Load(); config != nil {
				e.start.config = *config
			}
		}
		f.ring.append(e, max(len(p.Wire), len(p.Framed)), p.Key, at)
		*p = Packet{}
	}
}

// muxFrame makes the packets of a frame, and of those that were held back if
// there is none. A muxer that panics, which is a bug, loses that frame and
// nothing else: the goroutine is everybody's. The lock is held.
func (f *Feed) muxFrame(fr *codec.Frame) (err error) {
	defer func() {
		if p := recover(); p != nil {
			f.packets, err = f.packets[:0], fmt.Errorf("source: feed %s: panic: %v", f.format.Name, p)
			if f.stream != nil {
				f.stream.hub.log(slog.LevelError, "panic in a muxer", "format", f.format.Name, "stream", f.stream.key.String(),
					"panic", p, "stack", string(debug.Stack()))
			}
		}
	}()
	f.packets = f.packets[:0]
	if fr != nil {
		f.packets, err = f.mux.Append(f.packets, fr)
	} else if held, ok := f.mux.(Flusher); ok {
		f.packets = held.Flush(f.packets)
	}
	return err
}

// finish ends the feed for the reason err, after what its muxer holds back. The
// lock is held.
func (f *Feed) finish(err error) {
	_ = f.muxFrame(nil)
	f.keep(true, time.Now()) // nothing waits for a video frame any more
	f.ring.close(err)
}

// configWith returns the newest Header packets with p, which is about to be appended.
func (f *Feed) configWith(p Packet) *[]headerAt {
	var config []headerAt
	if old := f.config.Load(); old != nil {
		for _, h := range *old {
			if h.Track != p.Track {
				config = append(config, h)
			}
		}
	}
	config = append(config, headerAt{f.ring.head.Load(), p})
	return &config
}

// configAt calls fn for the Header packets in force at e.
func (f *Feed) configAt(e *entry, fn func(headerAt)) {
	var config []headerAt
	if e.start != nil {
		config = e.start.config
	} else if newest := f.config.Load(); newest != nil {
		config = *newest
	}
	for _, h := range config {
		fn(h)
	}
}

// seeVideo reports whether t is a video track, and remembers that there is one.
func (f *Feed) seeVideo(t *codec.Track) bool {
	video := t.Kind() == codec.KindVideo
	if video && !f.video.Load() {
		f.video.Store(true)
	}
	return video
}

// wait returns a channel that is closed when there may be something after pos,
// nil if there is now.
func (f *Feed) wait(pos uint64) <-chan struct{} {
	if f.stream == nil {
		return f.ring.wait(pos)
	}
	ch := f.stream.ring.wait(f.pos.Load())
	if ch != nil && f.ring.head.Load() > pos {
		return nil // somebody else has made packets of what was before f.pos
	}
	return ch
}

// due returns when what is pending from pos on is to be written: at once for
// viewers who are not at the live edge, with the next video frame for audio, or
// when the window is over. ok is false if nothing is pending; the end of the
// stream counts. The ring's lock is held.
func (f *Feed) due(pos, join uint64, window time.Duration) (at time.Time, ok bool) {
	r := &f.ring
	head := r.head.Load()
	pos = max(pos, r.tail)
	if pos >= head {
		return time.Time{}, r.err != nil
	}
	if pos < join || r.err != nil {
		return time.Time{}, true
	}
	oldest := r.at(pos).at
	if window > 0 {
		return oldest.Add(window), true
	}
	if !f.video.Load() {
		return time.Time{}, true
	}
	for p := pos; p < head; p++ {
		if r.at(p).item.video {
			return time.Time{}, true
		}
	}
	return oldest.Add(audioHold), true
}

// FeedStats are a feed's counters.
type FeedStats struct {
	Format, Variant string
	Viewers         int
	RingBytes       int            // bytes of packets kept
	Dropped         uint64         // frames the format's muxer refused
	LeftOut         []*codec.Track // what the format cannot carry, if its muxer tells
}

// stats returns the feed's counters. The stream's lock is held.
func (f *Feed) stats() FeedStats {
	_, n := f.ring.usage()
	f.mu.Lock()
	defer f.mu.Unlock()
	return FeedStats{f.format.Name, f.format.Variant, f.users, n, f.dropped, f.leftOut(f.stream.tracks)}
}
