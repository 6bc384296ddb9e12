package hls

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func isAudio(tr *codec.Track) bool { return tr.Kind() == codec.KindAudio }

// A radio station: nothing but audio, whose clock wraps.
func TestClientPackedAudio(t *testing.T) {
	reel := cutReel(t, packed, testmedia.Stream{Audio: codec.AAC}, tsPeriod-2500*time.Millisecond, 6, nil)
	for _, key := range [][]byte{nil, []byte("0123456789abcdef")} {
		o := newRemote()
		o.vod("/", reel, key)
		r := o.open(t, "/index.m3u8")
		require.Len(t, r.Tracks(), 1)
		fs, err := readAll(t, r)
		require.NoError(t, err)
		sameFrames(t, reel.frames, fs)
	}
	// Without tags times are counted.
	o := newRemote()
	for i, b := range reel.segments {
		reel.segments[i] = b[bytes.Index(b, []byte{0xff, 0xf1}):]
	}
	o.vod("/", reel, nil)
	fs, err := readAll(t, o.open(t, "/index.m3u8"))
	require.NoError(t, err)
	require.Len(t, fs, len(reel.frames))
	require.InDelta(t, reel.frames[len(fs)-1].DTS-reel.frames[0].DTS, fs[len(fs)-1].DTS, float64(20*time.Millisecond))
}

// Video in MPEG-TS, audio packed, as with Apple's tools.
func TestClientPackedRendition(t *testing.T) {
	all := cutReel(t, TS, reelStream, 10*time.Second, 4, nil)
	// What we write to MPEG-TS begins 200 ms late.
	audio := cutReel(t, packed, reelStream, 10*time.Second+200*time.Millisecond, 4, isAudio)
	o := newRemote()
	o.files["/index.m3u8"] = []byte(strings.Join([]string{
		"#EXTM3U", `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="a/index.m3u8"`, `#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"`, "v/index.m3u8",
	}, "\n"))
	o.vod("/v/", cutReel(t, TS, reelStream, 10*time.Second, 4, func(tr *codec.Track) bool { return !isAudio(tr) }), nil)
	o.vod("/a/", audio, nil)
	fs, err := readAll(t, o.open(t, "/index.m3u8"))
	require.NoError(t, err)
	sameFrames(t, all.frames, fs)
}

// packedCases are segments, and how many frames are found.
func packedCases() map[string]int {
	one, err := codec.AppendADTS(nil, testmedia.Track(1, codec.AAC), []byte("\x21 a frame"))
	if err != nil {
		panic(err)
	}
	s := string(one)
	return map[string]int{
		"":                                  0,
		s:                                   1,
		s + s + s[:5]:                       2,
		string(id3(time.Hour)) + s:          1,
		string(id3(0)) + string(id3(1)) + s: 1,
		"ID3\x03\x00\x00\x00\x00\x00\x0bPRIV\xff\xff\xff\xff\x00\x00x" + s: 1,
		"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + s:                              -1,
		s + "garbage":                                                      -1,
		"ID3\x04\x00\x00\x00\x00\x00\x7f" + s:                              0,
	}
}

func TestPackedDemuxer(t *testing.T) {
	for in, want := range packedCases() {
		for _, step := range []int{1, 7, 1000} {
			var d packedDemuxer
			var fs []*codec.Frame
			var err error
			for b := []byte(in); len(b) > 0 && err == nil; {
				n := min(step, len(b))
				fs, err = d.Append(fs, b[:n])
				b = b[n:]
			}
			if want < 0 {
				require.ErrorIs(t, err, ErrInvalid, "%q", in)
				continue
			}
			require.NoError(t, err, "%q", in)
			require.Len(t, fs, want, "%q", in)
		}
	}
}

func FuzzPackedDemuxer(f *testing.F) {
	for in := range packedCases() {
		f.Add([]byte(in), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		var d packedDemuxer
		var fs []*codec.Frame
		var err error
		size := 0
		for in := b; len(in) > 0 && err == nil; {
			n := min(max(step, 1), len(in))
			fs, err = d.Append(fs, in[:n])
			in = in[n:]
		}
		for _, f := range fs {
			size += len(f.Data)
		}
		if size > len(b) || cap(d.rest) > 2*len(b)+64 {
			t.Fatalf("%d bytes of %d, %d kept", size, len(b), cap(d.rest))
		}
	})
}
