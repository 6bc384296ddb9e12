package ts

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

// audioFrames is what a demuxStream knows of its audio: frames, of which a PES
// packet may have several, and parts.
type audioFrames struct {
	rest    []byte        // the beginning of a frame, of the PES packet before
	synced  bool          // the next frame begins where it should
	base    time.Duration // a time from a PES header; valid if based
	samples int64         // since base
	rate    int           // of them
	based   bool
	header  [3]byte // of the last ADTS frame: what does not change
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
func (d *Demuxer) finishAudio(s *demuxStream) {
	switch s.codec {
	case codec.PCMA, codec.PCMU:
		if s.hasTime {
			s.audio.anchor(s.pts)
		}
		if !s.damaged {
			d.emitAudio(s, s.track, bytes.Clone(s.unit))
		}
	case codec.Opus:
		d.finishOpus(s)
	default:
		d.finishFramed(s)
	}
	if s.damaged {
		s.audio.forget()
	}
}

// finishOpus makes frames of Opus packets behind control headers.
func (d *Demuxer) finishOpus(s *demuxStream) {
	if s.hasTime {
		s.audio.anchor(s.pts)
	}
	for b := bytes.Clone(s.unit); len(b) > 0; {
		opus, rest, ok := cutOpus(b)
		if !ok {
			return
		}
		if len(opus) > 0 {
			d.emitAudio(s, s.track, opus)
		}
		b = rest
	}
}

// finishFramed makes frames of audio whose frames tell where they end. A PES
// header has the time of the first frame that begins behind it.
func (d *Demuxer) finishFramed(s *demuxStream) {
	a := &s.audio
	from := len(a.rest)
	b := append(append(make([]byte, 0, from+len(s.unit)), a.rest...), s.unit...)
	a.rest = a.rest[:0]
	at, skipped := 0, 0
	for at < len(b) && skipped < maxSkipped {
		n, err := s.frameSize(b[at:])
		if err == nil && !a.synced && at+n < len(b) { // believed if another follows
			if _, err = s.frameSize(b[at+n:]); errors.Is(err, io.ErrUnexpectedEOF) {
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
		d.takeFrame(s, b[at:at+n:at+n])
		at += n
	}
}

// frameSize returns the length of the frame that b begins with. It may exceed
// len(b); the error wraps io.ErrUnexpectedEOF while b is too short to tell.
func (s *demuxStream) frameSize(b []byte) (int, error) {
	switch {
	case s.latm:
		return loasSize(b)
	case s.codec == codec.AAC:
		return codec.ADTSFrameSize(b)
	case s.codec == codec.AC3:
		return ac3Size(b)
	}
	n, err := codec.MPEGAudioFrameSize(b)
	if err == nil && n == 0 { // the free format
		n = len(b)
	}
	return n, err
}

// loasSize returns the length of a frame of AudioSyncStream (ISO/IEC 14496-3,
// 1.7.2): 11 bits syncword, 13 bits length of what follows.
func loasSize(b []byte) (int, error) {
	if len(b) < 3 {
		return 0, io.ErrUnexpectedEOF
	}
	if b[0] != 0x56 || b[1]&0xe0 != 0xe0 {
		return 0, invalid("no LOAS syncword")
	}
	return loasHeader + int(b[1]&0x1f)<<8 + int(b[2]), nil
}

const loasHeader = 3

// ac3Rates are the bit rates of AC-3 in kbit/s by frmsizecod, without its lowest
// bit (ETSI TS 102 366, 4.4.1.4).
var ac3Rates = [19]int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640}

// ac3Size returns the length of an AC-3 frame: 1536 samples, rounded down to 16
// bits at 44.1 kHz, where every other frame has 16 bits more.
func ac3Size(b []byte) (int, error) {
	if len(b) < 5 {
		return 0, io.ErrUnexpectedEOF
	}
	fscod, code := b[4]>>6, int(b[4]&0x3f)
	if b[0] != 0x0b || b[1] != 0x77 || fscod == 3 || code/2 >= len(ac3Rates) {
		return 0, invalid("no AC-3 frame")
	}
	rate := ac3Rates[code/2]
	switch fscod {
	case 0:
		return rate * 4, nil
	case 1:
		return 2 * (rate*320/147 + code&1), nil
	}
	return rate * 6, nil
}

// takeFrame takes in a frame with its header.
func (d *Demuxer) takeFrame(s *demuxStream, b []byte) {
	switch {
	case s.latm:
		raws, err := s.audio.latm.Split(b[loasHeader:], true)
		if err != nil || !s.setAAC(s.audio.latm.Config) {
			return
		}
		for _, raw := range raws {
			d.emitAudio(s, s.track, raw)
		}
	case s.codec == codec.AAC:
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
			d.emitAudio(s, s.track, b[header:])
		}
	default:
		t := s.track
		if t == nil {
			t = &codec.Track{ID: s.id, Codec: s.codec}
		}
		t, data, _, err := codec.ParseFrame(t, b)
		if err != nil {
			return
		}
		s.track = t
		d.emitAudio(s, t, data)
	}
}

// setAAC makes the track that of an AudioSpecificConfig; false if it is none.
func (s *demuxStream) setAAC(config []byte) bool {
	if s.track != nil && bytes.Equal(s.track.Config, config) {
		return true
	}
	t, err := codec.TrackFromConfig(s.id, codec.AAC, config)
	if err == nil {
		s.track = t
	}
	return err == nil
}

// emitAudio sends a frame on its way, at the time of the last PES header and the
// samples since.
func (d *Demuxer) emitAudio(s *demuxStream, t *codec.Track, data []byte) {
	a := &s.audio
	if !a.based || len(data) == 0 {
		return
	}
	if rate := max(t.SampleRate, 1); rate != a.rate {
		a.anchor(a.next())
		a.rate = rate
	}
	f := &codec.Frame{Track: t, DTS: a.next(), PTS: a.next(), Flags: codec.FlagKey, Data: data}
	a.samples += codec.Ticks(codec.FrameDuration(f), a.rate)
	d.emit(s, f)
}
