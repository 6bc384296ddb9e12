package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// events reads server-sent events.
func events(t *testing.T, body string) (names []string, data [][]byte) {
	t.Helper()
	for e := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		name, d, ok := strings.Cut(strings.TrimPrefix(e, "event: "), "\ndata: ")
		require.True(t, ok, e)
		names, data = append(names, name), append(data, []byte(d))
	}
	return names, data
}

// TestConsoleEvents watches a stream that is published in real time: what is
// measured is what was sent, and the end of the stream ends the events.
func TestConsoleEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{}
		defer hub.Close()
		c := &Console{Hub: hub}
		pub := publishAs(t, hub, "live/t", time.Second)
		done := make(chan *httptest.ResponseRecorder)
		go func() {
			time.Sleep(time.Millisecond / 2) // no event at the moment of a frame
			done <- get(c, "/api/v1/streams/live/t", "Accept", "text/event-stream")
		}()
		start := time.Now()
		for _, f := range film.Take(7 * time.Second) {
			if f.DTS < time.Second {
				continue
			}
			time.Sleep(time.Until(start.Add(f.DTS - time.Second)))
			require.NoError(t, pub.WriteFrame(t.Context(), f))
		}
		require.EqualValues(t, 1, c.looking.Load())
		require.NoError(t, pub.Close())
		w := <-done
		require.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
		names, data := events(t, w.Body.String())
		require.GreaterOrEqual(t, len(names), 7)
		require.Equal(t, "end", names[len(names)-1])
		golden(t, "console_event.json", data[5])
		for i, d := range data[:len(data)-1] {
			var info StreamInfo
			require.Equal(t, "stream", names[i])
			require.NoError(t, json.Unmarshal(d, &info))
			require.Zero(t, info.Watching, "the console is no viewer")
			if i < 1 || i > 5 {
				continue
			}
			video, audio := info.Tracks[0].Measured, info.Tracks[1].Measured
			require.InDelta(t, 25, video.FrameRate, 0.1, "event %d", i)
			require.InDelta(t, 48000./1024, audio.FrameRate, 0.1)
			if i > 2 {
				require.InDelta(t, 2, video.KeyInterval, 0.001)
			}
		}
		require.Zero(t, c.looking.Load())
		require.Empty(t, hub.Streams())
	})
}

// TestConsoleEventsEnd tells that whoever leaves is forgotten, and that a stream
// which is not live yet, or is not there, keeps nobody.
func TestConsoleEventsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{}
		defer hub.Close()
		c := &Console{Hub: hub}
		pub := publishAs(t, hub, "live/t", time.Second)
		defer pub.Close()
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/streams/live/t", nil)
		r.Header.Set("Accept", "text/event-stream")
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.ServeHTTP(httptest.NewRecorder(), r)
		}()
		time.Sleep(10 * time.Second)
		require.Len(t, hub.Streams()[0].Stats().Sessions, 1)
		cancel()
		<-done
		require.Empty(t, hub.Streams()[0].Stats().Sessions)

		_, err := hub.Publish(t.Context(), &source.Request{Key: source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "pending"}})
		require.NoError(t, err)
		w := get(c, "/api/v1/streams/live/pending", "Accept", "text/event-stream")
		names, data := events(t, w.Body.String())
		require.Equal(t, []string{"stream"}, names)
		require.Contains(t, string(data[0]), `"state":"pending"`)
		names, _ = events(t, get(c, "/api/v1/streams/live/none", "Accept", "text/event-stream").Body.String())
		require.Equal(t, []string{"end"}, names)

		c.looking.Store(maxLooking)
		require.Equal(t, http.StatusServiceUnavailable, get(c, "/api/v1/streams/live/t", "Accept", "text/event-stream").Code)
	})
}
