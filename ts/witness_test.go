package ts

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/substructs"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A witnessed unit is what another reader makes of a frame.
type witnessed struct {
	pts, dts int64
	data     []byte
}

// annexB returns NAL units without those that frames leave out.
func annexB(c codec.Codec, nalus [][]byte) (out []byte) {
	for _, n := range nalus {
		kind := n[0] & 0x1f
		drop := kind == 7 || kind == 8 || kind == 9
		if c == codec.H265 {
			kind = n[0] >> 1
			drop = kind >= 32 && kind <= 35
		}
		if !drop {
			out = append(append(out, 0, 0, 0, 1), n...)
		}
	}
	return out
}

// The reader of mediacommon finds what was written.
func TestWitnessReads(t *testing.T) {
	for _, s := range streams {
		if s.Audio == codec.PCMA || s.Audio == codec.PCMU {
			continue // it knows no G.711
		}
		s.Bitrate = 300_000
		t.Run(containertest.Name(s), func(t *testing.T) {
			frames := s.Take(2 * time.Second)
			r := &mpegts.Reader{R: bytes.NewReader(write(t, s.Tracks(), frames))}
			require.NoError(t, r.Initialize())
			r.OnDecodeError(func(err error) { require.NoError(t, err) })
			got := map[codec.Kind][]witnessed{}
			many := func(kind codec.Kind, pts int64, aus [][]byte) error {
				require.Len(t, aus, 1)
				got[kind] = append(got[kind], witnessed{pts, pts, aus[0]})
				return nil
			}
			video := func(c codec.Codec) func(pts, dts int64, au [][]byte) error {
				return func(pts, dts int64, au [][]byte) error {
					got[codec.KindVideo] = append(got[codec.KindVideo], witnessed{pts, dts, annexB(c, au)})
					return nil
				}
			}
			require.Len(t, r.Tracks(), len(s.Tracks()))
			for _, track := range r.Tracks() {
				switch c := track.Codec.(type) {
				case *codecs.H264:
					r.OnDataH264(track, video(codec.H264))
				case *codecs.H265:
					r.OnDataH265(track, video(codec.H265))
				case *codecs.MPEG4Audio:
					require.Equal(t, 48000, c.SampleRate)
					r.OnDataMPEG4Audio(track, func(pts int64, aus [][]byte) error { return many(codec.KindAudio, pts, aus) })
				case *codecs.Opus:
					require.Equal(t, 2, c.Desc.ChannelCount())
					r.OnDataOpus(track, func(pts int64, aus [][]byte) error { return many(codec.KindAudio, pts, aus) })
				case *codecs.MPEG1Audio:
					r.OnDataMPEG1Audio(track, func(pts int64, aus [][]byte) error { return many(codec.KindAudio, pts, aus) })
				case *codecs.AC3:
					require.Equal(t, 48000, c.SampleRate)
					r.OnDataAC3(track, func(pts int64, au []byte) error { return many(codec.KindAudio, pts, [][]byte{au}) })
				default:
					require.Fail(t, "unknown", "%T", c)
				}
			}
			for {
				err := r.Read()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
			}
			for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
				want := containertest.OfKind(frames, kind)
				require.Len(t, got[kind], len(want))
				for i, f := range want {
					data := f.Data
					if kind == codec.KindVideo {
						data, _ = codec.AVCToAnnexB(nil, data)
					}
					g := got[kind][i]
					require.Equal(t, containertest.Digest(data), containertest.Digest(g.data))
					require.Equal(t, codec.Ticks(f.DTS, 90000)+lead, g.dts)
					require.Equal(t, codec.Ticks(f.PTS, 90000)+lead, g.pts)
				}
			}
		})
	}
}

// foreignTracks describes the tracks of s for the writer of mediacommon.
func foreignTracks(s testmedia.Stream) (tracks []*mpegts.Track) {
	for _, t := range s.Tracks() {
		var c codecs.Codec
		switch t.Codec {
		case codec.H264:
			c = &codecs.H264{}
		case codec.H265:
			c = &codecs.H265{}
		case codec.AAC:
			c = &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
				Type: mpeg4audio.ObjectTypeAACLC, SampleRate: t.SampleRate, ChannelConfig: 2,
			}}
		case codec.Opus:
			c = &codecs.Opus{Desc: &substructs.OpusAudioDescriptor{ChannelConfigCode: 2}}
		case codec.MP3, codec.MP2:
			c = &codecs.MPEG1Audio{}
		case codec.AC3:
			c = &codecs.AC3{SampleRate: t.SampleRate, ChannelCount: t.Channels}
		}
		tracks = append(tracks, &mpegts.Track{Codec: c})
	}
	return tracks
}

// writeForeign writes frames with mediacommon, so many of audio in a PES packet.
func writeForeign(t testing.TB, s testmedia.Stream, frames []*codec.Frame, together int) []byte {
	t.Helper()
	var b bytes.Buffer
	tracks := foreignTracks(s)
	w := &mpegts.Writer{W: &b, Tracks: tracks}
	require.NoError(t, w.Initialize())
	var aus [][]byte
	var first int64
	send := func(track *mpegts.Track, c codec.Codec) {
		var err error
		switch {
		case len(aus) == 0:
		case c == codec.AAC:
			err = w.WriteMPEG4Audio(track, first, aus)
		case c == codec.Opus:
			err = w.WriteOpus(track, first, aus)
		case c == codec.AC3:
			err = w.WriteAC3(track, first, slices.Concat(aus...))
		default:
			err = w.WriteMPEG1Audio(track, first, aus)
		}
		require.NoError(t, err)
		aus = nil
	}
	audio := len(tracks) - 1
	for _, f := range frames {
		pts, dts := codec.Ticks(f.PTS, 90000), codec.Ticks(f.DTS, 90000)
		if f.Track.Kind() == codec.KindVideo {
			var au [][]byte
			if f.Key() {
				au = f.Track.ParameterSets()
			}
			for n := range f.NALUs() {
				au = append(au, n)
			}
			if f.Track.Codec == codec.H265 {
				require.NoError(t, w.WriteH265(tracks[0], pts, dts, au))
			} else {
				require.NoError(t, w.WriteH264(tracks[0], pts, dts, au))
			}
			continue
		}
		if len(aus) == 0 {
			first = pts
		}
		if aus = append(aus, f.Data); len(aus) == together {
			send(tracks[audio], f.Track.Codec)
		}
	}
	if s.Audio != codec.Opaque {
		send(tracks[audio], s.Audio)
	}
	return b.Bytes()
}

// What mediacommon writes is read, also with several audio frames in a PES packet.
func TestWitnessWrites(t *testing.T) {
	for _, s := range streams {
		if s.Audio == codec.PCMA || s.Audio == codec.PCMU {
			continue
		}
		s.Bitrate = 300_000
		for _, together := range []int{1, 8} {
			t.Run(containertest.Name(s), func(t *testing.T) {
				want := s.Take(2 * time.Second)
				file := writeForeign(t, s, want, together)
				r := NewReader(bytes.NewReader(file))
				require.Len(t, r.Tracks(), len(s.Tracks()))
				got, err := containertest.ReadAll(r)
				require.Equal(t, io.EOF, err)
				if together > 1 { // times are those of the samples: those of the test are in milliseconds
					for i, f := range containertest.OfKind(want, codec.KindAudio) {
						if i%together > 0 {
							base := containertest.OfKind(want, codec.KindAudio)[i-i%together]
							n := int64(i%together) * codec.Ticks(codec.FrameDuration(f), f.Track.SampleRate)
							f.DTS = base.DTS + codec.FromTicks(n, f.Track.SampleRate)
							f.PTS = f.DTS
						}
					}
				}
				requireSameFrames(t, want, got, 0)
				for i := range got[1:] {
					require.GreaterOrEqual(t, got[i+1].DTS, got[i].DTS, "in order")
				}
			})
		}
	}
}

// AAC in LATM.
func TestWitnessLATM(t *testing.T) {
	var b bytes.Buffer
	track := &mpegts.Track{Codec: &codecs.MPEG4AudioLATM{}}
	w := &mpegts.Writer{W: &b, Tracks: []*mpegts.Track{track}}
	require.NoError(t, w.Initialize())
	want := (testmedia.Stream{Audio: codec.AAC}).Take(time.Second)
	for i := 0; i+1 < len(want); i += 2 {
		var els [][]byte
		for _, f := range want[i : i+2] {
			el, err := mpeg4audio.AudioMuxElement{
				MuxConfigPresent: true,
				StreamMuxConfig: &mpeg4audio.StreamMuxConfig{Programs: []*mpeg4audio.StreamMuxConfigProgram{{
					Layers: []*mpeg4audio.StreamMuxConfigLayer{{
						AudioSpecificConfig: &mpeg4audio.AudioSpecificConfig{
							Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2,
						},
						LatmBufferFullness: 255,
					}},
				}}},
				Payloads: [][][][]byte{{{f.Data}}},
			}.Marshal()
			require.NoError(t, err)
			els = append(els, el)
		}
		require.NoError(t, w.WriteMPEG4AudioLATM(track, codec.Ticks(want[i].PTS, 90000), els))
	}
	got := demux(t, b.Bytes())
	require.Len(t, got, len(want)&^1)
	for i, f := range got {
		require.Equal(t, want[i].Data, f.Data)
		require.InDelta(t, want[i].DTS, f.DTS, float64(time.Millisecond))
		require.True(t, f.Track.SameConfig(testmedia.Track(1, codec.AAC)), "%x", f.Track.Config)
	}
}

// The reader of mediacommon takes a live stream from its middle.
func TestWitnessLate(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond, Bitrate: 300_000}
	format := FeedFormat()
	mux, err := format.New(s.Tracks())
	require.NoError(t, err)
	var live []byte
	var want []*codec.Frame
	for _, f := range s.Take(2 * time.Second) {
		packets, err := mux.Append(nil, f)
		require.NoError(t, err)
		if f.Key() && f.Track.ID == testmedia.VideoID && f.DTS == 400*time.Millisecond {
			require.True(t, packets[0].Key)
			live = bytes.Clone(mux.Header())
		}
		if live != nil {
			live = append(live, packets[0].Wire...)
			want = append(want, f)
		}
	}
	inspect(t, live, 100*time.Millisecond)
	r := &mpegts.Reader{R: bytes.NewReader(live)}
	require.NoError(t, r.Initialize())
	frames := 0
	r.OnDataH264(r.Tracks()[0], func(int64, int64, [][]byte) error { frames++; return nil })
	for r.Read() == nil {
	}
	require.Equal(t, len(containertest.OfKind(want, codec.KindVideo)), frames)
	got, err := containertest.ReadAll(NewReader(bytes.NewReader(live)))
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, want, got, -want[0].DTS)
}
