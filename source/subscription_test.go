package source

import (
	"cmp"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// TestSlowSubscription has a viewer read slowly while a frame comes each 40 ms
// with a key frame a second, for 10 s. Who is too far behind at the end is cut,
// for nothing newer will come.
func TestSlowSubscription(t *testing.T) {
	for _, c := range []struct {
		name   string
		viewer ViewerOptions
		each   time.Duration // between two reads
		jumps  bool
		err    error
		took   time.Duration // of the publisher, at least
	}{
		{name: "fast enough", each: 40 * ms, err: io.EOF},
		{name: "jumps", each: 80 * ms, jumps: true},
		{name: "jumps soon", viewer: ViewerOptions{MaxLag: 200 * ms}, each: 80 * ms, jumps: true},
		{name: "very slow", each: 3 * time.Second, jumps: true, err: ErrLagged},
		{name: "cut", viewer: ViewerOptions{Slow: SlowCut}, each: 80 * ms, err: ErrLagged},
		{name: "blocks", viewer: ViewerOptions{Slow: SlowBlock}, each: 80 * ms, err: io.EOF, took: 11 * time.Second},
		{name: "blocks long", viewer: ViewerOptions{Slow: SlowBlock}, each: 3 * time.Second, err: io.EOF, took: 100 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, StreamOptions{})
				p := s.publish(video)
				r := s.play(c.viewer)
				sub := r.(*Subscription)
				other := s.play(ViewerOptions{}) // reads at once
				all := make(chan int, 1)
				go func() {
					n, err := readErr(other)
					require.ErrorIs(t, err, io.EOF)
					other.Close()
					all <- n
				}()
				go func() {
					for n := range 250 {
						s.write(p, frame(video, n, n%25 == 0))
						time.Sleep(40 * ms)
					}
					require.GreaterOrEqual(t, time.Since(s.began), max(c.took, 10*time.Second))
					if c.took == 0 {
						require.Equal(t, 10*time.Second, time.Since(s.began), "not held up")
					}
					require.NoError(t, p.Close())
				}()
				n, last := 0, -40*ms
				for {
					f, err := r.ReadFrame(t.Context())
					if err != nil {
						if c.err == nil && err == io.EOF {
							break // it was just near enough
						}
						require.ErrorIs(t, err, cmp.Or(c.err, ErrLagged))
						break
					}
					n++
					switch {
					case f.Has(codec.FlagDiscont):
						require.True(t, f.Key())
						require.Greater(t, f.DTS, last)
					default:
						require.Equal(t, last+40*ms, f.DTS)
					}
					if c.viewer.Slow != SlowBlock {
						lag := min(time.Since(s.began), 10*time.Second) - f.DTS
						require.LessOrEqual(t, lag, DefaultMaxLag+1080*ms)
					}
					last = f.DTS
					time.Sleep(c.each)
				}
				st := sub.Stats()
				require.Equal(t, c.jumps, st.Jumps > 0)
				if c.err == io.EOF {
					require.Equal(t, 250, n+int(st.Skipped))
				}
				require.NoError(t, r.Close())
				require.Equal(t, 250, <-all)
			})
		})
	}
}

// TestNeverReads: a viewer who does not read holds nobody but with SlowBlock.
func TestNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video, audio)
		lazy := s.play(ViewerOptions{})
		defer lazy.Close()
		for n := range 1000 {
			s.write(p, frame(video, n, n%500 == 0), frame(audio, n, true))
			time.Sleep(40 * ms)
		}
		require.Equal(t, "20000:1K! 20000:2K", read(t, lazy, 2))
		require.Equal(t, uint64(1000), lazy.(*Subscription).Stats().Skipped)

		for _, leave := range []func(Reader){
			func(r Reader) { r.Close() },
			func(r Reader) { s.Kick(r.(*Subscription).Request().ID) },
		} {
			block := s.play(ViewerOptions{Slow: SlowBlock})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			for {
				if err := p.WriteFrame(ctx, frame(video, 2000, true)); err != nil {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					break
				}
			}
			cancel()
			time.AfterFunc(time.Second, func() { leave(block) })
			s.write(p, frame(video, 2000, true))
			require.NoError(t, block.Close())
		}
	})
}

// TestJumpWithoutKey overtakes viewers when the ring holds no key frame.
func TestJumpWithoutKey(t *testing.T) {
	big := func(t *codec.Track, n int, key bool) *codec.Frame {
		f := frame(t, n, key)
		f.Data = make([]byte, ringBytes/2)
		return f
	}
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		r := s.play(ViewerOptions{})
		defer r.Close()
		s.write(p, frame(video, 0, true), big(video, 1, false), big(video, 2, false), big(video, 3, false))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.ReadFrame(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		s.write(p, frame(video, 4, false), frame(video, 5, true))
		require.Equal(t, "200:1K!", read(t, r, 1), "the first after the jump")
	})
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(sound)
		r := s.play(ViewerOptions{})
		defer r.Close()
		for n := range 5 { // packets without a mark
			s.write(p, big(sound, n, false))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.ReadFrame(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		s.write(p, frame(sound, 5, false))
		require.Equal(t, "200:3-!", read(t, r, 1))
	})
}

func TestStartsAtKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video, audio)
		early := s.play(ViewerOptions{})
		defer early.Close()
		s.write(p, frame(audio, 0, true), frame(video, 0, false), frame(video, 1, true), frame(audio, 1, true), frame(video, 2, false))
		late := s.play(ViewerOptions{})
		defer late.Close()
		for _, r := range []Reader{early, late} {
			require.Equal(t, "40:1K 40:2K 80:1-", read(t, r, 3))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := late.ReadFrame(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		go func() {
			time.Sleep(time.Second)
			late.Close()
		}()
		_, err = late.ReadFrame(t.Context())
		require.ErrorIs(t, err, io.ErrClosedPipe)
	})
}

// TestCharge: a viewer who fetches instead of reading is counted by what it
// fetched, is never behind, and learns of its end.
func TestCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		s.write(p, frame(video, 0, true))
		viewers := make([]*Subscription, 3)
		for i := range viewers {
			viewers[i] = s.play(ViewerOptions{}).(*Subscription)
			viewers[i].Charge(1000)
			viewers[i].Charge(-1)
		}
		shared := viewers[0].Stream().Subscribe(&Request{Schema: "x", Passive: true})
		require.NotEmpty(t, shared.Request().ID)
		require.Equal(t, testKey, shared.Request().Key)
		require.Equal(t, "0:1K", read(t, shared, 1))
		for n := range 100 {
			s.write(p, frame(video, n+1, n%25 == 0))
			time.Sleep(40 * ms)
		}
		st := viewers[0].Stats()
		require.Equal(t, uint64(1000), st.Bytes)
		require.Zero(t, st.Lag)
		require.NotZero(t, shared.Stats().Lag)

		stats := viewers[0].Stream().Stats()
		require.Equal(t, map[string]int{"x": 3}, stats.Viewers, "the passive one is no viewer")
		open := func(sub *Subscription) bool {
			select {
			case <-sub.Done():
				return false
			default:
				return true
			}
		}
		require.True(t, open(viewers[0]))
		require.True(t, s.Kick(viewers[0].Request().ID))
		require.False(t, open(viewers[0]))
		require.NoError(t, viewers[1].Close())
		require.False(t, open(viewers[1]))
		require.True(t, open(viewers[2]))
		require.NoError(t, p.Close())
		require.False(t, open(viewers[2]))
		require.False(t, open(shared))
		_, err := shared.ReadFrame(t.Context())
		require.NoError(t, err, "what the stream left can be read")
		require.Nil(t, viewers[2].Stream().Subscribe(&Request{}), "the stream is over")
	})
}
