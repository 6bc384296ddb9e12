package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

const (
	maxMissing = 5  // segments in a row, then the stream has failed
	maxRoles   = 16 // tracks of a rendition
)

// counters are what ReaderStats tells.
type counters struct {
	segments, bytes, missing, expired, gaps, reloads, retries, breaks atomic.Uint64
}

// A rendition follows one media playlist and puts its frames into a buffer.
type rendition struct {
	fetch  *fetcher
	keys   keyring
	url    *url.URL
	list   *remoteMedia
	loaded time.Time  // when the request for list was made
	fresh  time.Time  // when there was something to play
	same   bool       // list was as before
	only   codec.Kind // of the tracks that are used; KindData: all are
	but    codec.Kind // of those that are not; KindData: all are
	index  int
	log    *slog.Logger
	count  *counters
	edge   *atomic.Int64 // stream time of the end of list; of the first rendition
	store  *atomic.Int64 // media up to there that is wanted; of the first rendition

	next    uint64 // sequence number
	refused int    // reloads in a row
	missing int    // segments in a row
	why     error  // the last segment is missing
	lost    bool   // something is missing before what comes next

	split    *splitter
	init     string // names what split was set up with
	initial  []byte // is that
	time     *timeline
	out      *buffer
	side     *side
	roles    map[int]*role // by ID of the track in segments
	played   []*role       // all there ever were
	begun    bool          // there were frames
	epoch    uint64
	shift    time.Duration // added to times
	placed   bool          // it is known where the segment at hand is
	due      time.Duration // stream time at which the next segment is expected
	highest  time.Duration // DTS so far
	staged   []*codec.Frame
	anew     bool      // frames are staged, for shift is not known
	alone    bool      // nor does it concern other renditions
	zero     time.Time // what the playlist says that stream time 0 is
	restarts uint64    // of the server's playlist
	breaks   bool      // the next frame is a discontinuity
	frames   []*codec.Frame
	chunk    []byte
}

// load loads the playlist for the first time, from b if that is not nil.
func (r *rendition) load(ctx context.Context, b []byte) (err error) {
	r.loaded = time.Now()
	if b == nil {
		if b, r.url, err = r.fetch.playlist(ctx, r.url); err != nil {
			return err
		}
	}
	if r.list, err = parseMedia(r.url, b); err != nil {
		return err
	}
	if r.list.ended && len(r.list.segments) == 0 {
		return invalid("a playlist without segments")
	}
	r.fresh = time.Now()
	r.enter(r.list)
	return nil
}

// enter makes list the current one, and begins where one does who knows no other.
func (r *rendition) enter(list *remoteMedia) {
	r.list, r.next = list, list.join()
	if r.index == 0 {
		r.store.Store(int64(list.after(r.next) + list.target))
	}
}

// align moves the place to begin at to where another rendition begins.
func (r *rendition) align(epoch uint64) {
	s := r.list.at(r.next)
	for s != nil && s.epoch < epoch {
		if s = r.list.at(s.sequence + 1); s != nil {
			r.next = s.sequence
		}
	}
	for s != nil && s.epoch > epoch && r.list.at(s.sequence-1) != nil {
		s = r.list.at(s.sequence - 1)
		r.next = s.sequence
	}
}

// run plays segments until there are no more, which returns io.EOF.
func (r *rendition) run(ctx context.Context) error {
	r.chunk = make([]byte, 32<<10)
	for {
		s := r.list.at(r.next)
		var err error
		switch {
		case s != nil:
			r.next++
			err = r.play(ctx, s)
			r.fresh = time.Now()
		case r.list.ended && !r.begun && r.why != nil:
			return r.why // there was nothing else
		case r.list.ended:
			return io.EOF
		default:
			err = r.reload(ctx)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// play plays one segment. Its error ends the stream; a segment that is not there
// does not.
func (r *rendition) play(ctx context.Context, s *remoteSegment) error {
	if r.index == 0 && r.begun {
		r.edge.Store(int64(r.due + r.list.after(s.sequence)))
	}
	r.placed = false
	if s.gap {
		r.count.gaps.Add(1)
		r.skip(s)
		return nil
	}
	err := r.segment(ctx, s)
	if err == nil {
		r.count.segments.Add(1)
		r.missing = 0
		if !r.placed {
			r.due += s.duration
		}
		r.out.settle(r.side, r.highest)
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	err = fmt.Errorf("segment %d: %w", s.sequence, err)
	r.missing++
	r.why = err
	r.count.missing.Add(1)
	if r.missing == maxMissing || errors.Is(err, source.ErrUnsupported) {
		return err
	}
	r.log.Warn("hls: segment left out", "url", r.url.Redacted(), "err", err)
	if r.split != nil {
		r.split.flush(nil)
	}
	r.staged = nil
	r.skip(s)
	return nil
}

// skip goes on behind s, of which frames are missing.
func (r *rendition) skip(s *remoteSegment) {
	if !r.placed {
		r.due += s.duration
	}
	r.lost = true
	if r.begun {
		r.out.settle(r.side, r.highest)
	}
}

// open returns what a section is in clear.
func (r *rendition) open(ctx context.Context, s *section, budget time.Duration, limit int64) (io.Reader, *piece, error) {
	u, err := resolve(r.list.base, s.uri)
	if err != nil {
		return nil, nil, err
	}
	p := &piece{ctx: ctx, fetch: r.fetch, url: u, from: s.from, left: s.length, limit: limit, budget: budget, retries: &r.count.retries}
	in, err := r.keys.decrypter(ctx, r.list.base, s, p)
	return in, p, err
}

// segment gets one segment and takes its frames.
func (r *rendition) segment(ctx context.Context, s *remoteSegment) error {
	in, p, err := r.open(ctx, &s.section, budgetOf(s.duration), maxSegment)
	if err != nil {
		return err
	}
	defer p.Close()
	n, err := io.ReadAtLeast(in, r.chunk, sniffed)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if err := r.begin(ctx, s, r.chunk[:n]); err != nil {
		return err
	}
	first := true
	for more := err == nil; ; {
		r.count.bytes.Add(uint64(n))
		var bad error
		r.frames, bad = r.split.Append(r.frames[:0], r.chunk[:n])
		if err := r.deliver(ctx, s, &first); err != nil {
			return err
		}
		if bad != nil {
			return bad
		}
		if !more {
			break
		}
		n, err = in.Read(r.chunk)
		if more = err == nil; !more && !errors.Is(err, io.EOF) {
			return err
		}
	}
	r.frames = r.split.flush(r.frames[:0])
	if err := r.deliver(ctx, s, &first); err != nil {
		return err
	}
	return r.unstage(ctx, s)
}

// begin prepares the demuxer for a segment that begins with b.
func (r *rendition) begin(ctx context.Context, s *remoteSegment, b []byte) error {
	c, err := sniff(b)
	if err != nil {
		return err
	}
	if r.begun && s.epoch != r.epoch {
		r.count.breaks.Add(1)
		r.anew, r.breaks = true, true
		r.init, r.roles = "", map[int]*role{}
	}
	if r.lost && r.begun {
		r.breaks = true
	}
	r.epoch = s.epoch
	if r.split == nil || r.split.container != c {
		r.split, r.init = newSplitter(c), ""
		r.roles = map[int]*role{}
	}
	if s.init == nil {
		return nil
	}
	name := fmt.Sprint(s.init.from, " ", s.init.length, " ", s.init.uri)
	if r.init == name && c == FMP4 {
		return nil
	}
	if r.init != name {
		if r.initial, err = r.fetchInit(ctx, s); err != nil {
			return fmt.Errorf("initialization: %w", err)
		}
		r.init = name
	}
	if _, err := r.split.Append(nil, r.initial); err != nil {
		return fmt.Errorf("initialization: %w", err)
	}
	if c == FMP4 {
		r.split.flush(nil)
	}
	return nil
}

// fetchInit gets the media initialization section of s.
func (r *rendition) fetchInit(ctx context.Context, s *remoteSegment) ([]byte, error) {
	in, p, err := r.open(ctx, s.init, budgetOf(s.duration), maxInit)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return io.ReadAll(in)
}

// deliver gives r.frames their times and puts them into the buffer.
func (r *rendition) deliver(ctx context.Context, s *remoteSegment, first *bool) error {
	if tracks := r.split.Tracks(); len(tracks) > len(r.roles) {
		for _, t := range tracks {
			r.cast(t)
		}
	}
	if len(r.frames) > 0 && *first {
		*first = false
		r.place(s, r.frames[0].DTS)
	}
	for _, f := range r.frames {
		if r.anew {
			r.staged = append(r.staged, f)
			if !r.enough() {
				continue
			}
			if err := r.unstage(ctx, s); err != nil {
				return err
			}
			continue
		}
		if err := r.push(ctx, f); err != nil {
			return err
		}
	}
	if !r.side.ready && r.begun && r.split.complete() {
		r.out.know(r.side)
	}
	return nil
}
