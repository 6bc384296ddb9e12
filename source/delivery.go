package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	defaultStall = 10 * time.Second
	maxControl   = 64 << 10              // control bytes that may wait for a peer to read
	sendBuffer   = 128 << 10             // unsent bytes the system may hold for a viewer
	slowWrite    = 20 * time.Millisecond // a write that takes longer has waited for the peer
	farewell     = 2 * time.Second       // what a peer gets to read the end of a stream
)

// DeliverOptions say how packets are written to a connection.
type DeliverOptions struct {
	Framed       bool                       // write Packet.Framed instead of Wire
	Prefix       []byte                     // written first: an HTTP response header, say
	Header       func(header []byte) []byte // turns the feed's header into what is written before the packets; nil writes it as it is
	AwaitKey     bool                       // start anew at the newest key packet, wait for it if there is none, and call Header then
	Paused       bool                       // begin paused: nothing is written, but Control bytes, before Resume
	Tracks       []int                      // of 0 to 63, the tracks whose packets are written; nil: all. Those with higher IDs always are
	Pace         float64                    // write what was there before the viewer at so many times the media's rate; 0: at once
	Trailer      []byte                     // written after the end of the stream
	MergeWindow  time.Duration              // collect packets for so long before a write; 0: one write per video frame
	StallTimeout time.Duration              // without progress for so long the viewer is cut; 0 means 10 s
}

// A PacketWriter takes a viewer's packets where they do not go to a connection:
// as datagrams, say. One goroutine at a time calls it.
type PacketWriter interface {
	// WritePackets sends the packets of b and returns how many bytes that were.
	// It never waits: what cannot be sent now is lost. There may be packets of
	// tracks that DeliverOptions.Tracks leaves out, which it skips. An error ends
	// the Delivery.
	WritePackets(b *Batch) (bytes int, err error)
	// Close is called when the Delivery has ended.
	Close() error
}

// A Batch is some packets for a PacketWriter. The same Batch goes to many
// writers, one after the other.
type Batch struct {
	Packets  []Packet
	Prepared any // what the writers made of Packets and share; nil at first
	Spare    any // Prepared of a batch before, whose memory can be used again; may be nil
}

// A Delivery writes the packets of a feed to one viewer's connection until the
// stream ends, the viewer is cut or Close is called. It owns all writing to the
// connection and closes it at the end; the caller goes on reading from it.
//
// A viewer who joins or is behind is served by a goroutine of its own, which
// waits for the socket. One who is up to date is handed to the feed's writer
// loop (shard.go), which serves hundreds with one non-blocking write each. On
// connections without raw writes (TLS, HTTP/2, tests) the goroutine stays.
type Delivery struct {
	cursor  *Cursor
	conn    net.Conn        // nil: out
	raw     syscall.RawConn // nil: no non-blocking writes
	out     PacketWriter    // instead of conn
	replay  replay
	trailer []byte
	window  time.Duration
	stall   time.Duration
	framed  bool
	done    chan struct{} // closed when nothing touches conn any more

	mu      sync.Mutex // guards what follows
	control []byte
	paused  bool
	starts  func(header []byte) []byte // to be called at the key packet it starts or goes on at
	shard   *shard                     // who serves it; nil: a goroutine of its own
	wake    chan struct{}              // that goroutine's
	leaving error                      // why it is to end once last is written; nil while it is not
	last    []byte                     //
	err     error                      // why it ended
}

// Deliver starts to write c's packets to conn. Nobody else may write to conn
// from now on.
func (c *Cursor) Deliver(conn net.Conn, o DeliverOptions) *Delivery {
	d := c.delivery(o)
	d.conn = conn
	if c.feed.stream != nil {
		d.raw = rawConn(conn)
	}
	limitSendBuffer(conn)
	d.start(o)
	return d
}

// DeliverTo starts to hand c's packets to w. What is not a packet, such as the
// result of DeliverOptions.Header, comes as one, too, in a Batch of its own; its
// Track is -1.
func (c *Cursor) DeliverTo(w PacketWriter, o DeliverOptions) *Delivery {
	d := c.delivery(o)
	d.out = w
	d.start(o)
	return d
}

func (c *Cursor) delivery(o DeliverOptions) *Delivery {
	d := &Delivery{
		cursor: c, framed: o.Framed, trailer: o.Trailer, window: o.MergeWindow, stall: o.StallTimeout,
		replay: replay{rate: o.Pace}, paused: o.Paused, done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	if d.stall <= 0 {
		d.stall = defaultStall
	}
	c.only = trackSetOf(o.Tracks)
	return d
}

func (d *Delivery) start(o DeliverOptions) {
	c := d.cursor
	c.place.waited = false
	header := c.header
	c.header = nil
	switch {
	case o.Paused:
		header = nil
	case o.AwaitKey:
		header = nil
		if d.starts = o.Header; o.Header == nil {
			d.starts = func(header []byte) []byte { return header }
		}
	case o.Header != nil:
		header = o.Header(header)
	}
	if c.sub != nil {
		c.sub.whenCut(func(err error) { d.end(err) })
	}
	go d.run(net.Buffers{o.Prefix, header})
}

// rawConn returns conn's raw form if whole batches can be written to it
// without waiting.
func rawConn(conn net.Conn) syscall.RawConn {
	if c, ok := conn.(syscall.Conn); ok && canTryWrite { // TCP, or what embeds it
		if raw, err := c.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// tcpUnder returns the TCP connection that conn, such as one of TLS, lies over.
func tcpUnder(conn net.Conn) *net.TCPConn {
	for {
		if tcp, ok := conn.(*net.TCPConn); ok {
			return tcp
		}
		over, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = over.NetConn()
	}
}

// Control queues bytes of the protocol's own (a pong, a reply) to be written
// between two packets, in the order of the calls; b is copied. It fails when the
// Delivery has ended, or when the peer lets more than 64 KiB pile up, which ends it.
func (d *Delivery) Control(b []byte) error {
	d.mu.Lock()
	if d.err != nil {
		defer d.mu.Unlock()
		return d.err
	}
	if len(d.control)+len(b) > maxControl {
		d.mu.Unlock()
		d.end(ErrStalled)
		return ErrStalled
	}
	d.control = append(d.control, b...)
	d.poke()
	d.mu.Unlock()
	return nil
}

// Pause stops the packets, not the control bytes; a live stream resumes at the
// newest key frame.
func (d *Delivery) Pause(paused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paused = paused
	d.poke()
}

// Resume is Pause(false), but goes on as a Delivery with AwaitKey starts: at the
// newest key packet, waiting for one if there is none, with the result of header
// before the packets; a nil header writes the feed's as it is. It must not be
// called again before header was.
func (d *Delivery) Resume(header func(header []byte) []byte) {
	if header == nil {
		header = func(header []byte) []byte { return header }
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paused, d.starts = false, header
	d.poke()
}

// Seek goes to another time of a stream that is no live one, as [Seeker] does, and
// leaves the Delivery paused: the first packet after Resume or Pause(false) is the
// one that it went to, and nothing from before is written once it has returned,
// but what is being written. It fails with ErrUnsupported if the stream has one
// time only; then, and if it fails otherwise, nothing has changed.
func (d *Delivery) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	s, ok := As[Seeker](d.cursor.r)
	if !ok || d.cursor.block == nil {
		return 0, ErrUnsupported
	}
	was := d.hold()
	t, err := d.cursor.feed.pump.seek(ctx, s, t)
	if err != nil {
		d.Pause(was)
	}
	return t, err
}

// hold pauses d so that nothing is written, whatever it is about to do. It returns
// whether it was paused.
func (d *Delivery) hold() (was bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was, d.paused = d.paused, true
	d.cursor.epoch.Add(1)
	d.poke()
	return was
}

// End lets the Delivery end as at the end of the stream, but with the bytes last
// instead of the Trailer and the reason err, nil for io.EOF: what is being
// written and Control bytes go out first, packets that wait do not. It does not
// wait for that. Only the first call counts.
func (d *Delivery) End(last []byte, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leaving == nil {
		d.leaving, d.last = cmp.Or(err, io.EOF), last
		d.poke()
	}
}

// poke makes whoever serves d look at it. The lock is held.
func (d *Delivery) poke() {
	if d.shard != nil {
		d.shard.attend(d)
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// end records why the Delivery is over, the first time, and stops it.
func (d *Delivery) end(err error) {
	d.mu.Lock()
	if d.err != nil {
		d.mu.Unlock()
		return
	}
	d.err = err
	d.poke()
	d.mu.Unlock()
	if d.conn != nil {
		_ = d.conn.Close() // a blocked write returns
	}
}

// Close ends the Delivery for the reason err if it has not ended yet, closes
// the connection and the Cursor, and returns the reason it ended for: io.EOF
// after the end of the stream. When it returns, nothing touches the connection
// any more.
func (d *Delivery) Close(err error) error {
	if err == nil {
		err = io.EOF
	}
	d.end(err)
	<-d.done
	if d.conn != nil {
		_ = d.conn.Close()
	}
	d.mu.Lock()
	err = d.err
	d.mu.Unlock()
	if d.cursor.sub != nil {
		d.cursor.sub.fail(err)
	}
	_ = d.cursor.Close()
	return err
}

// Done returns a channel that is closed when the Delivery has ended, by itself
// or by Close.
func (d *Delivery) Done() <-chan struct{} { return d.done }

// finish is called by whoever serves d when it will no longer touch it.
func (d *Delivery) finish(err error) {
	d.mu.Lock()
	if d.err == nil {
		d.err = err
	}
	graceful := errors.Is(d.err, io.EOF) || d.leaving != nil && d.err == d.leaving
	d.shard = nil
	d.mu.Unlock()
	switch {
	case d.out != nil:
		_ = d.out.Close()
	case graceful:
		d.hangUp()
	default:
		_ = d.conn.Close()
	}
	close(d.done)
}

// hangUp ends the connection so that the peer can read all that was written: a
// close while bytes from the peer are unread would reset it.
func (d *Delivery) hangUp() {
	c, ok := d.conn.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil {
		_ = d.conn.Close()
		return
	}
	_ = d.conn.SetReadDeadline(time.Now().Add(farewell))
}

// run serves d by a goroutine of its own: first what is given, then control
// bytes and packets, waiting for the socket, until d can be handed to a loop.
func (d *Delivery) run(first net.Buffers) {
	err := d.write(first)
	var b batch
	bufs, paused := first, false
	var starts func(header []byte) []byte
	for err == nil {
		was := paused
		var o orders
		o, err = d.orders()
		paused = o.paused
		switch {
		case o.starts != nil:
			starts = o.starts
			d.cursor.restart()
			d.replay.begun, d.replay.done = false, false
		case was && !paused:
			d.cursor.rejoin()
		}
		if len(o.control) > 0 && err == nil {
			err = d.write(net.Buffers{o.control})
			continue
		}
		if o.leaving && err == nil {
			err = d.leave()
		}
		if err != nil {
			break
		}
		if starts != nil && !paused {
			if header, ok := d.cursor.begin(); ok {
				err = d.write(net.Buffers{starts(header)})
				starts = nil
				continue
			}
		}
		at, pending, head := d.cursor.pending(d.window)
		if pending && starts == nil {
			at = d.replay.after(at, d.cursor)
		}
		switch {
		case paused && d.cursor.block != nil:
			<-d.wake // it is waited for: the end of the stream, too, comes after what it has not had
		case paused || starts != nil:
			if err = d.cursor.ended(); errors.Is(err, io.EOF) {
				d.End(d.trailer, err)
				err = nil
			} else if err == nil {
				if !paused {
					head = d.cursor.place.pos // there may be more than begin has looked at
				}
				d.idle(d.cursor.feed.wait(head), time.Time{})
			}
		case !pending || at.After(time.Now()):
			d.replay.done = d.replay.done || !pending
			if d.handOver() {
				return
			}
			// Who is paced waits for its time, even if there is more, or the end.
			if changed := d.cursor.feed.wait(head); changed != nil || pending && !d.replay.over() {
				d.idle(changed, at)
			}
		default:
			b = batch{packets: b.packets[:0], most: d.replay.batch(), epoch: o.epoch}
			if b, err = d.cursor.gather(b); err == nil {
				bufs, err = d.writePackets(bufs[:0], b.packets)
			} else if errors.Is(err, io.EOF) {
				d.End(d.trailer, err)
				err = nil
			}
			clear(b.packets)
		}
	}
	d.finish(err)
}

// orders are what a Delivery is asked to do.
type orders struct {
	control []byte
	paused  bool
	leaving bool
	starts  func(header []byte) []byte
	epoch   uint64
}

// orders returns what is asked for, and why d has ended if it has.
func (d *Delivery) orders() (orders, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := orders{d.control, d.paused, d.leaving != nil, d.starts, d.cursor.epoch.Load()}
	d.control, d.starts = nil, nil
	return o, d.err
}

// leave writes the last words and returns the reason for the end.
func (d *Delivery) leave() error {
	d.mu.Lock()
	last, reason := d.last, d.leaving
	d.mu.Unlock()
	if err := d.write(net.Buffers{last}); err != nil {
		return err
	}
	return reason
}

// idle waits until changed is closed, at is there, or somebody pokes d.
func (d *Delivery) idle(changed <-chan struct{}, at time.Time) {
	if changed == nil && at.IsZero() {
		return
	}
	var timeout <-chan time.Time
	if !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-changed:
	case <-timeout:
	case <-d.wake:
	}
}

// handOver gives d to a writer loop, unless there is something to do for it, it
// is not sent all there is, or its connection cannot be written without waiting.
func (d *Delivery) handOver() bool {
	p := d.cursor.place
	if p.needKey || p.jumped || !d.replay.over() || d.cursor.feed.stream == nil {
		return false
	}
	if d.out == nil && (d.raw == nil || d.conn.SetWriteDeadline(time.Time{}) != nil) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.control) > 0 || d.paused || d.leaving != nil || d.starts != nil || d.err != nil {
		return false
	}
	d.wake = nil
	d.shard = d.cursor.feed.shardFor(d.window)
	d.shard.add(d)
	return true
}

// takeBack is called by a loop that stops serving d; rest is what is left of a
// packet, to be written first.
func (d *Delivery) takeBack(rest []byte) {
	d.mu.Lock()
	d.shard = nil
	d.wake = make(chan struct{}, 1)
	d.mu.Unlock()
	go d.run(net.Buffers{rest})
}

// writePackets writes packets, by way of bufs.
func (d *Delivery) writePackets(bufs net.Buffers, packets []Packet) (net.Buffers, error) {
	if d.out != nil {
		n, err := d.out.WritePackets(&Batch{Packets: packets})
		d.cursor.count(n, len(packets))
		return bufs, err
	}
	n := 0
	for i := range packets {
		wire := packets[i].wire(d.framed)
		n += len(wire)
		bufs = append(bufs, wire)
	}
	if n == 0 {
		return bufs, nil
	}
	began := time.Now()
	err := d.write(bufs)
	if time.Since(began) > slowWrite {
		d.cursor.place.waited = true
	}
	clear(bufs)
	if err == nil {
		d.cursor.count(n, len(packets))
	}
	return bufs, err
}

// write writes bufs, however long it takes as long as there is progress.
func (d *Delivery) write(bufs net.Buffers) error {
	if d.out != nil {
		return d.writeTo(d.out, bufs)
	}
	if _, ok := d.conn.(syscall.Conn); !ok {
		return d.writeJoined(bufs)
	}
	for {
		if err := d.conn.SetWriteDeadline(time.Now().Add(d.stall)); err != nil {
			return err
		}
		n, err := bufs.WriteTo(d.conn)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n == 0:
			return fmt.Errorf("%w in %v", ErrStalled, d.stall)
		}
	}
}

// writeTo hands bufs to w, each as a packet.
func (d *Delivery) writeTo(w PacketWriter, bufs net.Buffers) error {
	for _, b := range bufs {
		if len(b) == 0 {
			continue
		}
		if _, err := w.WritePackets(&Batch{Packets: []Packet{{Track: -1, Wire: b}}}); err != nil {
			return err
		}
	}
	return nil
}

// writeJoined writes bufs as one piece, for connections on which each write
// costs a record or a lock.
func (d *Delivery) writeJoined(bufs net.Buffers) error {
	joined, _ := d.cursor.feed.buffers.Get().(*[]byte)
	if joined == nil {
		joined = new([]byte)
	}
	defer d.cursor.feed.buffers.Put(joined)
	*joined = (*joined)[:0]
	for _, b := range bufs {
		*joined = append(*joined, b...)
	}
	for b := *joined; len(b) > 0; {
		if err := d.conn.SetWriteDeadline(time.Now().Add(d.stall)); err != nil {
			return err
		}
		n, err := d.conn.Write(b[:min(len(b), batchBytes)])
		b = b[n:]
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n == 0:
			return fmt.Errorf("%w in %v", ErrStalled, d.stall)
		}
	}
	return nil
}
