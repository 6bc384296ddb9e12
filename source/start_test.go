package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// mark returns a Header function that puts a word before the feed's header.
func mark(word string) func([]byte) []byte {
	return func(header []byte) []byte { return append([]byte(word+" "), header...) }
}

// TestDeliveryTracks: who wants some tracks gets these and nothing else, whole,
// however slowly it reads.
func TestDeliveryTracks(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video, audio)
		wants := [][]int{nil, {1}, {2}, {1, 2}, {7}}
		var viewers []*watcher
		for i := range 2 * len(wants) {
			x := s.watch(w, ViewerOptions{MaxLag: time.Hour}, DeliverOptions{Tracks: wants[i/2], Framed: i%2 == 1})
			viewers = append(viewers, x)
			go x.read([]int{7, 4096, 65536}[i%3])
		}
		want := make([]strings.Builder, len(viewers))
		for n := range 200 {
			f, a := frame(video, n, n%25 == 0), frame(audio, n, true)
			f.Data = make([]byte, 100+n*5)
			s.write(p, f, a)
			for i := range want {
				ws := strings.Repeat("ws ", i%2)
				only := trackSetOf(wants[i/2])
				if only.has(1) {
					want[i].WriteString(ws + textLine(f))
				}
				if only.has(2) {
					want[i].WriteString(ws + textLine(a))
				}
			}
			if n%10 == 0 {
				time.Sleep(ms)
			}
		}
		require.NoError(t, p.Close())
		for i, x := range viewers {
			<-x.eof
			require.Equal(t, io.EOF, <-x.done)
			if x.text() != "header 1=01 2=02\n"+want[i].String() {
				t.Fatalf("viewer %d got %d bytes of %d", i, len(x.text()), want[i].Len())
			}
			require.EqualValues(t, strings.Count(want[i].String(), "\n"), x.d.cursor.sub.Stats().Frames)
			require.EqualValues(t, want[i].Len(), x.d.cursor.sub.Stats().Bytes)
		}
	})
}

// TestDeliveryAwaitsKey: a cursor that was taken earlier starts at what is the
// newest key packet then, or the next one if there is none.
func TestDeliveryAwaitsKey(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		s.write(p, frame(video, 0, false))
		early := s.watch(w, ViewerOptions{}, DeliverOptions{AwaitKey: true, Header: mark("begins"), Prefix: []byte("first\n")})
		go early.read(1000)
		early.has(t, "first\n")
		require.NoError(t, early.d.Control([]byte("pong\n")))
		early.has(t, "pong\n")
		s.write(p, frame(video, 1, false))
		c := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		s.write(p, frame(video, 2, true), frame(video, 3, false))
		early.has(t, "first\npong\nbegins header 1=01\n80:1K\n120:1-\n")
		s.write(p, frame(video2, 4, true), frame(video2, 5, false))

		viewer, server := w.conns(t)
		late := &watcher{Conn: viewer, done: make(chan error, 1), eof: make(chan struct{})}
		late.d = c.Deliver(server, DeliverOptions{AwaitKey: true})
		go late.read(1000)
		late.has(t, "200:1-\n")
		require.Equal(t, "header 1=11\n160:1K\n200:1-\n", late.text(), "not where the cursor was taken")
		require.NoError(t, p.Close())
		for _, x := range []*watcher{early, late} {
			<-x.eof
			require.Equal(t, io.EOF, x.d.Close(nil))
		}
	})
}

// TestDeliveryAwaitsInVain: the stream's end comes to who waits for a key packet.
func TestDeliveryAwaitsInVain(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		s.write(p, frame(video, 0, false))
		x := s.watch(w, ViewerOptions{}, DeliverOptions{AwaitKey: true, Header: mark("begins"), Trailer: []byte("bye\n")})
		go x.read(1000)
		s.write(p, frame(video, 1, false))
		require.NoError(t, p.Close())
		<-x.eof
		require.Equal(t, io.EOF, <-x.done)
		require.Equal(t, "bye\n", x.text())
	})
}

// TestDeliveryResume goes on at the newest key packet, with its header.
func TestDeliveryResume(t *testing.T) {
	onBoth(t, func(t *testing.T, w wiring) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		x := s.watch(w, ViewerOptions{}, DeliverOptions{})
		go x.read(1000)
		s.write(p, frame(video, 0, true), frame(video, 1, false))
		x.has(t, "40:1-\n")
		x.d.Pause(true)
		require.NoError(t, x.d.Control([]byte("paused\n")))
		x.has(t, "paused\n")
		s.write(p, frame(video, 2, false), frame(video2, 3, true), frame(video2, 4, false))
		x.d.Resume(mark("again"))
		x.has(t, "paused\nagain header 1=11\n120:1K\n160:1-\n")
		s.write(p, frame(video2, 5, false))
		x.has(t, "160:1-\n200:1-\n")
		// Without a pause it is a start anew.
		x.d.Resume(mark("anew"))
		x.has(t, "200:1-\nanew header 1=11\n120:1K\n160:1-\n200:1-\n")
		require.NoError(t, p.Close())
		<-x.eof
		require.Equal(t, io.EOF, <-x.done)
	})
}

// A mailbox is a PacketWriter that keeps what it gets.
type mailbox struct {
	mu     sync.Mutex
	got    bytes.Buffer
	times  []time.Time
	shared map[any]int // how often each Prepared was seen
	fail   error
	closed chan struct{}
}

func newMailbox() *mailbox { return &mailbox{closed: make(chan struct{}), shared: map[any]int{}} }

func (m *mailbox) WritePackets(b *Batch) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.Prepared == nil {
		b.Prepared = new(int)
	}
	m.shared[b.Prepared]++
	n := 0
	for _, p := range b.Packets {
		m.got.Write(p.Wire)
		m.times = append(m.times, time.Now())
		n += len(p.Wire)
	}
	return n, m.fail
}

func (m *mailbox) Close() error { close(m.closed); return nil }

func (m *mailbox) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got.String()
}

// deliverTo starts a delivery to a mailbox.
func (s *scene) deliverTo(o DeliverOptions) (*mailbox, *Delivery) {
	s.t.Helper()
	m := newMailbox()
	return m, s.feed(s.play(ViewerOptions{}), textFormat(nil)).DeliverTo(m, o)
}

func TestDeliverTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		s.write(p, frame(video, 0, true), frame(video, 1, false))
		box, d := s.deliverTo(DeliverOptions{Prefix: []byte("prefix\n"), Header: mark("my"), AwaitKey: true, Trailer: []byte("bye\n")})
		synctest.Wait()
		require.Equal(t, "prefix\nmy header 1=01\n0:1K\n40:1-\n", box.text())
		d.mu.Lock()
		require.NotNil(t, d.shard, "one who has everything is served by the loop")
		d.mu.Unlock()
		require.NoError(t, d.Control([]byte("control\n")))
		s.write(p, frame(video, 2, false))
		synctest.Wait()
		require.True(t, strings.HasSuffix(box.text(), "control\n80:1-\n"), box.text())
		d.Pause(true)
		s.write(p, frame(video, 3, false))
		synctest.Wait()
		d.Resume(mark("again"))
		synctest.Wait()
		require.True(t, strings.HasSuffix(box.text(), "80:1-\nagain header 1=01\n0:1K\n40:1-\n80:1-\n120:1-\n"), box.text())
		require.NoError(t, p.Close())
		<-box.closed
		require.True(t, strings.HasSuffix(box.text(), "120:1-\nbye\n"))
		require.Equal(t, io.EOF, d.Close(nil))
	})
}

// TestDeliverToShares: one batch is made for all writers, and one that fails
// ends alone.
func TestDeliverToShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		s.write(p, frame(video, 0, true))
		a, da := s.deliverTo(DeliverOptions{})
		b, db := s.deliverTo(DeliverOptions{})
		c, dc := s.deliverTo(DeliverOptions{})
		synctest.Wait()
		broken := errors.New("broken")
		c.mu.Lock()
		c.fail = broken
		c.mu.Unlock()
		s.write(p, frame(video, 1, false))
		synctest.Wait()
		<-c.closed
		require.Equal(t, broken, dc.Close(nil))
		common := 0
		for k := range a.shared {
			common += b.shared[k]
		}
		require.Equal(t, 1, common)
		s.write(p, frame(video, 2, false))
		synctest.Wait()
		require.True(t, strings.HasSuffix(a.text(), "80:1-\n"))
		require.Equal(t, a.text(), b.text())
		require.EqualValues(t, 3, da.cursor.sub.Stats().Frames)
		for _, d := range []*Delivery{da, db} {
			require.Equal(t, errLost, d.Close(errLost))
		}
		<-a.closed
		<-b.closed
	})
}

// TestDeliveryPace: what was there before comes at four times the media's rate
// until the viewer is where the others are.
func TestDeliveryPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		p := s.publish(video)
		const gop = 25 // a second
		for n := range gop {
			s.write(p, frame(video, n, n == 0))
			time.Sleep(40 * ms)
		}
		box, d := s.deliverTo(DeliverOptions{AwaitKey: true, Pace: 4})
		began := time.Now()
		n := gop
		for ; n < 2*gop; n++ {
			s.write(p, frame(video, n, false))
			time.Sleep(40 * ms)
		}
		synctest.Wait()
		require.Equal(t, n+1, strings.Count(box.text(), "\n"), "it has caught up")
		for i, at := range box.times[1:] {
			dts := time.Duration(i) * 40 * ms
			live := dts - time.Second // when it was written, from then on
			require.GreaterOrEqual(t, at.Sub(began), min(dts/4, max(live, 0)), i)
			require.LessOrEqual(t, at.Sub(began), max(dts/4, live), i)
			if dts < time.Second {
				require.Equal(t, dts/4, at.Sub(began), i)
			}
		}
		require.NoError(t, p.Close())
		require.Equal(t, io.EOF, d.Close(nil))
	})
}

// A tape is a film that can be sought.
type tape struct{ film }

func (f *tape) Duration() time.Duration { return time.Duration(f.end) * 40 * ms }

func (f *tape) Seek(_ context.Context, t time.Duration) (time.Duration, error) {
	if t > f.Duration() {
		return 0, io.EOF
	}
	n := int(t/(40*ms)) / 10 * 10
	f.seek(n)
	return time.Duration(n) * 40 * ms, nil
}

func TestDeliverySeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &tape{film{end: 100000, closed: make(chan struct{})}}
		c, err := FeedOf(t.Context(), Pace(f), textFormat(nil))
		require.NoError(t, err)
		box := newMailbox()
		d := c.DeliverTo(box, DeliverOptions{AwaitKey: true, Header: mark("begins")})
		time.Sleep(time.Second - ms)
		require.True(t, strings.HasPrefix(box.text(), "begins header 1=01\n0:1K\n40:1-\n"), box.text())
		for i, to := range []time.Duration{time.Hour, 10 * time.Second, 20*time.Second + 30*ms} {
			d.Pause(i%2 == 0)
			time.Sleep(time.Duration(i) * time.Minute) // the feed fills up meanwhile
			at, err := d.Seek(t.Context(), to)
			require.NoError(t, err)
			require.Equal(t, to.Truncate(400*ms), at)
			before := len(box.text())
			d.Resume(mark("sought"))
			time.Sleep(time.Second)
			got := box.text()[before:]
			require.True(t, strings.HasPrefix(got, "sought header 1=01\n"+textLine(frameAt(video, at, true))), got)
			require.Contains(t, got, textLine(frameAt(video, at+40*ms, false)))
		}
		_, err = d.Seek(t.Context(), 24*time.Hour)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, errLost, d.Close(errLost))
		<-f.closed
	})
}

func TestDeliverySeekLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		s.write(s.publish(video), frame(video, 0, true))
		_, d := s.deliverTo(DeliverOptions{})
		_, err := d.Seek(t.Context(), 0)
		require.ErrorIs(t, err, ErrUnsupported)
		d.Close(nil)
	})
}

func TestTrackSet(t *testing.T) {
	for _, c := range []struct {
		ids      []int
		has, not []int
	}{
		{nil, []int{-1, 0, 1, 63, 64, 1000}, nil},
		{[]int{1}, []int{-1, 1, 64, 1000}, []int{0, 2, 63}},
		{[]int{0, 63}, []int{0, 63, 64}, []int{1, 62}},
		{[]int{64, -5}, []int{0, 1, 64}, nil},
	} {
		s := trackSetOf(c.ids)
		for _, id := range c.has {
			require.True(t, s.has(id), "%v has %d", c.ids, id)
		}
		for _, id := range c.not {
			require.False(t, s.has(id), "%v has %d", c.ids, id)
		}
	}

}

// wrapped is a connection over another one, as those of TLS are.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

func TestTCPUnder(t *testing.T) {
	tcp := new(net.TCPConn)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	require.Same(t, tcp, tcpUnder(tcp))
	require.Same(t, tcp, tcpUnder(wrapped{wrapped{tcp}}))
	require.Nil(t, tcpUnder(wrapped{a}))
}
