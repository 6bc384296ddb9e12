package ps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/source"
)

// A link is the connection that a session's packets come over, and may be answered
// on. Its methods may be called from any goroutine and do not wait.
type link interface {
	protocol() string // "udp" or "tcp"
	remote() net.Addr
	local() net.Addr
	send(packets [][]byte) error // RTP packets; over TCP they are framed as the peer frames
	report(rtcp []byte) error    // an RTCP packet
	close()
}

// A printer writes a line to the log, unless there are too many of its kind.
type printer func(level slog.Level, kind string, args ...any)

// A Session is a stream that is being received: the packets of a sender become
// frames of a Publication. Its methods may be called from any goroutine.
//
// It has no goroutine of its own but while the Handler is asked, and while a viewer
// with source.SlowBlock makes it wait. Up to 10 s and 8 MiB of frames are kept
// meanwhile, then those from the newest key frame on.
//
// The sender may begin anew, or be followed by another one with another SSRC, another
// payload type or another payload: the stream goes on with FlagDiscont, and its
// tracks keep the IDs of those before of their codec or kind. If there are fewer than
// before the Publication ends as if its publisher was lost, and the Handler is asked
// again for the same name, with the same Request.ID.
type Session struct {
	link    link
	handler source.Handler
	options ReceiveOptions
	print   printer
	id      string          // of the Request
	name    source.Key      // that is asked for
	ctx     context.Context // ends with the session, of the Publication
	cancel  context.CancelFunc
	began   time.Time
	done    chan struct{}

	unanswered *unanswered // of all sessions, in which this one counts; nil: it does not

	plausible atomic.Bool // there was a beginning
	asked     atomic.Bool // and one that convinces
	isLive    atomic.Bool // the Handler has accepted
	stopped   atomic.Bool // it is to end: who holds mu does that, when leaving
	strange   atomic.Uint64
	resynced  atomic.Uint64

	mu         sync.Mutex // guards what follows
	candidate  candidate  // until there is a decoder
	rival      rival      // of the decoder's sender
	payload    Payload
	decoder    decoder
	past       rtp.ReceiverStats // of the decoders before
	packet     rtp.Packet        // that is being taken in, here so that it need not be allocated
	frames     []*codec.Frame    // of one packet; kept for its memory
	invalid    uint64            // packets that no decoder has seen
	count      uint64            // frames
	fresh      uint64            // of these, those of the present sender, since it began
	first      time.Time         // when the first of those came
	heard      time.Time         // when the newest one did, or the session began
	byed       time.Time         // when the sender said goodbye; zero: it has not
	reported   time.Time
	report     []byte // kept for its memory
	pub        source.Publication
	tracks     []*codec.Track // as announced
	complete   bool           // they are all
	untold     bool           // the Publication does not know yet
	backlog    backlog
	inside     int       // bytes that the decoder keeps, at most, until the Handler has answered
	weight     int       // what counts in unanswered
	holding    bool      // another sender has begun, whose tracks are not known yet
	held       backlog   // its frames
	anew       bool      // the Publication is to be made again, for tracks of it are gone
	publishing bool      // a goroutine asks the Handler, or empties the backlog
	now        impatient // of writing without one
	flushed    bool
	finished   bool

	state  sync.Mutex // guards what follows; nothing is called with it
	key    source.Key
	paused time.Time // until then there is no time-out
	reason error     // why it is to end, or ended; io.EOF for a goodbye
	stats  SessionStats
}

// newSession returns the session of packets that come over l, whose sender has the
// given SSRC. It asks handler for key once there is a frame, or almost; nil refuses. A
// session that has not come so far after 5 s ends, and keeps 64 KiB until then.
func newSession(l link, key source.Key, ssrc uint32, handler source.Handler, o *ReceiveOptions, log printer) *Session {
	now := time.Now()
	s := &Session{
		link: l, handler: handler, options: *o, print: log, id: source.NewID(), name: key, key: key,
		began: now, heard: now, reported: now, done: make(chan struct{}),
	}
	if log == nil {
		s.print = func(slog.Level, string, ...any) {}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.now.init(s.ctx)
	s.stats = SessionStats{ID: s.id, SSRC: ssrc, Protocol: l.protocol(), Local: l.local(), Start: now}
	return s
}

// protocolName returns what Request.Protocol says of RTP over "udp" or "tcp".
func protocolName(over string) string {
	if over == "tcp" {
		return "rtp/tcp"
	}
	return "rtp"
}

// Key returns the name of the stream.
func (s *Session) Key() source.Key {
	s.state.Lock()
	defer s.state.Unlock()
	return s.key
}

// Done returns a channel that is closed when the session has ended and nothing of
// it is left.
func (s *Session) Done() <-chan struct{} { return s.done }

// Close ends the session for the reason err; nil stands for source.ErrKicked. It
// does not wait, see Done.
func (s *Session) Close(err error) {
	if err == nil {
		err = source.ErrKicked
	}
	s.stop(err)
	s.settle()
}

// PauseTimeout suspends the time-out for d, after which it begins anew; 0 lets it
// begin anew at once.
func (s *Session) PauseTimeout(d time.Duration) {
	s.state.Lock()
	defer s.state.Unlock()
	s.paused = time.Now().Add(max(d, 0))
}

// likely reports whether there was the beginning of something, of which one packet is
// enough.
func (s *Session) likely() bool { return s.plausible.Load() }

// begun reports whether there was a beginning that convinces, so that the Handler was
// asked.
func (s *Session) begun() bool { return s.asked.Load() }

// accepted reports whether the Handler has accepted the stream.
func (s *Session) accepted() bool { return s.isLive.Load() }

// foreign counts a packet that came for the session, but not from its sender.
func (s *Session) foreign() { s.strange.Add(1) }

// peer returns the connection to the sender, which is good until Done.
func (s *Session) peer() link { return s.link }

// lastTime is how long what has come may take to be written after the end.
const lastTime = time.Second

// end ends the session for the reason err, nil or io.EOF for a goodbye. What has
// come is written first, also if the Handler is still being asked, unless the server
// is to end. It does not wait, see Done.
func (s *Session) end(err error) {
	if errors.Is(err, ErrServerClosed) || errors.Is(err, source.ErrClosed) {
		s.stop(err)
	} else {
		s.conclude(err)
	}
	s.settle()
}

// conclude lets the session end after what has come is written.
func (s *Session) conclude(err error) {
	s.resolve(err)
	time.AfterFunc(lastTime, s.cancel)
}

// stop lets the session end at once.
func (s *Session) stop(err error) {
	s.resolve(err)
	s.cancel()
}

// resolve notes that the session is to end. Only the first reason counts.
func (s *Session) resolve(err error) {
	if err == nil || errors.Is(err, io.EOF) {
		err = io.EOF
	}
	s.state.Lock()
	defer s.state.Unlock()
	if !s.stopped.Load() {
		s.reason = err
		s.stopped.Store(true)
	}
}

// leave unlocks mu, and ends the session if it is to end. It is to be deferred: a
// panic ends this session and no other.
func (s *Session) leave() {
	if v := recover(); v != nil {
		s.panicked(v)
	}
	s.mu.Unlock()
	s.settle()
}

// settle ends the session if it is to end and nobody is at it.
func (s *Session) settle() {
	if s.stopped.Load() && s.mu.TryLock() {
		defer s.mu.Unlock()
		s.finish()
	}
}

// panicked lets the session end for a panic, whose stack is below.
func (s *Session) panicked(v any) {
	stack := make([]byte, 16<<10)
	stack = stack[:runtime.Stack(stack, false)]
	s.print(slog.LevelError, "panic", "stream", s.Key().Path(), "panic", v, "stack", string(stack))
	s.flushed = true
	s.stop(fmt.Errorf("ps: %w", listen.ErrPanic))
}

// finish ends the session, unless the goroutine that publishes has to do it. mu is
// held.
func (s *Session) finish() {
	if s.finished {
		return
	}
	s.state.Lock()
	err := s.reason
	s.state.Unlock()
	if !s.flushed {
		s.flushed = true
		s.flush(err != io.EOF)
	}
	if s.publishing {
		return
	}
	s.cancel()
	s.snapshot()
	s.describe()
	s.finished = true
	if s.unanswered != nil {
		s.note()
	}
	if s.pub != nil {
		s.unpublish(err)
	}
	s.log(err)
	s.candidate, s.rival, s.decoder, s.backlog, s.held, s.frames = candidate{}, rival{}, nil, backlog{}, backlog{}, nil
	close(s.done)
}

// log writes the session's line.
func (s *Session) log(err error) {
	level := slog.LevelInfo
	if !s.begun() {
		level = slog.LevelDebug
	}
	st := &s.stats
	s.print(level, "receiving ended", "stream", s.Key().Path(), "id", s.id, "ssrc", fmt.Sprintf("%08X", st.SSRC),
		"remote", s.link.remote(), "over", st.Protocol, "payload", st.Payload, "lasted", time.Since(s.began).Round(time.Millisecond),
		"packets", st.Packets, "lost", st.Lost, "reordered", st.Reordered, "duplicates", st.Duplicates, "invalid", st.Invalid,
		"foreign", s.strange.Load(), "resyncs", s.resynced.Load(), "frames", st.Frames, "dropped", st.Dropped, "error", err)
}
