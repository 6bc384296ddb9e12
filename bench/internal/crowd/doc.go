// Package crowd is many viewers of one stream in one process, made to cost as
// little as viewers can: one thread waits for all sockets and lets the kernel
// throw away what came (recv with MSG_TRUNC), so that the bytes are counted but
// never copied; of a datagram it sees the sequence number. A few of them, the
// probes, are read in full by another thread: they tell how long frames take,
// what is missing, and when the first key frame came. It needs Linux.
package crowd
