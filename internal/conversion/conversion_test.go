package conversion

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/source"
)

// patience is how long anything may take.
const patience = time.Minute

// TestConversions puts every stream through every input, and what the hub then
// has through every output at once. What a wire can carry comes out as it went
// in; what it cannot is not announced, and nothing of it comes.
func TestConversions(t *testing.T) {
	s := newSite(t)
	found := &table{cells: map[cell]state{}}
	t.Run("all", func(t *testing.T) {
		for i, stream := range streams {
			f := filmOf(stream)
			for j, in := range inputs {
				t.Run(in.name+"/"+names(stream), func(t *testing.T) {
					t.Parallel()
					key := source.Key{Vhost: source.DefaultVhost, App: "live", Stream: fmt.Sprintf("t%d-%d", i, j)}
					convert(t, s, key, in, f, found)
				})
			}
		}
	})
	if !t.Failed() {
		found.check(t)
	}
}

// convert shows one stream from one input at all outputs.
func convert(t *testing.T, s *site, key source.Key, in input, f *film, found *table) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	viewers := make([]viewer, len(outputs))
	for i, out := range outputs {
		viewers[i] = out.begin(t, s, key)
	}
	open := make(chan struct{})
	published := make(chan error, 1)
	go func() { published <- in.publish(t, s, key, f, open) }()
	begun := make(chan error, 1)
	go func() { begun <- awaitViewers(ctx, s, key, viewers) }()
	select {
	case err := <-published:
		t.Fatalf("published: %v", err)
	case err := <-begun:
		require.NoError(t, err)
	}
	stats := s.hub.Stream(key).Stats()
	close(open)
	require.NoError(t, <-published)

	var results sync.WaitGroup
	for i, v := range viewers {
		results.Go(func() {
			out := outputs[i]
			got, err := v.all(ctx)
			if err != nil {
				t.Errorf("%s: %v", out.name, err)
				return
			}
			if err := compare(s, f, got, in, out, stats, found); err != nil {
				t.Errorf("%s: %v", out.name, err)
			}
		})
	}
	results.Wait()
}

// awaitViewers waits until all viewers and recordings have begun: they have sessions,
// and those that are sent the packets of a feed take them.
func awaitViewers(ctx context.Context, s *site, key source.Key, viewers []viewer) error {
	sessions, taking := 0, map[string]int{}
	for i, v := range viewers {
		sessions += outputs[i].sessions
		if feed := outputs[i].feed; feed != "" {
			taking[feed] += outputs[i].sessions
		}
		if err := v.watching(ctx); err != nil {
			return fmt.Errorf("%s: %w", outputs[i].name, err)
		}
	}
	for {
		var stats source.StreamStats
		if stream := s.hub.Stream(key); stream != nil {
			stats = stream.Stats()
		}
		have := map[string]int{}
		for _, feed := range stats.Feeds {
			have[feed.Format] += feed.Viewers
		}
		if len(stats.Sessions) >= sessions && maps.Equal(have, taking) {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("%d of %d sessions, %v of %v: %w", len(stats.Sessions), sessions, have, taking, err)
		}
	}
}

// compare notes which codecs came out. The error says what is wrong with them.
// stats are those of the stream in the hub.
func compare(s *site, f *film, got result, in input, out output, stats source.StreamStats, found *table) error {
	var first *time.Duration // what the times of the first track are off by; those of the others are, too
	for _, t := range f.tracks {
		want, have := framesOf(f.frames, t.Codec), framesOf(got.frames, t.Codec)
		announced := has(got.tracks, t.Codec)
		at := cell{t.Codec, in.name, out.name}
		switch {
		case len(have) == 0 && !announced && !has(stats.Tracks, t.Codec):
			found.set(at, unknown)
			continue
		case len(have) == 0 && !announced:
			if err := reported(s, t, got, out, stats); err != nil {
				return err
			}
			found.set(at, leftOut)
			continue
		case len(have) == 0:
			return fmt.Errorf("%v: announced, but nothing of it came", t)
		case !announced:
			return fmt.Errorf("%v: came, but was not announced", t)
		}
		if late := lateBy(f, got, in, out, t); len(have) < len(want) && len(have) >= len(want)-late {
			want = want[len(want)-len(have):]
		}
		if len(have) != len(want) {
			return fmt.Errorf("%v: %d of %d frames", t, len(have), len(want))
		}
		shift := have[0].DTS - want[0].DTS
		if first == nil {
			first = &shift
		} else if (shift - *first).Abs() <= max(in.apart, out.apart) {
			*first = shift
		}
		tick := max(in.tick(t), out.tick(t))
		for i := range want {
			if err := same(want[i], have[i], *first, tick); err != nil {
				return fmt.Errorf("%v: frame %d of %d: %w", t, i, len(want), err)
			}
		}
		found.set(at, carried)
	}
	if len(got.frames) == 0 {
		return errors.New("no frames")
	}
	return nil
}

// has reports whether one of the tracks is of the codec.
func has(tracks []*codec.Track, c codec.Codec) bool {
	return slices.ContainsFunc(tracks, func(t *codec.Track) bool { return t.Codec == c })
}

// reported checks that somebody has said that t is left out.
func reported(s *site, t *codec.Track, got result, out output, stats source.StreamStats) error {
	if got.counts && got.left == 0 {
		return fmt.Errorf("%v: left out, but not counted", t)
	}
	if out.playlist != "" && !s.logged(fmt.Sprintf("playlist=%s track=%q", out.playlist, t)) {
		return fmt.Errorf("%v: left out, but not logged", t)
	}
	for _, feed := range stats.Feeds {
		if feed.Format == out.feed && strings.HasPrefix(feed.Variant, out.variant) && !has(feed.LeftOut, t.Codec) {
			return fmt.Errorf("%v: left out, but not told", t)
		}
	}
	return nil
}

// lateBy returns how many frames of t may be missing at the beginning. Viewers begin
// with a picture: the sound of that time may have gone out before it. Without
// pictures they begin with what comes next.
func lateBy(f *film, got result, in input, out output, t *codec.Track) (n int) {
	if t.Kind() == codec.KindVideo {
		return 0
	}
	until := hold
	for _, x := range got.frames {
		if x.Track.Kind() == codec.KindVideo && out.apart == 0 { // else those are of another stream
			until = min(hold, 40*time.Millisecond+in.apart) // a picture
			break
		}
	}
	for _, x := range framesOf(f.frames, t.Codec) {
		if x.DTS < until {
			n++
		}
	}
	return n
}

// framesOf returns the frames of a codec.
func framesOf(frames []*codec.Frame, c codec.Codec) (of []*codec.Frame) {
	for _, f := range frames {
		if f.Track.Codec == c {
			of = append(of, f)
		}
	}
	return of
}

// same compares a frame that went in with the one that came out.
func same(want, have *codec.Frame, shift, tick time.Duration) error {
	var wrong []string
	if w, h := containertest.Digest(want.Data), containertest.Digest(have.Data); w != h {
		wrong = append(wrong, fmt.Sprintf("%s instead of %s", h, w))
	}
	for _, x := range []struct {
		name       string
		want, have time.Duration
	}{{"DTS", want.DTS + shift, have.DTS}, {"PTS", want.PTS + shift, have.PTS}} {
		if (x.have - x.want).Abs() > tick {
			wrong = append(wrong, fmt.Sprintf("%s %v instead of %v", x.name, x.have, x.want))
		}
	}
	if want.Key() != have.Key() {
		wrong = append(wrong, fmt.Sprintf("key %t instead of %t", have.Key(), want.Key()))
	}
	if w, h := want.Track, have.Track; !w.SameConfig(h) || w.Width != h.Width || w.Height != h.Height {
		wrong = append(wrong, fmt.Sprintf("%v %x instead of %v %x", h, h.Config, w, w.Config))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(wrong, ", "))
}
