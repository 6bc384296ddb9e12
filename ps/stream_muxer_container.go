package ps

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/ts"
)

// clockFall is how far a stream's time has to fall to be another.
const clockFall = 10 * time.Second

// A containerBody sends all tracks in one program stream or transport stream.
type containerBody struct {
	form   streamForm
	mux    containerMuxer
	rtp    *rtp.StreamPacketizer
	joins  func(b []byte) bool // whether what a frame has become begins with the tables of the program
	marker bool                // the last packet of a frame has it
	lead   *codec.Track        // whose key frames a receiver begins with: video if there is some
	buf    []byte              // of the container, one frame
	at     time.Duration       // of the newest packets
}

// A containerMuxer is *Muxer or *ts.Muxer.
type containerMuxer interface {
	Append(dst []byte, f *codec.Frame) ([]byte, error)
}

func newContainerBody(f streamForm, o rtp.PacketizerOptions, tracks []*codec.Track) *containerBody {
	b := &containerBody{form: f, joins: startsProgram, marker: true}
	unit := 1
	var carried []*codec.Track
	for _, t := range tracks {
		if f.carries(t) {
			carried = append(carried, t)
			b.follow(t)
		}
	}
	if f.payload == PayloadTS {
		unit, b.joins = ts.PacketSize, startsTransport
		b.marker = false // there it tells a break of the timestamps (RFC 2250, 2.1)
		b.mux = ts.NewMuxer(carried)
	} else {
		b.mux = NewMuxer(carried)
	}
	b.rtp, _ = rtp.NewStreamPacketizer(unit, o) // never fails with packets of the usual size
	return b
}

// follow makes t the lead if it is a better one.
func (b *containerBody) follow(t *codec.Track) {
	if b.lead == nil || b.lead.ID == t.ID || b.lead.Kind() != codec.KindVideo && t.Kind() == codec.KindVideo {
		b.lead = t
	}
}

// append implements streamBody. Timestamps are those of decoding, the same in all
// packets of a frame, and do not go back.
func (b *containerBody) append(dst []byte, f *codec.Frame) ([]byte, time.Duration, bool, error) {
	var err error
	if b.buf, err = b.mux.Append(b.buf[:0], f); err != nil || len(b.buf) == 0 {
		return dst, 0, false, err
	}
	b.follow(f.Track)
	if f.DTS > b.at || f.DTS < b.at-clockFall {
		b.at = f.DTS
	}
	key := f.Track.ID == b.lead.ID && (f.Key() || b.lead.Kind() != codec.KindVideo || b.lead.Wire != "") && b.joins(b.buf)
	if dst == nil {
		dst = make([]byte, 0, b.rtp.Size(len(b.buf)))
	}
	return b.rtp.Append(dst, b.buf, b.at, b.marker), b.at, key, nil
}

func (b *containerBody) appendReport(dst []byte, at time.Duration, wall time.Time) []byte {
	return b.rtp.AppendReport(dst, at, wall)
}

func (b *containerBody) appendBye(dst []byte) []byte { return b.rtp.AppendBye(dst) }

// startsProgram reports whether a program stream goes on with a pack header and a
// system header (13818-1, 2.5.3.4 and 2.5.3.6), behind which its map is.
func startsProgram(b []byte) bool {
	const size, stuffing = 14, 7
	if len(b) < size || [4]byte(b) != [4]byte{0, 0, 1, 0xba} {
		return false
	}
	n := size + int(b[size-1]&stuffing)
	return len(b) >= n+4 && [4]byte(b[n:]) == [4]byte{0, 0, 1, 0xbb}
}

// startsTransport reports whether a transport stream goes on with its PAT.
func startsTransport(b []byte) bool {
	return len(b) >= ts.PacketSize && b[1]&0x1f == 0 && b[2] == 0
}
