package rtsp

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A clientFilm is a stream that has a length: one can go elsewhere in it.
type clientFilm struct{ *clientReader }

// maxHeld is how many datagrams are kept that come before the answer to PLAY.
const maxHeld = 2048

// stragglers is how long datagrams from before a jump are looked out for.
const stragglers = 2 * time.Second

// A showing is how a film is played. The mutex of the clientReader guards it.
type showing struct {
	pending   bool    // a request waits for its answer: what comes before has to be read
	paused    bool    // nothing is returned
	scale     float64 // of the server's time; 0: 1
	stretched bool    // the packets go by the wall clock at that scale

	base    time.Duration // where in the film the receiver's time 0 is
	deaf    bool          // packets are not wanted: they are from before a jump
	holds   bool          // deaf, but datagrams may be from after it
	held    []heldDatagram
	answer  time.Time         // when PLAY was answered
	firsts  []rtpInfo         // what that told, by the medias
	awaits  bool              // the next frame is the first after a jump, a key frame
	landing chan *codec.Frame // gets that, or nil at the end of the stream
}

// A heldDatagram is an RTP packet that came before the answer to PLAY.
type heldDatagram struct {
	track int
	b     []byte
}

// Duration implements source.Seeker.
func (r *clientFilm) Duration() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.duration
}

// Seek implements source.Seeker.
func (r *clientFilm) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	ctx, done, err := r.command(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	return r.jump(ctx, t, 0)
}

// Pause implements source.Pauser.
func (r *clientFilm) Pause(paused bool) error {
	ctx, done, err := r.command(context.Background())
	if err != nil {
		return err
	}
	defer done()
	r.mu.Lock()
	was := r.show.paused
	r.show.paused = paused // nothing is read from now on
	r.mu.Unlock()
	if was == paused {
		return nil
	}
	method := wire.MethodPlay
	if paused {
		method = wire.MethodPause
	}
	_, err = r.conn.do(ctx, method, r.url, nil, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.show.paused = was
	}
	r.last = time.Now()
	notify(r.ready)
	return err
}

// SetSpeed implements source.Speeder: by Speed, which leaves the packets' times as
// they are, or by Scale if the server does not know that; then it goes on at a key
// frame.
func (r *clientFilm) SetSpeed(speed float64) error {
	if !(speed > 0) {
		return fmt.Errorf("rtsp: %w: speed %v", source.ErrUnsupported, speed)
	}
	ctx, done, err := r.command(context.Background())
	if err != nil {
		return err
	}
	defer done()
	r.mu.Lock()
	paused, at := r.show.paused, r.newest
	r.mu.Unlock()
	if paused { // only PLAY could ask for it
		return fmt.Errorf("rtsp: %w: another speed while paused", source.ErrUnsupported)
	}
	res, err := r.conn.do(ctx, wire.MethodPlay, r.url, fields("Speed", formatRate(speed)), nil)
	if err != nil {
		return err
	}
	got, ok := parseRate(res.Header.Get("Speed"))
	if !ok {
		if _, err := r.jump(ctx, at, speed); err != nil {
			return err
		}
		r.mu.Lock()
		got = cmp.Or(r.show.scale, 1)
		r.mu.Unlock()
	}
	if got != speed {
		return fmt.Errorf("rtsp: %w: the server plays at speed %v", source.ErrUnsupported, got)
	}
	return nil
}

// command prepares to ask the server for something, one at a time. done ends it.
func (r *clientFilm) command(ctx context.Context) (_ context.Context, done func(), err error) {
	r.commands.Lock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		r.commands.Unlock()
		return nil, nil, fmt.Errorf("rtsp: the film is over: %w", source.ErrClosed)
	}
	r.show.pending = true
	r.space.Broadcast()
	ctx, cancel := within(ctx, r.client.timeout())
	ctx, cancelCause := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.life, func() { cancelCause(source.ErrClosed) })
	return ctx, func() {
		stop()
		cancelCause(nil)
		cancel()
		r.mu.Lock()
		r.show.pending = false
		r.mu.Unlock()
		r.commands.Unlock()
	}, nil
}

// jump goes to another time, at another Scale if that is not 0.
func (r *clientFilm) jump(ctx context.Context, to time.Duration, scale float64) (time.Duration, error) {
	to = max(0, to)
	landing := make(chan *codec.Frame, 1)
	r.mu.Lock()
	s := &r.show
	paused := s.paused
	s.deaf, s.paused, s.landing = true, true, landing
	scale = cmp.Or(scale, s.scale)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		s.deaf, s.holds, s.held, s.paused, s.landing = false, false, nil, paused, nil
		r.last = time.Now()
		notify(r.ready)
	}()
	var status *StatusError
	if !paused {
		// Otherwise PLAY would have to wait for its turn (RFC 2326, 10.5); servers that
		// do not know PAUSE do not make it wait.
		if _, err := r.conn.do(ctx, wire.MethodPause, r.url, nil, nil); err != nil && !errors.As(err, &status) {
			return 0, err
		}
	}
	r.mu.Lock()
	s.holds = r.recv.Reorder
	r.mu.Unlock()
	h := fields("Range", "npt="+formatNPT(to)+"-")
	if scale != 0 {
		h.Add("Scale", formatRate(scale))
	}
	if _, err := r.conn.doThen(ctx, wire.MethodPlay, r.url, h, nil, func(res *wire.Response) { r.land(res, to) }); err != nil {
		if errors.As(err, &status) && !paused { // there it cannot go: it goes on
			_, _ = r.conn.do(ctx, wire.MethodPlay, r.url, nil, nil)
		}
		return 0, err
	}
	var first *codec.Frame
	select {
	case first = <-landing:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if first == nil {
		return 0, fmt.Errorf("rtsp: the film is over: %w", source.ErrClosed)
	}
	if paused {
		if _, err := r.conn.do(ctx, wire.MethodPause, r.url, nil, nil); err != nil {
			return 0, err
		}
	}
	return first.DTS, nil
}

// land takes in the answer to a PLAY that goes elsewhere, before the packets after
// it: all begins anew.
func (r *clientFilm) land(res *wire.Response, to time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var fresh receiver
	fresh.Reorder, fresh.Settle = r.recv.Reorder, r.recv.Settle
	known := r.recv.Receiver.Tracks()
	for i := range r.medias {
		m := &r.medias[i]
		if _, err := fresh.Add(&m.payload, known[m.track]); err != nil {
			_, _ = fresh.Add(&m.payload, m.described) // which it was able to
		}
	}
	r.recv = fresh
	clear(r.frames)
	r.frames, r.size = r.store[:0], 0
	r.byes = nil
	s := &r.show
	s.base, s.answer, s.firsts = to, time.Now(), nil
	if value := res.Header.Get("Range"); value != "" {
		s.base = rangeStart(value)
	}
	r.newest = s.base
	s.scale, _ = parseRate(res.Header.Get("Scale"))
	// ZLMediaKit's packets keep their times.
	s.stretched = s.scale > 0 && !strings.Contains(res.Header.Get("Server"), "ZLMediaKit")
	infos := parseRTPInfo(res.Header.Get("RTP-Info"))
	for i := range r.medias {
		info := infoOf(infos, i, len(r.medias), r.medias[i].url)
		s.firsts = append(s.firsts, info)
		if info.known {
			r.recv.Anchor(r.medias[i].track, info.timestamp, 0)
		}
	}
	held := s.held
	s.deaf, s.holds, s.held, s.awaits = false, false, nil, true
	r.last = time.Now()
	for _, d := range held {
		r.receive(d.track, d.b)
	}
}

// refuses reports whether a packet is from before a jump, or keeps it until that
// is known. r.mu is held.
func (s *showing) refuses(track int, b []byte, now time.Time) bool {
	if s.deaf {
		if s.holds && len(s.held) < maxHeld {
			s.held = append(s.held, heldDatagram{track, b})
		}
		return true
	}
	if s.firsts == nil || now.Sub(s.answer) > stragglers || track >= len(s.firsts) || len(b) < 4 {
		return false
	}
	first := &s.firsts[track]
	return first.numbered && int16(binary.BigEndian.Uint16(b[2:])-first.sequence) < 0
}

// place puts a frame where it is in the film, and reports whether it is wanted: of
// what comes after a jump all from the first key frame on. r.mu is held.
func (r *clientReader) place(f *codec.Frame) bool {
	s := &r.show
	if s.stretched {
		early := f.PTS - f.DTS
		f.PTS = time.Duration(float64(f.PTS) * s.scale)
		if !s.awaits { // else it was guessed, as if frames came at the usual rate
			early = time.Duration(float64(early) * s.scale)
		}
		f.DTS = f.PTS - early
	}
	f.DTS, f.PTS = max(0, f.DTS+r.shift+s.base), max(0, f.PTS+r.shift+s.base)
	if !s.awaits {
		return true
	}
	if video := f.Track.Kind() == codec.KindVideo; video && !f.Key() || !video && r.hasVideo() {
		return false
	}
	s.awaits = false
	f.Flags |= codec.FlagKey | codec.FlagDiscont
	select {
	case s.landing <- f:
	default:
	}
	return true
}

// hasVideo reports whether there is a video track. r.mu is held.
func (r *clientReader) hasVideo() bool {
	for _, t := range r.recv.Tracks() {
		if t.Kind() == codec.KindVideo {
			return true
		}
	}
	return false
}
