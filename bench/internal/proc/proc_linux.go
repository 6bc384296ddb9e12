package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// clockMonotonic is CLOCK_MONOTONIC.
const clockMonotonic = 1

// Now returns nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share.
func Now() int64 {
	ts, _ := clock(clockMonotonic)
	return ts.Nano()
}

// CPU returns the time that pid spent on CPUs since it started, in user and
// kernel mode, all threads together. It is utime+stime of /proc/PID/stat, read
// from the process's CPU-time clock, which counts nanoseconds instead of ticks.
func CPU(pid int) (time.Duration, error) {
	// clock_getcpuclockid(3): the clock id is made of the pid, 2 is CPUCLOCK_SCHED.
	ts, err := clock(^pid<<3 | 2)
	if err != nil {
		return 0, fmt.Errorf("proc: CPU time of %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

func clock(id int) (syscall.Timespec, error) {
	var ts syscall.Timespec
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0)
	if e != 0 {
		return ts, e
	}
	return ts, nil
}

// RSS returns the resident memory of pid in bytes.
func RSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)) // exact, where the kernel has it
	field := "Rss:"
	if err != nil {
		b, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		field = "VmRSS:"
	}
	if err != nil {
		return 0, fmt.Errorf("proc: memory of %d: %w", pid, err)
	}
	kb, err := strconv.ParseInt(strings.TrimSuffix(lineOf(b, field), " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("proc: memory of %d: %w", pid, err)
	}
	return kb << 10, nil
}

// lineOf returns what follows name in the line that begins with it.
func lineOf(b []byte, name string) string {
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			return strings.TrimSpace(string(rest))
		}
	}
	return ""
}

// RaiseFiles raises the limit of open files as far as it goes and returns it.
func RaiseFiles() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("proc: limit of open files: %w", err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("proc: limit of open files: %w", err)
	}
	return int(min(l.Cur, 1<<30)), nil
}

// Machine describes the machine in a line.
func Machine() string {
	cpu := "unknown CPU"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if name, ok := strings.CutPrefix(s.Text(), "model name"); ok {
				cpu = strings.TrimLeft(name, "\t :")
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d cores, Linux %s, %s/%s, %s", cpu, runtime.NumCPU(),
		release(string(kernel)), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// release returns the numbers of a kernel's release, without what a distribution appends.
func release(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "-")
	return s
}

// Busy returns the share of all CPU time of the machine that was not idle since
// it was up, as busy and total time. The difference of two calls tells how busy
// the machine was between them.
func Busy() (busy, total time.Duration) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line) {
		if i == 0 || i > 8 { // "cpu"; guest time is part of user time
			continue
		}
		n, _ := strconv.ParseInt(f, 10, 64)
		d := time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100
		total += d
		if i != 4 && i != 5 { // idle, iowait
			busy += d
		}
	}
	return busy, total
}
