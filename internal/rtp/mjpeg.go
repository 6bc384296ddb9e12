package rtp

import (
	"bytes"
	"encoding/binary"

	"github.com/mediakit-go/mediakit/codec"
)

// mjpegCarriage is JPEG by RFC 2435. It has no place for pictures other than
// baseline ones in 4:2:0 or 4:2:2, with the usual Huffman tables, of up to 2040
// by 2040 pixels. Sizes that are no multiple of 8 are rounded up, to pixels
// that are there already.
func mjpegCarriage() carriage {
	return carriage{
		codec: codec.MJPEG,
		names: []string{"JPEG"},
		describe: func(t *codec.Track, p *Payload) bool {
			p.ClockRate = videoClock
			return t.Width <= maxJPEGSide && t.Height <= maxJPEGSide
		},
		track:  func(_ *Payload, t *codec.Track) (*codec.Track, error) { return t, nil },
		packer: func(*codec.Track) packer { return mjpegPacker{} },
		unpacker: func(_ *Payload, t *codec.Track) (Depacketizer, error) {
			return &mjpegUnpacker{assembly: assembly{track: t}}, nil
		},
	}
}

const (
	maxJPEGSide = 255 * 8 // pixels

	// Values of the fields Type and Q.
	jpeg422     = 0
	jpeg420     = 1
	jpegRestart = 64  // added to Type if there are restart markers
	jpegInBand  = 128 // and above: tables come with the picture, or have come
	jpegDynamic = 255 // they always do
)

// An mjpegPacker writes pictures with their quantisation tables.
type mjpegPacker struct{}

// pack writes packets of (RFC 2435, 3.1)
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Type-specific |              Fragment Offset                  |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|      Type     |       Q       |     Width     |     Height    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|       Restart Interval        |F|L|       Restart Count       |  Type 64 and above
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|      MBZ      |   Precision   |             Length            |  Q 128 and above,
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+  first packet; then
//	|                    Quantization Table Data                    |  the tables
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// and a part of the picture's scan.
func (mjpegPacker) pack(w *packetWriter, f *codec.Frame) error {
	j, err := parseJPEG(f.Data)
	if err != nil {
		return err
	}
	tables := [2][]byte{j.tables[j.luma], j.tables[j.chroma]}
	kind, header := j.kind, 8
	if j.restart > 0 {
		kind, header = kind|jpegRestart, header+4
	}
	for at := 0; at < len(j.scan); {
		size := header
		if at == 0 {
			size += 4 + len(tables[0]) + len(tables[1])
		}
		n := min(len(j.scan)-at, w.room()-size)
		w.packet(size+n, at+n == len(j.scan))
		w.b = binary.BigEndian.AppendUint32(w.b, uint32(at)) // Type-specific: progressive
		w.b = append(w.b, kind, jpegDynamic, byte((j.width+7)/8), byte((j.height+7)/8))
		if j.restart > 0 {
			// F, L and Count say that restart intervals are not to be decoded
			// one by one.
			w.b = binary.BigEndian.AppendUint16(w.b, j.restart)
			w.b = append(w.b, 0xff, 0xff)
		}
		if at == 0 {
			w.b = append(w.b, 0, 0)
			w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(tables[0])+len(tables[1])))
			w.b = append(append(w.b, tables[0]...), tables[1]...)
		}
		w.b = append(w.b, j.scan[at:at+n]...)
		at += n
	}
	return nil
}

// An mjpegUnpacker puts pictures together: what RFC 2435 leaves out is written
// before and after the scan. Fields of interlaced pictures are pictures.
type mjpegUnpacker struct {
	assembly
	header int              // size of what precedes the scan in buf
	dqt    []byte           // DQT segment of the picture; used again for the next
	tables map[uint8][]byte // by Q, of those that need not come again; DQT segment
}

func (u *mjpegUnpacker) Append(dst []Unit, p *Packet, lost bool) ([]Unit, error) {
	return u.take(u, dst, p, lost)
}

func (u *mjpegUnpacker) payload(b []byte, first bool) error {
	if len(b) < 8 {
		u.drop()
		return invalid("JPEG payload of %d bytes", len(b))
	}
	offset := int(binary.BigEndian.Uint32(b) & 0xffffff)
	if first != (offset == 0) || !first && offset != len(u.buf)-u.header {
		u.drop()
		return nil
	}
	j := jpegHeader{kind: b[4] &^ jpegRestart, width: int(b[6]) * 8, height: int(b[7]) * 8}
	restarts, q := b[4]&jpegRestart != 0, b[5]
	b = b[8:]
	if restarts {
		if len(b) < 4 {
			u.drop()
			return invalid("JPEG restart header cut")
		}
		j.restart = binary.BigEndian.Uint16(b)
		b = b[4:]
	}
	if first {
		if j.kind != jpeg422 && j.kind != jpeg420 {
			u.drop()
			return invalid("JPEG type %d", j.kind)
		}
		// What is 2048 pixels wide has 0 from those who do not check.
		if j.width == 0 {
			j.width = 256 * 8
		}
		if j.height == 0 {
			j.height = 256 * 8
		}
		var err error
		if j.dqt, b, err = u.quantisers(q, b); err != nil {
			u.drop()
			return err
		}
		u.buf = j.append(u.buf)
		u.header = len(u.buf)
	}
	return u.add(b)
}

// quantisers returns the DQT segment for Q and what follows the tables in b.
func (u *mjpegUnpacker) quantisers(q uint8, b []byte) (dqt, rest []byte, err error) {
	switch {
	case q > 0 && q < 100:
		var buf [128]byte
		tables := appendQuantisers(buf[:0], int(q))
		u.dqt = appendDQT(u.dqt[:0], 0, tables[:64], tables[64:])
		return u.dqt, b, nil
	case q < jpegInBand:
		return nil, nil, invalid("JPEG Q %d", q)
	case len(b) < 4:
		return nil, nil, invalid("JPEG quantization table header cut")
	}
	precision, n := b[1], int(binary.BigEndian.Uint16(b[2:]))
	b = b[4:]
	if n == 0 {
		if dqt = u.tables[q]; dqt == nil {
			return nil, nil, invalid("JPEG Q %d without tables", q)
		}
		return dqt, b, nil
	}
	if n > len(b) {
		return nil, nil, invalid("JPEG quantization tables of %d bytes in %d", n, len(b))
	}
	var tables [2][]byte
	data, rest := b[:n], b[n:]
	for i := range tables {
		size := 64 << (precision >> i & 1)
		if len(data) == 0 && i > 0 { // some have one table for all components
			tables[i], precision = tables[0], precision|precision&1<<1
			break
		}
		if len(data) < size {
			return nil, nil, invalid("JPEG quantization tables of %d bytes", n)
		}
		tables[i], data = data[:size], data[size:]
	}
	u.dqt = appendDQT(u.dqt[:0], precision, tables[0], tables[1])
	if q != jpegDynamic && !bytes.Equal(u.tables[q], u.dqt) {
		if u.tables == nil {
			u.tables = map[uint8][]byte{}
		}
		u.tables[q] = bytes.Clone(u.dqt)
	}
	return u.dqt, rest, nil
}

func (u *mjpegUnpacker) finish(dst []Unit) ([]Unit, error) {
	if len(u.buf) <= u.header {
		u.drop()
	} else if !bytes.HasSuffix(u.buf, []byte{0xff, jpegEOI}) {
		u.buf = append(u.buf, 0xff, jpegEOI)
	}
	return u.emit(dst, 0, true)
}
