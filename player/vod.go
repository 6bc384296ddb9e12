package player

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// A VOD is a source.Handler that plays files. The stream "cam/2024-05-01/a.mp4" of
// the application "record" is the file Root/record/cam/2024-05-01/a.mp4; of a
// virtual host that is not source.DefaultVhost it is that below Root/vhost. A
// folder stands for the films in it and below it, and files with semicolons
// between their names are played one after the other, see [OpenFiles]. What is no
// file goes to Next, and what is a stream there if that is a source.Hub.
//
// Each viewer has a timeline of its own: a Reader that delivers in real time and is
// a source.Seeker, Pauser and Speeder. Viewers by HLS, who fetch what they want,
// get one that delivers at once, and whose file hls.Handler has closed while they
// fetch nothing. The parameter start=SECONDS of the URL begins at the key frame before.
//
// Names come from strangers. They are opened beneath the folder of the application,
// links out of it are not followed, and hidden files are not there: recordings have
// such names while they last.
//
// The zero value has no files. Fields must not change once a VOD was used. Close it
// to end all that it plays.
type VOD struct {
	Root string         // folder; empty has no files
	App  string         // "record" if empty
	Next source.Handler // gets what is no file; nil refuses that

	// Shared has all viewers of a name watch one timeline, a stream of this hub. It
	// begins with the first of them, and ends with the file or when nobody has
	// watched for the hub's StreamOptions.IdleClose (here 0 means 20 s). They cannot
	// seek in it and do not choose where to start; whoever gets it from Sessions can
	// seek. Viewers by HLS have their own nevertheless.
	Shared *source.Hub

	Loop        bool         // begin again at the end, except by HLS
	MaxSessions int          // more timelines are refused with source.ErrLimit; 0: no limit
	Logger      *slog.Logger // files of folders that are left out; nil discards

	mu       sync.Mutex // guards what follows
	sessions map[*source.Viewing]struct{}
	taken    int // places
	closed   bool
	work     sync.WaitGroup // goroutines of shared timelines; none begins once closed
}

var (
	errNoFilm = errors.New("player: no such film") // Play gives the request to Next
	errClosed = fmt.Errorf("player: %w", source.ErrClosed)
)

// sharedIdle is how long a shared timeline goes on when nobody watches.
const sharedIdle = 20 * time.Second

// Play opens the file that req names. Errors wrap source.ErrNotFound for a start
// beyond the end, ErrForbidden for what this process may not read, ErrUnsupported
// for what cannot be played and ErrLimit.
func (v *VOD) Play(ctx context.Context, req *source.Request) (source.Reader, error) {
	f, err := v.find(req)
	if err == nil && v.isLive(req.Key) {
		err = errNoFilm
	}
	if err == nil {
		var r source.Reader
		switch hls := req.Schema == "hls" || req.Schema == "hls.fmp4"; {
		case hls:
			r, err = v.open(ctx, req, f, 0, func(m medium) source.Reader { return m })
		case v.Shared != nil:
			r, err = v.share(ctx, req, f)
		default:
			var start time.Duration
			if start, err = startOf(req); err == nil {
				r, err = v.open(ctx, req, f, start, v.paced)
			}
		}
		if err == nil {
			return r, nil
		}
	}
	if err != errNoFilm {
		return nil, err
	}
	if v.Next == nil {
		return nil, fmt.Errorf("player: %w: %s", source.ErrNotFound, req.Key)
	}
	return v.Next.Play(ctx, req)
}

// isLive reports whether somebody publishes what has the name of a file.
func (v *VOD) isLive(key source.Key) bool {
	hub, ok := v.Next.(*source.Hub)
	return ok && hub != v.Shared && hub.Stream(key) != nil // a stream that is shared is the file
}

// open opens a file for req, at start, as a Reader that wrap returns.
func (v *VOD) open(ctx context.Context, req *source.Request, f *found, start time.Duration, wrap func(medium) source.Reader) (*source.Viewing, error) {
	place, err := v.enter()
	if err != nil {
		return nil, err
	}
	m, err := f.open(ctx, v.skip)
	if err == nil && start > 0 {
		if err = seekTo(ctx, m, start); err != nil {
			_ = m.Close()
		}
	}
	if err != nil {
		place.leave()
		return nil, refusal(err)
	}
	return v.begin(place, req, wrap(m))
}

// Publish passes req on: nobody publishes files.
func (v *VOD) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	if v.Next == nil {
		return nil, fmt.Errorf("player: %w", source.ErrForbidden)
	}
	return v.Next.Publish(ctx, req)
}

// paced returns m as those see it who do not fetch.
func (v *VOD) paced(m medium) source.Reader {
	if v.Loop {
		return source.Pace(Loop(m))
	}
	return source.Pace(m)
}

// skip tells that files of a folder are left out.
func (v *VOD) skip(files int, err error) { logSkipped(v.Logger, files, err) }

// Sessions returns what is being played: the timelines of viewers and those that
// viewers share, in the order in which they began. With source.As one finds their
// abilities; who seeks in a viewer's timeline should know that what was sent before
// comes first.
func (v *VOD) Sessions() []*source.Viewing {
	v.mu.Lock()
	all := make([]*source.Viewing, 0, len(v.sessions))
	for s := range v.sessions {
		all = append(all, s)
	}
	v.mu.Unlock()
	slices.SortFunc(all, func(a, b *source.Viewing) int { return a.Stats().Start.Compare(b.Stats().Start) })
	return all
}

// Kick ends the session that has the given id. It reports whether there was one.
func (v *VOD) Kick(id string) bool {
	for _, s := range v.Sessions() {
		if s.Request().ID == id {
			s.Kick(nil)
			return true
		}
	}
	return false
}

// Close ends all sessions and refuses new ones. When it returns, nothing that the
// VOD started is left.
func (v *VOD) Close() error {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	for _, s := range v.Sessions() {
		s.Kick(source.ErrClosed)
	}
	v.work.Wait()
	return nil
}

// A place is that of a session among those there may be.
type place struct {
	vod  *VOD
	left bool // guarded by the VOD's lock
}

// enter takes a place.
func (v *VOD) enter() (*place, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, errClosed
	}
	if v.MaxSessions > 0 && v.taken >= v.MaxSessions {
		return nil, fmt.Errorf("player: %w: %d films are being played", source.ErrLimit, v.taken)
	}
	v.taken++
	return &place{vod: v}, nil
}

// leave gives the place back, once.
func (p *place) leave() {
	p.vod.mu.Lock()
	defer p.vod.mu.Unlock()
	if !p.left {
		p.left = true
		p.vod.taken--
	}
}

// begin makes r the session of req, which has a place until it is closed.
func (v *VOD) begin(p *place, req *source.Request, r source.Reader) (*source.Viewing, error) {
	s := source.Account(req, r)
	req.OnEnd(func(source.SessionStats) {
		v.mu.Lock()
		delete(v.sessions, s)
		v.mu.Unlock()
		p.leave()
	})
	v.mu.Lock()
	closed := v.closed
	if !closed {
		if v.sessions == nil {
			v.sessions = map[*source.Viewing]struct{}{}
		}
		v.sessions[s] = struct{}{}
	}
	v.mu.Unlock()
	if closed {
		_ = s.Close()
		return nil, errClosed
	}
	return s, nil
}

// startOf returns where req wants to start.
func startOf(req *source.Request) (time.Duration, error) {
	text := req.Query().Get("start")
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0) {
		return 0, source.Refuse(fmt.Errorf("player: %w: start=%q", source.ErrBadKey, text), "start is a number of seconds")
	}
	if seconds > math.MaxInt64/float64(time.Second)-1 {
		return math.MaxInt64, nil
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// seekTo goes to a place that a viewer asked for.
func seekTo(ctx context.Context, m medium, start time.Duration) error {
	if d := m.Duration(); d > 0 && start >= d {
		return source.Refuse(fmt.Errorf("%w: %v is beyond the end, %v", source.ErrNotFound, start, d), "start is beyond the end")
	}
	_, err := m.Seek(ctx, start)
	return err
}

// refusal returns an error of the file system or of a container with what a viewer is
// told of it, and what a server answers.
func refusal(err error) error {
	var path *fs.PathError
	is := func(e error) bool { return errors.Is(err, e) }
	err = fmt.Errorf("player: %w", err)
	switch {
	case is(fs.ErrNotExist):
		return errNoFilm
	case is(fs.ErrPermission):
		return source.Refuse(fmt.Errorf("%w (%w)", err, source.ErrForbidden), "the file cannot be read")
	case is(source.ErrUnsupported), is(ErrUnknown):
		return source.Refuse(fmt.Errorf("%w (%w)", err, source.ErrUnsupported), "the file is none that can be played")
	case is(source.ErrLimit), is(source.ErrNotFound), is(context.Canceled), is(context.DeadlineExceeded), errors.As(err, &path):
		return err
	}
	return source.Refuse(fmt.Errorf("%w (%w)", err, source.ErrUnsupported), "the file is damaged")
}
