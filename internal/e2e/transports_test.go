package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/rtsp"
)

// publishRTSP runs ffmpeg as a publisher by RTSP of a clip in real time.
func publishRTSP(t testing.TB, path, url, transport string, more ...string) *process {
	t.Helper()
	args := append([]string{"-v", "error", "-re"}, more...)
	return start(t, "ffmpeg", append(args, "-i", path, "-c", "copy", "-f", "rtsp", "-rtsp_transport", transport, url)...)
}

// forgotten is how many AAC frames ffmpeg may lose that publishes by RTSP: it
// collects some for a packet, and forgets those of the last one at the end.
const forgotten = 6

// transports returns what ffmpeg calls the RTSP transports that viewers can
// have here.
func transports() []string {
	list := []string{"tcp", "udp", "http"}
	if multicast() {
		list = append(list, "udp_multicast")
	}
	return list
}

// TestRTSPTransports has publishers by RTMP and by RTSP on TCP and UDP, each
// with viewers by every transport of RTSP and by RTMP and HTTP, for thirty
// seconds: they see what was published. It runs alone, and where it can in a
// network of its own, for the sake of multicast.
func TestRTSPTransports(t *testing.T) {
	if inOwnNetwork(t) {
		return
	}
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 30 * time.Second}
	if testing.Short() {
		c.duration = 5 * time.Second
	}
	published, pictures := probeFile(t, "ffprobe", c.file(t)), screen(t, c.file(t)).wait()
	s := serve(t, nil)

	publishers := []struct {
		name  string
		loses int
	}{{"rtmp", 0}, {"tcp", forgotten}, {"udp", forgotten}}
	viewers := map[string]map[string]*screening{}
	recorded := map[string]map[string]*recording{}
	for _, p := range publishers {
		viewers[p.name], recorded[p.name] = map[string]*screening{}, map[string]*recording{}
		for _, transport := range transports() {
			viewers[p.name][transport] = screenRTSP(t, s.url("rtsp", "live/"+p.name), transport)
		}
		for _, scheme := range []string{"rtmp", "http"} {
			recorded[p.name][scheme] = record(t, s.url(scheme, "live/"+p.name))
		}
	}
	// Clients in Go by multicast, which no other test has.
	f, group := load(t, c), map[string]func() []*codec.Frame{}
	if multicast() {
		group["ours"] = playFrom(t, opener(&rtsp.Client{Transport: rtsp.TransportMulticast, Timeout: patience}, s.url("rtsp", "live/rtmp")))
		group["gortsplib"] = gortsplibPlay(t, f.tracks, s.url("rtsp", "live/rtmp"), "multicast")
	}
	s.viewers(t, len(publishers)*(len(transports())+2)+len(group))
	var publishing []*process
	for _, p := range publishers {
		if p.name == "rtmp" {
			publishing = append(publishing, publish(t, c.file(t), s.url("rtmp", "live/rtmp")))
		} else {
			publishing = append(publishing, publishRTSP(t, c.file(t), s.url("rtsp", "live/"+p.name), p.name))
		}
	}
	// One comes late and starts with the GOP before it came.
	late := screenRTSP(t, s.url("rtsp", "live/tcp"), "tcp")
	for _, p := range publishing {
		p.ok(2 * patience)
	}

	for _, p := range publishers {
		for transport, v := range viewers[p.name] {
			t.Run(p.name+" to rtsp, "+transport, func(t *testing.T) {
				early := p.loses
				if transport[0] == 'u' {
					early += 3 // the end is said on the connection, which may overtake datagrams
				}
				requireScreened(t, c, pictures, v.wait(), 2, early)
			})
		}
		for scheme, v := range recorded[p.name] {
			t.Run(p.name+" to "+scheme, func(t *testing.T) {
				path := v.wait()
				requireSame(t, published, probeFile(t, "ffprobe", path), p.loses)
				requireDecodes(t, "ffmpeg", path)
			})
		}
	}
	for name, wait := range group {
		t.Run("multicast, "+name, func(t *testing.T) {
			// Who joins a group gets what the others get just then.
			f.requireLike(t, wait(), exactness{tick: byFLV.tick, pts: true, late: true, any: true, early: 3})
		})
	}
	t.Run("late", func(t *testing.T) {
		got := late.wait()
		requireScreened(t, c, pictures, got, int(c.duration/time.Second), forgotten)
		n := len(got.packets(t, "video"))
		require.Zero(t, (len(pictures.packets(t, "video"))-n)%25, "does not start at a key frame")
	})
}
