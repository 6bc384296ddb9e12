package record

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// An EventKind says what happened to a recording.
type EventKind uint8

// The kinds of events.
const (
	EventFinished EventKind = iota + 1 // a file is complete: Event.File
	EventDropped                       // the disk was too slow: Event.Lost frames are missing
	EventFailed                        // the disk refuses: Event.Err. A recording that fails goes on when it can; a file that could not be finished stays hidden until Recover
	EventResumed                       // the recording goes on; Event.Lost frames are missing
	EventEnded                         // the recording is over; Event.Err says why, nil: it was stopped or the stream has ended
)

var eventNames = [...]string{EventFinished: "finished", EventDropped: "dropped", EventFailed: "failed", EventResumed: "resumed", EventEnded: "ended"}

// String returns the kind's name, such as "finished".
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown"
}

// An Event is something that happened to a recording.
type Event struct {
	Kind   EventKind
	Key    source.Key
	Format Format
	File   File
	Lost   uint64 // frames
	Err    error
}

// A File is one finished file of a recording; of HLS a playlist.
type File struct {
	Path      string         //
	Name      string         // the same below Root, with slashes, as a URL has it
	Start     time.Time      // when the first frame came
	Duration  time.Duration  //
	Size      int64          // bytes; of HLS with its segments
	Tracks    []*codec.Track // those in there; of recovered HLS unknown
	Recovered bool           // a process that was killed has left it

	format Format
}
