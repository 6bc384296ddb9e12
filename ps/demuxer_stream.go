package ps

import (
	"bytes"
	"encoding/binary"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// A demuxStream is an elementary stream of a Demuxer.
type demuxStream struct {
	key    uint16       // stream_id, and of private streams as on DVDs their own number behind it
	said   pes.Carriage // by the map; valid if mapped
	mapped bool
	probe  probe       // what it carries, while that is not known
	units  *pes.Stream // what it is known to carry; nil before
	entry  pes.Entry   // of it

	packs   int  // header of packs before its last packet
	untimed int  // its first packets without a time
	timed   bool // it has times
}

// Private streams as on DVDs have a number, and the place of the first frame, in 4
// bytes before the payload. Those of AC-3 are these.
const (
	subHeader = 4
	firstAC3  = 0x80
	lastAC3   = 0x87
)

// untimedMost is how many packets without a time a stream has until it is given that
// of its packs.
const untimedMost = 8

// id returns the stream_id.
func (s *demuxStream) id() byte { return byte(s.key >> 8) }

// ignorable tells whether s may be nothing that anybody needs: a private stream of
// which nothing tells what it is.
func (s *demuxStream) ignorable() bool {
	return s.id() == pes.IDPrivate1 && !s.mapped
}

// streamOf returns the stream with a key, a new one if there is none and create says
// so.
func (d *Demuxer) streamOf(key uint16, create bool) *demuxStream {
	for _, s := range d.streams {
		if s.key == key {
			return s
		}
	}
	if !create || len(d.streams) >= maxStreams {
		return nil
	}
	s := &demuxStream{key: key}
	d.streams = append(d.streams, s)
	return s
}

// beginPacket takes in the header of a PES packet and the beginning of its payload.
// It reports whether the rest is wanted.
func (d *Demuxer) beginPacket(h *pes.Header, first []byte) bool {
	d.finishProbe()
	d.cur = nil
	if h.ID != pes.IDPrivate1 && !pes.IsAudio(h.ID) && !pes.IsVideo(h.ID) {
		return false
	}
	key, before := d.keyOf(h.ID, first)
	first = first[before:]
	h.Header += before
	s := d.streamOf(key, true)
	if s == nil {
		return false
	}
	d.settle(h)
	s.setTime(h, d)
	d.cur = s
	if s.units != nil && s.units.IsVideo() {
		if c, ok := findSets(first); ok && c != s.units.Content {
			s.reconsider()
		}
	}
	if s.units != nil {
		s.units.Begin(h, false, first)
		return true
	}
	s.probe.begin(h)
	d.takePayload(first)
	return true
}

// keyOf returns the key of the stream that a packet is of whose payload begins with
// first, and how many bytes stand there before what the stream carries.
func (d *Demuxer) keyOf(id byte, first []byte) (key uint16, before int) {
	key = uint16(id) << 8
	if id != pes.IDPrivate1 || len(first) < subHeader || first[0] < firstAC3 || first[0] > lastAC3 {
		return key, 0
	}
	if s := d.streamOf(key, false); s != nil && s.mapped {
		return key, 0
	}
	return key | uint16(first[0]), subHeader
}

// setTime gives a packet the time of its pack if packets of s have none.
func (s *demuxStream) setTime(h *pes.Header, d *Demuxer) {
	fresh := d.packs != s.packs
	s.packs = d.packs
	switch {
	case h.HasPTS:
		s.timed = true
	case s.timed || !fresh:
	case !s.clocked():
		s.untimed++
	default:
		h.HasPTS, h.PTS, h.DTS = true, d.clock, d.clock
	}
}

// clocked reports whether packets of s are given the time of their pack.
func (s *demuxStream) clocked() bool { return !s.timed && s.untimed >= untimedMost }

// takePayload takes in payload of the packet that was begun last.
func (d *Demuxer) takePayload(b []byte) {
	s := d.cur
	if s.units != nil {
		s.units.Add(b)
		return
	}
	rest := s.probe.add(b)
	if s.probe.full() {
		d.decide(s)
		if s.units != nil && len(rest) > 0 {
			s.units.Add(rest)
		}
	}
}

// endPacket ends the packet that was begun last. wrong tells that its length was.
func (d *Demuxer) endPacket(wrong bool) {
	d.finishProbe()
	if wrong && d.cur.units != nil {
		d.cur.units.Taint()
	}
}

// wantsMore reports whether what follows the packet is of it: of video.
func (d *Demuxer) wantsMore() bool {
	return d.cur.units != nil && d.cur.units.IsVideo()
}

// finishProbe ends the packet that is looked at, if there is one.
func (d *Demuxer) finishProbe() {
	if s := d.cur; s != nil && s.units == nil && s.probe.open {
		d.decide(s)
	}
}

// lose tells s that bytes are missing.
func (s *demuxStream) lose() {
	if s.units != nil {
		s.units.Lose()
	}
	s.probe.open = false
}

// decide finds out what s carries from the packet that is looked at. If it can that
// packet is the first.
func (d *Demuxer) decide(s *demuxStream) {
	p := &s.probe
	p.open = false
	e := pes.Entry{Key: s.key}
	said, mapped := pes.Content{}, s.mapped && s.said.StreamType > 0
	if mapped {
		e.StreamType, e.Descriptors = s.said.StreamType, s.said.Descriptors
		said = contentOf(&s.said)
	}
	var ok bool
	switch id := s.id(); {
	case pes.IsVideo(id):
		e.Content, ok = p.video(said, mapped && said.Codec.Kind() != codec.KindAudio)
	case pes.IsAudio(id):
		e.Content, ok = p.audio(said, mapped && said.Codec.Kind() != codec.KindVideo)
	case mapped:
		e.Content, ok = said, true
	default:
		e.Content, ok = p.private()
	}
	if !ok {
		return
	}
	if e.Content != said {
		e.StreamType, e.Descriptors = 0, nil // they are wrong
	}
	d.setContent(s, e)
	s.units.Begin(&p.header, false, p.buf)
	p.buf = nil
}

// setContent sets what s carries.
func (d *Demuxer) setContent(s *demuxStream, e pes.Entry) {
	s.entry = e
	var entries []pes.Entry
	for _, o := range d.streams {
		if o == s || o.units != nil {
			entries = append(entries, o.entry)
		}
	}
	d.units.SetStreams(entries)
	for _, o := range d.streams {
		if o == s || o.units != nil {
			o.units = d.units.Stream(o.key)
		}
	}
}

// contentOf returns what a stream carries according to the map.
func contentOf(c *pes.Carriage) pes.Content {
	switch c.StreamType {
	case pes.TypeSVACVideo:
		return pes.Content{Codec: codec.SVACVideo}
	case pes.TypeSVACAudio:
		return pes.Content{Codec: codec.SVACAudio}
	case pes.TypeG722:
		return pes.Content{Codec: codec.G722}
	case pes.TypeG723:
		return pes.Content{Codec: codec.G723}
	case pes.TypeG729:
		return pes.Content{Codec: codec.G729}
	case pes.TypeOpus:
		opus, _ := pes.ContentOf(nil, pes.TypePrivate, c.Descriptors)
		return pes.Content{Codec: codec.Opus, Opus: opus.Opus}
	}
	content, _ := pes.ContentOf(nil, c.StreamType, c.Descriptors)
	return content
}

// takeMap takes in a program stream map, most often the one that is in force. One
// whose checksum is wrong counts if it is as long as it says, and if it comes twice or
// there is no other.
func (d *Demuxer) takeMap(b []byte) {
	if bytes.Equal(b, d.table) || len(b) < mapSize {
		return
	}
	switch right, none := checkMap(b); {
	case right:
	case pes.Prefix+int(binary.BigEndian.Uint16(b[4:])) != len(b):
		return
	case !none && d.mapped && !bytes.Equal(b, d.doubted):
		d.doubted = append(d.doubted[:0], b...)
		return
	}
	var said [maxStreams]pes.Carriage
	n := 0
	ok := parseMap(b, func(c pes.Carriage) {
		if n < len(said) {
			said[n] = c
			n++
		}
	})
	if !ok {
		return
	}
	d.table, d.mapped = append(d.table[:0], b...), true
	for _, c := range said[:n] {
		c.Descriptors = bytes.Clone(c.Descriptors)
		if s := d.streamOf(uint16(c.StreamID)<<8, true); s != nil {
			d.mapStream(s, c)
		}
	}
	for _, s := range d.streams {
		if s.mapped && !mapHas(said[:n], s.id()) {
			s.mapped = false // it goes on as long as it comes
		}
	}
}

func mapHas(list []pes.Carriage, id byte) bool {
	for i := range list {
		if list[i].StreamID == id {
			return true
		}
	}
	return false
}

// mapStream notes what the map says of s. Where it says something new, that is looked
// into.
func (d *Demuxer) mapStream(s *demuxStream, c pes.Carriage) {
	same := s.mapped && s.said.StreamType == c.StreamType && bytes.Equal(s.said.Descriptors, c.Descriptors)
	s.said, s.mapped = c, true
	if same || s.units == nil || s.entry.Content == contentOf(&c) && s.entry.StreamType == c.StreamType {
		return
	}
	s.reconsider()
}

// reconsider finds out anew what s carries.
func (s *demuxStream) reconsider() {
	s.units.End()
	s.units, s.probe = nil, probe{}
}
