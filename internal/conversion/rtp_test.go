package conversion

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// openReceiver opens a port for the stream key. It is for TCP, where nothing is
// lost, and patient: at the gate a film stands still. Who goes without a word is not
// waited for.
func openReceiver(t *testing.T, set *ps.Receivers, key source.Key) (*ps.Receiver, string, error) {
	o := ps.ReceiverOptions{Key: key, Addr: loopback, Mode: ps.TCPPassive}
	o.Receive.Timeout, o.Receive.Options.Linger = patience, -1
	r, err := set.Open(o)
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, netip.AddrPortFrom(loopback, r.Port()).String(), nil
}

// A device makes the RTP packets of frames as others do.
type device interface {
	packets(f *codec.Frame) ([][]byte, error)
	Goodbye() []byte
}

// received publishes what a device sends to a port.
func received(of func(tracks []*codec.Track) device) func(*testing.T, *site, source.Key, *film, <-chan struct{}) error {
	return func(t *testing.T, s *site, key source.Key, f *film, open <-chan struct{}) error {
		r, addr, err := openReceiver(t, s.receivers, key)
		if err != nil {
			return err
		}
		nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return err
		}
		w := &deviceWriter{of(f.tracks), nc}
		err = source.Copy(t.Context(), w, &gate{f.again(), open})
		session := r.Session()
		if err = cmp.Or(err, w.Close()); err == nil && session != nil {
			<-session.Done()
		}
		return err
	}
}

// A deviceWriter writes packets to a connection.
type deviceWriter struct {
	device
	nc net.Conn
}

func (w *deviceWriter) WriteFrame(_ context.Context, f *codec.Frame) error {
	packets, err := w.packets(f)
	if err == nil {
		_, err = w.nc.Write(rtptest.RFC4571(packets))
	}
	return err
}

func (w *deviceWriter) Close() error {
	_, err := w.nc.Write(rtptest.RFC4571([][]byte{w.Goodbye()}))
	return cmp.Or(err, w.nc.Close())
}

// A container is a device that sends a program or transport stream.
type container struct {
	mux interface {
		Append(dst []byte, f *codec.Frame) ([]byte, error)
	}
	rtptest.Sender
}

func (c *container) packets(f *codec.Frame) ([][]byte, error) {
	b, err := c.mux.Append(nil, f)
	return c.Packets(rtptest.Unit{Timestamp: timestamp(f, 90000), Data: b}), err
}

// timestamp returns the time of f as packets have it.
func timestamp(f *codec.Frame, clock int) uint32 { return uint32(codec.Ticks(f.PTS, clock)) }

func programDevice(tracks []*codec.Track) device {
	return &container{ps.NewMuxer(tracks), rtptest.Sender{SSRC: 1, PayloadType: 96}}
}

func transportDevice(tracks []*codec.Track) device {
	return &container{ts.NewMuxer(tracks), rtptest.Sender{SSRC: 1, PayloadType: 33}}
}

// An elementary is a device that sends tracks as they are, told apart by their
// payload types.
type elementary struct{ rtptest.Sender }

func elementaryDevice([]*codec.Track) device { return &elementary{rtptest.Sender{SSRC: 1}} }

// packets uses the payload types of RFC 3551, and others that platforms agree on.
// There are none of AV1, VP8 and VP9.
func (e *elementary) packets(f *codec.Frame) ([][]byte, error) {
	var nalus [][]byte
	if f.Key() {
		nalus = slices.Clone(f.Track.ParameterSets())
	}
	switch f.Track.Codec {
	case codec.H264:
		e.PayloadType = 98
		return e.H264(slices.AppendSeq(nalus, f.NALUs()), timestamp(f, 90000)), nil
	case codec.H265:
		e.PayloadType = 99
		return e.H265(slices.AppendSeq(nalus, f.NALUs()), timestamp(f, 90000)), nil
	case codec.AAC:
		b, err := codec.AppendADTS(nil, f.Track, f.Data)
		return e.sound(96, f.Track.SampleRate, f, b), err
	case codec.MP3: // RFC 2250, 3.5
		return e.sound(14, 90000, f, append(make([]byte, 4), f.Data...)), nil
	case codec.Opus:
		return e.sound(100, 48000, f, f.Data), nil
	case codec.PCMU:
		return e.sound(0, 8000, f, f.Data), nil
	case codec.PCMA:
		return e.sound(8, 8000, f, f.Data), nil
	}
	return nil, nil
}

// sound returns the packet of a frame of audio.
func (e *elementary) sound(payloadType uint8, clock int, f *codec.Frame, b []byte) [][]byte {
	e.PayloadType = payloadType
	return [][]byte{e.Packet(b, timestamp(f, clock), true)}
}

// An rtpViewer is sent a stream, and plays what comes of it.
type rtpViewer struct {
	done chan struct{} // closed when all has come
	result
	err error
}

// sent sends a stream by TCP, in one form or, where each has but a part, in several.
// play plays what comes to a port.
func sent(play func(t *testing.T, s *site, name source.Key) port, forms ...ps.SendOptions) func(*testing.T, *site, source.Key) viewer {
	return func(t *testing.T, s *site, key source.Key) viewer {
		v := &rtpViewer{done: make(chan struct{})}
		ctx := t.Context()
		parts := make([]result, len(forms))
		var playing errgroup
		for i, o := range forms {
			name := key
			name.Stream = fmt.Sprintf("%s-%v-%t", key.Stream, o.Payload, o.OnlyAudio)
			p := play(t, s, name)
			o.Key, o.Mode, o.To, o.AudioDuration = key, ps.SendTCP, p.addr, -1
			playing.Go(func() (err error) {
				x, err := s.senders.Start(ctx, o)
				if err != nil {
					return err
				}
				parts[i], err = p.read(ctx, x)
				return err
			})
		}
		go func() {
			defer close(v.done)
			v.err = playing.Wait()
			for _, x := range parts {
				v.tracks, v.frames = append(v.tracks, x.tracks...), append(v.frames, x.frames...)
			}
		}()
		return v
	}
}

// watching is told by the number of those that take packets of the feeds.
func (v *rtpViewer) watching(context.Context) error { return nil }

// variant returns what the variants of the feeds for a payload begin with.
func variant(p ps.Payload) string { return fmt.Sprintf("%d ", p) }

func (v *rtpViewer) all(ctx context.Context) (result, error) {
	select {
	case <-v.done:
		return v.result, v.err
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
}

// An errgroup waits for functions, and keeps the errors.
type errgroup struct {
	wg   sync.WaitGroup
	mu   sync.Mutex // guards errs
	errs []error
}

func (g *errgroup) Go(f func() error) {
	g.wg.Go(func() {
		err := f()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.errs = append(g.errs, err)
	})
}

func (g *errgroup) Wait() error {
	g.wg.Wait()
	return errors.Join(g.errs...)
}

// A port is where a stream is sent to.
type port struct {
	addr string
	read func(ctx context.Context, x *ps.Sender) (result, error) // what x sends, to the end
}

// collected is a port whose stream is kept as it comes.
func collected(t *testing.T, s *site, name source.Key) port {
	c := &collection{done: make(chan struct{})}
	s.collections.Store(name, c)
	_, addr, err := openReceiver(t, s.collectors, name)
	require.NoError(t, err)
	return port{addr, func(ctx context.Context, _ *ps.Sender) (result, error) {
		select {
		case <-c.done:
			return c.result, nil
		case <-ctx.Done():
			return result{}, ctx.Err()
		}
	}}
}

// A collector is a Handler of streams that are kept.
type collector struct{ *site }

func (collector) Play(context.Context, *source.Request) (source.Reader, error) {
	return nil, source.ErrForbidden
}

func (s collector) Publish(_ context.Context, r *source.Request) (source.Publication, error) {
	c, _ := s.collections.Load(r.Key)
	return c.(*collection), nil
}

// A collection is all of a stream.
type collection struct {
	result
	done chan struct{} // closed when it is complete
}

func (c *collection) SetTracks(tracks []*codec.Track, _ bool) error {
	c.tracks = tracks
	return nil
}

func (c *collection) WriteFrame(_ context.Context, f *codec.Frame) error {
	c.frames = append(c.frames, f)
	return nil
}

func (c *collection) CloseWithError(error) error { close(c.done); return nil } // a sender goes without a word
func (c *collection) Close() error               { return c.CloseWithError(nil) }

// A noter is the Handler of senders. It notes which tracks the streams have.
type noter struct{ *site }

func (s noter) Play(ctx context.Context, r *source.Request) (source.Reader, error) {
	x, err := patient{s.hub}.Play(ctx, r)
	if err == nil {
		s.sentTracks.Store(r.Key, x.Tracks())
	}
	return x, err
}

func (noter) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}

// unpacked is a port where elementary streams are taken out of their packets by who
// knows what they carry: no packet tells it of AV1, VP8 and VP9.
func unpacked(t *testing.T, s *site, _ source.Key) port {
	ln, err := net.Listen("tcp", netip.AddrPortFrom(loopback, 0).String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	return port{ln.Addr().String(), func(ctx context.Context, x *ps.Sender) (result, error) {
		nc, err := ln.Accept()
		if err != nil {
			return result{}, err
		}
		defer nc.Close()
		defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
		o := x.Stats().Options
		tracks, _ := s.sentTracks.Load(o.Key)
		for _, track := range tracks.([]*codec.Track) {
			if (track.Kind() == codec.KindAudio) == o.OnlyAudio {
				return unpack(bufio.NewReader(nc), track, o.PayloadType)
			}
		}
		_, err = io.Copy(io.Discard, nc) // without pictures it is the sound, again
		return result{}, err
	}}
}

// unpack returns what comes of a track from r.
func unpack(r io.Reader, sent *codec.Track, payloadType uint8) (x result, err error) {
	form, ok := rtp.Describe(sent, payloadType)
	if !ok {
		return x, fmt.Errorf("%v: not described", sent)
	}
	track, err := form.Track(1)
	if err != nil {
		return x, err
	}
	var receiver rtp.Receiver
	if _, err := receiver.Add(&form, track); err != nil {
		return x, err
	}
	for {
		var head [2]byte
		if _, err = io.ReadFull(r, head[:]); err != nil {
			break
		}
		b := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err = io.ReadFull(r, b); err != nil {
			break
		}
		if x.frames, err = receiver.RTP(x.frames, 0, b, time.Now()); err != nil {
			break
		}
	}
	x.frames, _ = receiver.Expire(x.frames, time.Now().Add(time.Hour))
	x.tracks = receiver.Tracks()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return x, err
}
