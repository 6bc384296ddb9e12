package mp4

import (
	"errors"
	"fmt"
	"io"

	"github.com/mediakit-go/mediakit/source"
)

// ErrInvalid is wrapped by errors about bytes that are no MP4. Where the bytes
// end too early the error wraps io.ErrUnexpectedEOF as well.
var ErrInvalid = errors.New("mp4: invalid data")

// invalid returns an ErrInvalid that says what is wrong.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// short returns the ErrInvalid of something that was cut.
func short(what string) error {
	return fmt.Errorf("%w: %s: %w", ErrInvalid, what, io.ErrUnexpectedEOF)
}

// unsupported returns an error about MP4 that is valid and not read here.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("mp4: %w: %s", source.ErrUnsupported, fmt.Sprintf(format, args...))
}
