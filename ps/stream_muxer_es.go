package ps

import (
	"bytes"
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/source"
)

// errChanged ends the packets of a track that has become another, which the
// receiver has no way to know.
var errChanged = fmt.Errorf("ps: the track was replaced: %w", source.ErrNewFormat)

// Sizes in bytes: of an RTP header, and up to which packets are made that shall not
// be cut in two, an Ethernet frame without the headers of IPv6 and UDP.
const (
	rtpHeaderSize = 12
	largestAudio  = 1500 - 48
)

// An elementaryBody sends one track in the payload format of its codec.
type elementaryBody struct {
	form  streamForm
	o     rtp.PacketizerOptions
	track *codec.Track // nil before there is one
	rtp   *rtp.Packetizer
}

func newElementaryBody(f streamForm, o rtp.PacketizerOptions, tracks []*codec.Track) *elementaryBody {
	b := &elementaryBody{form: f, o: o}
	if t := f.elementary(tracks); t != nil {
		b.begin(t)
	}
	return b
}

// begin makes t the track that is sent; it can be carried.
func (b *elementaryBody) begin(t *codec.Track) {
	o := b.o
	if n := joinedSize(t, b.form.join); n > 0 { // 180 ms of G.711 in one packet
		o.MaxSize = min(max(rtpHeaderSize+n, rtp.DefaultMaxSize), largestAudio)
	}
	b.track = t
	b.rtp, _ = rtp.NewPacketizer(t, o) // carries has asked
}

// append implements streamBody. Timestamps are those of presentation.
func (b *elementaryBody) append(dst []byte, f *codec.Frame) ([]byte, time.Duration, bool, error) {
	if b.track == nil {
		b.begin(f.Track)
	}
	if f.Track.ID != b.track.ID {
		return dst, 0, false, nil
	}
	if f.Track != b.track {
		if !sameDecoder(f.Track, b.track) {
			return dst, 0, false, errChanged
		}
		b.track = f.Track
	}
	if dst == nil {
		dst = make([]byte, 0, wireSize(f))
	}
	wire, err := b.rtp.Append(dst, f)
	return wire, f.PTS, f.Key() || f.Track.Kind() != codec.KindVideo, err
}

// wireSize returns about how much room the packets of f need.
func wireSize(f *codec.Frame) int {
	const header = rtpHeaderSize + 2 + 4 // with framing and what its payload begins with
	n := len(f.Data) + header*(len(f.Data)/(rtp.DefaultMaxSize-header)+2)
	if f.Key() {
		n += len(f.Track.Config) + header
	}
	return n
}

// sameDecoder reports whether who decodes a can decode b: video has its parameters
// in its key frames.
func sameDecoder(a, b *codec.Track) bool {
	return a.Codec == b.Codec && a.Wire == b.Wire &&
		(a.Kind() == codec.KindVideo || bytes.Equal(a.Config, b.Config) && a.SampleRate == b.SampleRate && a.Channels == b.Channels)
}

func (b *elementaryBody) appendReport(dst []byte, at time.Duration, wall time.Time) []byte {
	return b.rtp.AppendReport(dst, at, wall)
}

func (b *elementaryBody) appendBye(dst []byte) []byte { return b.rtp.AppendBye(dst) }
