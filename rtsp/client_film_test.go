package rtsp

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/source"
)

// newReel returns a film of testStream with B-frames.
func newReel() *filmtest.Reel {
	st := testStream
	st.BFrames = 2
	return filmtest.NewReel(st, fileLength)
}

// A forgetful connection is to a server that does not know Speed.
type forgetful struct{ net.Conn }

func (c forgetful) Write(b []byte) (int, error) {
	return c.Conn.Write(bytes.ReplaceAll(b, []byte("\r\nSpeed: "), []byte("\r\nX-eed: ")))
}

func (c forgetful) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	return forgetful{nc}, err
}

// TestClientFilm: a film is sought, stands still and is played at other speeds.
// What comes then is what was asked for, at its place in the film.
func TestClientFilm(t *testing.T) {
	const step, off = 40 * time.Millisecond, 5 * time.Millisecond
	server := newReel()
	url := startServer(t, &Server{Handler: server}) + "film"
	for name, c := range map[string]*Client{
		"TCP":           {Transport: TransportTCP},
		"UDP":           {Transport: TransportUDP},
		"without Speed": {Transport: TransportTCP, Dial: forgetful{}.dial},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := c.Open(soon(t), url)
			require.NoError(t, err)
			defer r.Close()
			film := r.(*clientFilm)
			require.Equal(t, fileLength, film.Duration())
			first := filmtest.Picture(t, r)
			require.InDelta(t, 0, first.DTS, float64(off))

			for _, to := range []time.Duration{12500 * time.Millisecond, 3 * time.Second, 19 * time.Second, 500 * time.Millisecond} {
				at, err := film.Seek(soon(t), to)
				require.NoError(t, err)
				require.InDelta(t, to.Truncate(time.Second), at, float64(off))
				f, err := r.ReadFrame(soon(t))
				require.NoError(t, err)
				require.True(t, f.Has(codec.FlagKey|codec.FlagDiscont))
				require.Equal(t, at, f.DTS)
				for _, w := range server.Frames {
					if w.Track.Kind() == codec.KindVideo && (w.DTS-at).Abs() < off {
						require.Equal(t, w.Data, f.Data)
						require.InDelta(t, w.PTS, f.PTS, float64(off))
					}
				}
				require.InDelta(t, at+step, filmtest.Picture(t, r).DTS, float64(off))
			}

			// Beyond the end it cannot go, and goes on where it is.
			_, err = film.Seek(soon(t), time.Hour)
			var status *StatusError
			require.ErrorAs(t, err, &status)
			require.Equal(t, 457, status.Status)
			last := filmtest.Picture(t, r)

			// It stands still for longer than a server may be silent, and nothing is lost.
			require.NoError(t, film.Pause(true))
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err = r.ReadFrame(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			at, err := film.Seek(soon(t), 7*time.Second)
			require.NoError(t, err)
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err = r.ReadFrame(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded, "it still stands")
			require.NoError(t, film.Pause(false))
			require.Less(t, last.DTS, at)
			for last = filmtest.Picture(t, r); last.DTS < at+20*step; {
				f := filmtest.Picture(t, r)
				require.InDelta(t, last.DTS+step, f.DTS, float64(off))
				last = f
			}

			// Faster: the times stay those of the film.
			require.NoError(t, film.SetSpeed(4))
			for last = filmtest.Picture(t, r); last.DTS < 10*time.Second; {
				f := filmtest.Picture(t, r)
				require.InDelta(t, last.DTS+step, f.DTS, float64(off))
				last = f
			}
			require.Error(t, film.SetSpeed(500))
			require.NoError(t, film.SetSpeed(1))

			_, err = film.Seek(soon(t), 19500*time.Millisecond)
			require.NoError(t, err)
			for err == nil {
				_, err = r.ReadFrame(soon(t))
			}
			require.ErrorIs(t, err, io.EOF)
			_, err = film.Seek(soon(t), 0)
			require.ErrorIs(t, err, source.ErrClosed)
		})
	}
}

// TestClientFilmClosed: Close ends what is asked for, and who does not read can
// still ask.
func TestClientFilmClosed(t *testing.T) {
	url := startServer(t, &Server{Handler: newReel()}) + "film"
	r, err := (&Client{Transport: TransportTCP, MaxBuffer: 1}).Open(soon(t), url)
	require.NoError(t, err)
	film := r.(*clientFilm)
	require.Eventually(t, func() bool {
		film.mu.Lock()
		defer film.mu.Unlock()
		return film.blocked > 0
	}, 30*time.Second, time.Millisecond, "the buffer is full")
	at, err := film.Seek(soon(t), 5*time.Second)
	require.NoError(t, err)
	require.NoError(t, film.Pause(true))
	require.NoError(t, film.Pause(false))
	f, err := r.ReadFrame(soon(t))
	require.NoError(t, err)
	require.Equal(t, at, f.DTS)
	require.NoError(t, r.Close())
	_, err = film.Seek(soon(t), 0)
	require.ErrorIs(t, err, source.ErrClosed)
	require.ErrorIs(t, film.Pause(true), source.ErrClosed)
	require.ErrorIs(t, film.SetSpeed(2), source.ErrClosed)
}

// TestClientLive: a live stream has one time only.
func TestClientLive(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub}) + "cam"
	feed(t, hub, "cam", testStream).write(t, 100)
	r, err := (&Client{Transport: TransportTCP}).Open(soon(t), url)
	require.NoError(t, err)
	defer r.Close()
	_, seeks := source.As[source.Seeker](r)
	_, pauses := source.As[source.Pauser](r)
	require.False(t, seeks || pauses)
}
