package main

import (
	"errors"
	"flag"
	"strconv"
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
		case "cameras":
			return camerasMain()
		case "ingest": // subject
			return ingestMain(args[1])
		case "film": // clip, path, bytes
			size, err := strconv.Atoi(args[3])
			if err != nil {
				return err
			}
			return filmMain(args[1], args[2], size)
		case "transmux": // from, to, fragmented, profile
			return transmuxMain(args[1], args[2], args[3] == "true", args[4])
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
