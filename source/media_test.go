package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

const ms = time.Millisecond

// Tracks that need no real decoder configuration, and two that are not ready.
var (
	video   = &codec.Track{ID: 1, Codec: codec.VP8, ClockRate: 90000, Config: []byte{1}}
	video2  = &codec.Track{ID: 1, Codec: codec.VP8, ClockRate: 90000, Config: []byte{0x11}} // new parameters
	audio   = &codec.Track{ID: 2, Codec: codec.AAC, ClockRate: 48000, Config: []byte{2}}
	audio2  = &codec.Track{ID: 2, Codec: codec.AAC, ClockRate: 48000, Config: []byte{0x22}}
	sound   = &codec.Track{ID: 3, Codec: codec.PCMA, ClockRate: 8000}
	noSets  = &codec.Track{ID: 1, Codec: codec.H264, ClockRate: 90000}
	noASC   = &codec.Track{ID: 2, Codec: codec.AAC, ClockRate: 48000}
	errLost = errors.New("connection lost")
)

var testKey = Key{DefaultVhost, "live", "t"}

// frameAt makes a frame of 100 bytes.
func frameAt(t *codec.Track, dts time.Duration, key bool) *codec.Frame {
	f := &codec.Frame{Track: t, DTS: dts, PTS: dts, Data: make([]byte, 100)}
	if key {
		f.Flags = codec.FlagKey
	}
	return f
}

// frame makes the nth frame of a stream with 25 a second.
func frame(t *codec.Track, n int, key bool) *codec.Frame {
	return frameAt(t, time.Duration(n)*40*ms, key)
}

// textMuxer writes a line per frame, so that a test can read what a viewer got.
type textMuxer struct {
	tracks  map[int]*codec.Track
	appends *atomic.Int64
}

// textFormat is the format of textMuxer; appends counts the frames muxed.
func textFormat(appends *atomic.Int64) Format {
	return Format{Name: "text", New: func(tracks []*codec.Track) (Muxer, error) {
		m := &textMuxer{tracks: map[int]*codec.Track{}, appends: appends}
		for _, t := range tracks {
			m.tracks[t.ID] = t
		}
		return m, nil
	}}
}

// Header names the configuration of all tracks.
func (m *textMuxer) Header() []byte {
	var ids []int
	for id := range m.tracks {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	b := []byte("header")
	for _, id := range ids {
		b = fmt.Appendf(b, " %d=%x", id, m.tracks[id].Config)
	}
	return append(b, '\n')
}

func (m *textMuxer) Append(dst []Packet, f *codec.Frame) ([]Packet, error) {
	if m.appends != nil {
		m.appends.Add(1)
	}
	if m.tracks[f.Track.ID] != f.Track {
		m.tracks[f.Track.ID] = f.Track
		dst = append(dst, m.packet(f, fmt.Sprintf("config %d=%x\n", f.Track.ID, f.Track.Config), true))
	}
	return append(dst, m.packet(f, textLine(f), false)), nil
}

func textLine(f *codec.Frame) string {
	key := "-"
	if f.Key() {
		key = "K"
	}
	return fmt.Sprintf("%d:%d%s%s\n", f.DTS.Milliseconds(), f.Track.ID, key, strings.Repeat(".", max(0, len(f.Data)-100)))
}

func (m *textMuxer) packet(f *codec.Frame, line string, header bool) Packet {
	key := !header && f.Key() && f.Track.Kind() == codec.KindVideo
	return Packet{Track: f.Track.ID, Key: key, Header: header, DTS: f.DTS, Wire: []byte(line), Framed: []byte("ws " + line)}
}

// A scene is a hub with one stream name, and what happened there.
type scene struct {
	*Hub
	t     testing.TB
	began time.Time

	mu     sync.Mutex
	events []Event
	times  []time.Duration
}

func newScene(t testing.TB, o StreamOptions) *scene {
	s := &scene{t: t, began: time.Now(), Hub: &Hub{Options: o}}
	s.OnEvent = func(e Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
		s.times = append(s.times, time.Since(s.began))
	}
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// history returns the kinds of the events so far.
func (s *scene) history() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kinds []string
	for _, e := range s.events {
		kinds = append(kinds, e.Kind.String())
	}
	return strings.Join(kinds, ", ")
}

// when returns the time of the first event of a kind, -1 if there was none.
func (s *scene) when(kind EventKind) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range s.events {
		if e.Kind == kind {
			return s.times[i]
		}
	}
	return -1
}

func (s *scene) publish(tracks ...*codec.Track) Publication {
	s.t.Helper()
	p, err := s.Publish(context.Background(), &Request{ID: NewID(), Schema: "x", Key: testKey})
	require.NoError(s.t, err)
	if len(tracks) > 0 {
		require.NoError(s.t, p.SetTracks(tracks, true))
	}
	return p
}

func (s *scene) play(v ViewerOptions) Reader {
	s.t.Helper()
	r, err := s.Play(context.Background(), &Request{ID: NewID(), Schema: "x", Key: testKey, Viewer: v})
	require.NoError(s.t, err)
	return r
}

func (s *scene) write(p Publication, frames ...*codec.Frame) {
	s.t.Helper()
	for _, f := range frames {
		require.NoError(s.t, p.WriteFrame(context.Background(), f))
	}
}

func (s *scene) feed(r Reader, f Format) *Cursor {
	s.t.Helper()
	c, err := FeedOf(context.Background(), r, f)
	require.NoError(s.t, err)
	return c
}

// read returns the next n frames of r as text, "!" for a discontinuity.
func read(t testing.TB, r Reader, n int) string {
	t.Helper()
	var b strings.Builder
	for range n {
		f, err := r.ReadFrame(context.Background())
		require.NoError(t, err)
		line := strings.TrimRight(textLine(f), ".\n")
		if f.Has(codec.FlagDiscont) {
			line += "!"
		}
		b.WriteString(line + " ")
	}
	return strings.TrimSpace(b.String())
}

// readErr returns the error that ends r, and the number of frames before.
func readErr(r Reader) (n int, err error) {
	for {
		if _, err = r.ReadFrame(context.Background()); err != nil {
			return n, err
		}
		n++
	}
}

// joined returns the packets' bytes without line ends.
func joined(packets []Packet) string {
	var b bytes.Buffer
	for _, p := range packets {
		b.Write(p.Wire)
	}
	return strings.TrimSpace(strings.NewReplacer("\n", " ", ".", "").Replace(b.String()))
}

// until waits for a condition, in real or virtual time.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 10000 {
		if ok() {
			return
		}
		time.Sleep(ms)
	}
	require.FailNow(t, "never came: "+what)
}
