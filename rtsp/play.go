package rtsp

import (
	"cmp"
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// wantPlay takes in the first PLAY (RFC 2326, 10.5). The viewer that the
// connection becomes answers it.
func (c *conn) wantPlay(r *wire.Request) error {
	if c.session.cursor == nil || len(c.session.setups) == 0 {
		return c.notNow(r)
	}
	c.play = r
	return nil
}

// play does what PLAY asks: a film goes to another time and changes its speed, a
// live stream goes on with the newest. The answer is sent just before the first
// packet, for it tells which one that is.
func (w *viewer) play(r *wire.Request) error {
	if w.starting.Load() {
		return w.reply(r, &reply{status: wire.StatusMethodNotValidInThisState})
	}
	reader, length := w.session.cursor.Reader(), w.session.length
	var sought bool
	var a playAnswer
	if length > 0 {
		old, until := w.rate, w.until
		a.rate, a.changed = w.setRate(reader, r)
		if from, to, ok := parseRange(r.Header.Get("Range")); ok {
			ends := to > from && to < length
			w.setUntil(0) // until it is where the range begins
			if from > 0 || ends || w.played {
				if err := w.seek(from); err != nil {
					w.setUntil(until)
					w.apply(reader, old)
					return w.reply(r, &reply{status: wire.StatusInvalidRange})
				}
				sought = true
			}
			if ends {
				w.setUntil(to)
			}
		}
	}
	a.end = cmp.Or(w.until, length)
	goesOn := w.played && !sought && (!w.paused || length > 0)
	w.played, w.paused = true, false
	if p, ok := source.As[source.Pauser](reader); ok {
		if err := p.Pause(false); err != nil {
			return err
		}
	}
	if goesOn { // where it is
		npt, info := "", ""
		if a.changed {
			st := w.session.mux.now()
			npt, info = rangeFrom(st.at, a.end), packetInfo(w.session.setups, st)
		}
		if err := w.reply(r, a.reply(npt, info)); err != nil {
			return err
		}
		w.delivery.Pause(false)
		return nil
	}
	w.starting.Store(true)
	w.delivery.Resume(func(header []byte) []byte {
		return w.begin(r, readStart(header), a)
	})
	return nil
}

// seek goes to another time of a film.
func (w *viewer) seek(to time.Duration) error {
	if to > w.session.length {
		return io.EOF
	}
	ctx, cancel := context.WithTimeout(w.serving.Context(), listen.WriteTimeout)
	defer cancel()
	_, err := w.delivery.Seek(ctx, to)
	return err
}

// setUntil has a film end at a time; at its own end for 0. Packets that were made are
// sent nevertheless.
func (w *viewer) setUntil(at time.Duration) {
	w.until = at
	w.session.mux.setEnd(at)
}

// begin answers PLAY and returns what comes before the first packet.
func (w *viewer) begin(r *wire.Request, st start, a playAnswer) []byte {
	w.starting.Store(false)
	if w.session.carrier == overMulticast {
		st = w.session.mux.now() // the packets are those of all, and go on
	}
	b := a.reply(rangeFrom(st.at, a.end), packetInfo(w.session.setups, st)).append(nil, r, w.session.id)
	if w.direct {
		_ = w.say(b) // who cannot be told is found to be gone
		b = nil
	}
	for _, x := range w.session.setups {
		if x.media < len(st.tracks) {
			b = append(b, st.tracks[x.media].report...)
		}
	}
	return b
}

// A rate is how fast a film is played. Zeros are 1.
type rate struct {
	scale float64 // of the film's time, RFC 2326, 12.34: the packets go by the wall clock
	speed float64 // of the delivery, RFC 2326, 12.35: the packets keep their times
}

// A playAnswer is what PLAY is answered about rates.
type playAnswer struct {
	rate    rate          // what is not 0 was asked for, and is so now
	changed bool          // the packets' times go by another scale from now on
	end     time.Duration // up to which the film is played; 0: a live stream
}

// setRate does what Scale and Speed ask, as far as the film can be played so fast:
// else it goes on as it does.
func (w *viewer) setRate(reader source.Reader, r *wire.Request) (asked rate, changed bool) {
	scale, hasScale := parseRate(r.Header.Get("Scale"))
	speed, hasSpeed := parseRate(r.Header.Get("Speed"))
	old, want := w.rate, w.rate
	if hasScale {
		want.scale = scale
	}
	if hasSpeed {
		want.speed = speed
	}
	if want != old {
		w.apply(reader, want)
	}
	if hasScale {
		asked.scale = cmp.Or(w.rate.scale, 1)
	}
	if hasSpeed {
		asked.speed = cmp.Or(w.rate.speed, 1)
	}
	return asked, cmp.Or(w.rate.scale, 1) != cmp.Or(old.scale, 1)
}

// apply plays at another rate, if that can be.
func (w *viewer) apply(reader source.Reader, to rate) {
	if to == w.rate {
		return
	}
	s, ok := source.As[source.Speeder](reader)
	if !ok || s.SetSpeed(cmp.Or(to.scale, 1)*cmp.Or(to.speed, 1)) != nil {
		return
	}
	if to.scale != w.rate.scale {
		w.session.mux.setScale(cmp.Or(to.scale, 1))
	}
	w.rate = to
}

// reply returns the answer to PLAY. What is "" is left out.
func (a *playAnswer) reply(npt, info string) *reply {
	res := &reply{status: 200}
	add := func(name, value string) {
		if value != "" {
			res.header = append(res.header, wire.Field{Name: name, Value: value})
		}
	}
	add("Scale", formatRate(a.rate.scale))
	add("Speed", formatRate(a.rate.speed))
	add("Range", npt)
	add("RTP-Info", info)
	return res
}

// rangeFrom returns the Range of a film that is played from at to end, or of a live
// stream, for which end is 0.
func rangeFrom(at, end time.Duration) string {
	if end > 0 {
		return "npt=" + formatNPT(at) + "-" + formatNPT(max(at, end))
	}
	return "npt=0.00-"
}

// formatRate returns the value of a Scale or Speed, "" for 0.
func formatRate(x float64) string {
	if x == 0 {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// parseRate decodes a Scale or Speed. Backwards nothing is played.
func parseRate(value string) (x float64, ok bool) {
	x, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return x, err == nil && x > 0
}

// parseRange returns the times at which a Range (RFC 2326, 12.29) begins and ends;
// to is 0 if it tells no end. Only times since the beginning are understood.
func parseRange(value string) (from, to time.Duration, ok bool) {
	value, _, _ = strings.Cut(value, ";")
	unit, value, _ := strings.Cut(value, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "npt") {
		return 0, 0, false
	}
	begin, end, _ := strings.Cut(value, "-")
	if from, ok = parseNPT(begin); ok {
		to, _ = parseNPT(end)
	}
	return from, to, ok
}
