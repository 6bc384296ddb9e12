package codec

import (
	"errors"
	"fmt"
	"io"
)

// ErrInvalid is wrapped by every error about data that breaks its format.
// Where the data ends too early the error wraps [io.ErrUnexpectedEOF] as well.
var ErrInvalid = errors.New("codec: invalid data")

// invalid returns an ErrInvalid that says what is wrong.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// short returns the ErrInvalid of something that was cut.
func short(what string) error {
	return fmt.Errorf("%w: %s: %w", ErrInvalid, what, io.ErrUnexpectedEOF)
}
