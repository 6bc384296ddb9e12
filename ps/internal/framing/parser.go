package framing

import (
	"errors"
	"fmt"
)

// maxGarbage is how many bytes are searched for a packet, at most.
const maxGarbage = 128 << 10

// maxKnown is how many senders are remembered.
const maxKnown = 8

// keptMemory is what is kept of the memory for packets that are not whole.
const keptMemory = 16 << 10

// ErrGarbage is wrapped by the error for a connection that has no packets.
var ErrGarbage = errors.New("framing: no RTP packets")

// A Parser finds the packets in what comes on a connection, in pieces of any
// size. Its zero value is ready for use.
//
// What has the SSRC of a sender that is known is a packet, at once. Of another,
// also of the first, one is known when another packet follows it.
type Parser struct {
	form    Form
	vendor  bool     // there are headers of EHOME
	odd     bool     // and a byte 0d between the packets' headers and payloads
	channel uint8    // of the latest packet of RTP
	known   []uint32 // senders, the one heard last at the end
	kind    uint8    // payload type of the latest packet

	buf  []byte // what was not taken: a part of a packet, or what is searched
	want int    // bytes in buf that it takes to go on

	searching bool
	lost      bool  // something was skipped since the last packet
	final     bool  // nothing more will come
	from      int   // of buf: where what is searched may begin: 0 or 1
	scanned   int   // of buf: to where senders that are known have been searched for
	maybe     []int // of buf: where one of these begins, unless what follows is against it
	rescan    int   // bytes in buf at which others are searched for again
	empty     int   // packets in a row that were
	resyncs   uint64
	skipped   uint64
}

// Push takes in b and calls take with each packet that becomes whole, of RTP and
// of RTCP. lost tells that bytes before it were none; packets may be missing. b is
// the caller's again when Push returns, packet when take does; their bytes may have
// changed. The error, which wraps ErrGarbage, is final.
func (p *Parser) Push(b []byte, take func(packet []byte, lost bool)) error {
	for len(p.buf) > 0 && len(b) > 0 {
		n := len(b)
		if want := p.want - len(p.buf); want > 0 && !p.searching {
			n = min(n, want)
		}
		p.keep(b[:n])
		b = b[n:]
		if len(p.buf) < p.want {
			return nil
		}
		used, err := p.parse(p.buf, take)
		p.buf = p.buf[:copy(p.buf, p.buf[used:])]
		if err != nil {
			return err
		}
	}
	if len(p.buf) == 0 && cap(p.buf) > keptMemory {
		p.buf = nil
	}
	if len(b) == 0 {
		return nil
	}
	used, err := p.parse(b, take)
	p.keep(b[used:])
	return err
}

// keep appends b to what is kept. Memory grows with what comes, and is not much
// more than that where it is the most.
func (p *Parser) keep(b []byte) {
	if need := len(p.buf) + len(b); need > cap(p.buf) {
		const most = maxGarbage + 16<<10
		p.buf = append(make([]byte, 0, max(need, min(2*need, most))), p.buf...)
	}
	p.buf = append(p.buf, b...)
}

// Flush calls take with the packets that wait to be confirmed by others. Nothing
// may be pushed after it.
func (p *Parser) Flush(take func(packet []byte, lost bool)) {
	p.final, p.rescan = true, 0
	_, _ = p.parse(p.buf, take)
	p.buf = nil
}

// Form returns the form of the packets, Unknown before the first.
func (p *Parser) Form() Form { return p.form }

// Channel returns the channel of the latest packet of RTP, 0 where there are none.
func (p *Parser) Channel() uint8 { return p.channel }

// Waiting reports whether there is a part of something that is to become whole.
func (p *Parser) Waiting() bool { return len(p.buf) > 0 }

// Resyncs returns how many times a packet had to be searched for.
func (p *Parser) Resyncs() uint64 { return p.resyncs }

// Skipped returns how many bytes were no packets.
func (p *Parser) Skipped() uint64 { return p.skipped }

// parse calls take with the packets at the beginning of b, and returns how many
// bytes they are. To go on, p.want bytes are needed.
func (p *Parser) parse(b []byte, take func(packet []byte, lost bool)) (used int, err error) {
	for used < len(b) {
		rest := b[used:]
		if p.searching {
			n, found := p.search(rest)
			if !found {
				return used, p.given(len(rest))
			}
			if n > 0 {
				if !p.lost && len(p.known) > 0 {
					p.resyncs++
				}
				p.lost = true
				p.skipped += uint64(n)
				used += n
			}
			p.searching = false
			continue
		}
		f, h, need, v := p.next(rest)
		switch v {
		case more:
			if h.end > 0 && len(p.known) > 0 && !p.knows(h.ssrc) {
				p.seek(0) // others may come before it is confirmed
				continue
			}
			p.want = need
			return used, nil
		case no:
			if p.form == Short && rest[0] == 0 && len(rest) > 1 && rest[1] == 0 && p.empties() {
				used += p.form.size() // some say nothing by that
				p.skipped += uint64(p.form.size())
				continue
			}
			p.seek(1)
			continue
		}
		p.found(f, rest, h)
		take(p.packet(rest[h.start:h.end:h.end]), p.lost)
		used += h.end
		p.lost = false
	}
	p.want = 1
	return used, nil
}

// given is called when nothing was found in n bytes. It fails when they are too
// many.
func (p *Parser) given(n int) error {
	p.want = n + 1
	if n > maxGarbage {
		return fmt.Errorf("%w in %d bytes", ErrGarbage, n)
	}
	return nil
}

// found remembers what is known by a packet.
func (p *Parser) found(f Form, b []byte, h header) {
	p.form, p.empty = f, 0
	if h.start > f.size() && !p.vendor {
		p.vendor = true
		at := h.start + rtpHeader
		p.odd = h.end >= at+4 && string(b[at:at+4]) == "\r\x00\x00\x01"
	}
	if n := len(p.known); n == 0 || p.known[n-1] != h.ssrc {
		p.remember(h.ssrc)
	}
	if !IsRTCP(b[h.start:h.end]) {
		p.kind = h.kind
		if f == Interleaved {
			p.channel = b[h.start-3]
		}
	}
}

// remember moves a sender to the end of those that are known.
func (p *Parser) remember(ssrc uint32) {
	for i, k := range p.known {
		if k == ssrc {
			p.known = append(p.known[:i], p.known[i+1:]...)
			break
		}
	}
	if len(p.known) == maxKnown {
		p.known = append(p.known[:0], p.known[1:]...)
	}
	p.known = append(p.known, ssrc)
}

// packet returns what is in the packet b without the byte that some devices put
// behind the header.
func (p *Parser) packet(b []byte) []byte {
	if p.odd && len(b) > rtpHeader && b[rtpHeader] == '\r' && !IsRTCP(b) {
		copy(b[1:], b[:rtpHeader])
		return b[1:]
	}
	return b
}
