package rtmp

import (
	"errors"

	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// The codes of onStatus and of connect's result (RTMP 1.0, section 7.2, and
// Adobe's ActionScript reference of NetStatusEvent).
const (
	codeConnectSuccess   = "NetConnection.Connect.Success"
	codeConnectRejected  = "NetConnection.Connect.Rejected"
	codeCallFailed       = "NetConnection.Call.Failed"
	codePublishStart     = "NetStream.Publish.Start"
	codePublishBadName   = "NetStream.Publish.BadName"
	codePublishBadAuth   = "NetStream.Publish.BadAuth"
	codePublishFailed    = "NetStream.Publish.Failed"
	codeUnpublishSuccess = "NetStream.Unpublish.Success"
	codePlayReset        = "NetStream.Play.Reset"
	codePlayStart        = "NetStream.Play.Start"
	codePlayNotFound     = "NetStream.Play.StreamNotFound"
	codePlayBadAuth      = "NetStream.Play.BadAuth"
	codePlayFailed       = "NetStream.Play.Failed"
	codePlayStop         = "NetStream.Play.Stop"
	codePlayComplete     = "NetStream.Play.Complete"
	codePublishNotify    = "NetStream.Play.PublishNotify"
	codeUnpublishNotify  = "NetStream.Play.UnpublishNotify"
	codePauseNotify      = "NetStream.Pause.Notify"
	codeUnpauseNotify    = "NetStream.Unpause.Notify"
	codeSeekNotify       = "NetStream.Seek.Notify"
	codeSeekFailed       = "NetStream.Seek.Failed"
	codeSpeedNotify      = "NetStream.Speed.Notify"
)

// The levels of a status.
const (
	levelStatus = "status"
	levelError  = "error"
)

// streamID is the only message stream we have: createStream always answers it.
const streamID = 1

// chunkSize is that of the chunks we send once we have said so: large enough for
// most frames to be one.
const chunkSize = 60000

// appendStatus appends an onStatus message.
func appendStatus(dst []byte, size int, level, code, text string) []byte {
	return wire.AppendCommand(dst, streamID, size, wire.Command{
		Name: "onStatus",
		Args: []any{amf.Object{
			{Name: "level", Value: level},
			{Name: "code", Value: code},
			{Name: "description", Value: text},
		}},
	})
}

// refusal returns the code and the text with which a peer is told that a
// Handler refused it with err.
func refusal(err error, publish bool) (code, text string) {
	switch {
	case errors.Is(err, source.ErrUnauthorized), errors.Is(err, source.ErrForbidden):
		code, text = codePlayBadAuth, "Not authorized."
		if publish {
			code = codePublishBadAuth
		}
	case publish && errors.Is(err, source.ErrBusy):
		code, text = codePublishBadName, "Already publishing."
	case publish && errors.Is(err, source.ErrBadKey):
		code, text = codePublishBadName, "Bad stream name."
	case publish:
		code, text = codePublishFailed, "Publishing failed."
	case errors.Is(err, source.ErrNotFound), errors.Is(err, source.ErrBadKey), errors.Is(err, source.ErrTimeout):
		code, text = codePlayNotFound, "No such stream."
	default:
		code, text = codePlayFailed, "Playing failed."
	}
	if t := source.RefusalText(err); t != "" {
		text = t
	}
	return code, text
}
