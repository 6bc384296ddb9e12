package rtsp

import (
	"context"
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

// play does what PLAY asks: a stream of some length goes to another time and
// changes its speed, a live one goes on with the newest. The answer is sent just
// before the first packet, for it tells which one that is.
func (w *viewer) play(r *wire.Request) error {
	if w.starting.Load() {
		return w.reply(r, &reply{status: wire.StatusMethodNotValidInThisState})
	}
	reader := w.session.cursor.Reader()
	at, length, speed := time.Duration(-1), time.Duration(0), ""
	if s, ok := source.As[source.Seeker](reader); ok {
		length = s.Duration()
	}
	if length > 0 {
		if from, ok := parseRange(r.Header.Get("Range")); ok && (from > 0 || w.played) {
			ctx, cancel := context.WithTimeout(w.serving.Context(), listen.WriteTimeout)
			defer cancel()
			w.delivery.Pause(true)
			var err error
			if at, err = w.delivery.Seek(ctx, from); err != nil {
				w.delivery.Pause(w.paused)
				return w.reply(r, &reply{status: wire.StatusInvalidRange})
			}
		}
		speed = setSpeed(reader, r.Header.Get("Scale"))
	}
	resumes := w.paused && at < 0 && length > 0
	plays := w.played && !w.paused && at < 0
	w.played, w.paused = true, false
	if p, ok := source.As[source.Pauser](reader); ok {
		if err := p.Pause(false); err != nil {
			return err
		}
	}
	if plays || resumes { // it goes on where it is
		if err := w.reply(r, playReply(speed, "", "")); err != nil {
			return err
		}
		w.delivery.Pause(false)
		return nil
	}
	w.starting.Store(true)
	w.delivery.Resume(func(header []byte) []byte {
		return w.begin(r, readStart(header), at, length, speed)
	})
	return nil
}

// begin answers PLAY and returns what comes before the first packet; at is the
// time of the stream if it is not that of the packet, below 0.
func (w *viewer) begin(r *wire.Request, st start, at, length time.Duration, speed string) []byte {
	w.starting.Store(false)
	if w.session.carrier == overMulticast {
		st = w.session.mux.now() // the packets are those of all, and go on
	}
	if at < 0 {
		at = st.at
	}
	npt := "npt=0.00-"
	if length > 0 {
		npt = "npt=" + formatNPT(at) + "-" + formatNPT(length)
	}
	b := playReply(speed, npt, packetInfo(w.session.setups, st)).append(nil, r, w.session.id)
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

// playReply returns the answer to PLAY. What is "" is left out.
func playReply(scale, npt, info string) *reply {
	a := &reply{status: 200}
	for _, f := range []wire.Field{{Name: "Scale", Value: scale}, {Name: "Range", Value: npt}, {Name: "RTP-Info", Value: info}} {
		if f.Value != "" {
			a.header = append(a.header, f)
		}
	}
	return a
}

// parseRange returns the time at which a Range (RFC 2326, 12.29) begins. Only
// times since the beginning are understood.
func parseRange(value string) (from time.Duration, ok bool) {
	value, _, _ = strings.Cut(value, ";")
	unit, value, _ := strings.Cut(value, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "npt") {
		return 0, false
	}
	begin, _, _ := strings.Cut(value, "-")
	return parseNPT(begin)
}

// setSpeed does what a Scale (RFC 2326, 12.34) asks and returns the Scale that
// is answered, "" if there is none.
func setSpeed(reader source.Reader, scale string) string {
	speed, err := strconv.ParseFloat(strings.TrimSpace(scale), 64)
	if err != nil || !(speed > 0) {
		return ""
	}
	s, ok := source.As[source.Speeder](reader)
	if !ok || s.SetSpeed(speed) != nil {
		return "1"
	}
	return strconv.FormatFloat(speed, 'g', -1, 64)
}
