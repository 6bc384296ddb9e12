package conversion

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// streams have every codec, a video and an audio one each.
var streams = []testmedia.Stream{
	{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
	{Video: codec.H265, Audio: codec.Opus, BFrames: 2},
	{Video: codec.AV1, Audio: codec.PCMA},
	{Video: codec.VP8, Audio: codec.PCMU},
	{Video: codec.VP9, Audio: codec.MP3},
}

const (
	length = 3 * time.Second
	gop    = time.Second
	hold   = gop / 2 // until there all viewers come
)

// A film is a stream in memory. It is a source.Reader.
type film struct {
	tracks []*codec.Track
	frames []*codec.Frame
	next   int
}

// filmOf returns the film of a stream.
func filmOf(s testmedia.Stream) *film {
	s.GOP, s.Bitrate = gop, 400_000
	return &film{tracks: s.Tracks(), frames: s.Take(length)}
}

// again returns the film from its beginning.
func (f *film) again() *film { return &film{tracks: f.tracks, frames: f.frames} }

func (f *film) Tracks() []*codec.Track { return f.tracks }
func (f *film) Close() error           { return nil }

func (f *film) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if f.next == len(f.frames) {
		return nil, io.EOF
	}
	f.next++
	return f.frames[f.next-1], ctx.Err()
}

// A gate lets the beginning of a stream pass, and the rest when it is open.
type gate struct {
	source.Reader
	open <-chan struct{}
}

func (g *gate) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	f, err := g.Reader.ReadFrame(ctx)
	if err != nil || f.DTS < hold {
		return f, err
	}
	select {
	case <-g.open:
		return f, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// names returns "H264 and AAC".
func names(s testmedia.Stream) string {
	return strings.Join([]string{s.Video.String(), s.Audio.String()}, " and ")
}
