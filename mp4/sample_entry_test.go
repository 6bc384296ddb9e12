package mp4

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// renamed returns the sample entry of a track under another name.
func renamed(t *codec.Track, name string) []byte {
	b := appendSampleEntry(nil, t)
	copy(b[4:], name)
	return b
}

// emptied returns a sample entry whose configuration box is empty.
func emptied(t *codec.Track) []byte {
	c, _ := carriageOf(t)
	n := visualEntry
	if t.Kind() == codec.KindAudio {
		n = audioEntry
	}
	head := appendSampleEntry(nil, t)[boxHeader : boxHeader+n]
	return appendBox(nil, c.entry, func(b []byte) []byte {
		return appendBox(append(b, head...), c.config, func(b []byte) []byte { return b })
	})
}

// What other muxers describe tracks with.
func TestSampleEntries(t *testing.T) {
	jpeg, h265 := testmedia.Track(1, codec.MJPEG), testmedia.Track(1, codec.H265)
	av1, vp9 := testmedia.Track(1, codec.AV1), testmedia.Track(1, codec.VP9)
	low, err := codec.NewMP3Track(1, []byte{0xff, 0xf3, 0x44, 0xc4})
	require.NoError(t, err)
	require.Equal(t, 24000, low.SampleRate)
	with := func(b []byte, x []byte) []byte {
		head := b[boxHeader : boxHeader+visualEntry]
		return appendBox(nil, string(b[4:8]), func(b []byte) []byte { return append(append(b, head...), x...) })
	}
	jpgC := func(prefix string) []byte {
		return appendBox(nil, "jpgC", func(b []byte) []byte { return append(b, prefix...) })
	}
	for name, c := range map[string]struct {
		wire []byte
		want *codec.Track // nil: left out
	}{
		"jpeg":                          {renamed(jpeg, "jpeg"), jpeg},
		"mjpg":                          {renamed(jpeg, "mjpg"), jpeg},
		"mjpg, nothing taken out":       {with(renamed(jpeg, "mjpg"), jpgC("")), jpeg},
		"mjpg, without tables":          {with(renamed(jpeg, "mjpg"), jpgC("tables")), nil},
		"hev1":                          {renamed(h265, "hev1"), h265},
		"MP3 at a low rate":             {appendSampleEntry(nil, low), low},
		".mp3":                          {renamed(low, ".mp3"), low},
		"AV1 whose frames tell":         {emptied(av1), &codec.Track{Codec: codec.AV1, ClockRate: 90000, Width: 1280, Height: 720}},
		"AC-3 whose frames tell":        {emptied(testmedia.Track(1, codec.AC3)), &codec.Track{Codec: codec.AC3, Channels: 2, ClockRate: 90000}},
		"unknown":                       {renamed(jpeg, "s263"), nil},
		"mp4v of an unknown object":     {bytes.Replace(appendSampleEntry(nil, jpeg), []byte{objectJPEG, streamVisual<<2 | 1}, []byte{0x20, streamVisual<<2 | 1}, 1), nil},
		"mp4a of MPEG-2 AAC":            {bytes.Replace(appendSampleEntry(nil, testmedia.Track(1, codec.AAC)), []byte{objectAAC, streamAudio<<2 | 1}, []byte{0x67, streamAudio<<2 | 1}, 1), testmedia.Track(1, codec.AAC)},
		"PCM of 24 bits":                {bytes.Replace(appendSampleEntry(nil, testmedia.Track(1, codec.L16)), []byte("pcmC\x00\x00\x00\x00\x00\x10"), []byte("pcmC\x00\x00\x00\x00\x00\x18"), 1), nil},
		"VP9 without version and flags": {with(renamed(vp9, "vp09"), appendBox(nil, "vpcC", func(b []byte) []byte { return append(b, vp9.Config[4:]...) })), vp9},
	} {
		t.Run(name, func(t *testing.T) {
			x, _, err := cutBox(c.wire)
			require.NoError(t, err)
			e, err := parseSampleEntry(x, 0, 1)
			require.NoError(t, err)
			if c.want == nil {
				require.Nil(t, e.track)
				return
			}
			require.NotNil(t, e.track)
			containertest.RequireSameTrack(t, c.want, e.track)
		})
	}
}

// A sample entry that is cut is an error, unless it is where its boxes begin.
func TestSampleEntryCut(t *testing.T) {
	for _, c := range carriages {
		if c.codec == codec.MPEG2Video {
			continue
		}
		x, _, err := cutBox(appendSampleEntry(nil, testmedia.Track(1, c.codec)))
		require.NoError(t, err)
		head := audioEntry
		if c.codec.Kind() == codec.KindVideo {
			head = visualEntry
		}
		for n := range x.body {
			_, err := parseSampleEntry(box{x.kind, x.body[:n]}, 0, 1)
			if n < head || n >= head+boxHeader {
				require.ErrorIs(t, err, ErrInvalid, "%v at %d", c.codec, n)
			}
		}
	}
}

// Descriptors with fields that MP4 does not use, and lengths of any form.
func TestESDS(t *testing.T) {
	for name, wire := range map[string]string{
		"long lengths":    "\x03\x80\x80\x80\x19\x00\x00\x00\x04\x80\x80\x80\x11\x40\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x02\x11\x90",
		"short lengths":   "\x03\x16\x00\x00\x00\x04\x11\x40\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x02\x11\x90",
		"all flags":       "\x03\x1d\x00\x00\xe0\x00\x01\x02ab\x00\x02\x04\x11\x40\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x02\x11\x90",
		"others in front": "\x03\x1a\x00\x00\x00\x06\x01\x02\x04\x12\x40\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x02\x11\x90\x00",
	} {
		object, config, err := parseESDS([]byte(wire))
		require.NoError(t, err, name)
		require.Equal(t, byte(objectAAC), object, name)
		require.Equal(t, []byte{0x11, 0x90}, config[:2], name)
		for n := range wire {
			_, config, err := parseESDS([]byte(wire[:n]))
			require.True(t, err != nil || len(config) == 0, "%s at %d", name, n)
		}
	}
	require.Equal(t, "\x03\x80\x80\x80\x22\x00\x00\x00\x04\x80\x80\x80\x14\x40\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x80\x80\x80\x02\x11\x90\x06\x80\x80\x80\x01\x02",
		string(appendESDS(nil, objectAAC, codec.KindAudio, []byte{0x11, 0x90})))
}

// A movie box that is cut anywhere does not panic and yields no track that is not
// whole.
func TestMovieCut(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	body := bodyOf(t, appendInit(nil, s.Tracks()), "moov")
	for n := range body {
		m, err := parseMovie(body[:n])
		if err == nil {
			for _, track := range m.tracks {
				require.NotNil(t, track.track, n)
			}
		}
	}
}
