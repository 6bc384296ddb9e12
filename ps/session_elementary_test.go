package ps

import (
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// Elementary streams arrive, by their payload types or what they begin with.
func TestSessionElementary(t *testing.T) {
	cases := []struct {
		name   string
		stream testmedia.Stream
		pt     uint8
	}{
		{"H264", testmedia.Stream{Video: codec.H264, GOP: 400 * time.Millisecond}, 98},
		{"H264 of another type", testmedia.Stream{Video: codec.H264, BFrames: 2, GOP: 400 * time.Millisecond}, 96},
		{"H265", testmedia.Stream{Video: codec.H265, GOP: 400 * time.Millisecond}, 99},
		{"H265 of another type", testmedia.Stream{Video: codec.H265, BFrames: 2, GOP: 400 * time.Millisecond}, 120},
		{"PCMA", testmedia.Stream{Audio: codec.PCMA}, 8},
		{"PCMU", testmedia.Stream{Audio: codec.PCMU}, 0},
		{"Opus", testmedia.Stream{Audio: codec.Opus}, 100},
		{"MP3", testmedia.Stream{Audio: codec.MP3}, 14},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				s, _ := newTestSession(r, ReceiveOptions{})
				frames := c.stream.Take(2 * time.Second)
				sent := esPackets(t, c.pt, frames)
				arrive(s, sent, time.Now())
				require.Equal(t, PayloadES, statsOf(s).Payload)
				s.end(nil)
				ended(t, s, io.EOF)
				requireFrames(t, frames, r.frames)
				require.True(t, r.complete)
				require.EqualValues(t, len(sent), statsOf(s).Packets)
				require.EqualValues(t, testSSRC, statsOf(s).SSRC)
			})
		})
	}
}

// AAC with ADTS headers, one or several frames in a packet, tells what it is.
func TestSessionADTS(t *testing.T) {
	stream := testmedia.Stream{Audio: codec.AAC}
	for _, each := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			s, _ := newTestSession(r, ReceiveOptions{})
			frames := stream.Take(2 * time.Second)
			frames = frames[:len(frames)/each*each]
			sender := rtptest.Sender{SSRC: testSSRC, PayloadType: 97}
			for chunk := range slices.Chunk(frames, each) {
				var payload []byte
				for _, f := range chunk {
					var err error
					payload, err = codec.AppendADTS(payload, f.Track, f.Data)
					require.NoError(t, err)
				}
				timestamp := uint32(codec.Ticks(chunk[0].PTS, chunk[0].Track.SampleRate))
				arrive(s, [][]byte{sender.Packet(payload, timestamp, true)}, time.Now())
			}
			s.end(nil)
			ended(t, s, io.EOF)
			requireFrames(t, frames, r.frames)
		})
	}
}

// Audio and video of one sender are told apart by their payload types.
func TestSessionElementaryBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := testmedia.Stream{Video: codec.H264, Audio: codec.PCMA, GOP: 400 * time.Millisecond}
		frames := stream.Take(2 * time.Second)
		isAudio := func(f *codec.Frame) bool { return f.Track.Kind() == codec.KindAudio }
		video := esPackets(t, 98, slices.DeleteFunc(slices.Clone(frames), isAudio))
		audio := esPackets(t, 8, slices.DeleteFunc(slices.Clone(frames), func(f *codec.Frame) bool { return !isAudio(f) }))
		r := &recorder{}
		s, _ := newTestSession(r, ReceiveOptions{})
		now := time.Now()
		for len(video)+len(audio) > 0 {
			n, m := min(10, len(video)), min(2, len(audio))
			now = arrive(s, append(slices.Clone(video[:n]), audio[:m]...), now)
			video, audio = video[n:], audio[m:]
		}
		s.end(nil)
		ended(t, s, io.EOF)
		for range convincing - 1 { // as long as it may be anything
			frames = slices.Delete(frames, slices.IndexFunc(frames, isAudio), slices.IndexFunc(frames, isAudio)+1)
		}
		requireFrames(t, frames, r.frames)
		require.Len(t, statsOf(s).Tracks, 2)
	})
}

// Elementary streams of too many payload types, and of unknown ones, are left out.
func TestSessionElementaryOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s, _ := newTestSession(r, ReceiveOptions{})
		frames := testmedia.Stream{Audio: codec.PCMA}.Take(time.Second)
		now := arrive(s, esPackets(t, 8, frames), time.Now())
		for pt := range uint8(128) {
			other := rtptest.Sender{SSRC: testSSRC, PayloadType: pt}
			for range convincing {
				now = arrive(s, [][]byte{other.Packet([]byte("\xd5\xd5\xd5\xd5"), 0, false)}, now)
			}
		}
		require.Len(t, statsOf(s).Tracks, maxElementary)
		require.NotZero(t, statsOf(s).Invalid)
		s.end(nil)
		ended(t, s, io.EOF)
		requireFrames(t, frames, slices.DeleteFunc(r.frames, func(f *codec.Frame) bool { return f.Track.ID != 1 }))
	})
}
