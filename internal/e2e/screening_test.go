package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A screening is ffmpeg watching a stream: it decodes every picture, and keeps a
// hash and the time of each picture and of each packet of sound. It serves where
// packets cannot be compared as they have another form on the wire.
type screening struct {
	p     *process
	dir   string
	known []string // of what it may complain
}

// A projector says how a screening is made. The zero value is for sound and
// picture, and for what has an end that ffmpeg understands.
type projector struct {
	input  []string // ffmpeg's options for what is watched
	sound  []string // and for what is kept of the sound
	kinds  []string // nil: both
	abrupt bool     // it ends with the connection, which is an error to ffmpeg
	known  []string // of which it may complain
}

// screen starts a screening of a file or URL; input are ffmpeg's options for it.
func screen(t testing.TB, url string, input ...string) *screening {
	t.Helper()
	return projector{input: input}.screen(t, url)
}

// screenKinds is screen for what has not both, sound and picture.
func screenKinds(t testing.TB, url string, input []string, kinds ...string) *screening {
	t.Helper()
	return projector{input: input, kinds: kinds}.screen(t, url)
}

func (p projector) screen(t testing.TB, url string) *screening {
	t.Helper()
	s := &screening{dir: t.TempDir(), known: p.known}
	args := []string{"-v", "warning"}
	if !p.abrupt {
		args = append(args, "-xerror")
	}
	args = append(append(args, p.input...), "-i", url)
	if p.kinds == nil || slices.Contains(p.kinds, "video") {
		args = append(args, "-map", "0:v", "-fps_mode", "passthrough", "-enc_time_base", "-1", "-pix_fmt", "yuv420p",
			"-flush_packets", "1", "-f", "framemd5", s.file("video"))
	}
	if p.kinds == nil || slices.Contains(p.kinds, "audio") {
		for _, out := range [][]string{{"-flush_packets", "1", "-f", "framemd5", s.file("audio")}, {"-f", "data", s.file("sound")}} {
			args = append(append(append(args, "-map", "0:a", "-c", "copy"), p.sound...), out...)
		}
	}
	s.p = start(t, "ffmpeg", args...)
	return s
}

// screenRTSP is screen for an RTSP URL by one of ffmpeg's transports.
func screenRTSP(t testing.TB, url, transport string) *screening {
	t.Helper()
	return screen(t, url, "-rtsp_transport", transport)
}

func (s *screening) file(kind string) string { return filepath.Join(s.dir, kind) }

// size returns how many bytes of pictures, as they are decoded, and of sound there
// were so far.
func (s *screening) size() (n int64) {
	for _, p := range s.read().Packets {
		n += int64(p.Size)
	}
	return n
}

// wait waits until the stream has ended, fails if ffmpeg complained of anything,
// and returns what was seen. All that is known of a packet is in there.
func (s *screening) wait() probe {
	s.p.t.Helper()
	s.p.ok(2 * patience)
	var said strings.Builder
	for line := range strings.Lines(complaints(s.p.stderr.String())) {
		if !slices.ContainsFunc(s.known, func(text string) bool { return strings.Contains(line, text) }) {
			said.WriteString(line)
		}
	}
	require.Empty(s.p.t, said.String(), "%s", s.p.cmd)
	return s.read()
}

// read parses what there is of the hash files. A line is
//
//	stream, dts, pts, duration, size, hash[, side data]
func (s *screening) read() (p probe) {
	for i, kind := range []string{"video", "audio"} {
		b, err := os.ReadFile(s.file(kind))
		if err != nil {
			continue // not yet, or no such stream
		}
		var num, den float64
		for line := range strings.Lines(string(b)) {
			if base, ok := strings.CutPrefix(line, "#tb 0: "); ok {
				a, b, _ := strings.Cut(strings.TrimSpace(base), "/")
				num, _ = strconv.ParseFloat(a, 64)
				den, _ = strconv.ParseFloat(b, 64)
			}
			fields := strings.Split(strings.TrimSpace(line), ",")
			if len(fields) < 6 || !strings.HasSuffix(line, "\n") || line[0] == '#' {
				continue
			}
			if len(p.Streams) == 0 || p.Streams[len(p.Streams)-1].Kind != kind {
				p.Streams = append(p.Streams, probeStream{Index: i, Kind: kind})
			}
			size, _ := strconv.Atoi(strings.TrimSpace(fields[4]))
			pts, _ := strconv.ParseFloat(strings.TrimSpace(fields[2]), 64)
			at := seconds(pts * num / den * float64(time.Second))
			p.Packets = append(p.Packets, probePacket{
				Stream: i, PTS: at, DTS: at, Size: size, Flags: "K_", Hash: strings.TrimSpace(fields[5]),
			})
		}
	}
	return p
}

// requireSound checks that a part of the sound of want, as bytes, is got, and not
// less than half of it. It is for codecs without frames, which every program
// cuts as it likes.
func requireSound(t testing.TB, want, got *screening) {
	t.Helper()
	w, err := os.ReadFile(want.file("sound"))
	require.NoError(t, err)
	g, err := os.ReadFile(got.file("sound"))
	require.NoError(t, err)
	require.Greater(t, len(g), len(w)/2)
	require.True(t, bytes.Contains(w, g), "%d bytes of sound are not part of the %d bytes there were", len(g), len(w))
}

// requireScreened checks that got, which came by RTSP, is what was seen of want,
// picture by picture: nothing is missing between. At the beginning so many GOPs
// of the clip may be, and early pictures or packets at the end. Sound and picture
// are in step. The first picture is left out, as ffmpeg knows no time of it.
func requireScreened(t testing.TB, c clip, want, got probe, gops, early int) {
	t.Helper()
	require.Len(t, got.Streams, len(want.Streams))
	first := slices.IndexFunc(got.Packets, func(p probePacket) bool { return p.Stream == got.stream(t, "video").Index })
	got.Packets = slices.Delete(slices.Clone(got.Packets), first, first+1)
	early++
	var shifts []time.Duration
	for _, s := range want.Streams {
		all := len(want.packets(t, s.Kind))
		late := all * gops * max(c.gop, 25) / int(c.duration.Seconds()*25)
		n, shift := requireSamePackets(t, want, got, s.Kind, late+early)
		last := got.packets(t, s.Kind)[n-1]
		end := 0
		for i, p := range want.packets(t, s.Kind) {
			if p.Hash == last.Hash {
				end = i + 1
			}
		}
		require.Less(t, all-end, early, "%s: packets missing at the end", s.Kind)
		shifts = append(shifts, shift)
	}
	require.InDelta(t, shifts[0], shifts[len(shifts)-1], float64(3*time.Millisecond), "audio and video are out of step: %v", shifts)
}
