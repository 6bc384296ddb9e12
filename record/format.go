package record

import (
	"fmt"
	"path"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/ts"
)

// A Format is what a recording is written as.
type Format uint8

// The formats.
const (
	MP4     Format = iota // see Options.Layout
	FLV                   //
	TS                    // MPEG-2 transport stream
	HLS                   // a playlist of type VOD, and a folder of its name with segments of TS
	HLSFMP4               // the same with segments of fMP4
)

var formatNames = [...]string{MP4: "mp4", FLV: "flv", TS: "ts", HLS: "hls", HLSFMP4: "hls.fmp4"}

// String returns the format's name, such as "mp4".
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("format %d", f)
}

// ParseFormat returns the format that has this name.
func ParseFormat(name string) (Format, error) {
	for f, n := range formatNames {
		if n == name {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("record: no format %q", name)
}

// extension returns that of the files.
func (f Format) extension() string {
	if f.segmented() {
		return ".m3u8"
	}
	return "." + f.String()
}

// segmented reports whether a recording is a playlist with segments.
func (f Format) segmented() bool { return f == HLS || f == HLSFMP4 }

// formatOf returns the format of a file by its name; HLS for both of HLS.
func formatOf(name string) (Format, bool) {
	ext := path.Ext(name)
	for f := range Format(len(formatNames)) {
		if f.extension() == ext {
			return f, true
		}
	}
	return 0, false
}

// carries reports whether a recording can have t.
func (f Format) carries(t *codec.Track) bool {
	switch {
	case !t.Ready():
		return false
	case f == FLV:
		return flv.NewBodyMuxer([]*codec.Track{t}, 0).Carries(t)
	case f == TS, f == HLS:
		return ts.Carries(t)
	}
	return mp4.Carries(t)
}
