package rtmp

import (
	"fmt"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
)

// What we announce in answer to connect, in bytes.
const (
	ackWindow     = 5_000_000
	peerBandwidth = 5_000_000
)

// maxStreams is how often a peer may ask for a message stream. It gets the same
// one each time.
const maxStreams = 16

// command does what the peer calls (RTMP 1.0, section 7.2). Commands that need
// no answer are among those that nobody knows.
func (c *conn) command(cmd *wire.Command) error {
	switch cmd.Name {
	case "connect":
		return c.connect(cmd)
	case "createStream":
		return c.createStream(cmd)
	case "publish":
		return c.publish(cmd.StringArg(0))
	case "play":
		return c.wantPlay(cmd.StringArg(0))
	case "play2":
		name, _ := amf.String(amf.Get(cmd.Arg(0), "streamName"))
		return c.wantPlay(name)
	case "FCUnpublish", "closeStream":
		if c.pub != nil {
			c.unpublish()
		} else if c.asking != nil {
			return errLeft
		}
	case "deleteStream":
		if c.pub != nil {
			c.unpublish()
		}
		c.out = appendStatus(c.out, c.size, levelStatus, codeUnpublishSuccess, "Stream deleted.")
		return errLeft
	}
	return nil
}

// connect answers the first command (RTMP 1.0, section 7.2.1.1).
func (c *conn) connect(cmd *wire.Command) error {
	if c.connected {
		return fmt.Errorf("%w: second connect", ErrProtocol)
	}
	c.connected = true
	c.target.app, _ = amf.String(amf.Get(cmd.Object, "app"))
	c.target.tcURL, _ = amf.String(amf.Get(cmd.Object, "tcUrl"))
	c.form = c.srv.Form
	if announcesFourCC(cmd.Object) {
		c.form = flv.FormStandard
	}
	encoding, _ := amf.Number(amf.Get(cmd.Object, "objectEncoding"))

	c.out = wire.AppendControl(c.out, c.size, wire.SetChunkSize{Size: chunkSize})
	c.size = chunkSize
	c.out = wire.AppendControl(c.out, c.size, wire.WindowAckSize{Size: ackWindow})
	c.out = wire.AppendControl(c.out, c.size, wire.SetPeerBandwidth{Window: peerBandwidth, Limit: wire.LimitDynamic})
	c.out = wire.AppendCommand(c.out, 0, c.size, wire.Command{
		Name: "_result",
		ID:   cmd.ID,
		Object: amf.Object{
			{Name: "fmsVer", Value: "FMS/3,0,1,123"},
			{Name: "capabilities", Value: 31.0},
		},
		Args: []any{amf.Object{
			{Name: "level", Value: levelStatus},
			{Name: "code", Value: codeConnectSuccess},
			{Name: "description", Value: "Connection succeeded."},
			{Name: "objectEncoding", Value: encoding},
		}},
	})
	c.out = wire.AppendCommand(c.out, 0, c.size, wire.Command{Name: "onBWDone"})
	return nil
}

// announcesFourCC reports whether the peer knows Enhanced RTMP: v1 has a list
// of FourCCs, v2 maps besides.
func announcesFourCC(connect any) bool {
	if l, ok := amf.Get(connect, "fourCcList").([]any); ok && len(l) > 0 {
		return true
	}
	for _, name := range []string{"videoFourCcInfoMap", "audioFourCcInfoMap"} {
		if o, ok := amf.ObjectOf(amf.Get(connect, name)); ok && len(o) > 0 {
			return true
		}
	}
	return false
}

// createStream answers that command (RTMP 1.0, section 7.2.1.3).
func (c *conn) createStream(cmd *wire.Command) error {
	if c.streams++; c.streams > maxStreams {
		return fmt.Errorf("%w: createStream called more than %d times", ErrProtocol, maxStreams)
	}
	c.out = wire.AppendCommand(c.out, 0, c.size, wire.Command{Name: "_result", ID: cmd.ID, Args: []any{float64(streamID)}})
	return nil
}
