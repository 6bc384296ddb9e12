package ps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/source"
)

// ErrReceiverGone is wrapped by the reason for the end of a Sender whose receiver has
// closed the connection, or cannot be reached by it any more, or, of talk-back, does
// not send any more.
var ErrReceiverGone = errors.New("ps: the receiver has gone")

// A SendMode says who connects.
type SendMode uint8

// The modes.
const (
	SendUDP        SendMode = iota // to an address
	SendTCP                        // to an address that is connected to
	SendTCPPassive                 // to the first who connects to our port
	SendUDPPassive                 // to where the first datagram comes from that comes to our port
)

// String returns the mode's name, such as "udp passive".
func (m SendMode) String() string {
	switch m {
	case SendUDP:
		return "udp"
	case SendTCP:
		return "tcp"
	case SendTCPPassive:
		return "tcp passive"
	case SendUDPPassive:
		return "udp passive"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// tcp reports whether packets go over a connection.
func (m SendMode) tcp() bool { return m == SendTCP || m == SendTCPPassive }

// passive reports whether the receiver has to come first.
func (m SendMode) passive() bool { return m == SendTCPPassive || m == SendUDPPassive }

// SendOptions say what a Sender sends where.
type SendOptions struct {
	Key  source.Key // of the stream; an empty Vhost means source.DefaultVhost, an empty App "rtp"
	Mode SendMode
	To   string   // host:port of the receiver, unless that has to come
	Over *Session // talk-back: the packets go back on the way on which this one's come; Mode and To do not count
	Port uint16   // our port; 0: any of Senders.Ports, of SendTCP any

	SSRC uint32 // 0: one at random

	// Payload is what packets carry; PayloadAuto means PS. ES sends one track: the
	// first video, without it or with OnlyAudio the first audio. It suits receivers who
	// know a codec by its PayloadType, or are told of it by an SDP, which AAC needs, for
	// its configuration: it goes by RFC 3640, which no ReceiveOptions take.
	Payload     Payload
	PayloadType uint8 // 0 means 96 for PS, 33 for TS, and for ES the static type, 98 for H264, 99 for H265, 100 for Opus, else 96
	OnlyAudio   bool

	AudioDuration time.Duration // of G.711 in a frame, 20 to 180 ms; 0 means 100 ms, negative as it comes
	ReportTimeout time.Duration // UDP: without a word from the receiver's RTCP for so long it ends; 0: never
	AcceptTimeout time.Duration // passive: a receiver who has not come by then is not waited for; 0 means 5 s
}

// Bounds and defaults of SendOptions, and how long connecting to a receiver may take.
const (
	defaultAudio   = 100 * time.Millisecond
	shortestAudio  = 20 * time.Millisecond
	longestAudio   = 180 * time.Millisecond
	defaultAccept  = 5 * time.Second
	connectTimeout = 5 * time.Second
)

// complete checks o and fills in what is left to us.
func (o *SendOptions) complete() error {
	switch {
	case o.Payload > PayloadES:
		return invalid("payload %d", o.Payload)
	case o.PayloadType > 127:
		return invalid("payload type %d", o.PayloadType)
	case o.Over == nil && o.Mode > SendUDPPassive:
		return invalid("%v", o.Mode)
	case o.Over == nil && !o.Mode.passive() && !canSendTo(o.Mode, o.To):
		return invalid("address to send to: %q", o.To)
	}
	o.Key = inDefaults(o.Key)
	if o.Payload == PayloadAuto {
		o.Payload = PayloadPS
	}
	for o.SSRC == 0 {
		o.SSRC = rand.Uint32()
	}
	o.AudioDuration = cmp.Or(o.AudioDuration, defaultAudio)
	if o.AudioDuration > 0 {
		o.AudioDuration = min(max(o.AudioDuration, shortestAudio), longestAudio)
	}
	o.AcceptTimeout = cmp.Or(o.AcceptTimeout, defaultAccept)
	return nil
}

// canSendTo reports whether an address has a port.
func canSendTo(m SendMode, addr string) bool {
	network := "udp"
	if m.tcp() {
		network = "tcp"
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	n, err := net.LookupPort(network, port)
	return err == nil && n > 0
}

// form returns what the packets are like.
func (o *SendOptions) form() streamForm {
	return streamForm{
		payload: o.Payload, payloadType: o.PayloadType, ssrc: o.SSRC, onlyAudio: o.OnlyAudio, join: max(o.AudioDuration, 0),
	}
}

// protocol returns how the receiver is reached, as links tell it.
func (o *SendOptions) protocol() string {
	switch {
	case o.Over != nil:
		return o.Over.link.protocol()
	case o.Mode.tcp():
		return "tcp"
	}
	return "udp"
}

// remote returns the address in To, nil if there is a name in it.
func (o *SendOptions) remote() net.Addr {
	a, err := netip.ParseAddrPort(o.To)
	switch {
	case o.Over != nil:
		return o.Over.link.remote()
	case err != nil || o.Mode.passive():
		return nil
	case o.Mode.tcp():
		return net.TCPAddrFromAddrPort(a)
	}
	return net.UDPAddrFromAddrPort(a)
}

// A Sender sends a stream to a receiver. It begins with the newest key frame. It
// ends with the stream, for which a publisher that was lost is waited as for other
// viewers; when the receiver goes, makes no progress for 10 s, or is silent for
// ReportTimeout; and when it is closed.
type Sender struct {
	set     *Senders
	id      string
	options SendOptions
	form    streamForm
	began   time.Time
	ctx     context.Context // ends for the reason that it ends for
	cancel  context.CancelCauseFunc
	reader  source.Reader // nil before there is a stream
	play    playing       // what tells of reader
	lent    bool          // a Cursor closes reader
	way     sendWay       // nil before there is one
	done    chan struct{}

	mu  sync.Mutex // guards what follows
	err error      // why it has ended
}

// A playing is a play session: *source.Subscription or *source.Viewing.
type playing interface {
	Done() <-chan struct{}
	Stats() source.SessionStats
}

// A sendWay is how a Sender reaches its receiver.
type sendWay interface {
	// meet waits until a receiver has come.
	meet(ctx context.Context) error
	// deliver starts to send.
	deliver(c *source.Cursor) *source.Delivery
	// gone returns a channel that is closed when there is no way any more, and
	// what tells why.
	gone() (<-chan struct{}, func() error)
	// explain returns what the error of a Delivery means.
	explain(err error) error
	// rest is called when all was sent, before the Delivery is closed: it waits until
	// it has arrived, or ctx is done.
	rest(ctx context.Context)
	// close says goodbye and gives everything back. Nothing is sent any more.
	close()
	// addrs returns our address and the receiver's, nil if there is none yet. It is
	// called by any goroutine.
	addrs() (local, remote net.Addr)
	// dropped returns how many packets could not be sent. It is called by any goroutine.
	dropped() uint64
}

// SenderStats are the counters of a Sender.
type SenderStats struct {
	ID            string      // of the play session
	Options       SendOptions // with what was left to us, but for Port, which Local has
	Local, Remote net.Addr    // Remote is nil before a receiver has come
	Start         time.Time
	Frames        uint64 // sent
	Bytes         uint64 // sent, with RTP's headers and framing
	Skipped       uint64 // frames left out because the receiver was too slow
	Dropped       uint64 // UDP: packets that the system did not take

	// Err is why it ended; nil while it lasts, io.EOF at the end of the stream,
	// source.ErrClosed if it was closed or stopped. It wraps ErrReceiverGone, also
	// when the session has ended that talk-back goes over,
	// source.ErrStalled, source.ErrTimeout for a receiver that did not come or does not
	// report, source.ErrKicked, source.ErrNewFormat if ES cannot follow what the stream
	// has become.
	Err error
}

func newSender(s *Senders, o SendOptions) *Sender {
	x := &Sender{set: s, id: source.NewID(), options: o, began: time.Now(), done: make(chan struct{})}
	x.ctx, x.cancel = context.WithCancelCause(context.Background())
	return x
}

// Stats returns the counters as they are now.
func (x *Sender) Stats() SenderStats {
	s := SenderStats{ID: x.id, Options: x.options, Start: x.began, Dropped: x.way.dropped()}
	s.Local, s.Remote = x.way.addrs()
	played := x.play.Stats()
	s.Frames, s.Bytes, s.Skipped = played.Frames, played.Bytes, played.Skipped
	x.mu.Lock()
	defer x.mu.Unlock()
	s.Err = x.err
	return s
}

// Done returns a channel that is closed when the Sender has ended and given
// everything back.
func (x *Sender) Done() <-chan struct{} { return x.done }

// Close ends it and waits until it has.
func (x *Sender) Close() error {
	x.cancel(source.ErrClosed)
	<-x.done
	return nil
}

// prepare finds the stream and a way to the receiver.
func (x *Sender) prepare() error {
	o := &x.options
	if x.set.Handler == nil {
		return source.ErrNotFound
	}
	req := &source.Request{
		ID: x.id, Schema: schema, Protocol: protocolName(o.protocol()), Key: o.Key, Remote: o.remote(), Passive: true,
	}
	var err error
	if x.reader, err = x.set.Handler.Play(x.ctx, req); err != nil {
		return err
	}
	var ok bool
	if x.play, ok = source.As[playing](x.reader); !ok {
		viewing := source.Account(req, x.reader)
		x.reader, x.play = viewing, viewing
	}
	tracks := x.reader.Tracks()
	f := o.form()
	if o.PayloadType == 0 {
		f.payloadType = f.usualType(tracks)
		o.PayloadType = f.payloadType
	}
	if x.form = f; len(tracks) > 0 && !f.carriesAny(tracks) {
		return fmt.Errorf("%w: none of %v", source.ErrUnsupported, tracks)
	}
	x.way, err = x.open()
	return err
}

// open opens the way to the receiver.
func (x *Sender) open() (sendWay, error) {
	switch {
	case x.options.Over != nil:
		return openTalk(x)
	case x.options.Mode.tcp():
		return openSendTCP(x)
	}
	return openSendUDP(x)
}

// release gives back what prepare has got.
func (x *Sender) release() {
	if x.way != nil {
		x.way.close()
	}
	if x.reader != nil && !x.lent {
		_ = x.reader.Close()
	}
	x.cancel(nil)
}

// run sends until there is a reason to end.
func (x *Sender) run() {
	err := x.guard(x.send)
	x.release()
	x.mu.Lock()
	x.err = err
	x.mu.Unlock()
	x.set.forget(x)
	stats := x.Stats()
	x.set.log.Log(x.set.Logger, slog.LevelInfo, "ps: sender ended", "stream", x.options.Key.String(),
		"ssrc", fmt.Sprintf("%08X", x.options.SSRC), "to", stats.Remote, "bytes", stats.Bytes, "error", err)
	if x.set.OnEnd != nil {
		x.set.OnEnd(stats)
	}
	x.set.leave(x)
}

// guard calls f. A panic ends this sender and nothing else.
func (x *Sender) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			x.set.log.Log(x.set.Logger, slog.LevelError, "ps: panic", "stream", x.options.Key.String(), "panic", p, "stack", string(debug.Stack()))
			err = listen.ErrPanic
		}
	}()
	return f()
}

// send waits for the receiver, and sends. It returns why it ended.
func (x *Sender) send() error {
	if err := x.meet(); err != nil {
		return err
	}
	cursor, err := source.FeedOf(x.ctx, x.reader, x.form.format())
	if err != nil {
		return err
	}
	x.lent = true
	d := x.way.deliver(cursor)
	gone, why := x.way.gone()
	select {
	case <-d.Done():
		x.way.rest(x.ctx)
		err = d.Close(nil)
	case <-gone:
		err = d.Close(why())
	case <-x.ctx.Done():
		err = d.Close(context.Cause(x.ctx))
	}
	if m, ok := cursor.Muxer().(*streamMuxer); ok && errors.Is(err, io.EOF) {
		return cmp.Or(m.failure(), err)
	}
	return x.way.explain(err)
}

// meet waits for the receiver, and not longer than for the stream.
func (x *Sender) meet() error {
	if x.options.Over != nil || !x.options.Mode.passive() {
		return nil
	}
	timeout := x.options.AcceptTimeout
	ctx, cancel := context.WithTimeoutCause(x.ctx, timeout, fmt.Errorf("%w: no receiver in %v", source.ErrTimeout, timeout))
	defer cancel()
	met := make(chan struct{})
	var err error
	go func() {
		defer close(met)
		err = x.guard(func() error { return x.way.meet(ctx) })
	}()
	select {
	case <-met:
		return err
	case <-x.play.Done():
		cancel()
		<-met
		return cmp.Or(x.play.Stats().Err, io.EOF)
	}
}
