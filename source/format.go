package source

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A Muxer turns frames into one wire form. It is called by one goroutine at a
// time and starts none.
type Muxer interface {
	// Header returns what a late joiner is sent before the next key packet; new
	// bytes when the tracks changed. The caller does not modify it.
	Header() []byte
	// Append appends the packets that f makes. A frame whose Track is new or
	// differs from the one before makes Header packets first. A frame the
	// format cannot carry makes none, and no error; nor does one that a Flusher
	// holds back, whose packets come with a frame after it. After an error the frame is
	// counted as dropped and muxing goes on; but one that wraps ErrNewFormat
	// ends the stream for the viewers of this Muxer, and those who come then get
	// a new one that begins with f.
	Append(dst []Packet, f *codec.Frame) ([]Packet, error)
}

// A Flusher is a Muxer that holds frames back, because it must know what follows
// them.
type Flusher interface {
	// Flush appends the packets of what is held back. It is called once, at the
	// end of the stream.
	Flush(dst []Packet) []Packet
}

// A Carrier is a Muxer that can tell which tracks its format carries.
type Carrier interface {
	// Carries reports whether frames of t make packets.
	Carries(t *codec.Track) bool
}

// A FilmMuxer is a Muxer that treats films unlike live streams.
type FilmMuxer interface {
	// PlayFilm is called once, before anything else, if the stream is of some length
	// and its Reader, a Seeker, this viewer's alone.
	PlayFilm(length time.Duration)
}

// A Rewinder is a Muxer that numbers what it makes.
type Rewinder interface {
	// Rewind takes packets back that were made and are sent to nobody, as somebody
	// has gone elsewhere: all from the first of unsent on.
	Rewind(unsent []Packet)
}

// A Packet is the wire form of (a part of) one frame. It is immutable.
type Packet struct {
	Track  int
	Key    bool          // a viewer can start here
	Header bool          // decoder configuration: a viewer who skips frames is still sent it
	DTS    time.Duration //
	Wire   []byte        // what viewers are sent
	Framed []byte        // Wire with a WebSocket header in front; nil where the format has no WebSocket form
}

// A Format is one wire form of a stream. Feeds are shared by Name and Variant.
type Format struct {
	Name    string // such as "flv" or "rtmp"
	Variant string // such as "enhanced"; "" is the usual one
	Schema  string // publishers with this Request.Schema speak the format's own protocol: their viewers get no Synthetic tracks
	New     func(tracks []*codec.Track) (Muxer, error)
}
