package rtsp

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// Bounds for what waits to be read.
const (
	defaultBuffer = 8 << 20 // bytes of frames
	frameOverhead = 256     // bytes that a frame counts besides its data
)

// Bounds for finding out what a stream has, if its description does not tell.
const (
	probeTime  = 3 * time.Second // of waiting
	probeMedia = time.Second     // of media
)

// lastWords is how long datagrams may still come after a goodbye, or after the
// connection was closed: they come on other sockets.
const lastWords = 300 * time.Millisecond

// A clientReader is a stream played from a server.
type clientReader struct {
	client    *Client
	transport Transport
	conn      *clientConn
	url       string // of all medias together
	setUp     bool   // there is a session to be ended
	getParam  bool   // the server knows GET_PARAMETER
	limit     int    // bytes of frames that may wait

	wanted [256 / 64]atomic.Uint64 // bits of channels that have been set up
	ready  chan struct{}           // holds one when there is something to return
	wake   chan struct{}           // holds one when tend has something new to look at
	done   chan struct{}           // closed by Close
	close  sync.Once
	tasks  sync.WaitGroup

	commands sync.Mutex      // held while something is asked for
	life     context.Context // ends with Close, and before that what is asked for
	kill     context.CancelFunc

	mu       sync.Mutex // guards what follows
	space    sync.Cond  // of mu: frames have been read, or nobody will read them
	recv     receiver
	medias   []clientMedia
	frames   []*codec.Frame // waiting to be read
	store    []*codec.Frame // what frames is a part of; kept for its memory
	size     int            // bytes of frames
	blocked  int            // how many wait for space
	newest   time.Duration  // PTS of the newest frame
	shift    time.Duration  // by which frames are later, so that none is before 0
	begun    map[int]bool   // by IDs of tracks: there was a frame
	packets  uint64         // that came, reports not counted
	last     time.Time      // when one came, or the server began to play
	expiring bool           // tend is to look for packets that are overdue
	byes     []goodbye      // that have come by datagram and wait
	duration time.Duration  // of a film; 0: live
	show     showing        // of a film
	lost     error          // why there is no connection any more, while datagrams may come
	lostAt   time.Time      // since when
	err      error          // after the frames
}

// A goodbye is a report with one in it.
type goodbye struct {
	track  int
	report []byte
	due    time.Time // when to take it in
}

func newClientReader(c *Client, t Transport) *clientReader {
	r := &clientReader{
		client:    c,
		transport: t,
		limit:     c.MaxBuffer,
		ready:     make(chan struct{}, 1),
		wake:      make(chan struct{}, 1),
		done:      make(chan struct{}),
		begun:     map[int]bool{},
	}
	if r.limit <= 0 {
		r.limit = defaultBuffer
	}
	r.space.L = &r.mu
	r.life, r.kill = context.WithCancel(context.Background())
	if t == TransportUDP || t == TransportMulticast {
		r.recv.Reorder, r.recv.Settle = true, reportDelay
	}
	return r
}

// Tracks returns the tracks as the stream has described them so far.
func (r *clientReader) Tracks() []*codec.Track {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recv.Tracks()
}

// ReadFrame returns the next frame.
func (r *clientReader) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if f, err := r.take(); f != nil || err != nil {
			return f, err
		}
		select {
		case <-r.ready:
		case <-ctx.Done():
		}
	}
}

// take returns the next frame if there is one, or what comes after the last one.
func (r *clientReader) take() (*codec.Frame, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.show.paused && r.err == nil {
		return nil, nil
	}
	if len(r.frames) == 0 {
		return nil, r.err
	}
	f := r.frames[0]
	r.frames[0] = nil
	if r.frames = r.frames[1:]; len(r.frames) == 0 {
		r.frames = r.store[:0]
	}
	r.size -= len(f.Data) + frameOverhead
	if r.blocked > 0 && r.size <= r.limit/2 {
		r.space.Broadcast()
	}
	return f, nil
}

// Close tells the server that nobody watches any more and ends the connection.
func (r *clientReader) Close() error {
	r.end(source.ErrClosed)
	r.kill()
	r.close.Do(func() {
		close(r.done)
		r.mu.Lock()
		r.frames, r.store, r.size = nil, nil, 0
		r.err = source.ErrClosed
		r.mu.Unlock()
		r.stop()
	})
	return nil
}

// stop ends everything that goes on.
func (r *clientReader) stop() {
	if r.setUp {
		r.commands.Lock()
		r.conn.teardown(r.url)
		r.commands.Unlock()
	}
	r.conn.close()
	r.mu.Lock()
	medias := r.medias
	r.mu.Unlock()
	for i := range medias {
		medias[i].close()
	}
	r.tasks.Wait()
}

// end makes err what comes after the frames, unless there is something already.
func (r *clientReader) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finish(err)
}

// notify makes somebody who waits on c, or will, go on.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// finish ends the stream with what waits for packets that will not come. r.mu is
// held.
func (r *clientReader) finish(err error) {
	if r.err != nil {
		return
	}
	n := len(r.frames)
	frames, _ := r.recv.Expire(r.frames, time.Now().Add(time.Hour))
	r.took(r.recv.Flush(frames, err != io.EOF), n)
	r.err = err
	select {
	case r.show.landing <- nil:
	default:
	}
	r.space.Broadcast()
	notify(r.ready)
	notify(r.wake)
}
