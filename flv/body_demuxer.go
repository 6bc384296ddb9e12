package flv

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
)

// Bounds for a publisher's tracks and mistakes.
const (
	maxStreams   = 16
	maxBadBodies = 100
)

// videoClock is the clock of video on the wires that have one, in Hz.
const videoClock = 90000

// A BodyDemuxer turns bodies into frames. It accepts FLV's own codec ids, the
// legacy ones and Enhanced RTMP v1 and v2 in any mixture. The zero value is
// ready for use.
//
// Video tracks have the IDs 0, 2, 4 …, audio tracks 1, 3, 5 …; only multitrack
// bodies of Enhanced RTMP v2 make more than 0 and 1. A codec that it does not
// know makes an opaque track, whose frames are whole bodies and whose
// Track.Config, if any, is the body that was its sequence header.
type BodyDemuxer struct {
	streams []*stream // by track ID
	meta    amf.Object
	bad     int // bodies in a row that were refused
}

// A stream is what is known of one track.
type stream struct {
	id         int
	t          *codec.Track // nil until it can be described
	lengthSize int          // of the NAL units' lengths
	vpcC       []byte       // of VP8 and VP9: as announced; frames tell the size
	sync       [2]byte      // of MP3: the part of the frame header that makes the track
}

// A unit is a frame's data before it is checked.
type unit struct {
	dts, cts time.Duration
	key      bool // as the tag says; what the data says has precedence
	data     []byte
}

// Append takes in a body with its time, which the caller has unwrapped, and
// appends the frames it holds, usually one, to dst. They may keep slices of
// body: it is the demuxer's from now on. Script data other than onMetaData,
// commands and empty bodies hold nothing. A body that is refused makes an error
// that wraps [ErrInvalid]; the stream can go on with the next, see
// [BodyDemuxer.Hopeless].
func (d *BodyDemuxer) Append(dst []*codec.Frame, typ TagType, ts time.Duration, body []byte) ([]*codec.Frame, error) {
	if len(body) == 0 {
		return dst, nil
	}
	n := len(dst)
	var err error
	switch typ {
	case TagVideo:
		dst, err = d.video(dst, ts, body)
	case TagAudio:
		dst, err = d.audio(dst, ts, body)
	case TagScript:
		d.script(body)
	}
	if err != nil {
		d.bad++
	} else if len(dst) > n {
		d.bad = 0
	}
	return dst, err
}

// Hopeless reports whether 100 bodies in a row were refused: time to give up.
func (d *BodyDemuxer) Hopeless() bool { return d.bad >= maxBadBodies }

// Metadata returns the properties of the last onMetaData, nil if there was none.
func (d *BodyDemuxer) Metadata() amf.Object { return d.meta }

// Tracks returns the tracks that can be described so far, by ID. complete says
// that no other is expected: onMetaData announced exactly these kinds, or there
// are both video and audio.
func (d *BodyDemuxer) Tracks() (tracks []*codec.Track, complete bool) {
	var video, audio bool
	for _, s := range d.streams {
		if s.t != nil && s.t.Ready() {
			tracks = append(tracks, s.t)
			video = video || s.t.Kind() == codec.KindVideo
			audio = audio || s.t.Kind() == codec.KindAudio
		}
	}
	if video && audio {
		return tracks, true
	}
	wantVideo := d.announces("videocodecid", "width", "height", "framerate", "videodatarate", "hasVideo")
	wantAudio := d.announces("audiocodecid", "audiosamplerate", "audiochannels", "audiodatarate", "hasAudio")
	return tracks, len(tracks) > 0 && video == wantVideo && audio == wantAudio
}

// announces reports whether onMetaData has one of the properties, and not as 0
// or false. A codec id that is a name, as some encoders write it, counts.
func (d *BodyDemuxer) announces(names ...string) bool {
	for _, name := range names {
		v := d.meta.Get(name)
		if n, ok := amf.Number(v); ok && n != 0 {
			return true
		}
		if s, ok := amf.String(v); ok && s != "" {
			return true
		}
	}
	return false
}

// script takes in script data. RTMP's publishers put @setDataFrame in front.
// What cannot be decoded is left out: it is of no use to anybody but people.
func (d *BodyDemuxer) script(body []byte) {
	vs, _ := amf.Unmarshal(body)
	if len(vs) > 0 && vs[0] == "@setDataFrame" {
		vs = vs[1:]
	}
	if len(vs) < 2 || vs[0] != "onMetaData" {
		return
	}
	if o, ok := amf.ObjectOf(vs[1]); ok {
		d.meta = o
	}
}

// stream returns what is known of a track.
func (d *BodyDemuxer) stream(kind codec.Kind, track uint8) (*stream, error) {
	id := int(track) * 2
	if kind == codec.KindAudio {
		id++
	}
	i, ok := slices.BinarySearchFunc(d.streams, id, func(s *stream, id int) int { return cmp.Compare(s.id, id) })
	if ok {
		return d.streams[i], nil
	}
	if len(d.streams) >= maxStreams {
		return nil, invalid("more than %d tracks", maxStreams)
	}
	s := &stream{id: id}
	d.streams = slices.Insert(d.streams, i, s)
	return s, nil
}

// video takes in a video body (FLV E.4.3). Those of H264 and of the legacy ids
// have, after the first byte, a packet type and a composition time offset.
func (d *BodyDemuxer) video(dst []*codec.Frame, ts time.Duration, body []byte) ([]*codec.Frame, error) {
	if body[0]&0x80 != 0 {
		return d.enhanced(dst, codec.KindVideo, ts, body)
	}
	frame, id := body[0]>>4, body[0]&15
	if frame == frameInfo {
		return dst, nil
	}
	s, err := d.stream(codec.KindVideo, 0)
	if err != nil {
		return dst, err
	}
	c := codecOfID(codec.KindVideo, id)
	if c == codec.Opaque {
		return d.opaque(dst, s, strconv.Itoa(int(id)), false, frame == frameKey, ts, body)
	}
	if len(body) < 5 {
		return dst, invalid("%v body of %d bytes", c, len(body))
	}
	switch data := body[5:]; {
	case body[1] == packetStart:
		return dst, d.start(s, c, data)
	case body[1] == packetFrames && len(data) > 0:
		return d.frame(dst, s, c, unit{ts, offset(body[2:]), frame == frameKey, data})
	}
	return dst, nil // the end of a sequence
}

// audio takes in an audio body (FLV E.4.2).
func (d *BodyDemuxer) audio(dst []*codec.Frame, ts time.Duration, body []byte) ([]*codec.Frame, error) {
	id, channels := body[0]>>4, int(body[0]&1)+1
	if id == idExAudio {
		return d.enhanced(dst, codec.KindAudio, ts, body)
	}
	s, err := d.stream(codec.KindAudio, 0)
	if err != nil {
		return dst, err
	}
	c := codecOfID(codec.KindAudio, id)
	data := body[1:]
	switch c {
	case codec.Opaque:
		return d.opaque(dst, s, strconv.Itoa(int(id)), false, false, ts, body)
	case codec.AAC:
		if len(body) < 2 {
			return dst, invalid("AAC body of 1 byte")
		}
		if data = body[2:]; body[1] == packetStart {
			return dst, d.start(s, c, data)
		}
	case codec.PCMA, codec.PCMU:
		d.set(s, codec.NewG711Track(s.id, c, d.g711Rate(id), channels))
	case codec.Opus:
		if s.t == nil || s.t.Codec != c || s.t.Channels != channels {
			d.set(s, codec.NewOpusTrack(s.id, channels))
		}
	}
	if len(data) == 0 {
		return dst, nil
	}
	return d.frame(dst, s, c, unit{dts: ts, data: data})
}

// g711Rate returns the sample rate of G711. The tag cannot tell any that is in
// use: it is 8000 Hz unless onMetaData says otherwise of this codec.
func (d *BodyDemuxer) g711Rate(id uint8) int {
	if n, _ := amf.Number(d.meta.Get("audiocodecid")); n != float64(id) {
		return 8000
	}
	switch n, _ := amf.Number(d.meta.Get("audiosamplerate")); n {
	case 16000, 24000, 32000, 48000:
		return int(n)
	}
	return 8000
}

// start takes in a sequence header. An empty one, which some encoders send
// before they know better, is skipped.
func (d *BodyDemuxer) start(s *stream, c codec.Codec, config []byte) error {
	if len(config) == 0 {
		return nil
	}
	if c == codec.VP8 || c == codec.VP9 {
		s.vpcC = config
		return nil
	}
	if c == codec.H266 {
		d.set(s, &codec.Track{ID: s.id, Codec: c, ClockRate: videoClock, Config: config})
		return nil
	}
	t, err := codec.TrackFromConfig(s.id, c, config)
	if err != nil {
		return fmt.Errorf("%w: %v sequence header: %w", ErrInvalid, c, err)
	}
	s.lengthSize = codec.NALULengthSize(c, config)
	d.set(s, t)
	return nil
}

// set makes t, which nobody has seen yet, the description of s, unless it says
// nothing new.
func (d *BodyDemuxer) set(s *stream, t *codec.Track) {
	if fps, _ := amf.Number(d.meta.Get("framerate")); t.FrameRate == 0 && t.Kind() == codec.KindVideo && fps > 0 && fps <= 1000 {
		t.FrameRate = fps
	}
	if s.t == nil || !s.t.SameConfig(t) || s.t.Width != t.Width || s.t.Height != t.Height {
		s.t = t
	}
}

// frame takes in a frame of the codec c.
func (d *BodyDemuxer) frame(dst []*codec.Frame, s *stream, c codec.Codec, u unit) ([]*codec.Frame, error) {
	if s.t != nil && s.t.Codec != c && (s.t.Codec != codec.MP2 || c != codec.MP3) {
		s.t = nil
	}
	var err error
	switch c {
	case codec.H264, codec.H265:
		err = d.nalus(s, c, &u)
	case codec.VP8, codec.VP9:
		err = d.vpx(s, c, &u)
	case codec.AAC:
		if isADTS(u.data) {
			return d.adts(dst, s, u)
		}
	case codec.MP3:
		err = d.mp3(s, &u)
	case codec.AV1, codec.AC3:
		err = d.described(s, c, &u)
	case codec.Opus:
		if s.t == nil {
			d.set(s, codec.NewOpusTrack(s.id, 2))
		}
	}
	if err != nil {
		return dst, fmt.Errorf("%w: %v frame: %w", ErrInvalid, c, err)
	}
	if len(u.data) == 0 {
		return dst, nil
	}
	if s.t == nil || !s.t.Ready() {
		return dst, invalid("%v frame before its sequence header, or that lacks something", c)
	}
	f := &codec.Frame{Track: s.t, DTS: u.dts, PTS: u.dts + u.cts, Data: u.data}
	if u.key || s.t.Kind() == codec.KindAudio {
		f.Flags = codec.FlagKey
	}
	return append(dst, f), nil
}

// nalus brings H.264 and H.265 into the canonical form. Parameter sets within
// frames count; a stream without sequence header lives by them.
func (d *BodyDemuxer) nalus(s *stream, c codec.Codec, u *unit) error {
	t, size := s.t, s.lengthSize
	if t == nil {
		t, size = &codec.Track{ID: s.id, Codec: c}, 4
	}
	t2, data, key, err := codec.ParseSample(t, u.data, size)
	if err != nil {
		return err
	}
	u.data, u.key = data, key
	if t2 == s.t {
		return nil
	}
	if !t2.Ready() {
		s.t = nil
		return nil
	}
	if s.t == nil {
		s.lengthSize = 4
	}
	d.set(s, t2)
	return nil
}

// described takes in a frame of a codec whose frames carry their parameters.
func (d *BodyDemuxer) described(s *stream, c codec.Codec, u *unit) error {
	t := s.t
	if t == nil {
		t = &codec.Track{ID: s.id, Codec: c, ClockRate: videoClock}
	}
	t2, data, key, err := codec.ParseFrame(t, u.data)
	if err != nil {
		return err
	}
	u.data, u.key = data, key
	if t2 != t {
		d.set(s, t2)
	}
	return nil
}

// vpx describes VP8 and VP9 by their key frames, which alone know the size; the
// configuration stays the announced one.
func (d *BodyDemuxer) vpx(s *stream, c codec.Codec, u *unit) error {
	if u.key = codec.IsKey(&codec.Track{Codec: c}, u.data); !u.key {
		return nil
	}
	var t *codec.Track
	var err error
	if c == codec.VP8 {
		t, err = codec.NewVP8Track(s.id, u.data)
	} else {
		t, err = codec.NewVP9Track(s.id, u.data)
	}
	if err != nil {
		return err
	}
	if s.vpcC != nil {
		// The copy is what TrackFromConfig makes of deviating forms.
		if in, err := codec.TrackFromConfig(s.id, c, s.vpcC); err == nil {
			t.Config = in.Config
		}
	}
	d.set(s, t)
	return nil
}

// isADTS reports whether b begins with the header of an ADTS frame. No raw frame
// can be mistaken for one: with these bits at its beginning it would be empty.
func isADTS(b []byte) bool {
	if len(b) < 2 || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return false
	}
	_, err := codec.ADTSFrameSize(b)
	return err == nil
}

// adts takes in an AAC body that has ADTS frames, as some devices send.
func (d *BodyDemuxer) adts(dst []*codec.Frame, s *stream, u unit) ([]*codec.Frame, error) {
	config, raws, err := codec.SplitADTS(u.data)
	if err == nil && s.t == nil {
		err = d.start(s, codec.AAC, config)
	}
	if err != nil {
		return dst, fmt.Errorf("%w: AAC frame: %w", ErrInvalid, err)
	}
	for _, raw := range raws {
		f := &codec.Frame{Track: s.t, DTS: u.dts, PTS: u.dts, Flags: codec.FlagKey, Data: raw}
		u.dts += codec.FrameDuration(f)
		dst = append(dst, f)
	}
	return dst, nil
}

// mp3 describes MP3 by its frame headers. The bits that may change from frame
// to frame (bit rate, padding) are not looked at.
func (d *BodyDemuxer) mp3(s *stream, u *unit) error {
	if len(u.data) < 4 {
		return fmt.Errorf("%d bytes", len(u.data))
	}
	sync := [2]byte{u.data[1], u.data[2]&0x0c | u.data[3]&0xc0}
	if s.t != nil && s.sync == sync && u.data[0] == 0xff {
		return nil
	}
	t, err := codec.NewMP3Track(s.id, u.data)
	if err != nil {
		return err
	}
	s.sync = sync
	d.set(s, t)
	return nil
}

// opaque takes in a body of a codec that is not known.
func (d *BodyDemuxer) opaque(dst []*codec.Frame, s *stream, name string, header, key bool, ts time.Duration, body []byte) ([]*codec.Frame, error) {
	kind := codec.KindVideo
	if s.id&1 != 0 {
		kind = codec.KindAudio
	}
	if s.t == nil || s.t.Name != name || header && !bytes.Equal(s.t.Config, body) {
		t := &codec.Track{ID: s.id, Wire: "flv", WireKind: kind, Name: name}
		if header {
			t.Config = body
		}
		d.set(s, t)
	}
	if header {
		return dst, nil
	}
	f := &codec.Frame{Track: s.t, DTS: ts, PTS: ts, Data: body}
	if key || kind == codec.KindAudio {
		f.Flags = codec.FlagKey
	}
	return append(dst, f), nil
}
