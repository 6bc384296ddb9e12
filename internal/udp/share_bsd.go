//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package udp

import "syscall"

// sharing are the socket options that let others have a port for another
// address: those which the standard library sets for receivers of groups.
func sharing() []int { return []int{syscall.SO_REUSEADDR, syscall.SO_REUSEPORT} }
