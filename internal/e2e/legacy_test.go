package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/deepch/vdk/av"
	"github.com/deepch/vdk/codec/aacparser"
	"github.com/deepch/vdk/codec/h265parser"
	vdkflv "github.com/deepch/vdk/format/flv"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
)

// TestLegacyH265 takes H.265 under FLV codec id 12, which Chinese CDNs and
// cameras use, from a file that vdk wrote through RTMP with that id to viewers:
// vdk reads it with the id again, the others as Enhanced RTMP has it.
func TestLegacyH265(t *testing.T) {
	t.Parallel()
	c := clip{video: "h265", audio: "aac", bframes: 2, duration: 3 * time.Second}
	published := probeFile(t, "ffprobe", c.file(t))
	f := load(t, c)
	path := vdkWrite(t, f)

	s := serve(t, nil)
	legacy := record(t, s.legacyURL("live/t"))
	enhanced := record(t, s.url("http", "live/t"))
	ours := map[string]func() []*codec.Frame{
		"rtmp":        play(t, s.url("rtmp", "live/t")),
		"legacy http": play(t, s.legacyURL("live/t")),
	}
	s.viewers(t, 4)
	require.NoError(t, pusher.Push(t.Context(),
		(&pusher.Client{Form: flv.FormLegacy}).Sink(s.url("rtmp", "live/t")),
		(&player.Client{Paced: true}).Source(path)))

	for name, wait := range ours {
		t.Run("player, "+name, func(t *testing.T) { f.requireFrames(t, wait()) })
	}
	t.Run("vdk", func(t *testing.T) { f.requireFrames(t, vdkRead(t, f, legacy.wait())) })
	t.Run("ffprobe 7.1", func(t *testing.T) {
		got := probeFile(t, "ffprobe7", enhanced.wait())
		requireSame(t, published, got, 0)
	})
}

// vdkWrite writes a film of H.265 and AAC to an FLV file with vdk.
func vdkWrite(t testing.TB, f *film) string {
	t.Helper()
	streams := make([]av.CodecData, len(f.tracks))
	var err error
	for _, tr := range f.tracks {
		if tr.Codec == codec.H265 {
			streams[tr.ID], err = h265parser.NewCodecDataFromAVCDecoderConfRecord(tr.Config)
		} else {
			streams[tr.ID], err = aacparser.NewCodecDataFromMPEG4AudioConfigBytes(tr.Config)
		}
		require.NoError(t, err)
	}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	m := vdkflv.NewMuxerWriteFlusher(w)
	require.NoError(t, m.WriteHeader(streams))
	for _, s := range f.frames {
		require.NoError(t, m.WritePacket(av.Packet{
			Idx:             int8(s.Track.ID),
			IsKeyFrame:      s.Key(),
			Time:            s.DTS,
			CompositionTime: s.PTS - s.DTS,
			Data:            s.Data,
		}))
	}
	require.NoError(t, m.WriteTrailer())
	path := filepath.Join(t.TempDir(), "vdk.flv")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// vdkRead reads an FLV file that is like the film with vdk.
func vdkRead(t testing.TB, f *film, path string) (got []*codec.Frame) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	d := vdkflv.NewDemuxer(bytes.NewReader(b))
	streams, err := d.Streams()
	require.NoError(t, err)
	for {
		p, err := d.ReadPacket()
		if errors.Is(err, io.EOF) {
			return got
		}
		require.NoError(t, err)
		kind := codec.KindAudio
		if streams[p.Idx].Type() == av.H265 {
			kind = codec.KindVideo
		}
		for _, tr := range f.tracks {
			if tr.Kind() == kind {
				s := &codec.Frame{Track: tr, DTS: p.Time, PTS: p.Time + p.CompositionTime, Data: p.Data}
				if p.IsKeyFrame {
					s.Flags = codec.FlagKey
				}
				got = append(got, s)
			}
		}
	}
}

// legacyURL returns the HTTP-FLV URL of a stream with the legacy codec ids.
func (s *server) legacyURL(name string) string { return s.url("http", name) + "?form=legacy" }
