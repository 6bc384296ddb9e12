package crowd

import (
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/proc"
	"github.com/mediakit-go/mediakit/bench/internal/quantile"
)

// Join lets n viewers come, one after the other and pause apart, each until it
// has a key frame.
func Join(t Target, n int, pause time.Duration) (Joins, error) {
	var connect, ask []time.Duration
	buf := make([]byte, 256<<10)
	for range n {
		p := &probe{began: proc.Now()}
		if err := joinOne(t, p, buf); err != nil {
			return Joins{}, err
		}
		connect = append(connect, time.Duration(p.firstKey-p.began))
		ask = append(ask, time.Duration(p.firstKey-p.asked))
		time.Sleep(pause)
	}
	return Joins{
		quantile.Of(connect, 0.5), quantile.Of(connect, 0.99),
		quantile.Of(ask, 0.5), quantile.Of(ask, 0.99),
	}, nil
}

// joinOne reads until p has its key frame.
func joinOne(t Target, p *probe, buf []byte) error {
	c, err := t.connect(p.message)
	if err != nil {
		return err
	}
	defer c.close()
	p.asked = c.asked
	conn, scan := c.first()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for p.firstKey == 0 {
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("crowd: no key frame: %w", err)
		}
		if err := scan(buf[:n]); err != nil {
			return err
		}
	}
	return nil
}
