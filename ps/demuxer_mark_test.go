package ps

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A marking is how a sender marks the packets of a picture; each tells that of the
// nth of count packets.
type marking func(n, count int) bool

// markings are those there are, and whether pictures come at once by them.
var markings = []struct {
	name   string
	mark   marking
	prompt bool
}{
	{"last packet", func(n, count int) bool { return n == count-1 }, true},
	{"never", func(int, int) bool { return false }, false},
	{"each packet", func(int, int) bool { return true }, false},
	{"first packet", func(n, _ int) bool { return n == 0 }, false},
	{"every other packet", func(n, _ int) bool { return n%2 == 0 }, false},
	{"last but one", func(n, count int) bool { return n == max(count-2, 0) }, false},
}

// Marks make pictures come at once if they are right, and cost nothing if not.
func TestDemuxerBoundary(t *testing.T) {
	for _, c := range markings {
		for _, s := range []testmedia.Stream{
			{Video: codec.H264, Bitrate: 1_000_000, GOP: time.Second},
			{Video: codec.H265, Bitrate: 8_000_000, GOP: 200 * time.Millisecond, BFrames: 2},
			{Video: codec.H264, Audio: codec.PCMA, Bitrate: 20_000_000, GOP: 400 * time.Millisecond},
		} {
			want := s.Take(2 * time.Second)
			m := NewMuxer(nil)
			var d Demuxer
			var got []*codec.Frame
			late := 0
			for i, f := range want {
				b, err := m.Append(nil, f)
				require.NoError(t, err)
				b = withoutDelimiters(b)
				count := (len(b) + 1399) / 1400
				n := 0
				for p := range slices.Chunk(b, 1400) {
					got, err = d.Append(got, p)
					require.NoError(t, err)
					if c.mark(n, count) {
						got = d.Boundary(got)
					}
					n++
				}
				if s.Audio == codec.Opaque && i > 2*8+2 {
					late = max(late, i+1-len(got))
				}
			}
			got = d.Flush(got)
			t.Run(c.name, func(t *testing.T) {
				requireDemuxed(t, want, got, containertest.ProgramLead)
				if s.Audio == codec.Opaque {
					require.Equal(t, c.prompt, late == 0, "%d late", late)
				}
			})
		}
	}
}

// withoutDelimiters returns b without access unit delimiters, which would tell where
// pictures begin and are not what cameras write.
func withoutDelimiters(b []byte) []byte {
	return changed(b, func(_ int, s section) []byte {
		if !s.isMedia() {
			return s
		}
		at := 9 + int(s[8])
		for _, delimiter := range []string{"\x00\x00\x00\x01\x09\xf0", "\x00\x00\x00\x01\x46\x01\x50"} {
			if len(s) >= at+len(delimiter) && string(s[at:at+len(delimiter)]) == delimiter {
				s = slices.Concat(s[:at], s[at+len(delimiter):])
				s.setLength(len(s) - 6)
			}
		}
		return s
	})
}

// Marks at the end of each PES packet: pictures that have one come at once, and those
// that have several are not cut.
func TestDemuxerBoundaryPackets(t *testing.T) {
	for _, s := range []testmedia.Stream{
		{Video: codec.H264, Bitrate: 20_000_000, GOP: 800 * time.Millisecond},
		{Video: codec.H264, Bitrate: 1_000_000, GOP: 800 * time.Millisecond},
	} {
		want := s.Take(4 * time.Second)
		b := withoutDelimiters(muxed(t, want))
		if s.Bitrate == 1_000_000 {
			b = apart(b)
		}
		var d Demuxer
		var got []*codec.Frame
		for _, s := range sectionsOf(b) {
			got, _ = d.Append(got, s)
			if s.isMedia() {
				got = d.Boundary(got)
			}
		}
		requireDemuxed(t, want, d.Flush(got), containertest.ProgramLead)
	}
}

// apart returns b with every NAL unit in a PES packet of its own, as cameras do.
func apart(b []byte) []byte {
	return changed(b, func(_ int, s section) []byte {
		if !pes.IsVideo(s.id()) {
			return s
		}
		var out []byte
		at := 9 + int(s[8])
		header := s[:at]
		for nalu := range codec.SplitAnnexB(s[at:]) {
			part := section(slices.Concat(header, []byte{0, 0, 0, 1}, nalu))
			part.setLength(len(part) - 6)
			out = append(out, part...)
		}
		return out
	})
}

// A mark that is right for long, and then in the middle of a picture, costs that one.
func TestDemuxerBoundaryLies(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 1_000_000, GOP: time.Second}
	want := s.Take(4 * time.Second)
	m := NewMuxer(nil)
	var d Demuxer
	var got []*codec.Frame
	for i, f := range want {
		b, err := m.Append(nil, f)
		require.NoError(t, err)
		b = withoutDelimiters(b)
		if i < 20 {
			got, _ = d.Append(got, b)
			got = d.Boundary(got)
			continue
		}
		// Two PES packets, and a mark between them.
		list := sectionsOf(b)
		p := list[len(list)-1]
		half := len(p) / 2
		second := append(section(slices.Clone(p[:6])), 0x80, 0, 0)
		second = append(second, p[half:]...)
		p = p[:half]
		p.setLength(len(p) - 6)
		second.setLength(len(second) - 6)
		list[len(list)-1] = p
		got, _ = d.Append(got, joined(list))
		got = d.Boundary(got)
		got, _ = d.Append(got, second)
		got = d.Boundary(got)
	}
	got = d.Flush(got)
	require.Len(t, got, len(want))
	wrong := 0
	for i, f := range got {
		if len(f.Data) != len(want[i].Data) {
			wrong++
		}
	}
	require.LessOrEqual(t, wrong, 1)
}
