package ps

import (
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// A Payload is what RTP packets carry.
type Payload uint8

// The payloads.
const (
	PayloadAuto Payload = iota // receiving: found out from the first packets; sending: PS
	PayloadPS                  // a program stream, cut anywhere (GB/T 28181, annex C)
	PayloadTS                  // a transport stream, whole packets (RFC 2250, section 2)
	PayloadES                  // access units of one codec, by the RFC of that codec; AAC that is received: whole ADTS frames
)

// String returns the payload's usual name, such as "PS"; "" for PayloadAuto.
func (p Payload) String() string {
	switch p {
	case PayloadPS:
		return "PS"
	case PayloadTS:
		return "TS"
	case PayloadES:
		return "ES"
	}
	return ""
}

// PayloadTypes say which RTP payload types are which codecs, for there is no
// session description that could. Types below 96 are what RFC 3551 assigns. What is
// plainly something else is taken as that.
type PayloadTypes struct {
	PS   uint8 // PS or TS, and not looked into for elementary streams; 0: no type is
	H264 uint8 // 0 means 98
	H265 uint8 // 0 means 99
	Opus uint8 // 0 means 100
}

// The payload types of PayloadTypes that is zero.
const (
	defaultH264 = 98
	defaultH265 = 99
	defaultOpus = 100
)

// orDefaults returns t with the defaults filled in.
func (t PayloadTypes) orDefaults() PayloadTypes {
	for _, d := range []struct {
		field *uint8
		value uint8
	}{{&t.H264, defaultH264}, {&t.H265, defaultH265}, {&t.Opus, defaultOpus}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// ReceiveOptions say how the packets of a sender become a stream. The zero value is
// the default.
type ReceiveOptions struct {
	Payload  Payload              // what the packets carry; PayloadAuto finds out
	Types    PayloadTypes         // of elementary streams
	Timeout  time.Duration        // a session without a frame for so long ends; 0 means 15 s, negative never
	Depth    int                  // packets that a missing one is waited for; 0 means 256
	Wait     time.Duration        // and how long; 0 means 500 ms
	NoReport bool                 // send no receiver reports
	Options  source.StreamOptions // of the streams: NoAudio and NoVideo select a track
}

// defaultTimeout is that of ReceiveOptions.
const defaultTimeout = 15 * time.Second

// timeout returns how long a session may be without a frame; 0: as long as it
// likes.
func (o *ReceiveOptions) timeout() time.Duration {
	switch {
	case o.Timeout == 0:
		return defaultTimeout
	case o.Timeout < 0:
		return 0
	}
	return o.Timeout
}
