package record

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A scene is a hub with Recorders on a disk of the test, in a bubble of synctest.
type scene struct {
	t    testing.TB
	root string
	disk *badDisk
	hub  *source.Hub
	rs   *Recorders
	log  log
}

func newScene(t testing.TB, o source.StreamOptions) *scene {
	s := &scene{t: t, root: t.TempDir(), hub: &source.Hub{Options: o}}
	s.disk = newBadDisk(s.root)
	s.rs = &Recorders{Hub: s.hub, Root: s.root, OnEvent: s.log.add, newDisk: func(string) disk { return s.disk }}
	t.Cleanup(func() {
		require.NoError(t, s.rs.Close())
		require.NoError(t, s.hub.Close())
	})
	return s
}

// A play is a stream that is being published in real time.
type play struct {
	s    *scene
	pub  source.Publication
	next func() (*codec.Frame, bool)
	more *codec.Frame
	base time.Time
}

// publish begins a stream.
func (s *scene) publish(m testmedia.Stream) *play {
	s.t.Helper()
	pub, err := s.hub.Publish(s.t.Context(), &source.Request{ID: source.NewID(), Key: testKey, Schema: "test"})
	require.NoError(s.t, err)
	require.NoError(s.t, pub.SetTracks(m.Tracks(), true))
	frames := make(chan *codec.Frame)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for f := range m.Frames() {
			select {
			case frames <- f:
			case <-ctx.Done():
				return
			}
		}
	}()
	s.t.Cleanup(func() { cancel(); <-done })
	return &play{s: s, pub: pub, base: time.Now(), next: func() (*codec.Frame, bool) { return <-frames, true }}
}

// run publishes for so long. Nobody may hold up the publisher.
func (p *play) run(d time.Duration) {
	p.s.t.Helper()
	end := time.Since(p.base) + d
	for {
		if p.more == nil {
			p.more, _ = p.next()
		}
		if p.more.DTS >= end {
			time.Sleep(time.Until(p.base.Add(end)))
			return
		}
		time.Sleep(time.Until(p.base.Add(p.more.DTS)))
		before := time.Now()
		require.NoError(p.s.t, p.pub.WriteFrame(p.s.t.Context(), p.more))
		require.Equal(p.s.t, before, time.Now(), "the publisher had to wait")
		p.more = nil
	}
}

// bubble runs fn with a scene.
func bubble(t *testing.T, o source.StreamOptions, fn func(*testing.T, *scene)) {
	synctest.Test(t, func(t *testing.T) { fn(t, newScene(t, o)) })
}

// TestRecorder records a part of a stream: it begins with the newest key frame, is
// sliced, told of, and complete when Stop returns.
func TestRecorder(t *testing.T) {
	for name, o := range formats {
		t.Run(name, func(t *testing.T) {
			bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
				p := s.publish(film)
				p.run(3500 * ms)
				o.Slice = 3 * time.Second
				began := time.Now()
				r, err := s.rs.Start(testKey, o)
				require.NoError(t, err)
				again, err := s.rs.Start(source.Key{App: "live", Stream: "t"}, Options{Format: o.Format, Slice: time.Hour})
				require.NoError(t, err)
				require.Same(t, r, again, "it is recorded already")
				require.Same(t, r, s.rs.Recorder(testKey, o.Format))
				p.run(5 * time.Second)
				synctest.Wait()
				st := r.Stats()
				require.Equal(t, StateRecording, st.State)
				require.Equal(t, byte('.'), filepath.Base(st.Name)[0])
				require.FileExists(t, filepath.Join(s.root, st.Name))
				require.Empty(t, s.hub.Stream(testKey).Stats().Viewers, "it is no viewer")
				require.Len(t, s.hub.Stream(testKey).Stats().Sessions, 1)
				require.NoError(t, s.rs.Stop(testKey, o.Format))
				require.Equal(t, "finished finished ended", s.log.kinds())
				require.Nil(t, s.rs.Recorder(testKey, o.Format))
				require.ErrorIs(t, s.rs.Stop(testKey, o.Format), source.ErrNotFound)
				require.Empty(t, s.hub.Stream(testKey).Stats().Sessions)
				<-r.Done()
				files := s.log.files()
				require.InDelta(t, 3*time.Second, files[0].Duration, float64(50*ms))
				require.InDelta(t, 2500*ms, files[1].Duration, float64(100*ms))
				require.WithinDuration(t, began.Add(-500*ms), files[0].Start, 50*ms, "the picture it begins with came before")
				require.WithinDuration(t, began.Add(2500*ms), files[1].Start, 50*ms)
				st = r.Stats()
				require.Equal(t, StateEnded, st.State)
				require.EqualValues(t, 2, st.Files)
				require.EqualValues(t, files[0].Size+files[1].Size, st.Bytes)
				require.Zero(t, st.Lost+st.Errors+st.LeftOut)
				require.NoError(t, st.Err)
			})
		})
	}
}

// TestEnd: a recording ends with its stream, or waits for the next.
func TestEnd(t *testing.T) {
	for _, wait := range []bool{false, true} {
		bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
			_, err := s.rs.Start(testKey, Options{})
			require.ErrorIs(t, err, source.ErrNotFound)
			o := Options{Wait: wait, Format: TS}
			var r *Recorder
			if wait {
				r, err = s.rs.Start(testKey, o)
				require.NoError(t, err)
				synctest.Wait()
				require.Equal(t, StateWaiting, r.Stats().State)
			}
			p := s.publish(film)
			p.run(100 * ms)
			if !wait {
				r, err = s.rs.Start(testKey, o)
				require.NoError(t, err)
			}
			p.run(1900 * ms)
			require.NoError(t, p.pub.CloseWithError(nil))
			synctest.Wait()
			if !wait {
				require.Equal(t, "finished ended", s.log.kinds())
				require.Empty(t, s.rs.All())
				return
			}
			require.Equal(t, "finished", s.log.kinds())
			require.Equal(t, StateWaiting, r.Stats().State)
			time.Sleep(time.Minute)
			p = s.publish(film)
			p.run(4 * time.Second)
			require.Equal(t, StateRecording, r.Stats().State)
			require.NoError(t, p.pub.CloseWithError(nil))
			synctest.Wait()
			require.NoError(t, s.rs.Close())
			require.Equal(t, "finished finished ended", s.log.kinds())
			for i, want := range []time.Duration{2 * time.Second, 4 * time.Second} {
				require.InDelta(t, want, s.log.files()[i].Duration, float64(50*ms))
			}
			_, err = s.rs.Start(testKey, o)
			require.ErrorIs(t, err, source.ErrClosed)
		})
	}
}

// TestLinger: a publisher who comes back is recorded on in the same file, or in
// another one if his parameters are others.
func TestLinger(t *testing.T) {
	other := film
	other.Video = codec.H265
	for _, c := range []struct {
		second testmedia.Stream
		want   string
	}{{film, "finished ended"}, {other, "finished finished ended"}} {
		bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
			p := s.publish(film)
			p.run(100 * ms)
			_, err := s.rs.Start(testKey, Options{})
			require.NoError(t, err)
			p.run(1900 * ms)
			require.NoError(t, p.pub.CloseWithError(errors.New("lost")))
			time.Sleep(5 * time.Second)
			p = s.publish(c.second)
			p.run(2 * time.Second)
			require.NoError(t, s.rs.Close())
			require.Equal(t, c.want, s.log.kinds())
		})
	}
}

// TestKicked: the operator ends the session.
func TestKicked(t *testing.T) {
	bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
		p := s.publish(film)
		p.run(time.Second)
		r, err := s.rs.Start(testKey, Options{Wait: true, Viewer: true})
		require.NoError(t, err)
		p.run(time.Second)
		st := s.hub.Stream(testKey).Stats()
		require.Equal(t, map[string]int{"record": 1}, st.Viewers)
		require.True(t, s.hub.Kick(st.Sessions[0].ID))
		<-r.Done()
		require.Equal(t, "finished ended", s.log.kinds())
		require.ErrorIs(t, r.Stats().Err, source.ErrKicked)
	})
}

// TestRefused: what cannot be recorded is refused at once.
func TestRefused(t *testing.T) {
	bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
		p := s.publish(testmedia.Stream{Video: codec.VP8})
		p.run(time.Second)
		_, err := s.rs.Start(testKey, Options{Format: TS})
		require.ErrorIs(t, err, source.ErrUnsupported)
		_, err = s.rs.Start(source.Key{App: "..", Stream: "t"}, Options{})
		require.ErrorIs(t, err, source.ErrBadKey)
		_, err = s.rs.Start(testKey, Options{Name: "../t"})
		require.ErrorIs(t, err, source.ErrBadKey)
		require.Empty(t, s.rs.All())
	})
}

// TestClip records from some time ago to some time ahead, when the stream is at
// 9.5 s; there is a key frame every second.
func TestClip(t *testing.T) {
	for _, c := range []struct {
		name          string
		back, forward time.Duration
		start, end    time.Duration // of the stream
	}{
		{"from now on", 0, 3 * time.Second, 9 * time.Second, 12500 * ms},
		{"before and after", 4 * time.Second, 3 * time.Second, 5 * time.Second, 12500 * ms},
		{"further back than is kept", time.Minute, time.Second, 3 * time.Second, 10500 * ms},
		{"before only", 4 * time.Second, 0, 5 * time.Second, 9500 * ms},
		{"without the tail", 4 * time.Second, -2 * time.Second, 5 * time.Second, 7500 * ms},
		{"later", -2 * time.Second, 4 * time.Second, 12 * time.Second, 13500 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, source.StreamOptions{Keep: 6 * time.Second}, func(t *testing.T, s *scene) {
				p := s.publish(film)
				p.run(9500 * ms)
				var clips []*Recorder
				for range 2 { // at once
					r, err := s.rs.Clip(testKey, Options{Back: c.back, Forward: c.forward, Name: "alarm"})
					require.NoError(t, err)
					clips = append(clips, r)
				}
				p.run(max(c.forward, 0) + time.Second)
				for _, r := range clips {
					<-r.Done()
					require.NoError(t, r.Stats().Err)
				}
				require.Empty(t, s.rs.All())
				files := s.log.files()
				require.Len(t, files, 2)
				for _, f := range files {
					require.WithinDuration(t, p.base.Add(c.start), f.Start, 50*ms)
					require.InDelta(t, c.end-c.start, f.Duration, float64(100*ms))
					require.True(t, readRecording(t, f.Path)[0].Key())
				}
				require.ElementsMatch(t, []string{"record/live/t/alarm.mp4", "record/live/t/alarm-1.mp4"}, []string{files[0].Name, files[1].Name})
			})
		})
	}
}

// TestClipStalls: a clip ends even where the stream stands still.
func TestClipStalls(t *testing.T) {
	bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
		p := s.publish(film)
		p.run(2 * time.Second)
		began := time.Now()
		r, err := s.rs.Clip(testKey, Options{Forward: 3 * time.Second})
		require.NoError(t, err)
		<-r.Done()
		require.Equal(t, 3*time.Second+clipGrace, time.Since(began))
		require.Equal(t, "finished ended", s.log.kinds())
		require.NoError(t, r.Stats().Err)
	})
}

// TestDiskFull: the stream goes on, one event tells, and the recording goes on
// within 10 seconds after there is room. What is missing is counted.
func TestDiskFull(t *testing.T) {
	for _, format := range []Format{MP4, FLV, TS} {
		t.Run(format.String(), func(t *testing.T) {
			bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
				p := s.publish(film)
				p.run(100 * ms)
				r, err := s.rs.Start(testKey, Options{Format: format})
				require.NoError(t, err)
				s.disk.set(200_000, nil)
				p.run(time.Minute)
				synctest.Wait()
				st := r.Stats()
				require.Equal(t, StateFailing, st.State)
				require.ErrorIs(t, st.Err, errFull)
				require.GreaterOrEqual(t, st.Errors, uint64(5), "it is tried again and again")
				require.LessOrEqual(t, st.Errors, uint64(8))
				require.Equal(t, "failed finished", s.log.kinds())
				require.Zero(t, st.Queued)
				s.disk.set(-1, nil)
				p.run(13 * time.Second)
				synctest.Wait()
				require.Equal(t, "failed finished resumed", s.log.kinds())
				require.Equal(t, StateRecording, r.Stats().State)
				p.run(10 * time.Second)
				require.NoError(t, s.rs.Close())
				require.Equal(t, "failed finished resumed finished ended", s.log.kinds())
				files := s.log.files()
				written := 0
				for _, f := range files {
					written += len(readRecording(t, f.Path))
				}
				require.Len(t, tree(t, s.root), 2)
				require.Greater(t, files[1].Duration, 10*time.Second)
				lost := r.Stats().Lost
				published := len(film.Take(83*time.Second + 100*ms))
				require.GreaterOrEqual(t, written+int(lost), published, "written %d, lost %d", written, lost)
				require.LessOrEqual(t, written+int(lost), published+75, "a part of what counts as lost has landed")
				for _, e := range s.log.events() {
					if e.Kind == EventResumed {
						require.InDelta(t, lost, e.Lost, 200) // what the first failure took is counted later
					}
				}
			})
		})
	}
}

// TestReadOnly: the folder cannot be written to when the recording begins.
func TestReadOnly(t *testing.T) {
	bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
		s.disk.set(-1, errors.New("read-only file system"))
		p := s.publish(film)
		p.run(100 * ms)
		_, err := s.rs.Start(testKey, Options{Format: FLV})
		require.NoError(t, err)
		p.run(25 * time.Second)
		require.Equal(t, "failed", s.log.kinds())
		s.disk.set(-1, nil)
		p.run(20 * time.Second)
		require.NoError(t, s.rs.Close())
		require.Equal(t, "failed resumed finished ended", s.log.kinds())
	})
}

// TestSlowDisk has a disk hang for minutes: what waits is bounded, whole GOPs are
// left out and told of, and the rest is there.
func TestSlowDisk(t *testing.T) {
	heavy := film
	heavy.Bitrate = 4_000_000
	bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
		p := s.publish(heavy)
		p.run(100 * ms)
		r, err := s.rs.Start(testKey, Options{Format: FLV})
		require.NoError(t, err)
		p.run(5 * time.Second)
		gate := make(chan struct{})
		s.disk.hang(gate)
		p.run(time.Minute)
		require.LessOrEqual(t, r.Stats().Queued, maxQueued)
		require.Greater(t, r.Stats().Queued, maxQueued*3/4)
		require.Positive(t, r.Stats().Lost)
		require.Empty(t, s.log.kinds())
		s.disk.hang(nil)
		close(gate)
		p.run(5 * time.Second)
		require.Equal(t, "dropped", s.log.kinds())
		require.Equal(t, r.Stats().Lost, s.log.events()[0].Lost)
		require.NoError(t, s.rs.Close())
		frames := readRecording(t, s.log.files()[0].Path)
		require.Equal(t, len(heavy.Take(70*time.Second+100*ms)), len(frames)+int(r.Stats().Lost))
		var last *codec.Frame
		gaps := 0
		for _, f := range frames {
			if !isVideo(f.Track) {
				continue
			}
			if last != nil && f.DTS-last.DTS > 41*ms {
				require.True(t, f.Key(), "after a gap comes a key frame")
				gaps++
			}
			last = f
		}
		require.Equal(t, 1, gaps)
	})
}

// TestHungDisk: Close does not wait for ever, and the file is finished later.
func TestHungDisk(t *testing.T) {
	bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
		p := s.publish(film)
		p.run(100 * ms)
		r, err := s.rs.Start(testKey, Options{Format: TS})
		require.NoError(t, err)
		gate := make(chan struct{})
		s.disk.hang(gate)
		p.run(5 * time.Second)
		began := time.Now()
		require.ErrorIs(t, r.Close(), source.ErrTimeout)
		require.Equal(t, closeGrace, time.Since(began))
		close(gate)
		<-r.Done()
		require.Equal(t, "finished ended", s.log.kinds())
	})
}

// TestRepublished: a stream that is published again while its last file is being
// finished is recorded again.
func TestRepublished(t *testing.T) {
	bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
		p := s.publish(film)
		p.run(100 * ms)
		first, err := s.rs.Start(testKey, Options{Format: TS})
		require.NoError(t, err)
		p.run(1500 * ms)
		gate := make(chan struct{})
		s.disk.hang(gate)
		require.NoError(t, p.pub.Close())
		synctest.Wait()
		require.Nil(t, s.rs.Recorder(testKey, TS))
		require.Equal(t, []*Recorder{first}, s.rs.All())

		p = s.publish(film)
		p.run(100 * ms)
		second, err := s.rs.Start(testKey, Options{Format: TS})
		require.NoError(t, err)
		require.NotSame(t, first, second)
		require.Same(t, second, s.rs.Recorder(testKey, TS))
		p.run(2 * time.Second)
		s.disk.hang(nil)
		close(gate)
		<-first.Done()
		require.NoError(t, s.rs.Stop(testKey, TS))
		require.Equal(t, "finished ended finished ended", s.log.kinds())
		require.Empty(t, s.rs.All())
		require.Len(t, tree(t, s.root), 2)
	})
}

// TestRemoved: what is being written is deleted by somebody. The recording notices
// within a fragment, tells, and goes on in a new file.
func TestRemoved(t *testing.T) {
	for _, format := range []Format{MP4, FLV, TS} {
		t.Run(format.String(), func(t *testing.T) {
			bubble(t, source.StreamOptions{}, func(t *testing.T, s *scene) {
				p := s.publish(film)
				p.run(100 * ms)
				_, err := s.rs.Start(testKey, Options{Format: format})
				require.NoError(t, err)
				p.run(5 * time.Second)
				require.NoError(t, os.RemoveAll(filepath.Join(s.root, "record")))
				p.run(3 * time.Second)
				synctest.Wait()
				require.Equal(t, "failed", s.log.kinds())
				require.ErrorIs(t, s.log.events()[0].Err, fs.ErrNotExist)
				p.run(20 * time.Second)
				require.NoError(t, s.rs.Close())
				require.Equal(t, "failed resumed finished ended", s.log.kinds())
				require.Len(t, tree(t, s.root), 1)
				require.NotEmpty(t, readRecording(t, s.log.files()[0].Path))
			})
		})
	}
}
