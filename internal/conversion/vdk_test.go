package conversion

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/deepch/vdk/av"
	vdkflv "github.com/deepch/vdk/format/flv"
	vdkmp4 "github.com/deepch/vdk/format/mp4"
	vdkts "github.com/deepch/vdk/format/ts"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/source/vdk"
	"github.com/mediakit-go/mediakit/ts"
)

// vdkFormats are the files that both vdk and we write and read.
var vdkFormats = []struct {
	extension string
	muxer     func(io.Writer) av.Muxer
	demuxer   func(io.Reader) av.Demuxer
	writer    func(*os.File, []*codec.Track) source.Writer
	from, to  []codec.Codec // the videos that go from vdk to us, and from us to vdk
}{
	{
		".flv",
		func(w io.Writer) av.Muxer { return vdkflv.NewMuxer(w) },
		func(r io.Reader) av.Demuxer { return vdkflv.NewDemuxer(r) },
		func(w *os.File, t []*codec.Track) source.Writer {
			x := flv.NewWriter(w, t)
			x.Form = flv.FormLegacy
			return x
		},
		[]codec.Codec{codec.H264, codec.H265}, []codec.Codec{codec.H264, codec.H265},
	},
	{
		".ts", // vdk puts H.264's delimiter into H.265, of which it reads none
		func(w io.Writer) av.Muxer { return vdkts.NewMuxer(w) },
		func(r io.Reader) av.Demuxer { return vdkts.NewDemuxer(r) },
		func(w *os.File, t []*codec.Track) source.Writer { return ts.NewWriter(w, t) },
		[]codec.Codec{codec.H264}, []codec.Codec{codec.H264},
	},
	{
		".mp4", // vdk reads no file with a box of 5 MB or one whose size has 64 bits, as those of ours
		func(w io.Writer) av.Muxer { return vdkmp4.NewMuxer(w.(io.WriteSeeker)) },
		nil, nil,
		[]codec.Codec{codec.H264, codec.H265}, nil,
	},
}

// TestVDK has files of vdk's muxers played by us, and ours by vdk's demuxers.
func TestVDK(t *testing.T) {
	for _, x := range vdkFormats {
		for _, video := range x.from {
			t.Run("from vdk/"+video.String()+x.extension, func(t *testing.T) {
				f, file := vdkFilm(t, video, x.extension)
				w, err := vdk.NewWriter(struct {
					av.Muxer
					io.Closer
				}{x.muxer(file), file}, f.tracks)
				require.NoError(t, err)
				require.NoError(t, write(t.Context(), w, f))
				got, err := drain(t.Context(), &player.Client{}, file.Name(), nil)
				require.NoError(t, err)
				requireFilm(t, f, got)
			})
		}
		for _, video := range x.to {
			t.Run("to vdk/"+video.String()+x.extension, func(t *testing.T) {
				f, file := vdkFilm(t, video, x.extension)
				require.NoError(t, write(t.Context(), x.writer(file, f.tracks), f))
				file, err := os.Open(file.Name())
				require.NoError(t, err)
				r := vdk.NewReader(struct {
					av.Demuxer
					io.Closer
				}{x.demuxer(file), file})
				r.Split = true
				got, err := read(t.Context(), r)
				require.NoError(t, err)
				requireFilm(t, f, got)
			})
		}
	}
}

// vdkFilm returns a film, and a file for it.
func vdkFilm(t *testing.T, video codec.Codec, extension string) (*film, *os.File) {
	file, err := os.Create(filepath.Join(t.TempDir(), "film"+extension))
	require.NoError(t, err)
	return filmOf(testmedia.Stream{Video: video, Audio: codec.AAC, BFrames: 2}), file
}

// requireFilm checks that got is f.
func requireFilm(t *testing.T, f *film, got result) {
	t.Helper()
	require.Len(t, got.tracks, len(f.tracks))
	shift := got.frames[0].DTS - f.frames[0].DTS
	for _, track := range f.tracks {
		want, have := framesOf(f.frames, track.Codec), framesOf(got.frames, track.Codec)
		require.Len(t, have, len(want), "%v", track)
		for i := range have {
			// vdk's muxer of MP4 tells lengths in the esds that have more behind
			// the configuration.
			if track.Codec == codec.AAC {
				require.True(t, bytes.HasPrefix(have[i].Track.Config, track.Config))
				have[i].Track = want[i].Track
			}
			require.NoError(t, same(want[i], have[i], shift, flvTick(track)), "%v: frame %d", track, i)
		}
	}
}
