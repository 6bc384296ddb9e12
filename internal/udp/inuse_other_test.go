//go:build !windows

package udp

import "syscall"

const errInUse = syscall.EADDRINUSE
