// Package proc looks at a process from outside, on Linux: the CPU time it used,
// the memory it holds. It also has the clock that processes share.
package proc
