package flv

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/keysearch"
)

// A File reads a file from any place in it. It is a source.Reader, a source.Seeker
// and a source.KeyIndexer. Close may be called at any time, the rest by one
// goroutine.
//
// Times begin at 0. A file that was cut off ends with its last whole tag. Seek
// halves the file until it finds the place, or begins with the keyframes of the
// metadata if there are any; only KeyTimes of a file without them reads the headers
// of all tags, once. A context that ends does not close the file.
//
// New parameters in the middle of a file, as dumps of live streams may have, are
// known to Seek as far as they were come across: all of them after KeyTimes has
// gone through the file.
type File struct {
	r    *Reader
	in   *keysearch.Input
	file keysearch.File

	scan, seek keysearch.Window // of tags one by one, of bytes in search for a tag
	from, end  int64            // of the tags
	zero       uint32           // time of the first frame in ms
	sought     TagType          // of the track that is sought by
	id         int              // and its ID
	streams    []stream         // as they are at the beginning
	configs    []configTag      // sequence headers that were come across, by place
}

// A configTag is where a sequence header is.
type configTag struct {
	at  int64
	typ TagType
}

// NewFile opens a file of that size. Closing the File closes r if that is an
// io.Closer; an error here leaves it open. Errors about the contents wrap
// [ErrInvalid].
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	f := &File{in: keysearch.NewInput(r, size)}
	if err := f.open(size); err != nil {
		return nil, err
	}
	return f, nil
}

// open finds out what the file has and goes to its beginning.
func (f *File) open(size int64) error {
	f.scan.Input, f.seek.Input = f.in, f.in
	f.r = newReader(f.in, &blocks{r: f.in})
	f.r.ahead.Ready = func() bool { return true }
	if err := f.r.readHeader(); err != nil {
		return err
	}
	f.r.begun = true
	f.from = f.r.offset
	f.r.note, f.r.size = f.note, size
	var err error
	if f.end, err = f.lastTag(size); err != nil {
		return err
	}
	if b, _ := f.scan.Bytes(f.from, 1, 0); f.end == f.from && len(b) > 0 && b[0] != 0 {
		f.end = size // the Reader will say what is wrong
	}
	f.in.Set(f.from, f.end)
	f.r.br.Reset(f.in)
	tracks := f.r.Tracks()
	if err := f.r.ahead.LookAhead(context.Background()); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	f.sought = TagAudio
	for i, t := range slices.Backward(tracks) {
		if video := t.Kind() == codec.KindVideo; video || i == 0 && f.sought == TagAudio {
			f.id = t.ID
			if video {
				f.sought = TagVideo
			}
		}
	}
	for _, s := range f.r.demux.streams {
		f.streams = append(f.streams, *s)
	}
	table, err := f.begin()
	if err != nil {
		return err
	}
	x := &keysearch.Index{From: f.from, To: f.end, Scan: f.scanTags, Every: f.sought == TagAudio, Hints: f.hints(table)}
	f.file = keysearch.File{
		Index: x, Input: f.in, Restart: f.restart, Read: f.r.ReadFrame,
		IsSought: func(fr *codec.Frame) bool { return fr.Track.ID == f.id },
	}
	if err := x.Open(context.Background()); err != nil {
		return err
	}
	return f.restart(keysearch.Key{At: f.from})
}

// Tracks returns the tracks known so far.
func (f *File) Tracks() []*codec.Track { return f.r.Tracks() }

// ReadFrame returns the next frame, as that of a [Reader] does.
func (f *File) ReadFrame(ctx context.Context) (*codec.Frame, error) { return f.file.ReadFrame(ctx) }

// Seek goes to the last key frame of the first video track at or before t, without
// video to the last frame; to the first there is if there is none. Seeking works
// at the end of the file, too.
func (f *File) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	return f.file.Seek(ctx, t)
}

// Duration returns the length of the file: that of its frames, whatever its
// metadata say.
func (f *File) Duration() time.Duration { return f.file.Index.Duration() }

// KeyTimes returns the times of the key frames.
func (f *File) KeyTimes(ctx context.Context) ([]time.Duration, error) { return f.file.Index.Times(ctx) }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// begin looks at the first tags for the time of the first frame and the table of
// key frames.
func (f *File) begin() (table keyTable, err error) {
	var seen [2]bool
	for at := f.from; at < f.end && at-f.from < probeBytes && seen != [2]bool{true, true}; {
		t, ok, err := f.tag(at, f.end)
		if err != nil || !ok {
			return table, err
		}
		at = t.next
		switch content, _ := t.content(); {
		case t.typ == TagScript && table.times == nil:
			body := make([]byte, t.size)
			if _, err := f.in.ReadAt(body, t.at+tagHeader); err != nil {
				return table, err
			}
			table = parseKeyTable(body)
		case content == contentFrame:
			if seen == [2]bool{} || int32(t.ms-f.zero) < 0 {
				f.zero = t.ms
			}
			seen[t.typ-TagAudio] = true
		}
	}
	return table, nil
}

// timeOf returns a time of a tag since the first frame. Some frames may be earlier.
func (f *File) timeOf(ms uint32) time.Duration {
	const before = 1 << 30
	return time.Duration(int64(ms-f.zero+before)-before) * time.Millisecond
}

// restart reads on from a key, with the sequence headers that are in force there.
func (f *File) restart(k keysearch.Key) error {
	at, err := f.withConfigs(k.At)
	if err != nil {
		return err
	}
	r := f.r
	f.in.Set(at, f.end)
	r.br.Reset(f.in)
	r.offset, r.wrong = at, false
	r.ahead.Restart()
	r.clock = keysearch.Unwrapper(32, max(int64(f.zero)+int64((k.Time-k.Shift)/time.Millisecond), 0))
	r.shift = k.Shift - time.Duration(f.zero)*time.Millisecond
	clear(r.last)
	r.demux.streams, r.demux.bad = nil, 0
	for _, s := range f.streams {
		r.demux.streams = append(r.demux.streams, &s)
	}
	for _, typ := range []TagType{TagVideo, TagAudio} {
		for _, c := range slices.Backward(f.configs) {
			if c.at >= at || c.typ != typ {
				continue
			}
			if err := f.takeConfig(c.at); err != nil {
				return err
			}
			break
		}
	}
	f.scan.Forget() // it takes a while until it is needed again
	f.seek.Forget()
	return nil
}

// takeConfig takes in the sequence header of a tag.
func (f *File) takeConfig(at int64) error {
	t, ok, err := f.tag(at, f.end)
	if err != nil || !ok {
		return err
	}
	body := make([]byte, t.size)
	if _, err := f.in.ReadAt(body, at+tagHeader); err != nil {
		return err
	}
	_, _ = f.r.demux.Append(nil, t.typ, 0, body) // it was read before
	return nil
}

// hints returns what is in a table of key frames as entries.
func (f *File) hints(table keyTable) (hints []keysearch.Entry) {
	for i, s := range table.times {
		at := table.places[i]
		if !(s >= 0 && s < math.MaxUint32/1000) || at != math.Trunc(at) || at < float64(f.from) || at >= float64(f.end) {
			return nil
		}
		e := keysearch.Entry{At: int64(at), Time: f.timeOf(uint32(math.Round(s * 1000))), Sought: true, Key: true}
		if i > 0 && (e.At <= hints[i-1].At || e.Time < hints[i-1].Time) {
			return nil
		}
		hints = append(hints, e)
	}
	return hints
}
