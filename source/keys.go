package source

import (
	"context"
	"time"
)

// A KeyIndexer is the ability of a [Seeker] to tell where it can go. Find it
// with [As].
type KeyIndexer interface {
	// KeyTimes returns the times that Seek can return, in ascending order: the
	// DTS of the key frames of the first video track, or without video of some
	// audio frames that are up to a second apart. It may read much of a file the
	// first time. The caller must not change the result.
	KeyTimes(ctx context.Context) ([]time.Duration, error)
}
