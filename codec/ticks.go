package codec

import (
	"math/bits"
	"time"
)

// Ticks returns d in ticks of a clock of rate Hz, rounded to nearest, halves
// away from zero. FromTicks(Ticks(d)) is exact for what came from FromTicks at
// every rate from 1 kHz to 27 MHz over 100 years. rate must be positive.
func Ticks(d time.Duration, rate int) int64 {
	return scale(int64(d), uint64(rate), uint64(time.Second))
}

// FromTicks returns the time of t ticks of a clock of rate Hz, rounded to
// nearest. Convert absolute times; never sum converted differences.
func FromTicks(t int64, rate int) time.Duration {
	return time.Duration(scale(t, uint64(time.Second), uint64(rate)))
}

// scale returns v×mul/div rounded to nearest, with a 128-bit product. A result
// that does not fit is the largest there is.
func scale(v int64, mul, div uint64) int64 {
	u := uint64(v)
	if v < 0 {
		u = -u
	}
	hi, lo := bits.Mul64(u, mul)
	lo, carry := bits.Add64(lo, div/2, 0)
	hi += carry
	const most = 1<<63 - 1
	q := uint64(most)
	if hi < div {
		if q, _ = bits.Div64(hi, lo, div); q > most {
			q = most
		}
	}
	if v < 0 {
		return -int64(q)
	}
	return int64(q)
}

// An Unwrapper turns the values of a counter that wraps (the 32-bit clocks of
// RTP and RTMP, the 33-bit clock of MPEG-TS) into one that does not. The zero
// value is for 32 bits; Bits must not change after the first call.
type Unwrapper struct {
	Bits uint // width of the counter; 0 means 32

	last  int64
	begun bool
}

// Unwrap returns v extended to 64 bits: the value nearest to the one before.
// The first value is taken as it is.
func (u *Unwrapper) Unwrap(v uint64) int64 {
	n := u.Bits
	if n == 0 {
		n = 32
	}
	span := int64(1) << n
	x := int64(v) & (span - 1)
	if !u.begun {
		u.begun, u.last = true, x
		return x
	}
	d := (x - u.last) & (span - 1)
	if d >= span/2 {
		d -= span
	}
	u.last += d
	return u.last
}
