package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// next returns what c has, as text.
func next(t *testing.T, c *Cursor) string {
	t.Helper()
	packets, err := c.Next(t.Context(), nil)
	require.NoError(t, err)
	return joined(packets)
}

func TestFeedMuxesOnce(t *testing.T) {
	s := newScene(t, StreamOptions{})
	p := s.publish(video, audio)
	var appends atomic.Int64
	var viewers sync.WaitGroup
	for range 50 {
		c := s.feed(s.play(ViewerOptions{}), textFormat(&appends))
		viewers.Go(func() {
			var all []Packet
			for {
				var err error
				if all, err = c.Next(context.Background(), all); err != nil {
					require.ErrorIs(t, err, io.EOF)
					break
				}
			}
			require.Equal(t, 400, len(all))
			require.NoError(t, c.Close())
		})
	}
	for n := range 200 {
		at := time.Duration(n) * ms // together less than what a viewer may be behind
		s.write(p, frameAt(video, at, n%25 == 0), frameAt(audio, at, true))
	}
	require.NoError(t, p.Close())
	viewers.Wait()
	require.EqualValues(t, 400, appends.Load())
}

// A brittleMuxer panics on disposable frames.
type brittleMuxer struct{ Muxer }

func (m brittleMuxer) Append(dst []Packet, f *codec.Frame) ([]Packet, error) {
	if f.Has(codec.FlagDisposable) {
		panic("brittle")
	}
	return m.Muxer.Append(dst, f)
}

// TestFeedSurvivesMuxer: a muxer's panic costs the frame, not the process.
func TestFeedSurvivesMuxer(t *testing.T) {
	s := newScene(t, StreamOptions{})
	p := s.publish(video)
	format := textFormat(nil)
	inner := format.New
	format.New = func(tracks []*codec.Track) (Muxer, error) {
		m, err := inner(tracks)
		return brittleMuxer{m}, err
	}
	c := s.feed(s.play(ViewerOptions{}), format)
	defer c.Close()
	bad := frame(video, 1, false)
	bad.Flags |= codec.FlagDisposable
	s.write(p, frame(video, 0, true), bad, frame(video, 2, false))
	packets, err := c.Next(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, packets, 2)
	require.EqualValues(t, 1, s.Stream(testKey).Stats().Feeds[0].Dropped)
}

// TestFeedWakes: whoever makes the packets, all who wait get them at once.
func TestFeedWakes(t *testing.T) {
	s := newScene(t, StreamOptions{})
	p := s.publish(video)
	var got atomic.Int64
	var viewers sync.WaitGroup
	for range 4 {
		c := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		viewers.Go(func() {
			defer c.Close()
			for {
				packets, err := c.Next(context.Background(), nil)
				if err != nil {
					return
				}
				got.Add(int64(len(packets)))
			}
		})
	}
	for n := range 500 {
		s.write(p, frame(video, n, n == 0))
		until(t, "the frame", func() bool { return got.Load() == int64(4*(n+1)) })
	}
	require.NoError(t, p.Close())
	viewers.Wait()
}

func TestFeedHeaderInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video, audio)
		first := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		defer first.Close()
		require.Equal(t, "header 1=01 2=02\n", string(first.Header()))
		s.write(p, frame(video, 0, true), frame(audio, 0, true), frame(video, 1, false))
		second := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		defer second.Close()
		require.Equal(t, "header 1=01 2=02\n", string(second.Header()))
		s.write(p, frame(video2, 2, true), frame(audio2, 2, true), frame(video2, 3, false))
		third := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		defer third.Close()
		require.Equal(t, "header 1=11 2=02\n", string(third.Header()), "as it was at the key frame")
		require.Equal(t, "0:1K 0:2K 40:1- config 1=11 80:1K config 2=22 80:2K 120:1-", next(t, first))
		require.Equal(t, "0:1K 0:2K 40:1- config 1=11 80:1K config 2=22 80:2K 120:1-", next(t, second))
		require.Equal(t, "80:1K config 2=22 80:2K 120:1-", next(t, third))

		alone := textFormat(nil)
		alone.Variant = "made late"
		fourth := s.feed(s.play(ViewerOptions{}), alone)
		defer fourth.Close()
		require.Equal(t, "header 1=11 2=22\n", string(fourth.Header()), "as the first frames need it")
		require.Equal(t, "80:1K 80:2K 120:1-", next(t, fourth))
		require.Len(t, s.Stream(testKey).Stats().Feeds, 2, "a feed each variant")
	})
}

// TestFeedJump has a viewer jump over changes of the configuration.
func TestFeedJump(t *testing.T) {
	for _, c := range []struct {
		name   string
		slow   SlowPolicy
		frames []*codec.Frame // after 0:1K, 40:1-; a second before each
		want   string
		err    error
	}{
		{"over one", SlowJump, []*codec.Frame{frame(video2, 2, true), frame(video2, 3, false), frame(video2, 4, true), frame(video2, 5, false)}, "config 1=11 160:1K 200:1-", nil},
		{"over two of a track", SlowJump, []*codec.Frame{frame(audio2, 2, true), frame(video2, 2, true), frame(video, 3, true), frame(video, 4, false)}, "config 2=22 config 1=01 120:1K 160:1-", nil},
		{"not beyond the key", SlowJump, []*codec.Frame{frame(video, 2, false), frame(video, 3, true), frame(video2, 4, false)}, "120:1K config 1=11 160:1-", nil},
		{"nothing to jump to", SlowJump, []*codec.Frame{frame(video2, 2, false), frame(video2, 3, false), frame(video2, 4, false)}, "0:1K 40:1- config 1=11 80:1- 120:1- 160:1-", nil},
		{"cut", SlowCut, []*codec.Frame{frame(video, 2, true), frame(video, 3, true), frame(video, 4, true)}, "", ErrLagged},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, StreamOptions{})
				p := s.publish(video, audio)
				cur := s.feed(s.play(ViewerOptions{Slow: c.slow}), textFormat(nil))
				defer cur.Close()
				busy := s.feed(s.play(ViewerOptions{}), textFormat(nil)) // keeps the feed going
				defer busy.Close()
				s.write(p, frame(video, 0, true), frame(video, 1, false))
				next(t, busy)
				for _, f := range c.frames {
					time.Sleep(time.Second)
					s.write(p, f)
					next(t, busy)
				}
				packets, err := cur.Next(t.Context(), nil)
				require.ErrorIs(t, err, c.err)
				require.Equal(t, c.want, joined(packets))
			})
		})
	}
}

// TestFeedJumpWithoutKey overtakes a viewer when the feed holds no key packet.
func TestFeedJumpWithoutKey(t *testing.T) {
	for _, c := range []struct {
		track, changed *codec.Track
		want           []string
	}{
		{video, video2, []string{"", "config 1=11 240:1K"}},
		{audio, audio2, []string{"", "config 2=22 200:2-", "240:2K"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, StreamOptions{})
			p := s.publish(c.track)
			cur := s.feed(s.play(ViewerOptions{}), textFormat(nil))
			defer cur.Close()
			busy := s.feed(s.play(ViewerOptions{}), textFormat(nil)) // keeps the feed going
			defer busy.Close()
			write := func(f *codec.Frame) {
				s.write(p, f)
				_, err := busy.Next(t.Context(), nil)
				require.NoError(t, err)
			}
			write(frame(c.track, 0, c.track == video))
			for n := range 4 {
				f := frame(c.changed, n+1, false)
				f.Data = make([]byte, ringBytes/3)
				write(f)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			packets, err := cur.Next(ctx, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Empty(t, packets)
			s.write(p, frame(c.changed, 5, false))
			if len(c.want) == 3 {
				require.Equal(t, c.want[1], next(t, cur))
			}
			s.write(p, frame(c.changed, 6, true))
			require.Equal(t, c.want[len(c.want)-1], next(t, cur))
		})
	}
}

func TestFeedOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		a := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		b := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		require.Same(t, a.feed, b.feed)
		require.NoError(t, a.Close())
		c := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		require.Same(t, b.feed, c.feed, "another has joined before the last went")
		require.NoError(t, b.Close())
		require.NoError(t, c.Close())
		require.Empty(t, s.Stream(testKey).Stats().Feeds)
		d := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		require.NotSame(t, c.feed, d.feed)
		s.write(p, frame(video, 0, true))
		require.Equal(t, "0:1K", next(t, d))
		require.True(t, s.Kick(d.sub.req.ID))
		_, err := d.Next(t.Context(), nil)
		require.ErrorIs(t, err, ErrKicked)
		require.NoError(t, d.Close())

		_, err = FeedOf(t.Context(), s.play(ViewerOptions{}), Format{New: func([]*codec.Track) (Muxer, error) { return nil, ErrUnsupported }})
		require.ErrorIs(t, err, ErrUnsupported)
		require.Empty(t, s.Stream(testKey).Stats().Feeds)
	})
}

// A film is a Reader of a given number of frames, a key frame every 10.
type film struct {
	mu     sync.Mutex
	n, end int
	jump   bool
	closed chan struct{}
}

func (f *film) Tracks() []*codec.Track { return []*codec.Track{video} }
func (f *film) Close() error           { close(f.closed); return nil }

func (f *film) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == f.end {
		return nil, io.EOF
	}
	fr := frame(video, f.n, f.n%10 == 0)
	if f.jump {
		fr.Flags |= codec.FlagDiscont
		f.jump = false
	}
	f.n++
	return fr, nil
}

func (f *film) seek(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n, f.jump = n, true
}

func (f *film) at() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func TestPrivateFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &film{end: 1000, closed: make(chan struct{})}
		c, err := FeedOf(t.Context(), f, textFormat(nil))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Equal(t, feedAhead, f.at(), "no more than the viewer takes")
		packets, err := c.Next(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, "0:1K", joined(packets[:1]))
		got := len(packets)
		synctest.Wait()
		require.Equal(t, got+feedAhead, f.at())
		items, _ := c.feed.ring.usage()
		require.LessOrEqual(t, items, feedAhead+1, "what the viewer has had is not kept")

		f.seek(500)
		var after []Packet
		for len(after) == 0 || after[0].DTS < 20*time.Second { // some may be on their way
			after, err = c.Next(t.Context(), nil)
			require.NoError(t, err)
			got += len(after)
			synctest.Wait()
		}
		require.Equal(t, "20000:1K", joined(after[:1]))
		require.Less(t, got, 300)
		for err == nil {
			after, err = c.Next(t.Context(), after)
		}
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 500, len(after), "nothing is missing to the end")
		require.NoError(t, c.Close())
		<-f.closed
	})
}

// TestPrivateFeedOfStream: filtered viewers and those who block the publisher
// have a feed of their own.
func TestPrivateFeedOfStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video, audio)
		filtered, err := FeedOf(t.Context(), Filter(s.play(ViewerOptions{}), func(f *codec.Frame) (*codec.Frame, error) {
			switch {
			case f.Track == audio:
				return nil, nil
			case f.DTS == 120*ms:
				return nil, errLost
			}
			return f, nil
		}), textFormat(nil))
		require.NoError(t, err)
		block := s.feed(s.play(ViewerOptions{Slow: SlowBlock}), textFormat(nil))
		require.Empty(t, s.Stream(testKey).Stats().Feeds)
		for n := range 4 {
			s.write(p, frame(video, n, n == 0), frame(audio, n, true))
		}
		synctest.Wait()
		require.Equal(t, "0:1K 40:1- 80:1-", next(t, filtered))
		_, err = filtered.Next(t.Context(), nil)
		require.ErrorIs(t, err, errLost)
		require.NoError(t, filtered.Close())

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 8
		for ; p.WriteFrame(ctx, frame(video, n, true)) == nil; n++ {
		}
		require.Error(t, ctx.Err(), "the publisher waits")
		require.LessOrEqual(t, n, feedAhead+maxHeld+8)
		var all []Packet
		for len(all) < n {
			all, err = block.Next(t.Context(), all)
			require.NoError(t, err)
		}
		require.Equal(t, n, len(all), "and loses nothing")
		require.NoError(t, p.CloseWithError(errLost))
		p = s.publish()
		s.write(p, frame(video, 0, true), frame(video, 1, false))
		synctest.Wait()
		require.NoError(t, p.Close())
		for err == nil {
			all, err = block.Next(t.Context(), all)
		}
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, n+2, len(all))
		require.NoError(t, block.Close())
	})
}

// A badMuxer refuses every second frame.
type badMuxer struct {
	textMuxer
	n int
}

func (m *badMuxer) Append(dst []Packet, f *codec.Frame) ([]Packet, error) {
	if m.n++; m.n%2 == 0 {
		return dst, errors.New("cannot")
	}
	return m.textMuxer.Append(dst, f)
}

func TestFeedDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		c := s.feed(s.play(ViewerOptions{}), Format{Name: "bad", New: func([]*codec.Track) (Muxer, error) {
			return &badMuxer{textMuxer: textMuxer{tracks: map[int]*codec.Track{1: video}}}, nil
		}})
		defer c.Close()
		for n := range 6 {
			s.write(p, frame(video, n, n == 0))
		}
		require.Equal(t, "0:1K 80:1- 160:1-", next(t, c))
		require.EqualValues(t, 3, s.Stream(testKey).Stats().Feeds[0].Dropped)
	})
}

// A gatedMuxer waits in Append until it is let go.
type gatedMuxer struct {
	textMuxer
	entered, gate chan struct{}
}

func (m *gatedMuxer) Append(dst []Packet, f *codec.Frame) ([]Packet, error) {
	m.entered <- struct{}{}
	<-m.gate
	return m.textMuxer.Append(dst, f)
}

// TestFeedWaitWhileMuxing: who looks while another makes packets of the newest
// frame must not fall asleep over it.
func TestFeedWaitWhileMuxing(t *testing.T) {
	s := newScene(t, StreamOptions{})
	p := s.publish(video)
	m := &gatedMuxer{textMuxer{tracks: map[int]*codec.Track{1: video}}, make(chan struct{}), make(chan struct{})}
	c := s.feed(s.play(ViewerOptions{}), Format{Name: "gated", New: func([]*codec.Track) (Muxer, error) { return m, nil }})
	got := make(chan string)
	go func() {
		packets, _ := c.Next(context.Background(), nil)
		got <- joined(packets)
	}()
	s.write(p, frame(video, 0, true))
	<-m.entered
	require.Nil(t, c.feed.wait(0))
	close(m.gate)
	require.Equal(t, "0:1K", <-got)
	require.NotNil(t, c.feed.wait(1))
	require.NoError(t, c.Close())
}

// A strictMuxer cannot follow new parameters.
type strictMuxer struct{ textMuxer }

func (m *strictMuxer) Append(dst []Packet, f *codec.Frame) ([]Packet, error) {
	if m.tracks[f.Track.ID] != f.Track {
		return dst, fmt.Errorf("strict: %w", ErrNewFormat)
	}
	return m.textMuxer.Append(dst, f)
}

// TestFeedNewFormat: a muxer that cannot go on ends its viewers' stream; who comes
// then starts with what it could not take.
func TestFeedNewFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strict := Format{Name: "strict", New: func(tracks []*codec.Track) (Muxer, error) {
			m, err := textFormat(nil).New(tracks)
			return &strictMuxer{*m.(*textMuxer)}, err
		}}
		s := newScene(t, StreamOptions{})
		p := s.publish(video, audio)
		s.write(p, frame(video, 0, true), frame(audio, 0, true))
		a := s.feed(s.play(ViewerOptions{}), strict)
		require.Equal(t, "0:1K 0:2K", next(t, a))
		s.write(p, frame(video, 1, false), frame(audio2, 1, true), frame(video, 2, false))
		require.Equal(t, "40:1-", next(t, a))
		_, err := a.Next(t.Context(), nil)
		require.Equal(t, io.EOF, err)

		b := s.feed(s.play(ViewerOptions{}), strict)
		require.Equal(t, "header 1=01 2=22\n", string(b.Header()))
		require.NoError(t, a.Close()) // the last viewer of the old feed
		s.write(p, frame(video, 3, true), frame(audio2, 3, true))
		require.Equal(t, "120:1K 120:2K", next(t, b), "the old key frame is before the change")
		c := s.feed(s.play(ViewerOptions{}), strict)
		require.Equal(t, "120:1K 120:2K", next(t, c), "as the others of the new feed")
		require.Same(t, b.feed, c.feed)
		require.NoError(t, b.Close())
		require.NoError(t, c.Close())
		require.NoError(t, p.Close())
	})
}

// A lateMuxer makes the packet of a frame when the next one has come.
type lateMuxer struct {
	textMuxer
	held *codec.Frame
}

func (m *lateMuxer) Append(dst []Packet, f *codec.Frame) ([]Packet, error) {
	if m.tracks[f.Track.ID] != f.Track {
		return dst, ErrNewFormat
	}
	dst = m.Flush(dst)
	m.held = f
	return dst, nil
}

func (m *lateMuxer) Flush(dst []Packet) []Packet {
	if m.held != nil {
		dst, _ = m.textMuxer.Append(dst, m.held)
		m.held = nil
	}
	return dst
}

// TestFeedFlush: what a muxer holds back comes at the end, whatever ends it.
func TestFeedFlush(t *testing.T) {
	late := Format{Name: "late", New: func(tracks []*codec.Track) (Muxer, error) {
		m, err := textFormat(nil).New(tracks)
		return &lateMuxer{textMuxer: *m.(*textMuxer)}, err
	}}
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		s.write(p, frame(video, 0, true), frame(video, 1, false))
		a := s.feed(s.play(ViewerOptions{}), late)
		require.Equal(t, "0:1K", next(t, a))
		s.write(p, frame(video2, 2, true)) // the format cannot follow
		require.Equal(t, "40:1-", next(t, a))
		_, err := a.Next(t.Context(), nil)
		require.Equal(t, io.EOF, err)

		b := s.feed(s.play(ViewerOptions{}), late)
		private := s.feed(s.play(ViewerOptions{Slow: SlowBlock}), late)
		s.write(p, frame(video2, 3, false))
		require.NoError(t, p.Close())
		for _, c := range []*Cursor{b, private} {
			require.Equal(t, "80:1K 120:1-", next(t, c))
			_, err = c.Next(t.Context(), nil)
			require.Equal(t, io.EOF, err)
			require.NoError(t, c.Close())
		}
		require.NoError(t, a.Close())
	})
}

// A pictures is a Muxer that carries video only.
type pictures struct{ textMuxer }

func (*pictures) Carries(t *codec.Track) bool { return t.Kind() == codec.KindVideo }

func TestLeftOut(t *testing.T) {
	s := newScene(t, StreamOptions{SilentAudio: true})
	var log bytes.Buffer
	s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	p := s.publish(video, audio)
	s.write(p, frame(video, 0, true), frame(audio, 0, true))
	format := textFormat(nil)
	newMuxer := format.New
	for _, c := range []struct {
		name   string
		format Format
		want   []*codec.Track
	}{
		{"one that tells", Format{Name: "pictures", New: func(tracks []*codec.Track) (Muxer, error) {
			m, err := newMuxer(tracks)
			return &pictures{*m.(*textMuxer)}, err
		}}, []*codec.Track{audio}},
		{"one that does not", format, nil},
	} {
		log.Reset()
		for range 2 {
			cursor := s.feed(s.play(ViewerOptions{}), c.format)
			defer cursor.Close()
		}
		stats := s.Stream(testKey).Stats().Feeds
		i := slices.IndexFunc(stats, func(f FeedStats) bool { return f.Format == c.format.Name })
		require.Equal(t, c.want, stats[i].LeftOut, c.name)
		require.Equal(t, len(c.want), strings.Count(log.String(), "track left out"), "%s: said once", c.name)
	}
}
