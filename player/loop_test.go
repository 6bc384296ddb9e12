package player

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/source"
)

// rounds reads n rounds of r, each of which has as many frames.
func rounds(t *testing.T, r source.Reader, n, frames int) (all []*codec.Frame) {
	for range n * frames {
		f, err := r.ReadFrame(t.Context())
		require.NoError(t, err)
		all = append(all, f)
	}
	return all
}

func TestLoop(t *testing.T) {
	for _, c := range []struct {
		name   string
		length time.Duration // as it tells
		round  time.Duration // as it is
		end    error
	}{
		{"as it tells", time.Second, time.Second, nil},
		{"with a pause", 3 * time.Second, 3 * time.Second, nil},
		{"longer than it tells", 100 * time.Millisecond, 0, nil},
		{"it does not tell", 0, 0, nil},
		{"cut", time.Second, time.Second, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReel(film, time.Second)
			r.length, r.end = c.length, c.end
			l := Loop(r)
			n := len(r.frames)
			frames := rounds(t, l, 3, n)
			requireOrder(t, frames)
			for i, f := range frames {
				require.Equal(t, r.frames[i%n].Data, f.Data)
				require.Equal(t, r.frames[i%n].PTS-r.frames[i%n].DTS, f.PTS-f.DTS)
				require.Equal(t, i > 0 && i%n == 0, f.Has(codec.FlagDiscont))
			}
			if c.round > 0 {
				require.Equal(t, 2*c.round, frames[2*n].DTS)
			} else {
				require.Equal(t, frames[n-1].DTS+frameTime, frames[n].DTS)
			}

			s, ok := source.As[source.Seeker](l)
			require.True(t, ok)
			require.Equal(t, c.length, s.Duration())
			got, err := s.Seek(t.Context(), 450*time.Millisecond)
			require.NoError(t, err)
			require.Equal(t, 400*time.Millisecond, got)
			f, err := l.ReadFrame(t.Context())
			require.NoError(t, err)
			require.Equal(t, got, f.DTS, "the times are those of the file again")

			k, ok := source.As[source.KeyIndexer](l)
			require.True(t, ok)
			keys, err := k.KeyTimes(t.Context())
			require.NoError(t, err)
			require.Len(t, keys, 5)
			require.NoError(t, l.Close())
			require.True(t, r.closed.Load())
		})
	}
}

func TestLoopEnds(t *testing.T) {
	r := newReel(film, time.Second)
	r.frames = nil
	frames, err := containertest.ReadAll(Loop(r))
	require.Equal(t, io.EOF, err, "nothing for ever is an end")
	require.Empty(t, frames)

	r = newReel(film, time.Second)
	r.end = errors.New("broken")
	frames, err = containertest.ReadAll(Loop(r))
	require.ErrorIs(t, err, r.end)
	require.Len(t, frames, len(r.frames))

	live := read(film)
	defer live.Close()
	require.Equal(t, live, Loop(live), "what cannot seek is played once")
}
