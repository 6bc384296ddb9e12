package rtmp

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
)

// filmLength is how long a film of testStream is.
const filmLength = 20 * time.Second

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
	p := playing(t, filmtest.NewReel(testStream, filmLength))
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
	for _, beyond := range []float64{20001, 1e9, 1e12, 1e300, math.Inf(1)} {
		p.call("seek", nil, beyond)
		require.Equal(t, codeSeekFailed, p.status(), beyond)
	}

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
