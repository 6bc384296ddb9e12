package record

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/mediakit-go/mediakit/mp4"
)

const (
	defaultSlice    = time.Hour
	defaultFragment = 2 * time.Second
	defaultApp      = "record"
	defaultRoot     = "www"
)

// Names is how files are called, after the local time of their first frame.
type Names uint8

// The forms of names.
const (
	NamesDated Names = iota // 2026-11-22-19-05-29-0.mp4, where the last number counts the recording's files
	NamesTime               // 19-05-29.mp4
)

// Options say how a stream is recorded. The zero value is the default.
type Options struct {
	Format     Format
	Names      Names
	Root       string        // folder instead of the one of the Recorders or the Sink; "": that one
	Name       string        // name of the file in the stream's folder instead of a dated one; "-1" and so on is added to one that is taken
	Slice      time.Duration // length after which a file ends; 0 means 1 h, negative never
	SliceBytes int64         // size after which a file ends; 0 or negative: never
	Layout     mp4.Layout    // of finished MP4; LayoutFastStart needs room for a copy, without which the file is LayoutProgressive
	Fragment   time.Duration // what a process that is killed loses at most, and least length of HLS segments; 0 means 2 s

	// Of a recorded stream, not of a Sink:
	Back    time.Duration // begin with what came so long ago, as far as the stream keeps it (source.StreamOptions.Keep); negative: begin so much later
	Forward time.Duration // of a Clip: when it ends, from its start on; negative: end before what came so long ago
	Wait    bool          // wait for a stream that is not there, or has ended; Hub.OnMiss is not asked for it
	Viewer  bool          // count as a viewer of the stream

	SyncFragments bool // flush every fragment to the disk, but of HLS
	NoSync        bool // do not flush finished files to the disk, but of HLS
}

// withDefaults returns o with its defaults filled in: Slice and SliceBytes are 0
// for none.
func (o Options) withDefaults() Options {
	o.Root = cmp.Or(o.Root, defaultRoot)
	o.Slice = max(0, cmp.Or(o.Slice, defaultSlice))
	o.SliceBytes = max(0, o.SliceBytes)
	o.Fragment = cmp.Or(max(0, o.Fragment), defaultFragment)
	return o
}

// discard returns l, or what discards.
func discard(l *slog.Logger) *slog.Logger {
	if l != nil {
		return l
	}
	return slog.New(slog.DiscardHandler)
}
