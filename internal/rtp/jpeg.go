package rtp

import (
	"bytes"
	"encoding/binary"
)

// JPEG markers (ISO/IEC 10918-1, table B.1), after 0xff.
const (
	jpegSOF0 = 0xc0 // baseline
	jpegDHT  = 0xc4
	jpegRST0 = 0xd0
	jpegRST7 = 0xd7
	jpegSOI  = 0xd8
	jpegEOI  = 0xd9
	jpegSOS  = 0xda
	jpegDQT  = 0xdb
	jpegDRI  = 0xdd
)

// A jpegHeader is what a picture has besides its scan and what all pictures
// here have alike.
type jpegHeader struct {
	kind          byte // jpeg422 or jpeg420
	width, height int
	restart       uint16 // restart interval, in MCUs; 0: none
	dqt           []byte // segment
}

// append appends the picture up to its scan.
func (j *jpegHeader) append(b []byte) []byte {
	b = append(b, 0xff, jpegSOI)
	b = append(b, j.dqt...)
	if j.restart > 0 {
		b = append(b, 0xff, jpegDRI, 0, 4)
		b = binary.BigEndian.AppendUint16(b, j.restart)
	}
	b = append(b, 0xff, jpegSOF0, 0, 17, 8)
	b = binary.BigEndian.AppendUint16(b, uint16(j.height))
	b = binary.BigEndian.AppendUint16(b, uint16(j.width))
	b = append(b, 3, 1, 0x21+j.kind, 0, 2, 0x11, 1, 3, 0x11, 1)
	b = append(b, 0xff, jpegDHT)
	b = binary.BigEndian.AppendUint16(b, uint16(2+len(huffmanTables)))
	b = append(b, huffmanTables...)
	return append(b, 0xff, jpegSOS, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0)
}

// appendDQT appends a segment with the tables 0 and 1, of 64 values of one byte
// or, where the bit of its number is set in precision, two.
func appendDQT(b []byte, precision byte, luma, chroma []byte) []byte {
	b = append(b, 0xff, jpegDQT)
	b = binary.BigEndian.AppendUint16(b, uint16(2+1+len(luma)+1+len(chroma)))
	b = append(append(b, precision&1<<4), luma...)
	return append(append(b, precision&2<<3|1), chroma...)
}

// A jpegPicture is a picture that can be sent.
type jpegPicture struct {
	kind          byte // jpeg422 or jpeg420
	width, height int
	restart       uint16
	tables        [4][]byte // of quantisation, 64 bytes each
	luma, chroma  byte      // which of them are used
	scan          []byte    // without EOI
}

// parseJPEG reads a picture and refuses what [mjpegCarriage] has no place for.
func parseJPEG(b []byte) (j jpegPicture, err error) {
	if !bytes.HasPrefix(b, []byte{0xff, jpegSOI}) {
		return j, invalid("JPEG: no start of image")
	}
	var components [3]byte // their identifiers; 0, 0, 0 before the frame header
	frame := false
	for b = b[2:]; ; {
		for len(b) > 1 && b[0] == 0xff && b[1] == 0xff { // fill bytes
			b = b[1:]
		}
		if len(b) < 4 || b[0] != 0xff {
			return j, invalid("JPEG: marker expected")
		}
		marker, n := b[1], int(binary.BigEndian.Uint16(b[2:]))
		if n < 2 || n > len(b)-2 {
			return j, invalid("JPEG: segment of %d bytes in %d", n, len(b)-2)
		}
		segment := b[4 : 2+n]
		b = b[2+n:]
		switch {
		case marker == jpegDQT:
			err = j.readDQT(segment)
		case marker == jpegDHT:
			err = checkDHT(segment)
		case marker == jpegDRI:
			if len(segment) != 2 {
				return j, invalid("JPEG: restart interval of %d bytes", len(segment))
			}
			j.restart = binary.BigEndian.Uint16(segment)
		case marker == jpegSOF0 && !frame:
			frame = true
			components, err = j.readSOF(segment)
		case marker == jpegSOS && frame:
			if err = checkSOS(segment, components); err != nil {
				return j, err
			}
			return j, j.readScan(b)
		case marker >= 0xe0 && marker <= 0xef, marker == 0xfe: // APPn, COM
		default:
			return j, invalid("JPEG: marker %#x, not of a baseline picture", marker)
		}
		if err != nil {
			return j, err
		}
	}
}

// readDQT reads quantisation tables (B.2.4.1).
func (j *jpegPicture) readDQT(b []byte) error {
	for len(b) > 0 {
		number := b[0]
		if number > 3 || len(b) < 65 { // with 16 bits the upper half is 1
			return invalid("JPEG: quantization table %#x", number)
		}
		j.tables[number], b = b[1:65], b[65:]
	}
	return nil
}

// checkDHT refuses other Huffman tables (B.2.4.2) than those receivers have.
func checkDHT(b []byte) error {
	for len(b) > 0 {
		var table string
		switch b[0] {
		case lumaDC[0]:
			table = lumaDC
		case lumaAC[0]:
			table = lumaAC
		case chromaDC[0]:
			table = chromaDC
		case chromaAC[0]:
			table = chromaAC
		}
		if table == "" || len(b) < len(table) || string(b[:len(table)]) != table {
			return invalid("JPEG: Huffman tables of its own")
		}
		b = b[len(table):]
	}
	return nil
}

// readSOF reads a frame header (B.2.2).
func (j *jpegPicture) readSOF(b []byte) (components [3]byte, err error) {
	if len(b) != 15 || b[0] != 8 || b[5] != 3 {
		return components, invalid("JPEG: not 3 components of 8 bits")
	}
	j.height, j.width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	if j.width == 0 || j.height == 0 || j.width > maxJPEGSide || j.height > maxJPEGSide {
		return components, invalid("JPEG: %dx%d pixels", j.width, j.height)
	}
	y, cb, cr := b[6:9], b[9:12], b[12:15] // identifier, sampling factors, table
	switch y[1] {
	case 0x21:
		j.kind = jpeg422
	case 0x22:
		j.kind = jpeg420
	default:
		return components, invalid("JPEG: sampling %#x", y[1])
	}
	if cb[1] != 0x11 || cr[1] != 0x11 || cb[2] != cr[2] || y[2] > 3 || cb[2] > 3 {
		return components, invalid("JPEG: chroma of unusual sampling or tables")
	}
	j.luma, j.chroma = y[2], cb[2]
	return [3]byte{y[0], cb[0], cr[0]}, nil
}

// checkSOS refuses scans (B.2.3) that are not of the whole picture or use
// tables in another way.
func checkSOS(b []byte, components [3]byte) error {
	c := components
	if want := []byte{3, c[0], 0, c[1], 0x11, c[2], 0x11, 0, 63, 0}; !bytes.Equal(b, want) {
		return invalid("JPEG: scan of other components or tables")
	}
	return nil
}

// readScan finds the end of the scan that b begins with.
func (j *jpegPicture) readScan(b []byte) error {
	if j.tables[j.luma] == nil || j.tables[j.chroma] == nil {
		return invalid("JPEG: no quantization tables")
	}
	j.scan = b
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], 0xff)
		if i < 0 || at+i+1 == len(b) { // no end of image, as some encoders do
			break
		}
		at += i + 1
		switch m := b[at]; {
		case m == 0, m >= jpegRST0 && m <= jpegRST7:
			at++
		case m == 0xff:
		case m == jpegEOI:
			j.scan = b[:at-1]
		default:
			return invalid("JPEG: marker %#x in the scan", m)
		}
		if len(j.scan) < len(b) {
			break
		}
	}
	if len(j.scan) == 0 || len(j.scan) > maxUnit {
		return invalid("JPEG: scan of %d bytes", len(j.scan))
	}
	return nil
}
