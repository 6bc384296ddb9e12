package rtmp

import "time"

// A clock makes a stream's time of the timestamps of its messages: 32 bits of
// milliseconds that wrap after 49.7 days (RTMP 1.0, section 5.1). Some senders
// have no extended timestamps, so that theirs wrap after 4.7 hours, at 24 bits.
// The zero value is ready for use.
type clock struct {
	begun bool
	short bool   // 24 bits
	last  uint32 // timestamp
	now   int64  // the same without wraps
}

// near is how close, in ms, two timestamps around 2^24 and 0 must be to it to be
// a wrap and not a new start.
const near = 60_000

// unwrap returns the time of a message: the one nearest to that of the message
// before.
func (c *clock) unwrap(stamp uint32) time.Duration {
	if !c.begun {
		c.begun, c.last, c.now = true, stamp, int64(stamp)
	}
	if stamp >= 1<<24 {
		c.short = false
	} else if c.last < 1<<24 && c.last >= 1<<24-near && stamp < near {
		c.short = true
	}
	d := int64(int32(stamp - c.last))
	if c.short {
		d = int64(int32((stamp-c.last)<<8) >> 8)
	}
	c.last = stamp
	c.now += d
	return time.Duration(c.now) * time.Millisecond
}
