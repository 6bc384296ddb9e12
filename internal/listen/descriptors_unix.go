//go:build unix

package listen

import "syscall"

// descriptors returns how many descriptors the process may have; 0 if that is
// unknown or without limit.
func descriptors() int64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || uint64(l.Cur) > 1<<31 {
		return 0
	}
	return int64(l.Cur)
}
