package source_test

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A tape is a Reader that can seek, of pictures every 40 ms, a key picture every
// second.
type tape struct {
	length time.Duration
	at     time.Duration
	sought bool
	closed chan struct{}
}

func newTape(length time.Duration) *tape { return &tape{length: length, closed: make(chan struct{})} }

func (r *tape) Tracks() []*codec.Track  { return []*codec.Track{small} }
func (r *tape) Duration() time.Duration { return r.length }

func (r *tape) Close() error {
	select {
	case <-r.closed:
		return nil
	default:
	}
	close(r.closed)
	return nil
}

func (r *tape) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	select {
	case <-r.closed:
		return nil, source.ErrClosed
	default:
	}
	if r.at >= r.length {
		return nil, io.EOF
	}
	f := inter(small, r.at)
	if r.at%time.Second == 0 {
		f = key(small, r.at)
	}
	if r.sought {
		f.Flags |= codec.FlagDiscont
		r.sought = false
	}
	r.at += 40 * ms
	return f, nil
}

func (r *tape) Seek(_ context.Context, t time.Duration) (time.Duration, error) {
	if t < 0 || t > r.length {
		return 0, errNoSuchTime
	}
	r.at, r.sought = t.Truncate(time.Second), true
	return r.at, nil
}

var errNoSuchTime = errors.New("no such time")

// TestPacePlayback uses the abilities of a paced Reader from another goroutine
// while its frames are read.
func TestPacePlayback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := source.Pace(newTape(time.Minute))
		seeker, ok := source.As[source.Seeker](r)
		require.True(t, ok)
		require.Equal(t, time.Minute, seeker.Duration())
		pauser, ok := source.As[source.Pauser](r)
		require.True(t, ok)
		speeder, ok := source.As[source.Speeder](r)
		require.True(t, ok)

		type arrival struct {
			line string
			at   time.Duration
		}
		start := time.Now()
		var mu sync.Mutex // guards seen
		var seen []arrival
		done := make(chan error)
		go func() {
			for {
				f, err := r.ReadFrame(t.Context())
				if err != nil {
					done <- err
					return
				}
				mu.Lock()
				seen = append(seen, arrival{line(f), time.Since(start)})
				mu.Unlock()
			}
		}()
		newest := func() arrival {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return seen[len(seen)-1]
		}
		time.Sleep(400 * ms)
		require.Equal(t, arrival{"400:0", 400 * ms}, newest())

		time.Sleep(10 * ms)
		require.NoError(t, pauser.Pause(true))
		time.Sleep(time.Hour)
		require.Equal(t, "400:0", newest().line, "it stands still")
		require.NoError(t, pauser.Pause(true), "twice")
		require.NoError(t, pauser.Pause(false))
		time.Sleep(30 * ms)
		require.Equal(t, arrival{"440:0", time.Hour + 440*ms}, newest(), "it goes on where it stood")

		at, err := seeker.Seek(t.Context(), 10500*ms)
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, at)
		require.Equal(t, arrival{"10000:0K!", time.Hour + 440*ms}, newest(), "at once, and nothing of before")
		time.Sleep(40 * ms)
		require.Equal(t, arrival{"10040:0", time.Hour + 480*ms}, newest())

		require.NoError(t, speeder.SetSpeed(4))
		time.Sleep(10 * ms)
		require.Equal(t, arrival{"10080:0", time.Hour + 490*ms}, newest())
		require.NoError(t, speeder.SetSpeed(0.1))
		time.Sleep(400 * ms)
		require.Equal(t, arrival{"10120:0", time.Hour + 890*ms}, newest())
		for _, s := range []float64{0, -1, 0.09, 20.1, math.NaN(), math.Inf(1)} {
			require.ErrorIs(t, speeder.SetSpeed(s), source.ErrUnsupported)
		}
		_, err = seeker.Seek(t.Context(), time.Hour)
		require.ErrorIs(t, err, errNoSuchTime)
		require.NoError(t, speeder.SetSpeed(20))

		require.NoError(t, pauser.Pause(true))
		_, err = seeker.Seek(t.Context(), 59*time.Second)
		require.NoError(t, err)
		require.Equal(t, "10120:0", newest().line, "seeking does not end a pause")
		require.NoError(t, pauser.Pause(false))
		require.ErrorIs(t, <-done, io.EOF)
		require.Equal(t, "59960:0", newest().line)
		require.NoError(t, r.Close())

		_, ok = source.As[source.Seeker](source.Pace(&silent{}))
		require.False(t, ok, "what cannot seek does not seem to")
	})
}

// A silent is a Reader without frames that cannot seek.
type silent struct{ source.Reader }

func TestViewing(t *testing.T) {
	req := &source.Request{ID: "7", Schema: "rtsp", Protocol: "rtsps", Key: source.Key{App: "record", Stream: "a.mp4"}}
	var ends []source.SessionStats
	req.OnEnd(func(s source.SessionStats) { ends = append(ends, s) })
	in := newTape(80 * ms)
	v := source.Account(req, in)
	require.Same(t, req, v.Request())
	seeker, ok := source.As[source.Seeker](v)
	require.True(t, ok)
	require.Same(t, in, seeker)
	for range 2 {
		_, err := v.ReadFrame(t.Context())
		require.NoError(t, err)
	}
	_, err := v.ReadFrame(t.Context())
	require.ErrorIs(t, err, io.EOF)
	_, err = seeker.Seek(t.Context(), 0)
	require.NoError(t, err)
	_, err = v.ReadFrame(t.Context())
	require.NoError(t, err, "the end is not for ever")
	v.Charge(100)
	s := v.Stats()
	require.Equal(t, uint64(3), s.Frames)
	require.Equal(t, uint64(100), s.Bytes)
	require.Equal(t, []any{"7", "rtsp", "rtsps", req.Key, false}, []any{s.ID, s.Schema, s.Protocol, s.Key, s.Publish})
	require.NoError(t, s.Err)

	v.Kick(nil)
	<-v.Done()
	_, err = v.ReadFrame(t.Context())
	require.ErrorIs(t, err, source.ErrKicked)
	require.Empty(t, ends)
	_ = v.Close()
	_ = v.Close()
	require.Len(t, ends, 1, "told once")
	require.ErrorIs(t, ends[0].Err, source.ErrKicked)
}
