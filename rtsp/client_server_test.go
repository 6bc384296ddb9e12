package rtsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A journey is a stream that is published and played at the same time: writing
// is never far ahead of reading, so that no socket has to hold much and a viewer
// finds the first key frame.
type journey struct {
	publish, play *Client
	url           string
	frames        []*codec.Frame
	tracks        []*codec.Track
}

// ahead is how many frames writing may be ahead of reading.
const ahead = 12

// run returns what is played of what is published. The last frames may stay on
// the way; they are left out.
func (j *journey) run(t testing.TB) []*codec.Frame {
	t.Helper()
	w, err := j.publish.Create(soon(t), j.url, j.tracks)
	require.NoError(t, err)
	may := make(chan struct{}, 2*len(j.frames)+ahead)
	for range ahead {
		may <- struct{}{}
	}
	written := make(chan error, 1)
	ctx, cancel := context.WithCancel(soon(t))
	go func() {
		for _, f := range j.frames {
			select {
			case <-may:
			case <-ctx.Done():
				written <- ctx.Err()
				return
			}
			if err := w.WriteFrame(ctx, f); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	defer func() {
		cancel()
		if err := <-written; !errors.Is(err, context.Canceled) {
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
	}()
	r, err := j.play.Open(soon(t), j.url)
	require.NoError(t, err)
	defer r.Close()
	require.Len(t, r.Tracks(), len(j.tracks))
	var got []*codec.Frame
	ended := map[codec.Kind]bool{}
	for {
		f, err := r.ReadFrame(soon(t))
		require.NoError(t, err, "after %d of %d frames", len(got), len(j.frames))
		got = append(got, f)
		for range 2 { // more than were read: some came before what playing begins with
			select {
			case may <- struct{}{}:
			default:
			}
		}
		all := ofKind(j.frames, f.Track.Kind())
		for _, last := range all[len(all)-2:] {
			if bytes.HasSuffix(last.Data, f.Data) {
				ended[f.Track.Kind()] = true
			}
		}
		if len(ended) == len(j.tracks) {
			return got
		}
	}
}

// requireSynced requires that got has the frames of want from one on, but perhaps
// the last ones, all of them later or earlier by the same time. The times of the
// first frames may be others until reports have come.
func requireSynced(t testing.TB, want, got []*codec.Frame, off time.Duration) {
	t.Helper()
	var shift time.Duration
	begun := false
	for _, k := range []codec.Kind{codec.KindAudio, codec.KindVideo} { // pictures may be all the same
		want, got := ofKind(want, k), ofKind(got, k)
		if len(want) == 0 {
			continue
		}
		require.NotEmpty(t, got, k)
		last, end := got[len(got)-1], -1
		for i, f := range want {
			if !bytes.HasSuffix(f.Data, last.Data) {
				continue
			}
			if end < 0 || begun && (f.PTS+shift-last.PTS).Abs() < (want[end].PTS+shift-last.PTS).Abs() {
				end = i
			}
		}
		require.Greater(t, end, len(want)/2, k)
		want = want[:end+1]
		if k == codec.KindAudio && want[0].Track.Codec == codec.L16 {
			want, got = samples(want), samples(got)
		}
		if !begun {
			begun, shift = true, got[len(got)-1].PTS-want[len(want)-1].PTS
		}
		require.LessOrEqual(t, len(got), len(want))
		require.Greater(t, len(got), len(want)/2)
		want = want[len(want)-len(got):]
		for i, f := range got {
			require.Equal(t, want[i].Data, f.Data, "%v %d", k, i)
			require.Equal(t, want[i].Key(), f.Key(), "%v %d", k, i)
			require.InDelta(t, want[i].PTS+shift, f.PTS, float64(off), "%v %d", k, i)
			require.InDelta(t, want[i].DTS+shift, f.DTS, float64(off), "%v %d", k, i)
		}
	}
}

// wireTick is how far times may be off: more than what any clock rounds to, and
// than what reports correct.
const wireTick = time.Millisecond

// samples returns L16 in frames of a millisecond, for samples know no frames.
func samples(fs []*codec.Frame) []*codec.Frame {
	const size = 48 * 2 * 2
	var all []*codec.Frame
	var rest []byte
	for _, f := range fs {
		at := f.PTS - codec.FromTicks(int64(len(rest)/4), 48000)
		for rest = append(rest, f.Data...); len(rest) >= size; rest = rest[size:] {
			all = append(all, &codec.Frame{Track: f.Track, Flags: codec.FlagKey, PTS: at, DTS: at, Data: rest[:size:size]})
			at += time.Millisecond
		}
	}
	return all
}

// Whatever can be published can be played as it was: every codec, by every
// transport, with audio and video as far apart as they were.
func TestRoundTrip(t *testing.T) {
	server, client := testTLS(t)
	hub := newHub(t)
	plain := startServer(t, &Server{Handler: hub, Logger: testLog(t)})
	secure := startServer(t, &Server{Handler: hub, TLSConfig: server, Logger: testLog(t)})
	for i, st := range []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
		{Video: codec.H265, Audio: codec.Opus, BFrames: 2},
		{Video: codec.AV1, Audio: codec.PCMA},
		{Video: codec.VP8, Audio: codec.PCMU},
		{Video: codec.VP9, Audio: codec.MP3},
		{Video: codec.MJPEG, Audio: codec.L16},
		{Video: codec.H264},
		{Audio: codec.AAC},
	} {
		st.GOP, st.Bitrate = 2*time.Second, 400_000
		for _, way := range []struct {
			publish, play Transport
			url           string
			off           time.Duration
		}{
			{TransportTCP, TransportTCP, plain, wireTick},
			{TransportHTTP, TransportHTTP, plain, wireTick},
			{TransportTCP, TransportAuto, plain, wireTick},
			{TransportUDP, TransportUDP, plain, 100 * time.Millisecond}, // reports may come after packets
			{TransportAuto, TransportAuto, secure, wireTick},
		} {
			t.Run(fmt.Sprintf("%v %v %v %v", st.Video, st.Audio, way.publish, way.play), func(t *testing.T) {
				publish := &Client{Transport: way.publish, TLSConfig: client, Logger: testLog(t)}
				play := &Client{Transport: way.play, TLSConfig: client, Logger: testLog(t)}
				j := journey{publish, play, fmt.Sprintf("%s%d-%d-%d", way.url, i, way.publish, way.play), st.Take(1500 * time.Millisecond), st.Tracks()}
				requireSynced(t, j.frames, j.run(t), way.off)
				require.Zero(t, publish.ports.Open()+play.ports.Open())
			})
		}
	}
}

// However often pictures come, key frames among them and B-frames between them,
// decoding and presentation times come out as they went in.
func TestRoundTripTimes(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	tcp := &Client{Transport: TransportTCP}
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(n ...int) int { return n[random.IntN(len(n))] }
	for i := range 20 {
		st := testmedia.Stream{
			Video:   codec.Codec(pick(int(codec.H264), int(codec.H265))),
			Audio:   codec.Codec(pick(int(codec.AAC), int(codec.Opus), int(codec.PCMU))),
			FPS:     pick(10, 24, 25, 30, 50, 60),
			GOP:     time.Duration(pick(300, 1000, 3000)) * time.Millisecond,
			BFrames: pick(0, 1, 2, 3),
			Bitrate: pick(100_000, 1_000_000, 5_000_000),
			Seed:    uint64(i),
		}
		if st.BFrames > 0 {
			st.FPS = 25 // as the parameter sets of test media say, from which decoding times are made
		}
		t.Run(fmt.Sprintf("%v %v %d fps %v %d B", st.Video, st.Audio, st.FPS, st.GOP, st.BFrames), func(t *testing.T) {
			j := journey{tcp, tcp, fmt.Sprintf("%s%d", url, i), st.Take(time.Second), st.Tracks()}
			requireSynced(t, j.frames, j.run(t), wireTick)
		})
	}
}

// New parameters arrive with the key frame that needs them.
func TestRoundTripChange(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub, Logger: testLog(t)})
	for _, c := range []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.VP8, codec.VP9} {
		t.Run(c.String(), func(t *testing.T) {
			st := testmedia.Stream{Video: c, GOP: 600 * time.Millisecond, Bitrate: 400_000, Change: 1}
			tcp := &Client{Transport: TransportTCP}
			j := journey{tcp, tcp, url + c.String(), st.Take(1500 * time.Millisecond), st.Tracks()}
			got := j.run(t)
			requireSynced(t, j.frames, got, wireTick)
			first := slices.IndexFunc(j.frames, func(f *codec.Frame) bool { return bytes.Equal(f.Data, got[0].Data) })
			for i, f := range got {
				want := j.frames[first+i].Track
				require.Equal(t, want.Width, f.Track.Width, i)
				require.Equal(t, want.Config, f.Track.Config, i)
			}
		})
	}
}

// Streams whose description does not tell their parameters are known when Open
// returns.
func TestOpenWaitsForParameters(t *testing.T) {
	film := filming(t, camStream, 2*time.Second)
	var bare string
	for line := range strings.Lines(film.sdp) {
		if len(line) < 6 || line[:6] != "a=fmtp" {
			bare += line
		}
	}
	c := camera{sdp: bare, played: film.show}
	r, err := (&Client{Transport: TransportTCP}).Open(soon(t), c.start(t))
	require.NoError(t, err)
	require.Equal(t, 1280, r.Tracks()[0].Width)
	require.True(t, r.Tracks()[0].Ready())
	requireSame(t, film.frames, readAll(t, r))
	require.NoError(t, r.Close())
}

// The end of a stream is one, and what the server says of none is passed on.
func TestClientAndServer(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub, Logger: testLog(t)})
	for _, transport := range []Transport{TransportTCP, TransportUDP, TransportHTTP} {
		c := &Client{Transport: transport}
		w, err := c.Create(soon(t), url+"cam", camStream.Tracks())
		require.NoError(t, err)
		_, err = c.Create(soon(t), url+"cam", camStream.Tracks())
		require.ErrorIs(t, err, source.ErrBusy)
		for _, f := range camStream.Take(200 * time.Millisecond) {
			require.NoError(t, w.WriteFrame(soon(t), f))
		}
		r, err := c.Open(soon(t), url+"cam")
		require.NoError(t, err)
		readSome(t, r, 5)
		require.NoError(t, w.Close())
		for {
			if _, err = r.ReadFrame(soon(t)); err != nil {
				break
			}
		}
		require.Equal(t, io.EOF, err)
		require.NoError(t, r.Close())
		require.Zero(t, c.ports.Open())
	}
	_, err := Open(soon(t), url[:len(url)-len("live/")]+"one")
	require.Error(t, err)
	require.True(t, errors.Is(err, source.ErrForbidden) || errors.Is(err, source.ErrNotFound), err)
}

// A lockedHub is a hub that asks for a login.
type lockedHub struct {
	source.Handler
	basic bool
}

func (g lockedHub) challenge(req *source.Request) error {
	if req.User != "" {
		return nil
	}
	return &source.Challenge{Realm: "R", Basic: g.basic, Secret: func(_ context.Context, user string, _ bool) (string, bool, error) {
		if user != "u" {
			return "", false, source.ErrUnauthorized
		}
		return "p@ss", false, nil
	}}
}

func (g lockedHub) Play(ctx context.Context, req *source.Request) (source.Reader, error) {
	if err := g.challenge(req); err != nil {
		return nil, err
	}
	return g.Handler.Play(ctx, req)
}

func (g lockedHub) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	if err := g.challenge(req); err != nil {
		return nil, err
	}
	return g.Handler.Publish(ctx, req)
}

// Logins that our server asks for, our client gives, in playing and publishing.
func TestClientAndServerLogin(t *testing.T) {
	for name, basic := range map[string]bool{"digest": false, "basic": true} {
		t.Run(name, func(t *testing.T) {
			hub := newHub(t)
			url := startServer(t, &Server{Handler: lockedHub{hub, basic}})
			for _, transport := range []Transport{TransportTCP, TransportUDP, TransportHTTP} {
				c := &Client{Transport: transport}
				for _, user := range []string{"", "u:wrong@", "x:p@ss@"} {
					_, err := c.Create(soon(t), strings.Replace(url, "://", "://"+user, 1)+"cam", camStream.Tracks())
					require.ErrorIs(t, err, source.ErrUnauthorized)
				}
				right := strings.Replace(url, "://", "://u:p@ss@", 1) + "cam"
				w, err := c.Create(soon(t), right, camStream.Tracks())
				require.NoError(t, err)
				for _, f := range camStream.Take(200 * time.Millisecond) {
					require.NoError(t, w.WriteFrame(soon(t), f))
				}
				_, err = c.Open(soon(t), url+"cam")
				require.ErrorIs(t, err, source.ErrUnauthorized)
				r, err := c.Open(soon(t), right)
				require.NoError(t, err)
				readSome(t, r, 5)
				require.NoError(t, r.Close())
				if !basic {
					hashed := &Client{Transport: transport, HashedPassword: true}
					r, err = hashed.Open(soon(t), strings.Replace(url, "://", "://u:"+md5Hex("u:R:p@ss")+"@", 1)+"cam")
					require.NoError(t, err)
					require.NoError(t, r.Close())
				}
				require.NoError(t, w.Close())
			}
		})
	}
}

// Opening and closing many times leaves nothing behind.
func TestClientCycles(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	f := feed(t, hub, "cam", testStream)
	f.write(t, 20)
	c := &Client{Transport: TransportUDP}
	for range 100 {
		r, err := c.Open(soon(t), url+"cam")
		require.NoError(t, err)
		_, err = r.ReadFrame(soon(t))
		require.NoError(t, err)
		require.NoError(t, r.Close())
	}
	require.Zero(t, c.ports.Open())
}
