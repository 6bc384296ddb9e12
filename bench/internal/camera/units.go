package camera

import (
	"encoding/binary"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/ps"
)

// A unit is what a camera sends at once: a picture and the audio before it.
type unit struct {
	packets [][]byte
	burst   udp.Burst // of the packets
	frames  int
}

// address has the unit be of another camera.
func (u *unit) address(ssrc uint32) {
	for _, p := range u.packets {
		binary.BigEndian.PutUint32(p[8:], ssrc)
	}
}

// units makes them, one after the other, and keeps some.
type units struct {
	stream media.Stream
	tracks []*codec.Track // video, audio
	muxer  *ps.Muxer
	sender rtptest.Sender
	kept   []unit
	made   int
}

// newUnits keeps so many units.
func newUnits(keep int) (*units, error) {
	tracks, err := media.Tracks()
	if err != nil {
		return nil, err
	}
	return &units{
		tracks: tracks, muxer: ps.NewMuxer(tracks), kept: make([]unit, keep),
		sender: rtptest.Sender{PayloadType: 96},
	}, nil
}

// get returns unit n, which must be one of those that are kept, or the next.
func (s *units) get(n int) (*unit, error) {
	u := &s.kept[n%len(s.kept)]
	if n < s.made {
		return u, nil
	}
	s.made++
	u.packets, u.frames = u.packets[:0], 0
	u.burst.Reset()
	for {
		p := s.stream.Next()
		f := &codec.Frame{Track: s.tracks[1], DTS: p.DTS, PTS: p.DTS, Data: p.Sample(), Flags: codec.FlagKey}
		if p.Type == media.TagVideo {
			f.Track, f.Flags = s.tracks[0], 0
			if p.Key {
				f.Flags = codec.FlagKey
			}
		}
		pack, err := s.muxer.Append(nil, f)
		if err != nil {
			return nil, err
		}
		const rate = 90_000
		packets := s.sender.Packets(rtptest.Unit{Timestamp: uint32(p.DTS * rate / time.Second), Data: pack})
		u.packets = append(u.packets, packets...)
		u.frames++
		if p.Type == media.TagVideo {
			break
		}
	}
	for _, p := range u.packets {
		u.burst.Add(p)
	}
	return u, nil
}
