package player

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/source"
)

const filmLength = 600 * time.Millisecond // of the files in a vault

// vault makes a folder with films for VODs, and what those may not play beside it.
func vault(t *testing.T) (root string) {
	top := t.TempDir()
	root = filepath.Join(top, "www")
	for _, name := range []string{
		"record/cam/a.flv", "record/cam/a.ts", "record/cam/a.mpg", "record/cam/a.mp4", "record/cam/a.mov", "record/cam/.open.flv", "record/cam/wrong.mp4",
		"record/day/1.mp4", "record/day/2.mp4", "record/day/2.flv", "record/.hidden/a.flv",
		"example.com/record/b.flv", "secret.flv", "../secret.flv", "../www_sibling/secret.flv", "recorder/secret.flv",
	} {
		makeFilm(t, filmLength, root, filepath.FromSlash(name))
	}
	require.NoError(t, os.Rename(filepath.Join(root, "record/cam/a.ts"), filepath.Join(root, "record/cam/wrong.mp4"))) // a film nevertheless
	makeFilm(t, filmLength, root, "record/cam/a.ts")
	makeText(t, "secret words", root, "record/cam/text.flv")
	makeText(t, "secret words", root, "record/cam/notes.txt")
	makeText(t, "", root, "record/cam/empty.mp4")
	makeText(t, "#EXTM3U\n", root, "record/cam/list.ts")
	makeText(t, "\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42\x00\x00\x00\x10moov\xff\xff\xff\xffmvhd", root, "record/cam/broken.mp4")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "record/none"), 0o755))
	return root
}

// asked is a request for a stream of the application record.
func asked(stream, params string) *source.Request {
	key := source.Key{Vhost: source.DefaultVhost, App: "record", Stream: stream}
	return &source.Request{ID: source.NewID(), Schema: "rtmp", Protocol: "rtmp", Key: key, Params: params}
}

// playFunc is a source.Handler that only plays.
type playFunc func(context.Context, *source.Request) (source.Reader, error)

func (f playFunc) Play(ctx context.Context, req *source.Request) (source.Reader, error) {
	return f(ctx, req)
}

func (playFunc) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrBusy
}

func TestVOD(t *testing.T) {
	root := vault(t)
	for _, c := range []struct {
		stream, vhost string
		films         int
	}{
		{"cam/a.flv", "", 1}, {"cam/a.ts", "", 1}, {"cam/a.mpg", "", 1}, {"cam/a.mp4", "", 1}, {"cam/a.mov", "", 1}, {"cam/wrong.mp4", "", 1},
		{"day", "", 2}, {"day/2.flv;cam/a.mp4;day", "", 4}, {"b.flv", "example.com", 1},
	} {
		for _, schema := range []string{"rtmp", "rtsp", "ts", "hls", "hls.fmp4"} {
			t.Run(c.stream+" "+schema, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := &VOD{Root: root}
					req := asked(c.stream, "")
					req.Schema = schema
					if c.vhost != "" {
						req.Key.Vhost = c.vhost
					}
					var ended int
					req.OnEnd(func(s source.SessionStats) { ended = int(s.Frames) })
					r, err := v.Play(t.Context(), req)
					require.NoError(t, err)
					live := !strings.HasPrefix(schema, "hls")
					require.True(t, has[source.Seeker](r))
					require.True(t, has[source.KeyIndexer](r))
					require.Equal(t, live, has[source.Pauser](r))
					require.Equal(t, live, has[source.Speeder](r))
					began := time.Now()
					frames, err := containertest.ReadAll(r)
					require.Equal(t, io.EOF, err)
					requireOrder(t, frames)
					n := len(film.Take(filmLength))
					require.Len(t, frames, c.films*n)
					filmtest.Require(t, frames[:n], 2*time.Millisecond)
					if live {
						require.Equal(t, frames[len(frames)-1].DTS, time.Since(began))
					} else {
						require.Zero(t, time.Since(began))
					}
					require.Zero(t, ended)
					require.NoError(t, r.Close())
					require.Equal(t, len(frames), ended)
					require.Empty(t, v.Sessions())
				})
			})
		}
	}
}

// Clients of RTMP leave the extension of FLV files out.
func TestVODFlash(t *testing.T) {
	root := vault(t)
	v := &VOD{Root: root}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "record", "cam", "a"), 0o755)) // what has the name is no film
	for protocol, found := range map[string]bool{"rtmp": true, "rtmps": true, "http": false, "rtsp": false} {
		req := asked("cam/a", "")
		req.Schema, req.Protocol = "rtmp", protocol
		r, err := v.Play(t.Context(), req)
		require.Equal(t, found, err == nil, "%s: %v", protocol, err)
		if found {
			require.Len(t, r.Tracks(), 2)
			require.NoError(t, r.Close())
		}
	}
}

// Each viewer has a timeline of its own.
func TestVODViewers(t *testing.T) {
	root := vault(t)
	synctest.Test(t, func(t *testing.T) {
		v := &VOD{Root: root}
		a, err := v.Play(t.Context(), asked("cam/a.mp4", ""))
		require.NoError(t, err)
		b, err := v.Play(t.Context(), asked("cam/a.mp4", "token=x&start=0.45"))
		require.NoError(t, err)
		defer a.Close()
		defer b.Close()
		require.Len(t, v.Sessions(), 2)
		fa, err := a.ReadFrame(t.Context())
		require.NoError(t, err)
		fb, err := b.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Zero(t, fa.DTS)
		require.Equal(t, 400*time.Millisecond, fb.DTS)
		require.True(t, fb.Has(codec.FlagKey|codec.FlagDiscont))

		s, _ := source.As[source.Seeker](a)
		got, err := s.Seek(t.Context(), 250*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, 200*time.Millisecond, got)
		fa, err = a.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, got, fa.DTS)
		last := fb.DTS
		rest, err := containertest.ReadAll(b)
		require.Equal(t, io.EOF, err)
		require.GreaterOrEqual(t, rest[0].DTS, last, "the other goes on")
	})
}

func TestVODStart(t *testing.T) {
	v := &VOD{Root: vault(t)}
	for _, c := range []struct {
		start string
		at    time.Duration
		err   error
	}{
		{"", 0, nil}, {"0", 0, nil}, {"0.199", 0, nil}, {"0.2", 200 * time.Millisecond, nil}, {"5.99e-1", 400 * time.Millisecond, nil},
		{"0.7", 0, source.ErrNotFound}, {"3600", 0, source.ErrNotFound}, {"1e300", 0, source.ErrNotFound}, {"9223372036.854775", 0, source.ErrNotFound}, {"Inf", 0, source.ErrNotFound},
		{"-1", 0, source.ErrBadKey}, {"NaN", 0, source.ErrBadKey}, {"soon", 0, source.ErrBadKey}, {"1e999", 0, source.ErrBadKey},
	} {
		r, err := v.Play(t.Context(), asked("cam/a.mp4", "start="+c.start))
		require.ErrorIs(t, err, c.err, "%q", c.start)
		if err != nil {
			require.NotEmpty(t, source.RefusalText(err))
			continue
		}
		f, err := r.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, c.at, f.DTS, "%q", c.start)
		require.NoError(t, r.Close())
	}
	require.Empty(t, v.Sessions())
	req := asked("cam/a.mp4", "start=0.5")
	req.Schema = "hls"
	r, err := v.Play(t.Context(), req)
	require.NoError(t, err)
	f, err := r.ReadFrame(t.Context())
	require.NoError(t, err)
	require.Zero(t, f.DTS, "a playlist is of all of it")
	require.NoError(t, r.Close())
}

// TestVODNext holds what is not a VOD's: that goes to Next, or is not found.
func TestVODNext(t *testing.T) {
	root := vault(t)
	live := asked("cam/a.flv", "")
	live.Key.App = "live"
	other := asked("cam/a.flv", "")
	other.Key.Vhost = "example.com"
	for name, c := range map[string]struct {
		v   *VOD
		req *source.Request
	}{
		"another application": {&VOD{Root: root}, live},
		"another host":        {&VOD{Root: root}, other},
		"no such file":        {&VOD{Root: root}, asked("cam/b.flv", "")},
		"no such folder":      {&VOD{Root: root}, asked("cam2/a.flv", "")},
		"one of a list":       {&VOD{Root: root}, asked("cam/a.flv;cam/b.flv", "")},
		"no films in it":      {&VOD{Root: root}, asked("none", "")},
		"no films, shared":    {&VOD{Root: root, Shared: &source.Hub{}}, asked("none", "")},
		"no film":             {&VOD{Root: root}, asked("cam/notes.txt", "")},
		"no root":             {&VOD{Root: filepath.Join(root, "none")}, asked("cam/a.flv", "")},
		"zero":                {&VOD{}, asked("cam/a.flv", "")},
		"a file as a folder":  {&VOD{Root: root}, asked("cam/a.flv/a.flv", "")},
		"a long name":         {&VOD{Root: root}, asked(strings.Repeat("x", 5000)+".flv", "")},
	} {
		_, err := c.v.Play(t.Context(), c.req)
		require.ErrorIs(t, err, source.ErrNotFound, name)
		_, err = c.v.Publish(t.Context(), c.req)
		require.ErrorIs(t, err, source.ErrForbidden)

		passed := errors.New("passed")
		c.v.Next = playFunc(func(_ context.Context, req *source.Request) (source.Reader, error) {
			require.Same(t, c.req, req)
			return nil, passed
		})
		_, err = c.v.Play(t.Context(), c.req)
		require.ErrorIs(t, err, passed, name)
		_, err = c.v.Publish(t.Context(), c.req)
		require.ErrorIs(t, err, source.ErrBusy)
	}
	for _, list := range []string{";", "cam/a.flv;", ";cam/a.flv", "cam/a.flv;;day"} {
		v := &VOD{Root: root, Next: playFunc(func(context.Context, *source.Request) (source.Reader, error) { return nil, source.ErrBusy })}
		_, err := v.Play(t.Context(), asked(list, ""))
		require.ErrorIs(t, err, source.ErrNotFound, "%q is not given to Next, where it might wait", list)
	}
	v := &VOD{Root: root, App: "recorder"}
	req := asked("secret.flv", "")
	req.Key.App = "recorder"
	r, err := v.Play(t.Context(), req)
	require.NoError(t, err)
	require.NoError(t, r.Close())
}

// TestVODLive: what is published has the name before a file, as long as it lasts.
func TestVODLive(t *testing.T) {
	root := vault(t)
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{Options: source.StreamOptions{Linger: -1}}
		defer hub.Close()
		v := &VOD{Root: root, Next: hub}
		defer v.Close()
		play := func(schema string) (film bool) {
			req := asked("cam/a.flv", "")
			req.Schema = schema
			r, err := v.Play(t.Context(), req)
			require.NoError(t, err)
			defer r.Close()
			return has[source.Seeker](r)
		}
		for range 2 {
			require.True(t, play("rtmp"))
			pub, err := hub.Publish(t.Context(), asked("cam/a.flv", ""))
			require.NoError(t, err)
			for _, f := range film.Take(filmLength) {
				require.NoError(t, pub.WriteFrame(t.Context(), f))
			}
			require.False(t, play("rtmp"))
			require.False(t, play("hls"))
			require.NoError(t, pub.Close())
		}
	})
}

// TestVODRefusals holds what viewers are told of files that cannot be played, and
// that it tells nothing of what is in them.
func TestVODRefusals(t *testing.T) {
	v := &VOD{Root: vault(t), Next: playFunc(func(context.Context, *source.Request) (source.Reader, error) {
		return nil, source.ErrBusy
	})}
	for stream, c := range map[string]struct {
		err  error
		says string
	}{
		"cam/text.flv":            {ErrUnknown, "none that can be played"},
		"cam/empty.mp4":           {ErrUnknown, "none that can be played"},
		"cam/list.ts":             {source.ErrUnsupported, "none that can be played"},
		"cam/broken.mp4":          {source.ErrUnsupported, "damaged"},
		"cam/a.mp4;cam/empty.mp4": {ErrUnknown, "none that can be played"},
	} {
		_, err := v.Play(t.Context(), asked(stream, ""))
		require.ErrorIs(t, err, c.err, stream)
		require.ErrorIs(t, err, source.ErrUnsupported, "it has an answer of its own")
		require.Contains(t, source.RefusalText(err), c.says, stream)
		require.NotContains(t, source.RefusalText(err), "secret")
	}
	require.Empty(t, v.Sessions())
	require.Zero(t, v.taken)
	require.ErrorIs(t, refusal(&fs.PathError{Err: fs.ErrPermission}), source.ErrForbidden)
	for _, ours := range []error{context.Canceled, &fs.PathError{Err: syscall.EMFILE}, source.ErrLimit} {
		require.ErrorIs(t, refusal(ours), ours)
		require.NotErrorIs(t, refusal(ours), source.ErrUnsupported, "the file is not to blame")
	}
}

func TestVODSessions(t *testing.T) {
	v := &VOD{Root: vault(t), MaxSessions: 2}
	a, b := asked("cam/a.mp4", ""), asked("cam/a.flv", "")
	ra, err := v.Play(t.Context(), a)
	require.NoError(t, err)
	rb, err := v.Play(t.Context(), b)
	require.NoError(t, err)
	_, err = v.Play(t.Context(), asked("cam/a.ts", ""))
	require.ErrorIs(t, err, source.ErrLimit)

	all := v.Sessions()
	require.Len(t, all, 2)
	require.Equal(t, []string{a.ID, b.ID}, []string{all[0].Stats().ID, all[1].Stats().ID})
	require.Equal(t, "cam/a.flv", all[1].Stats().Key.Stream)

	require.False(t, v.Kick("nobody"))
	require.True(t, v.Kick(a.ID))
	_, err = ra.ReadFrame(t.Context())
	require.ErrorIs(t, err, source.ErrKicked)
	require.NoError(t, ra.Close())
	require.False(t, v.Kick(a.ID))
	rc, err := v.Play(t.Context(), asked("cam/a.ts", ""))
	require.NoError(t, err, "there is room again")

	require.NoError(t, v.Close())
	for _, r := range []source.Reader{rb, rc} {
		_, err = r.ReadFrame(t.Context())
		require.ErrorIs(t, err, source.ErrClosed)
		require.NoError(t, r.Close())
	}
	require.Empty(t, v.Sessions())
	require.Zero(t, v.taken)
	_, err = v.Play(t.Context(), asked("cam/a.ts", ""))
	require.ErrorIs(t, err, source.ErrClosed)
}

func TestVODLoop(t *testing.T) {
	root := vault(t)
	synctest.Test(t, func(t *testing.T) {
		v := &VOD{Root: root, Loop: true}
		r, err := v.Play(t.Context(), asked("cam/a.flv", ""))
		require.NoError(t, err)
		defer r.Close()
		frames := rounds(t, r, 3, len(film.Take(filmLength)))
		requireOrder(t, frames)
	})
	req := asked("cam/a.flv", "")
	req.Schema = "hls"
	r, err := (&VOD{Root: root, Loop: true}).Play(t.Context(), req)
	require.NoError(t, err)
	_, err = containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	require.NoError(t, r.Close())
}

// Viewers come and go while the VOD is closed.
func TestVODClose(t *testing.T) {
	root := vault(t)
	for _, shared := range []bool{false, true} {
		hub := &source.Hub{}
		v := &VOD{Root: root}
		if shared {
			v.Shared = hub
		}
		var running sync.WaitGroup
		for i := range 16 {
			running.Go(func() {
				for {
					r, err := v.Play(t.Context(), asked([]string{"cam/a.flv", "day", "cam/a.mp4"}[i%3], ""))
					if err != nil {
						if !errors.Is(err, source.ErrClosed) {
							t.Error(err)
						}
						return
					}
					_, _ = r.ReadFrame(t.Context())
					_ = r.Close()
				}
			})
		}
		require.Eventually(t, func() bool { return len(v.Sessions()) > 0 }, 10*time.Second, time.Millisecond)
		require.NoError(t, v.Close())
		if shared {
			require.Empty(t, v.Sessions())
		}
		require.NoError(t, hub.Close())
		running.Wait()
		require.Empty(t, v.Sessions())
		require.Zero(t, v.taken)
	}
}

func TestVODShared(t *testing.T) {
	root := vault(t)
	makeFilm(t, 5*time.Second, root, "record/long.flv")
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{MaxWait: -1}
		v := &VOD{Root: root, Shared: hub}
		a, err := v.Play(t.Context(), asked("long.flv", "start=4"))
		require.NoError(t, err)
		require.False(t, has[source.Seeker](a))
		for range 100 {
			_, err := a.ReadFrame(t.Context())
			require.NoError(t, err)
		}
		now := time.Now()
		b, err := v.Play(t.Context(), asked("long.flv", ""))
		require.NoError(t, err)
		require.Len(t, v.Sessions(), 1)
		require.Len(t, hub.Streams(), 1)
		f, err := b.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, now, time.Now(), "there is a key frame")
		require.Greater(t, f.DTS, time.Second, "in mid-film")
		require.True(t, f.Key())

		// Whoever operates the server seeks for all of them.
		s, ok := source.As[source.Seeker](v.Sessions()[0])
		require.True(t, ok)
		_, err = s.Seek(t.Context(), 4500*time.Millisecond)
		require.NoError(t, err)
		_, err = containertest.ReadAll(a)
		require.Equal(t, io.EOF, err)
		require.Less(t, time.Since(now), time.Second)
		_, err = containertest.ReadAll(b)
		require.Equal(t, io.EOF, err)
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
		synctest.Wait()
		require.Empty(t, v.Sessions(), "it ends with the film")
		require.Empty(t, hub.Streams())

		// The next one begins anew, and is not the HLS viewer's.
		a, err = v.Play(t.Context(), asked("long.flv", ""))
		require.NoError(t, err)
		f, err = a.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Zero(t, f.DTS)
		req := asked("long.flv", "")
		req.Schema = "hls"
		h, err := v.Play(t.Context(), req)
		require.NoError(t, err)
		require.True(t, has[source.KeyIndexer](h))
		require.NoError(t, h.Close())
		require.True(t, v.Kick(v.Sessions()[0].Request().ID))
		_, err = containertest.ReadAll(a)
		require.Equal(t, io.EOF, err)
		require.NoError(t, a.Close())
		require.NoError(t, v.Close())
		require.NoError(t, hub.Close())
	})
}

// A shared timeline that nobody watches ends.
func TestVODSharedIdle(t *testing.T) {
	root := vault(t)
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{}
		v := &VOD{Root: root, Shared: hub, Loop: true}
		r, err := v.Play(t.Context(), asked("cam/a.flv", ""))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Len(t, v.Sessions(), 1, "it is watched, again and again")
		require.NoError(t, r.Close())
		time.Sleep(sharedIdle - time.Second)
		require.Len(t, v.Sessions(), 1)
		time.Sleep(2 * time.Second)
		require.Empty(t, v.Sessions())
		require.Empty(t, hub.Streams())
		require.NoError(t, hub.Close())

		_, err = v.Play(t.Context(), asked("cam/a.flv", ""))
		require.ErrorIs(t, err, source.ErrClosed, "the hub is")
		require.Zero(t, v.taken)
	})
}
