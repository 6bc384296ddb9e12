package player

import (
	"bytes"
	"fmt"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/source"
)

// sniffLen is how many bytes tell what a file is.
const sniffLen = 16

// otherMedia are the beginnings of what somebody may take for FLV.
var otherMedia = []struct {
	at   int
	with string
	is   string
}{
	{0, "#EXTM3U", "an HLS playlist"},
	{4, "ftyp", "MP4"},
	{4, "styp", "fragmented MP4"},
	{4, "moov", "MP4"},
	{0, "\x1a\x45\xdf\xa3", "Matroska or WebM"},
	{0, "\x00\x00\x01\xba", "MPEG-PS"},
	{0, "\x47", "MPEG-TS"},
	{0, "RIFF", "AVI or WAVE"},
	{0, "ID3", "MP3"},
	{0, "OggS", "Ogg"},
}

// notFLV returns an error unless what begins with b may be FLV. It wraps
// source.ErrUnsupported for other media, which another attempt would find, too,
// and flv.ErrInvalid for anything else.
func notFLV(b []byte) error {
	if bytes.HasPrefix(b, []byte("FLV")) {
		return nil
	}
	for _, m := range otherMedia {
		if len(b) >= m.at && bytes.HasPrefix(b[m.at:], []byte(m.with)) {
			return fmt.Errorf("%w: it is %s, not FLV", source.ErrUnsupported, m.is)
		}
	}
	return fmt.Errorf("%w: not FLV: it begins with %q", flv.ErrInvalid, b)
}
