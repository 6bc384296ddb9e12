package main

import (
	"net"
	"os"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/child"
	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/floor"
)

// floorMain is the process that is the floor.
func floorMain(protocol string, merge time.Duration) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var f *floor.Floor
	switch protocol {
	case crowd.PlainUDP, crowd.PlainSendto:
		f = floor.StartUDP(ln, protocol == crowd.PlainUDP)
	default:
		f = floor.Start(ln, merge)
	}
	defer f.Close()
	return child.Methods{
		"addrs": child.Func(func(struct{}) (map[string]string, error) {
			return map[string]string{protocol: ln.Addr().String()}, nil
		}),
	}.Serve(os.Stdin, os.Stdout)
}
