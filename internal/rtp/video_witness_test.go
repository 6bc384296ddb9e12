package rtp

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpav1"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmjpeg"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpvp8"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpvp9"
	pion "github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// A witness is another implementation of a payload format. The units of H264
// and H265 are NAL units with the parameter sets, those of AV1 OBUs without
// sizes; other codecs have one unit.
type witness struct {
	codec  codec.Codec
	encode func(maxSize int) (func(units [][]byte) ([]*pion.Packet, error), error)
	decode func() (func(*pion.Packet) ([][]byte, error), error)
	more   error // what decode returns for all packets but the last of a frame
}

func witnesses() []witness {
	one := func(f func([]byte) ([]*pion.Packet, error)) func([][]byte) ([]*pion.Packet, error) {
		return func(units [][]byte) ([]*pion.Packet, error) { return f(units[0]) }
	}
	single := func(f func(*pion.Packet) ([]byte, error)) func(*pion.Packet) ([][]byte, error) {
		return func(p *pion.Packet) ([][]byte, error) {
			b, err := f(p)
			return [][]byte{b}, err
		}
	}
	return []witness{
		{codec.H264, func(n int) (func([][]byte) ([]*pion.Packet, error), error) {
			e := &rtph264.Encoder{PayloadType: 96, PayloadMaxSize: n, PacketizationMode: 1}
			return e.Encode, e.Init()
		}, func() (func(*pion.Packet) ([][]byte, error), error) {
			d := &rtph264.Decoder{PacketizationMode: 1}
			return d.Decode, d.Init()
		}, rtph264.ErrMorePacketsNeeded},
		{codec.H265, func(n int) (func([][]byte) ([]*pion.Packet, error), error) {
			e := &rtph265.Encoder{PayloadType: 96, PayloadMaxSize: n}
			return e.Encode, e.Init()
		}, func() (func(*pion.Packet) ([][]byte, error), error) {
			d := &rtph265.Decoder{}
			return d.Decode, d.Init()
		}, rtph265.ErrMorePacketsNeeded},
		{codec.AV1, func(n int) (func([][]byte) ([]*pion.Packet, error), error) {
			e := &rtpav1.Encoder{PayloadType: 96, PayloadMaxSize: n}
			return e.Encode, e.Init()
		}, func() (func(*pion.Packet) ([][]byte, error), error) {
			d := &rtpav1.Decoder{}
			return d.Decode, d.Init()
		}, rtpav1.ErrMorePacketsNeeded},
		{codec.VP8, func(n int) (func([][]byte) ([]*pion.Packet, error), error) {
			e := &rtpvp8.Encoder{PayloadType: 96, PayloadMaxSize: n}
			return one(e.Encode), e.Init()
		}, func() (func(*pion.Packet) ([][]byte, error), error) {
			d := &rtpvp8.Decoder{}
			return single(d.Decode), d.Init()
		}, rtpvp8.ErrMorePacketsNeeded},
		{codec.VP9, func(n int) (func([][]byte) ([]*pion.Packet, error), error) {
			e := &rtpvp9.Encoder{PayloadType: 96, PayloadMaxSize: n}
			return one(e.Encode), e.Init()
		}, func() (func(*pion.Packet) ([][]byte, error), error) {
			d := &rtpvp9.Decoder{}
			return single(d.Decode), d.Init()
		}, rtpvp9.ErrMorePacketsNeeded},
		{codec.MJPEG, func(n int) (func([][]byte) ([]*pion.Packet, error), error) {
			e := &rtpmjpeg.Encoder{PayloadMaxSize: n}
			return one(e.Encode), e.Init()
		}, func() (func(*pion.Packet) ([][]byte, error), error) {
			d := &rtpmjpeg.Decoder{}
			return single(d.Decode), d.Init()
		}, rtpmjpeg.ErrMorePacketsNeeded},
	}
}

// unitsOf returns the units of a frame as witnesses have them.
func unitsOf(f *codec.Frame, sets bool) (units [][]byte) {
	switch f.Track.Codec {
	case codec.H264, codec.H265:
		if sets {
			units = slices.Clone(f.Track.ParameterSets())
		}
		return slices.AppendSeq(units, f.NALUs())
	case codec.AV1:
		for b := f.Data; len(b) > 0; {
			o, _ := codec.CutOBU(b)
			units = append(units, slices.Concat([]byte{o.Header[0] &^ obuSized}, o.Header[1:], o.Payload))
			b = b[o.Size:]
		}
		return units
	}
	return [][]byte{f.Data}
}

// witnessFrames are two GOPs of two tracks with frames of many sizes.
func witnessFrames(c codec.Codec, maxSize int) (frames []*codec.Frame) {
	var fill filler
	for n, track := range videoTracks(c) {
		sizes := []int{20, 100, 1000, 10_000, 1, 2, 3}
		for over := -10; over < 10; over++ {
			sizes = append(sizes, maxSize+over, 3*maxSize+over)
		}
		for i, size := range sizes {
			f := &codec.Frame{
				Track: track, PTS: time.Duration(len(frames)) * 40 * time.Millisecond,
				Data: videoFrame(c, n, i == 0 || c == codec.MJPEG, []int{size, 40, size, 2}, &fill),
			}
			if i == 0 || c == codec.MJPEG {
				f.Flags = codec.FlagKey
			}
			frames = append(frames, f)
		}
	}
	return frames
}

// understands returns the frames that the witness understands when it has sent
// them itself: with AV1 it takes an OBU that ends just before the packet does and
// the next one for one.
func (w *witness) understands(t *testing.T, frames []*codec.Frame, maxSize int) []*codec.Frame {
	if w.codec != codec.AV1 {
		return frames
	}
	encode, err := w.encode(maxSize)
	require.NoError(t, err)
	decode, err := w.decode()
	require.NoError(t, err)
	var understood []*codec.Frame
	for _, f := range frames {
		packets, err := encode(unitsOf(f, false))
		require.NoError(t, err)
		var got [][]byte
		for _, p := range packets {
			got, _ = decode(p)
		}
		if len(got) == len(unitsOf(f, false)) {
			understood = append(understood, f)
		}
	}
	require.Greater(t, len(understood), len(frames)/2)
	return understood
}

// What others send is understood.
func TestVideoFromWitness(t *testing.T) {
	for _, w := range witnesses() {
		t.Run(w.codec.String(), func(t *testing.T) {
			for _, maxSize := range []int{300, 1400} {
				encode, err := w.encode(maxSize)
				require.NoError(t, err)
				frames := w.understands(t, witnessFrames(w.codec, maxSize), maxSize)
				s := newVideoStream(t, frames, 1400)
				var packets []Packet
				for i, f := range s.frames {
					sent, err := encode(unitsOf(f, f.Key()))
					require.NoError(t, err)
					for _, p := range sent {
						p.Timestamp = s.timestamp(i)
						wire, err := p.Marshal()
						require.NoError(t, err)
						var packet Packet
						require.NoError(t, packet.Unmarshal(wire))
						packets = append(packets, packet)
					}
				}
				units := s.receive(t, packets, nil)
				if w.codec == codec.MJPEG { // it sends the end of image twice
					for i := range units {
						units[i].Data = bytes.Replace(units[i].Data, []byte{0xff, jpegEOI, 0xff, jpegEOI}, []byte{0xff, jpegEOI}, 1)
					}
				}
				s.requireFrames(t, units)
			}
		})
	}
}

// What is sent others understand.
func TestVideoToWitness(t *testing.T) {
	for _, w := range witnesses() {
		t.Run(w.codec.String(), func(t *testing.T) {
			for _, maxSize := range []int{300, 1400} {
				decode, err := w.decode()
				require.NoError(t, err)
				s := newVideoStream(t, witnessFrames(w.codec, maxSize), maxSize)
				for i, f := range s.frames {
					if w.codec == codec.MJPEG && f.Track.Width == 640 {
						break // it does not know restart markers
					}
					for j, packet := range s.packets[i] {
						units, err := decode(&pion.Packet{
							Header:  pion.Header{Version: 2, SequenceNumber: packet.Sequence, Timestamp: packet.Timestamp, Marker: packet.Marker},
							Payload: packet.Payload,
						})
						if j < len(s.packets[i])-1 {
							require.True(t, errors.Is(err, w.more), "frame %d, packet %d: %v", i, j, err)
							continue
						}
						require.NoError(t, err, "frame %d", i)
						want := unitsOf(f, f.Key())
						require.Len(t, units, len(want), "frame %d", i)
						for n := range want {
							if w.codec == codec.MJPEG {
								got, err := parseJPEG(units[n])
								require.NoError(t, err)
								sent, err := parseJPEG(want[n])
								require.NoError(t, err)
								require.Equal(t, sent, got)
								continue
							}
							require.True(t, bytes.Equal(want[n], units[n]), "frame %d, unit %d", i, n)
						}
					}
				}
			}
		})
	}
}
