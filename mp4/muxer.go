package mp4

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// maxFragment bounds the data of a fragment that is written, in bytes: the
// position of a track's data in it has 31 bits.
const maxFragment = 1 << 30

// A Muxer cuts frames into movie fragments. A frame is in the fragment that is
// made once the next one of its track has come, which tells how long it lasts.
// It keeps the frames until then, and copies them once.
type Muxer struct {
	init   []byte
	tracks []*muxTrack // at number-1
	ready  int         // frames
	bytes  int64       // of frames that are held or ready
	number uint32      // of fragments made
	shift  time.Duration
	begun  bool
	rebase bool // the first frame is at 0
}

// A muxTrack is a track that is written.
type muxTrack struct {
	track *codec.Track // in force
	scale int          // Hz
	sets  []byte       // written before each key frame; nil for none
	held  *codec.Frame // waits for the next one
	ready []sample
	last  int64 // duration of the sample before, in ticks; 0 while there was none
}

// A sample is a frame that can be written.
type sample struct {
	frame    *codec.Frame
	dts      int64  // ticks
	duration uint32 // ticks
}

// NewMuxer returns a Muxer of the tracks that can be carried, in their order: the
// first has the number 1. Those whose configuration is not known yet are left
// out. Without any the error wraps source.ErrUnsupported.
func NewMuxer(tracks []*codec.Track) (*Muxer, error) {
	m := &Muxer{}
	for _, t := range tracks {
		if ready(t) && m.find(t.ID) == nil {
			m.tracks = append(m.tracks, &muxTrack{track: t, scale: scaleOf(t)})
		}
	}
	if len(m.tracks) == 0 {
		return nil, fmt.Errorf("mp4: no track that can be carried: %w", source.ErrUnsupported)
	}
	m.makeInit()
	return m, nil
}

// makeInit makes the initialization segment of the tracks in force.
func (m *Muxer) makeInit() {
	m.init = appendInit(nil, m.Tracks())
}

// Tracks returns the tracks that are written, in the order of their numbers.
func (m *Muxer) Tracks() []*codec.Track {
	tracks := make([]*codec.Track, len(m.tracks))
	for i, t := range m.tracks {
		tracks[i] = t.track
	}
	return tracks
}

// Init returns the initialization segment: ftyp and moov. The caller does not
// modify it.
func (m *Muxer) Init() []byte { return m.init }

// RepeatSets makes key frames carry the parameter sets of their track from now
// on, which are in the initialization segment as well. It is for a Muxer whose
// initialization segment is not the first of a stream: some players ignore all
// others, ffmpeg is one.
func (m *Muxer) RepeatSets() {
	for _, t := range m.tracks {
		t.repeatSets()
	}
}

// repeatSets makes key frames carry the parameter sets in force (ISO/IEC
// 14496-15, 5.3.2: as NAL units, before the others).
func (t *muxTrack) repeatSets() {
	t.sets = nil
	for _, nalu := range t.track.ParameterSets() {
		t.sets = binary.BigEndian.AppendUint32(t.sets, uint32(len(nalu)))
		t.sets = append(t.sets, nalu...)
	}
}

// setsOf returns what is written before f.
func (t *muxTrack) setsOf(f *codec.Frame) []byte {
	if f.Key() {
		return t.sets
	}
	return nil
}

// find returns the track with this ID; nil if it is not written.
func (m *Muxer) find(id int) *muxTrack {
	for _, t := range m.tracks {
		if t.track.ID == id {
			return t
		}
	}
	return nil
}

// Changes reports whether f needs another initialization segment: its track is
// new, or has other parameters. NewMuxer with the tracks in force makes it. What
// still waits in this one has to be flushed first.
func (m *Muxer) Changes(f *codec.Frame) bool {
	t := m.find(f.Track.ID)
	if t == nil {
		return ready(f.Track)
	}
	return t.changes(f.Track)
}

// changes reports whether the initialization segment is another with n.
func (t *muxTrack) changes(n *codec.Track) bool {
	o := t.track
	if o == n {
		return false
	}
	if o.SameConfig(n) && o.Width == n.Width && o.Height == n.Height {
		t.track = n
		return false
	}
	return true
}

// Add takes a frame, which makes the one before it in its track ready for the
// next fragment. A frame of a track that is not carried is left out. One that
// [Muxer.Changes] is true of is refused; the error wraps source.ErrNewFormat.
//
// Times in fragments cannot be negative. If the first frame's DTS is, all times
// are moved so that it becomes 0.
func (m *Muxer) Add(f *codec.Frame) error {
	t := m.find(f.Track.ID)
	if t == nil && !ready(f.Track) {
		return nil
	}
	if t == nil || t.changes(f.Track) {
		return fmt.Errorf("mp4: %v has no initialization segment: %w", f.Track, source.ErrNewFormat)
	}
	return m.add(t, f)
}

// add takes a frame of t.
func (m *Muxer) add(t *muxTrack, f *codec.Frame) error {
	if m.bytes+int64(len(f.Data)) > maxFragment {
		return invalid("fragment of %d bytes", m.bytes+int64(len(f.Data)))
	}
	m.bytes += int64(len(f.Data))
	if !m.begun {
		m.begun, m.shift = true, -f.DTS
		if !m.rebase {
			m.shift = max(m.shift, 0)
		}
	}
	if t.held != nil {
		m.complete(t, m.ticks(t, f.DTS)-m.ticks(t, t.held.DTS))
	}
	t.held = f
	return nil
}

// ticks returns a decoding time as it is written.
func (m *Muxer) ticks(t *muxTrack, d time.Duration) int64 {
	return max(codec.Ticks(d+m.shift, t.scale), 0)
}

// complete makes the frame that is held ready. It lasts so many ticks; if that
// cannot be, as long as is usual.
func (m *Muxer) complete(t *muxTrack, duration int64) {
	f := t.held
	if duration < 0 || duration > math.MaxUint32 {
		duration = t.usual(f)
	}
	t.ready = append(t.ready, sample{f, m.ticks(t, f.DTS), uint32(duration)})
	t.held, t.last = nil, duration
	m.ready++
}

// usualStep is between frames of which nothing is known.
const usualStep = 40 * time.Millisecond

// usual returns how many ticks a frame lasts that none follows.
func (t *muxTrack) usual(f *codec.Frame) int64 {
	if t.track.Kind() == codec.KindAudio {
		if d := codec.FrameDuration(f); d > 0 {
			return codec.Ticks(d, t.scale)
		}
	}
	switch {
	case t.last > 0:
		return t.last
	case t.track.FrameRate > 0:
		return int64(float64(t.scale)/t.track.FrameRate + 0.5)
	}
	return codec.Ticks(usualStep, t.scale)
}

// Ready returns how many frames the next fragment would hold.
func (m *Muxer) Ready() int { return m.ready }

// Flush makes the frames ready that wait for the next one of their tracks,
// because there will be none. Audio lasts as long as it says, a picture as long
// as the one before.
func (m *Muxer) Flush() {
	for _, t := range m.tracks {
		if t.held != nil {
			m.complete(t, -1)
		}
	}
}

// FlushAudio makes the frames of audio ready that wait for the next ones of their
// tracks, where they tell how long they last. The next fragment then has all the
// sound there is; where the times of the frames are rounded, it may end a
// fraction of a millisecond beside the beginning of the one after.
func (m *Muxer) FlushAudio() {
	for _, t := range m.tracks {
		if t.held != nil && t.track.Kind() == codec.KindAudio && codec.FrameDuration(t.held) > 0 {
			m.complete(t, -1)
		}
	}
}
