//go:build !unix

package listen

// descriptors returns how many descriptors the process may have; 0 if that is
// unknown or without limit.
func descriptors() int64 { return 0 }
