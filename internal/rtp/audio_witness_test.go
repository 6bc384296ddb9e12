package rtp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpfragmented"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtplpcm"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmpeg1audio"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpsimpleaudio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	pion "github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A witness is gortsplib's packing of a codec.
type witness struct {
	track  *codec.Track
	encode func(t *testing.T, data [][]byte) []*pion.Packet // several frames with times in a row
	decode func(t *testing.T) func(*pion.Packet) [][]byte
	most   int // longest frame that it reads
}

// flat is for encoders that take one frame.
func flat(t *testing.T, data [][]byte, step uint32, encode func([]byte) ([]*pion.Packet, error)) (all []*pion.Packet) {
	for i, d := range data {
		packets, err := encode(d)
		require.NoError(t, err)
		for _, p := range packets {
			p.Timestamp += uint32(i) * step
		}
		all = append(all, packets...)
	}
	return all
}

func witnesses() map[string]witness {
	lpcm := func(track *codec.Track, bits int) witness {
		return witness{
			track: track, most: 1 << 16,
			encode: func(t *testing.T, data [][]byte) []*pion.Packet {
				e := &rtplpcm.Encoder{PayloadType: 97, BitDepth: bits, ChannelCount: track.Channels}
				require.NoError(t, e.Init())
				return flat(t, data, 100_000, e.Encode)
			},
			decode: func(t *testing.T) func(*pion.Packet) [][]byte {
				d := &rtplpcm.Decoder{}
				require.NoError(t, d.Init())
				return func(p *pion.Packet) [][]byte {
					b, err := d.Decode(p)
					require.NoError(t, err)
					return [][]byte{b}
				}
			},
		}
	}
	mpeg := func(track *codec.Track) witness {
		return witness{
			track: track, most: 1 << 16,
			encode: func(t *testing.T, data [][]byte) []*pion.Packet {
				e := &rtpmpeg1audio.Encoder{PayloadMaxSize: 1000}
				require.NoError(t, e.Init())
				packets, err := e.Encode(data)
				require.NoError(t, err)
				return packets
			},
			decode: func(t *testing.T) func(*pion.Packet) [][]byte {
				d := &rtpmpeg1audio.Decoder{}
				require.NoError(t, d.Init())
				return func(p *pion.Packet) [][]byte {
					frames, err := d.Decode(p)
					if !errors.Is(err, rtpmpeg1audio.ErrMorePacketsNeeded) {
						require.NoError(t, err)
					}
					return frames
				}
			},
		}
	}
	return map[string]witness{
		"AAC": {
			track: testmedia.Track(1, codec.AAC), most: 1000, // it has another idea of fragments
			encode: func(t *testing.T, data [][]byte) []*pion.Packet {
				e := &rtpmpeg4audio.Encoder{PayloadType: 97, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
				require.NoError(t, e.Init())
				packets, err := e.Encode(data)
				require.NoError(t, err)
				return packets
			},
			decode: func(t *testing.T) func(*pion.Packet) [][]byte {
				d := &rtpmpeg4audio.Decoder{SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
				require.NoError(t, d.Init())
				return func(p *pion.Packet) [][]byte {
					aus, err := d.Decode(p)
					require.NoError(t, err)
					return aus
				}
			},
		},
		"Opus": {
			track: testmedia.Track(1, codec.Opus), most: 1000,
			encode: func(t *testing.T, data [][]byte) []*pion.Packet {
				e := &rtpsimpleaudio.Encoder{PayloadType: 97}
				require.NoError(t, e.Init())
				return flat(t, data, 960, func(b []byte) ([]*pion.Packet, error) {
					p, err := e.Encode(b)
					return []*pion.Packet{p}, err
				})
			},
			decode: func(t *testing.T) func(*pion.Packet) [][]byte {
				d := &rtpsimpleaudio.Decoder{}
				require.NoError(t, d.Init())
				return func(p *pion.Packet) [][]byte {
					b, err := d.Decode(p)
					require.NoError(t, err)
					return [][]byte{b}
				}
			},
		},
		"PCMA": lpcm(testmedia.Track(1, codec.PCMA), 8),
		"PCMU": lpcm(codec.NewG711Track(1, codec.PCMU, 8000, 2), 8),
		"L16":  lpcm(testmedia.Track(1, codec.L16), 16),
		"MP3":  mpeg(testmedia.Track(1, codec.MP3)),
		"MP2":  mpeg(testmedia.Track(1, codec.MP2)),
	}
}

// frames returns data of the track for n frames with the times of their first
// samples, some longer than a packet if most allows it.
func (w *witness) frames(n int) (frames []*codec.Frame) {
	at := time.Duration(0)
	for i := range n {
		var data []byte
		switch w.track.Codec {
		case codec.MP3, codec.MP2:
			header := unhex("fffb0444")
			if w.track.Codec == codec.MP2 {
				header = unhex("fffd0444")
			}
			header[2] |= byte(1+i%14) << 4
			size, _ := codec.MPEGAudioFrameSize(header)
			data = append(header, bytes.Repeat([]byte{byte(i)}, size-4)...)
		case codec.Opus:
			data = append(unhex("fc"), bytes.Repeat([]byte{byte(i)}, 10+90*i)...)
		default:
			data = bytes.Repeat([]byte{byte(i)}, 40+360*i)
		}
		data = data[:min(len(data), w.most)]
		f := &codec.Frame{Track: w.track, DTS: at, PTS: at, Data: data}
		frames = append(frames, f)
		at += codec.FrameDuration(f)
	}
	return frames
}

// What we send, gortsplib reads.
func TestAudioForGortsplib(t *testing.T) {
	for name, w := range witnesses() {
		t.Run(name, func(t *testing.T) {
			p, err := rtp.NewPacketizer(w.track, rtp.PacketizerOptions{PayloadType: 97})
			require.NoError(t, err)
			decode := w.decode(t)
			for _, f := range w.frames(12) {
				b, err := p.Append(nil, f)
				require.NoError(t, err)
				var got []byte
				for _, datagram := range rtp.Datagrams(b) {
					var packet pion.Packet
					require.NoError(t, packet.Unmarshal(datagram))
					for _, data := range decode(&packet) {
						got = append(got, data...)
					}
				}
				require.Equal(t, f.Data, got)
			}
		})
	}
}

// What gortsplib sends, in its own fragments and with several frames in a
// packet, we read.
func TestAudioFromGortsplib(t *testing.T) {
	for name, w := range witnesses() {
		t.Run(name, func(t *testing.T) {
			w.most = 1 << 16
			if name == "Opus" {
				w.most = 1000
			}
			p, ok := rtp.Describe(w.track, 97)
			require.True(t, ok)
			tr, err := p.Track(1)
			require.NoError(t, err)
			d, err := rtp.NewDepacketizer(&p, tr)
			require.NoError(t, err)
			frames := w.frames(12)
			var data [][]byte
			var want, got []byte
			for _, f := range frames {
				data, want = append(data, f.Data), append(want, f.Data...)
			}
			var units []rtp.Unit
			for _, packet := range w.encode(t, data) {
				if p.Encoding == "MPA" { // it counts samples
					packet.Timestamp = uint32(int64(packet.Timestamp) * int64(p.ClockRate) / int64(w.track.SampleRate))
				}
				units, err = d.Append(units, &rtp.Packet{Timestamp: packet.Timestamp, Marker: packet.Marker, Payload: packet.Payload}, false)
				require.NoError(t, err)
			}
			for _, u := range units {
				got = append(got, u.Data...)
			}
			require.Equal(t, want, got)
			switch name {
			case "AAC", "MP3", "MP2":
				require.Len(t, units, len(frames))
				for i, f := range frames {
					at := codec.Ticks(f.PTS, p.ClockRate)
					require.InDelta(t, at, int64(units[i].Timestamp)+int64(units[i].Skip), 1)
				}
			}
		})
	}
}

// LATM by gortsplib and mediacommon, with and without its configuration in band.
func TestLATMFromGortsplib(t *testing.T) {
	for _, inBand := range []bool{false, true} {
		config := &mpeg4audio.StreamMuxConfig{
			NumSubFrames: 1,
			Programs: []*mpeg4audio.StreamMuxConfigProgram{{Layers: []*mpeg4audio.StreamMuxConfigLayer{{
				AudioSpecificConfig: &mpeg4audio.AudioSpecificConfig{Type: 2, SampleRate: 48000, ChannelConfig: 2},
				LatmBufferFullness:  255,
			}}}},
		}
		c := unpackCase{rtpmap: "MP4A-LATM/90000", fmtp: "cpresent=1"}
		if !inBand {
			enc, err := config.Marshal()
			require.NoError(t, err)
			c.rtpmap, c.fmtp = "MP4A-LATM/48000/2", "cpresent=0; config="+hex.EncodeToString(enc)
		}
		d, _ := c.depacketizer(t)
		e := &rtpfragmented.Encoder{PayloadType: 97}
		require.NoError(t, e.Init())
		for i := range 20 {
			want := [][]byte{bytes.Repeat([]byte{byte(i)}, 1+150*i), bytes.Repeat([]byte{byte(i), 1}, 200)}
			element, err := mpeg4audio.AudioMuxElement{
				MuxConfigPresent: inBand,
				StreamMuxConfig:  config,
				UseSameStreamMux: i%3 != 0,
				Payloads:         [][][][]byte{{{want[0]}}, {{want[1]}}},
			}.Marshal()
			require.NoError(t, err)
			packets, err := e.Encode(element)
			require.NoError(t, err)
			var units []rtp.Unit
			for _, p := range packets {
				units, err = d.Append(units, &rtp.Packet{Timestamp: uint32(i), Marker: p.Marker, Payload: p.Payload}, false)
				require.NoError(t, err)
			}
			require.Len(t, units, 2)
			require.Equal(t, want, [][]byte{units[0].Data, units[1].Data})
			require.Equal(t, 48000, units[1].Track.SampleRate)
			require.Equal(t, int(1024*int64(units[1].Track.ClockRate)/48000), units[1].Skip)
		}
	}
}
