// Package memnet is a network in memory: connections with a buffer of a chosen
// size, deadlines and half-close, which wait on nothing but sync.Cond, channels
// and timers and so work in the bubbles of testing/synctest.
//
//	client, server := memnet.Pipe(64 << 10)
//	ln := memnet.Listen(64 << 10)
//	conn, err := ln.Dial(ctx)
//
// conn.go: [Conn]; half.go: one direction of it; listener.go: [Listener].
package memnet
