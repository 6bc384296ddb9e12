package source

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	maxHeld       = 100                     // frames kept per track until a stream goes live
	readyTimeout  = 10 * time.Second        // then a stream goes live with what is ready
	singleTimeout = 3 * time.Second         // then a stream of one track goes live
	audioTimeout  = time.Second             // then an announced audio track without data is given up
	ringWindow    = 2500 * time.Millisecond // what a watched ring keeps before the newest key frame
)

// A State is where a stream is in its life.
type State uint8

// The states of a stream, in order; a lingering stream may become live again.
const (
	StatePending   State = iota // published, not enough known of its tracks
	StateLive                   // can be watched
	StateLingering              // the publisher was lost and may return
	StateClosed
)

// String returns the state's name, such as "live".
func (s State) String() string {
	return [...]string{"pending", "live", "lingering", "closed"}[min(s, StateClosed)]
}

// A Stream is one publisher's frames under a name of a [Hub], and whoever
// watches them.
type Stream struct {
	hub     *Hub
	key     Key
	options StreamOptions
	created time.Time
	ring    ring[*codec.Frame]
	ready   chan struct{} // closed when it first went live, or closed

	mu       sync.Mutex // guards what follows
	state    State
	grown    time.Time      // when the latest track became known
	schema   string         // the latest publisher's Request.Schema
	pub      *publication   // nil while lingering
	tracks   []*codec.Track // replaced, never changed
	complete bool           // no other track will come
	held     []heldFrame    // before it went live
	clock    clock
	smoother *smoother // with StreamOptions.PacedDelay
	silence  *silence
	feeds    map[feedKey]*Feed
	subs     map[*Subscription]struct{}
	viewers  int // subs that are not passive
	timer    *time.Timer
	idle     *time.Timer
	err      error // why it was closed
}

func newStream(h *Hub, req *Request) *Stream {
	s := &Stream{
		hub:     h,
		key:     req.Key,
		options: h.Options.with(req.Options),
		created: time.Now(),
		ready:   make(chan struct{}),
	}
	s.ring.keep, s.ring.limit = max(0, s.options.Keep), max(0, s.options.KeepBytes)
	return s
}

// with returns o with what p sets taken from p.
func (o StreamOptions) with(p StreamOptions) StreamOptions {
	if p.Time != TimeRelative {
		o.Time = p.Time
	}
	o.SilentAudio = o.SilentAudio || p.SilentAudio
	o.NoAudio = o.NoAudio || p.NoAudio
	o.NoVideo = o.NoVideo || p.NoVideo
	if p.Linger != 0 {
		o.Linger = p.Linger
	}
	if p.IdleClose != 0 {
		o.IdleClose = p.IdleClose
	}
	if p.Keep != 0 {
		o.Keep = p.Keep
	}
	if p.KeepBytes != 0 {
		o.KeepBytes = p.KeepBytes
	}
	if p.PacedDelay != 0 {
		o.PacedDelay = p.PacedDelay
	}
	return o
}

// Key returns the stream's name.
func (s *Stream) Key() Key { return s.key }

// Tracks returns the tracks known so far.
func (s *Stream) Tracks() []*codec.Track {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tracks
}

// begin starts a new stream's first publication.
func (s *Stream) begin(req *Request) *publication {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := newPublication(s, req)
	if s.state == StateClosed { // the hub was closed meanwhile
		return p
	}
	s.pub, s.schema = p, req.Schema
	s.clock.mode = s.options.Time
	s.after(audioTimeout, s.settle)
	s.watchIdle()
	s.hub.events.post(Event{Kind: EventPublish, Key: s.key, Session: p.stats()})
	return p
}

// resume lets a new publisher continue a lingering stream. It fails with
// ErrBusy if the stream has a publisher, ErrClosed if it has just ended.
func (s *Stream) resume(req *Request) (*publication, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case StateLingering:
	case StateClosed:
		return nil, ErrClosed
	default:
		return nil, fmt.Errorf("%w: %s", ErrBusy, s.key)
	}
	p := newPublication(s, req)
	p.resumed, p.needKey = true, s.hasVideo()
	s.pub, s.schema = p, req.Schema
	s.stopTimer()
	s.state = StateLive
	pause := max(0, p.start.Sub(s.clockStopped()))
	s.clock = clock{mode: s.clock.mode, start: max(s.clock.next(), s.clock.end()+pause), repairs: s.clock.repairs}
	s.hub.events.post(Event{Kind: EventPublish, Key: s.key, Session: p.stats()})
	s.hub.events.post(Event{Kind: EventResumed, Key: s.key, Session: p.stats()})
	return p, nil
}

// clockStopped returns when the last frame came.
func (s *Stream) clockStopped() time.Time {
	s.ring.mu.RLock()
	defer s.ring.mu.RUnlock()
	if head := s.ring.head.Load(); head > s.ring.tail {
		return s.ring.at(head - 1).at
	}
	return time.Now()
}

func (s *Stream) hasVideo() bool {
	return slices.ContainsFunc(s.tracks, func(t *codec.Track) bool { return t.Kind() == codec.KindVideo })
}

// after replaces the stream's timer. The lock is held.
func (s *Stream) after(d time.Duration, fn func()) *time.Timer {
	s.stopTimer()
	s.timer = time.AfterFunc(d, fn)
	return s.timer
}

func (s *Stream) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// settle lets time decide whether a pending stream goes live.
func (s *Stream) settle() {
	s.mu.Lock()
	if s.state == StatePending {
		s.goLiveIfReady(time.Now())
	}
	s.mu.Unlock()
	s.hub.events.drain(s.hub.OnEvent)
}

// setTracks takes over what the publisher p announces. The lock is held.
func (s *Stream) setTracks(p *publication, tracks []*codec.Track, complete bool, now time.Time) {
	known := make([]*codec.Track, 0, len(tracks))
	for _, t := range tracks {
		if s.wants(t) && (s.state == StatePending || t.Ready()) {
			known = append(known, t)
		}
	}
	if s.silence != nil && slices.ContainsFunc(known, isAudio) {
		s.endSilence()
	}
	for _, t := range s.tracks {
		switch {
		case slices.ContainsFunc(known, func(k *codec.Track) bool { return k.ID == t.ID }):
		case s.state != StatePending && complete && !t.Synthetic && s.clock.track(t.ID) == nil: // an earlier publisher's
		default: // a frame may have come first
			known = append(known, t)
		}
	}
	if len(known) > len(s.tracks) {
		s.grown = now
	}
	s.tracks, s.complete = known, complete
	if p.resumed {
		p.needKey = s.hasVideo()
	}
	if s.state == StatePending {
		s.goLiveIfReady(now)
	}
}

// endSilence ends the silent audio, for there is real one now. The lock is held.
func (s *Stream) endSilence() {
	s.silence = nil
	s.tracks = slices.DeleteFunc(slices.Clone(s.tracks), func(k *codec.Track) bool { return k.Synthetic })
}

// learn records the track of a frame if it is new or has changed. The lock is held.
func (s *Stream) learn(t *codec.Track, now time.Time) {
	if s.silence != nil && isAudio(t) {
		s.endSilence()
	}
	for i, k := range s.tracks {
		if k == t {
			return
		}
		if k.ID == t.ID {
			s.tracks = slices.Clone(s.tracks)
			s.tracks[i] = t
			return
		}
	}
	s.tracks = append(slices.Clone(s.tracks), t)
	s.grown = now
}

func (s *Stream) wants(t *codec.Track) bool {
	switch t.Kind() {
	case codec.KindAudio:
		return !s.options.NoAudio
	case codec.KindVideo:
		return !s.options.NoVideo
	}
	return true
}

// write takes one frame from the publisher. The lock is held.
func (s *Stream) write(p *publication, f *codec.Frame, now time.Time) {
	if s.state != StatePending {
		if !f.Track.Ready() {
			p.dropped++
			return
		}
		s.learn(f.Track, now)
		s.enter(p, f, now)
		return
	}
	s.learn(f.Track, now)
	s.hold(f, now)
	s.goLiveIfReady(now)
}

// hold keeps a frame until the stream goes live. The lock is held.
func (s *Stream) hold(f *codec.Frame, now time.Time) {
	n, bytes := 0, len(f.Data)
	for _, h := range s.held {
		bytes += len(h.Data)
		if h.Track.ID == f.Track.ID {
			n++
		}
	}
	if n >= maxHeld {
		i := slices.IndexFunc(s.held, func(h heldFrame) bool { return h.Track.ID == f.Track.ID })
		bytes -= len(s.held[i].Data)
		s.held = slices.Delete(s.held, i, i+1)
	}
	for ; bytes > ringBytes && len(s.held) > 0; s.held = slices.Delete(s.held, 0, 1) {
		bytes -= len(s.held[0].Data)
	}
	s.held = append(s.held, heldFrame{f, now})
}

// A heldFrame is a frame that waits: for its stream to go live, or in a smoother.
type heldFrame struct {
	*codec.Frame
	arrived time.Time
}

// goLiveIfReady makes a pending stream live when enough is known of its tracks,
// or was waited for long enough. The lock is held.
func (s *Stream) goLiveIfReady(now time.Time) {
	ready, wait := s.readiness(now)
	if !ready {
		s.after(wait, s.settle)
		return
	}
	s.stopTimer()
	s.tracks = slices.DeleteFunc(slices.Clone(s.tracks), func(t *codec.Track) bool { return !t.Ready() })
	s.state = StateLive
	held := s.held
	s.held = nil
	slices.SortStableFunc(held, func(a, b heldFrame) int { return cmp.Compare(a.DTS, b.DTS) })
	if s.options.SilentAudio && s.hasVideo() && !s.hasAudio() {
		s.silence = newSilence(s.silentID(), 0)
		s.tracks = append(s.tracks, s.silence.track)
	}
	s.hub.log(slog.LevelInfo, "stream is live", "stream", s.key.String(), "tracks", describe(s.tracks))
	s.hub.events.post(Event{Kind: EventLive, Key: s.key, Session: s.pub.stats()})
	for _, f := range held {
		if f.Track.Ready() {
			s.emit(s.pub, f.Frame, f.arrived, now)
		}
	}
	close(s.ready)
}

// readiness tells whether a pending stream may go live, and else when to look
// again. The whole wait counts from the publisher's coming, that for a track
// from the latest track's.
func (s *Stream) readiness(now time.Time) (ready bool, again time.Duration) {
	left := readyTimeout - now.Sub(s.created)
	quiet := now.Sub(s.grown)
	n, missing, audio, video := 0, codec.KindData, s.options.NoAudio, s.options.NoVideo
	unready := false
	for _, t := range s.tracks {
		switch {
		case t.Ready():
			n++
			audio = audio || t.Kind() == codec.KindAudio
			video = video || t.Kind() == codec.KindVideo
		case !unready:
			unready, missing = true, t.Kind()
		case missing != t.Kind():
			missing = codec.KindData
		}
	}
	switch {
	case n == 0:
		return false, max(left, time.Second)
	case left <= 0:
		return true, 0
	case unready && missing != codec.KindAudio:
		return false, left
	case unready && quiet < audioTimeout:
		return false, min(left, audioTimeout-quiet)
	case s.complete, audio && video:
		return true, 0
	case n == 1 && quiet < singleTimeout:
		return false, min(left, singleTimeout-quiet)
	}
	return n == 1, left
}

func isAudio(t *codec.Track) bool { return t.Kind() == codec.KindAudio }

func (s *Stream) hasAudio() bool { return slices.ContainsFunc(s.tracks, isAudio) }

func (s *Stream) silentID() int {
	id := silentID
	for _, t := range s.tracks {
		id = max(id, t.ID+1)
	}
	return id
}

func describe(tracks []*codec.Track) []string {
	var d []string
	for _, t := range tracks {
		d = append(d, t.String())
	}
	return d
}

// emit puts a frame that has arrived into the ring with its time repaired. The
// lock is held.
func (s *Stream) emit(p *publication, f *codec.Frame, arrived, now time.Time) {
	video := f.Track.Kind() == codec.KindVideo
	discont := false
	if p.resumed {
		p.video = p.video || video
		discont = video && (f.Key() || !p.needKey) || !s.hasVideo()
		if p.needKey && !discont && (p.video || now.Sub(p.start) < singleTimeout) {
			return
		}
		p.needKey, p.resumed = p.needKey && !discont, !discont
	}
	dts, pts := s.clock.stamp(f, arrived)
	if dts != f.DTS || pts != f.PTS || discont {
		g := *f
		g.DTS, g.PTS = dts, pts
		if discont {
			g.Flags |= codec.FlagDiscont
		}
		f = &g
	}
	if s.silence != nil && video {
		for q := s.silence.until(dts); q != nil; q = s.silence.until(dts) {
			s.ring.append(q, len(q.Data), false, now)
		}
	}
	s.ring.append(f, len(f.Data), f.Key() && (video || !s.hasVideo()), now)
}

// lose ends the publication p. With a reason the stream lingers, else it ends.
func (s *Stream) lose(p *publication, reason error) {
	s.mu.Lock()
	graceful := reason == nil
	if graceful {
		reason = io.EOF
	}
	p.finish(reason)
	if s.pub != p {
		s.mu.Unlock()
		return
	}
	s.smoother.flush(time.Now())
	linger := s.options.Linger
	if linger == 0 {
		linger = defaultLinger
	}
	if graceful || linger < 0 || s.state == StatePending {
		s.mu.Unlock()
		s.end(reason, io.EOF)
		return
	}
	s.pub = nil
	s.state = StateLingering
	var t *time.Timer
	t = s.after(linger, func() { s.endIf(func() bool { return s.timer == t }, reason, io.EOF) })
	s.hub.events.post(Event{Kind: EventPublishEnd, Key: s.key, Session: p.stats()})
	s.hub.events.post(Event{Kind: EventLost, Key: s.key, Session: p.stats()})
	s.mu.Unlock()
	s.hub.log(slog.LevelInfo, "publisher lost", "stream", s.key.String(), "reason", reason)
	s.hub.events.drain(s.hub.OnEvent)
}

// End closes the stream for the reason err: the publisher's next write fails
// with it, viewers come to the end of the stream.
func (s *Stream) End(err error) { s.end(err, io.EOF) }

// end closes the stream; publishers get reason, viewers last.
func (s *Stream) end(reason, last error) {
	s.endIf(func() bool { return true }, reason, last)
}

// endIf is end, if ok says so with the lock held.
func (s *Stream) endIf(ok func() bool, reason, last error) {
	s.mu.Lock()
	if s.state == StateClosed || !ok() {
		s.mu.Unlock()
		return
	}
	if s.state == StatePending {
		close(s.ready)
	}
	s.state, s.err, s.held = StateClosed, reason, nil
	s.stopTimer()
	if s.idle != nil {
		s.idle.Stop()
	}
	s.smoother.flush(time.Now())
	p := s.pub
	s.pub = nil
	s.ring.close(last)
	for sub := range s.subs {
		sub.streamEnded()
	}
	// Out of the map before anyone learns of the end, so that who comes next
	// finds no dead stream.
	s.hub.remove(s)
	if p != nil {
		p.finish(reason)
		s.hub.events.post(Event{Kind: EventPublishEnd, Key: s.key, Session: p.stats()})
	}
	s.hub.events.post(Event{Kind: EventClosed, Key: s.key})
	s.mu.Unlock()
	s.hub.log(slog.LevelInfo, "stream has ended", "stream", s.key.String(), "reason", reason)
	if p != nil {
		p.req.end(p.stats())
	}
	s.hub.events.drain(s.hub.OnEvent)
}

// Subscribe returns a reading of the stream, which starts at the newest key
// frame, without asking a Handler; nil if the stream has ended or is not live.
// It is for what turns a stream into something else once for many: HLS, a
// recording. req needs Schema, and Passive if the reading is no viewer.
func (s *Stream) Subscribe(req *Request) *Subscription {
	req.Key = s.key
	if req.ID == "" {
		req.ID = NewID()
	}
	sub := s.subscribe(req)
	s.hub.events.drain(s.hub.OnEvent)
	return sub
}

// subscribe adds a viewer at the newest key frame; nil if the stream is not live.
func (s *Stream) subscribe(req *Request) *Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != StateLive && s.state != StateLingering {
		return nil
	}
	sub := newSubscription(s, req)
	if s.subs == nil {
		s.subs = map[*Subscription]struct{}{}
	}
	s.subs[sub] = struct{}{}
	if len(s.subs) == 1 {
		s.ring.setWindow(ringWindow, time.Now())
	}
	if !req.Passive {
		s.viewers++
		s.watchIdle()
	}
	s.hub.events.post(Event{Kind: EventPlay, Key: s.key, Session: sub.Stats()})
	return sub
}

// unsubscribe takes a viewer away.
func (s *Stream) unsubscribe(sub *Subscription) {
	s.mu.Lock()
	if _, ok := s.subs[sub]; !ok {
		s.mu.Unlock()
		return
	}
	delete(s.subs, sub)
	if len(s.subs) == 0 {
		s.ring.setWindow(0, time.Now())
	}
	s.hub.events.post(Event{Kind: EventPlayEnd, Key: s.key, Session: sub.Stats()})
	if !sub.req.Passive {
		if s.viewers--; s.viewers == 0 && s.state != StateClosed {
			s.hub.events.post(Event{Kind: EventIdle, Key: s.key})
		}
		s.watchIdle()
	}
	s.mu.Unlock()
	s.hub.events.drain(s.hub.OnEvent)
}

// watchIdle starts or stops the clock that closes an unwatched stream. The lock
// is held.
func (s *Stream) watchIdle() {
	if s.options.IdleClose <= 0 || s.state == StateClosed {
		return
	}
	switch {
	case s.viewers > 0 && s.idle != nil:
		s.idle.Stop()
		s.idle = nil
	case s.viewers == 0 && s.idle == nil:
		var t *time.Timer
		t = time.AfterFunc(s.options.IdleClose, func() {
			s.endIf(func() bool { return s.idle == t }, ErrIdle, io.EOF)
		})
		s.idle = t
	}
}

// kick ends the session that has the id.
func (s *Stream) kick(id string) bool {
	s.mu.Lock()
	var sub *Subscription
	for c := range s.subs {
		if c.req.ID == id {
			sub = c
		}
	}
	publisher := s.pub != nil && s.pub.req.ID == id
	s.mu.Unlock()
	switch {
	case sub != nil:
		sub.cut(ErrKicked)
	case publisher:
		s.end(ErrKicked, io.EOF)
	default:
		return false
	}
	return true
}
