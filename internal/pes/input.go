package pes

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/lookahead"
)

// What an Input looks ahead for the tracks, and reads at once, in bytes.
const (
	probeBytes = 8 << 20
	readBuffer = 32 << 10
)

// An Input reads a container and gives out the frames in it: the Readers of both are
// one. Close may be called at any time, the rest by one goroutine.
type Input struct {
	Ahead  lookahead.Queue
	Times  Timeline
	Buffer []byte // what is read at once
	Limit  int64  // bytes to look ahead at most

	demux Demuxer
	empty func() error
	taken int64 // bytes
}

// A Demuxer finds the frames of a container.
type Demuxer interface {
	Append(dst []*codec.Frame, b []byte) ([]*codec.Frame, error)
	Flush(dst []*codec.Frame) []*codec.Frame
	Tracks() []*codec.Track
	Complete() bool
}

// Open makes in read from r what d takes apart. empty tells what is wrong if there
// was nothing up to the end, and is nil if there was something.
func (in *Input) Open(r io.Reader, d Demuxer, empty func() error) {
	in.demux, in.empty = d, empty
	in.Limit, in.Buffer = probeBytes, make([]byte, readBuffer)
	in.Ahead = lookahead.Queue{Source: r, Fill: in.fill, Known: in.known}
}

// Tracks returns the tracks known so far. Before the first frame it reads ahead for
// at most 2 seconds of media.
func (in *Input) Tracks() []*codec.Track {
	_ = in.Ahead.LookAhead(context.Background()) // ReadFrame tells
	tracks := in.demux.Tracks()
	for i := range tracks {
		for _, f := range in.Ahead.Waiting() { // it may have changed since
			if f.Track.ID == tracks[i].ID {
				tracks[i] = f.Track
				break
			}
		}
	}
	return tracks
}

// ReadFrame returns the next frame, its times by Times.
func (in *Input) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	f, err := in.Ahead.Next(ctx)
	if err != nil {
		return nil, err
	}
	in.Times.Settle(f, in.Ahead.Waiting())
	return f, nil
}

// Close closes the reader it reads from.
func (in *Input) Close() error { return in.Ahead.Close() }

// known reports whether there is nothing to look ahead for, or too much was read.
func (in *Input) known() bool { return in.demux.Complete() || in.taken >= in.Limit }

// fill reads once and queues the frames that come of it.
func (in *Input) fill() error {
	n, err := in.Ahead.Source.Read(in.Buffer)
	in.taken += int64(n)
	var damage error
	if in.Ahead.Frames, damage = in.demux.Append(in.Ahead.Frames, in.Buffer[:n]); damage != nil {
		return damage
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	in.Ahead.Frames = in.demux.Flush(in.Ahead.Frames)
	if err := in.empty(); err != nil {
		return fmt.Errorf("%w in %d bytes: %w", err, in.taken, io.ErrUnexpectedEOF)
	}
	return io.EOF
}
