package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// gbFilm returns a film with what a camera sends.
func gbFilm(t *testing.T, c clip) *film {
	t.Helper()
	if (showing{audio: c.audio}).g711() {
		return c.spoken(t)
	}
	return load(t, c)
}

// TestGB28181Codecs: every frame that is put into a program stream arrives as it
// was, at viewers by RTMP and RTSP, and ffmpeg can decode it.
func TestGB28181Codecs(t *testing.T) {
	t.Parallel()
	for i, c := range []clip{
		{video: "h264", audio: "alaw", bframes: 2},
		{video: "h264", audio: "mulaw"},
		{video: "h265", audio: "aac", bframes: 2},
		{video: "h264"},
		{video: "h265"},
		{audio: "aac"},
		{audio: "alaw"},
	} {
		c.duration = 4 * time.Second
		t.Run(c.video+" "+c.audio, func(t *testing.T) {
			t.Parallel()
			f := gbFilm(t, c)
			s := serve(t, briefly())
			addr := ingest(t, s, &ps.Server{})
			ssrc := 0x80000000 + uint32(i)
			name := bySSRC(ssrc)
			overRTMP := playFrom(t, (&player.Client{Timeout: patience, ReadTimeout: patience}).Source(s.url("rtmp", name)))
			overRTSP := playFrom(t, opener(&rtsp.Client{Transport: rtsp.TransportTCP, Timeout: patience, ReadTimeout: patience}, s.url("rtsp", name)))
			screened := shows(t, s, name, "rtsp", c)
			s.viewers(t, 3)
			device{Sender: rtptest.Sender{SSRC: ssrc, PayloadType: 96}, network: "udp"}.send(t, addr, programStream(t, f))()
			// Sound of the time of the first picture may come before it, where no viewer begins.
			for _, got := range [][]*codec.Frame{overRTMP(), overRTSP()} {
				f.requireLike(t, got, exactness{tick: byFLV.tick, late: true})
				require.Len(t, ofKind(got, codec.KindVideo), len(ofKind(f.frames, codec.KindVideo)))
				require.GreaterOrEqual(t, len(got), len(f.frames)-1)
			}
			screened.wait()
		})
	}
}

// watchHub plays a stream without any protocol, so that its frames have their
// flags.
func watchHub(t *testing.T, s *server, name string) (wait func() []*codec.Frame) {
	t.Helper()
	return playFrom(t, source.SourceFunc(func(ctx context.Context) (source.Reader, error) {
		return s.Play(ctx, &source.Request{ID: source.NewID(), Schema: "test", Key: named(name), Viewer: source.ViewerOptions{MaxLag: patience}})
	}))
}

// whole returns frames without those that are marked as damaged.
func whole(frames []*codec.Frame) (list []*codec.Frame) {
	for _, s := range frames {
		if s.Flags&codec.FlagCorrupt == 0 {
			list = append(list, s)
		}
	}
	return list
}

// TestGB28181Loss: of a stream that loses packets on its way, and has others come
// late, twice and among rubbish, every frame that came whole is there, and what is
// not is marked. From the next key frame on viewers see what was sent.
func TestGB28181Loss(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "alaw", duration: 8 * time.Second, kbps: 300}
	for _, x := range []struct {
		name   string
		faults rtptest.Faults
	}{
		{"reordered", rtptest.Faults{Seed: 1, Reorder: 0.05, Duplicate: 0.02, Garbage: 0.02}},
		{"lost", rtptest.Faults{Seed: 2, Loss: 0.05, Reorder: 0.05, Duplicate: 0.02, Garbage: 0.02}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := gbFilm(t, c)
			units := programStream(t, f)
			require.Len(t, units, len(f.frames), "a frame is a pack")
			d := device{Sender: rtptest.Sender{SSRC: 0x77, PayloadType: 96}, network: "udp", faults: x.faults}
			want := f.arrived(d, units)
			require.Equal(t, x.faults.Loss == 0, len(want.frames) == len(f.frames))
			s := serve(t, briefly())
			addr := ingest(t, s, &ps.Server{})
			viewer := watchHub(t, s, bySSRC(d.SSRC))
			screened := projector{input: []string{"-rtsp_transport", "tcp"}, abrupt: x.faults.Loss > 0}.screen(t, s.url("rtsp", bySSRC(d.SSRC)))
			s.viewers(t, 2)
			d.send(t, addr, units)()
			want.requireWithin(t, f, whole(viewer()))
			if x.faults.Loss == 0 {
				screened.wait()
				return
			}
			screened.p.ok(patience)
			c.audio = ""
			f.requirePictures(t, screened.read(), screenKinds(t, c.file(t), nil, "video").wait(), want)
		})
	}
}

// arrived returns the film as it is after a device has sent it, one frame in a unit:
// without the frames that lack a packet, and without the pictures that need them.
func (f *film) arrived(d device, units []rtptest.Unit) *film {
	sender, arrived := d.Sender, map[uint16]bool{}
	for _, p := range d.faults.Apply(d.AllPackets(units)) {
		if len(p) >= 12 && binary.BigEndian.Uint32(p[8:]) == d.SSRC {
			arrived[binary.BigEndian.Uint16(p[2:])] = true
		}
	}
	rest := &film{tracks: f.tracks}
	decodes := false
	for i, u := range units {
		s, complete := f.frames[i], true
		for _, p := range sender.Packets(u) {
			complete = complete && arrived[binary.BigEndian.Uint16(p[2:])]
		}
		if s.Track.Kind() == codec.KindVideo {
			decodes = complete && (decodes || s.Key())
			complete = decodes
		}
		if complete {
			rest.frames = append(rest.frames, s)
		}
	}
	return rest
}

// requireWithin checks that got has all frames of f, and no others than those of
// the film that f is a part of. Of the sound, what comes before the first picture
// need not be there.
func (f *film) requireWithin(t testing.TB, all *film, got []*codec.Frame) {
	t.Helper()
	for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		sent, there, begin := ofKind(all.frames, kind), map[*codec.Frame]bool{}, time.Duration(0)
		for i, s := range ofKind(got, kind) {
			at := slices.IndexFunc(sent, func(w *codec.Frame) bool { return bytes.Equal(w.Data, s.Data) })
			require.GreaterOrEqual(t, at, 0, "%s frame %d of %d bytes is whole, and not the publisher's", kind, i, len(s.Data))
			if i == 0 {
				begin = sent[at].DTS
			}
			there[sent[at]], sent = true, sent[at+1:]
		}
		for i, s := range ofKind(f.frames, kind) {
			require.True(t, there[s] || kind == codec.KindAudio && s.DTS < begin, "%s frame %d at %v has come whole, and is missing", kind, i, s.DTS)
		}
		require.Less(t, begin, 2*time.Second)
		require.Greater(t, len(there), len(ofKind(f.frames, kind))*3/4, "%s frames", kind)
	}
}

// requirePictures checks that of every GOP of which all arrived each picture was
// seen as it was. There are no B-frames.
func (f *film) requirePictures(t testing.TB, got, original probe, arrived *film) {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range got.packets(t, "video") {
		seen[p.Hash] = true
	}
	pictures, there := ofKind(f.frames, codec.KindVideo), map[*codec.Frame]bool{}
	for _, s := range arrived.frames {
		there[s] = true
	}
	shown := original.packets(t, "video")
	require.Len(t, shown, len(pictures))
	n := 0
	for i, s := range pictures {
		if there[s] {
			require.True(t, seen[shown[i].Hash], "picture %d can be decoded, and was not seen", i)
			n++
		}
	}
	require.Positive(t, n)
}

// TestGB28181Garbage: a device's connection carries rubbish in the middle, of any
// length, or loses bytes. The stream goes on within a GOP, and the sound with it.
func TestGB28181Garbage(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 6 * time.Second}
	for _, x := range []struct {
		name string
		harm func(packet []byte, seed uint64) []byte // what is written instead of it
	}{
		{"before a packet", func(p []byte, seed uint64) []byte {
			return append(rtptest.Garbage(700, seed), rtptest.RFC4571([][]byte{p})...)
		}},
		{"in a packet", func(p []byte, seed uint64) []byte {
			b := rtptest.RFC4571([][]byte{p})
			return slices.Insert(b, len(b)/2, rtptest.Garbage(501, seed)...)
		}},
		{"bytes lost", func(p []byte, seed uint64) []byte {
			return rtptest.RFC4571([][]byte{p})[7:]
		}},
		{"a length of 65535", func(p []byte, seed uint64) []byte {
			return append([]byte{0xff, 0xff}, rtptest.RFC4571([][]byte{p})...)
		}},
		{"a length of 0", func(p []byte, seed uint64) []byte {
			return append([]byte{0, 0}, rtptest.RFC4571([][]byte{p})...)
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := load(t, c)
			s := serve(t, briefly())
			server := &ps.Server{}
			addr := ingest(t, s, server)
			const ssrc, every = 0x4711, 150 // packets
			viewer := watchHub(t, s, bySSRC(ssrc))
			s.viewers(t, 1)
			n := 0
			d := device{Sender: rtptest.Sender{SSRC: ssrc, PayloadType: 96}, network: "tcp", framed: func(p []byte) []byte {
				if n++; n%every == every/2 {
					return x.harm(p, uint64(n))
				}
				return rtptest.RFC4571([][]byte{p})
			}}
			d.send(t, addr, programStream(t, f))()
			require.Greater(t, n, 2*every, "packets")
			f.requireResumes(t, whole(viewer()), n/every+1, 25)
		})
	}
}

// requireResumes checks that got is the film with at most so many gaps between
// frames of each track, none of which is longer than so many frames, or than it is
// to a key frame. At a gap there may be a frame that is not the film's: nothing tells
// when bytes in the middle of a packet are others.
func (f *film) requireResumes(t testing.TB, got []*codec.Frame, gaps, longest int) {
	t.Helper()
	for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		want, n, strange := ofKind(f.frames, kind), 0, 0
		at := 0
		for i, s := range ofKind(got, kind) {
			skipped := slices.IndexFunc(want[at:], func(w *codec.Frame) bool { return bytes.Equal(w.Data, s.Data) })
			if skipped < 0 {
				strange++
				continue
			}
			if skipped > 0 {
				require.LessOrEqual(t, skipped, longest, "%s frames in a gap before number %d", kind, i)
				n++
			}
			at += skipped + 1
		}
		require.LessOrEqual(t, n, gaps, "gaps between %s frames", kind)
		require.LessOrEqual(t, strange, n, "%s frames that are not the publisher's", kind)
		require.LessOrEqual(t, len(want)-at, longest, "%s frames missing at the end", kind)
	}
}
