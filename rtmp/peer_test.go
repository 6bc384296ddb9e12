package rtmp

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
)

func TestPeerControl(t *testing.T) {
	for _, c := range []struct {
		name string
		m    wire.Message
		want []byte
		bad  bool
	}{
		{"ping", wire.Message{Type: wire.TypeUserControl, Body: []byte("\x00\x06abcd")},
			wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingResponse, Value: 0x61626364}), false},
		{"buffer length", wire.Message{Type: wire.TypeUserControl, Body: []byte("\x00\x03\x00\x00\x00\x01\x00\x00\x0b\xb8")}, nil, false},
		{"acknowledgement", wire.Message{Type: wire.TypeAcknowledgement, Body: []byte("abcd")}, nil, false},
		{"bandwidth", wire.Message{Type: wire.TypeSetPeerBandwidth, Body: []byte("abcd\x02")}, nil, false},
		{"audio", wire.Message{Type: wire.TypeAudio}, nil, false},
		{"short ping", wire.Message{Type: wire.TypeUserControl, Body: []byte("\x00\x06abc")}, nil, true},
		{"short acknowledgement", wire.Message{Type: wire.TypeAcknowledgement, Body: []byte("abc")}, nil, true},
		{"short bandwidth", wire.Message{Type: wire.TypeSetPeerBandwidth, Body: []byte("abc")}, nil, true},
		{"short window", wire.Message{Type: wire.TypeWindowAckSize}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := new(peer).control(nil, &c.m)
			if c.bad {
				require.ErrorIs(t, err, ErrProtocol)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, out)
		})
	}
}

func TestPeerWindow(t *testing.T) {
	for size, want := range map[uint32]uint64{0: minWindow, 1: minWindow, 100_000: 100_000, 5_000_000: maxWindow, 1<<32 - 1: maxWindow} {
		var p peer
		_, err := p.control(nil, &wire.Message{Type: wire.TypeWindowAckSize, Body: wire.WindowAckSize{Size: size}.Append(nil)})
		require.NoError(t, err)
		require.Empty(t, p.acknowledge(nil, want-1))
		require.Equal(t, wire.AppendControl(nil, 128, wire.Acknowledgement{Sequence: uint32(want)}), p.acknowledge(nil, want))
		require.Empty(t, p.acknowledge(nil, 2*want-1))
		require.NotEmpty(t, p.acknowledge(nil, 2*want))
	}
	require.Empty(t, new(peer).acknowledge(nil, maxWindow-1))
	require.Equal(t, wire.AppendControl(nil, 128, wire.Acknowledgement{Sequence: 5}), new(peer).acknowledge(nil, 1<<32+5))
}
