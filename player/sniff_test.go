package player

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// packets is the beginning of a transport stream whose packets are that long.
func packets(before, size int) string {
	one := strings.Repeat("\x00", before) + "\x47" + strings.Repeat("\xff", size-before-1)
	return strings.Repeat(one, 3)
}

var sniffCases = []struct {
	begins string
	is     format
	err    error
	says   string
}{
	{"FLV\x01\x05\x00\x00\x00\x09", formatFLV, nil, ""},
	{"#EXTM3U\n#EXT-X-VERSION:3", formatHLS, nil, ""},
	{"\xef\xbb\xbf#EXTM3U\r\n", formatHLS, nil, ""},
	{"\x00\x00\x00\x20ftypisom", formatMP4, nil, ""},
	{"\x00\x00\x00\x18stypmsdh", formatMP4, nil, ""},
	{"\x00\x00\x00\x18moof\x00", formatMP4, nil, ""},
	{"\x47\x40\x11\x10\x00\x00\xb0\x0d\x00", formatTS, nil, ""},
	{packets(0, 188), formatTS, nil, ""},
	{packets(4, 192), formatTS, nil, ""},
	{packets(0, 204), formatTS, nil, ""},
	{"\x00\x00\x01\xba\x44\x00\x04\x00\x04\x01", formatPS, nil, ""},
	{"\x00\x00\x01\xba\x21\x00\x01\x00\x01\x80", formatPS, nil, ""},
	{"\x00\x00\x10\x00mdat\x00", formatMovie, nil, ""},
	{"\x00\x00\x00\x08wide\x00", formatMovie, nil, ""},
	{"\x1a\x45\xdf\xa3\x01", 0, source.ErrUnsupported, "Matroska or WebM"},
	{"<MPD xmlns", 0, source.ErrUnsupported, "DASH"},
	{"<!DOCTYPE html>", 0, ErrUnknown, `begins with "<!DOCTYPE html>"`},
	{"Good morning, " + strings.Repeat("x", 300), 0, ErrUnknown, "Good morning"},
	{"GET / HTTP/1.1" + strings.Repeat("x", 300), 0, ErrUnknown, "GET"}, // begins like a packet
	{"hm", 0, ErrUnknown, `begins with "hm"`},
	{"", 0, ErrUnknown, `begins with ""`},
}

func TestSniff(t *testing.T) {
	for _, c := range sniffCases {
		is, err := sniff([]byte(c.begins))
		require.Equal(t, c.is, is, "%q", c.begins)
		require.ErrorIs(t, err, c.err)
		if err != nil {
			require.ErrorContains(t, err, c.says)
		}
	}
}

func FuzzSniff(f *testing.F) {
	for _, c := range sniffCases {
		f.Add([]byte(c.begins))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		is, err := sniff(b)
		if (is == 0) != (err != nil) || err != nil && !errors.Is(err, ErrUnknown) && !errors.Is(err, source.ErrUnsupported) {
			t.Fatalf("%q: %v, %v", b, is, err)
		}
	})
}
