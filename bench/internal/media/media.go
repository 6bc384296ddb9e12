// Package media makes the stream that the benchmark publishes: H.264 at 25
// frames a second with AAC at 48 kHz, 2 Mbit/s in all, as the bodies of FLV tags.
//
// Every video frame is one slice, and it carries a number and the time at which
// it was sent, so that a viewer on the same machine can tell what it missed and
// how long a frame took. The rest of the slice is noise: nothing that carries the
// stream looks into it, and decoding it is nobody's business here.
package media

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
)

// What the stream is made of.
const (
	FrameRate     = 25
	FrameInterval = time.Second / FrameRate
	SampleRate    = 48000

	videoRate  = 234000 // bytes a second
	audioFrame = 341    // bytes; 1024 samples, so 128 kbit/s
	keyWeight  = 4      // a key frame of a one second GOP is so many times as big as another
)

// ByteRate is how many bytes of media the stream has in a second.
const ByteRate = videoRate + audioFrame*SampleRate/1024

// AudioSample is the size of an audio frame.
const AudioSample = audioFrame - 2

// MaxFrame is the size of the largest frame of a stream with a GOP of up to two seconds.
const MaxFrame = 60000

// The FLV tag types.
const (
	TagAudio  = 8
	TagVideo  = 9
	TagScript = 18
)

// A Packet is the body of one FLV tag.
type Packet struct {
	Type   byte          // TagAudio, TagVideo or TagScript
	Key    bool          // a key frame of video
	Config bool          // no frame, but what comes before the first
	DTS    time.Duration // since the start; also when to send it
	Body   []byte        // valid until the next call of Next
}

// Sample returns the frame as codec.Frame has it; p is one of video or audio.
func (p Packet) Sample() []byte {
	if p.Type == TagVideo {
		return p.Body[5:]
	}
	return p.Body[2:]
}

// A Stream generates packets in the order of their DTS. Its zero value has a
// key frame each second.
type Stream struct {
	GOP time.Duration // time between key frames, a multiple of FrameInterval; 0 means 1 s

	video, audio int // frames made
	noise        []byte
	body         []byte
}

// Config returns what goes before the first frame: the metadata and both decoder configurations.
func (s *Stream) Config() []Packet {
	meta := amf.Append(nil, "onMetaData")
	meta = amf.Append(meta, amf.ECMAArray{
		{Name: "width", Value: 1280.0},
		{Name: "height", Value: 720.0},
		{Name: "framerate", Value: float64(FrameRate)},
		{Name: "videocodecid", Value: 7.0},
		{Name: "videodatarate", Value: float64(videoRate * 8 / 1000)},
		{Name: "audiocodecid", Value: 10.0},
		{Name: "audiodatarate", Value: 128.0},
		{Name: "audiosamplerate", Value: float64(SampleRate)},
		{Name: "stereo", Value: true},
	})
	return []Packet{
		{Type: TagScript, Config: true, Body: meta},
		{Type: TagVideo, Config: true, Body: append([]byte{0x17, 0, 0, 0, 0}, avcConfig()...)},
		{Type: TagAudio, Config: true, Body: []byte{0xaf, 0, 0x11, 0x90}}, // AAC-LC, 48 kHz, stereo
	}
}

// Tracks returns what Config says, for protocols that describe their tracks:
// video, then audio.
func Tracks() ([]*codec.Track, error) {
	sps, pps := sets()
	video, err := codec.NewH264Track(0, sps, pps)
	if err != nil {
		return nil, err
	}
	audio, err := codec.NewAACTrack(1, SampleRate, 2)
	return []*codec.Track{video, audio}, err
}

// sets returns the parameter sets of Constrained Baseline 3.1, 1280x720, 25
// frames a second.
func sets() (sps, pps []byte) {
	sps, _ = hex.DecodeString("6742c01fda014016e840000003004000000ca1")
	return sps, []byte{0x68, 0xce, 0x3c, 0x80}
}

// avcConfig returns an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
func avcConfig() []byte {
	sps, pps := sets()
	b := []byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1}
	b = binary.BigEndian.AppendUint16(b, uint16(len(sps)))
	b = append(b, sps...)
	b = append(b, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(pps)))
	return append(b, pps...)
}

// Next returns the packet after the one before. Video frames have to be stamped
// when they are sent.
func (s *Stream) Next() Packet {
	if s.noise == nil {
		s.noise = make([]byte, 2*MaxFrame)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range s.noise {
			s.noise[i] = byte(1 + r.IntN(255)) // no zero: nothing that looks like a start code
		}
	}
	vt := time.Duration(s.video) * FrameInterval
	at := time.Duration(s.audio) * 1024 * time.Second / SampleRate
	if at < vt {
		s.audio++
		s.body = append(s.body[:0], 0xaf, 1)
		s.body = append(s.body, s.noise[s.audio%1000:][:AudioSample]...)
		return Packet{Type: TagAudio, DTS: at, Body: s.body}
	}
	perGOP := FrameRate
	if s.GOP > 0 {
		perGOP = int(s.GOP / FrameInterval)
	}
	key := s.video%perGOP == 0
	s.body = s.appendVideo(s.body[:0], key, frameSize(perGOP, key), s.video)
	s.video++
	return Packet{Type: TagVideo, Key: key, DTS: vt, Body: s.body}
}

// frameSize returns the bytes of a frame so that each GOP has videoRate.
func frameSize(perGOP int, key bool) int {
	size := videoRate / (FrameRate + keyWeight - 1)
	if key {
		return videoRate*perGOP/FrameRate - (perGOP-1)*size
	}
	return size
}

// appendVideo appends a frame of size bytes: the FLV header and a slice with the
// stamp.
func (s *Stream) appendVideo(b []byte, key bool, size, n int) []byte {
	frameType, nal := byte(0x27), byte(0x41)
	if key {
		frameType, nal = 0x17, 0x65
	}
	b = append(b, frameType, 1, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(size-len(b)-4))
	b = append(b, nal, 0x88)
	b = append(b, stampID...)
	b = append(b, make([]byte, stampSize-len(stampID))...)
	b = append(b, s.noise[n*7%1000:][:size-len(b)]...)
	Stamp(b, uint32(n), 0)
	return b
}

// stampID marks the stamp; 24 hexadecimal digits follow it.
const (
	stampID   = "mediakit-bench-1"
	stampSize = len(stampID) + 24
)

// Stamp writes the frame's number and the time, in nanoseconds of a clock that
// sender and viewers share, into the body of a video packet.
func Stamp(body []byte, n uint32, now int64) {
	i := bytes.Index(body[:min(len(body), 64)], []byte(stampID))
	if i < 0 {
		return
	}
	var raw [12]byte
	binary.BigEndian.PutUint32(raw[:], n)
	binary.BigEndian.PutUint64(raw[4:], uint64(now))
	hex.Encode(body[i+len(stampID):], raw[:]) // digits never make a start code
}

// FindStamp returns where the first stamp in b begins, -1 if there is none.
func FindStamp(b []byte) int { return bytes.Index(b, []byte(stampID)) }

// ReadStamp returns what Stamp wrote, from the first bytes of a body.
func ReadStamp(head []byte) (n uint32, at int64, ok bool) {
	i := FindStamp(head)
	if i < 0 || len(head) < i+stampSize {
		return 0, 0, false
	}
	var raw [12]byte
	if _, err := hex.Decode(raw[:], head[i+len(stampID):i+stampSize]); err != nil {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(raw[:]), int64(binary.BigEndian.Uint64(raw[4:])), true
}
