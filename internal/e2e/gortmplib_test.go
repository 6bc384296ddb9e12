package e2e

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// connect opens an RTMP connection with gortmplib, which speaks Enhanced RTMP.
func connect(ctx context.Context, rawURL string, publish bool) (*gortmplib.Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	c := &gortmplib.Client{URL: u, Publish: publish}
	return c, c.Initialize(ctx)
}

// gortmplibPublish publishes a film in real time.
func gortmplibPublish(t testing.TB, f *film, rawURL string) {
	t.Helper()
	c, err := connect(t.Context(), rawURL, true)
	require.NoError(t, err)
	defer c.Close()
	w := &gortmplib.Writer{Conn: c}
	tracks := map[*codec.Track]*gortmplib.Track{}
	for _, tr := range f.tracks {
		tracks[tr] = &gortmplib.Track{Codec: gortmplibCodec(t, tr)}
		w.Tracks = append(w.Tracks, tracks[tr])
	}
	require.NoError(t, w.Initialize())
	for {
		s, err := f.ReadFrame(t.Context())
		if err != nil {
			return // the end: gortmplib says no goodbye, it just hangs up
		}
		tr := tracks[s.Track]
		switch s.Track.Codec {
		case codec.H264:
			err = w.WriteH264(tr, s.PTS, s.DTS, units(t, s))
		case codec.H265:
			err = w.WriteH265(tr, s.PTS, s.DTS, units(t, s))
		case codec.AV1:
			err = w.WriteAV1(tr, s.PTS, units(t, s))
		case codec.VP9:
			err = w.WriteVP9(tr, s.PTS, s.Data)
		case codec.AAC:
			err = w.WriteMPEG4Audio(tr, s.PTS, s.Data)
		case codec.Opus:
			err = w.WriteOpus(tr, s.PTS, s.Data)
		case codec.MP3:
			err = w.WriteMPEG1Audio(tr, s.PTS, s.Data)
		}
		require.NoError(t, err)
	}
}

func gortmplibCodec(t testing.TB, tr *codec.Track) codecs.Codec {
	switch tr.Codec {
	case codec.H264:
		sets := tr.ParameterSets()
		return &codecs.H264{SPS: sets[0], PPS: sets[1]}
	case codec.H265:
		sets := tr.ParameterSets()
		return &codecs.H265{VPS: sets[0], SPS: sets[1], PPS: sets[2]}
	case codec.AV1:
		return &codecs.AV1{}
	case codec.VP9:
		return &codecs.VP9{}
	case codec.AAC:
		var c mpeg4audio.AudioSpecificConfig
		require.NoError(t, c.Unmarshal(tr.Config))
		return &codecs.MPEG4Audio{Config: &c}
	case codec.Opus:
		return &codecs.Opus{IDHeader: &opus.IDHeader{Version: 1, ChannelCount: uint8(tr.Channels), InputSampleRate: 48000, PreSkip: 312}}
	case codec.MP3:
		return &codecs.MPEG1Audio{}
	}
	t.Fatalf("gortmplib has no %s", tr)
	return nil
}

// units splits a frame into NAL units or OBUs with other people's code.
func units(t testing.TB, s *codec.Frame) [][]byte {
	t.Helper()
	if s.Track.Codec == codec.AV1 {
		var tu av1.Bitstream
		require.NoError(t, tu.Unmarshal(s.Data))
		return tu
	}
	var au h264.AVCC
	require.NoError(t, au.Unmarshal(s.Data))
	return au
}

// joined is the reverse of units.
func joined(t testing.TB, c codec.Codec, list [][]byte) []byte {
	t.Helper()
	b, err := joinUnits(c, list)
	require.NoError(t, err)
	return b
}

func joinUnits(c codec.Codec, list [][]byte) ([]byte, error) {
	if c == codec.AV1 {
		return av1.Bitstream(list).Marshal()
	}
	return h264.AVCC(list).Marshal()
}

// gortmplibPlay plays a stream to its end. It may be called before the stream
// is there.
func gortmplibPlay(t testing.TB, f *film, rawURL string) func() []*codec.Frame {
	t.Helper()
	result := make(chan []*codec.Frame, 1)
	ctx := t.Context()
	go func() {
		var got []*codec.Frame
		defer func() { result <- got }()
		c, err := connect(ctx, rawURL, false)
		if !assert.NoError(t, err) {
			return
		}
		defer c.Close()
		r := &gortmplib.Reader{Conn: c}
		if !assert.NoError(t, r.Initialize()) {
			return
		}
		for _, tr := range r.Tracks() {
			add := func(c codec.Codec) func(pts, dts time.Duration, data []byte) {
				var like *codec.Track
				for _, x := range f.tracks {
					if x.Codec == c {
						like = x
					}
				}
				return func(pts, dts time.Duration, data []byte) {
					s := &codec.Frame{Track: like, PTS: pts, DTS: dts, Data: data}
					if codec.IsKey(like, data) {
						s.Flags = codec.FlagKey
					}
					got = append(got, s)
				}
			}
			pictures := func(c codec.Codec) gortmplib.OnDataH26xFunc {
				put := add(c)
				return func(pts, dts time.Duration, au [][]byte) {
					if len(au) > 1 && isParameterSet(c, au[0]) {
						return // its way to tell of a sequence header
					}
					put(pts, dts, joined(t, c, au))
				}
			}
			sound := func(c codec.Codec) func(pts time.Duration, data []byte) {
				put := add(c)
				return func(pts time.Duration, data []byte) { put(pts, pts, data) }
			}
			switch tr.Codec.(type) {
			case *codecs.H264:
				r.OnDataH264(tr, pictures(codec.H264))
			case *codecs.H265:
				r.OnDataH265(tr, pictures(codec.H265))
			case *codecs.AV1:
				put := add(codec.AV1)
				r.OnDataAV1(tr, func(pts time.Duration, tu [][]byte) { put(pts, pts, joined(t, codec.AV1, tu)) })
			case *codecs.VP9:
				r.OnDataVP9(tr, sound(codec.VP9))
			case *codecs.MPEG4Audio:
				r.OnDataMPEG4Audio(tr, sound(codec.AAC))
			case *codecs.Opus:
				r.OnDataOpus(tr, sound(codec.Opus))
			case *codecs.MPEG1Audio:
				r.OnDataMPEG1Audio(tr, sound(codec.MP3))
			}
		}
		for r.Read() == nil {
		}
	}()
	return func() []*codec.Frame {
		t.Helper()
		select {
		case got := <-result:
			return got
		case <-time.After(patience):
			t.Fatal("gortmplib: the stream does not end")
			return nil
		}
	}
}

// isParameterSet reports whether a NAL unit is one of those that frames do not
// have: parameter sets and access unit delimiters.
func isParameterSet(c codec.Codec, nalu []byte) bool {
	if c == codec.H264 {
		typ := nalu[0] & 0x1f
		return typ >= 7 && typ <= 9
	}
	typ := nalu[0] >> 1 & 0x3f
	return typ >= 32 && typ <= 35
}
