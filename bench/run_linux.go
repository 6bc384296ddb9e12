package main

import (
	"errors"
	"flag"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/proc"
)

// run is the program.
func run(args []string) error {
	if _, err := proc.RaiseFiles(); err != nil {
		return err
	}
	if len(args) > 0 {
		switch args[0] {
		case "floor", "server": // protocol, window
			merge, err := time.ParseDuration(args[len(args)-1])
			if err != nil {
				return err
			}
			if args[0] == "floor" {
				return floorMain(args[1], merge)
			}
			return serverMain(merge)
		case "viewers":
			return viewersMain()
		case "publish":
			return publishMain()
		}
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	s := newSession(o)
	s.measure()
	return s.report()
}
