package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/source"
)

// A cinema is a server of one film, "record/cam/film" with an extension. There is
// a key frame every second.
type cinema struct {
	*server
	shown probe // what ffmpeg sees of the film
	file  probe // what is in it
}

var cinemaClip = clip{video: "h264", audio: "aac", bframes: 2, duration: 40 * time.Second}

func openCinema(t *testing.T) *cinema {
	t.Helper()
	path := cinemaClip.file(t)
	return &cinema{
		server: serveFilms(t, map[string]clip{"cam/film.mp4": cinemaClip}),
		shown:  screen(t, path).wait(),
		file:   probeFile(t, "ffprobe", path),
	}
}

// film returns the URL of the film by a protocol.
func (c *cinema) film(scheme string) string { return c.at(scheme, "record/cam/film.mp4") }

// at returns where in the film something is that was seen.
func (p probe) at(t testing.TB, kind string, seen probePacket) time.Duration {
	t.Helper()
	all := p.packets(t, kind)
	i := slices.IndexFunc(all, func(x probePacket) bool { return x.Hash == seen.Hash })
	require.GreaterOrEqual(t, i, 0, "a %s at %v is not of the film", kind, time.Duration(seen.PTS))
	return time.Duration(all[i].PTS)
}

// timed returns what was seen without the first picture that came by RTSP, of which
// ffmpeg knows no time.
func (p probe) timed(t testing.TB, url string) probe {
	t.Helper()
	if strings.HasPrefix(url, "rtsp") {
		video := p.stream(t, "video").Index
		i := slices.IndexFunc(p.Packets, func(x probePacket) bool { return x.Stream == video })
		p.Packets = slices.Delete(p.Packets, i, i+1)
	}
	return p
}

// requirePart checks that what was seen is part of the film, without a gap, from
// where to where it may begin.
func (c *cinema) requirePart(t *testing.T, got probe, from, to time.Duration) {
	t.Helper()
	first := c.shown.at(t, "video", got.packets(t, "video")[0])
	require.GreaterOrEqual(t, first, from)
	require.LessOrEqual(t, first, to)
	shift := first - time.Duration(got.packets(t, "video")[0].PTS)
	for kind, tick := range map[string]time.Duration{"video": 2 * time.Millisecond, "audio": 5 * time.Millisecond} {
		want, begun := c.shown.packets(t, kind), false
		for _, x := range got.packets(t, kind) {
			at := time.Duration(x.PTS) + shift
			// The sound repeats itself.
			i := slices.IndexFunc(want, func(w probePacket) bool {
				return w.Hash == x.Hash && (time.Duration(w.PTS)-at).Abs() <= tick
			})
			if i < 0 && !begun && at < from {
				continue // a datagram that was under way when ffmpeg went elsewhere
			}
			require.GreaterOrEqual(t, i, 0, "%s at %v is not that of the film", kind, at)
			if begun {
				require.Zero(t, i, "%s before %v is missing", kind, at)
			}
			begun, want = true, want[i+1:]
		}
		require.True(t, begun, "no %s", kind)
	}
}

// TestVOD plays a film from other times than its beginning.
func TestVOD(t *testing.T) {
	t.Parallel()
	c := openCinema(t)
	const frame = 40 * time.Millisecond

	// ffmpeg -ss throws away what comes before the time that it wants, by the times
	// it is told: what is left begins there only if those are right.
	for name, x := range map[string]struct {
		url   string
		input []string
	}{
		"RTSP over TCP": {c.film("rtsp"), []string{"-rtsp_transport", "tcp"}},
		"RTSP over UDP": {c.film("rtsp"), []string{"-rtsp_transport", "udp"}},
		"RTMP":          {c.film("rtmp"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, to := range []time.Duration{15500 * time.Millisecond, 31 * time.Second} {
				t.Run(to.String(), func(t *testing.T) {
					t.Parallel()
					ss := strconv.FormatFloat(to.Seconds(), 'f', 3, 64)
					got := screen(t, x.url, append(x.input, "-ss", ss, "-t", "2")...).wait().timed(t, x.url)
					c.requirePart(t, got, to-frame, to+3*frame)
					begin := c.shown.at(t, "video", got.packets(t, "video")[0])
					require.InDelta(t, begin-to, time.Duration(got.packets(t, "video")[0].PTS), float64(2*frame), "its own time")

					if strings.HasPrefix(x.url, "rtsp") {
						return // without the throwing away it minds the picture without a time
					}
					got = screen(t, x.url, append(x.input, "-noaccurate_seek", "-ss", ss, "-t", "2")...).wait()
					// Where there are B-frames it asks for a bit less.
					c.requirePart(t, got, (to - 150*time.Millisecond).Truncate(time.Second), to)
				})
			}
		})
	}

	// To the end, which is graceful.
	for name, x := range map[string]projector{
		"RTSP over TCP, the end": {input: []string{"-rtsp_transport", "tcp"}},
		"RTSP over UDP, the end": {input: []string{"-rtsp_transport", "udp"}},
		"RTMP, the end":          {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x.input = append(x.input, "-ss", "36.5")
			scheme := strings.ToLower(name[:4])
			got := x.screen(t, c.film(scheme)).wait().timed(t, scheme)
			c.requirePart(t, got, 36*time.Second, 37*time.Second)
			all := got.packets(t, "video")
			last := c.shown.at(t, "video", all[len(all)-1])
			require.GreaterOrEqual(t, last, cinemaClip.duration-5*frame)
		})
	}

	for name, scheme := range map[string]string{"HTTP-FLV": "http", "WS-FLV": "ws"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := probeFile(t, "ffprobe", record(t, c.film(scheme)+".live.flv?start=36.5").wait())
			requireSame(t, c.file, got, anyPart)
			video := got.packets(t, "video")
			from := c.file.at(t, "video", video[0])
			require.InDelta(t, 36*time.Second, from, float64(3*frame))
			require.InDelta(t, from, time.Duration(video[0].PTS), float64(3*frame), "the film's own times")
			require.Equal(t, c.file.packets(t, "video")[len(c.file.packets(t, "video"))-1].Hash, video[len(video)-1].Hash)
		})
	}
	for name, suffix := range map[string]string{"TS": ".live.ts", "fMP4": ".live.mp4"} {
		t.Run("HTTP-"+name, func(t *testing.T) {
			t.Parallel()
			film := projector{}
			if name == "TS" { // or every packet of sound would begin with its ADTS header
				film.sound = []string{"-bsf:a", "aac_adtstoasc"}
			}
			got := film.screen(t, record(t, c.film("http")+suffix+"?start=36.5").wait()).wait()
			c.requirePart(t, got, 36*time.Second-frame, 36*time.Second+3*frame)
			all := got.packets(t, "video")
			require.GreaterOrEqual(t, c.shown.at(t, "video", all[len(all)-1]), cinemaClip.duration-5*frame)
		})
	}
	t.Run("Scale", c.scales)
	t.Run("our clients", c.remotely)
	t.Run("two viewers", c.independent)
	t.Run("no such file", func(t *testing.T) {
		t.Parallel()
		for _, url := range []string{c.film("http") + "4.live.flv", c.film("http") + ".live.flv?start=41"} {
			_, err := open(t.Context(), url)
			require.ErrorContains(t, err, "404")
		}
	})
}

// A timedPacket is an RTP packet, and where in the film it is by what the answer to
// PLAY tells.
type timedPacket struct {
	npt  time.Duration
	came time.Time
	key  bool // it begins with parameter sets
}

// A projection plays a film by RTSP, by hand.
type projection struct {
	*caller
	url      string
	from     time.Duration // of the answer to PLAY
	rtptime  uint32        // of the video
	sequence uint16
	scale    float64
	began    time.Time
}

func (c *cinema) project(t *testing.T) *projection {
	t.Helper()
	p := &projection{caller: call(t, c.addrs["rtsp"]), url: c.film("rtsp"), scale: 1}
	header, sdp := p.ok("DESCRIBE", p.url, "Accept: application/sdp")
	require.Contains(t, sdp, "a=range:npt=0-40.")
	for i, control := range controls(header["content-base"], sdp) {
		p.ok("SETUP", control, fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d", 2*i, 2*i+1))
	}
	return p
}

// play says PLAY and takes in the answer.
func (p *projection) play(headers ...string) map[string]string {
	p.t.Helper()
	p.began = time.Now()
	header, _ := p.ok("PLAY", p.url, headers...)
	p.packets = nil
	if header["scale"] != "" {
		var err error
		p.scale, err = strconv.ParseFloat(header["scale"], 64)
		require.NoError(p.t, err)
	}
	if header["rtp-info"] != "" {
		var from float64
		_, err := fmt.Sscanf(header["range"], "npt=%f-40", &from)
		require.NoError(p.t, err, header["range"])
		p.from = time.Duration(math.Round(from*1000)) * time.Millisecond
		_, info, _ := strings.Cut(header["rtp-info"], ";")
		_, err = fmt.Sscanf(info, "seq=%d;rtptime=%d", &p.sequence, &p.rtptime)
		require.NoError(p.t, err, header["rtp-info"])
	}
	return header
}

// next returns the next packet of the video.
func (p *projection) next() (x timedPacket) {
	p.t.Helper()
	for {
		p.packets = nil
		require.True(p.t, p.packet())
		b := p.packets[0]
		if b[1] != 0 {
			continue
		}
		x.came = time.Now()
		stamp := uint32(b[8])<<24 | uint32(b[9])<<16 | uint32(b[10])<<8 | uint32(b[11])
		ahead := time.Duration(int32(stamp-p.rtptime)) * time.Second / 90000
		x.npt = p.from + time.Duration(float64(ahead)*p.scale)
		nal := b[16] & 31
		x.key = nal == 7 || nal == 24 && b[19]&31 == 7
		if x.npt == p.from {
			require.Equal(p.t, uint16(b[6])<<8|uint16(b[7]), p.sequence, "the first packet")
			p.sequence++ // of the other packets of the picture
		}
		return x
	}
}

// scales plays the film at other speeds: a key frame is where the answer tells that
// it is, and nothing comes before its time.
func (c *cinema) scales(t *testing.T) {
	const frame, slack = 40 * time.Millisecond, 1500 * time.Millisecond
	keys := []time.Duration{}
	for _, x := range c.file.packets(t, "video") {
		if x.Flags[0] == 'K' {
			keys = append(keys, time.Duration(x.PTS))
		}
	}
	requireKey := func(t *testing.T, at time.Duration) {
		near := slices.MinFunc(keys, func(a, b time.Duration) int { return int((a - at).Abs() - (b - at).Abs()) })
		require.InDelta(t, near, at, float64(4*frame), "a key frame")
	}
	for _, scale := range []float64{0.5, 2, 8} {
		t.Run(fmt.Sprint(scale), func(t *testing.T) {
			t.Parallel()
			p := c.project(t)
			header := p.play("Range: npt=10.4-", fmt.Sprintf("Scale: %v", scale))
			require.Equal(t, fmt.Sprint(scale), header["scale"])
			require.InDelta(t, 10*time.Second, p.from, float64(3*frame))
			seen := 0
			last := p.from + max(2*time.Second, time.Duration(2*scale*float64(time.Second)))
			for x := p.next(); x.npt < last; x = p.next() {
				if x.key {
					seen++
					requireKey(t, x.npt)
				}
				due := time.Duration(float64(x.npt-p.from)/scale) - slack
				require.GreaterOrEqual(t, x.came.Sub(p.began), due, "it comes before its time: %v", x.npt)
			}
			require.GreaterOrEqual(t, seen, int((last-p.from)/time.Second))

			// Back to the natural speed, where it is.
			at := p.from
			p.play("Scale: 1")
			require.Equal(t, 1.0, p.scale)
			require.Greater(t, p.from, at)
			for x := p.next(); x.npt < p.from+time.Second; x = p.next() {
				if x.key {
					requireKey(t, x.npt)
				}
			}
		})
	}
}

// remotely has our clients seek in the film and pause it: what comes is what the
// film has there, and pausing loses nothing.
func (c *cinema) remotely(t *testing.T) {
	f := load(t, cinemaClip)
	pictures := ofKind(f.frames, codec.KindVideo)
	const off = 3 * time.Millisecond
	for _, scheme := range []string{"rtmp", "rtsp"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			r, err := player.Open(t.Context(), c.film(scheme))
			require.NoError(t, err)
			defer r.Close()
			seeker, ok := source.As[source.Seeker](r)
			require.True(t, ok)
			pauser, ok := source.As[source.Pauser](r)
			require.True(t, ok)
			require.InDelta(t, cinemaClip.duration, seeker.Duration(), float64(200*time.Millisecond))
			for _, to := range []time.Duration{20400 * time.Millisecond, 5900 * time.Millisecond, 33 * time.Second} {
				at, err := seeker.Seek(t.Context(), to)
				require.NoError(t, err)
				require.InDelta(t, to.Truncate(time.Second), at, float64(off))
				first, err := r.ReadFrame(t.Context())
				require.NoError(t, err)
				require.Equal(t, at, first.DTS)
				i := slices.IndexFunc(pictures, func(x *codec.Frame) bool { return bytes.Equal(x.Data, first.Data) })
				require.GreaterOrEqual(t, i, 0)
				require.InDelta(t, pictures[i].DTS, at, float64(off))
				for n := range 20 {
					if n == 5 {
						require.NoError(t, pauser.Pause(true))
						ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
						_, err := r.ReadFrame(ctx)
						cancel()
						require.ErrorIs(t, err, context.DeadlineExceeded)
						require.NoError(t, pauser.Pause(false))
					}
					next, err := r.ReadFrame(t.Context())
					for ; err == nil && next.Track.Kind() != codec.KindVideo; next, err = r.ReadFrame(t.Context()) {
					}
					require.NoError(t, err)
					i++
					require.Equal(t, pictures[i].Data, next.Data)
					require.InDelta(t, pictures[i].DTS, next.DTS, float64(off))
				}
			}
		})
	}
}

// independent: what one viewer does with a film is nobody else's business.
func (c *cinema) independent(t *testing.T) {
	t.Parallel()
	whole := record(t, c.film("http")+".live.flv?start=30")
	p := c.project(t)
	q := c.project(t)
	for i, to := range []int{25, 3, 38, 12} {
		p.play(fmt.Sprintf("Range: npt=%d.5-", to))
		require.InDelta(t, time.Duration(to)*time.Second, p.from, float64(120*time.Millisecond))
		first := p.next()
		require.True(t, first.key)
		require.Equal(t, p.from, first.npt)
		q.play(fmt.Sprintf("Range: npt=%d-", 20+i))
		require.True(t, q.next().key)
		require.InDelta(t, time.Duration(20+i)*time.Second, q.from, float64(120*time.Millisecond))

		p.ok("PAUSE", p.url)
		p.packets = nil
		p.ok("GET_PARAMETER", p.url)
		require.Empty(t, p.packets, "packets while it is paused")
		header := p.play()
		require.Empty(t, header["rtp-info"])
		at := p.next().npt
		require.GreaterOrEqual(t, at, first.npt-120*time.Millisecond)
		require.Less(t, at, first.npt+2*time.Second)
	}
	status, _, _ := p.do("PLAY", p.url, "Range: npt=41-")
	require.Equal(t, 457, status, "beyond the end")
	p.packets = nil
	p.next() // and it goes on

	got := probeFile(t, "ffprobe", whole.wait())
	requireSame(t, c.file, got, anyPart)
	all, last := got.packets(t, "video"), c.file.packets(t, "video")
	require.Equal(t, last[len(last)-1].Hash, all[len(all)-1].Hash)
	require.InDelta(t, 10*25, len(all), 3)
}
