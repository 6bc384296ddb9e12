package hls

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// frameAt returns a frame of a kind.
func frameAt(c codec.Codec, dts time.Duration, size int) *codec.Frame {
	t := &codec.Track{Codec: c}
	return &codec.Frame{Track: t, DTS: dts, Data: make([]byte, size)}
}

// popAll takes what can be taken and returns the DTS in seconds.
func popAll(t *testing.T, b *buffer) (at []int) {
	for {
		f, err := b.pop()
		require.NoError(t, err)
		if f == nil {
			return at
		}
		at = append(at, int(f.DTS/time.Second))
	}
}

func TestBuffer(t *testing.T) {
	video, audio := testmedia.Track(1, codec.H264), testmedia.Track(2, codec.AAC)
	data := &codec.Track{ID: 3, Codec: codec.Opaque, Wire: "ts"}
	at := func(tr *codec.Track, seconds int) *codec.Frame {
		return &codec.Frame{Track: tr, DTS: time.Duration(seconds) * time.Second}
	}
	ctx := t.Context()
	b := newBuffer(2)
	s, other := b.sides[0], b.sides[1]
	v, a := b.addLane(s, video), b.addLane(s, audio)
	d := b.addLane(s, data)
	require.NoError(t, b.push(ctx, s, v, at(video, 1)))
	require.NoError(t, b.push(ctx, s, v, at(video, 2)))
	require.Empty(t, popAll(t, b), "audio may come that is earlier")
	require.NoError(t, b.push(ctx, s, a, at(audio, 1)))
	require.Empty(t, popAll(t, b), "nothing is known of the other side")
	x := b.addLane(other, audio)
	require.NoError(t, b.push(ctx, other, x, at(audio, 2)))
	require.Equal(t, []int{1, 1}, popAll(t, b), "data is not waited for")
	require.NoError(t, b.push(ctx, s, d, at(data, 0)))
	require.Empty(t, popAll(t, b), "but does not overtake, either")
	b.settle(s, 2*time.Second)
	require.Equal(t, []int{0, 2, 2}, popAll(t, b), "all before is there")
	// The second side has nothing of its own any more: it is waited for.
	require.NoError(t, b.push(ctx, s, v, at(video, 3)))
	require.Empty(t, popAll(t, b))
	b.settle(other, 2*time.Second)
	b.settle(other, 2*time.Second) // a whole segment without a frame
	b.settle(s, 3*time.Second)
	require.Equal(t, []int{3}, popAll(t, b))
	b.end(other, io.EOF)
	require.NoError(t, b.push(ctx, s, a, at(audio, 4)))
	b.end(s, io.EOF)
	require.Equal(t, 4, int(must(b.pop()).DTS/time.Second))
	_, err := b.pop()
	require.Equal(t, io.EOF, err)
	require.Len(t, b.tracks(), 4)
}

func must(f *codec.Frame, err error) *codec.Frame {
	if err != nil {
		panic(err)
	}
	return f
}

// Who is full waits, and is not waited for.
func TestBufferFull(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		step time.Duration
	}{"bytes": {1 << 20, time.Millisecond}, "time": {10, time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBuffer(1)
				s := b.sides[0]
				v := b.addLane(s, testmedia.Track(1, codec.H264))
				b.addLane(s, testmedia.Track(2, codec.AAC))
				pushed := 0
				done := make(chan error)
				go func() {
					for {
						if err := b.push(t.Context(), s, v, frameAt(codec.H264, time.Duration(pushed)*c.step, c.size)); err != nil {
							done <- err
							return
						}
						if pushed++; pushed == 100 {
							done <- nil
							return
						}
					}
				}()
				synctest.Wait()
				require.Less(t, pushed, 40)
				require.Greater(t, pushed, 10)
				for range 60 {
					f, err := b.pop()
					require.NoError(t, err)
					require.NotNil(t, f, "the audio had its chance")
					synctest.Wait()
				}
				for pushed < 100 {
					_, err := b.pop()
					require.NoError(t, err)
					synctest.Wait()
				}
				require.NoError(t, <-done)
			})
		})
	}
}

// An error comes after the frames that are there.
func TestBufferError(t *testing.T) {
	b := newBuffer(2)
	v := b.addLane(b.sides[0], testmedia.Track(1, codec.H264))
	require.NoError(t, b.push(t.Context(), b.sides[0], v, frameAt(codec.H264, 0, 1)))
	b.end(b.sides[1], errors.New("gone"))
	ok, err := b.ready()
	require.True(t, ok)
	require.NoError(t, err)
	must(b.pop())
	_, err = b.pop()
	require.EqualError(t, err, "gone")
	ok, err = b.ready()
	require.False(t, ok)
	require.EqualError(t, err, "gone")

	b = newBuffer(1)
	b.end(b.sides[0], io.EOF)
	_, err = b.ready()
	require.ErrorIs(t, err, ErrInvalid)
}

func TestTimeline(t *testing.T) {
	var tl timeline
	require.Equal(t, time.Second, tl.begin(1, time.Second))
	require.Equal(t, time.Second, tl.begin(1, time.Minute), "the first one decides")
	for e := range uint64(1000) {
		tl.begin(e+2, time.Duration(e))
	}
	require.LessOrEqual(t, len(tl.shifts), 2*maxEpochs)
	d, ok := tl.shift(1001)
	require.True(t, ok)
	require.Equal(t, time.Duration(999), d)
	_, ok = tl.shift(1)
	require.False(t, ok)
}
