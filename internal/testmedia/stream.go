package testmedia

import (
	"iter"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// IDs of the tracks of a Stream.
const (
	VideoID = 1
	AudioID = 2
)

// A Stream describes an endless live stream. The zero value has no tracks.
type Stream struct {
	Video   codec.Codec   // codec.Opaque (zero) leaves video out; see [Track] for the codecs
	Audio   codec.Codec   // codec.Opaque (zero) leaves audio out
	Bitrate int           // of the video, bits per second; 0 means 2,000,000; pictures of MJPEG do not get below 15 KB
	FPS     int           // frames per second; 0 means 25
	GOP     time.Duration // between key frames; 0 means 2 s; with MJPEG each picture is one
	BFrames int           // between reference frames; H264 and H265 only
	Change  int           // GOPs after which the video parameters change to those of Track2, and back; 0 means never
	Seed    uint64        // another payload for another seed
}

func (s Stream) withDefaults() Stream {
	if s.Bitrate <= 0 {
		s.Bitrate = 2_000_000
	}
	if s.FPS <= 0 {
		s.FPS = 25
	}
	if s.GOP <= 0 {
		s.GOP = 2 * time.Second
	}
	if s.Video != codec.H264 && s.Video != codec.H265 {
		s.BFrames = 0
	}
	return s
}

// Tracks returns the tracks of the stream, video before audio. Every call
// makes new ones; those of the frames are others with equal content.
func (s Stream) Tracks() []*codec.Track {
	var tracks []*codec.Track
	if s.Video != codec.Opaque {
		b := min(s.withDefaults().BFrames, 1)
		tracks = append(tracks, newTrack(VideoID, s.Video, 0, b))
	}
	if s.Audio != codec.Opaque {
		tracks = append(tracks, Track(AudioID, s.Audio))
	}
	return tracks
}

// Frames yields the frames in DTS order, video before audio of the same time,
// without end. Each frame is new; nothing writes to it later. Video begins with
// a key frame at DTS 0; with B frames PTS runs one frame ahead of DTS.
func (s Stream) Frames() iter.Seq[*codec.Frame] {
	return func(yield func(*codec.Frame) bool) {
		var video, audio *codec.Frame
		s := s.withDefaults()
		p := newPayload(s.Seed)
		v, a := newVideo(s, p), newAudio(s.Audio, p)
		for {
			if video == nil && v != nil {
				video = v.next()
			}
			if audio == nil && a != nil {
				audio = a.next()
			}
			var f *codec.Frame
			if video != nil && (audio == nil || video.DTS <= audio.DTS) {
				f, video = video, nil
			} else {
				f, audio = audio, nil
			}
			if f == nil || !yield(f) {
				return
			}
		}
	}
}

// Take returns the frames with a DTS below d.
func (s Stream) Take(d time.Duration) []*codec.Frame {
	var frames []*codec.Frame
	for f := range s.Frames() {
		if f.DTS >= d {
			break
		}
		frames = append(frames, f)
	}
	return frames
}

// at returns the time of the nth of rate units a second, in whole milliseconds.
func at(n, rate int) time.Duration {
	return codec.FromTicks(int64(n), rate).Round(time.Millisecond)
}
