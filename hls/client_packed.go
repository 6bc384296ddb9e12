package hls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// packed is the container of segments that are frames of AAC alone, behind an ID3
// tag with their time (RFC 8216, 3.4). We read it only.
const packed Container = 255

const (
	id3Header   = 10
	maxID3      = 256 << 10 // bytes of a tag: it may hold a picture
	aacSamples  = 1024      // of a frame
	packedOwner = "com.apple.streaming.transportStreamTimestamp"
)

// isPacked tells whether a segment that begins with b is packed audio; the error
// says of which kind, if we cannot read that.
func isPacked(b []byte) (bool, error) {
	switch {
	case bytes.HasPrefix(b, []byte("ID3")):
		return true, nil
	case len(b) > 1 && b[0] == 0xff && b[1]&0xf6 == 0xf0: // ADTS
		return true, nil
	case len(b) > 1 && b[0] == 0xff && b[1]&0xe0 == 0xe0:
		return false, fmt.Errorf("%w: segments of MP3", source.ErrUnsupported)
	case len(b) > 1 && b[0] == 0x0b && b[1] == 0x77:
		return false, fmt.Errorf("%w: segments of AC-3", source.ErrUnsupported)
	}
	return false, nil
}

// A packedDemuxer finds the frames in segments of packed audio.
type packedDemuxer struct {
	rest    []byte // what is not a whole frame
	within  bool   // the tag is read
	zero    time.Duration
	samples int64 // since zero
	config  []byte
	track   *codec.Track
}

// Tracks returns the track, once there was a frame.
func (d *packedDemuxer) Tracks() []*codec.Track {
	if d.track == nil {
		return nil
	}
	return []*codec.Track{d.track}
}

// flush ends a segment.
func (d *packedDemuxer) flush(dst []*codec.Frame) []*codec.Frame {
	d.rest, d.within = d.rest[:0], false
	return dst
}

// Append appends the frames that b completes.
func (d *packedDemuxer) Append(dst []*codec.Frame, b []byte) ([]*codec.Frame, error) {
	d.rest = append(d.rest, b...)
	for !d.within {
		more, err := d.tag()
		if more || err != nil {
			return dst, err
		}
	}
	used := 0
	defer func() { d.rest = append(d.rest[:0], d.rest[used:]...) }()
	for {
		in := d.rest[used:]
		if len(in) < 7 { // an ADTS header
			return dst, nil
		}
		n, err := codec.ADTSFrameSize(in)
		if err != nil {
			return dst, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if n > len(in) {
			return dst, nil
		}
		if dst, err = d.frame(dst, in[:n]); err != nil {
			return dst, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		used += n
	}
}

// tag reads an ID3 tag, if there is one; more says that it has not come yet.
func (d *packedDemuxer) tag() (more bool, err error) {
	if len(d.rest) < id3Header {
		return true, nil
	}
	if !bytes.HasPrefix(d.rest, []byte("ID3")) {
		d.within = true
		return false, nil
	}
	size := id3Header + syncSafe(d.rest[6:])
	if size > maxID3 {
		return false, invalid("an ID3 tag of %d bytes", size)
	}
	if len(d.rest) < size {
		return true, nil
	}
	if at, ok := tagTime(d.rest[id3Header:size], d.rest[3] >= 4); ok {
		d.zero, d.samples = at, 0
	}
	d.rest = append(d.rest[:0], d.rest[size:]...)
	return false, nil
}

// syncSafe returns a number of 28 bits in 4 bytes (ID3v2.4, 6.2).
func syncSafe(b []byte) int {
	return int(b[0]&0x7f)<<21 | int(b[1]&0x7f)<<14 | int(b[2]&0x7f)<<7 | int(b[3]&0x7f)
}

// tagTime finds the time of the first sample in the content of a tag, 33 bits of
// 90 kHz.
func tagTime(b []byte, safe bool) (time.Duration, bool) {
	const header = 10
	for len(b) >= header {
		n := int(min(binary.BigEndian.Uint32(b[4:]), maxID3))
		if safe {
			n = syncSafe(b[4:])
		}
		if n > len(b)-header {
			return 0, false
		}
		body := b[header : header+n]
		owner, data, _ := bytes.Cut(body, []byte{0})
		if string(b[:4]) == "PRIV" && string(owner) == packedOwner && len(data) == 8 {
			return codec.FromTicks(int64(binary.BigEndian.Uint64(data)&(1<<33-1)), 90000), true
		}
		b = b[header+n:]
	}
	return 0, false
}

// frame appends the frame in b, a whole one of ADTS.
func (d *packedDemuxer) frame(dst []*codec.Frame, b []byte) ([]*codec.Frame, error) {
	config, raws, err := codec.SplitADTS(b)
	if err != nil || len(raws) == 0 {
		return dst, err
	}
	if !bytes.Equal(config, d.config) {
		if d.track != nil {
			d.zero, d.samples = d.now(), 0
		}
		if d.track, err = codec.TrackFromConfig(1, codec.AAC, config); err != nil {
			return dst, err
		}
		d.config = config
	}
	at := d.now()
	d.samples += aacSamples
	return append(dst, &codec.Frame{Track: d.track, DTS: at, PTS: at, Flags: codec.FlagKey, Data: bytes.Clone(raws[0])}), nil
}

// now returns the time of the next frame.
func (d *packedDemuxer) now() time.Duration {
	return d.zero + codec.FromTicks(d.samples, d.track.SampleRate)
}
