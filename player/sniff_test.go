package player

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/source"
)

var sniffCases = []struct {
	begins, is string
	err        error
}{
	{"FLV\x01\x05\x00\x00\x00\x09", "", nil},
	{"#EXTM3U\n#EXT-X-VERSION:3", "an HLS playlist", source.ErrUnsupported},
	{"\x00\x00\x00\x20ftypisom", "MP4", source.ErrUnsupported},
	{"\x00\x00\x00\x18styp", "fragmented MP4", source.ErrUnsupported},
	{"\x47\x40\x11\x10\x00\x00\xb0\x0d\x00", "MPEG-TS", source.ErrUnsupported},
	{"\x1a\x45\xdf\xa3\x01", "Matroska or WebM", source.ErrUnsupported},
	{"<!DOCTYPE html>", `begins with "<!DOCTYPE html>"`, flv.ErrInvalid},
	{"hm", `begins with "hm"`, flv.ErrInvalid},
	{"", `begins with ""`, flv.ErrInvalid},
}

func TestNotFLV(t *testing.T) {
	for _, c := range sniffCases {
		err := notFLV([]byte(c.begins))
		require.ErrorIs(t, err, c.err)
		if err != nil {
			require.ErrorContains(t, err, c.is)
		}
	}
}

func FuzzNotFLV(f *testing.F) {
	for _, c := range sniffCases {
		f.Add([]byte(c.begins))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if isFLV := len(b) >= 3 && string(b[:3]) == "FLV"; isFLV != (notFLV(b) == nil) {
			t.Fatalf("%q: %v", b, notFLV(b))
		}
	})
}
