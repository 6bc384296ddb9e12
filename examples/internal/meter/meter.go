// Package meter shows on a terminal how a stream runs.
package meter

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// Source returns a Source that opens s and prints to out what is in the stream,
// once a second a line of statistics, and at the end what came in all.
func Source(s source.Source, out io.Writer) source.Source {
	return source.SourceFunc(func(ctx context.Context) (source.Reader, error) {
		r, err := s.Open(ctx)
		if err != nil {
			return nil, err
		}
		return &meter{Reader: r, out: out}, nil
	})
}

// A meter counts what is read through it.
type meter struct {
	source.Reader
	out io.Writer

	last   time.Time     // when the line was printed
	pos    time.Duration // in the stream
	total  int64         // bytes
	counts []*count
}

// count is what one track had since the line was printed.
type count struct {
	track  *codec.Track
	frames int
	bytes  int64
}

// Unwrap returns the reader below, so that its abilities are found.
func (m *meter) Unwrap() source.Reader { return m.Reader }

// ReadFrame reads from the reader below.
func (m *meter) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	f, err := m.Reader.ReadFrame(ctx)
	if err != nil {
		if m.total > 0 {
			fmt.Fprintf(m.out, "%s\nend after %s, %s\n", m.line(), m.pos.Round(time.Millisecond), size(m.total))
		}
		return nil, err
	}
	if m.last.IsZero() {
		m.last = time.Now()
	}
	c := m.count(f.Track)
	c.frames++
	c.bytes += int64(len(f.Data))
	m.total += int64(len(f.Data))
	m.pos = max(m.pos, f.DTS)
	if time.Since(m.last) >= time.Second {
		fmt.Fprint(m.out, m.line())
	}
	return f, nil
}

// count returns the counter of a track. New tracks and parameters are printed.
func (m *meter) count(t *codec.Track) *count {
	for _, c := range m.counts {
		if c.track.ID == t.ID {
			if c.track != t {
				c.track = t
				m.announce(t)
			}
			return c
		}
	}
	c := &count{track: t}
	m.counts = append(m.counts, c)
	m.announce(t)
	return c
}

func (m *meter) announce(t *codec.Track) { fmt.Fprintf(m.out, "\r%s (%s)\n", t, t.CodecString()) }

// line returns the line, which overwrites the one before, and counts anew.
func (m *meter) line() string {
	span := max(time.Since(m.last), time.Millisecond).Seconds()
	m.last = time.Now()
	var b strings.Builder
	fmt.Fprintf(&b, "\r%8.1fs", m.pos.Seconds())
	for _, c := range m.counts {
		fmt.Fprintf(&b, "   %s %5.1f frames/s %6.0f kbit/s", c.track.Kind(), float64(c.frames)/span, float64(c.bytes)*8/1000/span)
		c.frames, c.bytes = 0, 0
	}
	return b.String()
}

func size(bytes int64) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}
