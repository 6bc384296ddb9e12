package ts

import (
	"context"

	"github.com/mediakit-go/mediakit/internal/keysearch"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// scanAhead is how much of a file is read at once in search for a key frame, in bytes.
const scanAhead = 64 << 10

// scanPackets calls fn for the PES packets that begin in a part of the file and
// have a time. It skips damage.
func (f *File) scanPackets(ctx context.Context, from, to int64, fn func(keysearch.Entry) bool) error {
	stride := 0
	for at := from; at < to; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := f.file.Window.Bytes(at, 3*maxStride, scanAhead)
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
			if e, ok := f.entryOf(b[:PacketSize], at); ok && !fn(e) {
				return nil
			}
		}
	}
	return nil
}

// entryOf returns what a transport packet, which stands at a place, tells of a frame
// that begins in it.
func (f *File) entryOf(b []byte, at int64) (e keysearch.Entry, ok bool) {
	if b[1]&0x40 == 0 { // payload_unit_start_indicator
		return e, false
	}
	p, ok := parsePacket(b)
	if !ok || p.scrambled || !f.file.Wants(p.pid) {
		return e, false
	}
	h, more, ok := pes.Parse(p.payload)
	if !ok || more || !h.HasPTS {
		return e, false
	}
	return f.file.Entry(p.pid, at, h.DTS, p.random, p.payload[h.Header:]), true
}
