package rtmp

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A film has the frames of testStream and can be sought. As a Handler it gives
// each viewer one of its own, which is played by the clock.
type film struct {
	frames  []*codec.Frame
	next    int
	discont bool
}

const filmLength = 20 * time.Second

func newFilm() *film { return &film{frames: testStream.Take(filmLength)} }

func (f *film) Tracks() []*codec.Track  { return testStream.Tracks() }
func (f *film) Duration() time.Duration { return filmLength }
func (f *film) Close() error            { return nil }

func (f *film) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.next == len(f.frames) {
		return nil, io.EOF
	}
	fr := *f.frames[f.next]
	if f.discont {
		fr.Flags |= codec.FlagDiscont
	}
	f.discont = false
	f.next++
	return &fr, nil
}

func (f *film) Seek(_ context.Context, t time.Duration) (time.Duration, error) {
	if t > filmLength {
		return 0, io.EOF
	}
	for i, fr := range f.frames {
		if fr.DTS <= t && fr.Key() && fr.Track.Kind() == codec.KindVideo {
			f.next = i
		}
	}
	f.discont = true
	return f.frames[f.next].DTS, nil
}

func (f *film) Play(context.Context, *source.Request) (source.Reader, error) {
	return source.Pace(&film{frames: f.frames}), nil
}

func (f *film) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}

// picture returns the next video message that is no sequence header, and its time.
func (p *testPeer) picture() (at time.Duration, key bool) {
	p.t.Helper()
	for {
		if m := p.next(); m.Type == wire.TypeVideo && m.Body[1] == 1 {
			return time.Duration(m.Timestamp) * time.Millisecond, m.Body[0]>>4 == 1
		}
	}
}

// TestPlayFilm: the metadata tell how long a film is; what comes after a seek was
// answered is what it went to, and pausing loses nothing.
func TestPlayFilm(t *testing.T) {
	const step, gop = 40 * time.Millisecond, 2 * time.Second
	p := playing(t, newFilm())
	m := p.next()
	for ; m.Type != wire.TypeData; m = p.next() {
	}
	var meta flv.BodyDemuxer
	_, err := meta.Append(nil, flv.TagScript, 0, m.Body)
	require.NoError(t, err)
	duration, _ := amf.Number(meta.Metadata().Get("duration"))
	require.InDelta(t, filmLength.Seconds(), duration, 0.001)

	for _, ms := range []int{12700, 3000, 19999, 0, 500} {
		to := time.Duration(ms) * time.Millisecond
		p.call("seek", nil, float64(ms))
		require.Equal(t, codeSeekNotify, p.status())
		at, key := p.picture()
		require.True(t, key)
		require.Equal(t, to.Truncate(gop), at)
		at, key = p.picture()
		require.False(t, key)
		require.Equal(t, to.Truncate(gop)+step, at)
	}
	p.call("seek", nil, 1e9)
	require.Equal(t, codeSeekFailed, p.status())

	last, _ := p.picture()
	p.call("pause", nil, true, 0.0)
	for m := p.next(); m.Type != wire.TypeUserControl; m = p.next() { // that it stands
		if m.Type == wire.TypeVideo {
			require.Equal(t, last+step, time.Duration(m.Timestamp)*time.Millisecond)
			last += step
		}
	}
	p.call("pause", nil, false, 0.0)
	for range 5 {
		at, _ := p.picture()
		require.Equal(t, last+step, at)
		last = at
	}

	// Standing still it goes elsewhere.
	p.call("pause", nil, true, 0.0)
	p.call("seek", nil, 7900.0)
	for p.status() != codeSeekNotify {
	}
	p.call("pause", nil, false, 0.0)
	require.Equal(t, codeUnpauseNotify, p.status())
	at, key := p.picture()
	require.True(t, key)
	require.Equal(t, 6*time.Second, at)
}
