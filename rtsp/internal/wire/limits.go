package wire

// Limits bound what a peer can make a [Reader] keep, and say what is wanted of
// it. Sizes are bytes. The zero value is for peers nothing is known of.
type Limits struct {
	Line    int // the first line, and each header; 0 means 8 KiB
	Headers int // lines of headers; 0 means 64
	Head    int // first line and headers; 0 means 64 KiB
	Body    int // 0 means 128 KiB

	// Wanted says which channels' packets are handed over, if they are not longer
	// than Packet. The others are skipped and counted; nil: all are.
	Wanted func(channel uint8) bool
	Packet int // 0 means 65535
	// Unwanted is how many packets in a row to be skipped are an error; 0: no number is.
	Unwanted int

	// Garbage is how many bytes in a row may be skipped that are none of what
	// belongs on a connection: cameras send such. 0: it is an error.
	Garbage int

	AnyVersion bool // RTSP of any version, not 1.0 only
	HTTP       bool // HTTP/1.x as well: the reader goes on behind the headers
}

func (l Limits) orDefaults() Limits {
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	set(&l.Line, 8<<10)
	set(&l.Headers, 64)
	set(&l.Head, 64<<10)
	set(&l.Body, 128<<10)
	set(&l.Packet, maxPayload)
	return l
}
