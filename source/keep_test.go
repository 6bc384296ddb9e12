package source

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKeep publishes pictures every 40 ms, a key picture every 200 ms, and asks
// where viewers begin who want to begin in the past.
func TestKeep(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     StreamOptions
		size  int // of a frame
		back  time.Duration
		first string // the first picture read, after 2 s
	}{
		{"nothing is kept, nothing is asked for", StreamOptions{}, 10, 0, "2000:1K"},
		{"nothing is kept", StreamOptions{}, 10, time.Second, "2000:1K"},
		{"nothing is asked for", StreamOptions{Keep: time.Second}, 10, 0, "2000:1K"},
		{"as far back as asked for", StreamOptions{Keep: time.Second}, 10, 500 * ms, "1400:1K"},
		{"exactly as far back", StreamOptions{Keep: time.Second}, 10, 400 * ms, "1600:1K"},
		{"all that is kept is a bit more than asked to", StreamOptions{Keep: 900 * ms}, 10, 900 * ms, "1000:1K"},
		{"further than there is", StreamOptions{Keep: 900 * ms}, 10, time.Minute, "1000:1K"},
		{"from the very beginning", StreamOptions{Keep: time.Minute}, 10, time.Minute, "0:1K"},
		{"bounded in bytes", StreamOptions{Keep: time.Minute, KeepBytes: 12 * (1000 + slotOverhead)}, 1000, time.Minute, "1600:1K"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, c.o)
				p := s.publish(video)
				for n := range 51 {
					f := frame(video, n, n%5 == 0)
					f.Data = make([]byte, c.size)
					s.write(p, f)
					if n < 50 {
						time.Sleep(40 * ms)
					}
				}
				r := s.play(ViewerOptions{Back: c.back})
				defer r.Close()
				require.Equal(t, c.first, strings.Split(read(t, r, 1), " ")[0])
			})
		})
	}
}

func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video, audio)
		s.write(p, frame(video, 0, true), frame(audio, 0, true))
		began := time.Now()
		type result struct {
			seen []FrameInfo
			err  error
		}
		probe := func(d time.Duration) <-chan result {
			done := make(chan result, 1)
			go func() {
				seen, err := s.Stream(testKey).Probe(t.Context(), d)
				done <- result{seen, err}
			}()
			synctest.Wait()
			return done
		}
		done := probe(100 * ms)
		time.Sleep(30 * ms)
		f := frame(video, 1, false)
		s.write(p, f, frame(audio, 1, true))
		time.Sleep(80 * ms)
		s.write(p, frame(video, 2, false))
		got := <-done
		require.NoError(t, got.err)
		require.Len(t, got.seen, 2, "without those of before and after")
		require.Equal(t, FrameInfo{video, f.DTS, f.PTS, len(f.Data), f.Flags, began.Add(30 * ms)}, got.seen[0])
		require.Same(t, audio, got.seen[1].Track)
		require.Zero(t, len(s.Stream(testKey).Stats().Sessions), "it is no viewer")

		done = probe(time.Hour)
		s.write(p, frame(video, 3, true))
		require.NoError(t, p.Close())
		got = <-done
		require.NoError(t, got.err)
		require.Len(t, got.seen, 1, "the stream has ended")
	})
}
