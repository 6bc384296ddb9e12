package flv

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/lookahead"
)

// In how much a Reader looks for the tracks, whichever is reached first.
const (
	probeTags  = 1000
	probeBytes = 8 << 20
)

const (
	defaultMaxTag = 10 << 20
	readBuffer    = 32 << 10
	firstAlloc    = 64 << 10 // a tag that claims more gets its memory as it arrives
	maxScript     = 64 << 10 // of script data, what is looked at
	smallStep     = time.Second
)

// A Reader reads a file, a pipe or a live stream.
type Reader struct {
	// MaxTagSize bounds the data of one tag in bytes; 0 means 10 MiB. It must
	// not change after the first call.
	MaxTagSize int

	ahead  lookahead.Queue
	br     byteSource
	demux  BodyDemuxer
	flags  byte  // of the FLV header
	begun  bool  // the header was read
	offset int64 // of br in the stream
	wrong  bool  // the size behind the last tag was
	tags   int   // seen so far
	bytes  int64 // of their data
	clock  codec.Unwrapper
	last   map[int]time.Duration // DTS by track
	shift  time.Duration         // added to all times, after steps back
	note   func(*fileTag)        // of a File: is shown the sequence headers; else nil
	size   int64                 // of a File, in bytes
}

// NewReader returns a Reader of r. Closing it closes r if r is an io.Closer;
// without that a blocked ReadFrame does not end.
func NewReader(r io.Reader) *Reader { return newReader(r, bufio.NewReaderSize(r, readBuffer)) }

func newReader(r io.Reader, in byteSource) *Reader {
	x := &Reader{br: in, last: map[int]time.Duration{}}
	x.ahead = lookahead.Queue{Source: r, Fill: x.readTag, Ready: x.buffered, Known: x.known}
	return x
}

// Tracks returns the tracks known so far. Before the first frame it reads ahead
// until the tracks that the header and the metadata announce are there, for at
// most 2 seconds of media.
func (r *Reader) Tracks() []*codec.Track {
	_ = r.ahead.LookAhead(context.Background()) // ReadFrame tells
	tracks, _ := r.demux.Tracks()
	return tracks
}

// ReadFrame returns the next frame. At the end of a whole tag the end of the
// stream is io.EOF. Tags with an impossible size and tags that are cut are
// errors that tell number and position; they wrap [ErrInvalid] and, if cut,
// io.ErrUnexpectedEOF. What is wrong within a tag costs that tag, until there
// were a hundred in a row. The size behind a tag, which many writers get wrong, may
// be any as long as a tag follows.
//
// Within a track times do not fall: where the stream steps back by a second or
// more, as where two files were joined, time goes on from where it was and the
// frame has FlagDiscont. If ctx ends while ReadFrame waits for input, the Reader
// is closed.
func (r *Reader) ReadFrame(ctx context.Context) (*codec.Frame, error) { return r.ahead.Next(ctx) }

// Close closes the reader it reads from.
func (r *Reader) Close() error { return r.ahead.Close() }

// known reports whether there is nothing to look ahead for, or too much was read.
func (r *Reader) known() bool {
	return r.complete() || r.tags >= probeTags || r.bytes >= probeBytes
}

// complete reports whether no further track is expected. The flags in the header
// count where there is no metadata; many writers set both whatever follows.
func (r *Reader) complete() bool {
	tracks, complete := r.demux.Tracks()
	if complete || r.demux.announces("videocodecid", "audiocodecid") {
		return complete
	}
	var seen byte
	for _, t := range tracks {
		if t.Kind() == codec.KindVideo {
			seen |= flagVideo
		} else {
			seen |= flagAudio
		}
	}
	return seen != 0 && seen == r.flags&(flagVideo|flagAudio)
}

// readTag reads one tag and queues its frames.
func (r *Reader) readTag() error {
	if !r.begun {
		if err := r.readHeader(); err != nil {
			return err
		}
		r.begun = true
	}
	at := r.offset
	err := r.tag()
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("flv: tag %d at byte %d: %w", r.tags+1, at, err)
	}
	r.tags++
	return err
}

// buffered reports whether the next tag can be read without waiting.
func (r *Reader) buffered() bool {
	if !r.begun || r.br.Buffered() < tagHeader {
		return false
	}
	h, _ := r.br.Peek(tagHeader)
	return uint32(r.br.Buffered()) >= tagHeader+tagSize+binary.BigEndian.Uint32(h)&maxTag
}

// full reads all of b.
func (r *Reader) full(b []byte) error {
	n, err := io.ReadFull(r.br, b)
	r.offset += int64(n)
	return err
}

// cut turns the end of the input in the middle of something into an error.
func cut(err error, format string, args ...any) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, fmt.Sprintf(format, args...), io.ErrUnexpectedEOF)
	}
	return err
}

// readHeader reads the FLV header, which tells its own length, and
// PreviousTagSize0.
func (r *Reader) readHeader() error {
	var h [fileHeader]byte
	if err := r.full(h[:]); err != nil {
		return fmt.Errorf("flv: header: %w", cut(err, "cut at byte %d", r.offset))
	}
	n := binary.BigEndian.Uint32(h[5:])
	if string(h[:3]) != "FLV" || n < fileHeader || n > 1<<16 {
		return fmt.Errorf("flv: header: %w", invalid("% x", h))
	}
	r.flags = h[4]
	skip := int(n-fileHeader) + tagSize
	d, err := r.br.Discard(skip)
	r.offset += int64(d)
	if err != nil {
		return fmt.Errorf("flv: header: %w", cut(err, "cut at byte %d", r.offset))
	}
	return nil
}

// tag reads one tag. io.EOF means that the stream ended where it may.
func (r *Reader) tag() error {
	var h [tagHeader]byte
	at := r.offset
	if err := r.full(h[:]); err == io.EOF {
		return io.EOF
	} else if err != nil {
		return cut(err, "its header is cut")
	}
	if r.wrong && !looksLikeTag(h[:]) {
		return invalid("% x is no tag, and the size before it is not that of the tag before", h)
	}
	size := int(binary.BigEndian.Uint32(h[:]) & maxTag)
	limit := r.MaxTagSize
	if limit <= 0 {
		limit = defaultMaxTag
	}
	if size > limit {
		return invalid("%d bytes of data, %d are allowed", size, limit)
	}
	if h[0]&0xc0 != 0 || h[0]&0x20 != 0 {
		return invalid("type %#x is reserved or encrypted", h[0])
	}
	typ, keep := TagType(h[0]), size
	switch typ {
	case TagAudio, TagVideo:
	case TagScript:
		keep = min(size, maxScript)
	default:
		keep = 0
	}
	body, err := r.data(keep)
	if err == nil {
		var n int
		n, err = r.br.Discard(size - keep)
		r.offset += int64(n)
	}
	if err != nil {
		return cut(err, "%d bytes of data are cut", size)
	}
	r.bytes += int64(size)
	if err := r.readSize(size); err != nil {
		return err
	}
	if c, _ := contentOf(typ, body); c == contentConfig && r.note != nil {
		r.note(&fileTag{at: at, typ: typ})
	}
	ms := uint32(h[7])<<24 | uint32(h[4])<<16 | uint32(h[5])<<8 | uint32(h[6])
	return r.take(typ, ms, body)
}

// data reads n bytes. Memory grows with what arrives, not with what was claimed.
func (r *Reader) data(n int) ([]byte, error) {
	if f, ok := r.br.(*blocks); ok {
		if int64(n) > r.size-r.offset {
			return nil, io.ErrUnexpectedEOF
		}
		b, err := f.take(n)
		r.offset += int64(len(b))
		return b, err
	}
	b := make([]byte, min(n, firstAlloc))
	if err := r.full(b); err != nil {
		return nil, err
	}
	for len(b) < n {
		have := len(b)
		more := make([]byte, min(n, 2*have))
		copy(more, b)
		if b = more; r.full(b[have:]) != nil {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return b, nil
}

// readSize reads PreviousTagSize. Only what follows tells whether one that is wrong
// means anything.
func (r *Reader) readSize(size int) error {
	var b [tagSize]byte
	if err := r.full(b[:]); err != nil {
		return cut(err, "%d bytes of data without size behind it", size)
	}
	r.wrong = !isSize(b[:], size)
	return nil
}

// take turns the body of a tag into frames.
func (r *Reader) take(typ TagType, ms uint32, body []byte) error {
	var ts time.Duration
	if typ != TagScript {
		ts = codec.FromTicks(r.clock.Unwrap(uint64(ms)), 1000)
	}
	n := len(r.ahead.Frames)
	var err error
	r.ahead.Frames, err = r.demux.Append(r.ahead.Frames, typ, ts, body)
	for _, f := range r.ahead.Frames[n:] {
		r.settle(f)
	}
	if err != nil && r.demux.Hopeless() {
		return fmt.Errorf("%d bad ones in a row, the last: %w", maxBadBodies, err)
	}
	return nil
}

// settle keeps the times of a track from falling, and from beginning before 0.
func (r *Reader) settle(f *codec.Frame) {
	f.DTS += r.shift
	f.PTS += r.shift
	last := r.last[f.Track.ID]
	if back := last - f.DTS; back > 0 {
		f.DTS = last
		if back >= smallStep {
			r.shift += back
			f.PTS += back
			f.Flags |= codec.FlagDiscont
		}
	}
	r.last[f.Track.ID] = f.DTS
}
