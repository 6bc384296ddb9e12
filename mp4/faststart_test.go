package mp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// kinds returns the boxes of a file.
func kinds(t *testing.T, wire []byte) (names []string) {
	boxes, _ := topLevel(t, wire)
	for _, x := range boxes {
		names = append(names, x.kind.String())
	}
	return names
}

func TestFastStart(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Bitrate: 100_000}
	frames := s.Take(3 * time.Second)
	wire := record(t, s.Tracks(), frames, nil)
	var out bytes.Buffer
	require.NoError(t, FastStart(&out, bytes.NewReader(wire), int64(len(wire))))
	require.Equal(t, []string{"ftyp", "moov", "mdat"}, kinds(t, out.Bytes()))
	require.Equal(t, record(t, s.Tracks(), frames, &WriterOptions{Layout: LayoutFastStart}), out.Bytes(), "as the Writer does it")
	requireSameFrames(t, frames, readFile(t, out.Bytes()))

	// Once more changes nothing.
	var again bytes.Buffer
	require.NoError(t, FastStart(&again, bytes.NewReader(out.Bytes()), int64(out.Len())))
	require.Equal(t, out.Bytes(), again.Bytes())

	// Boxes behind the movie box, with media in one of them, move less.
	moov := bytes.LastIndex(wire, []byte("moov")) - 4
	media := wire[48:moov]
	behind := join(wire[:40], mdat(), wire[moov:], []byte("\x00\x00\x00\x08free"), mdat(media...))
	shift := int64(len(behind)-len(media)) - 48
	places := bytes.Clone(behind)
	for at := 0; ; {
		i := bytes.Index(places[at:], []byte("stco"))
		if i < 0 || at+i > len(behind)-len(media) {
			break
		}
		at += i + 8
		for k := range int(binary.BigEndian.Uint32(places[at:])) {
			p := places[at+4+4*k:]
			binary.BigEndian.PutUint32(p, binary.BigEndian.Uint32(p)+uint32(shift))
		}
	}
	requireSameFrames(t, frames, readFile(t, places))
	out.Reset()
	require.NoError(t, FastStart(&out, bytes.NewReader(places), int64(len(places))))
	require.Equal(t, []string{"ftyp", "moov", "mdat", "free", "mdat"}, kinds(t, out.Bytes()))
	requireSameFrames(t, frames, readFile(t, out.Bytes()))
}

// Positions that 32 bits are too few for afterwards get 64.
func TestFastStartLongPositions(t *testing.T) {
	m := mover{moov: fileBox{at: 1 << 33, end: 1<<33 + 100}, room: 1000}
	for _, c := range []struct {
		in, want []byte
	}{
		{fullTable("stco", 2, 5, 6), fullTable("stco", 2, 1005, 1006)},
		{fullTable("stco", 2, 5, math.MaxUint32), fullTable("co64", 2, 0, 1005, 1, 999)},
		{fullTable("co64", 1, 0, 5), fullTable("co64", 1, 0, 1005)},
	} {
		x, _, err := cutBox(c.in)
		require.NoError(t, err)
		got, err := m.appendPlaces(nil, x)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	for _, bad := range [][]byte{fullTable("stco", 1), fullTable("stco"), fullTable("co64", 1, 5), fullTable("co64", 1, 1<<31, 0)} {
		x, _, err := cutBox(bad)
		require.NoError(t, err)
		_, err = m.appendPlaces(nil, x)
		require.ErrorIs(t, err, ErrInvalid)
	}
}

func TestFastStartRefuses(t *testing.T) {
	for _, c := range badFiles {
		wire := c.wire()
		if _, err := findMovie(&boxReader{src: bytes.NewReader(wire), size: int64(len(wire))}); err != nil {
			require.ErrorIs(t, FastStart(io.Discard, bytes.NewReader(wire), int64(len(wire))), ErrInvalid, c.name)
		}
	}
	extended := append(mdat(), appendBox(nil, "moov", func(b []byte) []byte { return appendBox(b, "mvex", func(b []byte) []byte { return b }) })...)
	require.ErrorIs(t, FastStart(io.Discard, bytes.NewReader(extended), int64(len(extended))), source.ErrUnsupported)
	s := testmedia.Stream{Video: codec.H264, Bitrate: 50_000}
	wire := record(t, s.Tracks(), s.Take(time.Second), nil)
	for room := int64(1); room < int64(len(wire)); room += 101 {
		require.ErrorIs(t, FastStart(&memFile{room: room}, bytes.NewReader(wire), int64(len(wire))), errFull)
	}
	broken := errors.New("bad sector")
	for good := range 4 {
		require.ErrorIs(t, FastStart(io.Discard, &failing{bytes.NewReader(wire), good, broken}, int64(len(wire))), broken)
	}
}
