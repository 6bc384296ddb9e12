package e2e

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// A film is a clip in memory: what an MP4 file holds, read by other people's
// code. It is a source.Reader that keeps to real time.
type film struct {
	tracks []*codec.Track
	frames []*codec.Frame // in DTS order

	next  int
	start time.Time // of the first ReadFrame
}

// load reads a clip made as MP4.
func load(t testing.TB, c clip) *film {
	t.Helper()
	b, err := os.ReadFile(c.file(t))
	require.NoError(t, err)
	var p pmp4.Presentation
	require.NoError(t, p.Unmarshal(bytes.NewReader(b)))
	probed := probeFile(t, "ffprobe", c.file(t))
	f := &film{}
	for i, tr := range p.Tracks {
		var samples []*codec.Frame
		kind := "audio"
		if tr.Codec.IsVideo() {
			kind = "video"
		}
		// Where the track begins, by its edit list.
		begin := time.Duration(probed.packets(t, kind)[0].DTS)
		if len(f.frames) > 0 {
			begin = max(begin, f.frames[0].DTS) // viewers start with a picture
		}
		dts := codec.Ticks(begin, int(tr.TimeScale))
		for _, s := range tr.Samples {
			data, err := s.GetPayload()
			require.NoError(t, err)
			frame := &codec.Frame{
				DTS:  codec.FromTicks(dts, int(tr.TimeScale)),
				PTS:  codec.FromTicks(dts+int64(s.PTSOffset), int(tr.TimeScale)),
				Data: data,
			}
			if !s.IsNonSyncSample {
				frame.Flags = codec.FlagKey
			}
			samples = append(samples, frame)
			dts += int64(s.Duration)
		}
		track := mp4Track(t, i, tr, samples[0].Data)
		for _, s := range samples {
			s.Track = track
		}
		f.tracks = append(f.tracks, track)
		f.frames = append(f.frames, samples...)
	}
	// B-frames and what an audio encoder puts first lie before 0.
	first := slices.MinFunc(f.frames, byDTS).DTS
	for _, s := range f.frames {
		s.DTS -= first
		s.PTS -= first
	}
	slices.SortStableFunc(f.frames, byDTS)
	return f
}

func byDTS(a, b *codec.Frame) int { return cmp.Compare(a.DTS, b.DTS) }

// mp4Track makes our track of what the file says.
func mp4Track(t testing.TB, id int, tr *pmp4.Track, first []byte) *codec.Track {
	t.Helper()
	var track *codec.Track
	var err error
	switch c := tr.Codec.(type) {
	case *codecs.H264:
		track, err = codec.NewH264Track(id, c.SPS, c.PPS)
	case *codecs.H265:
		track, err = codec.NewH265Track(id, c.VPS, c.SPS, c.PPS)
	case *codecs.AV1:
		// The first picture's, as the encoder tells the file something else.
		var tu av1.Bitstream
		require.NoError(t, tu.Unmarshal(first))
		i := slices.IndexFunc(tu, func(obu []byte) bool { return obu[0]>>3&15 == 1 })
		require.GreaterOrEqual(t, i, 0)
		track, err = codec.NewAV1Track(id, tu[i])
	case *codecs.VP9:
		track, err = codec.NewVP9Track(id, first)
	case *codecs.MPEG4Audio:
		track, err = codec.NewAACTrack(id, c.Config.SampleRate, int(c.Config.ChannelConfig))
	case *codecs.Opus:
		track = codec.NewOpusTrack(id, c.ChannelCount)
	case *codecs.MPEG1Audio:
		track, err = codec.NewMP3Track(id, first)
	default:
		t.Fatalf("no track for %T", c)
	}
	require.NoError(t, err)
	return track
}

// then returns the film with another after it, which keeps to its clock.
func (f *film) then(g *film) *film {
	both := &film{tracks: f.tracks, frames: slices.Clone(f.frames)}
	last := f.frames[len(f.frames)-1].DTS + 40*time.Millisecond
	for _, s := range g.frames {
		moved := *s
		moved.DTS += last
		moved.PTS += last
		both.frames = append(both.frames, &moved)
	}
	return both
}

func (f *film) Tracks() []*codec.Track { return f.tracks }
func (f *film) Close() error           { return nil }

func (f *film) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if f.next == len(f.frames) {
		return nil, io.EOF
	}
	s := f.frames[f.next]
	f.next++
	if f.start.IsZero() {
		f.start = time.Now()
	}
	due := time.NewTimer(time.Until(f.start.Add(s.DTS)))
	defer due.Stop()
	select {
	case <-due.C:
		return s, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// An exactness says what may differ between the frames of a film and what a
// viewer got.
type exactness struct {
	tick  time.Duration // so far times may be off
	pts   bool          // only presentation times are known
	late  bool          // frames may be missing at the beginning, up to a key frame
	any   bool          // with late: up to any frame
	early int           // so many frames of each track may be missing at the end
}

// byFLV is what RTMP and FLV carry: milliseconds, which round.
var byFLV = exactness{tick: 2 * time.Millisecond}

// requireFrames checks that got holds the frames of the film, byte for byte, in
// order and complete, with the same times up to the wire's millisecond.
func (f *film) requireFrames(t testing.TB, got []*codec.Frame) {
	t.Helper()
	f.requireLike(t, got, byFLV)
}

// requireTail checks as requireFrames does, but for viewers who came late.
func (f *film) requireTail(t testing.TB, got []*codec.Frame) {
	t.Helper()
	f.requireLike(t, got, exactness{tick: byFLV.tick, late: true})
}

// requireLike checks that got holds the frames of the film as exactly as x says,
// byte for byte, in order and without a gap.
func (f *film) requireLike(t testing.TB, got []*codec.Frame, x exactness) {
	t.Helper()
	for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		want, have := ofKind(f.frames, kind), ofKind(got, kind)
		require.Equal(t, len(want) > 0, len(have) > 0, "%s frames", kind)
		require.LessOrEqual(t, len(have), len(want), "%s frames", kind)
		if len(want) == 0 {
			continue
		}
		// The frames that are there end where the film ends, or early by a few.
		end := len(want)
		for end > len(have) && len(want)-end < x.early && !bytes.Equal(want[end-1].Data, have[len(have)-1].Data) {
			end--
		}
		want = want[end-len(have) : end]
		if !x.late {
			require.Same(t, ofKind(f.frames, kind)[0], want[0], "%s frames: the first is missing", kind)
		}
		for i := range want {
			w, h := want[i], have[i]
			if !bytes.Equal(w.Data, h.Data) {
				t.Fatalf("%s frame %d of %d: want %d bytes % .32x, got %d bytes % .32x", kind, i, len(want), len(w.Data), w.Data, len(h.Data), h.Data)
			}
			require.Equal(t, w.Track.Codec, h.Track.Codec)
			require.Equal(t, kind == codec.KindAudio || w.Key(), kind == codec.KindAudio || h.Key(), "%s frame %d: key", kind, i)
			if x.pts {
				require.InDelta(t, float64(w.PTS-want[0].PTS), float64(h.PTS-have[0].PTS), float64(x.tick), "%s frame %d: PTS", kind, i)
			} else {
				require.InDelta(t, float64(w.DTS-want[0].DTS), float64(h.DTS-have[0].DTS), float64(x.tick), "%s frame %d: DTS", kind, i)
				require.InDelta(t, float64(w.PTS-w.DTS), float64(h.PTS-h.DTS), float64(x.tick), "%s frame %d: PTS", kind, i)
			}
		}
		if kind == codec.KindVideo && !x.any {
			require.True(t, have[0].Key(), "does not begin with a key frame")
		}
	}
}

func ofKind(all []*codec.Frame, kind codec.Kind) (list []*codec.Frame) {
	for _, s := range all {
		if s.Track.Kind() == kind {
			list = append(list, s)
		}
	}
	return list
}
