package ps

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/mediakit-go/mediakit/internal/keysearch"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// What is read of a file in search for a key frame, in bytes.
const (
	scanAhead  = 64 << 10 // at once
	headerMost = 512      // no header is longer
	lookMost   = 4 << 10  // of a packet, at least
)

// A filePack is what was found of a pack.
type filePack struct {
	at     int64 // where it begins; valid if begun
	begun  bool
	clock  uint64 // of its header; valid if timed
	timed  bool
	mapped bool     // there is a map, and no packet that is sought behind it
	keys   []uint16 // of the streams that have packets in it
}

// scanPackets calls fn for the PES packets that begin in a part of the file and have
// a time. It goes from header to header; where none follows it searches for the next.
func (f *File) scanPackets(ctx context.Context, from, to int64, fn func(keysearch.Entry) bool) error {
	var p filePack
	searching := true
	for at := from; at < to; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := f.file.Window.Bytes(at, headerMost+lookMost, scanAhead)
		if err != nil || len(b) <= len(prefix) {
			return err
		}
		if searching {
			n, found := f.findHeader(b)
			at += int64(n)
			searching = !found
			continue
		}
		var h pes.Header
		var n int
		packet := b[3] >= pes.IDPrivate1 && pes.HasFlags(b[3])
		if packet {
			var more, ok bool
			h, more, ok = parsePES(b)
			packet = ok && !more
			n = h.Size
		} else {
			n = p.take(b, at)
		}
		follows, err := f.headerFollows(b, at, n)
		if err != nil {
			return err
		}
		if packet {
			e, wanted, err := f.entryOf(&p, &h, at, b, follows)
			if err != nil || wanted && !fn(e) {
				return err
			}
		}
		if searching = !follows; searching {
			n = len(prefix)
		}
		at += int64(n)
	}
	return nil
}

// headerFollows reports whether a header stands n bytes behind the one at a place that
// b begins with. n is 0 where that is not known.
func (f *File) headerFollows(b []byte, at int64, n int) (bool, error) {
	next := f.next[:]
	switch {
	case n == 0:
		return false, nil
	case n+len(next) <= len(b):
		next = b[n:]
	default:
		if got, err := f.file.File.ReadAt(next, at+int64(n)); got < len(next) {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return false, err
		}
	}
	return bytes.HasPrefix(next, prefix) && next[3] >= codeEnd, nil
}

// findHeader returns where in b the next header is that cannot be there by chance;
// false, and how much need not be looked at again, if there is none.
func (f *File) findHeader(b []byte) (n int, found bool) {
	end := len(b)
	if end >= headerMost+lookMost { // else the file ends there
		end -= headerMost
	}
	for at := 0; ; at += len(prefix) {
		i := bytes.Index(b[at:], prefix)
		if at += i; i < 0 || at >= end || at+len(prefix) == len(b) {
			return end, false
		}
		if f.r.demux.packets.likeness(b[at:]) == like {
			return at, true
		}
	}
}

// take takes in what begins b and is no PES packet with flags. It returns its length;
// 0 if that is not known.
func (p *filePack) take(b []byte, at int64) (n int) {
	switch id := b[3]; {
	case id == codePack:
		n, clock, more, ok := parsePack(b)
		if more || !ok {
			return 0
		}
		*p = filePack{at: at, begun: true, clock: clock, timed: true, keys: p.keys[:0]}
		return n
	case id == codeEnd:
		*p = filePack{keys: p.keys[:0]}
		return len(prefix) + 1
	case len(b) < pes.Prefix:
		return 0
	case id == codeSystem || id == pes.IDMap:
		if !p.begun {
			p.at, p.begun = at, true
		}
		p.mapped = p.mapped || id == pes.IDMap // system headers stand anywhere in files for DVD
	}
	return pes.Prefix + int(binary.BigEndian.Uint16(b[4:]))
}

// entryOf returns what a PES packet, which b begins with, tells of a frame that begins
// in it. The first of a stream in its pack is read from the beginning of that. sure
// tells that its length is right.
func (f *File) entryOf(p *filePack, h *pes.Header, at int64, b []byte, sure bool) (e keysearch.Entry, ok bool, err error) {
	d := &f.r.demux
	payload := packetPayload(h, b)
	key, before := d.keyOf(h.ID, payload)
	if !f.file.Wants(key) {
		return e, false, nil
	}
	start, first := at, !slices.Contains(p.keys, key)
	if first {
		p.keys = append(p.keys, key)
		if p.begun {
			start = p.at
		}
		if s := d.streamOf(key, false); !h.HasPTS && p.timed && s != nil && s.clocked() {
			h.HasPTS, h.DTS = true, p.clock
		}
	}
	sought, mapped := f.file.Seeks(key), p.mapped
	if sought {
		p.mapped = false
	}
	if !h.HasPTS {
		return e, false, nil
	}
	if sought && sure && len(b) < h.Size && pes.GoesOn(payload) { // the key frame may begin anywhere
		if b, err = f.file.Window.Bytes(at, h.Size, scanAhead); err != nil {
			return e, false, err
		}
		payload = packetPayload(h, b)
	}
	return f.file.Entry(key, start, h.DTS, mapped, payload[min(before, len(payload)):]), true, nil
}

// packetPayload returns the payload of a PES packet, as much of it as b has.
func packetPayload(h *pes.Header, b []byte) []byte {
	if h.Size > 0 {
		b = b[:min(h.Size, len(b))]
	}
	return b[h.Header:]
}
