package crowd

// arrivals counts the packets of one track by their sequence numbers (RFC 3550,
// appendix A.3).
type arrivals struct {
	got     uint64
	span    uint64 // from the first to the highest number, both counted
	highest uint16
}

// add counts a packet.
func (a *arrivals) add(sequence uint16) {
	a.got++
	if a.got == 1 {
		a.span, a.highest = 1, sequence
		return
	}
	if d := int16(sequence - a.highest); d > 0 {
		a.span += uint64(d)
		a.highest = sequence
	}
}

// missing returns how many packets before the last have not come.
func (a *arrivals) missing() int { return int(a.span) - int(a.got) }
