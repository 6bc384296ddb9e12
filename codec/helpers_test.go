package codec_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// unhex decodes hexadecimal digits, spaces allowed.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// lengthPrefixed returns NAL units with lengths of size bytes.
func lengthPrefixed(size int, nalus ...[]byte) []byte {
	var b []byte
	for _, n := range nalus {
		var l [8]byte
		binary.BigEndian.PutUint64(l[:], uint64(len(n)))
		b = append(b, l[8-size:]...)
		b = append(b, n...)
	}
	return b
}

// annexB returns NAL units with 4-byte start codes.
func annexB(nalus ...[]byte) []byte {
	var b []byte
	for _, n := range nalus {
		b = append(append(b, 0, 0, 0, 1), n...)
	}
	return b
}

// sample returns NAL units in the form of frame data.
func sample(nalus ...[]byte) []byte { return lengthPrefixed(4, nalus...) }

func split(au []byte) [][]byte { return slices.Collect(codec.SplitAnnexB(au)) }

// requireCanonical checks what the data of every H.264 and H.265 frame has.
func requireCanonical(t *testing.T, tr *codec.Track, data []byte) {
	t.Helper()
	size := 0
	for nalu := range codec.NALUs(data) {
		require.NotEmpty(t, nalu)
		size += 4 + len(nalu)
	}
	require.Equal(t, len(data), size)
	same, out, _, err := codec.ParseSample(tr, data, 4)
	require.NoError(t, err)
	require.Same(t, tr, same)
	require.True(t, len(out) == len(data) && (len(data) == 0 || &out[0] == &data[0]), "copied")
	require.True(t, bytes.Equal(out, data))
}
