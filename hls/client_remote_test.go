package hls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// A reel is a stream cut into segments of a second, as other people's servers
// have it.
type reel struct {
	container Container
	frames    []*codec.Frame // all of them
	init      []byte         // of fMP4
	segments  [][]byte
}

// reelStream has a key frame every second.
var reelStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Bitrate: 100_000, BFrames: 2}

// cutReel cuts n seconds of s, whose first frame is at from; keep says which
// tracks are in it, nil: all.
func cutReel(t *testing.T, c Container, s testmedia.Stream, from time.Duration, n int, keep func(*codec.Track) bool) *reel {
	t.Helper()
	r := &reel{container: c}
	parts := make([][]*codec.Frame, n)
	for _, f := range s.Take(time.Duration(n) * time.Second) {
		if keep == nil || keep(f.Track) {
			g := *f
			g.DTS += from
			g.PTS += from
			parts[int(f.DTS/time.Second)] = append(parts[int(f.DTS/time.Second)], &g)
			r.frames = append(r.frames, &g)
		}
	}
	var tracks []*codec.Track
	for _, tr := range s.Tracks() {
		if keep == nil || keep(tr) {
			tracks = append(tracks, tr)
		}
	}
	for i, fs := range parts {
		for _, f := range fs { // those in force
			for j := range tracks {
				if tracks[j].ID == f.Track.ID {
					tracks[j] = f.Track
				}
			}
		}
		if c == TS {
			m := ts.NewMuxer(tracks)
			b := m.AppendTables(nil)
			for _, f := range fs {
				var err error
				b, err = m.Append(b, f)
				require.NoError(t, err)
			}
			r.segments = append(r.segments, b)
			continue
		}
		if c == packed {
			b := id3(fs[0].DTS)
			for _, f := range fs {
				var err error
				b, err = codec.AppendADTS(b, f.Track, f.Data)
				require.NoError(t, err)
			}
			r.segments = append(r.segments, b)
			continue
		}
		m, err := mp4.NewMuxer(tracks)
		require.NoError(t, err)
		if i == 0 {
			r.init = m.Init()
		}
		for _, f := range fs {
			require.NoError(t, m.Add(f))
		}
		m.Flush()
		r.segments = append(r.segments, m.AppendFragment([]byte("\x00\x00\x00\x10stypmsdh\x00\x00\x00\x00")))
	}
	return r
}

// id3 returns the tag of a segment of packed audio.
func id3(at time.Duration) []byte {
	body := append([]byte(packedOwner), 0)
	body = binary.BigEndian.AppendUint64(body, uint64(codec.Ticks(at, 90000))&(1<<33-1))
	frame := append([]byte("PRIV\x00\x00\x00"), byte(len(body)), 0, 0)
	frame = append(frame, body...)
	other := []byte("TIT2\x00\x00\x00\x02\x00\x00\x03x")
	return append(append([]byte("ID3\x04\x00\x00\x00\x00\x00"), byte(len(other)+len(frame))), append(other, frame...)...)
}

// encrypt encrypts b by AES-128-CBC with padding.
func encrypt(key, iv, b []byte) []byte {
	pad := keySize - len(b)%keySize
	b = append(bytes.Clone(b), bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(b, b)
	return b
}

func sequenceIV(n int) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 8), uint64(n))
}

// A remote is a server of other people's. It works without a network, so that
// time can be virtual.
type remote struct {
	mu    sync.Mutex
	files map[string][]byte
	funcs map[string]http.HandlerFunc
	gets  []string // what was asked for, with the status
	at    []time.Time
}

func newRemote() *remote {
	return &remote{files: map[string][]byte{}, funcs: map[string]http.HandlerFunc{}}
}

func (o *remote) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	b, isFile := o.files[r.URL.Path]
	fn := o.funcs[r.URL.Path]
	o.gets, o.at = append(o.gets, r.URL.Path), append(o.at, time.Now())
	o.mu.Unlock()
	switch {
	case fn != nil:
		fn(w, r)
	case isFile:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	default:
		http.NotFound(w, r)
	}
}

// on answers requests for path by fn.
func (o *remote) on(path string, fn http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.funcs[path] = fn
}

// RoundTrip answers a request.
func (o *remote) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// asked returns how often a path was asked for.
func (o *remote) asked(path string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, g := range o.gets {
		if g == path {
			n++
		}
	}
	return n
}

// times returns when a path was asked for.
func (o *remote) times(path string) (at []time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, g := range o.gets {
		if g == path {
			at = append(at, o.at[i])
		}
	}
	return at
}

func (o *remote) client() *Client { return &Client{HTTP: &http.Client{Transport: o}} }

// head is the tags of a playlist before its segments.
const head = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n"

// put offers the segments of r below dir, encrypted if key is not nil, and
// returns their lines in a playlist.
func (o *remote) put(dir string, r *reel, key []byte) (tags string, lines []string) {
	if r.init != nil {
		o.files[dir+"init.mp4"] = r.init
		tags = "#EXT-X-MAP:URI=\"init.mp4\"\n"
	}
	if key != nil {
		o.files[dir+"key"] = key
		tags += "#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\n"
	}
	for i, b := range r.segments {
		if key != nil {
			b = encrypt(key, sequenceIV(i), b)
		}
		o.files[fmt.Sprint(dir, i)] = b
		lines = append(lines, fmt.Sprintf("#EXTINF:1.000,\n%d\n", i))
	}
	return tags, lines
}

// vod offers r as a whole.
func (o *remote) vod(dir string, r *reel, key []byte) {
	tags, lines := o.put(dir, r, key)
	o.files[dir+"index.m3u8"] = []byte(head + tags + strings.Join(lines, "") + "#EXT-X-ENDLIST\n")
}

// live offers r as it would be if it was recorded from now on, after begin
// segments that were there. It lists window segments.
func (o *remote) live(dir string, r *reel, key []byte, begin, window int) {
	tags, lines := o.put(dir, r, key)
	start := time.Now()
	o.funcs[dir+"index.m3u8"] = func(w http.ResponseWriter, _ *http.Request) {
		n := max(0, min(begin+int(time.Since(start)/time.Second), len(lines)))
		first := max(0, n-window)
		fmt.Fprintf(w, "%s#EXT-X-MEDIA-SEQUENCE:%d\n%s%s", head, first, tags, strings.Join(lines[first:n], ""))
		if n == len(lines) {
			io.WriteString(w, "#EXT-X-ENDLIST\n")
		}
	}
}

// readAll reads r until it ends, and closes it.
func readAll(t *testing.T, r source.Reader) (fs []*codec.Frame, err error) {
	t.Helper()
	for {
		f, err := r.ReadFrame(t.Context())
		if errors.Is(err, io.EOF) {
			require.NoError(t, r.Close())
			return fs, nil
		}
		if err != nil {
			require.NoError(t, r.Close())
			return fs, err
		}
		fs = append(fs, f)
	}
}

// open opens path of o.
func (o *remote) open(t *testing.T, path string) *Reader {
	t.Helper()
	r, err := o.client().Open(t.Context(), "http://origin"+path)
	require.NoError(t, err)
	return r.(*Reader)
}

// sameFrames requires that got is want: its data, track by track, in the order of
// their DTS, at the same distance from the first frame.
func sameFrames(t *testing.T, want, got []*codec.Frame) {
	t.Helper()
	require.Len(t, got, len(want))
	byKind := func(fs []*codec.Frame) map[codec.Kind][]*codec.Frame {
		m := map[codec.Kind][]*codec.Frame{}
		for _, f := range fs {
			m[f.Track.Kind()] = append(m[f.Track.Kind()], f)
		}
		return m
	}
	w, g := byKind(want), byKind(got)
	for k := range w {
		require.Len(t, g[k], len(w[k]))
		for i, f := range w[k] {
			require.Equal(t, f.Data, g[k][i].Data, "%v %d", k, i)
			require.InDelta(t, f.DTS-want[0].DTS, g[k][i].DTS, float64(2*time.Millisecond), "%v %d", k, i)
			require.InDelta(t, f.PTS-want[0].DTS, g[k][i].PTS, float64(2*time.Millisecond), "%v %d", k, i)
			require.Equal(t, f.Key(), g[k][i].Key())
		}
	}
	inOrder(t, got)
}

// inOrder requires that DTS does not fall.
func inOrder(t *testing.T, fs []*codec.Frame) {
	t.Helper()
	for i := 1; i < len(fs); i++ {
		require.GreaterOrEqual(t, fs[i].DTS, fs[i-1].DTS, "frame %d", i)
	}
}

// breaks returns the DTS of frames of a kind that are a discontinuity.
func breaks(fs []*codec.Frame, k codec.Kind) (at []time.Duration) {
	for _, f := range fs {
		if f.Has(codec.FlagDiscont) && f.Track.Kind() == k {
			at = append(at, f.DTS)
		}
	}
	return at
}
