package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A clientFilm is a stream that has a length: one can go elsewhere in it.
type clientFilm struct {
	*clientReader
	duration time.Duration
}

// length returns how long the stream is as its metadata tell; 0 if they do not.
func (r *clientReader) length() time.Duration {
	const longest = 1e9 // seconds
	seconds, _ := amf.Number(r.demux.body.Metadata().Get("duration"))
	if !(seconds > 0 && seconds < longest) {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// Duration implements source.Seeker.
func (r *clientFilm) Duration() time.Duration { return r.duration }

// Pause implements source.Pauser (RTMP 1.0, section 7.2.2.9). It does not wait for
// the answer.
func (r *clientFilm) Pause(paused bool) error {
	if r.closed.Load() {
		return source.ErrClosed
	}
	if r.paused.Swap(paused) == paused {
		return nil
	}
	return r.order("pause", paused, float64(0))
}

// Seek implements source.Seeker (RTMP 1.0, section 7.2.2.8). It is for the
// goroutine that reads.
func (r *clientFilm) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	switch {
	case r.closed.Load():
		return 0, source.ErrClosed
	case r.err != nil:
		return 0, fmt.Errorf("rtmp: the film is over: %w", source.ErrClosed)
	}
	c := r.conn
	r.leaps = true
	defer func() { r.leaps = false }()
	var first *codec.Frame
	err := c.within(ctx, time.Now().Add(c.timeout), func() error {
		if r.paused.Load() { // or there would be nothing to see of where it goes
			if err := r.order("pause", false, float64(0)); err != nil {
				return err
			}
		}
		if err := r.order("seek", float64(max(0, t).Milliseconds())); err != nil {
			return err
		}
		if err := r.sought(); err != nil {
			return err
		}
		var err error
		first, err = r.land()
		return err
	})
	if err == nil && r.paused.Load() {
		err = r.order("pause", true, float64(first.DTS.Milliseconds()))
	}
	if err != nil {
		return 0, err
	}
	return first.DTS, nil
}

// order sends a command that concerns the stream.
func (r *clientFilm) order(name string, args ...any) error {
	c := r.conn
	b := wire.AppendCommand(nil, c.stream, c.size, wire.Command{Name: name, Args: args})
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.timeout))
	defer func() { _ = c.nc.SetWriteDeadline(time.Time{}) }()
	return c.send(b)
}

// sought reads until the server has gone where it was asked to. Frames from before
// are dropped, what they tell of the tracks is not.
func (r *clientFilm) sought() error {
	for {
		m, err := r.conn.next()
		if err != nil {
			return err
		}
		if m.Type == wire.TypeCommand || m.Type == wire.TypeCommandAMF3 {
			var cmd wire.Command
			if err := cmd.Unmarshal(m.Type, m.Body); err != nil {
				return err
			}
			if code, _, _, _ := status(&cmd); cmd.Name == "onStatus" && code == codeSeekNotify {
				r.frames = nil
				return nil
			}
		}
		if err := r.take(&m); err != nil {
			return err
		}
	}
}

// land reads up to the first frame of where the film has gone to, a key frame.
func (r *clientFilm) land() (*codec.Frame, error) {
	video := false
	for _, t := range r.Tracks() {
		video = video || t.Kind() == codec.KindVideo
	}
	for {
		for i, f := range r.frames {
			if f.Track.Kind() == codec.KindVideo && f.Key() || !video {
				f.Flags |= codec.FlagKey | codec.FlagDiscont
				r.frames = r.frames[i:]
				return f, nil
			}
		}
		r.frames = r.frames[:0]
		m, err := r.conn.next()
		if err == nil {
			err = r.take(&m)
		}
		if err != nil {
			return nil, err
		}
	}
}

// take is message for one who seeks: the end of the film is not what is wanted.
func (r *clientFilm) take(m *wire.Message) error {
	err := r.message(m)
	if errors.Is(err, errEnd) {
		r.err = io.EOF
		return fmt.Errorf("rtmp: the film is over: %w", source.ErrClosed)
	}
	return err
}
