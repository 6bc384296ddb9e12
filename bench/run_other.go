//go:build !linux

package main

import "errors"

func run([]string) error {
	return errors.New("the benchmark needs Linux: it counts CPU time and reads sockets by means of its kernel")
}
