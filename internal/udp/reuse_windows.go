package udp

import "golang.org/x/sys/windows"

// shareAlike lets other sockets have the port of one that is not bound yet, if they
// say so, too.
func shareAlike(fd uintptr) {
	_ = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
}
