package rtp

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// aacCarriage is AAC by RFC 3640 in the modes AAC-hbr, which is how it is sent,
// and AAC-lbr. What else has that name is opaque.
func aacCarriage() carriage {
	return carriage{
		codec:    codec.AAC,
		names:    []string{"mpeg4-generic"},
		describe: describeAAC,
		track:    aacTrack,
		packer:   func(*codec.Track) packer { return aacPacker{} },
		unpacker: newAACUnpacker,
	}
}

func describeAAC(t *codec.Track, p *Payload) bool {
	if len(t.Config) == 0 {
		return false
	}
	if r := t.SampleRate; t.ClockRate != r && t.ClockRate != 2*r { // the output of HE-AAC has twice the rate
		p.ClockRate = r
	}
	p.Channels = t.Channels
	p.Params = []Parameter{
		{"streamtype", "5"},
		{"profile-level-id", "1"},
		{"mode", "AAC-hbr"},
		{"sizelength", "13"},
		{"indexlength", "3"},
		{"indexdeltalength", "3"},
		{"config", hex.EncodeToString(t.Config)},
	}
	return true
}

// aacTrack takes the configuration from the fmtp. Where a camera sends none, or
// one that makes no sense, the stream is AAC-LC as the rtpmap says, until ADTS
// headers inside tell better.
func aacTrack(p *Payload, t *codec.Track) (*codec.Track, error) {
	if _, ok := aacWidths(p); !ok {
		return opaqueCarriage().track(p, t)
	}
	if aac, ok := aacFromParams(p, t.ID); ok {
		return aac, nil
	}
	return guessAAC(p, t.ID)
}

// guessAAC returns the track of AAC-LC as the rtpmap says.
func guessAAC(p *Payload, id int) (*codec.Track, error) {
	t, err := codec.NewAACTrack(id, p.ClockRate, max(p.Channels, 1))
	if err != nil {
		return nil, invalid("%s without a configuration: %w", p.Encoding, err)
	}
	return t, nil
}

// aacFromParams returns the track of the configuration in the fmtp, if it has a
// good one.
func aacFromParams(p *Payload, id int) (*codec.Track, bool) {
	config, err := hex.DecodeString(strings.Trim(p.Param("config"), `"`))
	if err != nil {
		return nil, false
	}
	t, err := codec.TrackFromConfig(id, codec.AAC, config)
	if err != nil {
		return nil, false
	}
	t.ClockRate = p.ClockRate
	return t, true
}

// An auHeader has the widths of the fields of AU-headers, in bits (RFC 3640,
// 4.1).
type auHeader struct{ size, index, indexDelta int }

// aacWidths returns the widths that the fmtp tells; without any, those that its
// mode has (RFC 3640, 3.3.5 and 3.3.6). It is false for a payload that is no
// AAC in a mode for it.
func aacWidths(p *Payload) (h auHeader, ok bool) {
	usual := auHeader{13, 3, 3}
	switch mode := strings.ReplaceAll(strings.ToLower(p.Param("mode")), "_", "-"); mode {
	case "aac-hbr": // some send AAC_hbr
	case "aac-lbr":
		usual = auHeader{6, 2, 2}
	case "":
		if s := p.Param("streamtype"); s != "" && s != "5" {
			return h, false // not audio
		}
	default:
		return h, false
	}
	if p.Param("sizelength") == "" {
		return usual, true
	}
	widths := [3]int{}
	for i, name := range []string{"sizelength", "indexlength", "indexdeltalength"} {
		if s := p.Param(name); s != "" {
			n, err := strconv.ParseUint(s, 10, 6)
			if err != nil || n > 32 {
				return h, false
			}
			widths[i] = int(n)
		}
	}
	h = auHeader{widths[0], widths[1], widths[2]}
	for _, name := range []string{"ctsdeltalength", "dtsdeltalength", "randomaccessindication", "streamstateindication", "auxiliarydatasizelength"} {
		if s := p.Param(name); s != "" && s != "0" {
			return h, false // not in these modes
		}
	}
	return h, h.size > 0
}

// aacSizeBits is the width of AU-size in mode AAC-hbr (RFC 3640, 3.3.6).
const aacSizeBits = 13

type aacPacker struct{}

// pack writes a packet with one AU-header, or fragments, each with the size of
// the whole (RFC 3640, 3.2.1 and 3.2.3.1).
//
//	+---------------------------+---------------------+----------+------+
//	| AU-headers-length 16 bits | AU-size 13 bits     | AU-Index | data |
//	|                     = 16  |                     | 3 bits   |      |
//	+---------------------------+---------------------+----------+------+
func (aacPacker) pack(w *packetWriter, f *codec.Frame) error {
	const headers = 4
	size, room := len(f.Data), w.room()-headers
	if size == 0 || size >= 1<<aacSizeBits || room <= 0 {
		return invalid("AAC frame of %d bytes", size)
	}
	for data := f.Data; len(data) > 0; {
		n := min(len(data), room)
		w.packet(headers+n, n == len(data))
		w.b = append(w.b, 0, 16, byte(size>>5), byte(size<<3))
		w.b = append(w.b, data[:n]...)
		data = data[n:]
	}
	return nil
}

// maxAUs is how many access units are taken out of a packet.
const maxAUs = 256

// An aacUnpacker takes access units out of payloads.
type aacUnpacker struct {
	track   *codec.Track
	guessed bool // the configuration is
	header  auHeader
	period  time.Duration // of an access unit

	fragments []byte // of an access unit that is not complete; nil if there is none
	packets   int    // that fragments are of
	timestamp uint32 // of fragments
	whole     int    // size of the access unit they are of; 0 where headers tell the size of the fragment
	unmarked  bool   // the sender sets no marker
	own       bool   // the sender's headers tell the size of fragments
	resync    bool   // the rest of an access unit may come
	sizes     []int  // of the access units in a packet
}

func newAACUnpacker(p *Payload, t *codec.Track) (Depacketizer, error) {
	h, ok := aacWidths(p)
	if !ok {
		return nil, invalid("%s with %q", p.Encoding, p.FMTP())
	}
	u := &aacUnpacker{header: h}
	_, told := aacFromParams(p, t.ID)
	u.guessed = !told
	u.set(t)
	return u, nil
}

func (u *aacUnpacker) set(t *codec.Track) {
	u.track, u.period = t, codec.FrameDuration(&codec.Frame{Track: t})
}

// Append takes whole access units, several in a packet, and fragments. These
// end with the marker. Their headers have the size of the whole (RFC 3640,
// 3.2.1.1), with some senders their own, and some senders set no marker at all:
// what a packet without one holds waits for the next one.
func (u *aacUnpacker) Append(dst []Unit, p *Packet, lost bool) ([]Unit, error) {
	if lost {
		u.drop()
		u.resync = u.own
	}
	if len(p.Payload) == 0 {
		return dst, nil
	}
	var waited error
	if u.fragments != nil && p.Timestamp != u.timestamp {
		dst, waited = u.flush(dst)
	}
	dst, err := u.packet(dst, p)
	return dst, cmp.Or(err, waited)
}

// flush ends the access unit that was begun: it is whole if its only packet
// lacked nothing but the marker.
func (u *aacUnpacker) flush(dst []Unit) ([]Unit, error) {
	au, whole := u.fragments, u.whole == 0 && u.packets == 1
	u.drop()
	if !whole {
		return dst, nil
	}
	u.unmarked = true
	return u.units(dst, u.timestamp, []int{len(au)}, au)
}

func (u *aacUnpacker) packet(dst []Unit, p *Packet) ([]Unit, error) {
	if u.resync {
		u.resync = !p.Marker
		return dst, nil
	}
	data, err := u.headers(p.Payload)
	if err != nil {
		u.drop()
		return dst, err
	}
	size, single := u.sizes[0], len(u.sizes) == 1
	switch {
	case single && u.fragments != nil:
		return u.fragment(dst, p, size, data)
	case single && size > len(data) && p.Marker:
		return dst, invalid("access unit of %d bytes, %d of them in its last packet", size, len(data))
	case single && (size > len(data) || size == len(data) && !p.Marker && !u.unmarked):
		u.begin(p, size, data)
		return dst, nil
	}
	u.drop()
	return u.units(dst, p.Timestamp, u.sizes, data)
}

// begin keeps the first fragment of an access unit.
func (u *aacUnpacker) begin(p *Packet, size int, data []byte) {
	u.fragments, u.packets, u.timestamp, u.whole = data[:len(data):len(data)], 1, p.Timestamp, 0
	if size > len(data) {
		u.whole = size
	}
}

// drop gives up what was begun.
func (u *aacUnpacker) drop() { u.fragments, u.packets, u.whole = nil, 0, 0 }

// fragment takes in one that is not the first.
func (u *aacUnpacker) fragment(dst []Unit, p *Packet, size int, data []byte) ([]Unit, error) {
	if u.whole == 0 && size < len(data) {
		data = data[:size]
	}
	have := len(u.fragments) + len(data)
	switch {
	case u.whole > 0 && (size != u.whole || have > u.whole), u.whole == 0 && size > len(data), have > maxUnit:
		u.drop()
		return dst, invalid("fragment with %d bytes of %d", len(data), size)
	case u.whole > 0 && have < u.whole && p.Marker:
		u.drop()
		return dst, invalid("access unit of %d bytes, of which %d came", size, have)
	}
	u.fragments = append(u.fragments, data...)
	u.packets++
	if have == u.whole || u.whole == 0 && p.Marker {
		u.own = u.whole == 0
		au := u.fragments
		u.drop()
		u.sizes = append(u.sizes[:0], have)
		return u.units(dst, p.Timestamp, u.sizes, au)
	}
	return dst, nil
}

// headers sets sizes by the AU-header section b begins with (RFC 3640, 3.2.1)
// and returns what follows it. Some cameras send ADTS frames without one.
func (u *aacUnpacker) headers(b []byte) ([]byte, error) {
	if len(b) < 2 {
		return nil, invalid("payload of %d bytes", len(b))
	}
	if hasADTS(b) { // else 8190 bits of headers
		if size, err := codec.ADTSFrameSize(b); err == nil && size <= len(b) {
			u.sizes = append(u.sizes[:0], len(b))
			return b, nil
		}
	}
	left := int(b[0])<<8 | int(b[1]) // bits
	b = b[2:]
	n := (left + 7) / 8
	if n > len(b) {
		return nil, invalid("AU-headers of %d bits in %d bytes", left, len(b))
	}
	u.sizes = u.sizes[:0]
	pos, index := 0, u.header.index
	for ; left >= u.header.size+index; index = u.header.indexDelta {
		left -= u.header.size + index
		size := bitsAt(b, pos, u.header.size)
		// The first index is 0, or a number that some count up.
		if i := bitsAt(b, pos+u.header.size, index); i != 0 && len(u.sizes) > 0 {
			return nil, invalid("interleaved access units")
		}
		pos += u.header.size + index
		if size > maxUnit || len(u.sizes) == maxAUs {
			return nil, invalid("access unit %d of %d bytes", len(u.sizes), size)
		}
		u.sizes = append(u.sizes, int(size))
	}
	if len(u.sizes) == 0 {
		return nil, invalid("AU-headers of %d bits", left)
	}
	return b[n:], nil
}

// bitsAt returns the n bits, at most 32, at bit pos of b.
func bitsAt(b []byte, pos, n int) (v uint32) {
	for i := pos; i < pos+n; i++ {
		v = v<<1 | uint32(b[i>>3]>>(7-i&7)&1)
	}
	return v
}

// units appends access units that follow each other in data.
func (u *aacUnpacker) units(dst []Unit, timestamp uint32, sizes []int, data []byte) ([]Unit, error) {
	start := len(dst)
	for i, n := 0, 0; i < len(sizes); i++ {
		size := sizes[i]
		if size > len(data) {
			return dst[:start], invalid("access unit of %d bytes in %d", size, len(data))
		}
		var err error
		if dst, n, err = u.unit(dst, timestamp, data[:size:size], n); err != nil {
			return dst[:start], err
		}
		data = data[size:]
	}
	return separate(dst, start), nil
}

// unit appends an access unit that is the nth since timestamp and returns the
// number of the next one. Some cameras send it with an ADTS header; without,
// none begins with the bits of its syncword.
func (u *aacUnpacker) unit(dst []Unit, timestamp uint32, au []byte, n int) ([]Unit, int, error) {
	if !hasADTS(au) {
		if len(au) > 0 {
			dst = append(dst, u.nth(timestamp, n, au))
		}
		return dst, n + 1, nil
	}
	config, raws, err := codec.SplitADTS(au)
	if err != nil {
		return dst, n, invalid("%w", err)
	}
	if u.guessed && !bytes.Equal(config, u.track.Config) && len(raws) > 0 {
		t, err := codec.TrackFromConfig(u.track.ID, codec.AAC, config)
		if err != nil {
			return dst, n, invalid("%w", err)
		}
		t.ClockRate = u.track.ClockRate
		u.set(t)
	}
	for _, raw := range raws {
		dst = append(dst, u.nth(timestamp, n, raw))
		n++
	}
	return dst, n, nil
}

// hasADTS reports whether b begins with the syncword of an ADTS header.
func hasADTS(b []byte) bool { return len(b) >= 2 && b[0] == 0xff && b[1]&0xf0 == 0xf0 }

func (u *aacUnpacker) nth(timestamp uint32, n int, au []byte) Unit {
	return Unit{
		Track: u.track, Timestamp: timestamp, Data: au, Flags: codec.FlagKey,
		Skip: skip(u.track, time.Duration(n)*u.period),
	}
}

// skip returns d in ticks of the clock of t's packets.
func skip(t *codec.Track, d time.Duration) int { return int(codec.Ticks(d, t.ClockRate)) }

// separate copies the data of units from start on if there are several, so that
// none keeps the others in memory.
func separate(units []Unit, start int) []Unit {
	if len(units)-start > 1 {
		for i := start; i < len(units); i++ {
			units[i].Data = bytes.Clone(units[i].Data)
		}
	}
	return units
}
