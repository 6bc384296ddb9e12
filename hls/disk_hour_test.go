package hls

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/hlscheck"
)

// hourIn returns the playlist of an hour, which is right, and checks that all it
// lists is there.
func hourIn(t *testing.T, dir, hour string) *hlscheck.Playlist {
	t.Helper()
	p := playlistIn(t, filepath.Join(dir, filepath.FromSlash(hour)), hourPlaylist)
	var init string
	var all []byte
	for _, s := range p.Segments {
		for _, name := range []string{s.Map, s.URI} {
			if name == "" || name == init {
				continue
			}
			b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(hour), name))
			require.NoError(t, err)
			if name == s.Map {
				init = name
			}
			all = append(all, b...)
		}
	}
	if init == "" {
		require.NotEmpty(t, demux(t, TS, all))
	} else {
		require.NotEmpty(t, demux(t, FMP4, all))
	}
	return p
}

// TestKeep has a live stream that goes from one hour to the next, ends, and comes
// again: the hours have all of it.
func TestKeep(t *testing.T) {
	for name, container := range containers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				o := Options{Container: container, Dir: dir, Keep: true, Retain: 1}
				time.Sleep(time.Hour - 30*time.Second) // synctest begins at midnight
				w, err := NewWriter(serveStream.Tracks(), o)
				require.NoError(t, err)
				begin := time.Now()
				for f := range serveStream.Frames() {
					if f.DTS >= time.Minute {
						break
					}
					time.Sleep(time.Until(begin.Add(f.DTS)))
					require.NoError(t, w.WriteFrame(t.Context(), f))
				}
				synctest.Wait()
				live := parseChecked(t, request(w, http.MethodGet, container.playlist(), "").Body.Bytes())
				require.Len(t, live.Segments, 3)
				first := hourIn(t, dir, "2000-01-01/00")
				// One that has left the memory.
				require.Equal(t, http.StatusOK, request(w, http.MethodGet, "2000-01-01/00/"+first.Segments[0].URI, "").Code)
				for _, name := range []string{"2000-01-01/00/vod.m3u8", "2000-01-01/00/00-00_77" + container.extension(), "../x/00/00-00_0.ts"} {
					require.Equal(t, http.StatusNotFound, request(w, http.MethodGet, name, "").Code, name)
				}
				require.NoError(t, w.Purge())
				first, second := hourIn(t, dir, "2000-01-01/00"), hourIn(t, dir, "2000-01-01/01")
				require.Equal(t, time.Minute, (first.Total() + second.Total()).Round(50*time.Millisecond))
				require.Len(t, second.Segments, 15)
				require.NoFileExists(t, filepath.Join(dir, container.playlist()))
				require.NoFileExists(t, filepath.Join(dir, "init.mp4"))

				// Another one, in the same hour.
				w, err = NewWriter(serveStream.Tracks(), o)
				require.NoError(t, err)
				require.NoError(t, recordFrames(t, w, 0, 5*time.Second))
				require.NoError(t, w.Close())
				again := hourIn(t, dir, "2000-01-01/01")
				require.Len(t, again.Segments, 18)
				for i, s := range again.Segments {
					require.Equal(t, i == 15, s.Discont)
				}
				require.Equal(t, first, hourIn(t, dir, "2000-01-01/00"))
				require.Zero(t, w.Stats().DiskErrors)

				// Neither a Writer that keeps nothing nor Clean touches it.
				require.NoError(t, Clean(dir))
				o.Keep = false
				w, err = NewWriter(serveStream.Tracks(), o)
				require.NoError(t, err)
				require.NoError(t, w.Purge())
				require.Equal(t, again, hourIn(t, dir, "2000-01-01/01"))
				require.NoFileExists(t, filepath.Join(dir, container.playlist()))
			})
		})
	}
}

// TestKeepPoor: what is in the way of an hour's playlist.
func TestKeepPoor(t *testing.T) {
	seconds := func(n int) *keptSegment {
		return &keptSegment{name: "2000-01-01/00/00-00_0.ts", duration: time.Duration(n) * time.Second}
	}
	good := hourList{}
	dir := &rootFolder{path: t.TempDir()}
	require.NoError(t, good.add(dir, seconds(3)))
	require.NoError(t, good.add(dir, seconds(2)))
	text, err := dir.read("2000-01-01/00/vod.m3u8")
	require.NoError(t, err)
	list := parseChecked(t, text)
	require.Equal(t, 3*time.Second, list.Target)
	require.Len(t, list.Segments, 2)

	for name, text := range map[string]string{
		"nothing":      "",
		"no playlist":  "x",
		"no end":       "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:2,\na.ts\n",
		"no type":      "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n",
		"no target":    "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n",
		"bad target":   "#EXTM3U\n#EXT-X-TARGETDURATION:-2\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n",
		"large target": "#EXTM3U\n#EXT-X-TARGETDURATION:99999999999999999999\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-ENDLIST\n",
		"too large":    "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n" + string(make([]byte, maxHour)) + "#EXT-X-ENDLIST\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := &rootFolder{path: t.TempDir()}
			require.NoError(t, dir.write("2000-01-01/00/vod.m3u8", []byte(text)))
			l := hourList{}
			require.NoError(t, l.add(dir, seconds(2)))
			b, err := dir.read("2000-01-01/00/vod.m3u8")
			require.NoError(t, err)
			p := parseChecked(t, b)
			require.Len(t, p.Segments, 1)
			require.False(t, p.Segments[0].Discont)
		})
	}

	// What was not written is a gap.
	l := hourList{}
	require.NoError(t, l.add(dir, &keptSegment{name: "2000-01-01/05/00-00_0.ts", duration: time.Second}))
	l.gap = true
	require.NoError(t, l.add(dir, &keptSegment{name: "2000-01-01/05/00-01_1.ts", duration: time.Second}))
	text, err = dir.read("2000-01-01/05/vod.m3u8")
	require.NoError(t, err)
	require.True(t, parseChecked(t, text).Segments[1].Discont)
}
