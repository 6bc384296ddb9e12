package vdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/deepch/vdk/av"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/lookahead"
	"github.com/mediakit-go/mediakit/source"
)

const (
	maxBad    = 100         // packets in a row that are no frames
	smallStep = time.Second // back in time, beyond which it is another stream's
)

// A Reader reads what a demuxer finds.
type Reader struct {
	// Split says that packets are no access units but NAL units or slices, as
	// vdk's MPEG-TS demuxer and RTSP clients make of H.264 and H.265: those of a
	// track with the same time become one frame, which is known to be whole when
	// the next one begins. It must not change after the first call.
	Split bool

	ahead   lookahead.Queue
	d       av.Demuxer
	tracks  []*track // by index; nil for streams that are left out
	leftOut []av.CodecData
	begun   bool
	split   splitter
	bad     int // packets in a row that were refused
	shift   time.Duration
}

// A track is what is known of a stream.
type track struct {
	t          *codec.Track
	lengthSize int           // of the NAL units' lengths
	last       time.Duration // DTS
}

// NewReader returns a Reader of d. Closing it calls d's method Close, if it has
// one; without that a blocked ReadFrame does not end. Most demuxers leave what they
// read from open; this closes it, too:
//
//	vdk.NewReader(struct {
//		av.Demuxer
//		io.Closer
//	}{flv.NewDemuxer(conn), conn})
func NewReader(d av.Demuxer) *Reader {
	r := &Reader{d: d}
	r.ahead = lookahead.Queue{Source: closing{v: d}, Fill: r.fill, Known: r.known}
	return r
}

// Source returns a Source whose every opening makes a Reader of a demuxer.
func Source(open func(context.Context) (av.DemuxCloser, error)) source.Source {
	return source.SourceFunc(func(ctx context.Context) (source.Reader, error) {
		d, err := open(ctx)
		if err != nil {
			return nil, err
		}
		r := NewReader(d)
		if err := r.ahead.LookAhead(ctx); err != nil && !errors.Is(err, io.EOF) {
			_ = r.Close()
			return nil, err
		}
		return r, nil
	})
}

// Tracks returns the tracks known so far. Before the first frame it reads ahead
// until all are complete, for at most 2 seconds of media.
func (r *Reader) Tracks() []*codec.Track {
	_ = r.ahead.LookAhead(context.Background()) // ReadFrame tells
	var tracks []*codec.Track
	for _, t := range r.tracks {
		if t != nil {
			tracks = append(tracks, t.t)
		}
	}
	return tracks
}

// LeftOut returns the streams of codecs that are not converted, see [TrackOf].
func (r *Reader) LeftOut() []av.CodecData {
	_ = r.ahead.LookAhead(context.Background())
	return r.leftOut
}

// ReadFrame returns the next frame. The end of the stream is what the demuxer takes
// for it: most of vdk's do not see that a file is cut. A packet that is no frame of its codec is left out, until there
// were a hundred in a row.
//
// Within a track times do not fall: where the stream steps back by a second or
// more time goes on from where it was, and the frame has FlagDiscont. If ctx ends
// while ReadFrame waits for the demuxer, the Reader is closed.
func (r *Reader) ReadFrame(ctx context.Context) (*codec.Frame, error) { return r.ahead.Next(ctx) }

// Close closes the demuxer, if it can be closed.
func (r *Reader) Close() error { return r.ahead.Close() }

// closing is what a Queue closes.
type closing struct {
	io.Reader // none: the Queue does not read
	v         any
}

func (c closing) Close() error { return closeIt(c.v) }

// known reports whether there is nothing to look ahead for.
func (r *Reader) known() bool {
	for _, t := range r.tracks {
		if t != nil && !t.t.Ready() {
			return false
		}
	}
	return r.begun
}

// fill asks the demuxer for its streams, the first time, then for a packet.
func (r *Reader) fill() error {
	if !r.begun {
		r.begun = true
		return r.begin()
	}
	p, err := readPacket(r.d)
	if err != nil {
		for _, p := range r.split.flush() {
			_ = r.take(p) // the end is more important
		}
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return failed("read packet", err)
	}
	if p.Idx < 0 || int(p.Idx) >= len(r.tracks) || r.tracks[p.Idx] == nil {
		return nil
	}
	if !r.Split {
		return r.take(p)
	}
	for _, p := range r.split.add(p, hasNALUs(r.tracks[p.Idx].t)) {
		if err := r.take(p); err != nil {
			return err
		}
	}
	return nil
}

// begin makes tracks of the streams.
func (r *Reader) begin() error {
	all, err := streams(r.d)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return failed("read streams", err)
	}
	var first error
	some := false
	for i, d := range all {
		t, err := TrackOf(i, d)
		if err != nil {
			first = errors.Join(first, err)
			r.tracks, r.leftOut = append(r.tracks, nil), append(r.leftOut, d)
			continue
		}
		some = true
		r.tracks = append(r.tracks, &track{t: t, lengthSize: lengthSize(t, d)})
	}
	switch {
	case some:
		return nil
	case first != nil:
		return first
	}
	return fmt.Errorf("vdk: no streams: %w", source.ErrUnsupported)
}

// lengthSize returns how many bytes the lengths of NAL units have in packets of d.
func lengthSize(t *codec.Track, d av.CodecData) int {
	if r, ok := d.(interface{ AVCDecoderConfRecordBytes() []byte }); ok {
		return codec.NALULengthSize(t.Codec, r.AVCDecoderConfRecordBytes())
	}
	return 4
}

// hasNALUs reports whether frames of t are NAL units.
func hasNALUs(t *codec.Track) bool { return t.Codec == codec.H264 || t.Codec == codec.H265 }

// take makes a frame of p.
func (r *Reader) take(p av.Packet) error {
	t := r.tracks[p.Idx]
	var (
		now  *codec.Track
		data []byte
		key  bool
		err  error
	)
	switch {
	case hasNALUs(t.t):
		now, data, key, err = codec.ParseSample(t.t, p.Data, t.lengthSize)
	case t.t.Codec == codec.MJPEG:
		now, data, key, err = codec.ParseFrame(t.t, picture(p.Data))
	default:
		now, data, key, err = codec.ParseFrame(t.t, p.Data)
	}
	if err != nil {
		if r.bad++; r.bad >= maxBad {
			return fmt.Errorf("vdk: %d bad packets in a row, the last: %w", r.bad, err)
		}
		return nil
	}
	r.bad = 0
	t.t = now
	if len(data) == 0 { // there were parameters only
		return nil
	}
	f := &codec.Frame{Track: now, DTS: p.Time, PTS: p.Time + p.CompositionTime, Data: data}
	if key || p.IsKeyFrame {
		f.Flags = codec.FlagKey
	}
	r.settle(t, f)
	r.ahead.Frames = append(r.ahead.Frames, f)
	return nil
}

// picture returns the JPEG in a packet. vdk's MPEG-TS demuxer puts its length in
// front, as if it were a NAL unit.
func picture(b []byte) []byte {
	if len(b) > 4 && b[0] != 0xff {
		for nalu := range codec.NALUs(b) {
			return nalu
		}
	}
	return b
}

// settle keeps the times of a track from falling, and from beginning before 0.
func (r *Reader) settle(t *track, f *codec.Frame) {
	f.DTS += r.shift
	f.PTS += r.shift
	if back := t.last - f.DTS; back > 0 {
		f.DTS = t.last
		if back >= smallStep {
			r.shift += back
			f.PTS += back
			f.Flags |= codec.FlagDiscont
		}
	}
	t.last = f.DTS
}
