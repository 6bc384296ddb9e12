package ts

import (
	"context"
	"slices"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/keysearch"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// How much of a file is read at once, and in search for a key frame, in bytes.
const (
	fileBuffer = 128 << 10
	scanAhead  = 64 << 10
)

// scanPackets calls fn for the PES packets that begin in a part of the file and
// have a time. It skips damage.
func (f *File) scanPackets(ctx context.Context, from, to int64, fn func(keysearch.Entry) bool) error {
	stride := 0
	for at := from; at < to; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := f.scan.Bytes(at, 3*maxStride, scanAhead)
		if err != nil || len(b) < PacketSize {
			return err
		}
		if stride == 0 {
			n, found := findSync(b)
			if n > 0 || found == 0 {
				at += int64(max(n, 1))
				continue
			}
			stride = found
		}
		for ; at < to && len(b) >= PacketSize; at, b = at+int64(stride), b[min(stride, len(b)):] {
			if b[0] != syncByte {
				stride = 0
				break
			}
			if e, ok := f.entryOf(b[:PacketSize]); ok {
				if e.At = at; !fn(e) {
					return nil
				}
			}
		}
	}
	return nil
}

// entryOf returns what a transport packet tells of a frame that begins in it.
func (f *File) entryOf(b []byte) (e keysearch.Entry, ok bool) {
	if b[1]&0x40 == 0 { // payload_unit_start_indicator
		return e, false
	}
	p, ok := parsePacket(b)
	if !ok || p.scrambled || !slices.Contains(f.measured, p.pid) && p.pid != f.pid {
		return e, false
	}
	h, more, ok := pes.Parse(p.payload)
	if !ok || more || !h.HasPTS {
		return e, false
	}
	e = keysearch.Entry{Time: f.timeOf(h.DTS), Track: int(p.pid), Sought: p.pid == f.pid}
	e.Key = e.Sought && f.mayBeKey(p.random, p.payload[h.Header:])
	return e, true
}

// mayBeKey reports whether a PES packet that begins with b may begin with a key
// frame, by its random_access_indicator and by what comes first in it: parameter
// sets, or a slice.
func (f *File) mayBeKey(random bool, b []byte) bool {
	c := f.sought.Codec
	switch c {
	case codec.H264, codec.H265, codec.MPEG2Video:
	default:
		return random || c.Kind() != codec.KindVideo
	}
	recovery := false
	for i := 0; i+3 < len(b); i++ {
		if b[i] != 0 || b[i+1] != 0 || b[i+2] != 1 {
			continue
		}
		switch begin := b[i+3]; {
		case c == codec.MPEG2Video:
			if begin == 0 || begin == 0xb3 { // a picture, a sequence
				return begin != 0
			}
		case c == codec.H264:
			switch begin & 0x1f {
			case 5, 7: // IDR, SPS
				return true
			case 1, 2: // slices
				return random && recovery
			case 6: // SEI
				recovery = true
			}
		default:
			switch t := begin >> 1 & 0x3f; {
			case t >= 16 && t <= 21, t == 32, t == 33: // IRAP, VPS, SPS
				return true
			case t < 16:
				return random && recovery
			case t == 39: // SEI
				recovery = true
			}
		}
	}
	return random
}
