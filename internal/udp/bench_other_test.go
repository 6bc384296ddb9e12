//go:build !linux

package udp

func (c *Conn) withoutSegments() {}
