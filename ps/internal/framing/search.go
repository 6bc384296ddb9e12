package framing

import "slices"

// next reads the beginning of b as a packet: in the form that is known, or the one
// that fits.
func (p *Parser) next(b []byte) (f Form, h header, need int, v verdict) {
	if p.form != Unknown {
		h, need, v = p.look(b, p.form, p.vendor)
		return p.form, h, need, v
	}
	for _, form := range []Form{Interleaved, Short} {
		got, n, judged := p.look(b, form, form == Interleaved)
		switch {
		case judged == yes:
			return form, got, 0, yes
		case judged == more && (v == no || n < need):
			need, v = n, more
		}
	}
	return f, h, need, v
}

// look reads the beginning of b as a packet in the form and demands that its
// sender is known, or what follows confirms it. During a search that is demanded
// of those who are known, too.
func (p *Parser) look(b []byte, f Form, vendor bool) (h header, need int, v verdict) {
	h, need, v = f.read(b, vendor)
	if v != yes {
		return h, need, v
	}
	if len(b) < h.end {
		return h, h.end, more
	}
	if !p.searching && p.knows(h.ssrc) {
		return h, 0, yes
	}
	need, v = p.confirm(b[h.end:], h.ssrc, f, vendor)
	return h, h.end + need, v
}

// knows reports whether packets of the sender have come.
func (p *Parser) knows(ssrc uint32) bool {
	for i := len(p.known) - 1; i >= 0; i-- {
		if p.known[i] == ssrc {
			return true
		}
	}
	return false
}

// confirm reads b as what follows a packet of a sender: others, one of which is
// the same sender's, or of one that is known.
func (p *Parser) confirm(b []byte, ssrc uint32, f Form, vendor bool) (need int, v verdict) {
	const most = 4 // a sender has few streams
	at := 0
	for range most {
		for f == Short && len(b) >= at+2 && b[at] == 0 && b[at+1] == 0 {
			at += 2
		}
		h, n, v := f.read(b[min(at, len(b)):], vendor)
		if v == more && p.final && !p.searching {
			return 0, yes // nothing is against it
		}
		if v != yes {
			return at + n, v
		}
		if h.ssrc == ssrc || p.knows(h.ssrc) {
			return 0, yes
		}
		at += h.end
	}
	return 0, no
}

// seek begins a search from the beginning of what is there or the byte behind.
func (p *Parser) seek(from int) {
	p.searching, p.from, p.scanned, p.rescan, p.maybe = true, from, 1, 0, p.maybe[:0]
}

// search returns where in b the next packet begins. What was searched before is
// not again, except for senders that are not known, which may be confirmed by what
// has come since: there it takes so much more that the work is in proportion to
// the bytes.
func (p *Parser) search(b []byte) (at int, found bool) {
	if p.from == 0 {
		switch _, _, _, v := p.next(b); v {
		case yes:
			return 0, true
		case no:
			p.from = 1
		}
	}
	for i := 0; i < len(p.maybe); {
		switch p.again(b[p.maybe[i]:]) {
		case yes:
			return p.maybe[i], true
		case no:
			p.maybe = slices.Delete(p.maybe, i, i+1)
		default:
			i++
		}
	}
	for ; len(p.known) > 0 && p.scanned < len(b); p.scanned++ {
		rest := b[p.scanned:]
		h, _, v := p.form.read(rest, p.vendor)
		if v == more {
			break
		}
		if v == yes && p.knows(h.ssrc) && (h.kind == p.kind || h.kind > maxKind) {
			switch p.again(rest) {
			case yes:
				return p.scanned, true
			case more:
				p.maybe = append(p.maybe[max(0, len(p.maybe)-maxMaybe+1):], p.scanned)
			}
		}
	}
	if len(b) < p.rescan {
		return 0, false
	}
	const least = 1 << 10
	p.rescan = len(b) + max(least, len(b)/2)
	for i := 1; i < len(b); i++ {
		if _, _, _, v := p.next(b[i:]); v == yes {
			return i, true
		}
	}
	return 0, false
}

// again judges the beginning of b, which should be a packet of a sender that is
// known, by what follows.
func (p *Parser) again(b []byte) verdict {
	_, _, v := p.look(b, p.form, p.vendor)
	return v
}

// maxMaybe is how many places wait for what follows, at most: the latest ones.
const maxMaybe = 8

// maxKind is the last payload type; kinds above are of RTCP.
const maxKind = 127

// empties counts an empty packet and reports whether there are not too many in
// a row.
func (p *Parser) empties() bool {
	p.empty++
	return p.empty <= maxGarbage/2
}
