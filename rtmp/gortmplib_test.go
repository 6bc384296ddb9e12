package rtmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// Another implementation, gortmplib, as a witness: it publishes to and plays
// from our Server, and serves our Client.

// witnessTime is how much is sent: gortmplib looks at 2 s before it yields anything.
const witnessTime = 4 * time.Second

// writable returns st in a form that gortmplib can write: no MP3 of 48 kHz.
func writable(st testmedia.Stream) testmedia.Stream {
	if st.Audio == codec.MP3 {
		st.Audio = codec.AAC
	}
	st.Bitrate = 300_000
	return st
}

var witnessStreams = []testmedia.Stream{
	{Video: codec.H264, Audio: codec.AAC},
	{Video: codec.H265, Audio: codec.Opus},
	{Video: codec.AV1, Audio: codec.PCMA},
	{Video: codec.VP9, Audio: codec.MP3},
	{Video: codec.H264, Audio: codec.PCMU, BFrames: 2},
}

// witnessTrack describes t to gortmplib.
func witnessTrack(t testing.TB, track *codec.Track) *gortmplib.Track {
	sets := track.ParameterSets()
	var c codecs.Codec
	switch track.Codec {
	case codec.H264:
		c = &codecs.H264{SPS: sets[0], PPS: sets[1]}
	case codec.H265:
		c = &codecs.H265{VPS: sets[0], SPS: sets[1], PPS: sets[2]}
	case codec.AV1:
		c = &codecs.AV1{}
	case codec.VP9:
		c = &codecs.VP9{}
	case codec.AAC:
		config := new(mpeg4audio.AudioSpecificConfig)
		require.NoError(t, config.Unmarshal(track.Config))
		c = &codecs.MPEG4Audio{Config: config}
	case codec.Opus:
		c = &codecs.Opus{IDHeader: &opus.IDHeader{Version: 1, ChannelCount: uint8(track.Channels), PreSkip: 312, InputSampleRate: 48000}}
	case codec.MP3:
		c = &codecs.MPEG1Audio{}
	case codec.PCMA, codec.PCMU:
		c = &codecs.G711{MULaw: track.Codec == codec.PCMU, ChannelCount: track.Channels}
	}
	return &gortmplib.Track{Codec: c}
}

// witnessWrite writes f with gortmplib.
func witnessWrite(w *gortmplib.Writer, t *gortmplib.Track, f *codec.Frame) error {
	switch f.Track.Codec {
	case codec.H264:
		return w.WriteH264(t, f.PTS, f.DTS, slices.Collect(f.NALUs()))
	case codec.H265:
		return w.WriteH265(t, f.PTS, f.DTS, slices.Collect(f.NALUs()))
	case codec.AV1:
		var tu av1.Bitstream
		if err := tu.Unmarshal(f.Data); err != nil {
			return err
		}
		return w.WriteAV1(t, f.PTS, tu)
	case codec.VP9:
		return w.WriteVP9(t, f.PTS, f.Data)
	case codec.AAC:
		return w.WriteMPEG4Audio(t, f.PTS, f.Data)
	case codec.Opus:
		return w.WriteOpus(t, f.PTS, f.Data)
	case codec.MP3:
		return w.WriteMPEG1Audio(t, f.PTS, f.Data)
	}
	return w.WriteG711(t, f.PTS, f.Data)
}

// A seen is a frame as a reader saw it.
type seen struct {
	pts  time.Duration
	data string
}

// witnessRead reads with gortmplib until the end, and returns the frames of each
// kind.
func witnessRead(conn gortmplib.Conn) (video, audio []seen, err error) {
	r := &gortmplib.Reader{Conn: conn}
	if err := r.Initialize(); err != nil {
		return nil, nil, fmt.Errorf("initialize: %w", err)
	}
	onVideo := func(pts time.Duration, data []byte) { video = append(video, seen{pts, string(data)}) }
	onAudio := func(pts time.Duration, data []byte) { audio = append(audio, seen{pts, string(data)}) }
	onAU := func(pts, _ time.Duration, au [][]byte) {
		if len(au) == 2 && au[0][0]&31 == 7 { // the parameter sets of H264, when they come
			return
		}
		data, _ := h264.AVCC(au).Marshal()
		onVideo(pts, data)
	}
	for _, t := range r.Tracks() {
		switch t.Codec.(type) {
		case *codecs.H264:
			r.OnDataH264(t, onAU)
		case *codecs.H265:
			r.OnDataH265(t, onAU)
		case *codecs.AV1:
			r.OnDataAV1(t, func(pts time.Duration, tu [][]byte) {
				data, _ := av1.Bitstream(tu).Marshal()
				onVideo(pts, data)
			})
		case *codecs.VP9:
			r.OnDataVP9(t, onVideo)
		case *codecs.MPEG4Audio:
			r.OnDataMPEG4Audio(t, onAudio)
		case *codecs.Opus:
			r.OnDataOpus(t, onAudio)
		case *codecs.MPEG1Audio:
			r.OnDataMPEG1Audio(t, onAudio)
		case *codecs.G711:
			r.OnDataG711(t, onAudio)
		}
	}
	for err == nil {
		err = r.Read()
	}
	return video, audio, nil
}

// requireSame compares what came with the end of what was sent.
func requireSame(t *testing.T, sent []*codec.Frame, came []seen) {
	t.Helper()
	require.NotEmpty(t, came)
	skip := len(sent) - len(came)
	require.GreaterOrEqual(t, skip, 0)
	for i, f := range sent[skip:] {
		require.Equal(t, string(f.Data), came[i].data, "frame %d of %v", i, f.Track)
		// Each reader begins its time where it begins.
		require.InDelta(t, f.PTS-sent[skip].PTS, came[i].pts-came[0].pts, float64(2*time.Millisecond))
	}
}

func TestWitnessPublishes(t *testing.T) {
	for _, st := range witnessStreams {
		t.Run(st.Video.String()+" "+st.Audio.String(), func(t *testing.T) {
			t.Parallel()
			st := writable(st)
			base := startServer(t, &Server{Handler: newHub(t)})
			u, err := url.Parse(base + "cam")
			require.NoError(t, err)
			c := &gortmplib.Client{URL: u, Publish: true}
			require.NoError(t, c.Initialize(t.Context()))
			defer c.Close()
			w := &gortmplib.Writer{Conn: c}
			tracks := map[int]*gortmplib.Track{}
			for _, track := range st.Tracks() {
				wt := witnessTrack(t, track)
				tracks[track.ID] = wt
				w.Tracks = append(w.Tracks, wt)
			}
			require.NoError(t, w.Initialize())
			frames := st.Take(witnessTime)
			write := func(f *codec.Frame) error { return witnessWrite(w, tracks[f.Track.ID], f) }
			writeFast(t, frames[:10], write)
			r, err := Open(t.Context(), base+"cam")
			require.NoError(t, err)
			defer r.Close()
			go writeFast(t, frames[10:], write)
			var video, audio []seen
			for _, f := range readFrames(t, r, len(frames)) {
				if f.Track.Kind() == codec.KindVideo {
					video = append(video, seen{f.PTS, string(f.Data)})
				} else {
					audio = append(audio, seen{f.PTS, string(f.Data)})
				}
			}
			requireSame(t, ofKind(frames, codec.KindVideo), video)
			requireSame(t, ofKind(frames, codec.KindAudio), audio)
		})
	}
}

func TestWitnessPlays(t *testing.T) {
	for _, st := range witnessStreams {
		t.Run(st.Video.String()+" "+st.Audio.String(), func(t *testing.T) {
			t.Parallel()
			st := st
			st.Bitrate = 300_000
			base := startServer(t, &Server{Handler: newHub(t)})
			frames := st.Take(witnessTime)
			w, err := Create(t.Context(), base+"cam", st.Tracks())
			require.NoError(t, err)
			write := func(f *codec.Frame) error { return w.WriteFrame(context.Background(), f) }
			writeFast(t, frames[:10], write)
			u, err := url.Parse(base + "cam")
			require.NoError(t, err)
			c := &gortmplib.Client{URL: u}
			require.NoError(t, c.Initialize(t.Context()))
			defer c.Close()
			go func() {
				writeFast(t, frames[10:], write)
				_ = w.Close()
			}()
			video, audio, err := witnessRead(c)
			require.NoError(t, err)
			requireSame(t, ofKind(frames, codec.KindVideo), video)
			requireSame(t, ofKind(frames, codec.KindAudio), audio)
		})
	}
}

// serveWitness lets f serve one connection with gortmplib and returns a URL.
func serveWitness(t *testing.T, f func(sc *gortmplib.ServerConn) error) (rawURL string, done <-chan error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			result <- err
			return
		}
		defer nc.Close()
		sc := &gortmplib.ServerConn{RW: nc}
		if err := sc.Initialize(); err != nil {
			result <- err
			return
		}
		if err := sc.Accept(); err != nil {
			result <- err
			return
		}
		result <- f(sc)
	}()
	t.Cleanup(func() { _ = ln.Close() })
	return "rtmp://" + ln.Addr().String() + "/live/cam", result
}

func TestWitnessIsPublishedTo(t *testing.T) {
	for _, st := range witnessStreams {
		t.Run(st.Video.String()+" "+st.Audio.String(), func(t *testing.T) {
			t.Parallel()
			st := st
			st.Bitrate = 300_000
			var video, audio []seen
			url, done := serveWitness(t, func(sc *gortmplib.ServerConn) (err error) {
				if !sc.Publish || sc.URL.Path != "/live/cam" {
					return errors.New("not a publisher of live/cam: " + sc.URL.String())
				}
				video, audio, err = witnessRead(sc)
				return err
			})
			w, err := Create(t.Context(), url, st.Tracks())
			require.NoError(t, err)
			frames := st.Take(witnessTime)
			for _, f := range frames {
				require.NoError(t, w.WriteFrame(t.Context(), f))
			}
			require.NoError(t, w.Close())
			require.NoError(t, <-done)
			requireSame(t, ofKind(frames, codec.KindVideo), video)
			requireSame(t, ofKind(frames, codec.KindAudio), audio)
		})
	}
}

func TestWitnessIsPlayed(t *testing.T) {
	for _, st := range witnessStreams {
		t.Run(st.Video.String()+" "+st.Audio.String(), func(t *testing.T) {
			t.Parallel()
			st := writable(st)
			frames := st.Take(witnessTime)
			url, done := serveWitness(t, func(sc *gortmplib.ServerConn) error {
				if sc.Publish || len(sc.FourCcList) == 0 {
					return errors.New("not a player that knows Enhanced RTMP")
				}
				w := &gortmplib.Writer{Conn: sc}
				tracks := map[int]*gortmplib.Track{}
				for _, track := range st.Tracks() {
					wt := witnessTrack(t, track)
					tracks[track.ID] = wt
					w.Tracks = append(w.Tracks, wt)
				}
				if err := w.Initialize(); err != nil {
					return err
				}
				for _, f := range frames {
					if err := witnessWrite(w, tracks[f.Track.ID], f); err != nil {
						return err
					}
				}
				_ = sc.RW.(*net.TCPConn).CloseWrite()
				_, err := sc.Read()
				for err == nil {
					_, err = sc.Read()
				}
				return nil
			})
			r, err := Open(t.Context(), url)
			require.NoError(t, err)
			var video, audio []seen
			for _, f := range readFrames(t, r, len(frames)) {
				if f.Track.Kind() == codec.KindVideo {
					video = append(video, seen{f.PTS, string(f.Data)})
				} else {
					audio = append(audio, seen{f.PTS, string(f.Data)})
				}
			}
			_, err = r.ReadFrame(context.Background())
			require.Error(t, err)
			require.NotErrorIs(t, err, source.ErrTimeout)
			require.NoError(t, r.Close())
			require.NoError(t, <-done)
			requireSame(t, ofKind(frames, codec.KindVideo), video)
			requireSame(t, ofKind(frames, codec.KindAudio), audio)
		})
	}
}
