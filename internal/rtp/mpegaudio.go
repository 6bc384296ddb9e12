package rtp

import (
	"encoding/binary"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// mpegAudioCarriage is MPEG audio of layers II and III by RFC 2250, 3.5. The
// clock is 90 kHz whatever the sampling rate, which the frames tell, as they
// tell the layer.
func mpegAudioCarriage() carriage {
	return carriage{
		codec: codec.MP3,
		names: []string{"MPA", "MP3"},
		describe: func(_ *codec.Track, p *Payload) bool {
			p.ClockRate = mpegAudioClock
			return true
		},
		track:  func(_ *Payload, t *codec.Track) (*codec.Track, error) { return t, nil },
		packer: func(*codec.Track) packer { return mpegAudioPacker{} },
		unpacker: func(_ *Payload, t *codec.Track) (Depacketizer, error) {
			return &mpegAudioUnpacker{track: t}, nil
		},
	}
}

const (
	mpegAudioClock  = 90000
	mpegAudioHeader = 4 // 16 bits zero, 16 bits Frag_offset
)

type mpegAudioPacker struct{}

// pack writes as many whole frames into a packet as have room, and fragments of
// those that have none.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             MBZ               |          Frag_offset          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func (mpegAudioPacker) pack(w *packetWriter, f *codec.Frame) error {
	room := w.room() - mpegAudioHeader
	if room <= 0 || len(f.Data) > maxPayload {
		return invalid("MPEG audio frame of %d bytes", len(f.Data))
	}
	if _, err := firstMPEGAudio(f.Data); err != nil {
		return err
	}
	start, at := w.timestamp, time.Duration(0)
	for data := f.Data; ; {
		run := 0 // bytes that go together
		for run < len(data) {
			n, err := firstMPEGAudio(data[run:])
			if err != nil { // such as a tag of the file it is from
				data = data[:run]
				break
			}
			if run > 0 && run+n > room {
				break
			}
			run += n
		}
		if run == 0 {
			return nil
		}
		w.timestamp = start + uint32(codec.Ticks(at, w.clockRate))
		for offset := 0; offset < run; {
			n := min(run-offset, room)
			w.packet(mpegAudioHeader+n, false)
			w.b = append(w.b, 0, 0)
			w.b = binary.BigEndian.AppendUint16(w.b, uint16(offset))
			w.b = append(w.b, data[offset:offset+n]...)
			offset += n
		}
		at += codec.FrameDuration(&codec.Frame{Track: f.Track, Data: data[:run]})
		data = data[run:]
	}
}

// firstMPEGAudio returns the length of the frame that b begins with.
func firstMPEGAudio(b []byte) (int, error) {
	n, err := codec.MPEGAudioFrameSize(b)
	switch {
	case err != nil:
		return 0, invalid("%w", err)
	case n > len(b):
		return 0, invalid("%d bytes of an MPEG audio frame of %d", len(b), n)
	case n == 0:
		return len(b), nil // the free format does not tell
	}
	return n, nil
}

// A mpegAudioUnpacker takes frames out of payloads.
type mpegAudioUnpacker struct {
	track *codec.Track

	fragments []byte        // of a frame that is not complete; nil if there is none
	timestamp uint32        // of fragments
	at        time.Duration // of their frame, after timestamp
	whole     int           // size of the frame
}

// Append takes whole frames and fragments, which are complete when they have
// the length that the frame's header tells. Payloads that begin with a frame,
// without the header of RFC 2250, are taken as well: that header begins with
// zeros.
func (u *mpegAudioUnpacker) Append(dst []Unit, p *Packet, lost bool) ([]Unit, error) {
	if lost {
		u.fragments = nil
	}
	b, offset := p.Payload, 0
	if len(b) == 0 {
		return dst, nil
	}
	if len(b) < mpegAudioHeader {
		return dst, invalid("MPEG audio payload of %d bytes", len(b))
	}
	if b[0] != 0xff {
		offset, b = int(binary.BigEndian.Uint16(b[2:])), b[mpegAudioHeader:]
	}
	begun := u.fragments
	u.fragments = nil
	if offset > 0 {
		if len(begun) != offset || p.Timestamp != u.timestamp {
			return dst, nil // what was before it is lost
		}
		u.fragments = append(begun, b...)
		if len(u.fragments) < u.whole {
			return dst, nil
		}
		frame := u.fragments[:u.whole:u.whole]
		u.fragments = nil
		dst, _ = u.unit(dst, p.Timestamp, frame, u.at)
		return dst, nil
	}
	start := len(dst)
	for at := time.Duration(0); len(b) > 0; {
		size, err := codec.MPEGAudioFrameSize(b)
		if err != nil {
			if at == 0 {
				return dst, invalid("%w", err)
			}
			break // what fills up the packet
		}
		if size > len(b) {
			u.fragments, u.timestamp = b[:len(b):len(b)], p.Timestamp
			u.whole, u.at = size, at
			break
		}
		if size == 0 {
			size = len(b) // the free format does not tell
		}
		var length time.Duration
		dst, length = u.unit(dst, p.Timestamp, b[:size:size], at)
		b, at = b[size:], at+length
	}
	return separate(dst, start), nil
}

// unit appends a frame whose header is right, and returns how long it plays.
func (u *mpegAudioUnpacker) unit(dst []Unit, timestamp uint32, frame []byte, at time.Duration) ([]Unit, time.Duration) {
	t, _, _, err := codec.ParseFrame(u.track, frame)
	if err != nil {
		return dst, 0
	}
	if t != u.track {
		wire := *t
		wire.ClockRate = u.track.ClockRate // that of packets
		u.track = &wire
	}
	dst = append(dst, Unit{Track: u.track, Timestamp: timestamp, Data: frame, Flags: codec.FlagKey, Skip: skip(u.track, at)})
	return dst, codec.FrameDuration(&codec.Frame{Track: u.track, Data: frame})
}
