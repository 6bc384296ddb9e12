package ts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/lookahead"
)

const (
	probeBytes = 8 << 20 // in which a Reader looks for the tracks
	readBuffer = 32 << 10
)

// A Reader reads a file, a pipe or a live stream.
type Reader struct {
	// Program is the number of the program that is read; 0 means the first. It
	// must not change after the first call.
	Program int

	ahead  lookahead.Queue
	limit  int64 // bytes to look ahead at most
	demux  Demuxer
	buf    []byte
	bytes  int64
	begun  bool
	shift  time.Duration         // added to all times
	newest time.Duration         // DTS of what was read
	last   map[int]time.Duration // by track
}

// NewReader returns a Reader of r. Closing it closes r if r is an io.Closer;
// without that a blocked ReadFrame does not end.
func NewReader(r io.Reader) *Reader {
	x := &Reader{limit: probeBytes, buf: make([]byte, readBuffer), last: map[int]time.Duration{}}
	x.ahead = lookahead.Queue{Source: r, Fill: x.fill, Known: x.known}
	return x
}

// Tracks returns the tracks known so far. Before the first frame it reads ahead
// until those that the PMT announces are there, for at most 2 seconds of media.
func (r *Reader) Tracks() []*codec.Track {
	_ = r.ahead.LookAhead(context.Background()) // ReadFrame tells
	tracks := r.demux.Tracks()
	for i := range tracks {
		for _, f := range r.ahead.Waiting() { // it may have changed since
			if f.Track.ID == tracks[i].ID {
				tracks[i] = f.Track
				break
			}
		}
	}
	return tracks
}

// ReadFrame returns the next frame, at the end of the stream io.EOF. The time of
// the first one is 0. Within a track times do not fall: where the stream jumps
// back, or by more than 10 seconds ahead, as where two files were joined, time
// goes on from where it was and the frame has FlagDiscont. Damage costs what is
// damaged, see [Demuxer]; what is no transport stream at all is an error that
// wraps [ErrInvalid]. If ctx ends while ReadFrame waits for input, the Reader is
// closed.
func (r *Reader) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	f, err := r.ahead.Next(ctx)
	if err != nil {
		return nil, err
	}
	r.settle(f)
	return f, nil
}

// Close closes the reader it reads from.
func (r *Reader) Close() error { return r.ahead.Close() }

// known reports whether there is nothing to look ahead for, or too much was read.
func (r *Reader) known() bool { return r.demux.Complete() || r.bytes >= r.limit }

// fill reads once and queues the frames that come of it.
func (r *Reader) fill() error {
	r.demux.Program = r.Program
	n, err := r.ahead.Source.Read(r.buf)
	r.bytes += int64(n)
	var damage error
	if r.ahead.Frames, damage = r.demux.Append(r.ahead.Frames, r.buf[:n]); damage != nil {
		return damage
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	r.ahead.Frames = r.demux.Flush(r.ahead.Frames)
	if r.demux.table == nil {
		return fmt.Errorf("%w: no program in %d bytes: %w", ErrInvalid, r.bytes, io.ErrUnexpectedEOF)
	}
	return io.EOF
}

// settle moves the times of f to those of what is read.
func (r *Reader) settle(f *codec.Frame) {
	if !r.begun {
		r.begun = true
		first, behind := f, r.ahead.Waiting()
		if f.Track.Wire != "" { // times of opaque tracks may be anything
			if i := slices.IndexFunc(behind, func(f *codec.Frame) bool { return f.Track.Wire == "" }); i >= 0 {
				first = behind[i]
			}
		}
		r.shift = -first.DTS
	}
	if f.Has(codec.FlagDiscont) { // one of each track: the first decides
		if at := f.DTS + r.shift; at < r.newest-10*usualStep || at > r.newest+codec.FromTicks(clockJump, clockRate) {
			r.shift = r.newest + usualStep - f.DTS
		}
	}
	f.DTS += r.shift
	f.PTS += r.shift
	id := f.Track.ID
	f.DTS = max(f.DTS, r.last[id])
	f.PTS = max(f.PTS, f.DTS)
	r.last[id] = f.DTS
	if f.Track.Wire == "" {
		r.newest = max(r.newest, f.DTS)
	}
}
