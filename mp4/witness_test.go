package mp4

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A seen is a sample as a witness read it.
type seen struct {
	dts, pts int64 // ticks
	key      bool
	data     string // its digest
}

// inTicks returns the frames of a kind as a witness should see them.
func inTicks(frames []*codec.Frame, k codec.Kind) (out []seen) {
	for _, f := range frames {
		if f.Track.Kind() == k {
			scale := scaleOf(f.Track)
			out = append(out, seen{codec.Ticks(f.DTS, scale), codec.Ticks(f.PTS, scale), f.Key(), containertest.Digest(f.Data)})
		}
	}
	return out
}

// eachWitnessed runs fn for the streams whose codecs a witness knows.
func eachWitnessed(t *testing.T, unknown []codec.Codec, fn func(t *testing.T, tracks []*codec.Track, frames []*codec.Frame)) {
	for _, s := range streams {
		if s.Change > 0 || slices.Contains(unknown, s.Video) || slices.Contains(unknown, s.Audio) {
			continue
		}
		s.Bitrate = 200_000
		t.Run(containertest.Name(s), func(t *testing.T) { fn(t, s.Tracks(), s.Take(2*time.Second)) })
	}
	t.Run("MPEG-2 video", func(t *testing.T) {
		track, frames := mpeg2Stream()
		fn(t, []*codec.Track{track}, frames)
	})
}

// What mediacommon does not write or read in MP4.
var notInMediacommon = []codec.Codec{codec.VP8, codec.PCMA, codec.PCMU}

// What we write, mediacommon reads.
func TestMediacommonReads(t *testing.T) {
	eachWitnessed(t, notInMediacommon, func(t *testing.T, tracks []*codec.Track, frames []*codec.Frame) {
		for _, least := range []int{1, 9, len(frames) + 1} {
			wire := mux(t, tracks, frames, least)
			start := len(appendInit(nil, tracks))
			var init fmp4.Init
			require.NoError(t, init.Unmarshal(bytes.NewReader(wire[:start])))
			require.Len(t, init.Tracks, len(tracks))
			var parts fmp4.Parts
			require.NoError(t, parts.Unmarshal(wire[start:]))
			for i, track := range tracks {
				require.Equal(t, i+1, init.Tracks[i].ID)
				require.Equal(t, scaleOf(track), int(init.Tracks[i].TimeScale))
				require.Equal(t, mediacommonCodec(t, track), init.Tracks[i].Codec)
				var got []seen
				for _, p := range parts {
					for _, pt := range p.Tracks {
						if pt.ID != i+1 {
							continue
						}
						at := int64(pt.BaseTime)
						for _, s := range pt.Samples {
							got = append(got, seen{at, at + int64(s.PTSOffset), !s.IsNonSyncSample, containertest.Digest(s.Payload)})
							at += int64(s.Duration)
						}
					}
				}
				require.Equal(t, inTicks(frames, track.Kind()), got)
			}
		}
	})
}

// What mediacommon writes, we read.
func TestMediacommonWrites(t *testing.T) {
	eachWitnessed(t, notInMediacommon, func(t *testing.T, tracks []*codec.Track, frames []*codec.Frame) {
		var init fmp4.Init
		for i, track := range tracks {
			init.Tracks = append(init.Tracks, &fmp4.InitTrack{ID: i + 1, TimeScale: uint32(scaleOf(track)), Codec: mediacommonCodec(t, track)})
		}
		var b seekablebuffer.Buffer
		require.NoError(t, init.Marshal(&b))
		part := &fmp4.Part{SequenceNumber: 1}
		for i, track := range tracks {
			scale := scaleOf(track)
			pt := &fmp4.PartTrack{ID: i + 1}
			var of []*codec.Frame
			for _, f := range frames {
				if f.Track.Kind() == track.Kind() {
					of = append(of, f)
				}
			}
			for n, f := range of {
				dts, next := codec.Ticks(f.DTS, scale), codec.Ticks(f.DTS, scale)+1
				if n+1 < len(of) {
					next = codec.Ticks(of[n+1].DTS, scale)
				}
				pt.Samples = append(pt.Samples, &fmp4.Sample{
					Duration: uint32(next - dts), PTSOffset: int32(codec.Ticks(f.PTS, scale) - dts), IsNonSyncSample: !f.Key(), Payload: f.Data,
				})
			}
			part.Tracks = append(part.Tracks, pt)
		}
		require.NoError(t, part.Marshal(&b))
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(b.Bytes())))
		require.Equal(t, io.EOF, err)
		requireSeen(t, frames, got)
	})
}

// requireSeen compares what the wire of a witness carries.
func requireSeen(t *testing.T, want, got []*codec.Frame) {
	t.Helper()
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		require.Equal(t, inTicks(want, k), inTicks(got, k))
	}
	for _, w := range want {
		i := slices.IndexFunc(got, func(g *codec.Frame) bool { return g.Track.Kind() == w.Track.Kind() })
		g := got[i].Track
		require.Equal(t, w.Track.Codec, g.Codec)
		require.Equal(t, w.Track.ParameterSets(), g.ParameterSets())
		if w.Track.Codec != codec.MPEG2Video { // for which mediacommon makes a size up
			require.Equal(t, [2]int{w.Track.Width, w.Track.Height}, [2]int{g.Width, g.Height})
		}
		require.Equal(t, [2]int{w.Track.SampleRate, w.Track.Channels}, [2]int{g.SampleRate, g.Channels})
	}
}

// mediacommonCodec returns a track as mediacommon describes it.
func mediacommonCodec(t *testing.T, track *codec.Track) codecs.Codec {
	t.Helper()
	sets := track.ParameterSets()
	switch track.Codec {
	case codec.H264:
		return &codecs.H264{SPS: sets[0], PPS: sets[1]}
	case codec.H265:
		return &codecs.H265{VPS: sets[0], SPS: sets[1], PPS: sets[2]}
	case codec.AV1:
		o, err := codec.CutOBU(track.Config[4:])
		require.NoError(t, err)
		return &codecs.AV1{SequenceHeader: append([]byte{o.Header[0] &^ 2}, o.Payload...)}
	case codec.VP9:
		c := track.Config
		return &codecs.VP9{Width: track.Width, Height: track.Height, Profile: c[4], BitDepth: c[6] >> 4, ChromaSubsampling: c[6] >> 1 & 7, ColorRange: c[6]&1 != 0}
	case codec.MJPEG:
		return &codecs.MJPEG{Width: track.Width, Height: track.Height}
	case codec.MPEG2Video:
		return &codecs.MPEG1Video{Config: track.Config}
	case codec.AAC:
		var c mpeg4audio.AudioSpecificConfig
		require.NoError(t, c.Unmarshal(track.Config))
		return &codecs.MPEG4Audio{Config: c}
	case codec.Opus:
		return &codecs.Opus{ChannelCount: track.Channels}
	case codec.MP3, codec.MP2:
		return &codecs.MPEG1Audio{SampleRate: track.SampleRate, ChannelCount: track.Channels}
	case codec.AC3:
		c := track.Config
		return &codecs.AC3{
			SampleRate: track.SampleRate, ChannelCount: track.Channels, Bsid: c[0] >> 1 & 31,
			Bsmod: c[0]&1<<2 | c[1]>>6, Acmod: c[1] >> 3 & 7, LfeOn: c[1]&4 != 0, BitRateCode: c[1]&3<<3 | c[2]>>5,
		}
	case codec.L16:
		return &codecs.LPCM{BitDepth: 16, SampleRate: track.SampleRate, ChannelCount: track.Channels}
	}
	require.Fail(t, "no codec of mediacommon", "%v", track)
	return nil
}

// What we write, mp4ff reads, every box of it.
func TestMP4FFReads(t *testing.T) {
	eachWitnessed(t, nil, func(t *testing.T, tracks []*codec.Track, frames []*codec.Frame) {
		wire := mux(t, tracks, frames, 9)
		file, err := mp4ff.DecodeFile(bytes.NewReader(wire))
		require.NoError(t, err)
		require.True(t, file.IsFragmented())
		var again bytes.Buffer
		file.FragEncMode = mp4ff.EncModeBoxTree
		require.NoError(t, file.Encode(&again))
		require.Equal(t, wire, again.Bytes(), "as it understands it")
		for i, track := range tracks {
			trak := file.Init.Moov.Traks[i]
			require.Equal(t, uint32(scaleOf(track)), trak.Mdia.Mdhd.Timescale)
			trex, ok := file.Init.Moov.Mvex.GetTrex(uint32(i + 1))
			require.True(t, ok)
			var got []seen
			for _, segment := range file.Segments {
				for _, fragment := range segment.Fragments {
					samples, err := fragment.GetFullSamples(trex)
					require.NoError(t, err)
					for _, s := range samples {
						got = append(got, seen{int64(s.DecodeTime), s.PresentationTime(), s.IsSync(), containertest.Digest(s.Data)})
					}
				}
			}
			require.Equal(t, inTicks(frames, track.Kind()), got)
		}
	})
}

// What mp4ff writes, we read.
func TestMP4FFWrites(t *testing.T) {
	eachWitnessed(t, nil, func(t *testing.T, tracks []*codec.Track, frames []*codec.Frame) {
		init := mp4ff.CreateEmptyInit()
		var ids []uint32
		for i, track := range tracks {
			mediaType := "video"
			if track.Kind() == codec.KindAudio {
				mediaType = "audio"
			}
			describe(t, init.AddEmptyTrack(uint32(scaleOf(track)), mediaType, "und"), track)
			ids = append(ids, uint32(i+1))
		}
		var b bytes.Buffer
		require.NoError(t, init.Encode(&b))
		fragment, err := mp4ff.CreateMultiTrackFragment(1, ids)
		require.NoError(t, err)
		for i, track := range tracks {
			of := inTicks(frames, track.Kind())
			for n, f := range slices.DeleteFunc(slices.Clone(frames), func(f *codec.Frame) bool { return f.Track.Kind() != track.Kind() }) {
				next := of[min(n+1, len(of)-1)].dts
				flags := mp4ff.NonSyncSampleFlags
				if f.Key() {
					flags = mp4ff.SyncSampleFlags
				}
				require.NoError(t, fragment.AddFullSampleToTrack(mp4ff.FullSample{
					Sample:     mp4ff.NewSample(flags, uint32(next-of[n].dts), uint32(len(f.Data)), int32(of[n].pts-of[n].dts)),
					DecodeTime: uint64(of[n].dts), Data: f.Data,
				}, ids[i]))
			}
		}
		require.NoError(t, fragment.Encode(&b))
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(b.Bytes())))
		require.Equal(t, io.EOF, err)
		requireSeen(t, frames, got)
	})
}

// describe has mp4ff describe a track.
func describe(t *testing.T, trak *mp4ff.TrakBox, track *codec.Track) {
	t.Helper()
	sets := track.ParameterSets()
	switch track.Codec {
	case codec.H264:
		require.NoError(t, trak.SetAVCDescriptor("avc1", sets[:1], sets[1:], true))
		return
	case codec.H265:
		require.NoError(t, trak.SetHEVCDescriptor("hvc1", sets[:1], sets[1:2], sets[2:], nil, true))
		return
	}
	var config mp4ff.Box
	if c, _ := carriageOf(track); c.config != "" {
		var err error
		config, err = mp4ff.DecodeBox(0, bytes.NewReader(c.appendConfig(nil, track)))
		require.NoError(t, err)
	}
	c, _ := carriageOf(track)
	stsd := trak.Mdia.Minf.Stbl.Stsd
	if track.Kind() == codec.KindVideo {
		stsd.AddChild(mp4ff.CreateVisualSampleEntryBox(c.entry, uint16(track.Width), uint16(track.Height), config))
	} else {
		stsd.AddChild(mp4ff.CreateAudioSampleEntryBox(c.entry, uint16(track.Channels), 16, uint16(track.SampleRate), config))
	}
}

// Both witnesses agree with us on a stream whose picture rate varies.
func TestWitnessedVariableRate(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 100_000}
	frames := s.Take(2 * time.Second)
	var late time.Duration
	for i, f := range frames {
		late += time.Duration(i%7) * 3 * time.Millisecond
		f.DTS += late
		f.PTS += late
	}
	wire := mux(t, s.Tracks(), frames, 5)
	file, err := mp4ff.DecodeFile(bytes.NewReader(wire))
	require.NoError(t, err)
	var got []seen
	for _, segment := range file.Segments {
		for _, fragment := range segment.Fragments {
			samples, err := fragment.GetFullSamples(nil)
			require.NoError(t, err)
			for _, s := range samples {
				got = append(got, seen{int64(s.DecodeTime), s.PresentationTime(), s.IsSync(), containertest.Digest(s.Data)})
			}
		}
	}
	require.Equal(t, inTicks(frames, codec.KindVideo), got)
}
