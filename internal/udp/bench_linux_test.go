package udp

func (c *Conn) withoutSegments() { c.fast.each.Store(true) }
