package vdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/deepch/vdk/av"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A Writer writes to a muxer.
type Writer struct {
	m       av.Muxer
	outputs map[int]*output // by track ID
	leftOut []*codec.Track
	err     error // sticks
	closed  atomic.Bool
}

// An output is a track that is written.
type output struct {
	idx       int8
	announced *codec.Track // as the muxer knows it
	last      *codec.Track
	changed   bool // the parameters were others since; they go along with each key frame
}

// NewWriter writes the header of a stream with these tracks to m. types are those
// m can mux, which vdk's packages tell in a variable CodecTypes; tracks of others
// are left out. Without types all are written that vdk has a name for, and it is
// up to m to refuse them.
//
// Without a track that can be written the error wraps source.ErrUnsupported.
func NewWriter(m av.Muxer, tracks []*codec.Track, types ...av.CodecType) (*Writer, error) {
	w := &Writer{m: m, outputs: map[int]*output{}}
	var header []av.CodecData
	var refused error
	for _, t := range tracks {
		d, err := CodecDataOf(t)
		if err == nil && (len(types) > 0 && !slices.Contains(types, d.Type()) || len(header) > math.MaxInt8) {
			err = fmt.Errorf("vdk: %v: %w", t, source.ErrUnsupported)
		}
		if err != nil {
			w.leftOut, refused = append(w.leftOut, t), errors.Join(refused, err)
			continue
		}
		w.outputs[t.ID] = &output{idx: int8(len(header)), announced: t, last: t}
		header = append(header, d)
	}
	if len(header) == 0 {
		return nil, errors.Join(fmt.Errorf("vdk: no track to write: %w", source.ErrUnsupported), refused)
	}
	if err := writeHeader(m, header); err != nil {
		return nil, failed("write header", err)
	}
	return w, nil
}

// Sink returns a Sink whose every creation makes a Writer of a muxer. types are
// those of [NewWriter].
func Sink(create func(context.Context) (av.MuxCloser, error), types ...av.CodecType) source.Sink {
	return source.SinkFunc(func(ctx context.Context, tracks []*codec.Track) (source.Writer, error) {
		m, err := create(ctx)
		if err != nil {
			return nil, err
		}
		w, err := NewWriter(m, tracks, types...)
		if err != nil {
			_ = closeIt(m)
			return nil, err
		}
		return w, nil
	})
}

// LeftOut returns the tracks that are not written.
func (w *Writer) LeftOut() []*codec.Track { return w.leftOut }

// WriteFrame writes f. New parameter sets of H.264 and H.265 are written in band,
// before each key frame from then on. Other changes of parameters are errors that
// wrap source.ErrNewFormat. Frames of tracks that were not announced are left out.
//
// If ctx ends while the muxer waits, the Writer is closed, provided that the muxer
// has a method Close.
func (w *Writer) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.err != nil {
		return w.err
	}
	o := w.outputs[f.Track.ID]
	if o == nil {
		return nil
	}
	data, err := o.data(f)
	if err != nil {
		return err
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { _ = w.closeMuxer() })()
	}
	err = writePacket(w.m, av.Packet{
		Idx:             o.idx,
		IsKeyFrame:      f.Key() && f.Track.Kind() == codec.KindVideo,
		Time:            f.DTS,
		CompositionTime: f.PTS - f.DTS,
		Duration:        duration(f),
		Data:            data,
	})
	if err != nil {
		w.err = failed("write packet", err)
		if ctx.Err() != nil {
			w.err = ctx.Err()
		}
	}
	return w.err
}

// data returns the data of f as the muxer needs it.
func (o *output) data(f *codec.Frame) ([]byte, error) {
	fresh := false
	if t := f.Track; t != o.last {
		fresh = !t.SameConfig(o.last)
		if fresh && !hasNALUs(t) || t.Codec != o.announced.Codec {
			return nil, fmt.Errorf("vdk: %v has new parameters: %w", t, source.ErrNewFormat)
		}
		o.changed, o.last = o.changed || fresh, t
	}
	if !fresh && (!o.changed || !f.Key()) {
		return f.Data, nil
	}
	var data []byte
	for _, set := range f.Track.ParameterSets() {
		n := len(set)
		data = append(data, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		data = append(data, set...)
	}
	return append(data, f.Data...), nil
}

// duration returns how long f is shown or heard, as far as it can be known.
func duration(f *codec.Frame) time.Duration {
	if f.Track.Kind() == codec.KindAudio {
		return codec.FrameDuration(f)
	}
	if f.Track.FrameRate > 0 {
		return time.Duration(float64(time.Second) / f.Track.FrameRate)
	}
	return 0
}

// Close writes the trailer, unless an error came before, and closes the muxer if
// it can be closed.
func (w *Writer) Close() error {
	err := w.err
	if err == nil {
		if err = writeTrailer(w.m); err != nil {
			err = failed("write trailer", err)
		}
		w.err = fmt.Errorf("vdk: %w", io.ErrClosedPipe)
	} else if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	if cerr := w.closeMuxer(); cerr != nil && err == nil {
		err = failed("close", cerr)
	}
	return err
}

// closeMuxer closes the muxer, once.
func (w *Writer) closeMuxer() error {
	if w.closed.Swap(true) {
		return nil
	}
	return closeIt(w.m)
}
