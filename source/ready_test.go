package source

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// TestReadiness publishes and looks when the stream goes live, with which tracks.
func TestReadiness(t *testing.T) {
	type step struct {
		at       time.Duration
		announce []*codec.Track
		complete bool
		frame    *codec.Frame
	}
	sec := time.Second
	for _, c := range []struct {
		name    string
		options StreamOptions
		steps   []step
		live    time.Duration // -1: not within a minute
		tracks  string        // ids
	}{
		{"nothing known", StreamOptions{}, nil, -1, ""},
		{"all tracks announced", StreamOptions{}, []step{{at: 100 * ms, announce: []*codec.Track{video, audio}, complete: true}}, 100 * ms, "1 2"},
		{"one track announced, no other", StreamOptions{}, []step{{announce: []*codec.Track{video}, complete: true}}, 0, "1"},
		{"one track announced, others may come", StreamOptions{}, []step{{at: sec, announce: []*codec.Track{video}}}, 4 * sec, "1"},
		{"one track by its frames", StreamOptions{}, []step{{at: sec, frame: frame(video, 0, true)}, {at: 2 * sec, frame: frame(video, 1, false)}}, 4 * sec, "1"},
		{"one track, audio not wanted", StreamOptions{NoAudio: true}, []step{{frame: frame(audio, 0, true)}, {at: sec, frame: frame(video, 0, true)}}, sec, "1"},
		{"one track, video not wanted", StreamOptions{NoVideo: true}, []step{{frame: frame(video, 0, true)}, {at: sec, frame: frame(audio, 0, true)}}, sec, "2"},
		{"audio and video by their frames", StreamOptions{}, []step{{frame: frame(audio, 0, true)}, {at: 500 * ms, frame: frame(video, 0, true)}}, 500 * ms, "2 1"},
		{"two audio tracks, others may come", StreamOptions{}, []step{{frame: frame(audio, 0, true)}, {frame: frame(sound, 0, true)}}, 10 * sec, "2 3"},
		{"announced audio without data", StreamOptions{}, []step{{announce: []*codec.Track{video, noASC}, complete: true}}, sec, "1"},
		{"announced audio without data, late", StreamOptions{}, []step{{at: 2 * sec, announce: []*codec.Track{video, noASC}, complete: true}}, 3 * sec, "1"},
		{"announced audio with data in time", StreamOptions{}, []step{{announce: []*codec.Track{video, noASC}, complete: true}, {at: 900 * ms, frame: frame(audio, 0, true)}}, 900 * ms, "1 2"},
		{"audio without data, others may come", StreamOptions{}, []step{{announce: []*codec.Track{video, noASC}}}, 3 * sec, "1"},
		{"announced video without data", StreamOptions{}, []step{{announce: []*codec.Track{noSets, audio}, complete: true}}, 10 * sec, "2"},
		{"announced video with data in time", StreamOptions{}, []step{{announce: []*codec.Track{noSets, audio}, complete: true}, {at: 9 * sec, frame: frame(video, 0, true)}}, 9 * sec, "1 2"},
		{"nothing ready within 10 s", StreamOptions{}, []step{{announce: []*codec.Track{noSets}, complete: true}, {at: 20 * sec, frame: frame(video, 0, true)}}, 20 * sec, "1"},
		{"silent audio is one of the tracks", StreamOptions{SilentAudio: true}, []step{{announce: []*codec.Track{video}, complete: true}}, 0, "1 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, c.options)
				p := s.publish()
				require.Equal(t, StatePending, s.Stream(testKey).Stats().State)
				for _, step := range c.steps {
					time.Sleep(step.at - time.Since(s.began))
					if step.announce != nil {
						require.NoError(t, p.SetTracks(step.announce, step.complete))
					}
					if step.frame != nil {
						s.write(p, step.frame)
					}
				}
				time.Sleep(time.Minute - time.Since(s.began))
				synctest.Wait()
				require.Equal(t, c.live, s.when(EventLive))
				if c.live >= 0 {
					require.Equal(t, c.tracks, ids(s.Stream(testKey).Tracks()))
				}
			})
		})
	}
}

func ids(tracks []*codec.Track) string {
	var out []string
	for _, t := range tracks {
		out = append(out, fmt.Sprint(t.ID))
	}
	return strings.Join(out, " ")
}

// TestHeldFrames looks at what a stream keeps before it goes live.
func TestHeldFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish()
		for n := range 150 { // video first, then audio
			s.write(p, frame(video, n, n%30 == 0))
		}
		require.NoError(t, p.SetTracks([]*codec.Track{video, noASC}, true))
		for n := range 120 {
			s.write(p, frame(noASC, n, true))
		}
		require.Equal(t, StatePending, s.Stream(testKey).Stats().State)
		s.write(p, frame(audio, 120, true))
		require.Equal(t, StateLive, s.Stream(testKey).Stats().State)
		r := &s.Stream(testKey).ring
		pos, key := r.start()
		require.True(t, key)
		last, n := time.Duration(-1), 0
		for q := pos; q < r.head.Load(); q++ {
			f := r.at(q).item
			require.GreaterOrEqual(t, f.DTS, last, "in DTS order")
			last = f.DTS
			n++
		}
		require.Greater(t, n, 30)
	})
}
