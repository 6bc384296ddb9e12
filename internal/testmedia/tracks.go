package testmedia

import (
	"encoding/hex"
	"fmt"

	"github.com/mediakit-go/mediakit/codec"
)

// Parameter sets and headers of key frames, 1280x720 and 640x360 at 25 frames
// per second, written by x264, x265, libaom and libvpx for ffmpeg's testsrc2.
const (
	av1Seq1 = "0a0b0000002d4cffb3cdaf9004"
	av1Seq2 = "0a0b0000000cc4ff6736be4010"
	vp8Key1 = "d087019d012a0005d002"
	vp8Key2 = "10ae009d012a80026801"
	vp9Key1 = "82498342004ff02cf6"
	vp9Key2 = "824983420027f01676"
)

// Those of H.264 and H.265 without B frames, and with B frames that no other
// picture needs.
var (
	h264PPS  = [2]string{"68ebc3cb22c0", "68ebe3cb22c0"}
	h264SPS1 = [2]string{"6764001facb200a00b760220000003002000000641e30649", "6764001facd1005005bb011000000300100000030320f1831120"}
	h264SPS2 = [2]string{"6764001eacb201405ff2e022000003000200000300641e2c5c90", "6764001eacd100a02ff97011000003000100000300320f162d12"}
	h265PPS  = [2]string{"4401c172b46240", "4401c172b46240"}
	h265VPS1 = [2]string{"40010c01ffff01600000030090000003000003005d928090", "40010c01ffff01600000030090000003000003005d911009"}
	h265SPS1 = [2]string{
		"42010101600000030090000003000003005da00280802d16592a4932bc05a02000000300200000030321",
		"42010101600000030090000003000003005da00280802d16591124932bc05a020000030002000003003210",
	}
	h265VPS2 = [2]string{"40010c01ffff01600000030090000003000003003f928090", "40010c01ffff01600000030090000003000003003f911009"}
	h265SPS2 = [2]string{
		"42010101600000030090000003000003003fa0050201696592a4932bc05a020000030002000003003210",
		"42010101600000030090000003000003003fa0050201696591124932bc05a02000000300200000030321",
	}
)

// Headers of MPEG audio frames of 128 kbit/s and 384 bytes at 48 kHz in
// stereo, and of 64 kbit/s and 288 bytes at 32 kHz in mono; of AC-3 frames of
// 192 kbit/s and 768 bytes in stereo, and of 96 kbit/s and 384 bytes in mono.
const (
	mp3Header1 = "fffb9444"
	mp3Header2 = "fffb58c4"
	mp2Header1 = "fffd8444"
	mp2Header2 = "fffd48c4"
	ac3Header1 = "0b77a5a5144043"
	ac3Header2 = "0b77a5a50c4023"
)

// Track returns a valid track with this ID: 1280x720 at 25 frames per second
// of a video codec, without B frames, 48 kHz stereo of an audio codec, 8 kHz mono of G.711. It
// panics for codecs it does not know: those outside H264, H265, AV1, VP8, VP9,
// MJPEG, AAC, Opus, PCMA, PCMU, MP3, MP2, L16 and AC3.
func Track(id int, c codec.Codec) *codec.Track { return newTrack(id, c, 0, 0) }

// Track2 returns a track of the same codec with other parameters: 640x360; AAC
// 44.1 kHz mono, MP3 and MP2 32 kHz mono, L16 44.1 kHz stereo, Opus and AC3 mono,
// G.711 16 kHz.
func Track2(id int, c codec.Codec) *codec.Track { return newTrack(id, c, 1, 0) }

// newTrack returns Track for n = 0, Track2 for n = 1; b is 1 for streams with B
// frames.
func newTrack(id int, c codec.Codec, n, b int) *codec.Track {
	pick := func(a, b string) []byte { return unhex([]string{a, b}[n]) }
	var t *codec.Track
	var err error
	switch c {
	case codec.H264:
		t, err = codec.NewH264Track(id, pick(h264SPS1[b], h264SPS2[b]), unhex(h264PPS[b]))
	case codec.H265:
		t, err = codec.NewH265Track(id, pick(h265VPS1[b], h265VPS2[b]), pick(h265SPS1[b], h265SPS2[b]), unhex(h265PPS[b]))
	case codec.AV1:
		t, err = codec.NewAV1Track(id, pick(av1Seq1, av1Seq2))
	case codec.VP8:
		t, err = codec.NewVP8Track(id, pick(vp8Key1, vp8Key2))
	case codec.VP9:
		t, err = codec.NewVP9Track(id, pick(vp9Key1, vp9Key2))
	case codec.AAC:
		t, err = codec.NewAACTrack(id, []int{48000, 44100}[n], []int{2, 1}[n])
	case codec.Opus:
		t = codec.NewOpusTrack(id, 2-n)
	case codec.PCMA, codec.PCMU:
		t = codec.NewG711Track(id, c, 8000<<n, 1)
	case codec.MP3:
		t, err = codec.NewMP3Track(id, pick(mp3Header1, mp3Header2))
	case codec.MP2:
		t, err = codec.NewMP3Track(id, pick(mp2Header1, mp2Header2))
	case codec.AC3:
		t, err = codec.NewAC3Track(id, pick(ac3Header1, ac3Header2))
	case codec.L16:
		t = codec.NewL16Track(id, []int{48000, 44100}[n], 2)
	case codec.MJPEG:
		t, err = codec.NewMJPEGTrack(id, jpegHeader([]int{1280, 640}[n], []int{720, 360}[n]))
	default:
		panic(fmt.Sprintf("testmedia: no track of %v", c))
	}
	if err != nil {
		panic(fmt.Sprintf("testmedia: %v: %v", c, err))
	}
	if t.Kind() == codec.KindVideo && t.FrameRate == 0 {
		t.FrameRate = 25 // the stream does not tell
	}
	return t
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
