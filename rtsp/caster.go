package rtsp

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// casters are the streams that a server sends to groups.
type casters struct {
	mu    sync.Mutex // guards what follows, and what it says of each caster
	byKey map[casterKey]*caster
	inUse map[netip.Addr]bool // groups
	last  netip.Addr          // group that was given out
}

// A casterKey is what a caster is shared by: the stream and our address.
type casterKey struct {
	mux   *muxer
	local netip.Addr
}

// A caster sends a stream to a group. It lasts as long as somebody has set it
// up; everybody who has is a viewer of the stream, and the caster is one more
// who is not counted.
type caster struct {
	srv    *Server
	key    casterKey
	group  netip.Addr
	tracks []casterTrack // by media
	cursor *source.Cursor

	// Guarded by the casters' lock:
	users    int
	viewers  map[*viewer]struct{} // who play
	delivery *source.Delivery     // nil before somebody plays
	bye      []byte               // interleaved
}

// A casterTrack is what a caster sends from. The group's ports have the same
// numbers.
type casterTrack struct {
	id   int // of the codec.Track
	ssrc uint32
	ends [2]*udp.Conn // RTP, RTCP
}

// join returns the caster of key with one user more; nil if there is none.
func (cs *casters) join(key casterKey) *caster {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	k := cs.byKey[key]
	if k != nil {
		k.users++
	}
	return k
}

// cast returns a caster of key with one user, which takes cursor over; the one
// that somebody else has made meanwhile if there is.
func (s *Server) cast(key casterKey, cursor *source.Cursor) (*caster, error) {
	if k := s.casters.join(key); k != nil {
		_ = cursor.Close()
		return k, nil
	}
	k, err := s.newCaster(key, cursor)
	if err != nil {
		_ = cursor.Close()
		return nil, err
	}
	cs := &s.casters
	cs.mu.Lock()
	other := cs.byKey[key]
	if other != nil {
		other.users++
	} else {
		if cs.byKey == nil {
			cs.byKey = map[casterKey]*caster{}
		}
		cs.byKey[key] = k
	}
	cs.mu.Unlock()
	if other != nil {
		k.release()
		return other, nil
	}
	return k, nil
}

// newCaster returns a caster with one user, which has cursor if there is no error.
func (s *Server) newCaster(key casterKey, cursor *source.Cursor) (*caster, error) {
	if mux, ok := cursor.Muxer().(*muxer); !ok || mux != key.mux {
		return nil, fmt.Errorf("%w: the stream is not shared", source.ErrUnsupported)
	}
	how := udp.Multicast{Interface: s.Multicast.Interface, TTL: s.ttl(), Loopback: s.Multicast.Loopback}
	if how.Interface == nil {
		how.Interface, _ = udp.InterfaceOf(key.local) // else the system chooses
	}
	group, err := s.casters.group(s.Multicast.Groups)
	if err != nil {
		return nil, err
	}
	k := &caster{srv: s, key: key, group: group, cursor: cursor, users: 1, viewers: map[*viewer]struct{}{}}
	for _, t := range key.mux.sent() {
		x := casterTrack{id: t.id, ssrc: t.ssrc}
		x.ends[0], x.ends[1], err = s.ports.Pair(key.local)
		if err == nil {
			k.tracks = append(k.tracks, x)
		}
		for _, end := range x.ends {
			if err == nil {
				err = end.SetMulticast(how)
			}
		}
		if err != nil {
			k.cursor = nil
			k.release()
			return nil, err
		}
	}
	return k, nil
}

// group gives out an address of the prefix that is not in use.
func (cs *casters) group(prefix netip.Prefix) (netip.Addr, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.inUse == nil {
		cs.inUse = map[netip.Addr]bool{}
	}
	a := cs.last
	for range len(cs.inUse) + 2 { // the next that is free is not farther, but for the way back to the first
		if a = a.Next(); !prefix.Contains(a) {
			a = prefix.Masked().Addr()
		}
		if !cs.inUse[a] {
			cs.inUse[a], cs.last = true, a
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%w: no multicast group is free", source.ErrLimit)
}

// enter makes w one of those who play, and starts the sending with the first.
func (k *caster) enter(w *viewer) {
	cs := &k.srv.casters
	cs.mu.Lock()
	defer cs.mu.Unlock()
	k.viewers[w] = struct{}{}
	if k.delivery != nil {
		return
	}
	o := source.DeliverOptions{AwaitKey: true, Pace: pace, MergeWindow: k.srv.MergeWindow, Header: func(header []byte) []byte {
		var reports []byte
		for _, t := range readStart(header).tracks {
			reports = append(reports, t.report...)
		}
		return reports
	}}
	for i, t := range k.tracks {
		o.Tracks = append(o.Tracks, t.id)
		k.bye = appendBye(k.bye, i, t.ssrc)
	}
	k.delivery = k.cursor.DeliverTo(k, o)
}

// WritePackets implements source.PacketWriter.
func (k *caster) WritePackets(b *source.Batch) (bytes int, err error) {
	for channel, burst := range prepare(b) {
		if burst.Len() == 0 || channel/2 >= len(k.tracks) {
			continue
		}
		end := k.tracks[channel/2].ends[channel%2]
		n, err := end.Send(burst, netip.AddrPortFrom(k.group, end.LocalAddr().Port()))
		if bytes += n; err != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

// Close implements source.PacketWriter: without packets the viewers have nothing
// more to expect, and nobody is to join.
func (k *caster) Close() error {
	cs := &k.srv.casters
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.byKey[k.key] == k {
		delete(cs.byKey, k.key)
	}
	for w := range k.viewers {
		w.delivery.End(nil, nil)
	}
	time.AfterFunc(byeAfter, func() { // or after everybody has gone
		_, _ = k.WritePackets(&source.Batch{Packets: []source.Packet{{Wire: k.bye}}})
	})
	return nil
}

// exit takes out one who has played.
func (k *caster) exit(w *viewer) {
	cs := &k.srv.casters
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(k.viewers, w)
}

// leave takes one user away; with the last one the caster goes.
func (k *caster) leave() {
	cs := &k.srv.casters
	cs.mu.Lock()
	k.users--
	last := k.users == 0
	if last && cs.byKey[k.key] == k {
		delete(cs.byKey, k.key)
	}
	cs.mu.Unlock()
	if last {
		k.release()
	}
}

// release gives everything back.
func (k *caster) release() {
	if k.delivery != nil {
		_ = k.delivery.Close(nil)
	} else if k.cursor != nil {
		_ = k.cursor.Close()
	}
	for _, t := range k.tracks {
		for _, end := range t.ends {
			if end != nil {
				k.srv.stats.datagramsLost.Add(end.Dropped())
				_ = end.Close()
			}
		}
	}
	cs := &k.srv.casters
	cs.mu.Lock()
	delete(cs.inUse, k.group)
	cs.mu.Unlock()
}
