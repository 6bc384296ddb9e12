package udp

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// A Multicast says how a [Conn] sends to groups.
type Multicast struct {
	Interface *net.Interface // out of which; nil: the system chooses
	TTL       int            // routers a datagram may pass, and one more; 0 means 1, which is the local network
	Loopback  bool           // receivers on this host get them, too
}

// SetMulticast sets how c sends to groups, and lets receivers on this host have
// c's port for them. It does nothing for a connection that is not the system's.
func (c *Conn) SetMulticast(m Multicast) error {
	if c.udp == nil {
		return nil
	}
	c.share()
	if m.TTL == 0 {
		m.TTL = 1
	}
	if c.LocalAddr().Addr().Is4() {
		p := ipv4.NewPacketConn(c.udp)
		return m.set(p.SetMulticastInterface, p.SetMulticastTTL, p.SetMulticastLoopback)
	}
	p := ipv6.NewPacketConn(c.udp)
	return m.set(p.SetMulticastInterface, p.SetMulticastHopLimit, p.SetMulticastLoopback)
}

func (m Multicast) set(setInterface func(*net.Interface) error, setTTL func(int) error, setLoopback func(bool) error) error {
	if m.Interface != nil {
		if err := setInterface(m.Interface); err != nil {
			return fmt.Errorf("udp: multicast interface %s: %w", m.Interface.Name, err)
		}
	}
	if err := setTTL(m.TTL); err != nil {
		return fmt.Errorf("udp: multicast TTL %d: %w", m.TTL, err)
	}
	if err := setLoopback(m.Loopback); err != nil {
		return fmt.Errorf("udp: multicast loopback: %w", err)
	}
	return nil
}

// ListenMulticast opens a port that receives what is sent to a group, which
// others on this host may do as well. A valid source is the only one that is
// heard, if the network can tell; anybody is who sends to the group, otherwise.
// With ifi nil the system chooses where to listen.
func ListenMulticast(group netip.AddrPort, source netip.Addr, ifi *net.Interface) (*Conn, error) {
	group = unmap(group)
	if !group.Addr().IsMulticast() {
		return nil, fmt.Errorf("udp: %v is not a group", group)
	}
	network := "udp6"
	if group.Addr().Is4() {
		network = "udp4"
	}
	// For the address of a group, this binds to all addresses, and lets others
	// have the port.
	pc, err := new(net.ListenConfig).ListenPacket(context.Background(), network, group.String())
	if err != nil {
		return nil, err
	}
	c := NewConn(pc)
	c.groupOnly()
	if err := c.join(group.Addr(), source.Unmap(), ifi); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("udp: joining %v: %w", group.Addr(), err)
	}
	return c, nil
}

// groupMember is what IPv4 and IPv6 have in common.
type groupMember interface {
	JoinGroup(ifi *net.Interface, group net.Addr) error
	JoinSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error
}

// join makes c a member of a group.
func (c *Conn) join(group, source netip.Addr, ifi *net.Interface) error {
	var m groupMember = ipv6.NewPacketConn(c.udp)
	if group.Is4() {
		m = ipv4.NewPacketConn(c.udp)
	}
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(group, 0))
	if source.IsValid() && source.Is4() == group.Is4() {
		from := net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		if m.JoinSourceSpecificGroup(ifi, to, from) == nil {
			return nil
		}
	}
	return m.JoinGroup(ifi, to)
}

// InterfaceOf returns the network interface that has an address.
func InterfaceOf(ip netip.Addr) (*net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("udp: %w", err)
	}
	ip = ip.Unmap().WithZone("")
	for i := range all {
		addrs, err := all[i].Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				if its, ok := netip.AddrFromSlice(n.IP); ok && its.Unmap() == ip {
					return &all[i], nil
				}
			}
		}
	}
	return nil, fmt.Errorf("udp: no interface has %v", ip)
}

// InterfaceNamed returns the network interface with this name, or this address.
func InterfaceNamed(s string) (*net.Interface, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return InterfaceOf(ip)
	}
	return net.InterfaceByName(s)
}
