package wire

import "errors"

// ErrInvalid is wrapped by the errors of everything a peer must not send.
var ErrInvalid = errors.New("rtmp: protocol violation")

// A Type is the type of a message (RTMP 1.0, sections 5.4, 6.2 and 7.1).
type Type uint8

// The types of messages.
const (
	TypeSetChunkSize     Type = 1
	TypeAbort            Type = 2
	TypeAcknowledgement  Type = 3
	TypeUserControl      Type = 4
	TypeWindowAckSize    Type = 5
	TypeSetPeerBandwidth Type = 6
	TypeAudio            Type = 8
	TypeVideo            Type = 9
	TypeDataAMF3         Type = 15
	TypeCommandAMF3      Type = 17
	TypeData             Type = 18
	TypeCommand          Type = 20
	TypeAggregate        Type = 22
)

// The chunk streams that messages are sent on.
const (
	ChunkStreamProtocol = 2
	ChunkStreamCommand  = 3
	ChunkStreamData     = 4
	ChunkStreamAudio    = 6
	ChunkStreamVideo    = 7
)

// media reports whether t carries what publishers send and may be large.
func (t Type) media() bool {
	switch t {
	case TypeAudio, TypeVideo, TypeAggregate:
		return true
	}
	return false
}

// control reports whether t is for the connection itself rather than media or
// data of a stream.
func (t Type) control() bool {
	return t <= TypeSetPeerBandwidth || t == TypeCommand || t == TypeCommandAMF3
}

// A Message is one message as its chunks brought it.
type Message struct {
	Type      Type
	StreamID  uint32
	Timestamp uint32 // ms, wraps
	Body      []byte // belongs to whoever received the message
}

// A Body is what a message can hold.
type Body interface {
	Type() Type
	Append(b []byte) []byte // appends the body's bytes
}
