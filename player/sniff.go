package player

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// ErrUnknown is wrapped by errors about something that is no media we know.
var ErrUnknown = errors.New("player: unknown data")

// errPlaylist is what is wrong with a playlist that no server sent.
var errPlaylist = fmt.Errorf("%w: it is an HLS playlist; those are read from servers", source.ErrUnsupported)

const (
	sniffLen = 256 // bytes that are looked at
	sniffMin = 9   // any stream has so many
)

// A format is what can be read.
type format uint8

const (
	formatFLV format = iota + 1
	formatTS
	formatPS
	formatMP4
	formatMovie // MP4 that begins with its media, or with nothing: only files can be read
	formatHLS
)

// beginnings are how media begin. What has no format has a name, under which it
// is refused.
var beginnings = []struct {
	at   int
	with string
	is   format
	name string
}{
	{0, "FLV", formatFLV, ""},
	{0, "#EXTM3U", formatHLS, ""},
	{0, "\xef\xbb\xbf#EXTM3U", formatHLS, ""},
	{0, "\x00\x00\x01\xba", formatPS, ""},
	{4, "ftyp", formatMP4, ""}, // also of files that are not fragmented: that shows only behind it
	{4, "styp", formatMP4, ""},
	{4, "moof", formatMP4, ""},
	{4, "moov", formatMP4, ""},
	{4, "sidx", formatMP4, ""},
	{4, "mdat", formatMovie, ""},
	{4, "free", formatMovie, ""},
	{4, "skip", formatMovie, ""},
	{4, "wide", formatMovie, ""},
	{0, "\x1a\x45\xdf\xa3", 0, "Matroska or WebM"},
	{0, "RIFF", 0, "AVI or WAVE"},
	{0, "ID3", 0, "MP3"},
	{0, "OggS", 0, "Ogg"},
	{0, "fLaC", 0, "FLAC"},
	{0, "<MPD", 0, "a DASH manifest"},
}

// sniff tells what begins with b. Its error wraps source.ErrUnsupported for other
// media, which another attempt would find, too, and ErrUnknown for anything else.
func sniff(b []byte) (format, error) {
	for _, m := range beginnings {
		if len(b) < m.at || !bytes.HasPrefix(b[m.at:], []byte(m.with)) {
			continue
		}
		if m.is == 0 {
			return 0, fmt.Errorf("%w: it is %s, not FLV, MPEG-TS, MPEG-PS, MP4 or HLS", source.ErrUnsupported, m.name)
		}
		return m.is, nil
	}
	if isTS(b) {
		return formatTS, nil
	}
	return 0, fmt.Errorf("%w: it begins with %q", ErrUnknown, b[:min(len(b), 16)])
}

// isTS reports whether b begins with a transport packet, which others follow:
// alone, behind a time stamp of 4 bytes, or before 16 bytes of error correction.
func isTS(b []byte) bool {
	const sync = 0x47
	for _, p := range [][2]int{{0, ts.PacketSize}, {4, 192}, {0, 204}} {
		if at, next := p[0], p[0]+p[1]; len(b) > at && b[at] == sync && (len(b) <= next || b[next] == sync) {
			return true
		}
	}
	return false
}

// newReader returns a Reader of a container that is read from its beginning.
func newReader(is format, r io.Reader) (source.Reader, error) {
	switch is {
	case formatFLV:
		return flv.NewReader(r), nil
	case formatTS:
		return ts.NewReader(r), nil
	case formatPS:
		return ps.NewReader(r), nil
	case formatMP4:
		return mp4.NewReader(r), nil
	case formatMovie:
		return nil, fmt.Errorf("%w: it is MP4 that is not fragmented, which only a file can be", source.ErrUnsupported)
	}
	return nil, errPlaylist
}

// A peeked is a stream whose first bytes were looked at.
type peeked struct {
	io.Reader
	io.Closer
}

// peek returns how r begins, and r as it was.
func peek(r io.ReadCloser) ([]byte, io.ReadCloser, error) {
	b := make([]byte, sniffLen)
	n, err := io.ReadAtLeast(r, b, sniffMin)
	b = b[:n]
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, err
	}
	return b, peeked{io.MultiReader(bytes.NewReader(b), r), r}, nil
}
