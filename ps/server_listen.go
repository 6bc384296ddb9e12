package ps

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mediakit-go/mediakit/internal/listen"
)

// Listen listens to TCP and UDP on the same port of addr, ":10000" if that is
// empty. Port 0 is one that is free for both.
func Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error) {
	return listenOn(ctx, addr, true, true)
}

// listenOn listens to TCP or UDP or both; what is not wanted is nil.
func listenOn(ctx context.Context, addr string, tcp, udp bool) (ln net.Listener, pc net.PacketConn, err error) {
	if addr == "" {
		addr = ":" + defaultPort
	}
	const tries = 100 // for a port that is free for both
	for range tries {
		if ln, pc, err = listenOnce(ctx, addr, tcp, udp); err == nil || !anyPort(addr) {
			break
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("ps: %w", err)
	}
	return ln, pc, nil
}

// listenOnce is one try of listenOn.
func listenOnce(ctx context.Context, addr string, tcp, udp bool) (ln net.Listener, pc net.PacketConn, err error) {
	at := addr
	if tcp {
		if ln, err = listen.TCP(ctx, addr, defaultPort); err != nil {
			return nil, nil, err
		}
		at = samePort(addr, ln.Addr())
	}
	if udp {
		if pc, err = new(net.ListenConfig).ListenPacket(ctx, "udp", at); err != nil {
			if ln != nil {
				_ = ln.Close()
			}
			return nil, nil, err
		}
	}
	if ln == nil && pc == nil {
		return nil, nil, errors.New("neither TCP nor UDP is wanted")
	}
	return ln, pc, nil
}

// anyPort reports whether the port of addr is 0.
func anyPort(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	return err == nil && (port == "0" || port == "")
}

// samePort returns addr with the port that was opened.
func samePort(addr string, opened net.Addr) string {
	host, _, err := net.SplitHostPort(addr)
	a, errPort := netip.ParseAddrPort(opened.String())
	if err != nil || errPort != nil {
		return addr
	}
	return net.JoinHostPort(host, fmt.Sprint(a.Port()))
}
