package wire

import (
	"fmt"
	"net"
	"strings"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
)

// PublishRTSP begins to publish a stream by TCP. What the packetizers, one for
// each track, make is to be written to conn as it is.
func PublishRTSP(conn net.Conn, path string, tracks []*codec.Track) ([]*rtp.Packetizer, error) {
	var sdp strings.Builder
	sdp.WriteString("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=bench\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n")
	var packetizers []*rtp.Packetizer
	for i, t := range tracks {
		p, ok := rtp.Describe(t, uint8(96+i))
		if !ok {
			return nil, fmt.Errorf("wire: ANNOUNCE: RTP cannot carry %v", t)
		}
		packetizer, err := rtp.NewPacketizer(t, rtp.PacketizerOptions{
			PayloadType: p.Type,
			SSRC:        uint32(i + 1),
			Channel:     uint8(2 * i),
			CNAME:       "bench",
		})
		if err != nil {
			return nil, fmt.Errorf("wire: ANNOUNCE: %w", err)
		}
		packetizers = append(packetizers, packetizer)
		appendSection(&sdp, i, p)
	}
	c := newRTSPClient(conn, path)
	if _, err := c.do("ANNOUNCE", c.url, "", sdp.String()); err != nil {
		return nil, err
	}
	for i := range tracks {
		const transport = "Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d;mode=record\r\n"
		if _, err := c.do("SETUP", fmt.Sprintf("%s/trackID=%d", c.url, i), fmt.Sprintf(transport, 2*i, 2*i+1), ""); err != nil {
			return nil, err
		}
	}
	_, err := c.do("RECORD", c.url, "Range: npt=0.000-\r\n", "")
	return packetizers, err
}

// appendSection appends the section of track i.
func appendSection(sdp *strings.Builder, i int, p rtp.Payload) {
	fmt.Fprintf(sdp, "m=%v 0 RTP/AVP %d\r\na=rtpmap:%d %s/%d", p.Kind, p.Type, p.Type, p.Encoding, p.ClockRate)
	if p.Channels > 1 {
		fmt.Fprintf(sdp, "/%d", p.Channels)
	}
	sdp.WriteString("\r\n")
	if s := p.FMTP(); s != "" {
		fmt.Fprintf(sdp, "a=fmtp:%d %s\r\n", p.Type, s)
	}
	fmt.Fprintf(sdp, "a=control:trackID=%d\r\n", i)
}
