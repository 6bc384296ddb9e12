package mp4

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/mediakit-go/mediakit/codec"
)

// Lengths of what sample entries begin with, behind the box header.
const (
	entryHeader = 8                // of any: reserved, data_reference_index
	visualEntry = entryHeader + 70 // ISO/IEC 14496-12, 12.1.3
	audioEntry  = entryHeader + 20 // ISO/IEC 14496-12, 12.2.3
)

// appendSampleEntry appends the sample entry of t.
func appendSampleEntry(b []byte, t *codec.Track) []byte {
	c, _ := carriageOf(t)
	return appendBox(b, c.entry, func(b []byte) []byte {
		b = appendZeros(b, 6)
		b = appendUint16s(b, 1) // data_reference_index
		if t.Kind() == codec.KindVideo {
			b = appendVisual(b, t)
		} else {
			b = appendAudio(b, t)
		}
		return c.appendConfig(b, t)
	})
}

// appendVisual appends what a VisualSampleEntry has before its boxes.
func appendVisual(b []byte, t *codec.Track) []byte {
	b = appendZeros(b, 16)
	b = appendUint16s(b, uint16(t.Width), uint16(t.Height))
	b = appendUint32s(b, 72<<16, 72<<16, 0) // dots per inch
	b = appendUint16s(b, 1)                 // frames in a sample
	b = appendZeros(b, 32)                  // name of the compressor
	return appendUint16s(b, 0x18, 0xffff)   // colour without alpha
}

// appendAudio appends what an AudioSampleEntry has before its boxes. The rate has
// 16 bits; a higher one is told by the timescale alone.
func appendAudio(b []byte, t *codec.Track) []byte {
	rate := t.SampleRate
	if rate > 0xffff {
		rate = 0
	}
	b = appendZeros(b, 8)
	b = appendUint16s(b, uint16(max(t.Channels, 1)), 16, 0, 0) // 16 bits a sample
	return appendUint32s(b, uint32(rate)<<16)
}

// appendConfig appends the box that configures the decoder of t.
func (c carriage) appendConfig(b []byte, t *codec.Track) []byte {
	switch c.config {
	case "":
		return b
	case "esds":
		return appendFullBox(b, c.config, 0, 0, func(b []byte) []byte {
			return appendESDS(b, c.objectOf(t), t.Kind(), t.Config)
		})
	case "pcmC":
		return appendFullBox(b, c.config, 0, 0, appendPCMConfig)
	}
	config := t.Config
	if len(config) == 0 { // what codec takes for granted
		if usual, err := codec.TrackFromConfig(t.ID, t.Codec, nil); err == nil {
			config = usual.Config
		}
	}
	return appendBox(b, c.config, func(b []byte) []byte { return append(b, config...) })
}

// An entry is what a sample entry tells.
type entry struct {
	track      *codec.Track // nil: not read here
	lengthSize int          // bytes of a NAL unit's length
	little     bool         // L16 with the low byte first
}

// parseSampleEntry reads a sample entry. version is that of the sample
// description, id the track's. Encrypted ones are an error.
func parseSampleEntry(x box, version uint8, id int) (e entry, err error) {
	e.lengthSize = 4
	switch name := x.kind.String(); name {
	case "encv", "enca", "enct", "encs", "encm":
		return e, encrypted(x, id)
	case "avc1", "avc2", "avc3", "avc4":
		err = e.visual(x, id, codec.H264, "avcC")
	case "hvc1", "hev1":
		err = e.visual(x, id, codec.H265, "hvcC")
	case "av01":
		err = e.visual(x, id, codec.AV1, "av1C")
	case "vp08":
		err = e.visual(x, id, codec.VP8, "vpcC")
	case "vp09":
		err = e.visual(x, id, codec.VP9, "vpcC")
	case "mp4v":
		err = e.visual(x, id, codec.Opaque, "esds")
	case "jpeg":
		err = e.visual(x, id, codec.MJPEG, "")
	case "mjpg":
		err = e.visual(x, id, codec.MJPEG, "jpgC")
	case "mp4a":
		err = e.audio(x, version, id, codec.Opaque, "esds")
	case ".mp3":
		err = e.audio(x, version, id, codec.MP3, "")
	case "Opus":
		err = e.audio(x, version, id, codec.Opus, "dOps")
	case "ac-3":
		err = e.audio(x, version, id, codec.AC3, "dac3")
	case "alaw":
		err = e.audio(x, version, id, codec.PCMA, "")
	case "ulaw":
		err = e.audio(x, version, id, codec.PCMU, "")
	case "ipcm":
		err = e.audio(x, version, id, codec.L16, "pcmC")
	case "twos", "sowt":
		e.little = name == "sowt"
		err = e.audio(x, version, id, codec.L16, "")
	}
	return e, err
}

// encrypted returns the error about a protected sample entry, with what its
// boxes say of it (ISO/IEC 14496-12, 8.12).
func encrypted(x box, id int) error {
	format, scheme := "unknown codec", "unknown scheme"
	header := visualEntry
	if x.kind == typeOf("enca") {
		header = audioEntry
	}
	_ = eachBox(x.body[min(header, len(x.body)):], func(x box) error { // names are all that it is for
		if x.kind != typeOf("sinf") {
			return nil
		}
		return eachBox(x.body, func(x box) error {
			switch r := (fields{b: x.body}); x.kind {
			case typeOf("frma"):
				format = boxType(r.u32()).String()
			case typeOf("schm"):
				r.full()
				scheme = boxType(r.u32()).String()
			}
			return nil
		})
	})
	return unsupported("track %d is encrypted (%v, %s, %s)", id, x.kind, format, scheme)
}

// visual reads a VisualSampleEntry. c is Opaque where an esds tells the codec.
func (e *entry) visual(x box, id int, c codec.Codec, config string) error {
	r := fields{b: x.body}
	r.skip(entryHeader + 16)
	width, height := int(r.u16()), int(r.u16())
	r.skip(visualEntry - entryHeader - 20)
	if r.over {
		return short(x.kind.String() + " sample entry")
	}
	if err := e.describe(id, codec.KindVideo, c, config, r.b); err != nil || e.track == nil {
		return err
	}
	if e.track.Width == 0 || e.track.Height == 0 {
		e.track.Width, e.track.Height = width, height
	}
	return nil
}

// audio reads an AudioSampleEntry, or what QuickTime has in its place ("Sound
// Sample Description" of versions 1 and 2).
func (e *entry) audio(x box, version uint8, id int, c codec.Codec, config string) error {
	r := fields{b: x.body}
	r.skip(entryHeader)
	sound := r.u16()
	r.skip(6)
	channels := int(r.u16())
	r.skip(6)
	rate := int(r.u32() >> 16)
	if version == 0 { // in version 1 of the description, ISO/IEC 14496-12 has version 1 of the entry
		switch sound {
		case 1:
			r.skip(16)
		case 2: // where rate and channels are behind, the rate as a float
			r.skip(4)
			rate, channels = wholeRate(math.Float64frombits(r.u64())), int(min(r.u32(), math.MaxUint8))
			r.skip(20)
		}
	}
	if r.over {
		return short(x.kind.String() + " sample entry")
	}
	if err := e.describe(id, codec.KindAudio, c, config, r.b); err != nil || e.track == nil {
		return err
	}
	t := e.track
	switch t.Codec {
	case codec.AAC, codec.AC3, codec.Opus: // the configuration tells
		if t.Channels == 0 {
			t.Channels = channels
		}
	default:
		t.SampleRate, t.ClockRate, t.Channels = rate, rate, channels
	}
	return nil
}

// wholeRate returns a rate in Hz; 0 if there is none like that.
func wholeRate(f float64) int {
	if f >= 1 && f < 1<<24 {
		return int(f)
	}
	return 0
}

// findConfig returns the content of the box that configures the decoder, in
// QuickTime files within a wave box; nil if there is none.
func findConfig(b []byte, name string) (config []byte, err error) {
	if name == "" {
		return nil, nil
	}
	err = eachBox(b, func(x box) error {
		switch {
		case config != nil:
		case x.kind == typeOf(name):
			config = x.body
		case x.kind == typeOf("wave"):
			return eachBox(x.body, func(x box) error {
				if x.kind == typeOf(name) {
					config = x.body
				}
				return nil
			})
		}
		return nil
	})
	return config, err
}

// describe makes the track of a codec, which for an esds is Opaque, and its
// configuration, which is the box in b with this name. It makes none if that says
// that it is not read here.
func (e *entry) describe(id int, kind codec.Kind, c codec.Codec, name string, b []byte) error {
	config, err := findConfig(b, name)
	if err != nil {
		return err
	}
	switch name {
	case "esds":
		var object byte
		if len(config) < fullHeader {
			return short("esds")
		}
		if object, config, err = parseESDS(config[fullHeader:]); err != nil {
			return err
		}
		if c = codecOfObject(kind, object); c == codec.Opaque {
			return nil
		}
	case "jpgC":
		if len(config) > 0 { // what all pictures begin with is kept there
			return nil
		}
	case "pcmC":
		little, bits, err := parsePCMConfig(config)
		if err != nil || bits != 16 {
			return err
		}
		e.little = little
	case "avcC", "hvcC":
		e.lengthSize = codec.NALULengthSize(c, config)
		if bare, err := withoutSets(c, config); err != nil || bare {
			e.track = &codec.Track{ID: id, Codec: c, ClockRate: videoScale}
			return err
		}
	case "av1C":
		if len(config) == 0 { // ffmpeg writes that where it has not seen a frame
			e.track = &codec.Track{ID: id, Codec: c, ClockRate: videoScale}
			return nil
		}
	}
	if e.track, err = codec.TrackFromConfig(id, c, config); err != nil {
		return invalid("%s: %v", name, err)
	}
	if c == codec.MPEG2Video && len(config) > 0 {
		e.track.Config = bytes.Clone(config)
	}
	return nil
}

// withoutSets reports whether a configuration leaves the parameter sets to the
// frames, as those of avc3 and hev1 may.
func withoutSets(c codec.Codec, config []byte) (bare bool, err error) {
	if c == codec.H264 {
		var a codec.AVCConfig
		err = a.Unmarshal(config)
		bare = len(a.SPS) == 0
	} else {
		var h codec.HEVCConfig
		err = h.Unmarshal(config)
		bare = len(h.SPS) == 0
	}
	if err != nil {
		return false, invalid("%v", err)
	}
	return bare, nil
}

// swapped returns L16 with the bytes of each sample exchanged.
func swapped(b []byte) []byte {
	out := make([]byte, len(b)&^1)
	for i := 0; i+1 < len(b); i += 2 {
		binary.LittleEndian.PutUint16(out[i:], binary.BigEndian.Uint16(b[i:]))
	}
	return out
}
