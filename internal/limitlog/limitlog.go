// Package limitlog keeps peers from flooding a log.
package limitlog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounds for log lines, which peers can provoke, per second.
const (
	maxLinesOfKind = 10
	maxLines       = 200
)

// A Limiter writes lines to loggers and leaves lines out when there are too
// many; the next line of the kind says how many. A kind is a message's text. The
// zero value is ready for use by several goroutines.
type Limiter struct {
	mu     sync.Mutex // guards what follows
	second time.Time  // that is being counted
	lines  int
	kinds  map[string]kindOfLine
}

type kindOfLine struct {
	lines   int // in this second
	leftOut int // since the last one that was written
}

// Log writes a line to the logger, nil for none, with at most 10 lines of a kind
// and 200 in all a second.
func (l *Limiter) Log(to *slog.Logger, level slog.Level, kind string, args ...any) {
	if to == nil || !to.Enabled(context.Background(), level) {
		return
	}
	leftOut, ok := l.allow(kind, time.Now())
	if !ok {
		return
	}
	if leftOut > 0 {
		args = append(args, "left_out", leftOut)
	}
	to.Log(context.Background(), level, kind, args...)
}

// allow reports whether a line may be written, and how many of its kind were
// left out before.
func (l *Limiter) allow(kind string, now time.Time) (leftOut int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.second) >= time.Second {
		l.second, l.lines = now, 0
		if l.kinds == nil {
			l.kinds = map[string]kindOfLine{}
		}
		for k, v := range l.kinds {
			v.lines = 0
			l.kinds[k] = v
		}
	}
	k := l.kinds[kind]
	if k.lines >= maxLinesOfKind || l.lines >= maxLines {
		k.leftOut++
		l.kinds[kind] = k
		return 0, false
	}
	l.lines++
	l.kinds[kind] = kindOfLine{lines: k.lines + 1}
	return k.leftOut, true
}
