package codec

import "bytes"

// ac3Rates are the sample rates by fscod (ETSI TS 102 366, 4.4.1.3).
var ac3Rates = [3]int{48000, 44100, 32000}

// ac3Channels are the full-bandwidth channels by acmod (ETSI TS 102 366, 4.4.2.3).
var ac3Channels = [8]int{2, 1, 2, 3, 3, 4, 4, 5}

// NewAC3Track returns the track of an AC-3 stream, whose format the header of
// this frame tells (ETSI TS 102 366, 4.3). Its Config is the content of a dac3
// box (annex F.4). Enhanced AC-3 is refused. Errors wrap [ErrInvalid].
func NewAC3Track(id int, frame []byte) (*Track, error) {
	return (&Track{ID: id, Codec: AC3}).withAC3(frame)
}

// withAC3 returns t as a frame's header describes it: t itself if it does
// already.
func (t *Track) withAC3(frame []byte) (*Track, error) {
	r := &bitReader{b: frame}
	sync := r.u(16)
	r.u(16) // crc1
	fscod, frmsizecod := r.u(2), r.u(6)
	bsid, bsmod, acmod := r.u(5), r.u(3), r.u(3)
	if acmod&1 != 0 && acmod != 1 {
		r.u(2) // cmixlev
	}
	if acmod&4 != 0 {
		r.u(2) // surmixlev
	}
	if acmod == 2 {
		r.u(2) // dsurmod
	}
	lfe := r.u(1)
	switch {
	case r.over:
		return nil, short("AC-3 header")
	case sync != 0x0b77:
		return nil, invalid("no AC-3 syncword")
	case fscod == 3 || frmsizecod > 37 || bsid > 8:
		return nil, invalid("AC-3 rate %d, size %d, bit stream %d", fscod, frmsizecod, bsid)
	}
	var w bitWriter
	w.u(2, fscod)
	w.u(5, bsid)
	w.u(3, bsmod)
	w.u(3, acmod)
	w.u(1, lfe)
	w.u(5, frmsizecod>>1)
	w.u(5, 0)
	if bytes.Equal(w.b, t.Config) {
		return t, nil
	}
	return t.withDAC3(w.b)
}

// withDAC3 returns a copy of t configured by the content of a dac3 box (ETSI TS
// 102 366, F.4), which it keeps.
func (t *Track) withDAC3(config []byte) (*Track, error) {
	r := &bitReader{b: config}
	fscod := r.u(2)
	r.u(5 + 3)
	acmod, lfe := r.u(3), r.u(1)
	r.u(5 + 5)
	if r.over {
		return nil, short("dac3")
	}
	if fscod == 3 {
		return nil, invalid("dac3: reserved sample rate")
	}
	rate := ac3Rates[fscod]
	t2 := *t
	t2.Config, t2.ClockRate, t2.SampleRate = config, rate, rate
	t2.Channels = ac3Channels[acmod] + int(lfe)
	return &t2, nil
}
