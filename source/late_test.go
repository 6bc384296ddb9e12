package source

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

func TestLateTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		r := s.play(ViewerOptions{})
		defer r.Close()
		s.write(p, frame(video, 0, true), frame(noASC, 0, true), frame(audio, 1, true), frame(video, 1, false), frame(audio2, 2, true))
		require.Equal(t, "0:1K 40:2K 40:1- 80:2K", read(t, r, 4), "without the frame nobody could decode")
		require.Equal(t, "1 2", ids(r.Tracks()))
		require.Same(t, audio2, r.Tracks()[1])
		require.Equal(t, uint64(1), s.Stream(testKey).Stats().Publisher.Dropped)

		require.NoError(t, p.SetTracks([]*codec.Track{video, audio2, noSets, sound}, true))
		require.Equal(t, "1 2 3", ids(r.Tracks()), "a late track that is not ready is not announced")
		s.write(p, &codec.Frame{Track: video})
		require.Equal(t, uint64(2), s.Stream(testKey).Stats().Publisher.Dropped, "an empty frame")
	})
}

// TestSilence publishes video only, then audio as well.
func TestSilence(t *testing.T) {
	for _, id := range []int{2, silentID} { // the real track's, once the same as the silent one's
		synctest.Test(t, func(t *testing.T) {
			real := &codec.Track{ID: id, Codec: codec.PCMA}
			s := newScene(t, StreamOptions{SilentAudio: true})
			p := s.publish(video)
			r := s.play(ViewerOptions{})
			defer r.Close()
			for n := range 8 {
				s.write(p, frame(video, n, n == 0))
			}
			require.Equal(t, "0:1K 40:1- 80:1- 120:1- 128:100K 160:1- 200:1- 240:1- 256:100K 280:1-", read(t, r, 10))
			require.True(t, r.Tracks()[1].Synthetic)
			s.write(p, frameAt(video, time.Hour, false), frameAt(real, time.Hour, true), frame(video, 0, false))
			require.Equal(t, "320:1-", read(t, r, 1), "a jump is closed up before")
			require.Len(t, r.Tracks(), 2)
			require.False(t, r.Tracks()[1].Synthetic)
			for n := range 30 {
				s.write(p, frameAt(video, time.Hour+time.Duration(n)*40*ms, false))
			}
			f, err := r.ReadFrame(t.Context())
			require.NoError(t, err)
			require.Same(t, real, f.Track)
			for range 30 {
				f, err = r.ReadFrame(t.Context())
				require.NoError(t, err)
				require.Same(t, video, f.Track, "no silence any more")
			}
		})
	}
}

// TestSilenceOwnSchema: viewers of the publisher's own protocol get what the
// publisher sent.
func TestSilenceOwnSchema(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{SilentAudio: true})
		p := s.publish(video)
		own, other := textFormat(nil), textFormat(nil)
		own.Name, own.Schema = "own", "x"
		other.Name, other.Schema = "other", "y"
		a, b := s.feed(s.play(ViewerOptions{}), own), s.feed(s.play(ViewerOptions{}), other)
		defer a.Close()
		defer b.Close()
		require.Equal(t, "header 1=01\n", string(a.Header()))
		require.Contains(t, string(b.Header()), "header 1=01 100=")
		for n := range 5 {
			s.write(p, frame(video, n, n == 0))
		}
		packets, err := a.Next(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, "0:1K 40:1- 80:1- 120:1- 160:1-", joined(packets))
		packets, err = b.Next(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, "0:1K 40:1- 80:1- 120:1- 128:100K 160:1-", joined(packets))
	})
}

func TestNoAudioNoVideo(t *testing.T) {
	for _, c := range []struct {
		options StreamOptions
		want    string
	}{
		{StreamOptions{NoAudio: true}, "0:1K 40:1-"},
		{StreamOptions{NoVideo: true}, "0:2K 40:2K"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, c.options)
			p := s.publish(video, audio)
			r := s.play(ViewerOptions{})
			defer r.Close()
			for n := range 2 {
				s.write(p, frame(video, n, n == 0), frame(audio, n, true))
			}
			require.Equal(t, c.want, read(t, r, 2))
			require.Len(t, r.Tracks(), 1)
		})
	}
}

func TestTimeArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{Time: TimeArrival})
		p := s.publish()
		for range 3 { // held, yet not all at one time
			s.write(p, frame(video, 0, true))
			time.Sleep(100 * ms)
		}
		require.NoError(t, p.SetTracks([]*codec.Track{video}, true))
		ring := &s.Stream(testKey).ring
		require.Equal(t, 200*ms, ring.at(ring.head.Load()-1).item.DTS)
	})
}
