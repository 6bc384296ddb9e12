package ps

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
)

const (
	maxElementary = 4        // tracks of one sender, told apart by their payload types
	slabSize      = 64 << 10 // bytes of memory taken at once for packets that are kept
)

// An elementaryDecoder is the decoder of elementary streams, most often of one:
// each has a payload type of its own.
type elementaryDecoder struct {
	receiver   rtp.Receiver
	types      PayloadTypes
	forms      [maxElementary]rtp.Payload
	numbers    [128]uint8 // of the form for a payload type, and 1; 0: none
	count      int
	other      conviction // that there is another
	sender     uint32
	heard      time.Time // when the newest packet came
	slab       []byte
	succession *succession
	invalid    uint64
}

func newElementaryDecoder(f *finding, o *ReceiveOptions, after *succession) *elementaryDecoder {
	d := &elementaryDecoder{
		receiver: rtp.Receiver{Reorder: true, Depth: o.Depth, Wait: o.Wait}, types: o.Types.orDefaults(), succession: after,
	}
	d.add(f.form)
	return d
}

// add adds the track of a payload type. It reports false if there can be no such.
func (d *elementaryDecoder) add(form rtp.Payload) bool {
	if d.count == maxElementary {
		return false
	}
	t, err := form.Track(d.count + 1)
	if err != nil {
		return false
	}
	if _, err := d.receiver.Add(&form, t); err != nil {
		return false
	}
	d.forms[d.count] = form
	d.count++
	d.numbers[form.Type&0x7f] = uint8(d.count)
	return true
}

func (d *elementaryDecoder) take(dst []*codec.Frame, p *rtp.Packet, b []byte, now time.Time) ([]*codec.Frame, error) {
	if d.numbers[p.PayloadType&0x7f] == 0 {
		f := inspectElementary(p, d.types)
		if !d.other.grow(f, p.Sequence) || !d.add(f.form) {
			d.invalid++
			return dst, nil
		}
	}
	if len(b) > len(d.slab) {
		d.slab = make([]byte, max(slabSize, len(b)))
	}
	n := copy(d.slab, b)
	kept := d.slab[:n:n]
	d.slab = d.slab[n:]
	d.sender, d.heard = p.SSRC, now
	start := len(dst)
	dst, _ = d.receiver.RTP(dst, int(d.numbers[p.PayloadType&0x7f])-1, kept, now) // it has counted what it dropped
	d.succession.apply(dst[start:])
	return dst, nil
}

func (d *elementaryDecoder) expire(dst []*codec.Frame, now time.Time) ([]*codec.Frame, error) {
	start := len(dst)
	dst, _ = d.receiver.Expire(dst, now)
	d.succession.apply(dst[start:])
	return dst, nil
}

func (d *elementaryDecoder) flush(dst []*codec.Frame, _ bool) []*codec.Frame {
	dst, _ = d.expire(dst, d.heard.Add(time.Hour))
	return dst
}

func (d *elementaryDecoder) lose() { d.receiver.Lose() }

func (d *elementaryDecoder) tracks() []*codec.Track {
	return d.succession.tracks(d.receiver.Tracks())
}

// complete reports whether the tracks there are are ready. That there is one only
// is the rule.
func (d *elementaryDecoder) complete() bool {
	for _, t := range d.receiver.Tracks() {
		if !t.Ready() {
			return false
		}
	}
	return true
}

// fits reports whether p may be of the sender: it has one stream of each kind, at
// least at a time.
func (d *elementaryDecoder) fits(p *rtp.Packet, f finding) bool {
	if f.payload != PayloadES {
		return false
	}
	if n := d.numbers[p.PayloadType&0x7f]; n > 0 {
		return !f.certain || d.forms[n-1].Encoding == f.form.Encoding
	}
	for i := range d.count {
		if d.forms[i].Kind == f.form.Kind {
			return false
		}
	}
	return true
}

func (d *elementaryDecoder) expects(p *rtp.Packet) bool {
	return d.numbers[p.PayloadType&0x7f] > 0 && p.SSRC == d.sender
}

func (d *elementaryDecoder) renewed() (before int, ok bool) { return 0, false } // a track goes on as what it is

func (d *elementaryDecoder) control(b []byte, now time.Time) error {
	var err error
	for i := range d.count {
		err = d.receiver.RTCP(i, b, now)
	}
	return err
}

func (d *elementaryDecoder) goodbye() bool { return d.receiver.Goodbye() }

func (d *elementaryDecoder) ssrc() uint32 { return d.sender }

func (d *elementaryDecoder) appendReport(dst []byte, now time.Time) []byte {
	for i := range d.count {
		dst = d.receiver.AppendReport(dst, i, cname, now)
	}
	return dst
}

func (d *elementaryDecoder) stats() rtp.ReceiverStats {
	s := rtp.ReceiverStats{Invalid: d.invalid}
	for i := range d.count {
		t := d.receiver.Stats(i)
		addStats(&s, &t)
	}
	return s
}
