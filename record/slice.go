package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// minSize is the least size of a file that is kept, in bytes.
const minSize = 1 << 10

// maxRefused is how many frames in a row a container may refuse.
const maxRefused = 100

// A slice is one file of a recording, while it is written.
type slice struct {
	o      Options // with its defaults
	disk   disk
	open   *openFiles
	name   string // of the finished file
	hidden string // until then
	start  time.Time
	base   time.Duration // DTS of what begins the file
	from   time.Duration // PTS of that
	tracks []*codec.Track

	out     source.Writer // the container
	buf     *buffer       // nil of HLS
	hls     *hls.Writer   // nil of others
	lock    file          // of HLS, see locked
	bytes   int64         // of frames
	pending uint64        // frames that may not have left memory yet
	refused int           // frames in a row that the container did not take
	failed  error         // why it was given up
	parts   map[int]*part
	flushed time.Duration // DTS up to which frames have surely left the buffer
}

// A part is a track of a slice.
type part struct {
	track  *codec.Track // as the file has it
	same   *codec.Track // the latest that is like it
	frames int
	last   time.Duration // DTS of the latest frame
	end    time.Duration // when the last one has been seen or heard
}

// newSlice creates the file for these tracks, all of which the format carries. It
// begins with f, which came at start.
func newSlice(w *writer, tracks []*codec.Track, start time.Time, f *codec.Frame) (*slice, error) {
	s := &slice{
		o: w.o, disk: w.disk, open: w.open, tracks: tracks,
		start: start, base: f.DTS, from: f.PTS, flushed: f.DTS, parts: map[int]*part{},
	}
	for _, t := range tracks {
		s.parts[t.ID] = &part{track: t, last: f.DTS, end: f.PTS}
	}
	for taken := range maxNames {
		s.name = w.naming.name(start, w.count, taken)
		s.hidden = hidden(s.name)
		if s.disk.exists(s.name) {
			continue
		}
		err := s.create()
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return s, err
	}
	return nil, fmt.Errorf("record: %s: %w", s.name, fs.ErrExist)
}

func (s *slice) create() (err error) {
	if s.o.Format.segmented() {
		err = s.createHLS()
	} else {
		err = s.createFile()
	}
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	for _, name := range s.held() {
		s.open.add(s.disk.path(name))
	}
	return nil
}

// held returns the names that nobody else must take for leftovers.
func (s *slice) held() []string { return []string{s.hidden, temporary(s.hidden), locked(s.hidden)} }

func (s *slice) createFile() error {
	f, err := s.disk.create(s.hidden)
	if err != nil {
		return err
	}
	if s.disk.exists(s.name) { // another recording has just given its file the name
		_ = f.Close()
		return errors.Join(fs.ErrExist, s.disk.remove(s.hidden))
	}
	s.buf = &buffer{f: f, whole: s.o.Format == MP4} // whose Writer can make a whole file of what was written
	switch s.o.Format {
	case FLV:
		s.out = flv.NewWriter(s.buf, s.tracks)
	case TS:
		s.out = ts.NewWriter(s.buf, s.tracks)
	default:
		layout := s.o.Layout
		if layout == mp4.LayoutFastStart {
			layout = mp4.LayoutProgressive // until it is copied, see fastStart
		}
		s.out, err = mp4.NewWriter(s.buf, s.tracks, &mp4.WriterOptions{
			Layout: layout, FragmentDuration: s.o.Fragment, Sync: !s.o.NoSync, SyncFragments: s.o.SyncFragments,
		})
	}
	if err != nil {
		_ = f.Close()
		_ = s.disk.remove(s.hidden)
	}
	return err
}

func (s *slice) createHLS() (err error) {
	dir, name := path.Split(s.name)
	if err = s.disk.mkdir(path.Clean(dir)); err != nil {
		return err
	}
	o := hls.Options{Segment: s.o.Fragment, Dir: s.disk.path(dir), Record: name}
	if s.o.Format == HLSFMP4 {
		o.Container = hls.FMP4
	}
	if s.lock, err = s.disk.create(locked(s.hidden)); err != nil {
		return err
	}
	s.hls, err = hls.NewWriter(s.tracks, o)
	s.out = s.hls
	if err != nil {
		s.unlock()
	}
	return err
}

// unlock tells that nobody writes the playlist any more.
func (s *slice) unlock() {
	_ = s.lock.Close()
	_ = s.disk.remove(locked(s.hidden))
}

// write writes f. Times begin at 0.
func (s *slice) write(ctx context.Context, f *codec.Frame) error {
	p := s.parts[f.Track.ID]
	g := *f
	g.DTS = max(f.DTS-s.base, 0)
	g.PTS = max(f.PTS-s.base, 0)
	g.Track = p.track
	was := s.landed()
	s.pending++
	if err := s.out.WriteFrame(ctx, &g); err != nil {
		s.refused++
		return fmt.Errorf("record: %s: %w", s.name, err)
	}
	s.refused = 0
	if s.landed() > was {
		s.pending = uint64(len(s.tracks)) // the newest of each may not have
	}
	length := codec.FrameDuration(f)
	if length == 0 && p.frames > 0 {
		length = f.DTS - p.last
	}
	p.frames++
	p.last, p.end = f.DTS, max(p.end, f.PTS+length)
	s.bytes += int64(len(f.Data))
	return s.flush(f.DTS)
}

// has reports whether s has the track.
func (s *slice) has(t *codec.Track) bool {
	p := s.parts[t.ID]
	if p == nil || p.same != t && !p.track.SameConfig(t) {
		return false
	}
	p.same = t
	return true
}

// precedes reports whether f is to be seen or heard before s begins.
func (s *slice) precedes(f *codec.Frame) bool {
	if isVideo(f.Track) {
		return f.DTS < s.base
	}
	return f.PTS < s.from
}

// refuses reports whether the last error was about a frame, and the file is well.
func (s *slice) refuses() bool { return s.buf != nil && s.buf.err == nil && s.refused < maxRefused }

// landed returns how much has left memory, in no particular unit.
func (s *slice) landed() int64 {
	if s.hls != nil {
		return int64(min(s.hls.Stats().Segments, math.MaxInt64))
	}
	return s.buf.at
}

// flush has the operating system take what was written, once in a fragment's time.
func (s *slice) flush(now time.Duration) error {
	due := now-s.flushed >= s.o.Fragment
	if due {
		s.flushed = now
		if s.buf != nil && !s.disk.exists(s.hidden) { // somebody has removed it
			s.buf.err = fs.ErrNotExist
			return fmt.Errorf("record: %s: %w", s.name, s.buf.err)
		}
	}
	if s.buf == nil || s.buf.whole || !due {
		return nil
	}
	err := s.buf.flush()
	if err == nil && s.o.SyncFragments && s.buf.dirty {
		err = s.buf.Sync()
	}
	if err != nil {
		return fmt.Errorf("record: %s: %w", s.name, err)
	}
	return nil
}

// size returns the size so far.
func (s *slice) size() int64 {
	if s.buf != nil {
		return max(s.buf.size, s.bytes) // a fragment may be in memory
	}
	return s.bytes
}

// duration returns the length so far.
func (s *slice) duration() time.Duration {
	end := s.from
	for _, p := range s.parts {
		end = max(end, p.end)
	}
	return end - s.from
}

// finish completes the file and lets it appear. What was given up, or cannot be
// completed, appears as far as it plays. It is removed if there is nothing to play;
// then the File has no name.
func (s *slice) finish() (file File, err error) {
	defer func() {
		for _, name := range s.held() {
			s.open.remove(s.disk.path(name))
		}
	}()
	if s.hls != nil {
		file, err = s.finishHLS()
	} else {
		file, err = s.finishFile()
	}
	file.Start, file.Recovered = s.start, false
	if err != nil {
		err = fmt.Errorf("record: finish %s: %w", s.name, err)
	}
	return file, err
}

func (s *slice) finishFile() (File, error) {
	if s.failed != nil {
		s.buf.giveUp()
	}
	if err := s.out.Close(); err != nil || s.failed != nil {
		_ = s.buf.f.Close()
		file, rerr := recoverFile(s.disk, s.hidden, true, !s.o.NoSync)
		if s.failed != nil {
			err = nil // it is known
		}
		return file, errors.Join(err, rerr)
	}
	var err error
	if !s.o.NoSync {
		err = s.buf.Sync()
	}
	size := s.buf.size
	if err == nil && s.o.Format == MP4 && s.o.Layout == mp4.LayoutFastStart {
		size = s.fastStart(size)
	}
	err = errors.Join(err, s.buf.f.Close())
	if size < minSize {
		return File{}, errors.Join(err, s.disk.remove(s.hidden))
	}
	err = errors.Join(err, s.disk.rename(s.hidden, s.name, !s.o.NoSync))
	if err != nil && !s.disk.exists(s.name) {
		return File{}, err // it is a leftover now
	}
	return File{Name: s.name, Path: s.disk.path(s.name), Duration: s.duration(), Size: size, Tracks: s.tracks}, err
}

// fastStart puts a copy in the place of the finished file that begins with its
// index, and returns the size of what is there then. Where there is no room for a
// copy the file stays as it is; so it does when the process is killed.
func (s *slice) fastStart(size int64) int64 {
	name := temporary(s.hidden)
	f, err := s.disk.create(name)
	if err != nil {
		return size
	}
	err = mp4.FastStart(f, s.buf.f, size)
	var copied int64
	if err == nil {
		copied, err = f.Seek(0, io.SeekEnd)
	}
	if err == nil && !s.o.NoSync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.disk.rename(name, s.hidden, false)
	}
	if err != nil {
		_ = s.disk.remove(name)
		return size
	}
	return copied
}

// finishHLS has hls do what there is to do.
func (s *slice) finishHLS() (File, error) {
	err := s.out.Close()
	s.unlock()
	if s.failed != nil {
		err = nil // it is known
	}
	if !s.disk.exists(s.name) {
		return File{}, err
	}
	file, rerr := readPlaylist(s.disk, s.name)
	file.Name, file.Path, file.Tracks = s.name, s.disk.path(s.name), s.tracks
	return file, errors.Join(err, rerr)
}
