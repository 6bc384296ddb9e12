package hls

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// TestCut: a stream is cut that nobody watches, for whoever comes then, and until it
// is no longer wanted or has ended.
func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		defer s.close()
		pub := s.publish()
		stream := s.hub.Stream(siteKey)
		stop, err := s.h.Cut(stream, TS)
		require.NoError(t, err)
		again, err := s.h.Cut(stream, TS)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Len(t, s.cut(), 1)
		require.Zero(t, s.h.Viewers())
		require.Empty(t, stream.Stats().Viewers)

		c := s.client()
		c.requireStatus(http.StatusOK, "/live/t/hls.m3u8")
		require.Len(t, s.cut(), 1)
		time.Sleep(time.Hour)
		again()
		again()
		time.Sleep(time.Hour)
		require.Equal(t, 1, s.h.Stats().Muxings, "it is still wanted")
		stop()
		time.Sleep(19 * time.Second)
		require.Equal(t, 1, s.h.Stats().Muxings)
		time.Sleep(2 * time.Second)
		require.Zero(t, s.h.Stats().Muxings)

		stop, err = s.h.Cut(stream, FMP4)
		require.NoError(t, err)
		require.NoError(t, pub.Close())
		time.Sleep(11 * time.Second)
		require.Zero(t, s.h.Stats().Muxings)
		stop()
		_, err = s.h.Cut(stream, TS)
		require.ErrorIs(t, err, source.ErrNotFound)
	})
}

// What cannot be cut is said; after Shutdown nothing is.
func TestCutRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &Handler{})
		s.publish()
		stream := s.hub.Stream(siteKey)
		good := s.h.newCutter
		s.h.newCutter = func([]*codec.Track, Options, position) (cutter, error) { return nil, source.ErrUnsupported }
		_, err := s.h.Cut(stream, TS)
		require.ErrorIs(t, err, source.ErrUnsupported)
		s.h.newCutter = good
		_, err = s.h.Cut(stream, TS)
		require.NoError(t, err)
		s.close()
		_, err = s.h.Cut(stream, TS)
		require.ErrorIs(t, err, source.ErrClosed)
	})
}
