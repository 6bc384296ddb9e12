package hls

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/ts"
)

// TestLatency: a frame can be fetched soon after it was written. Time is virtual,
// so that this is what waiting for parts costs.
func TestLatency(t *testing.T) {
	for name, container := range containers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Bitrate: 200_000}
				w, err := NewWriter(stream.Tracks(), Options{Container: container})
				require.NoError(t, err)
				player := newTail(t, w)
				begin := time.Now()
				written := map[string]time.Time{} // by data
				var delays []time.Duration
				for f := range stream.Frames() {
					if f.DTS >= time.Minute {
						break
					}
					time.Sleep(time.Until(begin.Add(f.DTS)))
					written[string(f.Data)] = time.Now()
					require.NoError(t, w.WriteFrame(context.Background(), f))
					for _, got := range player.read() {
						at, ok := written[string(got.Data)]
						require.True(t, ok, "a frame that was not written")
						delays = append(delays, time.Since(at))
					}
				}
				require.NoError(t, w.Close())
				slices.Sort(delays)
				p99 := delays[len(delays)*99/100]
				t.Logf("median %v, 99 %% %v, longest %v of %d", delays[len(delays)/2], p99, delays[len(delays)-1], len(delays))
				require.Greater(t, len(delays), 3500)
				require.Less(t, p99, 300*time.Millisecond)
			})
		})
	}
}

// A tail fetches what is new at the end of a playlist and finds the frames in it.
type tail struct {
	t     *testing.T
	w     *Writer
	seen  *snapshot
	uri   string // of the segment that is being read
	at    int64  // in it
	init  bool
	demux interface {
		Append([]*codec.Frame, []byte) ([]*codec.Frame, error)
	}
}

func newTail(t *testing.T, w *Writer) *tail {
	p := &tail{t: t, w: w, demux: &ts.Demuxer{}}
	if w.o.Container == FMP4 {
		p.demux = &mp4.Demuxer{}
	}
	return p
}

// read returns the frames that have come since the playlist was first there.
func (p *tail) read() (fs []*codec.Frame) {
	p.t.Helper()
	s := p.w.now.Load()
	if s == p.seen {
		return nil
	}
	first := p.seen == nil
	p.seen = s
	list := parse(p.t, request(p.w, "GET", p.w.o.Container.playlist(), "").Body.Bytes())
	if !p.init && list.Next.Map != "" {
		fs = p.add(fs, list.Next.Map, "")
	}
	p.init = true
	for _, seg := range append(list.Segments, list.Next) {
		for _, part := range seg.Parts {
			if part.URI < p.uri || part.URI == p.uri && part.From < p.at {
				continue
			}
			fs = p.add(fs, part.URI, fmt.Sprintf("bytes=%d-%d", part.From, part.From+part.Size-1))
			p.uri, p.at = part.URI, part.From+part.Size
		}
	}
	if first {
		return nil
	}
	return fs
}

func (p *tail) add(fs []*codec.Frame, uri, span string) []*codec.Frame {
	p.t.Helper()
	rec := request(p.w, "GET", uri, span)
	require.Less(p.t, rec.Code, 300)
	fs, err := p.demux.Append(fs, rec.Body.Bytes())
	require.NoError(p.t, err)
	return fs
}

// BenchmarkWriter is a stream of 2 Mbit/s with parts of 200 ms; an operation is a
// frame.
func BenchmarkWriter(b *testing.B) {
	for name, container := range containers {
		b.Run(name, func(b *testing.B) {
			stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
			frames := stream.Take(30 * time.Second)
			w, err := NewWriter(stream.Tracks(), Options{Container: container})
			require.NoError(b, err)
			b.ReportAllocs()
			var bytes int64
			for i := 0; b.Loop(); i++ {
				f := *frames[i%len(frames)]
				f.DTS += time.Duration(i/len(frames)) * 30 * time.Second
				f.PTS += time.Duration(i/len(frames)) * 30 * time.Second
				bytes += int64(len(f.Data))
				require.NoError(b, w.WriteFrame(context.Background(), &f))
			}
			b.SetBytes(bytes / int64(b.N))
			require.NoError(b, w.Close())
		})
	}
}
