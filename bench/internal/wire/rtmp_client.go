package wire

import (
	"fmt"
	"io"
	"net"

	"github.com/mediakit-go/mediakit/internal/amf"
)

// rtmpClient is the state of an RTMP connection until the stream flows.
type rtmpClient struct {
	conn    net.Conn
	scanner *RTMPScanner
	onMedia func(Message)
	answers []answer // commands that came and were not looked at yet
}

// answer is a command of the server.
type answer struct {
	name        string
	transaction float64
	args        []any // after the transaction
}

// PlayRTMP asks for a stream. The scanner it returns goes on with the bytes
// that come after the play command was sent.
func PlayRTMP(conn net.Conn, app, stream string, onMessage func(Message)) (Scanner, error) {
	c, id, err := connectRTMP(conn, app, onMessage)
	if err != nil {
		return nil, err
	}
	b := appendCommand(nil, uint32(id), "play", 4, nil, stream, -2000.0)
	if _, err := conn.Write(b); err != nil {
		return nil, fmt.Errorf("wire: play: %w", err)
	}
	return c.scanner, nil
}

// PublishRTMP begins to publish a stream. Messages go to message stream id.
func PublishRTMP(conn net.Conn, app, stream string) (id uint32, err error) {
	c, n, err := connectRTMP(conn, app, func(Message) {})
	if err != nil {
		return 0, err
	}
	if _, err := conn.Write(appendCommand(nil, uint32(n), "publish", 5, nil, stream, "live")); err != nil {
		return 0, fmt.Errorf("wire: publish: %w", err)
	}
	for {
		a, err := c.answer()
		if err != nil {
			return 0, err
		}
		if a.name != "onStatus" {
			continue
		}
		if code := fmt.Sprint(amf.Get(a.last(), "code")); code != "NetStream.Publish.Start" {
			return 0, fmt.Errorf("wire: publish: %s", code)
		}
		return uint32(n), nil
	}
}

// connectRTMP does the handshake, connect and createStream, and returns the
// message stream.
func connectRTMP(conn net.Conn, app string, onMessage func(Message)) (*rtmpClient, int, error) {
	c := &rtmpClient{conn: conn, onMedia: onMessage}
	c.scanner = NewRTMPScanner(c.message)
	if err := c.handshake(); err != nil {
		return nil, 0, fmt.Errorf("wire: handshake: %w", err)
	}
	b := AppendMessage(nil, 2, 1, 0, 0, []byte{0, 0, ChunkSize >> 8, ChunkSize & 0xff}, 128)
	b = appendCommand(b, 0, "connect", 1, amf.Object{
		{Name: "app", Value: app},
		{Name: "type", Value: "nonprivate"},
		{Name: "tcUrl", Value: "rtmp://" + conn.RemoteAddr().String() + "/" + app},
	})
	if _, err := conn.Write(b); err != nil {
		return nil, 0, fmt.Errorf("wire: connect: %w", err)
	}
	if _, err := c.result(1); err != nil {
		return nil, 0, fmt.Errorf("wire: connect: %w", err)
	}
	if _, err := conn.Write(appendCommand(nil, 0, "createStream", 2, nil)); err != nil {
		return nil, 0, fmt.Errorf("wire: createStream: %w", err)
	}
	a, err := c.result(2)
	if err != nil {
		return nil, 0, fmt.Errorf("wire: createStream: %w", err)
	}
	id, _ := amf.Number(a.last())
	return c, int(id), nil
}

// handshake does the simple handshake (RTMP 1.0, section 5.2).
func (c *rtmpClient) handshake() error {
	const size = 1536
	c0c1 := make([]byte, 1+size)
	c0c1[0] = 3
	if _, err := c.conn.Write(c0c1); err != nil {
		return err
	}
	s := make([]byte, 1+2*size)
	if _, err := io.ReadFull(c.conn, s); err != nil {
		return err
	}
	_, err := c.conn.Write(s[1 : 1+size])
	return err
}

// appendCommand appends a command message.
func appendCommand(b []byte, stream uint32, name string, transaction float64, args ...any) []byte {
	body := amf.Append(nil, name)
	body = amf.Append(body, transaction)
	for _, a := range args {
		body = amf.Append(body, a)
	}
	return AppendMessage(b, 3, 20, stream, 0, body, ChunkSize)
}

// message takes what the scanner finds.
func (c *rtmpClient) message(m Message) {
	if m.Type != 20 {
		c.onMedia(m)
		return
	}
	values, err := amf.Unmarshal(m.Head)
	if err != nil || len(values) < 2 {
		return // longer than a head, or nothing the benchmark asked for
	}
	name, _ := amf.String(values[0])
	n, _ := amf.Number(values[1])
	c.answers = append(c.answers, answer{name, n, values[2:]})
}

// result waits for the answer to a command.
func (c *rtmpClient) result(transaction float64) (answer, error) {
	for {
		a, err := c.answer()
		switch {
		case err != nil:
			return a, err
		case a.transaction != transaction:
		case a.name == "_result":
			return a, nil
		case a.name == "_error":
			return a, fmt.Errorf("wire: refused: %v", a.last())
		}
	}
}

// answer waits for the next command of the server.
func (c *rtmpClient) answer() (answer, error) {
	buf := make([]byte, 4096)
	for len(c.answers) == 0 {
		n, err := c.conn.Read(buf)
		if err == nil {
			err = c.scanner.Scan(buf[:n])
		}
		if err != nil {
			return answer{}, err
		}
	}
	a := c.answers[0]
	c.answers = c.answers[1:]
	return a, nil
}

// last returns the last argument, or nil.
func (a answer) last() any {
	if len(a.args) == 0 {
		return nil
	}
	return a.args[len(a.args)-1]
}
