package hls

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/hlscheck"
)

// TestDelay: the second playlist goes back further, over discontinuities too, and
// what it lists can be fetched for three target durations more (limits H14).
func TestDelay(t *testing.T) {
	for name, container := range containers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := NewWriter(serveStream.Tracks(), Options{Container: container, Delay: 10})
				require.NoError(t, err)
				begin := time.Now()
				var last, live *hlscheck.Playlist
				var seen *snapshot
				left := map[string]time.Time{} // when segments left the list
				lists := 0
				for f := range returns()(serveStream.Frames()) {
					if f.DTS >= 4*time.Minute {
						break
					}
					time.Sleep(time.Until(begin.Add(f.DTS)))
					require.NoError(t, w.WriteFrame(t.Context(), f))
					if s := w.now.Load(); s == seen || s == nil || seen != nil && s.sequence == seen.sequence {
						continue
					}
					seen = w.now.Load()
					live = parse(t, request(w, http.MethodGet, container.playlist(), "").Body.Bytes())
					p := parseChecked(t, request(w, http.MethodGet, container.delayed(), "").Body.Bytes())
					require.Len(t, p.Segments, min(len(live.Segments)+10, int(seen.sequence)))
					require.Equal(t, live.Segments[len(live.Segments)-1].URI, p.Segments[len(p.Segments)-1].URI)
					if last != nil {
						require.NoError(t, hlscheck.Follows(last, p, false))
						for _, s := range last.Segments[:p.Sequence-last.Sequence] {
							left[s.URI] = time.Now()
						}
					}
					for _, s := range p.Segments {
						require.Equal(t, http.StatusPartialContent, request(w, http.MethodGet, s.URI, "bytes=0-0").Code)
					}
					for uri, at := range left {
						if time.Since(at) <= 3*p.Target {
							require.Equal(t, http.StatusPartialContent, request(w, http.MethodGet, uri, "bytes=0-0").Code, uri)
						}
					}
					last, lists = p, lists+1
				}
				require.Greater(t, lists, 100)
				require.NoError(t, w.Close())
				p := parseChecked(t, request(w, http.MethodGet, container.delayed(), "").Body.Bytes())
				require.True(t, p.Ended)
			})
		})
	}
}

// Without Options.Delay there is none.
func TestNoDelay(t *testing.T) {
	for _, o := range []Options{{}, {Delay: -1}, {Delay: 3, Segments: -1}} {
		w := newServed(t, o, 5*time.Second)
		require.Equal(t, http.StatusNotFound, request(w, http.MethodGet, "hls_delay.m3u8", "").Code)
		require.NoError(t, w.Close())
	}
}
