package crowd

import (
	"math"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/proc"
	"github.com/mediakit-go/mediakit/bench/internal/quantile"
)

// A Crowd is many viewers. Its methods are for one goroutine.
type Crowd struct {
	target Target
	bulk   *loop // those who count
	probes *loop

	began int64
	cpu   time.Duration // of the server, at the start of the measurement
	start []uint64      // bytes of each viewer then
	lost  int           // datagrams that had not come then
}

// New starts a crowd of nobody.
func New() (*Crowd, error) {
	bulk, err := newLoop(true)
	if err != nil {
		return nil, err
	}
	probes, err := newLoop(false)
	if err != nil {
		bulk.close()
		return nil, err
	}
	return &Crowd{bulk: bulk, probes: probes}, nil
}

// Close ends all viewers.
func (c *Crowd) Close() {
	c.bulk.close()
	c.probes.close()
}

// Attach lets n viewers connect, joiners at a time. About probes of them look at
// what comes.
func (c *Crowd) Attach(t Target, n, probes, joiners int) error {
	c.target = t
	var next sync.Mutex
	var joined int
	var failed error
	take := func(err error) (int, bool) {
		next.Lock()
		defer next.Unlock()
		if failed == nil {
			failed = err
		}
		if failed != nil || joined == n {
			return 0, false
		}
		joined++
		return joined - 1, true
	}
	var wg sync.WaitGroup
	for range joiners {
		wg.Go(func() {
			var err error
			for {
				i, ok := take(err)
				if !ok {
					return
				}
				// Spread the probes evenly over the order of joining.
				err = c.join(i*probes/n != (i+1)*probes/n)
			}
		})
	}
	wg.Wait()
	return failed
}

// join adds a viewer.
func (c *Crowd) join(look bool) error {
	p := &probe{usual: c.target.Usual, began: proc.Now()}
	conn, err := c.target.connect(p.message)
	if err != nil {
		return err
	}
	p.asked = conn.asked
	v, err := conn.viewer()
	if err != nil {
		return err
	}
	if look {
		v.probe = p
		return c.probes.add(v)
	}
	return c.bulk.add(v)
}

// Begin starts a measurement of the server with process id pid.
func (c *Crowd) Begin(pid int) error {
	c.probes.mu.Lock()
	for _, v := range c.probes.viewers {
		v.probe.begin()
	}
	c.probes.mu.Unlock()
	c.start, c.lost = c.counts(), c.missing()
	c.began = proc.Now()
	var err error
	c.cpu, err = proc.CPU(pid)
	return err
}

// End ends the measurement that Begin started. expect returns how many bytes a
// viewer should have got in the time it lasted.
func (c *Crowd) End(pid int, expect func(time.Duration) uint64) (Report, error) {
	cpu, err := proc.CPU(pid)
	if err != nil {
		return Report{}, err
	}
	now := proc.Now()
	counts := c.counts()
	r := Report{
		Viewers: len(counts),
		Time:    time.Duration(now - c.began),
		CPU:     cpu - c.cpu,
		Lost:    c.missing() - c.lost,
		Least:   math.MaxUint64,
	}
	want := expect(r.Time)
	for i, n := range counts {
		n -= c.start[i]
		r.Bytes += n
		r.Least = min(r.Least, n)
		if n < want {
			r.Behind++
		}
	}
	for _, l := range []*loop{c.bulk, c.probes} {
		for _, v := range l.viewers {
			if v.gone.Load() {
				r.Gone++
			}
		}
	}
	c.probes.mu.Lock()
	defer c.probes.mu.Unlock()
	var latencies, joins []time.Duration
	for _, v := range c.probes.viewers {
		p := v.probe
		p.end(now)
		r.Probes++
		r.Missed += p.missed
		r.Stalls += p.stalls
		latencies = append(latencies, p.latencies...)
		if p.firstKey == 0 {
			r.NoKey++
			continue
		}
		joins = append(joins, time.Duration(p.firstKey-p.began))
	}
	r.LatencyP50, r.LatencyP99 = quantile.Of(latencies, 0.5), quantile.Of(latencies, 0.99)
	r.LatencyMax = quantile.Of(latencies, 1)
	r.JoinP50, r.JoinP99 = quantile.Of(joins, 0.5), quantile.Of(joins, 0.99)
	return r, nil
}

// missing returns how many datagrams have not come so far.
func (c *Crowd) missing() int { return c.bulk.missing() + c.probes.missing() }

// counts returns the bytes that each viewer got so far.
func (c *Crowd) counts() []uint64 {
	var n []uint64
	for _, l := range []*loop{c.bulk, c.probes} {
		for _, v := range l.viewers {
			n = append(n, v.bytes.Load())
		}
	}
	return n
}
