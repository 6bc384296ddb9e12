package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

const (
	maxExtra    = 64 << 20         // bytes of segments that left the playlist and are more than Options.Retain
	recentFiles = 8                // segments of an event on disk that are in memory, too
	diskGrace   = 5 * time.Second  // how long Close waits for the disk
	firstWait   = 15 * time.Second // how long requests wait for the first segment; longer where segments may be
)

var errWriterClosed = fmt.Errorf("hls: %w", io.ErrClosedPipe)

// A Writer cuts a stream into segments. It is an http.Handler that serves its
// playlist, hls.m3u8 or hls.fmp4.m3u8, and what that lists, and the one of
// Options.Delay.
//
// A segment ends before the first key frame (of audio alone: frame) after
// Options.Segment; where none comes, at ten times that or 32 MiB. New parameters,
// another track, frames with FlagDiscont and jumps in time begin a segment after
// a discontinuity, with the next key frame of the video.
//
// The playlist is there once the first segment is complete. The longest segment so
// far determines its target duration, which grows only where the distance of key
// frames does.
//
// What is listed, and what was for as long as a player may still ask for it, is in
// memory. With Options.Dir all of it is also written to disk, by a goroutine of
// its own, so that a slow disk holds up nobody. What cannot be written is left
// out: the stream goes on in memory.
//
// With Options.Keep nothing is deleted there but the playlist and its
// initialization segments, which are those of a live stream. The segments of every
// hour, which have a folder, are listed in vod.m3u8 there; for another
// file server: this Writer serves what the live playlist has or had.
//
// With Options.Record it makes a recording there: a playlist of that name and type
// VOD with all segments, which are in a folder of the same name without ".m3u8".
// Until Close the playlist has a leading dot, and can be played all the same; so
// what a process that was killed has left is all but the last segment. Nothing is
// in memory but what is being cut. It writes in WriteFrame and Close, which return
// the disk's error; after the first one no more is written, and Close keeps what
// was. Close also has all of it survive a power cut.
type Writer struct {
	o     Options // with its defaults
	from  position
	disk  *disk // nil: in memory only
	fixed headers
	rec   *recording // nil if it makes none

	mu       sync.Mutex // guards what follows
	seg      *segmenter
	list     mediaPlaylist
	left     []*segment // that are kept after they left the list
	extra    int        // bytes of those; of an event on disk, bytes in memory
	released int        // segments of an event that are not in memory any more
	delayed  []byte     // the delayed playlist; nil when it has changed
	bytes    uint64     // of the segments completed
	length   time.Duration
	peak     int // bit rate of the fastest segment
	closed   bool
	changed  bool // there is something to publish

	now   atomic.Pointer[snapshot] // nil until the first segment is complete
	first chan struct{}            // closed when now is set
	done  chan struct{}            // closed by Close

	served sync.RWMutex // guards what follows
	files  map[string]*file
	gone   bool // Purge was called
}

// The headers are values that many answers share.
type headers struct{ playlist, cache, noCache, bytes []string }

func newHeaders() headers {
	return headers{
		playlist: []string{playlistType},
		cache:    []string{"max-age=60"}, noCache: []string{"no-cache"}, bytes: []string{"bytes"},
	}
}

// A position is where the numbers of a Writer stand.
type position struct {
	sequence      uint64 // media sequence number of the next segment
	discontinuity uint64 // discontinuity sequence number of a segment after a break
	init          uint64 // number of the next initialization segment
}

// WriterStats are the counters of a [Writer].
type WriterStats struct {
	Segments   uint64        // completed
	Bytes      uint64        // of those
	Duration   time.Duration // of those
	Dropped    uint64        // frames the container's muxer refused
	DiskErrors uint64        // files that were not written

	LeftOut []*codec.Track // those that the container does not carry
}

// NewWriter returns a Writer. Tracks that the container cannot carry are left
// out; without any other the error wraps source.ErrUnsupported.
//
// With Options.Dir it removes what an earlier one has left there: its playlist
// and files whose names are like its own, no matter who wrote them. Of an event,
// which is a recording, it removes none. With Options.Record the error wraps
// fs.ErrExist where that was made already; [RemoveRecording] removes it.
func NewWriter(tracks []*codec.Track, o Options) (*Writer, error) {
	return newWriterAt(tracks, o, position{})
}

// newWriterAt returns a Writer that continues the numbers of another.
func newWriterAt(tracks []*codec.Track, o Options, from position) (*Writer, error) {
	w, err := newWriter(tracks, o, from, o.Container.newMuxer)
	switch {
	case err != nil:
		return nil, err
	case o.Record != "":
		w.rec, err = newRecording(o.Dir, o.Record)
		return w, err
	case o.Dir != "":
		w.disk = newDisk(&rootFolder{path: o.Dir}, w.o)
	}
	return w, nil
}

// newWriter returns a Writer in memory.
func newWriter(tracks []*codec.Track, o Options, from position, newMuxer func([]*codec.Track) (muxer, error)) (*Writer, error) {
	w := &Writer{
		o: o.withDefaults(), from: from,
		fixed: newHeaders(),
		first: make(chan struct{}), done: make(chan struct{}), files: map[string]*file{},
	}
	w.list = mediaPlaylist{o: w.o, sequence: from.sequence, discontinuity: from.discontinuity}
	var err error
	w.seg, err = newSegmenter(tracks, w.o, from, w, newMuxer)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// WriteFrame implements source.Writer.
func (w *Writer) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errWriterClosed
	}
	w.seg.write(f, time.Now())
	w.publish()
	return w.rec.failure()
}

// Close completes the last segment and ends the playlist. What is being waited
// for is answered. It waits for the disk, for 5 s at most. What there is can be
// served until Purge.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	w.seg.finish(time.Now())
	w.list.ended = true
	if len(w.list.listed) > 0 {
		w.changed = true
		w.store(nil)
	}
	w.publish()
	close(w.done)
	w.mu.Unlock()
	return errors.Join(w.rec.close(), w.disk.close(diskGrace))
}

// Purge closes w and deletes all segments; on disk too, but not of an event:
// that is a recording. Folders that are empty then are removed.
func (w *Writer) Purge() error {
	err := w.Close()
	w.served.Lock()
	w.gone = true
	clear(w.files)
	w.served.Unlock()
	w.mu.Lock()
	w.left, w.list.listed, w.list.lines = nil, nil, nil
	w.now.Store(nil)
	w.mu.Unlock()
	w.rec.forget()
	return errors.Join(err, w.disk.purge())
}

// Stats returns the counters.
func (w *Writer) Stats() WriterStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return WriterStats{
		Segments: w.seg.sequence - w.from.sequence, Bytes: w.bytes, Duration: w.length,
		Dropped: w.seg.dropped, DiskErrors: w.disk.errors() + w.rec.errors(), LeftOut: w.seg.leftOut(),
	}
}

// position returns where the numbers stand for a Writer that continues this one.
func (w *Writer) position() position {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := position{w.seg.sequence, w.from.discontinuity + w.seg.breaches, w.seg.inits}
	if w.seg.begun {
		p.discontinuity++
	}
	if w.seg.seg != nil {
		p.sequence++
	}
	return p
}

// A variantInfo is what a multivariant playlist says of a media playlist.
type variantInfo struct {
	Codecs                      string // RFC 6381
	Width, Height               int
	FrameRate                   float64 // 0: unknown
	Bandwidth, AverageBandwidth int     // bits per second
}

// variant waits until there is a segment.
func (w *Writer) variant(ctx context.Context) (variantInfo, error) {
	select {
	case <-w.first:
	case <-w.done:
	case <-ctx.Done():
		return variantInfo{}, context.Cause(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list.listed) == 0 {
		return variantInfo{}, fmt.Errorf("hls: no segment: %w", source.ErrNotFound)
	}
	v := variantInfo{Bandwidth: w.peak, AverageBandwidth: bitrate(w.list.size, w.list.total)}
	v.describe(w.seg.carried(), w.seg.frameRate)
	return v, nil
}

// describe sets what tracks say.
func (i *variantInfo) describe(tracks []*codec.Track, frameRate func(*codec.Track) float64) {
	var codecs []string
	for _, t := range tracks {
		if c := t.CodecString(); c != "" {
			codecs = append(codecs, c)
		}
		if t.Kind() == codec.KindVideo && i.Width == 0 {
			i.Width, i.Height, i.FrameRate = t.Width, t.Height, frameRate(t)
		}
	}
	i.Codecs = strings.Join(codecs, ",")
}

// begun implements output.
func (w *Writer) begun(s *segment) {
	if !s.partial {
		return
	}
	w.list.current = s
	w.serveFile(&s.file)
	w.changed = true
}

// grown implements output.
func (w *Writer) grown(s *segment) { w.changed = w.changed || s.partial }

// abandoned implements output.
func (w *Writer) abandoned(s *segment) {
	w.list.current = nil
	w.forget(&s.file)
	s.grow(nil, true, time.Now())
	w.changed = true
}

// initialized implements output.
func (w *Writer) initialized(f *file) {
	w.serveFile(f)
	w.disk.store(f)
	w.rec.store(f)
}

// completed implements output.
func (w *Writer) completed(s *segment) {
	w.list.partTarget = w.seg.partTarget
	if w.list.current != s {
		w.serveFile(&s.file)
	}
	now := time.Now()
	for _, s := range w.list.complete(s) {
		s.gone = now
		w.left = append(w.left, s)
		w.extra += s.size
	}
	w.retire(now)
	w.peak = max(w.peak, bitrate(s.size, s.duration))
	w.bytes, w.length = w.bytes+uint64(s.size), w.length+s.duration
	w.changed, w.delayed = true, nil
	w.store(s)
}

// store gives s, if there is one, and the playlist to the disk.
func (w *Writer) store(s *segment) {
	switch {
	case w.rec != nil && s != nil:
		w.rec.store(&s.file)
		if w.rec.list(w.list.plain()); s.stored.Load() {
			s.content.Store(nil)
		}
	case w.disk != nil:
		if s != nil {
			w.disk.storeSegment(s)
		}
		w.disk.list(w.list.plain())
	}
}

// retire deletes the segments that nobody can want any more.
func (w *Writer) retire(now time.Time) {
	keep := max(partsListed*w.list.targetDuration(), w.list.total+w.list.targetDuration())
	var recent int
	for _, s := range w.left[max(0, len(w.left)-w.o.Retain):] {
		recent += s.size
	}
	for len(w.left) > w.o.Retain && (now.Sub(w.left[0].gone) >= keep || w.extra-recent > maxExtra) {
		s := w.left[0]
		w.left[0], w.left = nil, w.left[1:]
		w.extra -= s.size
		w.remove(&s.file)
		if s.init != nil && s.init != w.oldest().init {
			w.remove(s.init)
		}
	}
	if w.disk == nil || w.o.Segments > 0 {
		return
	}
	for w.extra += w.list.listed[len(w.list.listed)-1].size; w.released < len(w.list.listed)-recentFiles; w.released++ {
		s := w.list.listed[w.released]
		if !s.stored.Load() && w.extra < maxExtra {
			return // until the disk has it
		}
		s.content.Store(nil)
		w.extra -= s.size
	}
}

// oldest returns the oldest segment there is.
func (w *Writer) oldest() *segment {
	if len(w.left) > 0 {
		return w.left[0]
	}
	return w.list.listed[0]
}

// publish lets others see what has changed.
func (w *Writer) publish() {
	if !w.changed || len(w.list.listed) == 0 {
		return
	}
	w.changed = false
	s, old := w.list.snapshot(), w.now.Load()
	if w.o.Delay > 0 {
		if s.delayed = w.delayed; s.delayed == nil || s.ended {
			s.delayed = w.list.delayed(w.left)
			w.delayed = s.delayed
		}
	}
	w.now.Store(s)
	if old == nil {
		close(w.first)
	} else {
		close(old.changed)
	}
}

// serveFile lets f be asked for.
func (w *Writer) serveFile(f *file) {
	w.served.Lock()
	defer w.served.Unlock()
	if !w.gone {
		w.files[f.name] = f
	}
}

// forget lets f not be asked for any more.
func (w *Writer) forget(f *file) {
	w.served.Lock()
	defer w.served.Unlock()
	delete(w.files, f.name)
}

// remove deletes f.
func (w *Writer) remove(f *file) {
	w.forget(f)
	w.disk.remove(f)
}

// open opens a file that is on the disk.
func (w *Writer) open(name string) (fs.File, error) {
	if w.rec != nil {
		return w.rec.open(name)
	}
	return w.disk.open(name)
}

// find returns the file with this name; nil if there is none.
func (w *Writer) find(name string) *file {
	w.served.RLock()
	defer w.served.RUnlock()
	return w.files[name]
}

var _ interface {
	source.Writer
	output
} = (*Writer)(nil)
