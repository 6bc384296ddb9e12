package rtp_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
)

// A packetIn is a packet that an unpacker is given.
type packetIn struct {
	time    uint32
	flags   string // m: marker, l: packets before it are lost, x: it is refused, e: what it ends is refused
	payload []byte
}

// A unitOut is a unit that is expected.
type unitOut struct {
	time uint32
	skip int
	data []byte
}

// An unpackCase feeds the test and the fuzz target of an unpacker.
type unpackCase struct {
	name         string
	rtpmap, fmtp string
	in           []packetIn
	out          []unitOut
}

func (c *unpackCase) depacketizer(t testing.TB) (rtp.Depacketizer, *codec.Track) {
	p := payload(97, codec.KindAudio, c.rtpmap, c.fmtp)
	tr, err := p.Track(1)
	require.NoError(t, err)
	d, err := rtp.NewDepacketizer(p, tr)
	require.NoError(t, err)
	return d, tr
}

func (c *unpackCase) run(t *testing.T) []rtp.Unit {
	d, _ := c.depacketizer(t)
	var units []rtp.Unit
	for i, in := range c.in {
		before := len(units)
		var err error
		units, err = d.Append(units, &rtp.Packet{
			Timestamp: in.time, Marker: strings.Contains(in.flags, "m"), Payload: in.payload,
		}, strings.Contains(in.flags, "l"))
		switch {
		case strings.Contains(in.flags, "e"):
			require.ErrorIs(t, err, rtp.ErrInvalid, "packet %d", i)
		case strings.Contains(in.flags, "x"):
			require.ErrorIs(t, err, rtp.ErrInvalid, "packet %d", i)
			require.Len(t, units, before)
		default:
			require.NoError(t, err, "packet %d", i)
		}
	}
	got := make([]unitOut, len(units))
	for i, u := range units {
		got[i] = unitOut{u.Timestamp, u.Skip, u.Data}
		require.Equal(t, codec.FlagKey, u.Flags&^codec.FlagMarker)
	}
	require.Equal(t, append([]unitOut{}, c.out...), got)
	return units
}

// fuzzUnpacker feeds an unpacker with what the cases have, and worse. The
// packets are parts of b: a byte of flags, two of length, the payload.
func fuzzUnpacker(f *testing.F, cases []unpackCase) {
	for i, c := range cases {
		var b []byte
		for j, in := range c.in {
			flags := byte(0)
			for k, flag := range "ml" {
				if strings.ContainsRune(in.flags, flag) {
					flags |= 1 << k
				}
			}
			if j > 0 && in.time != c.in[j-1].time {
				flags |= 4
			}
			b = append(b, flags, byte(len(in.payload)>>8), byte(len(in.payload)))
			b = append(b, in.payload...)
		}
		f.Add(uint8(i), b)
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		d, tr := cases[int(which)%len(cases)].depacketizer(t)
		size, came, time := 0, 0, uint32(0)
		for len(b) >= 3 {
			flags, n := b[0], min(int(b[1])<<8|int(b[2]), len(b)-3)
			if flags&4 != 0 {
				time += 1024
			}
			came += n
			units, err := d.Append(nil, &rtp.Packet{Timestamp: time, Marker: flags&1 != 0, Payload: bytes.Clone(b[3 : 3+n])}, flags&2 != 0)
			if err != nil {
				require.ErrorIs(t, err, rtp.ErrInvalid)
			}
			for _, u := range units {
				require.NotEmpty(t, u.Data)
				require.Equal(t, tr.ID, u.Track.ID)
				require.Equal(t, tr.ClockRate, u.Track.ClockRate)
				require.GreaterOrEqual(t, u.Skip, 0)
				require.True(t, u.Track.Ready())
				size += len(u.Data)
			}
			b = b[3+n:]
		}
		require.LessOrEqual(t, size, came)
	})
}
