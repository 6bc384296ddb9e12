package flv

import (
	"errors"
	"fmt"
	"time"
)

// ErrInvalid is wrapped by every error about bytes that are not FLV. Where they
// end too early the error wraps [io.ErrUnexpectedEOF] as well.
var ErrInvalid = errors.New("flv: invalid data")

// invalid returns an ErrInvalid that says what is wrong.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// A TagType says what a tag carries (FLV E.4.1); RTMP uses the same numbers for
// its messages.
type TagType uint8

// The types of tags.
const (
	TagAudio  TagType = 8
	TagVideo  TagType = 9
	TagScript TagType = 18
)

// String returns "audio", "video", "script" or the number.
func (t TagType) String() string {
	switch t {
	case TagAudio:
		return "audio"
	case TagVideo:
		return "video"
	case TagScript:
		return "script"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// A Body is what an FLV tag and an RTMP audio, video or data message hold: Head
// then Data. Both are read only.
type Body struct {
	Type   TagType
	Track  int           // ID of the track; -1 of script data
	Key    bool          // a viewer can start here
	Header bool          // metadata or a sequence header, not a frame
	DTS    time.Duration // never negative
	Head   []byte        // what FLV puts before the frame
	Data   []byte        // the frame's own bytes, not copied
}

// Len returns the length of the body in bytes.
func (b *Body) Len() int { return len(b.Head) + len(b.Data) }
