package rtmp

import "github.com/mediakit-go/mediakit/rtmp/internal/wire"

// Bounds for the window that a peer may ask us to acknowledge, in bytes.
const (
	minWindow = 32 << 10
	maxWindow = 1280 << 10
)

// A peer answers what the other side of a connection wants of the connection
// itself: acknowledgements and pings. The zero value is ready for use.
type peer struct {
	window uint32 // 0 means maxWindow
	acked  uint64 // bytes acknowledged
}

// control takes in a message of the connection itself and appends the answer to
// dst, if it gets one. Other messages are left alone.
func (p *peer) control(dst []byte, m *wire.Message) ([]byte, error) {
	switch m.Type {
	case wire.TypeWindowAckSize:
		var w wire.WindowAckSize
		if _, err := w.Unmarshal(m.Body); err != nil {
			return dst, err
		}
		p.window = max(minWindow, min(w.Size, maxWindow))
	case wire.TypeSetPeerBandwidth:
		var b wire.SetPeerBandwidth
		_, err := b.Unmarshal(m.Body)
		return dst, err // what we send is bounded by what the socket takes
	case wire.TypeAcknowledgement:
		var a wire.Acknowledgement
		_, err := a.Unmarshal(m.Body)
		return dst, err
	case wire.TypeUserControl:
		var u wire.UserControl
		if _, err := u.Unmarshal(m.Body); err != nil {
			return dst, err
		}
		if u.Event == wire.EventPingRequest {
			u.Event = wire.EventPingResponse
			dst = wire.AppendControl(dst, wire.DefaultChunkSize, u)
		}
	}
	return dst, nil
}

// acknowledge appends an acknowledgement to dst if one is due after so many
// bytes were received.
func (p *peer) acknowledge(dst []byte, received uint64) []byte {
	window := p.window
	if window == 0 {
		window = maxWindow
	}
	if received-p.acked < uint64(window) {
		return dst
	}
	p.acked = received
	return wire.AppendControl(dst, wire.DefaultChunkSize, wire.Acknowledgement{Sequence: uint32(received)})
}
