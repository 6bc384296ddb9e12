package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

var containers = map[string]Container{"TS": TS, "fMP4": FMP4}

// Every kind of playlist gives the frames that are in the segments; a live one
// in real time.
func TestClient(t *testing.T) {
	key := []byte("0123456789abcdef")
	for name, c := range containers {
		reel := cutReel(t, c, reelStream, 100*time.Second, 20, nil)
		for _, k := range [][]byte{nil, key} {
			t.Run(fmt.Sprintf("%s/VOD/key %q", name, k), func(t *testing.T) {
				o := newRemote()
				o.vod("/a/", reel, k)
				r := o.open(t, "/a/index.m3u8")
				require.False(t, r.Live())
				require.Len(t, r.Tracks(), 2)
				fs, err := readAll(t, r)
				require.NoError(t, err)
				sameFrames(t, reel.frames, fs)
				require.Empty(t, breaks(fs, codec.KindVideo))
				s := r.Stats()
				require.EqualValues(t, 20, s.Segments)
				require.Zero(t, s.Missing+s.Expired+s.Gaps+s.Discontinuities+s.Reloads+s.Retries)
			})
			t.Run(fmt.Sprintf("%s/live/key %q", name, k), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newRemote()
					o.live("/a/", reel, k, 8, 6)
					r := o.open(t, "/a/index.m3u8")
					require.True(t, r.Live())
					require.Len(t, r.Tracks(), 2)
					start := time.Now()
					var fs []*codec.Frame
					for f, err := range source.Frames(t.Context(), r) {
						require.NoError(t, err)
						require.InDelta(t, f.DTS, time.Since(start), float64(10*time.Millisecond))
						fs = append(fs, f)
					}
					require.NoError(t, r.Close())
					var want []*codec.Frame // from three target durations before the end
					for _, f := range reel.frames {
						if f.DTS >= 105*time.Second {
							want = append(want, f)
						}
					}
					sameFrames(t, want, fs)
					require.Empty(t, breaks(fs, codec.KindVideo))
					if k != nil {
						require.Equal(t, 1, o.asked("/a/key"), "a key is kept")
					}
				})
			})
		}
	}
}

// The playlist is loaded again after its target duration, after half of it if
// nothing had changed, and given up in the end.
func TestClientReloads(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 6, nil)
	synctest.Test(t, func(t *testing.T) {
		o := newRemote()
		tags, lines := o.put("/", reel, nil)
		n := 5
		o.funcs["/index.m3u8"] = func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Replace(head, "DURATION:1", "DURATION:4", 1)+tags+strings.Join(lines[:n], ""))
		}
		r := o.open(t, "/index.m3u8")
		start := time.Now()
		time.Sleep(3 * time.Second)
		n = 6
		fs, err := readAll(t, r)
		require.ErrorIs(t, err, source.ErrTimeout)
		require.Len(t, fs, len(reel.frames))
		var at []time.Duration
		for _, x := range o.times("/index.m3u8") {
			at = append(at, x.Sub(start))
		}
		require.GreaterOrEqual(t, len(at), 10)
		require.Equal(t, []time.Duration{0, 4 * time.Second, 8 * time.Second, 10 * time.Second, 12 * time.Second}, at[:5])
		require.InDelta(t, 4*time.Second+maxStale*4*time.Second, time.Since(start), float64(4*time.Second))
	})
}

// What the playlist says of the time of day is on the frames.
func TestClientDates(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 77*time.Second, 2, nil)
	o := newRemote()
	o.vod("/", reel, nil)
	o.files["/index.m3u8"] = []byte(strings.Replace(string(o.files["/index.m3u8"]), "#EXTINF", "#EXT-X-PROGRAM-DATE-TIME:2020-03-28T11:09:38Z\n#EXTINF", 1))
	fs, err := readAll(t, o.open(t, "/index.m3u8"))
	require.NoError(t, err)
	for _, f := range fs {
		require.WithinDuration(t, time.Date(2020, 3, 28, 11, 9, 38, 0, time.UTC).Add(f.PTS), f.Wall, 100*time.Millisecond)
	}
}

// A live playlist may be empty when it is opened.
func TestClientEarly(t *testing.T) {
	reel := cutReel(t, TS, reelStream, 0, 10, nil)
	synctest.Test(t, func(t *testing.T) {
		o := newRemote()
		o.live("/", reel, nil, -2, 5)
		r := o.open(t, "/index.m3u8")
		fs, err := readAll(t, r)
		require.NoError(t, err)
		sameFrames(t, reel.frames, fs)
	})
}

func TestClientDiscontinuity(t *testing.T) {
	for name, c := range containers {
		for _, gap := range []time.Duration{1000 * time.Second, 0, 5 * time.Second} {
			t.Run(fmt.Sprint(name, gap), func(t *testing.T) {
				a := cutReel(t, c, reelStream, 50*time.Second, 3, nil)
				other := reelStream
				other.Change, other.Seed = 1, 5
				b := cutReel(t, c, other, gap, 1, nil)
				o := newRemote()
				tagsA, linesA := o.put("/a/", a, nil)
				tagsB, linesB := o.put("/b/", b, nil)
				up := func(s string, dir string) string {
					return strings.NewReplacer("\n0\n", "\n/"+dir+"/0\n", "\n1\n", "\n/"+dir+"/1\n", "\n2\n", "\n/"+dir+"/2\n", "\"init", "\"/"+dir+"/init").Replace(s)
				}
				list := head + up(tagsA+strings.Join(linesA, ""), "a") + "#EXT-X-DISCONTINUITY\n" + up(tagsB+strings.Join(linesB, ""), "b") +
					"#EXT-X-DISCONTINUITY\n" + up(tagsA+linesA[0], "a") + "#EXT-X-ENDLIST\n"
				o.files["/index.m3u8"] = []byte(list)
				r := o.open(t, "/index.m3u8")
				fs, err := readAll(t, r)
				require.NoError(t, err)
				inOrder(t, fs)
				require.Len(t, r.Tracks(), 2, "tracks keep their places")
				at := breaks(fs, codec.KindVideo)
				require.Len(t, at, 2)
				require.InDelta(t, 3*time.Second, at[0], float64(100*time.Millisecond))
				require.InDelta(t, 4*time.Second, at[1], float64(200*time.Millisecond))
				require.Len(t, fs, len(a.frames)+len(b.frames)+len(a.frames)/3)
				apart := map[codec.Kind]time.Duration{}
				for _, f := range fs {
					require.Less(t, f.DTS-apart[f.Track.Kind()], 150*time.Millisecond, "no hole")
					apart[f.Track.Kind()] = f.DTS
				}
				require.EqualValues(t, 2, r.Stats().Discontinuities)
			})
		}
	}
}

// A segment at a wholly other time continues the one before, whether the playlist
// says so or not; the clock of MPEG-TS wraps without anybody noticing.
func TestClientUndeclaredJump(t *testing.T) {
	for name, c := range containers {
		t.Run(name, func(t *testing.T) {
			a, b := cutReel(t, c, reelStream, 5*time.Second, 2, nil), cutReel(t, c, reelStream, 5000*time.Second, 2, nil)
			o := newRemote()
			tags, lines := o.put("/", a, nil)
			o.files["/x0"], o.files["/x1"] = b.segments[0], b.segments[1]
			o.files["/index.m3u8"] = []byte(head + tags + strings.Join(lines, "") + "#EXTINF:1,\nx0\n#EXTINF:1,\nx1\n#EXT-X-ENDLIST\n")
			fs, err := readAll(t, o.open(t, "/index.m3u8"))
			require.NoError(t, err)
			inOrder(t, fs)
			require.InDelta(t, 4*time.Second, fs[len(fs)-1].DTS, float64(300*time.Millisecond))
			require.Len(t, breaks(fs, codec.KindVideo), 1)
		})
	}
	t.Run("wrap", func(t *testing.T) {
		reel := cutReel(t, TS, reelStream, tsPeriod-2500*time.Millisecond, 6, nil)
		o := newRemote()
		o.vod("/", reel, nil)
		fs, err := readAll(t, o.open(t, "/index.m3u8"))
		require.NoError(t, err)
		sameFrames(t, reel.frames, fs)
		require.Empty(t, breaks(fs, codec.KindVideo))
	})
}

const master = `#EXTM3U
#EXT-X-VERSION:99
#EXT-X-FUTURE:yes
#EXT-X-STREAM-INF:BANDWIDTH=800000,AVERAGE-BANDWIDTH=700000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=25.000
mid/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=3000000
# a comment
high/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=100000
low/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=9000000
lost/index.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"
`

func TestClientVariants(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 2, nil)
	for _, c := range []struct {
		name   string
		client Client
		want   string
	}{
		{"best that is there", Client{}, "high"},
		{"limit", Client{MaxBandwidth: 1_000_000}, "mid"},
		{"all beyond the limit", Client{MaxBandwidth: 1}, "low"},
		{"chosen", Client{Choose: func(vs []Variant) int {
			require.Len(t, vs, 4)
			require.Equal(t, 640, vs[0].Width)
			require.Equal(t, 360, vs[0].Height)
			require.InDelta(t, 25, vs[0].FrameRate, 0)
			require.Equal(t, 700_000, vs[0].AverageBandwidth)
			require.Equal(t, []string{"avc1.64001f", "mp4a.40.2"}, vs[0].Codecs)
			return 2
		}}, "low"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newRemote()
			o.files["/index.m3u8"] = []byte(master)
			for _, dir := range []string{"/low/", "/mid/", "/high/"} {
				o.vod(dir, reel, nil)
			}
			c.client.HTTP = &http.Client{Transport: o}
			r, err := c.client.Open(t.Context(), "http://origin/index.m3u8")
			require.NoError(t, err)
			fs, err := readAll(t, r)
			require.NoError(t, err)
			sameFrames(t, reel.frames, fs)
			require.Equal(t, 1, o.asked("/"+c.want+"/1"))
		})
	}
	o := newRemote()
	o.files["/index.m3u8"] = []byte(master)
	c := o.client()
	c.Choose = func([]Variant) int { return -1 }
	_, err := c.Open(t.Context(), "http://origin/index.m3u8")
	require.ErrorIs(t, err, source.ErrBadKey)
	_, err = o.client().Open(t.Context(), "http://origin/index.m3u8")
	require.ErrorIs(t, err, source.ErrNotFound)
	o.files["/mid/index.m3u8"] = []byte(master)
	c.Choose = func([]Variant) int { return 0 }
	_, err = c.Open(t.Context(), "http://origin/index.m3u8")
	require.ErrorIs(t, err, ErrInvalid, "no playlist of playlists of playlists")
}

// Audio with a playlist of its own is merged with the video.
func TestClientSeparateAudio(t *testing.T) {
	const groups = `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Deutsch",LANGUAGE="de",URI="de/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,URI="en/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="other",NAME="x",DEFAULT=YES,URI="none.m3u8"
#EXT-X-MEDIA:TYPE=STRANGE,GROUP-ID="s",NAME="x"
#EXT-X-STREAM-INF:BANDWIDTH=800000,AUDIO="a"
v/index.m3u8
`
	video := func(tr *codec.Track) bool { return tr.Kind() == codec.KindVideo }
	audio := func(tr *codec.Track) bool { return tr.Kind() == codec.KindAudio }
	for name, c := range containers {
		for _, muxed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " audio in the video's segments, too: ", muxed), func(t *testing.T) {
				all := cutReel(t, c, reelStream, 10*time.Second, 5, nil)
				v := all
				if !muxed {
					v = cutReel(t, c, reelStream, 10*time.Second, 5, video)
				}
				a := cutReel(t, c, reelStream, 10*time.Second, 5, audio)
				o := newRemote()
				o.files["/index.m3u8"] = []byte(groups)
				o.vod("/v/", v, nil)
				o.vod("/en/", a, nil)
				r := o.open(t, "/index.m3u8")
				require.Len(t, r.Tracks(), 2)
				fs, err := readAll(t, r)
				require.NoError(t, err)
				sameFrames(t, all.frames, fs)
			})
		}
	}
	t.Run("live", func(t *testing.T) {
		v, a := cutReel(t, FMP4, reelStream, 0, 12, video), cutReel(t, FMP4, reelStream, 0, 12, audio)
		synctest.Test(t, func(t *testing.T) {
			o := newRemote()
			o.files["/index.m3u8"] = []byte(groups)
			o.live("/v/", v, nil, 6, 5)
			o.live("/de/", a, nil, 5, 5) // a segment behind
			c := o.client()
			c.Audio = "de"
			r, err := c.Open(t.Context(), "http://origin/index.m3u8")
			require.NoError(t, err)
			fs, err := readAll(t, r)
			require.NoError(t, err)
			inOrder(t, fs)
			kinds := map[codec.Kind]int{}
			for _, f := range fs {
				kinds[f.Track.Kind()]++
			}
			require.Equal(t, 9*25, kinds[codec.KindVideo])
			require.InDelta(t, 9*47, kinds[codec.KindAudio], 24+3, "and up to half a second before")
		})
	})
}

// Segments that are not there are left out; time goes on.
func TestClientMissing(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 8, nil)
	for _, c := range []struct {
		name    string
		spoil   func(o *remote)
		missing uint64
		retries uint64
	}{
		{"404", func(o *remote) { delete(o.files, "/3") }, 1, 2},
		{"403", func(o *remote) {
			o.funcs["/3"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
		}, 1, 0},
		{"500", func(o *remote) {
			o.funcs["/3"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
		}, 1, 2},
		{"garbage", func(o *remote) { o.files["/3"] = []byte("<html>a page about segments</html>") }, 1, 0},
		{"empty", func(o *remote) { o.files["/3"] = nil }, 1, 0},
		{"gap", func(o *remote) {
			o.files["/index.m3u8"] = []byte(strings.Replace(string(o.files["/index.m3u8"]), "#EXTINF:1.000,\n3\n", "#EXT-X-GAP\n#EXTINF:1.000,\n3\n", 1))
		}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newRemote()
				o.vod("/", reel, nil)
				c.spoil(o)
				r := o.open(t, "/index.m3u8")
				fs, err := readAll(t, r)
				require.NoError(t, err)
				var want []*codec.Frame
				for _, f := range reel.frames {
					if f.DTS < 3*time.Second || f.DTS >= 4*time.Second {
						want = append(want, f)
					}
				}
				sameFrames(t, want, fs)
				require.Equal(t, []time.Duration{4 * time.Second}, breaks(fs, codec.KindVideo))
				s := r.Stats()
				require.Equal(t, c.missing, s.Missing)
				require.Equal(t, c.retries, s.Retries)
				require.EqualValues(t, 7, s.Segments)
			})
		})
	}
	t.Run("all", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newRemote()
			o.vod("/", reel, nil)
			for i := 2; i < 8; i++ {
				delete(o.files, fmt.Sprint("/", i))
			}
			r := o.open(t, "/index.m3u8")
			fs, err := readAll(t, r)
			var e *StatusError
			require.ErrorAs(t, err, &e)
			require.Equal(t, 404, e.Code)
			require.InDelta(t, len(reel.frames)/4, len(fs), 2)
			require.EqualValues(t, maxMissing, r.Stats().Missing)
		})
	})
}

// A server that loses segments, sends old copies, stumbles, and begins anew.
func TestClientLiveTrouble(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 40, nil)
	list := func(first, last int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "%s#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-MAP:URI=\"init.mp4\"\n", head, first)
		for i := first; i < last; i++ {
			fmt.Fprintf(&b, "#EXTINF:1,\n%d?token=%d\n", i, last)
		}
		return b.String()
	}
	for _, c := range []struct {
		name    string
		serve   func(second int) (code int, body string)
		expired uint64
		breaks  int
	}{
		{"jump", func(s int) (int, string) {
			if s < 5 {
				return 200, list(s, s+5)
			}
			return 200, list(s+10, s+15)
		}, 6, 1},
		{"old copies", func(s int) (int, string) {
			if s%2 == 1 {
				return 200, list(s-1, s+4)
			}
			return 200, list(s, s+5)
		}, 0, 0},
		{"stumbles", func(s int) (int, string) {
			switch s {
			case 3:
				return 503, ""
			case 4:
				return 200, "<html>"
			case 6:
				return 404, ""
			}
			return 200, list(s, s+5)
		}, 0, 0},
		{"anew", func(s int) (int, string) {
			if s < 5 {
				return 200, list(s+20, s+25)
			}
			return 200, strings.Replace(list(s-5, s-1), "TARGET", "X:1\n#EXT-X-TARGET", 1)
		}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newRemote()
				o.put("/", reel, nil)
				start := time.Now()
				o.funcs["/index.m3u8"] = func(w http.ResponseWriter, _ *http.Request) {
					s := int(time.Since(start) / time.Second)
					if s >= 12 {
						io.WriteString(w, list(20, 22)+"#EXT-X-ENDLIST")
						return
					}
					code, body := c.serve(s)
					w.WriteHeader(code)
					io.WriteString(w, body)
				}
				r := o.open(t, "/index.m3u8")
				var fs []*codec.Frame
				for f, err := range source.Frames(t.Context(), r) {
					require.NoError(t, err)
					if fs = append(fs, f); f.DTS > 8*time.Second {
						break
					}
				}
				require.NoError(t, r.Close())
				inOrder(t, fs)
				s := r.Stats()
				require.Equal(t, c.expired, s.Expired)
				require.Zero(t, s.Missing)
				require.Len(t, breaks(fs, codec.KindVideo), c.breaks)
			})
		})
	}
}

// A viewer who stops for a minute does not stay a minute behind.
func TestClientFallsBehind(t *testing.T) {
	reel := cutReel(t, FMP4, testmedia.Stream{Audio: codec.AAC}, 0, 150, nil)
	synctest.Test(t, func(t *testing.T) {
		o := newRemote()
		o.live("/", reel, nil, 5, 200)
		r := o.open(t, "/index.m3u8")
		_, err := r.ReadFrame(t.Context())
		require.NoError(t, err)
		time.Sleep(80 * time.Second)
		fs, err := readAll(t, r)
		require.NoError(t, err)
		inOrder(t, fs)
		require.NotZero(t, r.Stats().Expired)
		require.Len(t, breaks(fs, codec.KindAudio), 1)
	})
}

func TestClientRedirect(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 2, nil)
	o := newRemote()
	o.vod("/deep/down/", reel, []byte("0123456789abcdef"))
	hosts := map[string]string{}
	o.funcs["/start"] = func(w http.ResponseWriter, r *http.Request) {
		hosts[r.URL.Host] = r.Header.Get("Authorization")
		http.Redirect(w, r, "http://elsewhere/deep/down/index.m3u8", http.StatusFound)
	}
	key := o.files["/deep/down/key"]
	o.funcs["/deep/down/key"] = func(w http.ResponseWriter, r *http.Request) {
		hosts[r.URL.Host] = r.Header.Get("Authorization")
		require.Equal(t, "a", r.Header.Get("X-App"))
		require.Equal(t, "MediaKit", r.Header.Get("User-Agent"))
		_, _ = w.Write(key)
	}
	c := o.client()
	c.Header = http.Header{"Authorization": {"secret"}, "X-App": {"a"}}
	r, err := c.Open(t.Context(), "http://origin/start")
	require.NoError(t, err)
	fs, err := readAll(t, r)
	require.NoError(t, err)
	sameFrames(t, reel.frames, fs)
	require.Equal(t, map[string]string{"origin": "secret", "elsewhere": ""}, hosts)
}

// Segments that are ranges of a file, also with a server that knows no ranges.
func TestClientByteRanges(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 4, nil)
	file := append([]byte(nil), reel.init...)
	list := head + fmt.Sprintf("#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"%d@0\"\n", len(file))
	for i, b := range reel.segments {
		at := ""
		if i != 1 {
			at = fmt.Sprintf("@%d", len(file))
		}
		list += fmt.Sprintf("#EXT-X-BYTERANGE:%d%s\n#EXTINF:1,\nall.mp4\n", len(b), at)
		file = append(file, b...)
	}
	for _, ranges := range []bool{true, false} {
		o := newRemote()
		o.files["/all.mp4"], o.files["/index.m3u8"] = file, []byte(list+"#EXT-X-ENDLIST\n")
		if !ranges {
			o.funcs["/all.mp4"] = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) }
		}
		fs, err := readAll(t, o.open(t, "/index.m3u8"))
		require.NoError(t, err)
		sameFrames(t, reel.frames, fs)
	}
}

// Keys change, have an IV or not, and end; the initialization section may be
// encrypted as well.
func TestClientKeys(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 4, nil)
	k1, k2, iv := []byte("0123456789abcdef"), []byte("fedcba9876543210"), []byte("ABCDEFGHIJKLMNOP")
	o := newRemote()
	o.files = map[string][]byte{
		"/k1": k1, "/k2": k2,
		"/init": encrypt(k1, iv, reel.init),
		"/0":    encrypt(k1, iv, reel.segments[0]),
		"/1":    encrypt(k2, sequenceIV(8), reel.segments[1]),
		"/2":    reel.segments[2],
		"/3":    encrypt(k1, sequenceIV(0xabc), reel.segments[3]),
		"/index.m3u8": []byte(head + `#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-KEY:METHOD=AES-128,URI="k1",IV=0x4142434445464748494A4B4C4D4E4F50
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"
#EXT-X-MAP:URI="init"
#EXTINF:1,
0
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"
#EXT-X-KEY:METHOD=AES-128,URI="k2",KEYFORMAT="identity"
#EXTINF:1,
1
#EXT-X-KEY:METHOD=NONE
#EXTINF:1,
2
#EXT-X-KEY:METHOD=AES-128,URI="k1",IV=0xabc
#EXTINF:1,
3
#EXT-X-ENDLIST
`)}
	r := o.open(t, "/index.m3u8")
	fs, err := readAll(t, r)
	require.NoError(t, err)
	sameFrames(t, reel.frames, fs)
	require.Equal(t, 1, o.asked("/k1"))
}

func TestClientRefuses(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 3, nil)
	const segment = "#EXTINF:1,\n0\n#EXTINF:1,\n1\n#EXT-X-ENDLIST\n"
	for _, c := range []struct {
		name, list string
		err        error
		says       string
	}{
		{"no playlist", "<html>", ErrInvalid, "<html>"},
		{"empty", "", ErrInvalid, ""},
		{"no segments", head + "#EXT-X-ENDLIST\n", ErrInvalid, "without segments"},
		{"too large", "#EXTM3U\n" + strings.Repeat("#\n", maxPlaylist), source.ErrLimit, ""},
		{"too many segments", head + strings.Repeat("#EXTINF:1,\na\n", maxListed+1), source.ErrLimit, "10000"},
		{"SAMPLE-AES", head + "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\"\n" + segment, source.ErrUnsupported, "SAMPLE-AES"},
		{"FairPlay", head + "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",KEYFORMAT=\"com.apple\"\n" + segment, source.ErrUnsupported, "com.apple"},
		{"file key", head + "#EXT-X-KEY:METHOD=AES-128,URI=\"file:///etc/passwd\"\n" + segment, source.ErrUnsupported, "file"},
		{"file segment", head + "#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", source.ErrUnsupported, "file"},
		{"variables", head + "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n" + segment, source.ErrUnsupported, "EXT-X-DEFINE"},
		{"packed MP3", head + "#EXTINF:1,\nmp3\n#EXT-X-ENDLIST\n", source.ErrUnsupported, "MP3"},
		{"packed AC-3", head + "#EXTINF:1,\nac3\n#EXT-X-ENDLIST\n", source.ErrUnsupported, "AC-3"},
		{"subtitles", head + "#EXTINF:1,\nvtt\n#EXT-X-ENDLIST\n", source.ErrUnsupported, "subtitles"},
		{"short key", head + "#EXT-X-KEY:METHOD=AES-128,URI=\"short\"\n#EXTINF:1,\n0\n#EXT-X-ENDLIST\n", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newRemote()
			o.vod("/", reel, nil)
			o.files["/index.m3u8"] = []byte(c.list)
			o.files["/mp3"], o.files["/ac3"] = []byte("\xff\xfb\x90\x00 and so on"), []byte("\x0b\x77 and so on")
			o.files["/vtt"], o.files["/short"] = []byte("WEBVTT\n\n\n"), []byte("short")
			_, err := o.client().Open(filmtest.Soon(t), "http://user:secret@origin/index.m3u8")
			if c.err == nil {
				require.Error(t, err)
			} else {
				require.ErrorIs(t, err, c.err)
			}
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "secret")
		})
	}
	for url, want := range map[string]error{
		"file:///etc/passwd": source.ErrUnsupported, "http://": source.ErrBadKey, "http://%zz/": source.ErrBadKey, "rtmp://a/b": source.ErrUnsupported,
	} {
		_, err := Open(t.Context(), url)
		require.ErrorIs(t, err, want, url)
	}
}

// A transfer that breaks off goes on where it was.
func TestClientResumes(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 3, nil)
	for _, key := range [][]byte{nil, []byte("0123456789abcdef")} {
		o := newRemote()
		o.vod("/", reel, key)
		b := o.files["/1"]
		tries := 0
		o.funcs["/1"] = func(w http.ResponseWriter, r *http.Request) {
			if tries++; tries == 1 {
				w.Header().Set("Content-Length", fmt.Sprint(len(b)))
				_, _ = w.Write(b[:len(b)/2])
				panic(http.ErrAbortHandler)
			}
			require.Equal(t, fmt.Sprintf("bytes=%d-", len(b)/2), r.Header.Get("Range"))
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", len(b)/2, len(b)-1, len(b)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(b[len(b)/2:])
		}
		srv := httptest.NewServer(o)
		r, err := Open(filmtest.Soon(t), srv.URL+"/index.m3u8")
		require.NoError(t, err)
		fs, err := readAll(t, r)
		require.NoError(t, err)
		sameFrames(t, reel.frames, fs)
		require.EqualValues(t, 1, r.(*Reader).Stats().Retries)
		srv.Close()
	}
}

// hang keeps a request until its client goes.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// A server that says nothing, wherever it does.
func TestClientSilence(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 1, nil)
	for _, path := range []string{"/index.m3u8", "/init.mp4", "/key", "/0"} {
		t.Run(path, func(t *testing.T) {
			o := newRemote()
			o.vod("/", reel, []byte("0123456789abcdef"))
			o.funcs[path] = hang
			srv := httptest.NewServer(o)
			defer srv.Close()
			defer srv.CloseClientConnections()
			r, err := (&Client{ReadTimeout: 20 * time.Millisecond}).Open(filmtest.Soon(t), srv.URL+"/index.m3u8")
			require.ErrorIs(t, err, source.ErrTimeout)
			require.Nil(t, r)
		})
	}
}

// The context is for opening only; Close ends what waits.
func TestClientContext(t *testing.T) {
	reel := cutReel(t, FMP4, reelStream, 0, 5, nil)
	o := newRemote()
	o.vod("/", reel, nil)
	o.funcs["/4"] = hang
	srv := httptest.NewServer(o)
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Open(ctx, srv.URL+"/index.m3u8")
	require.NoError(t, err)
	cancel()
	for range 50 {
		_, err = r.ReadFrame(t.Context())
		require.NoError(t, err)
	}
	done := make(chan error)
	go func() {
		for {
			if _, err := r.ReadFrame(t.Context()); err != nil {
				done <- err
				return
			}
		}
	}()
	require.NoError(t, r.Close())
	require.ErrorIs(t, <-done, source.ErrClosed)

	o.on("/0", hang)
	ctx, cancel = context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("no patience"))
	defer cancel()
	_, err = Open(ctx, srv.URL+"/index.m3u8")
	require.ErrorContains(t, err, "no patience")
}
