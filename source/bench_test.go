package source

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// BenchmarkPublish measures what a frame costs its publisher while so many wait
// for it, each in a goroutine of its own. The next frame is written when all
// have had the one before, as in a live stream. With cold caches, as many readers
// leave them, the frame costs more for few as for many: look at both.
func BenchmarkPublish(b *testing.B) {
	for _, kind := range []struct {
		name string
		read func(s *scene, had *atomic.Int64)
	}{
		{"readers", func(s *scene, had *atomic.Int64) {
			r := s.play(ViewerOptions{})
			defer r.Close()
			for {
				if _, err := r.ReadFrame(context.Background()); err != nil {
					return
				}
				had.Add(1)
			}
		}},
		{"feed", func(s *scene, had *atomic.Int64) {
			c := s.feed(s.play(ViewerOptions{}), textFormat(nil))
			defer c.Close()
			var packets []Packet
			for {
				var err error
				if packets, err = c.Next(context.Background(), packets[:0]); err != nil {
					return
				}
				had.Add(int64(len(packets)))
			}
		}},
	} {
		for _, c := range []struct {
			n    int
			cold bool
		}{{0, false}, {1, false}, {100, false}, {10000, false}, {0, true}, {1, true}, {100, true}, {10000, true}} {
			n := c.n
			b.Run(fmt.Sprintf("%s=%d/cold=%t", kind.name, n, c.cold), func(b *testing.B) {
				s := newScene(b, StreamOptions{})
				s.OnEvent = nil
				p := s.publish(video, audio)
				ring := &s.Stream(testKey).ring
				var had atomic.Int64
				var readers sync.WaitGroup
				for range n {
					readers.Go(func() { kind.read(s, &had) })
				}
				for len(s.Stream(testKey).Stats().Sessions) < n {
					time.Sleep(ms)
				}
				took := make([]time.Duration, 0, b.N)
				data, other := make([]byte, 10000), make([]byte, 64<<20)
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					f := &codec.Frame{Track: video, DTS: time.Duration(i) * 40 * ms, PTS: time.Duration(i) * 40 * ms, Data: data}
					if i%50 == 0 {
						f.Flags = codec.FlagKey
					}
					for j := 0; c.cold && j < len(other); j += 64 {
						other[j]++
					}
					began := time.Now()
					_ = p.WriteFrame(context.Background(), f)
					took = append(took, time.Since(began))
					for had.Load() < int64(n)*int64(i+1) || int(ring.waiters.Load()) < n {
						time.Sleep(100 * time.Microsecond) // until all have had it and wait again
					}
				}
				b.StopTimer()
				slices.Sort(took)
				sum := time.Duration(0)
				for _, d := range took {
					sum += d
				}
				b.ReportMetric(float64(took[len(took)/2]), "ns/frame-p50")
				b.ReportMetric(float64(sum)/float64(len(took)), "ns/frame-mean")
				_ = p.Close()
				readers.Wait()
			})
		}
	}
}

// BenchmarkWriteFrame is the path of a frame without anybody who watches.
func BenchmarkWriteFrame(b *testing.B) {
	s := newScene(b, StreamOptions{})
	p := s.publish(video)
	f := &codec.Frame{Track: video, Flags: codec.FlagKey, Data: make([]byte, 10000)}
	b.ReportAllocs()
	for b.Loop() {
		_ = p.WriteFrame(context.Background(), f)
	}
}

func BenchmarkSubscribe(b *testing.B) {
	s := newScene(b, StreamOptions{})
	p := s.publish(video)
	for n := range 100 {
		s.write(p, frame(video, n, n == 0))
	}
	req := func() *Request { return &Request{ID: "x", Schema: "x", Key: testKey} }
	b.Run("reader", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, _ := s.Play(context.Background(), req())
			_, _ = r.ReadFrame(context.Background())
			_ = r.Close()
		}
	})
	b.Run("feed", func(b *testing.B) {
		keep := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		defer keep.Close()
		b.ReportAllocs()
		for b.Loop() {
			r, _ := s.Play(context.Background(), req())
			c, _ := FeedOf(context.Background(), r, textFormat(nil))
			_ = c.Close()
		}
	})
}
