package camera

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/internal/udp"
)

// gop is the time between key frames.
const gop = time.Second

// FirstSSRC is the SSRC of the first camera; the others have the next ones.
const FirstSSRC = 0x10000000

// Args say who sends where.
type Args struct {
	N       int
	Addrs   []netip.AddrPort // of the receivers: one for all, or N
	Singles bool             // each packet takes its own way through the kernel, as from cameras on a network whose device does not join them
}

// Sent is what the cameras have sent.
type Sent struct {
	Packets, Bytes, Frames uint64
	Dropped                uint64        // packets that the system did not take; they are not among the others
	Late                   time.Duration // most that one came after its time
}

// Cameras are cameras that send.
type Cameras struct {
	args  Args
	units *units
	all   []one
	stop  chan struct{}
	done  sync.WaitGroup

	mu   sync.Mutex // guards what follows
	sent Sent
	err  error
}

// one is a camera.
type one struct {
	conn *udp.Conn
	to   netip.AddrPort
	ssrc uint32
	late int           // pictures behind the first camera
	at   time.Duration // in the time of a picture
}

// Start has cameras send until Stop. Their key frames are spread evenly over a
// second, and what they send over the time of a picture.
func Start(a Args, ports *udp.Ports) (*Cameras, error) {
	perGOP := int(gop / media.FrameInterval)
	units, err := newUnits(perGOP + 1)
	if err != nil {
		return nil, err
	}
	c := &Cameras{args: a, units: units, stop: make(chan struct{})}
	for i := range a.N {
		rtp, rtcp, err := ports.QuietPair(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		if err != nil {
			c.close()
			return nil, err
		}
		_ = rtcp.Close()
		_, f := math.Modf(float64(i) * (math.Phi - 1)) // evenly, whatever N is
		offset := time.Duration(f * float64(gop))
		c.all = append(c.all, one{
			conn: rtp, to: a.Addrs[i%len(a.Addrs)], ssrc: FirstSSRC + uint32(i),
			late: int(offset / media.FrameInterval), at: offset % media.FrameInterval,
		})
	}
	slices.SortFunc(c.all, func(a, b one) int { return cmp.Compare(a.at, b.at) })
	c.done.Go(func() {
		if err := c.run(); err != nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
		}
	})
	return c, nil
}

// Sent returns what has been sent so far.
func (c *Cameras) Sent() (Sent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.err
}

// Stop ends the sending.
func (c *Cameras) Stop() {
	close(c.stop)
	c.done.Wait()
	c.close()
}

func (c *Cameras) close() {
	for _, o := range c.all {
		_ = o.conn.Close()
	}
}

// tolerated is how late the cameras may be before their clocks stop for a while: on
// a busy machine they would otherwise send much at once, as cameras never do.
const tolerated = 20 * time.Millisecond

// run sends in real time.
func (c *Cameras) run() error {
	start := time.Now()
	for n := 0; ; n++ { // of the first camera
		for i := range c.all {
			o := &c.all[i]
			if n < o.late {
				continue
			}
			due := start.Add(time.Duration(n)*media.FrameInterval + o.at)
			const early = time.Millisecond // sleeping is not that exact, and not for nothing
			if wait := time.Until(due); wait > early {
				time.Sleep(wait)
			}
			select {
			case <-c.stop:
				return nil
			default:
			}
			u, err := c.units.get(n - o.late)
			if err != nil {
				return err
			}
			late := time.Since(due)
			if late > tolerated {
				start = start.Add(late)
			}
			if err := c.send(o, u, late); err != nil {
				return err
			}
		}
	}
}

// send sends a unit as one camera's.
func (c *Cameras) send(o *one, u *unit, late time.Duration) error {
	u.address(o.ssrc)
	bytes, dropped := 0, uint64(0)
	if c.args.Singles {
		for _, p := range u.packets {
			n, _ := o.conn.WriteTo(p, o.to)
			bytes += n
			if n < len(p) {
				dropped++
			}
		}
	} else {
		before := o.conn.Dropped()
		n, err := o.conn.Send(&u.burst, o.to)
		if err != nil {
			return err
		}
		bytes, dropped = n, o.conn.Dropped()-before
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent.Packets += uint64(len(u.packets)) - dropped
	c.sent.Bytes += uint64(bytes)
	c.sent.Frames += uint64(u.frames)
	c.sent.Dropped += dropped
	c.sent.Late = max(c.sent.Late, late)
	return nil
}
