package rtmp

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// TestClientFilm: a film is sought and stands still. What comes then is what was
// asked for, at its place in the film.
func TestClientFilm(t *testing.T) {
	const step, gop = 40 * time.Millisecond, 2 * time.Second
	server := filmtest.NewReel(testStream, filmLength)
	r, err := (&Client{ReadTimeout: time.Second}).Open(filmtest.Soon(t), startServer(t, &Server{Handler: server})+"/vod/film")
	require.NoError(t, err)
	defer r.Close()
	f := r.(*clientFilm)
	require.Equal(t, filmLength, f.Duration())
	require.Zero(t, filmtest.Picture(t, r).DTS)

	lands := func(to time.Duration) {
		t.Helper()
		at, err := f.Seek(filmtest.Soon(t), to)
		require.NoError(t, err)
		require.Equal(t, to.Truncate(gop), at)
	}
	for _, to := range []time.Duration{12500 * time.Millisecond, 3 * time.Second, 19 * time.Second, 0} {
		lands(to)
		first, err := r.ReadFrame(filmtest.Soon(t))
		require.NoError(t, err)
		require.True(t, first.Has(codec.FlagKey|codec.FlagDiscont))
		for _, w := range server.Frames {
			if w.Track.Kind() == codec.KindVideo && w.DTS == first.DTS {
				require.Equal(t, w.Data, first.Data)
			}
		}
		require.Equal(t, first.DTS+step, filmtest.Picture(t, r).DTS)
	}
	var status *StatusError
	_, err = f.Seek(filmtest.Soon(t), time.Hour)
	require.ErrorAs(t, err, &status)
	require.Equal(t, codeSeekFailed, status.Code)
	last := filmtest.Picture(t, r)

	// It stands still for longer than a server may be silent, and nothing is lost.
	stands := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_, err := r.ReadFrame(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.NoError(t, f.Pause(true))
	require.NoError(t, f.Pause(true))
	stands()
	require.NoError(t, f.Pause(false))
	for range 10 {
		next := filmtest.Picture(t, r)
		require.Equal(t, last.DTS+step, next.DTS)
		last = next
	}
	require.NoError(t, f.Pause(true))
	lands(7 * time.Second)
	stands()
	require.NoError(t, f.Pause(false))
	require.Equal(t, 6*time.Second, filmtest.Picture(t, r).DTS)

	lands(19900 * time.Millisecond)
	for err = nil; err == nil; {
		_, err = r.ReadFrame(filmtest.Soon(t))
	}
	require.ErrorIs(t, err, io.EOF)
	_, err = f.Seek(filmtest.Soon(t), 0)
	require.ErrorIs(t, err, source.ErrClosed)
	require.NoError(t, r.Close())
	require.ErrorIs(t, f.Pause(true), source.ErrClosed)
}

// TestFilmLength: lengths that cannot be.
func TestFilmLength(t *testing.T) {
	for seconds, want := range map[float64]time.Duration{0: 0, -1: 0, 1e300: 0, 1.5: 1500 * time.Millisecond} {
		r := newClientReader(&Client{}, nil)
		b := amf.Append(amf.Append(nil, "onMetaData"), amf.ECMAArray{{Name: "duration", Value: seconds}})
		require.NoError(t, r.message(&wire.Message{Type: wire.TypeData, Body: b}))
		require.Equal(t, want, r.length())
	}
}
