//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package udp

// share lets others who want to share ports have c's, for another address. That
// would let them take it for the same address, too, on these systems.
func (c *Conn) share() {}
