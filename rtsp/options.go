package rtsp

import "github.com/mediakit-go/mediakit/rtsp/internal/wire"

// public are the methods of the server.
const public = "OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY, PAUSE, ANNOUNCE, RECORD, SET_PARAMETER, GET_PARAMETER"

// options answers OPTIONS (RFC 2326, 10.1).
func (c *conn) options(r *wire.Request) error {
	c.reply(r, optionsReply())
	return nil
}

func optionsReply() *reply { return &reply{status: 200, header: fields("Public", public)} }
