package pes

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/keysearch"
)

// fileBuffer is how much of a file is read at once, in bytes.
const fileBuffer = 128 << 10

// A File reads a container in a file from any place: the Files of both are one. The
// exported fields must be set before Open is called. Close may be called at any time,
// the rest by one goroutine.
type File struct {
	In    *Input           // that of the container's Reader, whose source is File
	File  *keysearch.Input // the file
	Units *Assembler       // that of the container's Demuxer
	// Scan calls fn for the PES packets that begin in [from, to), as [File.Entry] has
	// them, in their order, until fn returns false. It looks through Window.
	Scan func(ctx context.Context, from, to int64, fn func(keysearch.Entry) bool) error
	// Begun is called once it is known what streams there are at the beginning.
	Begun func()
	// Reset flushes the Demuxer and gives it the streams that there were at Begun.
	Reset func()

	Window keysearch.Window

	size     int64
	search   keysearch.File
	zero     time.Duration // DTS of the first frame as the stream has it
	id       int           // of the track that is sought by
	sought   Content       // of it
	key      uint16        // and that of its stream
	measured []uint16      // those of all streams whose times count
}

// Open finds out what a file of that size has and goes to its beginning.
func (f *File) Open(size int64) error {
	f.size, f.Window.Input = size, f.File
	f.In.Buffer = make([]byte, fileBuffer)
	f.In.Ahead.Ready = func() bool { return true }
	if err := f.begin(); err != nil {
		return err
	}
	x := &keysearch.Index{
		To: size, Scan: f.Scan, Every: f.sought.Codec.Kind() != codec.KindVideo,
		MaxAhead: codec.FromTicks(ClockJump, ClockRate),
	}
	f.search = keysearch.File{
		Index: x, Input: f.File, Restart: f.restart, Read: f.In.ReadFrame,
		IsSought: func(fr *codec.Frame) bool { return fr.Track.ID == f.id },
	}
	if err := x.Open(context.Background()); err != nil {
		return err
	}
	return f.restart(keysearch.Key{})
}

// ReadFrame returns the next frame.
func (f *File) ReadFrame(ctx context.Context) (*codec.Frame, error) { return f.search.ReadFrame(ctx) }

// Seek goes to the last key frame at or before t.
func (f *File) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	return f.search.Seek(ctx, t)
}

// Duration returns the length of the file.
func (f *File) Duration() time.Duration { return f.search.Index.Duration() }

// KeyTimes returns the times of the key frames.
func (f *File) KeyTimes(ctx context.Context) ([]time.Duration, error) {
	return f.search.Index.Times(ctx)
}

// Close closes the file.
func (f *File) Close() error { return f.search.Close() }

// begin finds the tracks and the time of the first frame.
func (f *File) begin() error {
	ctx := context.Background()
	tracks := f.In.Tracks()
	if _, err := f.In.ReadFrame(ctx); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	f.zero = -f.In.Times.Shift()
	for i, t := range tracks {
		if video := t.Kind() == codec.KindVideo; i == 0 || video && f.sought.Codec.Kind() != codec.KindVideo {
			f.id, f.sought.Codec = t.ID, t.Codec
		}
	}
	for _, s := range f.Units.Streams() {
		if s.ID == f.id {
			f.key, f.sought = s.Key, s.Content
		}
		if !s.Passes() {
			f.measured = append(f.measured, s.Key)
		}
	}
	f.Begun()
	return f.beginAgain()
}

// beginAgain finds the time of the first frame where there are more than were found
// while it was not known what the streams are.
func (f *File) beginAgain() error {
	f.goTo(0, codec.Unwrapper{})
	fr, err := f.In.Ahead.Next(context.Background())
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case fr.Track.Wire == "": // times of others may be anything
		f.zero = fr.DTS
	}
	return nil
}

// restart reads on from a key.
func (f *File) restart(k keysearch.Key) error {
	f.goTo(k.At, keysearch.Unwrapper(33, max(codec.Ticks(f.zero+k.Time-k.Shift, ClockRate), 0)))
	f.In.Times.Resume(k.Shift-f.zero, k.Time)
	f.Window.Forget() // it takes a while until it is needed again
	return nil
}

// goTo makes In read on from a place where the clock is about that.
func (f *File) goTo(at int64, clock codec.Unwrapper) {
	f.File.Set(at, f.size)
	f.Reset()
	f.Units.Resume(clock)
	f.In.Ahead.Restart()
}

// Wants reports whether the times of a stream count.
func (f *File) Wants(key uint16) bool { return key == f.key || slices.Contains(f.measured, key) }

// Seeks reports whether the stream is the one that is sought by.
func (f *File) Seeks(key uint16) bool { return key == f.key }

// Entry returns what the time in a PES packet of a stream that it wants tells of the
// frame that begins in it. at is where to read it from, payload what begins the
// packet's, and random tells that the container says that decoding can begin there.
func (f *File) Entry(key uint16, at int64, dts uint64, random bool, payload []byte) keysearch.Entry {
	e := keysearch.Entry{At: at, Time: f.timeOf(dts), Track: int(key), Sought: f.Seeks(key)}
	e.Key = e.Sought && mayBeKey(f.sought.Codec, random, payload)
	return e
}

// timeOf returns a time in ticks since the first frame. Some frames may be earlier.
func (f *File) timeOf(ticks uint64) time.Duration {
	const before = 10 * 60 * ClockRate
	zero := codec.Ticks(f.zero, ClockRate)
	after := int64((ticks-uint64(zero)+before)&MaxTicks) - before
	return codec.FromTicks(zero+after, ClockRate) - f.zero
}

// mayBeKey reports whether the first frame that begins in the payload b of a PES
// packet may be a key frame, as random says and by what that frame begins with:
// parameter sets, or a slice.
func mayBeKey(c codec.Codec, random bool, b []byte) bool {
	switch c {
	case codec.H264, codec.H265, codec.MPEG2Video:
	default:
		return random || c.Kind() != codec.KindVideo
	}
	rest := GoesOn(b) // of the picture before
	sei, recovery := false, false
	for i := 0; i+3 < len(b); i++ {
		if b[i] != 0 || b[i+1] != 0 || b[i+2] != 1 {
			continue
		}
		if b[i+3] >= firstSystem { // the packet is not as long as it says
			break
		}
		if rest {
			if p, ok := unitKind(c, b[i+2:]); ok && p == partOther {
				continue
			}
			rest = false
		}
		switch begin := b[i+3]; {
		case c == codec.MPEG2Video:
			if begin == 0 || begin == 0xb3 { // a picture, a sequence
				return begin != 0
			}
		case c == codec.H264:
			switch begin & 0x1f {
			case 5, 7: // IDR, SPS
				return true
			case 1, 2: // slices
				return random && sei || recovery
			case 6:
				sei = true
				recovery = recovery || i+4 < len(b) && b[i+4] == recoveryPoint
			}
		default:
			switch t := begin >> 1 & 0x3f; {
			case t >= 16 && t <= 21, t == 32, t == 33: // IRAP, VPS, SPS
				return true
			case t < 16:
				return random && sei
			case t == 39:
				sei = true
			}
		}
	}
	return random
}

// firstSystem is the first start code that is none of video (13818-1, 2.5.3).
const firstSystem = 0xb9

// recoveryPoint is the payloadType of that SEI message (H.264, D.1).
const recoveryPoint = 6
