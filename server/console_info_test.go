package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares JSON with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, got, "", "\t"), string(got))
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, indented.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), indented.String())
}

// TestConsoleJSON compares what is told with golden files.
func TestConsoleJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{}
		defer hub.Close()
		c := &Console{Hub: hub, RTMP: ":1935", RTSP: "0.0.0.0:8554", RTMPS: "media.example:443", Media: "https://media.example/"}
		golden(t, "console_server.json", get(c, "/api/v1/server").Body.Bytes())
		golden(t, "console_empty.json", get(c, "/api/v1/streams").Body.Bytes())

		pub := publishAs(t, hub, "live/cam/1", 3*time.Second)
		r := watchAs(t, hub, "live/cam/1", "viewer")
		for range 10 {
			_, err := r.ReadFrame(t.Context())
			require.NoError(t, err)
		}
		golden(t, "console_list.json", get(c, "/api/v1/streams").Body.Bytes())
		golden(t, "console_stream.json", get(c, "/api/v1/streams/live/cam/1").Body.Bytes())
		c.ShowAddresses = true
		require.Contains(t, get(c, "/api/v1/streams/live/cam/1").Body.String(), `"remote":"192.0.2.2:815"`)

		require.NoError(t, pub.CloseWithError(io.ErrUnexpectedEOF))
		golden(t, "console_lingering.json", get(c, "/api/v1/streams").Body.Bytes())
	})
}

// TestConsoleBitrate tells of which time a publisher's bitrate is.
func TestConsoleBitrate(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var r rates
	for _, step := range []struct {
		after time.Duration // the publisher came
		bytes uint64
		want  int
	}{
		{0, 0, 0},
		{10 * time.Second, 10_000_000, 8_000_000},       // the average
		{10500 * time.Millisecond, 20_000_000, 8000000}, // too soon to tell
		{11 * time.Second, 10_500_000, 4_000_000},       // since the last look
		{12 * time.Second, 10_500_000, 0},
		{32 * time.Second, 32_000_000, 8_000_000}, // nobody looked for long
	} {
		p := source.SessionStats{ID: "p", Start: start, Bytes: step.bytes}
		require.Equal(t, step.want, r.bitrate(p, start.Add(step.after)), "after %s", step.after)
	}
	for i := range 1000 {
		r.bitrate(source.SessionStats{ID: fmt.Sprint(i), Start: start}, start.Add(time.Minute))
	}
	require.Len(t, r.looks, 1000, "the old one is forgotten")
	r.bitrate(source.SessionStats{ID: "p", Start: start}, start.Add(2*time.Minute))
	require.Len(t, r.looks, 1)
}

// TestConsoleThousand lists a thousand streams in parts.
func TestConsoleThousand(t *testing.T) {
	hub, c := thousand(t)
	list := func(query string) StreamList {
		w := get(c, "/api/v1/streams"+query)
		require.Equal(t, http.StatusOK, w.Code)
		var l StreamList
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &l))
		require.Equal(t, 1000, l.Total)
		return l
	}
	name := func(l StreamList, i int) string { return l.Streams[i].App + "/" + l.Streams[i].Stream }
	for _, tc := range []struct {
		query           string
		matching, there int
		first           string
	}{
		{"", 1000, 100, "live/cam0000"},
		{"?limit=5", 1000, 5, "live/cam0000"},
		{"?limit=5&offset=997", 1000, 3, "live/cam0997"},
		{"?limit=1000000", 1000, 1000, "live/cam0000"},
		{"?limit=-1", 1000, 100, "live/cam0000"},
		{"?limit=x&offset=x", 1000, 100, "live/cam0000"},
		{"?limit=0", 1000, 0, ""},
		{"?offset=99999999999999999999", 1000, 100, "live/cam0000"},
		{"?q=CAM099", 10, 10, "live/cam0990"},
		{"?q=live%2Fcam0001", 1, 1, "live/cam0001"},
		{"?q=nothing", 0, 0, ""},
	} {
		l := list(tc.query)
		require.Equal(t, tc.matching, l.Matching, tc.query)
		require.Len(t, l.Streams, tc.there, tc.query)
		if tc.there > 0 {
			require.Equal(t, tc.first, name(l, 0), tc.query)
		}
	}
	require.NoError(t, hub.Close())
}

// thousand returns a hub of a thousand streams.
func thousand(t testing.TB) (*source.Hub, *Console) {
	hub := &source.Hub{}
	frames := film.Take(200 * time.Millisecond)
	for i := range 1000 {
		key := source.Key{Vhost: source.DefaultVhost, App: "live", Stream: fmt.Sprintf("cam%04d", i)}
		pub, err := hub.Publish(t.Context(), &source.Request{ID: source.NewID(), Schema: "rtmp", Key: key})
		require.NoError(t, err)
		require.NoError(t, pub.SetTracks(film.Tracks(), true))
		for _, f := range frames {
			require.NoError(t, pub.WriteFrame(t.Context(), f))
		}
	}
	return hub, &Console{Hub: hub}
}

func BenchmarkConsoleThousand(b *testing.B) {
	hub, c := thousand(b)
	defer hub.Close()
	for b.Loop() {
		get(c, "/api/v1/streams")
	}
}
