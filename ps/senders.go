package ps

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/mediakit-go/mediakit/internal/limitlog"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// Senders send streams as RTP, each to one receiver. What several receivers are
// sent in the same form (payload, SSRC and the like) is made once. The zero value
// finds no stream; fields must not change once Start was called.
type Senders struct {
	Handler source.Handler // asked for every stream, with a Request that is Passive; nil finds none

	// Ports are the first and the last port that UDP is sent from and passive senders
	// wait at; zeros mean 30000 to 35000.
	Ports [2]uint16

	// Dial connects to receivers by TCP; nil means net.Dialer. It has 5 s.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// OnEnd is called once for each Sender that Start returned, when it has ended. It
	// must not wait for one, as Stop, StopAll and the Close methods do. nil: nobody is
	// told.
	OnEnd func(SenderStats)

	Logger *slog.Logger // one line for each Sender; nil discards

	ready sync.Once
	ports udp.Ports
	log   limitlog.Limiter

	mu     sync.Mutex       // guards what follows
	all    map[*Sender]bool // whether Start has returned it
	closed bool

	work sync.WaitGroup // senders
}

// Start begins to send. It returns when the stream is there and the receiver
// connected, or the port open that a passive sender waits at; ctx bounds that and
// nothing after it. The Sender goes on until the stream ends or the receiver goes.
// Several may send one stream, also with one SSRC. The error wraps what the Handler
// says, such as source.ErrNotFound, source.ErrUnsupported if the payload can carry
// none of the tracks, source.ErrTimeout if a receiver does not answer, ErrPort and
// source.ErrBusy if our Port is in use, ErrPort and source.ErrLimit if all Ports are,
// ErrReceiverGone if the session of Over has ended, ErrInvalid for options that make
// no sense, source.ErrClosed after Close, and the system's errors.
func (s *Senders) Start(ctx context.Context, o SendOptions) (*Sender, error) {
	x, err := s.start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("ps: sending %s: %w", o.Key, err)
	}
	return x, nil
}

func (s *Senders) start(ctx context.Context, o SendOptions) (*Sender, error) {
	s.ready.Do(func() { s.ports.Min, s.ports.Max = s.Ports[0], s.Ports[1] })
	if err := o.complete(); err != nil {
		return nil, err
	}
	x := newSender(s, o)
	if !s.enter(x) {
		return nil, source.ErrClosed
	}
	stop := context.AfterFunc(ctx, func() { x.cancel(context.Cause(ctx)) })
	err := x.prepare()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil && s.keep(x) {
		go x.run()
		return x, nil
	}
	if x.ctx.Err() != nil {
		err = context.Cause(x.ctx)
	}
	x.release()
	s.leave(x)
	return nil, err
}

// enter takes x in, which is being started. It reports false after Close.
func (s *Senders) enter(x *Sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.all == nil {
		s.all = map[*Sender]bool{}
	}
	s.all[x] = false
	s.work.Add(1)
	return true
}

// keep records that x was started. It reports false if x was stopped before.
func (s *Senders) keep(x *Sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.ctx.Err() != nil {
		return false
	}
	s.all[x] = true
	return true
}

// forget takes x out of the list.
func (s *Senders) forget(x *Sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, x)
}

// leave is called last of all for x.
func (s *Senders) leave(x *Sender) {
	s.forget(x)
	close(x.done)
	s.work.Done()
}

// List returns those who send the stream called key, in no order; the zero Key
// means all streams.
func (s *Senders) List(key source.Key) []*Sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := key == source.Key{}
	key = inDefaults(key)
	var list []*Sender
	for x, started := range s.all {
		if started && (all || x.options.Key == key) {
			list = append(list, x)
		}
	}
	return list
}

// Stop ends those who send the stream called key with this SSRC, waits until they
// have, and returns how many that were.
func (s *Senders) Stop(key source.Key, ssrc uint32) int {
	key = inDefaults(key)
	return s.stop(func(o *SendOptions) bool { return o.Key == key && o.SSRC == ssrc })
}

// StopAll ends those who send the stream called key, waits until they have, and
// returns how many that were.
func (s *Senders) StopAll(key source.Key) int {
	key = inDefaults(key)
	return s.stop(func(o *SendOptions) bool { return o.Key == key })
}

// Close ends all and waits until they have. Nothing can be started after it.
func (s *Senders) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop(func(*SendOptions) bool { return true })
	s.work.Wait()
	return nil
}

// stop ends those who are asked for, also those who are just being started, and
// waits until they have. It returns how many had been started.
func (s *Senders) stop(which func(*SendOptions) bool) int {
	var stopped []*Sender
	n := 0
	s.mu.Lock()
	for x, started := range s.all {
		if !which(&x.options) {
			continue
		}
		x.cancel(source.ErrClosed)
		stopped = append(stopped, x)
		if started {
			n++
		}
	}
	s.mu.Unlock()
	for _, x := range stopped {
		<-x.done
	}
	return n
}
