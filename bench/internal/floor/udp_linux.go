package floor

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/wire"
)

// The socket option that makes the kernel cut what is written into datagrams
// (udp(7)), and how much it takes at once.
const (
	udpSegment  = 103
	maxSegments = 46 // of packetSize: as long as a UDP datagram may be
)

// StartUDP serves the viewers who connect to ln and tell their ports
// (wire.AskPlain): a batch per video frame. With offload the kernel makes the
// datagrams out of one write, else there is a write for each.
func StartUDP(ln net.Listener, offload bool) *Floor {
	f := newFloor(ln)
	var loops []*udpLoop
	for range runtime.GOMAXPROCS(0) {
		l := &udpLoop{added: make(chan receiver), batches: make(chan udpBatch, kept)}
		loops = append(loops, l)
		f.done.Go(func() { l.run(f.stop) })
	}
	f.done.Go(func() {
		f.accept(func(i int, conn net.Conn) {
			defer conn.Close()
			r, err := newReceiver(conn, offload)
			if err != nil {
				return // the viewer shows as behind
			}
			select {
			case loops[i%len(loops)].added <- r:
			case <-f.stop:
				r.close()
			}
		})
	})
	f.done.Go(func() { f.produce(0, &udpBatches{loops: loops}) })
	return f
}

// A udpBatch has the packets for each of a viewer's ports, one after the other.
type udpBatch struct{ video, audio []byte }

// udpBatches makes them.
type udpBatches struct {
	loops        []*udpLoop
	video, audio packetizer
	next         udpBatch
}

func (u *udpBatches) add(p media.Packet) {
	if p.Type == media.TagVideo {
		u.next.video = u.video.video(u.next.video, uint32(p.DTS/time.Microsecond*9/100), p.Key, p.Sample())
		return
	}
	u.next.audio = u.audio.audio(u.next.audio, uint32(p.DTS/time.Microsecond*6/125), p.Sample())
}

func (u *udpBatches) flush() {
	for _, l := range u.loops {
		select {
		case l.batches <- u.next:
		default: // it is that far behind: the datagrams are lost
		}
	}
	u.next = udpBatch{} // the loops have it
}

// A receiver is a viewer: a connected socket for each of its ports, so that the
// kernel looks up the way once and tells when the viewer is gone.
type receiver struct{ video, audio flow }

// newReceiver reads the ports of a viewer from conn.
func newReceiver(conn net.Conn, offload bool) (r receiver, err error) {
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	video, audio, err := wire.ReadPlain(conn)
	if err != nil {
		return r, err
	}
	ip := conn.RemoteAddr().(*net.TCPAddr).IP
	if r.video, err = newFlow(ip, video, packetSize, offload); err != nil {
		return r, err
	}
	if r.audio, err = newFlow(ip, audio, audioHeader+media.AudioSample, offload); err != nil {
		r.video.close()
	}
	return r, err
}

func (r receiver) close() {
	r.video.close()
	r.audio.close()
}

// send reports false, and closes the sockets, if the viewer is gone.
func (r receiver) send(b udpBatch) bool {
	if r.audio.write(b.audio) && r.video.write(b.video) {
		return true
	}
	r.close()
	return false
}

// A flow is one socket.
type flow struct {
	fd   int
	step int // bytes that are written at once
}

func newFlow(ip net.IP, port, size int, offload bool) (flow, error) {
	conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: ip, Port: port})
	if err != nil {
		return flow{}, fmt.Errorf("floor: %w", err)
	}
	defer conn.Close()
	fd, err := socket(conn)
	if err != nil {
		return flow{}, err
	}
	f := flow{fd: fd, step: size}
	if offload {
		f.step *= maxSegments
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_UDP, udpSegment, size); err != nil {
			f.close()
			return flow{}, fmt.Errorf("floor: segmentation offload: %w", err)
		}
	}
	return f, nil
}

func (f flow) close() { syscall.Close(f.fd) }

// write sends the packets in b. What the kernel does not take at once is lost.
// It reports false if nobody is there.
func (f flow) write(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), f.step)
		_, err := syscall.Write(f.fd, b[:n])
		if err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
			return false
		}
		b = b[n:]
	}
	return true
}

// A udpLoop sends the batches to its viewers.
type udpLoop struct {
	added   chan receiver
	batches chan udpBatch
}

func (l *udpLoop) run(stop <-chan struct{}) {
	var receivers []receiver
	defer func() {
		for _, r := range receivers {
			r.close()
		}
	}()
	for {
		select {
		case <-stop:
			return
		case r := <-l.added:
			receivers = append(receivers, r)
		case b := <-l.batches:
			receivers = slices.DeleteFunc(receivers, func(r receiver) bool { return !r.send(b) })
		}
	}
}
