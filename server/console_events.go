package server

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

const (
	maxLooking  = 256              // who are sent events at the same time; more are answered 503
	eventEvery  = time.Second      //
	eventWithin = 10 * time.Second // longest time that a browser may take for one
)

// watch sends events about s, nil for a stream that is not there, until it ends or
// the browser has gone. It reads the stream's frames meanwhile, without being a
// viewer, to measure them.
func (c *Console) watch(w http.ResponseWriter, r *http.Request, s *source.Stream) {
	if c.looking.Add(1) > maxLooking {
		c.looking.Add(-1)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many look at streams", http.StatusServiceUnavailable)
		return
	}
	defer c.looking.Add(-1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx in between shall not collect events
	out := http.NewResponseController(w)
	defer func() { _ = out.SetWriteDeadline(time.Time{}) }()
	send := func(event string, v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_ = out.SetWriteDeadline(time.Now().Add(eventWithin)) // where it is not supported there is none
		if _, err = w.Write([]byte("event: " + event + "\ndata: " + string(b) + "\n\n")); err != nil {
			return err
		}
		return out.Flush()
	}
	if r.Method == http.MethodHead {
		return
	}
	if s == nil { // no error, of which browsers would make much
		_ = send("end", struct{}{})
		return
	}
	sub := s.Subscribe(&source.Request{Schema: consoleSchema, Protocol: "http", Passive: true})
	if sub == nil { // not live yet: there is nothing to measure, and the browser asks again
		_ = send("stream", c.info(s.Stats(), true))
		return
	}
	defer sub.Close()
	var m meter
	for tick := time.Now(); ; tick = later(tick.Add(eventEvery), time.Now()) {
		err := m.readUntil(r.Context(), sub, tick)
		if r.Context().Err() != nil {
			return
		}
		if err != nil {
			_ = send("end", struct{}{})
			return
		}
		info := c.info(s.Stats(), true)
		m.report(info.Tracks)
		if send("stream", info) != nil {
			return
		}
	}
}

// later returns the later one.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// A meter measures frames as they come.
type meter struct {
	tracks []trackMeter
}

// A trackMeter counts the frames of a track since the last report.
type trackMeter struct {
	id            int
	begun         bool
	frames, bytes int
	from, to      time.Duration // decoding times of the frame before them, and of the last
	first         bool          // from is of the first of them instead: there was none before
	keyed         bool          // there was a key frame
	key, interval time.Duration // when the latest was, and how long after the one before
}

// readUntil reads what there is, and what comes before t. It returns nil at t, or why the
// stream cannot be read on.
func (m *meter) readUntil(ctx context.Context, r source.Reader, t time.Time) error {
	timed, cancel := context.WithDeadline(ctx, t)
	defer cancel()
	for {
		f, err := r.ReadFrame(timed)
		if err != nil {
			if timed.Err() != nil {
				return nil
			}
			return err
		}
		m.add(f)
		if !time.Now().Before(t.Add(eventEvery)) { // so much comes that there is no end of it
			return nil
		}
	}
}

// add counts a frame.
func (m *meter) add(f *codec.Frame) {
	i := slices.IndexFunc(m.tracks, func(t trackMeter) bool { return t.id == f.Track.ID })
	if i < 0 {
		i = len(m.tracks)
		m.tracks = append(m.tracks, trackMeter{id: f.Track.ID})
	}
	t := &m.tracks[i]
	if !t.begun || f.Has(codec.FlagDiscont) || f.DTS < t.to {
		*t = trackMeter{id: t.id, begun: true, first: true, from: f.DTS}
	}
	t.to = f.DTS
	t.frames++
	t.bytes += len(f.Data)
	if f.Key() && f.Track.Kind() == codec.KindVideo {
		if t.keyed {
			t.interval = f.DTS - t.key
		}
		t.key, t.keyed = f.DTS, true
	}
}

// report adds what was measured to the tracks, and begins anew.
func (m *meter) report(tracks []TrackInfo) {
	for i := range m.tracks {
		t := &m.tracks[i]
		rates := &TrackRates{KeyInterval: rounded(t.interval.Seconds())}
		if seconds := t.span().Seconds(); seconds > 0 {
			rates.Bitrate = int(float64(t.bytes) * 8 / seconds)
			rates.FrameRate = rounded(float64(t.frames) / seconds)
		}
		if k := slices.IndexFunc(tracks, func(info TrackInfo) bool { return info.ID == t.id }); k >= 0 {
			tracks[k].Measured = rates
		}
		if t.frames > 0 {
			t.frames, t.bytes, t.from, t.first = 0, 0, t.to, false
		}
	}
}

// span returns how long the frames last that were counted.
func (t *trackMeter) span() time.Duration {
	d := t.to - t.from
	switch {
	case t.frames == 0:
		return 0
	case t.first && t.frames > 1: // the last one's length is taken for that of the others
		d += d / time.Duration(t.frames-1)
	}
	return d
}
