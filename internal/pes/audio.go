package pes

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// maxSkipped is how many bytes of a unit are looked at for the next frame where it
// is not where it should be. No frame is as long.
const maxSkipped = 16 << 10

// audioFrames is what a Stream knows of its audio: frames, of which a PES
// packet may have several, and parts.
type audioFrames struct {
	rest    []byte        // the beginning of a frame, of the PES packet before
	synced  bool          // the next frame begins where it should
	base    time.Duration // a time from a PES header; valid if based
	samples int64         // since base
	rate    int           // of them
	based   bool
	track   *codec.Track // of the last frame
	length  int64        // of that, in samples
	header  [3]byte      // of the last ADTS frame: what does not change
	latm    codec.StreamMuxConfig
}

// forget gives up what was begun.
func (a *audioFrames) forget() {
	a.rest, a.synced, a.based = a.rest[:0], false, false
}

// anchor sets the time of the next frame.
func (a *audioFrames) anchor(t time.Duration) { a.base, a.samples, a.based = t, 0, true }

// next returns the time of the next frame.
func (a *audioFrames) next() time.Duration {
	return a.base + codec.FromTicks(a.samples, max(a.rate, 1))
}

// finishAudio makes frames of a unit of audio.
func (s *Stream) finishAudio() {
	switch s.Codec {
	case codec.PCMA, codec.PCMU:
		if s.hasTime {
			s.audio.anchor(s.pts)
		}
		if !s.damaged {
			s.emitAudio(s.track, bytes.Clone(s.unit))
		}
	case codec.Opus:
		s.finishOpus()
	default:
		s.finishFramed()
	}
	if s.damaged {
		s.audio.forget()
	}
}

// finishOpus makes frames of Opus packets behind control headers, or of one that
// has none, as ZLMediaKit writes it.
func (s *Stream) finishOpus() {
	if s.hasTime {
		s.audio.anchor(s.pts)
	}
	b := bytes.Clone(s.unit)
	if s.streamType == TypeOpus && !hasOpusControl(b) {
		if !s.damaged {
			s.emitAudio(s.track, b)
		}
		return
	}
	for len(b) > 0 {
		opus, rest, ok := cutOpus(b)
		if !ok {
			return
		}
		if len(opus) > 0 {
			s.emitAudio(s.track, opus)
		}
		b = rest
	}
}

// finishFramed makes frames of audio whose frames tell where they end. A PES
// header has the time of the first frame that begins behind it.
func (s *Stream) finishFramed() {
	a := &s.audio
	from := len(a.rest)
	b := append(append(make([]byte, 0, from+len(s.unit)), a.rest...), s.unit...)
	a.rest = a.rest[:0]
	at, skipped := 0, 0
	for at < len(b) && skipped < maxSkipped {
		n, err := s.FrameSize(b[at:])
		if err == nil && !a.synced && at+n < len(b) { // believed if another follows
			if _, err = s.FrameSize(b[at+n:]); errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
		}
		open := errors.Is(err, io.ErrUnexpectedEOF) || err == nil && at+n > len(b)
		if err != nil && !open {
			a.synced = false
			at++
			skipped++
			continue
		}
		if at >= from && s.hasTime {
			a.anchor(s.pts)
			s.hasTime = false
		}
		if open {
			a.rest = append(a.rest, b[at:]...)
			return
		}
		a.synced = true
		s.takeFrame(b[at : at+n : at+n])
		at += n
	}
}

// takeFrame takes in a frame with its header.
func (s *Stream) takeFrame(b []byte) {
	switch {
	case s.LATM:
		raws, err := s.audio.latm.Split(b[loasHeader:], true)
		if err != nil || !s.setAAC(s.audio.latm.Config) {
			return
		}
		for _, raw := range raws {
			s.emitAudio(s.track, raw)
		}
	case s.Codec == codec.AAC:
		if h := [3]byte{b[1], b[2], b[3] & 0xc0}; s.track == nil || h != s.audio.header {
			config, _, err := codec.SplitADTS(b)
			if err != nil || !s.setAAC(config) {
				return
			}
			s.audio.header = h
		}
		header := 7
		if b[1]&1 == 0 {
			header = 9 // with checksum
		}
		if len(b) > header {
			s.emitAudio(s.track, b[header:])
		}
	default:
		t := s.track
		if t == nil {
			t = &codec.Track{ID: s.ID, Codec: s.Codec}
		}
		t, data, _, err := codec.ParseFrame(t, b)
		if err != nil {
			return
		}
		s.track = t
		s.emitAudio(t, data)
	}
}

// setAAC makes the track that of an AudioSpecificConfig; false if it is none.
func (s *Stream) setAAC(config []byte) bool {
	if s.track != nil && bytes.Equal(s.track.Config, config) {
		return true
	}
	t, err := codec.TrackFromConfig(s.ID, codec.AAC, config)
	if err == nil {
		s.track = t
	}
	return err == nil
}

// emitAudio sends a frame on its way, at the time of the last PES header and the
// samples since.
func (s *Stream) emitAudio(t *codec.Track, data []byte) {
	a := &s.audio
	if !a.based || len(data) == 0 {
		return
	}
	if rate := max(t.SampleRate, 1); rate != a.rate {
		a.anchor(a.next())
		a.rate = rate
	}
	f := &codec.Frame{Track: t, DTS: a.next(), PTS: a.next(), Flags: codec.FlagKey, Data: data}
	if t.Codec != codec.AAC || t != a.track { // else it is as long as the one before
		a.track, a.length = t, codec.Ticks(codec.FrameDuration(f), a.rate)
	}
	a.samples += a.length
	s.a.emit(s, f)
}
