package rtp

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// latmCarriage is AAC in LATM by RFC 6416, section 6, which is received only: it
// is sent as mpeg4-generic. What holds more than one stream is opaque.
func latmCarriage() carriage {
	return carriage{
		codec:    codec.AAC,
		names:    []string{"MP4A-LATM"},
		describe: func(*codec.Track, *Payload) bool { return false },
		track:    latmTrack,
		unpacker: newLATMUnpacker,
	}
}

// latmTrack takes the configuration from the fmtp if it has one; otherwise it
// comes in the stream. What is no single stream of AAC is opaque.
func latmTrack(p *Payload, t *codec.Track) (*codec.Track, error) {
	m, _, ok := latmConfig(p)
	switch {
	case !ok:
		return opaqueCarriage().track(p, t)
	case m.Subframes == 0:
		return t, nil
	}
	return latmTrackOf(m, t)
}

// latmTrackOf returns t with the configuration in m.
func latmTrackOf(m codec.StreamMuxConfig, t *codec.Track) (*codec.Track, error) {
	aac, err := codec.TrackFromConfig(t.ID, codec.AAC, m.Config)
	if err != nil {
		return nil, invalid("%w", err)
	}
	aac.ClockRate = t.ClockRate
	return aac, nil
}

// latmConfig returns the StreamMuxConfig of the fmtp, and whether the stream has
// it, or another. That is the default of cpresent, but who sends a configuration
// and no cpresent means the other. Without a configuration anywhere, as some
// cameras send it, elements are taken to hold a frame of AAC-LC. It is false for
// a configuration that makes no sense.
func latmConfig(p *Payload) (m codec.StreamMuxConfig, inBand, ok bool) {
	config, cpresent := strings.Trim(p.Param("config"), `"`), p.Param("cpresent")
	b, err := hex.DecodeString(config)
	switch {
	case err == nil && m.Unmarshal(b) == nil:
		return m, cpresent == "1", true
	case cpresent == "1", config == "" && cpresent != "0":
		return m, true, true
	case config == "":
		if t, err := guessAAC(p, 0); err == nil {
			return codec.StreamMuxConfig{Config: t.Config, Subframes: 1}, false, true
		}
	}
	return m, false, false
}

// A latmUnpacker puts AudioMuxElements together, of which a packet has one or a
// part (RFC 6416, 6.1), and takes the frames out.
type latmUnpacker struct {
	track  *codec.Track
	inBand bool // elements tell about their StreamMuxConfig
	config codec.StreamMuxConfig
	period time.Duration // of a frame

	fragments []byte // of an element without its end; nil if there are none
	timestamp uint32 // of fragments
	split     bool   // the sender does split elements
	resync    bool   // the rest of an element may come
}

func newLATMUnpacker(p *Payload, t *codec.Track) (Depacketizer, error) {
	m, inBand, _ := latmConfig(p)
	u := &latmUnpacker{config: m, inBand: inBand}
	u.set(t)
	return u, nil
}

func (u *latmUnpacker) set(t *codec.Track) {
	u.track, u.period = t, codec.FrameDuration(&codec.Frame{Track: t})
}

// Append takes in a packet. The marker ends an element; a new timestamp does so
// as well, for senders that set none. Nothing tells where one begins: after a
// loss the rest of one is skipped if the sender is known to split them.
func (u *latmUnpacker) Append(dst []Unit, p *Packet, lost bool) ([]Unit, error) {
	if lost {
		u.fragments, u.resync = nil, u.split
	}
	switch {
	case len(p.Payload) == 0:
		return dst, nil
	case u.resync:
		u.resync = !p.Marker
		return dst, nil
	}
	var waited error
	data := u.fragments
	if data != nil && p.Timestamp != u.timestamp {
		dst, waited = u.element(dst, u.timestamp, data)
		data = nil
	}
	u.fragments, u.timestamp = nil, p.Timestamp
	if data == nil {
		data = p.Payload
	} else {
		data, u.split = append(data, p.Payload...), true
	}
	var err error
	switch {
	case len(data) > maxUnit:
		err = invalid("AudioMuxElement of more than %d bytes", maxUnit)
	case p.Marker:
		dst, err = u.element(dst, p.Timestamp, data)
	default:
		u.fragments = data
	}
	return dst, cmp.Or(err, waited)
}

// element appends the frames of an AudioMuxElement.
func (u *latmUnpacker) element(dst []Unit, timestamp uint32, b []byte) ([]Unit, error) {
	frames, err := u.config.Split(b, u.inBand)
	if err != nil {
		return dst, invalid("%w", err)
	}
	if !bytes.Equal(u.config.Config, u.track.Config) {
		t, err := latmTrackOf(u.config, u.track)
		if err != nil {
			return dst, err
		}
		u.set(t)
	}
	start := len(dst)
	for i, frame := range frames {
		dst = append(dst, Unit{
			Track: u.track, Timestamp: timestamp, Data: frame, Flags: codec.FlagKey,
			Skip: skip(u.track, time.Duration(i)*u.period),
		})
	}
	return separate(dst, start), nil
}
