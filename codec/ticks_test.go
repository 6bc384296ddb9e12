package codec_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
)

const century = 100 * 365 * 24 * time.Hour

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		d     time.Duration
		rate  int
		ticks int64
	}{
		{0, 90000, 0},
		{time.Second, 90000, 90000},
		{40 * time.Millisecond, 90000, 3600},
		{-40 * time.Millisecond, 90000, -3600},
		{5555, 90000, 0}, // 0.49995
		{5556, 90000, 1}, // 0.50004
		{-5556, 90000, -1},
		{time.Millisecond / 2, 1000, 1}, // halves away from zero
		{-time.Millisecond / 2, 1000, -1},
		{math.MaxInt64, 1e9, math.MaxInt64},
		{math.MaxInt64, 2e9, math.MaxInt64}, // saturates
		{math.MinInt64, 2e9, -math.MaxInt64},
	} {
		require.Equal(t, c.ticks, codec.Ticks(c.d, c.rate), "%v at %d", c.d, c.rate)
	}
	require.Equal(t, time.Duration(math.MaxInt64), codec.FromTicks(math.MaxInt64, 1))
}

func TestTicksRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1000, 27_000_000).Draw(t, "rate")
		most := codec.Ticks(century, rate)
		ticks := rapid.Int64Range(-most, most).Draw(t, "ticks")
		d := codec.FromTicks(ticks, rate)
		require.Equal(t, ticks, codec.Ticks(d, rate))
		// Nearest: at most half a nanosecond off, exactly computed.
		exact := new(big.Rat).SetFrac64(ticks, int64(rate))
		exact.Mul(exact, big.NewRat(int64(time.Second), 1))
		off := exact.Sub(exact, big.NewRat(int64(d), 1))
		require.LessOrEqual(t, off.Abs(off).Cmp(big.NewRat(1, 2)), 0)
	})
}

func TestUnwrapper(t *testing.T) {
	var u codec.Unwrapper
	for _, c := range []struct{ in, want int64 }{
		{0xfffffff0, 0xfffffff0},
		{0x10, 0x100000010},
		{0xfffffff8, 0xfffffff8}, // reordered over the wrap
		{0x20, 0x100000020},
		{0x80000010, 0x180000010},
	} {
		require.Equal(t, c.want, u.Unwrap(uint64(c.in)))
	}
}

// Whatever the wraps, steps below half the span come out as they went in.
func TestUnwrapperProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SampledFrom([]uint{0, 16, 24, 32, 33}).Draw(t, "bits")
		u := codec.Unwrapper{Bits: bits}
		n := bits
		if n == 0 {
			n = 32
		}
		half := int64(1) << (n - 1)
		now := rapid.Int64Range(0, 2*half-1).Draw(t, "first")
		require.Equal(t, now, u.Unwrap(uint64(now)))
		for _, step := range rapid.SliceOfN(rapid.Int64Range(-half, half-1), 1, 50).Draw(t, "steps") {
			now += step
			require.Equal(t, now, u.Unwrap(uint64(now)&(1<<n-1)))
		}
	})
}
