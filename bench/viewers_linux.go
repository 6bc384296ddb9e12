package main

import (
	"os"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/child"
	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/media"
)

// attachArgs, measureArgs and joinArgs are what the viewers' process is told.
type attachArgs struct {
	Target    crowd.Target
	N, Probes int
	Joiners   int // how many connect at a time
}

type measureArgs struct {
	PID   int // of the server
	Slack int // bytes that may be on the way at either end of the time
}

type joinArgs struct {
	Target crowd.Target
	N      int
	Pause  time.Duration
}

// viewersMain is the process with the viewers.
func viewersMain() error {
	c, err := crowd.New()
	if err != nil {
		return err
	}
	defer c.Close()
	return child.Methods{
		"attach": child.Func(func(a attachArgs) (any, error) {
			return nil, c.Attach(a.Target, a.N, a.Probes, a.Joiners)
		}),
		"visit": child.Func(func(a attachArgs) (any, error) {
			c, err := crowd.New()
			if err != nil {
				return nil, err
			}
			defer c.Close()
			return nil, c.Attach(a.Target, a.N, a.Probes, a.Joiners)
		}),
		"begin": child.Func(func(a measureArgs) (any, error) {
			return nil, c.Begin(a.PID)
		}),
		"end": child.Func(func(a measureArgs) (crowd.Report, error) {
			return c.End(a.PID, func(d time.Duration) uint64 { return expected(d, a.Slack) })
		}),
		"join": child.Func(func(a joinArgs) (crowd.Joins, error) {
			return crowd.Join(a.Target, a.N, a.Pause)
		}),
	}.Serve(os.Stdin, os.Stdout)
}

// expected returns the bytes below which a viewer counts as behind: 98 % of
// what was published in d, less what may be on the way.
func expected(d time.Duration, slack int) uint64 {
	return uint64(max(0, int(0.98*media.ByteRate*d.Seconds())-slack))
}
