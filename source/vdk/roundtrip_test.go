package vdk

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/deepch/vdk/av"
	"github.com/deepch/vdk/av/pubsub"
	"github.com/deepch/vdk/format/flv"
	"github.com/deepch/vdk/format/mp4"
	"github.com/deepch/vdk/format/ts"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// formats are those of vdk that both write and read.
var formats = []struct {
	name    string
	muxer   func(io.WriteSeeker) av.Muxer
	demuxer func(io.ReadSeeker) av.Demuxer
	split   bool
	first   bool          // it ends with the track that ends first
	shift   time.Duration // what is added to times
	panics  bool          // where a bit is wrong
	streams []testmedia.Stream
}{
	{
		"flv",
		func(w io.WriteSeeker) av.Muxer { return flv.NewMuxer(w) },
		func(r io.ReadSeeker) av.Demuxer { return flv.NewDemuxer(r) },
		false, false, 0, false,
		[]testmedia.Stream{
			{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
			{Video: codec.H265, Audio: codec.AAC, BFrames: 2},
			{Video: codec.H264}, {Audio: codec.AAC},
			{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Change: 1},
			{Video: codec.H265, GOP: time.Second, Change: 1},
		},
	},
	{
		"mp4", // it writes H.265, but reads none
		func(w io.WriteSeeker) av.Muxer { return mp4.NewMuxer(w) },
		func(r io.ReadSeeker) av.Demuxer { return mp4.NewDemuxer(r) },
		false, true, 0, false,
		[]testmedia.Stream{
			{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
			{Video: codec.H264}, {Audio: codec.AAC},
			{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Change: 1},
		},
	},
	{
		"ts", // it writes H.265, but reads none
		func(w io.WriteSeeker) av.Muxer { return ts.NewMuxer(w) },
		func(r io.ReadSeeker) av.Demuxer { return ts.NewDemuxer(r) },
		true, false, time.Second, true,
		[]testmedia.Stream{
			{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
			{Video: codec.H264}, {Audio: codec.AAC},
		},
	},
}

// Frames that vdk muxed and demuxed are those that went in.
func TestRoundTrip(t *testing.T) {
	for _, x := range formats {
		t.Run(x.name, func(t *testing.T) {
			containertest.EachStream(t, x.streams, 500_000, func(t *testing.T, s testmedia.Stream) {
				want := s.Take(4 * time.Second)
				b := muxed(t, x.muxer, s, 4*time.Second)
				r := NewReader(x.demuxer(bytes.NewReader(b)))
				r.Split = x.split
				require.Len(t, r.Tracks(), len(s.Tracks()))
				got, err := containertest.ReadAll(r)
				require.Equal(t, io.EOF, err)
				require.Empty(t, r.LeftOut())
				if x.first {
					want = common(want)
				}
				containertest.Match{
					Shift: x.shift, Lost: codec.FlagDisposable,
					Tick: func(*codec.Track) time.Duration { return time.Second / 90000 },
				}.Frames(t, want, got)
				require.NoError(t, r.Close())
			})
		})
	}
}

// muxed returns what vdk makes of a stream.
func muxed(t *testing.T, muxer func(io.WriteSeeker) av.Muxer, s testmedia.Stream, d time.Duration) []byte {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "film"))
	require.NoError(t, err)
	w, err := NewWriter(struct {
		av.Muxer
		io.Closer
	}{muxer(file), file}, s.Tracks())
	require.NoError(t, err)
	require.Empty(t, w.LeftOut())
	containertest.Write(t, w, s.Take(d))
	require.NoError(t, w.Close())
	require.ErrorIs(t, file.Close(), os.ErrClosed)
	b, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	return b
}

// common returns the frames up to where the first track ends.
func common(frames []*codec.Frame) (common []*codec.Frame) {
	last := map[int]*codec.Frame{}
	for _, f := range frames {
		last[f.Track.ID] = f
	}
	end := frames[len(frames)-1]
	for _, f := range last {
		if f.DTS < end.DTS {
			end = f
		}
	}
	for _, f := range frames {
		if f.DTS < end.DTS || f == end {
			common = append(common, f)
		}
	}
	return common
}

// A vdk application's queue is a stream of ours, with whatever codec.
func TestQueue(t *testing.T) {
	for _, c := range converted {
		t.Run(c.String(), func(t *testing.T) {
			s := testmedia.Stream{GOP: time.Second}
			if c.Kind() == codec.KindVideo {
				s.Video = c
			} else {
				s.Audio = c
			}
			queue := pubsub.NewQueue()
			queue.SetMaxGopCount(1000)
			r := NewReader(queue.Oldest())
			w, err := NewWriter(queue, s.Tracks())
			require.NoError(t, err)
			want := s.Take(2 * time.Second)
			containertest.Write(t, w, want)
			require.NoError(t, w.Close())
			got, err := containertest.ReadAll(r)
			require.Equal(t, io.EOF, err)
			containertest.Match{Lost: codec.FlagDisposable}.Frames(t, want, got)
		})
	}
}
