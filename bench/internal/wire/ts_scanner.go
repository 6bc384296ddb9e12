package wire

import (
	"encoding/binary"
	"fmt"
)

const tsPacketSize = 188

// A TSScanner finds the PES packets of a transport stream (ISO/IEC 13818-1).
// One is whole when all the bytes are there that it says it has, so it finds
// only those that tell their length.
type TSScanner struct {
	onMessage func(Message)
	packet    [tsPacketSize]byte
	have      int
	pids      map[uint16]*pes
}

// A pes is the PES packet that a PID is in.
type pes struct {
	msg  Message
	want int // bytes to come
	head head
}

// NewTSScanner returns a scanner for a stream that begins at a packet.
func NewTSScanner(onMessage func(Message)) *TSScanner {
	return &TSScanner{onMessage: onMessage, pids: map[uint16]*pes{}}
}

// Scan implements Scanner.
func (s *TSScanner) Scan(b []byte) error {
	for len(b) > 0 {
		n := copy(s.packet[s.have:], b)
		s.have += n
		b = b[n:]
		if s.have < tsPacketSize {
			return nil
		}
		s.have = 0
		if err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// next takes the packet.
func (s *TSScanner) next() error {
	p := s.packet[:]
	if p[0] != 0x47 {
		return fmt.Errorf("wire: transport packet begins with %#02x", p[0])
	}
	pid := binary.BigEndian.Uint16(p[1:]) & 0x1fff
	begins, adapted, loaded := p[1]&0x40 != 0, p[3]&0x20 != 0, p[3]&0x10 != 0
	key := false
	payload := p[4:]
	if adapted {
		n := int(payload[0])
		if n >= len(payload) {
			return fmt.Errorf("wire: adaptation field of %d bytes", n)
		}
		key = n > 0 && payload[1]&0x40 != 0 // random_access_indicator
		payload = payload[1+n:]
	}
	if !loaded {
		return nil
	}
	if begins {
		s.begin(pid, payload, key)
	}
	u := s.pids[pid]
	if u == nil || u.want == 0 {
		return nil // tables
	}
	if begins {
		payload = payload[6:]
	}
	n := min(u.want, len(payload))
	u.head.add(payload[:n])
	if u.want -= n; u.want == 0 {
		u.msg.Head = u.head.buf[:u.head.n]
		s.onMessage(u.msg)
	}
	return nil
}

// begin takes the header of a PES packet (2.4.3.6), if it is one.
func (s *TSScanner) begin(pid uint16, b []byte, key bool) {
	if len(b) < 6 || b[0] != 0 || b[1] != 0 || b[2] != 1 {
		delete(s.pids, pid)
		return
	}
	u := s.pids[pid]
	if u == nil {
		u = &pes{}
		s.pids[pid] = u
	}
	u.head.n = 0
	u.want = int(binary.BigEndian.Uint16(b[4:]))
	u.msg = Message{Type: typeAudio, Size: u.want}
	if b[3]&0xf0 == 0xe0 {
		u.msg.Type, u.msg.Key = typeVideo, key
	}
}
