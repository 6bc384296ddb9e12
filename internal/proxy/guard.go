package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// ErrPanic is wrapped by the error of an attempt that panicked.
var ErrPanic = errors.New("proxy: panic")

// Guard is deferred: a panic, which is a bug, becomes the error of one attempt and
// ends nothing else. log gets its stack; nil discards.
func Guard(log *slog.Logger, err *error) {
	if p := recover(); p != nil {
		if log != nil {
			log.Error("panic in a proxy", "panic", p, "stack", string(debug.Stack()))
		}
		*err = fmt.Errorf("%w: %v", ErrPanic, p)
	}
}
