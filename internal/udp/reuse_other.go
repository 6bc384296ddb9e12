//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd || windows)

package udp

// shareAlike does nothing: there is no such thing on these systems.
func shareAlike(uintptr) {}
