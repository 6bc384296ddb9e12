package rtp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// A videoCase is packets and the units they make.
//
// A packet is written as "12ML 65 88": its timestamp, M for the marker, L for
// missing packets before it, the payload. After ! it is refused. A unit is
// written alike, with K for key, C for corrupt, D for disposable and T for a
// track other than that of the unit before; | between NAL units.
type videoCase struct {
	name    string
	packets []string
	units   []string
	params  []Parameter
}

// setNames returns what names stand for in cases: the parameter sets of
// videoTracks, such as SPS1, with h in front those of H.265; Sps1 has no
// header.
func setNames() *strings.Replacer {
	var names []string
	for i, n := range []string{"1", "2"} {
		avc := videoTracks(codec.H264)[i].ParameterSets()
		hevc := videoTracks(codec.H265)[i].ParameterSets()
		for _, x := range []struct {
			name string
			set  []byte
		}{
			{"hVPS", hevc[0]}, {"hSPS", hevc[1]}, {"hPPS", hevc[2]}, {"SPS", avc[0]}, {"PPS", avc[1]}, {"Sps", avc[0][1:]},
			{"SEQ", videoTracks(codec.AV1)[i].Config[4:]}, {"Seq", unsized(videoTracks(codec.AV1)[i].Config[4:])},
		} {
			names = append(names, x.name+n, hex.EncodeToString(x.set))
		}
	}
	return strings.NewReplacer(append(names, " ", "")...)
}

// unsized returns an OBU of less than 128 bytes without its size.
func unsized(o []byte) []byte { return append([]byte{o[0] &^ obuSized}, o[2:]...) }

// unhex reads hexadecimal digits with names. What is in brackets comes after its
// length, in two bytes for [] and in LEB128 for ().
func unhex(s string) []byte {
	s = setNames().Replace(s)
	var b []byte
	for len(s) > 0 {
		var part string
		bracket := s[0]
		switch bracket {
		case '[':
			part, s, _ = strings.Cut(s[1:], "]")
		case '(':
			part, s, _ = strings.Cut(s[1:], ")")
		default:
			n := strings.IndexAny(s+"[", "[(")
			part, s = s[:n], s[n:]
		}
		raw, err := hex.DecodeString(part)
		if err != nil {
			panic(fmt.Sprintf("%q: %v", part, err))
		}
		switch bracket {
		case '[':
			b = binary.BigEndian.AppendUint16(b, uint16(len(raw)))
		case '(':
			b = binary.AppendUvarint(b, uint64(len(raw)))
		}
		b = append(b, raw...)
	}
	return b
}

// cutHeader reads "12ML 6588".
func cutHeader(s string) (timestamp uint32, flags, rest string) {
	head, rest, _ := strings.Cut(s, " ")
	digits := strings.TrimRight(head, "KCDTML")
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n), head[len(digits):], rest
}

func (c *videoCase) packet(i int) (p Packet, lost, refused bool) {
	s, refused := strings.CutPrefix(c.packets[i], "!")
	timestamp, flags, payload := cutHeader(s)
	p = Packet{Timestamp: timestamp, Marker: strings.Contains(flags, "M"), Sequence: uint16(i), Payload: unhex(payload)}
	return p, strings.Contains(flags, "L"), refused
}

// format writes a unit as cases do.
func format(u *Unit, before *codec.Track) string {
	flags := ""
	for _, f := range []struct {
		set  bool
		name string
	}{
		{u.Flags&codec.FlagKey != 0, "K"}, {u.Flags&codec.FlagCorrupt != 0, "C"},
		{u.Flags&codec.FlagDisposable != 0, "D"}, {u.Track != before, "T"},
	} {
		if f.set {
			flags += f.name
		}
	}
	data := hex.EncodeToString(u.Data)
	if u.Track.Codec == codec.H264 || u.Track.Codec == codec.H265 {
		var nalus []string
		for nalu := range codec.NALUs(u.Data) {
			nalus = append(nalus, hex.EncodeToString(nalu))
		}
		data = strings.Join(nalus, "|")
	}
	return fmt.Sprintf("%d%s %s", u.Timestamp, flags, data)
}

// testUnpack runs cases on a track with the first of videoTracks' parameters.
func testUnpack(t *testing.T, c codec.Codec, cases []videoCase) {
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			d, track := newTestDepacketizer(t, c, x.params)
			var got []string
			for i := range x.packets {
				p, lost, refused := x.packet(i)
				units, err := d.Append(nil, &p, lost)
				if refused {
					require.ErrorIs(t, err, ErrInvalid, x.packets[i])
				} else {
					require.NoError(t, err, x.packets[i])
				}
				for _, u := range units {
					got = append(got, format(&u, track))
					track = u.Track
				}
			}
			want := []string{}
			for _, u := range x.units {
				head, data, _ := strings.Cut(u, " ")
				want = append(want, head+" "+setNames().Replace(data))
			}
			require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
		})
	}
}

func newTestDepacketizer(t testing.TB, c codec.Codec, params []Parameter) (Depacketizer, *codec.Track) {
	p, ok := Describe(videoTracks(c)[0], 96)
	require.True(t, ok)
	p.Params = append(p.Params, params...)
	track, err := p.Track(1)
	require.NoError(t, err)
	d, err := NewDepacketizer(&p, track)
	require.NoError(t, err)
	return d, track
}

// fuzzUnpack feeds a Depacketizer with packets, which begin with the packets of
// the cases: 1 byte for marker and loss, 1 byte for how much later it is than
// the one before, 2 bytes for the length of the payload.
func fuzzUnpack(f *testing.F, c codec.Codec, cases []videoCase) {
	for _, x := range cases {
		seed := []byte{byte(len(x.params))}
		last := uint32(0)
		for i := range x.packets {
			p, lost, _ := x.packet(i)
			var flags byte
			if p.Marker {
				flags |= 1
			}
			if lost {
				flags |= 2
			}
			seed = append(seed, flags, byte(p.Timestamp-last))
			last = p.Timestamp
			seed = binary.BigEndian.AppendUint16(seed, uint16(len(p.Payload)))
			seed = append(seed, p.Payload...)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		var params []Parameter
		if b[0] > 0 {
			params = []Parameter{{"sprop-max-don-diff", "1"}}
		}
		d, _ := newTestDepacketizer(t, c, params)
		p := Packet{}
		damaged := false
		for b = b[1:]; len(b) >= 4; {
			lost := b[0]&2 != 0
			p.Marker, p.Timestamp, p.Sequence = b[0]&1 != 0, p.Timestamp+uint32(b[1]), p.Sequence+1
			n := min(int(binary.BigEndian.Uint16(b[2:])), len(b)-4)
			p.Payload = append([]byte(nil), b[4:4+n]...)
			b = b[4+n:]
			units, err := d.Append(nil, &p, lost)
			if err != nil {
				require.ErrorIs(t, err, ErrInvalid)
			}
			damaged = damaged || lost
			for _, u := range units {
				checkUnit(t, &u)
				if u.Flags&codec.FlagKey == 0 && damaged {
					require.NotZero(t, u.Flags&codec.FlagCorrupt)
				}
				damaged = damaged && (u.Flags&codec.FlagKey == 0 || u.Flags&codec.FlagCorrupt != 0)
			}
		}
	})
}

// checkUnit checks what every unit has: canonical data that its track describes.
func checkUnit(t *testing.T, u *Unit) {
	require.NotEmpty(t, u.Data)
	require.Equal(t, 1, u.Track.ID)
	track, data, key, err := codec.ParseFrame(u.Track, u.Data)
	require.NoError(t, err)
	require.Same(t, u.Track, track)
	require.Same(t, &u.Data[0], &data[0])
	require.Equal(t, key, u.Flags&codec.FlagKey != 0)
}
