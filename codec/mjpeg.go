package codec

import "encoding/binary"

// The JPEG markers that matter here (ITU-T T.81, table B.1), without their
// first byte, 0xff.
const (
	jpegSOF0 = 0xc0 // baseline
	jpegSOF1 = 0xc1 // extended sequential
	jpegRST0 = 0xd0
	jpegSOI  = 0xd8
	jpegSOS  = 0xda
	jpegTEM  = 0x01
)

// NewMJPEGTrack returns the track of a Motion JPEG stream with pictures as
// large as this one, by its frame header (ITU-T T.81, B.2.2). With a nil frame
// the size is unknown. Errors wrap [ErrInvalid]; pictures that are not
// sequential, such as progressive ones, are refused.
func NewMJPEGTrack(id int, frame []byte) (*Track, error) {
	t := &Track{ID: id, Codec: MJPEG, ClockRate: videoClock}
	if frame == nil {
		return t, nil
	}
	return t.withMJPEG(frame)
}

// withMJPEG returns t as a picture describes it: t itself if it does already.
func (t *Track) withMJPEG(frame []byte) (*Track, error) {
	width, height, err := jpegSize(frame)
	if err != nil {
		return nil, err
	}
	if t.ClockRate > 0 && t.Width == width && t.Height == height {
		return t, nil
	}
	t2 := *t
	t2.Width, t2.Height = width, height
	if t2.ClockRate == 0 {
		t2.ClockRate = videoClock
	}
	return &t2, nil
}

// jpegSize finds the frame header among the marker segments before the scan.
//
//	2 bytes: marker; 2 bytes: length, these two included
//	1 byte: precision; 2 bytes: height; 2 bytes: width; 1 byte: components
func jpegSize(b []byte) (width, height int, err error) {
	if len(b) < 2 || b[0] != 0xff || b[1] != jpegSOI {
		return 0, 0, invalid("JPEG: no start of image")
	}
	for b = b[2:]; len(b) >= 4; {
		marker := b[1]
		switch {
		case b[0] != 0xff:
			return 0, 0, invalid("JPEG: no marker before the scan")
		case marker == 0xff: // fill byte
			b = b[1:]
			continue
		case marker == jpegTEM, marker >= jpegRST0 && marker <= jpegSOI:
			b = b[2:]
			continue
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 2 || n > len(b)-2 {
			return 0, 0, short("JPEG segment")
		}
		switch {
		case marker == jpegSOF0, marker == jpegSOF1:
			if n < 8 {
				return 0, 0, short("JPEG frame header")
			}
			height, width = int(binary.BigEndian.Uint16(b[5:])), int(binary.BigEndian.Uint16(b[7:]))
			if width == 0 || height == 0 {
				return 0, 0, invalid("JPEG of %dx%d", width, height)
			}
			return width, height, nil
		case marker > jpegSOF1 && marker < jpegRST0 && marker&3 != 0 || marker == 0xc8, marker == jpegSOS:
			return 0, 0, invalid("JPEG: marker %#x before a sequential frame header", marker)
		}
		b = b[2+n:]
	}
	return 0, 0, short("JPEG header")
}
