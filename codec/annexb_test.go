package codec_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
)

var annexBCases = []struct {
	name  string
	au    string
	nalus []string // nil: an error
}{
	{"empty", "", nil},
	{"no start code", "65 88 84", nil},
	{"nothing after the start code", "00 00 01", nil},
	{"one", "00 00 00 01 65 88", []string{"65 88"}},
	{"short start codes", "00 00 01 67 42 00 00 01 68 ce", []string{"67 42", "68 ce"}},
	{"trailing zeros", "00 00 01 67 42 00 00 00 00 00 01 68 00", []string{"67 42", "68"}},
	{"garbage before", "12 34 00 00 01 65", []string{"65"}},
	{"empty unit", "00 00 01 00 00 01 65", []string{"65"}},
	{"emulation prevention stays", "00 00 01 65 00 00 03 01", []string{"65 00 00 03 01"}},
}

func TestAnnexBToAVC(t *testing.T) {
	for _, c := range annexBCases {
		t.Run(c.name, func(t *testing.T) {
			dst := []byte("before")
			got, err := codec.AnnexBToAVC(dst, unhex(c.au))
			if c.nalus == nil {
				require.ErrorIs(t, err, codec.ErrInvalid)
				require.Equal(t, dst, got)
				return
			}
			require.NoError(t, err)
			var nalus [][]byte
			for _, n := range c.nalus {
				nalus = append(nalus, unhex(n))
			}
			require.Equal(t, append(dst, sample(nalus...)...), got)
		})
	}
}

func TestAVCToAnnexB(t *testing.T) {
	for _, c := range []struct {
		name, data, want string
		err              error
	}{
		{"empty", "", "", nil},
		{"two", "00000002 6588 00000001 41", "00000001 6588 00000001 41", nil},
		{"empty unit", "00000000 00000001 41", "00000001 41", nil},
		{"cut length", "00000001 41 000000", "", io.ErrUnexpectedEOF},
		{"cut unit", "00000003 4142", "", io.ErrUnexpectedEOF},
		{"huge", "ffffffff 4142", "", codec.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := codec.AVCToAnnexB([]byte{9}, unhex(c.data))
			require.ErrorIs(t, err, c.err)
			require.Equal(t, append([]byte{9}, unhex(c.want)...), got)
		})
	}
}

func TestAnnexBRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nalu := rapid.Custom(func(t *rapid.T) []byte {
			// A NAL unit neither holds a start code nor ends with a zero.
			b := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 40).Draw(t, "bytes")
			if len(b) > 3 && rapid.Bool().Draw(t, "zeros") {
				b[1], b[2] = 0, 0
				b[3] = max(b[3], 3)
			}
			return b
		})
		data := sample(rapid.SliceOfN(nalu, 1, 8).Draw(t, "nalus")...)
		au, err := codec.AVCToAnnexB(nil, data)
		require.NoError(t, err)
		require.Len(t, au, len(data))
		back, err := codec.AnnexBToAVC(nil, au)
		require.NoError(t, err)
		require.Equal(t, data, back)
	})
}

func FuzzAnnexB(f *testing.F) {
	for _, c := range annexBCases {
		f.Add(unhex(c.au))
	}
	f.Add(unhex("00000002 6588 00000001 41"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := codec.AVCToAnnexB(nil, b); err != nil && !errors.Is(err, codec.ErrInvalid) {
			t.Fatal(err)
		}
		avc, err := codec.AnnexBToAVC(nil, b)
		if err != nil {
			return
		}
		au, err := codec.AVCToAnnexB(nil, avc)
		if err != nil {
			t.Fatal(err)
		}
		again, err := codec.AnnexBToAVC(nil, au)
		if err != nil || !bytes.Equal(again, avc) {
			t.Fatalf("%x came back as %x, %v", avc, again, err)
		}
	})
}
