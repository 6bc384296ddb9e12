package vdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/deepch/vdk/av"
	vdkcodec "github.com/deepch/vdk/codec"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A script is a demuxer that plays what it was given.
type script struct {
	streams []av.CodecData
	packets []av.Packet
	end     error  // after the packets; nil means io.EOF
	panics  string // "streams" or "packet": what panics instead
	block   chan struct{}
	closed  int
}

func (s *script) Streams() ([]av.CodecData, error) {
	if s.panics == "streams" {
		panic("no streams")
	}
	if s.streams == nil {
		return nil, io.EOF
	}
	return s.streams, nil
}

func (s *script) ReadPacket() (p av.Packet, err error) {
	switch {
	case len(s.packets) > 0:
		p, s.packets = s.packets[0], s.packets[1:]
		return p, nil
	case s.panics == "packet":
		return s.packets[0], nil // as vdk does it
	case s.block != nil:
		<-s.block
		return p, io.ErrClosedPipe
	case s.end != nil:
		return p, s.end
	}
	return p, io.EOF
}

func (s *script) Close() {
	s.closed++
	if s.block != nil {
		close(s.block)
	}
}

// scriptOf returns a script of a stream, and its frames.
func scriptOf(t *testing.T, s testmedia.Stream, d time.Duration) (*script, []*codec.Frame) {
	x, index := &script{}, map[int]int8{}
	for i, track := range s.Tracks() {
		data, err := CodecDataOf(track)
		require.NoError(t, err)
		x.streams = append(x.streams, data)
		index[track.ID] = int8(i)
	}
	frames := s.Take(d)
	for _, f := range frames {
		x.packets = append(x.packets, av.Packet{
			Idx: index[f.Track.ID], Time: f.DTS, CompositionTime: f.PTS - f.DTS, Data: f.Data, IsKeyFrame: f.Key(),
		})
	}
	return x, frames
}

// What panics ends the stream with an error that says so, and is not called again.
func TestReaderPanics(t *testing.T) {
	for _, where := range []string{"streams", "packet"} {
		t.Run(where, func(t *testing.T) {
			d, want := scriptOf(t, testmedia.Stream{Audio: codec.AAC}, time.Second)
			d.panics = where
			r := NewReader(d)
			got, err := containertest.ReadAll(r)
			var p *PanicError
			require.ErrorAs(t, err, &p)
			require.NotEmpty(t, p.Stack)
			containertest.TestErrorSticks(t, r)
			if where == "packet" {
				require.Len(t, got, len(want))
				require.ErrorAs(t, err, new(interface{ RuntimeError() }), "what it panicked with")
			}
			require.NoError(t, r.Close())
			require.Equal(t, 1, d.closed)
		})
	}
}

func TestReaderEnds(t *testing.T) {
	for _, how := range []string{"context", "close"} {
		t.Run(how, func(t *testing.T) {
			d, want := scriptOf(t, testmedia.Stream{Audio: codec.AAC}, time.Second)
			d.block = make(chan struct{})
			r := NewReader(d)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range want {
				_, err := r.ReadFrame(ctx)
				require.NoError(t, err)
			}
			done := make(chan error)
			go func() {
				_, err := r.ReadFrame(ctx)
				done <- err
			}()
			reason := context.Canceled
			if how == "context" {
				cancel()
			} else {
				reason = source.ErrClosed
				require.NoError(t, r.Close())
			}
			require.ErrorIs(t, <-done, reason)
			require.NoError(t, r.Close())
			require.Equal(t, 1, d.closed)
		})
	}
}

func TestReaderErrors(t *testing.T) {
	broken := errors.New("cable cut")
	speex := []av.CodecData{vdkcodec.NewSpeexCodecData(16000, av.CH_MONO)}
	for name, c := range map[string]struct {
		d    *script
		want error
	}{
		"no streams":      {&script{}, io.ErrUnexpectedEOF},
		"none at all":     {&script{streams: []av.CodecData{}}, source.ErrUnsupported},
		"nothing of ours": {&script{streams: speex}, source.ErrUnsupported},
		"broken":          {&script{streams: []av.CodecData{vdkcodec.NewPCMAlawCodecData()}, end: broken}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(c.d)
			_, err := r.ReadFrame(t.Context())
			require.ErrorIs(t, err, c.want)
			require.NotErrorIs(t, err, io.EOF)
			containertest.TestErrorSticks(t, r)
		})
	}
}

// Streams of other codecs and packets of streams that were not announced are left
// out.
func TestReaderLeavesOut(t *testing.T) {
	d, want := scriptOf(t, testmedia.Stream{Audio: codec.PCMU}, time.Second)
	speex := vdkcodec.NewSpeexCodecData(16000, av.CH_MONO)
	d.streams = []av.CodecData{speex, d.streams[0]}
	for i := range d.packets {
		d.packets[i].Idx = 1
	}
	d.packets = append([]av.Packet{{Idx: 0, Data: []byte{1}}, {Idx: 2, Data: []byte{1}}, {Idx: -1, Data: []byte{1}}}, d.packets...)
	r := NewReader(d)
	require.Len(t, r.Tracks(), 1)
	require.Equal(t, []av.CodecData{speex}, r.LeftOut())
	got, err := containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	containertest.Match{}.Frames(t, want, got)
}

// A packet that is no frame costs that packet; a hundred in a row end the stream.
func TestReaderBadPackets(t *testing.T) {
	bad := av.Packet{Data: []byte{0, 0, 1, 0, 0x65}}
	d, want := scriptOf(t, testmedia.Stream{Video: codec.H264}, 2*time.Second)
	for range maxBad - 1 {
		d.packets = append([]av.Packet{bad}, d.packets...)
	}
	d.packets = append(d.packets, bad)
	got, err := containertest.ReadAll(NewReader(d))
	require.Equal(t, io.EOF, err)
	containertest.Match{Lost: codec.FlagDisposable}.Frames(t, want, got)

	d, _ = scriptOf(t, testmedia.Stream{Video: codec.H264}, time.Second)
	for range maxBad {
		d.packets = append(d.packets, bad)
	}
	_, err = containertest.ReadAll(NewReader(d))
	require.ErrorIs(t, err, codec.ErrInvalid)
}

// Where a stream begins again time goes on.
func TestReaderStepsBack(t *testing.T) {
	d, frames := scriptOf(t, testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second}, 3*time.Second)
	d.packets = append(d.packets, d.packets...)
	got, err := containertest.ReadAll(NewReader(d))
	require.Equal(t, io.EOF, err)
	require.Len(t, got, 2*len(frames))
	containertest.RequireOrder(t, got)
	again := got[len(frames)]
	require.Equal(t, frames[len(frames)-1].DTS.Truncate(40*time.Millisecond), again.DTS)
	require.True(t, again.Has(codec.FlagDiscont|codec.FlagKey))
	require.Greater(t, got[len(got)-1].DTS, 5*time.Second)
	require.Zero(t, got[len(got)-1].Flags&codec.FlagDiscont)
}

// Small steps back are closed up.
func TestReaderJitter(t *testing.T) {
	g711, err := CodecDataOf(testmedia.Track(1, codec.PCMA))
	require.NoError(t, err)
	d := &script{streams: []av.CodecData{g711}}
	const ms = time.Millisecond
	for _, at := range []time.Duration{-5 * ms, 0, 20 * ms, 19 * ms, 40 * ms} {
		d.packets = append(d.packets, av.Packet{Time: at, Data: make([]byte, 160)})
	}
	got, err := containertest.ReadAll(NewReader(d))
	require.Equal(t, io.EOF, err)
	for i, at := range []time.Duration{0, 0, 20 * ms, 20 * ms, 40 * ms} {
		require.Equal(t, at, got[i].DTS)
		require.False(t, got[i].Has(codec.FlagDiscont))
	}
}

// slices3 returns the packets of d with those of the video in three parts each.
func slices3(d *script) (split []av.Packet) {
	for _, p := range d.packets {
		if p.Idx > 0 {
			split = append(split, p)
			continue
		}
		for range 3 {
			split = append(split, p)
		}
	}
	return split
}

// Packets that are parts of a picture become whole ones, in order.
func TestReaderSplit(t *testing.T) {
	d, want := scriptOf(t, testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, GOP: time.Second}, 3*time.Second)
	d.packets = slices3(d)
	r := NewReader(d)
	r.Split = true
	got, err := containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	require.Len(t, got, len(want))
	for i, f := range want {
		data := f.Data
		if f.Track.Kind() == codec.KindVideo {
			data = bytes.Repeat(data, 3)
		}
		require.Equal(t, containertest.Digest(data), containertest.Digest(got[i].Data))
		require.Equal(t, f.DTS, got[i].DTS)
		require.Equal(t, f.Key(), got[i].Key())
	}
}

// Sound does not wait for pictures that do not come.
func TestReaderSplitWithoutPictures(t *testing.T) {
	d, _ := scriptOf(t, testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, 3*time.Second)
	var sound []av.Packet
	for _, p := range d.packets[1:] {
		if p.Idx > 0 {
			sound = append(sound, p)
		}
	}
	d.packets = append(d.packets[:1:1], sound...)
	s := splitter{}
	given := 0
	for _, p := range d.packets {
		given += len(s.add(p, p.Idx == 0))
		require.Less(t, len(s.waiting), 60)
	}
	require.Equal(t, len(d.packets), given+len(s.flush()))
	require.NotZero(t, given)
}

// JPEG pictures come with their length in front from a transport stream, and
// without.
func TestReaderMJPEG(t *testing.T) {
	d, want := scriptOf(t, testmedia.Stream{Video: codec.MJPEG}, 200*time.Millisecond)
	for i := range d.packets {
		if i%2 == 0 {
			n := len(d.packets[i].Data)
			d.packets[i].Data = append([]byte{0, byte(n >> 16), byte(n >> 8), byte(n)}, d.packets[i].Data...)
		}
	}
	got, err := containertest.ReadAll(NewReader(d))
	require.Equal(t, io.EOF, err)
	containertest.Match{}.Frames(t, want, got)
}

func TestSource(t *testing.T) {
	refused := errors.New("refused")
	_, err := Source(func(context.Context) (av.DemuxCloser, error) { return nil, refused }).Open(t.Context())
	require.ErrorIs(t, err, refused)

	d := &closeable{script: &script{}}
	src := Source(func(context.Context) (av.DemuxCloser, error) { return d, nil })
	_, err = src.Open(t.Context())
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, 1, d.closed)

	d.script, _ = scriptOf(t, testmedia.Stream{Audio: codec.Opus}, time.Second)
	r, err := src.Open(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Tracks(), 1)
	require.NoError(t, r.Close())
	require.Equal(t, 1, d.closed)
}

// closeable is a script whose Close tells of errors.
type closeable struct{ *script }

func (c *closeable) Close() error {
	c.script.Close()
	return nil
}

// What vdk makes of damaged files is an error, or fewer frames, but no panic.
func TestDamaged(t *testing.T) {
	for _, x := range formats {
		t.Run(x.name, func(t *testing.T) {
			file := muxed(t, x.muxer, testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 20_000}, 300*time.Millisecond)
			read := func(b []byte) error {
				r := NewReader(x.demuxer(bytes.NewReader(b)))
				r.Split = x.split
				_, err := containertest.ReadAll(r)
				require.Error(t, err)
				return err
			}
			require.Equal(t, io.EOF, read(file))
			for n := 0; n < len(file); n += 5 {
				_ = read(file[:n])
			}
			if x.name == "mp4" {
				return // it takes as much memory as a box says
			}
			panics := 0
			for i := 0; i < len(file); i += 5 {
				for _, bit := range []byte{1, 0x80} {
					b := bytes.Clone(file)
					b[i] ^= bit
					if errors.As(read(b), new(*PanicError)) {
						panics++
					}
				}
			}
			require.Equal(t, x.panics, panics > 0)
		})
	}
}

// Whatever a packet holds, the frames are in order and not empty.
func FuzzPackets(f *testing.F) {
	for i, c := range converted {
		s := testmedia.Stream{Video: c, Bitrate: 10_000}
		if c.Kind() == codec.KindAudio {
			s = testmedia.Stream{Audio: c}
		}
		for _, frame := range s.Take(50 * time.Millisecond) {
			f.Add(uint8(i), i%2 == 0, int64(frame.DTS), frame.Data[:len(frame.Data)/2], frame.Data)
		}
	}
	f.Fuzz(func(t *testing.T, c uint8, split bool, at int64, one, two []byte) {
		d, err := CodecDataOf(testmedia.Track(1, converted[int(c)%len(converted)]))
		require.NoError(t, err)
		r := NewReader(&script{streams: []av.CodecData{d}, packets: []av.Packet{{Data: one}, {Data: two}, {Time: time.Duration(at % 1e18), Data: one}}})
		r.Split = split
		got, err := containertest.ReadAll(r)
		require.Equal(t, io.EOF, err)
		containertest.RequireOrder(t, got)
		for _, frame := range got {
			require.NotEmpty(t, frame.Data)
			require.NotNil(t, frame.Track)
		}
	})
}
