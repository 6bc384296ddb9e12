package player

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

var (
	errOff = errors.New("camera is off")
	cam    = source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "cam"}
)

// A studio is a Hub with proxies whose URLs are opened by a camera, and what was
// told of it.
type studio struct {
	hub     source.Hub
	proxies Proxies
	camera  *camera
	began   time.Time

	mu     sync.Mutex // guards what follows
	states []string   // "seconds status" of every change
}

// newStudio starts a studio, for use in a bubble of synctest.
func newStudio(t *testing.T, c *camera, change func(*studio)) *studio {
	s := &studio{camera: c, began: time.Now()}
	s.proxies = Proxies{Hub: &s.hub, Source: func(Proxy) source.Source { return c }, OnState: s.told}
	s.hub.OnMiss = s.proxies.OnMiss
	if change != nil {
		change(s)
	}
	t.Cleanup(func() {
		require.NoError(t, s.proxies.Close())
		require.NoError(t, s.hub.Close())
		require.Equal(t, c.opened.Load()-c.refused.Load(), c.closed.Load(), "readers left open")
	})
	return s
}

func (s *studio) told(st ProxyStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = append(s.states, fmt.Sprintf("%.0f %s", time.Since(s.began).Seconds(), st.Status()))
}

func (s *studio) history() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.states, ", ")
}

func (s *studio) add(t *testing.T, p Proxy) {
	t.Helper()
	p.Key, p.URL = cam, "rtsp://camera/1"
	require.NoError(t, s.proxies.Add(p))
}

func (s *studio) stats(t *testing.T) ProxyStats {
	t.Helper()
	st, ok := s.proxies.Stats(cam)
	require.True(t, ok)
	return st
}

// A viewer reads a stream until it ends.
type viewer struct {
	witness
	reader source.Reader
	breaks int
	err    error
	done   chan struct{}
}

func (s *studio) watch(t *testing.T) *viewer {
	t.Helper()
	r, err := s.hub.Play(t.Context(), &source.Request{ID: source.NewID(), Schema: "x", Key: cam})
	require.NoError(t, err)
	v := &viewer{witness: witness{t: t, name: "viewer"}, reader: r, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		for {
			f, err := r.ReadFrame(t.Context())
			if err != nil {
				v.err = err
				return
			}
			if f.Has(codec.FlagDiscont) {
				v.breaks++
				require.True(t, f.Key())
			}
			v.see(f)
		}
	}()
	return v
}

func (v *viewer) watching() bool {
	select {
	case <-v.done:
		return false
	default:
		return true
	}
}

// leave ends the watching.
func (v *viewer) leave() {
	v.reader.Close()
	<-v.done
}

// A camera is a Source with a frame each 40 ms, the first a key frame, while it
// is on.
type camera struct {
	off                     atomic.Bool
	opened, refused, closed atomic.Int64
	frames                  int   // then it ends gracefully; 0: it does not
	panics                  int64 // so many attempts do, the first in opening, the others in reading
	refusal                 error
}

func (c *camera) Open(context.Context) (source.Reader, error) {
	if c.opened.Add(1) == 1 && c.panics > 0 {
		c.refused.Add(1)
		panic("lens is broken")
	}
	if c.off.Load() {
		c.refused.Add(1)
		if c.refusal != nil {
			return nil, c.refusal
		}
		return nil, errOff
	}
	return &shot{camera: c}, nil
}

type shot struct {
	*camera
	n int
}

var shotTrack = testmedia.Track(1, codec.VP8)

func (s *shot) Tracks() []*codec.Track { return []*codec.Track{shotTrack} }

func (s *shot) Close() error {
	s.closed.Add(1)
	return nil
}

func (s *shot) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if s.frames > 0 && s.n == s.frames {
		return nil, io.EOF
	}
	if s.opened.Load() <= s.panics {
		panic("lens is broken")
	}
	select {
	case <-time.After(40 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.off.Load() {
		return nil, errOff
	}
	t := time.Duration(s.n) * 40 * time.Millisecond
	f := &codec.Frame{Track: shotTrack, DTS: t, PTS: t, Data: make([]byte, 100)}
	if s.n%25 == 0 {
		f.Flags = codec.FlagKey
	}
	s.n++
	return f, nil
}
