// Package floor is the least a server could do: it writes the bytes of a stream
// to plain sockets, with the same batches as the real one and without a
// protocol, a request or a slow viewer. One loop per core does one non-blocking
// write per batch and socket. By UDP these are RTP packets, of which the kernel
// makes datagrams out of one write (segmentation offload), or each is written.
// It needs Linux.
package floor
