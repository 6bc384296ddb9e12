package source

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPacedDelay publishes pictures of 25 a second in bursts and looks at the
// times between those that come out.
func TestPacedDelay(t *testing.T) {
	for _, c := range []struct {
		name    string
		burst   int // pictures that come at once, at the time of the last of them
		longest time.Duration
	}{
		{"a picture at a time", 1, 81 * ms}, // at half the speed while the buffer fills
		{"three at once", 3, 81 * ms},
		{"five at once", 5, 81 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, StreamOptions{PacedDelay: 150 * ms})
				p := s.publish(video)
				s.write(p, frame(video, 0, true)) // makes it live
				r := s.play(ViewerOptions{})
				defer r.Close()
				read(t, r, 1)
				start := time.Now()
				done := make(chan struct{})
				defer func() { <-done }()
				go func() {
					defer close(done)
					for n := 1; n <= 250; n++ {
						if n%c.burst == 0 {
							time.Sleep(time.Until(start.Add(time.Duration(n) * 40 * ms)))
						}
						if p.WriteFrame(t.Context(), frame(video, n, n%25 == 0)) != nil {
							return
						}
					}
				}()
				var last, first time.Time
				for n := 1; n <= 200; n++ {
					f, err := r.ReadFrame(t.Context())
					require.NoError(t, err)
					require.Equal(t, time.Duration(n)*40*ms, f.DTS)
					now := time.Now()
					if n == 1 {
						first = now
					} else if n > 5 {
						require.LessOrEqual(t, now.Sub(last), c.longest, "picture %d", n)
					}
					require.Less(t, now.Sub(start.Add(f.DTS)), 500*ms, "picture %d is not too late", n)
					last = now
				}
				require.Greater(t, last.Sub(first), 7*time.Second, "in real time")
			})
		})
	}
	t.Run("the end flushes it", func(t *testing.T) {
		for _, lost := range []error{nil, io.ErrUnexpectedEOF} {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, StreamOptions{PacedDelay: time.Second, Linger: -1})
				p := s.publish(video)
				s.write(p, frame(video, 0, true))
				r := s.play(ViewerOptions{})
				defer r.Close()
				s.write(p, frame(video, 1, false), frame(video, 2, false), frame(video, 3, false))
				require.NoError(t, p.CloseWithError(lost))
				require.Equal(t, "0:1K 40:1- 80:1- 120:1-", read(t, r, 4))
			})
		}
	})
	t.Run("a jump and a flood flush it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, StreamOptions{PacedDelay: 150 * ms, Time: TimeOff})
			p := s.publish(video)
			s.write(p, frame(video, 0, true))
			r := s.play(ViewerOptions{})
			defer r.Close()
			s.write(p, frame(video, 100, true), frame(video, 101, true), frame(video, 20, true))
			start := time.Now()
			require.Equal(t, "0:1K 4000:1K 4040:1K", read(t, r, 3))
			require.Zero(t, time.Since(start), "what was before a step back comes at once")
			for n := range 26 {
				s.write(p, frame(video, 21+n, false))
			}
			require.Len(t, strings.Fields(read(t, r, 27)), 27)
			require.Zero(t, time.Since(start), "so does more than a second")
		})
	})
}
