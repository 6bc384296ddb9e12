package rtp

import (
	"encoding/hex"
	"testing"

	pion "github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

var packetCases = []struct {
	name string
	wire string // hexadecimal
	want Packet // if it is valid
}{
	{"plain", "80e0 1234 01020304 0a0b0c0d 5566", Packet{PayloadType: 96, Marker: true, Sequence: 0x1234, Timestamp: 0x01020304, SSRC: 0x0a0b0c0d, Payload: []byte{0x55, 0x66}}},
	{"no payload", "8000 ffff ffffffff ffffffff", Packet{Sequence: 0xffff, Timestamp: 0xffffffff, SSRC: 0xffffffff, Payload: []byte{}}},
	{"CSRCs", "827f 0001 00000002 00000003 11111111 22222222 55", Packet{PayloadType: 127, Sequence: 1, Timestamp: 2, SSRC: 3, Payload: []byte{0x55}}},
	{"extension", "9000 0001 00000002 00000003 bede 0001 10aa0000 55", Packet{Sequence: 1, Timestamp: 2, SSRC: 3, Payload: []byte{0x55}}},
	{"empty extension", "9000 0001 00000002 00000003 abac 0000 55", Packet{Sequence: 1, Timestamp: 2, SSRC: 3, Payload: []byte{0x55}}},
	{"padding", "a000 0001 00000002 00000003 55 000003", Packet{Sequence: 1, Timestamp: 2, SSRC: 3, Payload: []byte{0x55}}},
	{"padding only", "a000 0001 00000002 00000003 00000004", Packet{Sequence: 1, Timestamp: 2, SSRC: 3, Payload: []byte{}}},
	{"all of it", "b100 0001 00000002 00000003 11111111 bede 0001 10aa0000 55 02 02", Packet{Sequence: 1, Timestamp: 2, SSRC: 3, Payload: []byte{0x55}}},

	{"nothing", "", Packet{}},
	{"header cut", "8000 0001 00000002 000000", Packet{}},
	{"version 1", "4000 0001 00000002 00000003 55", Packet{}},
	{"CSRC cut", "8200 0001 00000002 00000003 11111111 222222", Packet{}},
	{"15 CSRCs that are not there", "8f00 0001 00000002 00000003", Packet{}},
	{"extension header cut", "9000 0001 00000002 00000003 bede00", Packet{}},
	{"extension cut", "9000 0001 00000002 00000003 bede 0002 10aa0000 55", Packet{}},
	{"extension of 256 KB", "9000 0001 00000002 00000003 bede ffff 10aa0000", Packet{}},
	{"padding of 0", "a000 0001 00000002 00000003 55 00", Packet{}},
	{"padding longer than the payload", "a000 0001 00000002 00000003 55 03", Packet{}},
	{"padding into the extension", "b000 0001 00000002 00000003 bede 0001 000000 05", Packet{}},
	{"padding without payload", "a000 0001 00000002 00000003", Packet{}},
}

func TestPacketUnmarshal(t *testing.T) {
	for _, c := range packetCases {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(c.wire)
			var p Packet
			err := p.Unmarshal(b)
			if c.want.Payload == nil {
				require.ErrorIs(t, err, ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, p)
			require.Equal(t, len(p.Payload), cap(p.Payload), "what follows the payload can be overwritten")
			if len(p.Payload) > 0 {
				p.Payload[0]++
				require.NotEqual(t, hex.EncodeToString(unhex(c.wire)), hex.EncodeToString(b), "the payload is a copy")
			}
		})
	}
}

// Where another implementation reads a packet, so does this one, and alike;
// that one looks into extensions as well, and refuses some of them.
func FuzzPacketUnmarshal(f *testing.F) {
	for _, c := range packetCases {
		f.Add(unhex(c.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		var q pion.Packet
		err := p.Unmarshal(b)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
		}
		if q.Unmarshal(b) != nil {
			return
		}
		if q.Version != 2 { // not looked at there
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, q.PayloadType, p.PayloadType)
		require.Equal(t, q.Marker, p.Marker)
		require.Equal(t, q.SequenceNumber, p.Sequence)
		require.Equal(t, q.Timestamp, p.Timestamp)
		require.Equal(t, q.SSRC, p.SSRC)
		require.Equal(t, string(q.Payload), string(p.Payload))
	})
}

// The headers that are written are those others read.
func TestPacketWriter(t *testing.T) {
	w := packetWriter{b: []byte("before"), maxSize: 100, sequence: 0xffff, timestamp: 0x01020304, ssrc: 0x0a0b0c0d, payloadType: 96, channel: 6}
	w.packet(3, true)
	w.b = append(w.b, "abc"...)
	w.begin()
	w.b = append(w.b, "defg"...)
	w.end(false)
	require.EqualValues(t, 1, w.sequence)
	require.Equal(t, 2, w.packets)
	require.Equal(t, 7, w.octets)
	require.Equal(t, "before$\x06\x00\x0f", string(w.b[:10]))
	n := 0
	for channel, b := range Datagrams(w.b[6:]) {
		require.EqualValues(t, 6, channel)
		var p pion.Packet
		require.NoError(t, p.Unmarshal(b))
		require.Equal(t, pion.Header{
			Version: 2, Marker: n == 0, PayloadType: 96, SequenceNumber: uint16(0xffff + n), Timestamp: 0x01020304, SSRC: 0x0a0b0c0d,
		}, p.Header)
		require.Equal(t, []string{"abc", "defg"}[n], string(p.Payload))
		n++
	}
	require.Equal(t, 2, n)
}

func BenchmarkPacketUnmarshal(b *testing.B) {
	wire := append(unhex("80e0 1234 01020304 0a0b0c0d"), make([]byte, 1388)...)
	b.ReportAllocs()
	var p Packet
	for b.Loop() {
		if err := p.Unmarshal(wire); err != nil {
			b.Fatal(err)
		}
	}
}
