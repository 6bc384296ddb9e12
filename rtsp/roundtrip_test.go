package rtsp

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	pionrtp "github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// carried are the codecs that RTP has a payload format of, with the format that
// gortsplib takes them for.
var carried = []struct {
	codec  codec.Codec
	format string
}{
	{codec.H264, "*format.H264"},
	{codec.H265, "*format.H265"},
	{codec.AV1, "*format.AV1"},
	{codec.VP8, "*format.VP8"},
	{codec.VP9, "*format.VP9"},
	{codec.MJPEG, "*format.MJPEG"},
	{codec.AAC, "*format.MPEG4Audio"},
	{codec.Opus, "*format.Opus"},
	{codec.PCMA, "*format.G711"},
	{codec.PCMU, "*format.G711"},
	{codec.MP3, "*format.MPEG1Audio"},
	{codec.L16, "*format.LPCM"},
}

// TestForeignPlayer: gortsplib's client plays every codec, over TCP and UDP, and
// gets what was published.
func TestForeignPlayer(t *testing.T) {
	for _, c := range carried {
		for _, protocol := range []gortsplib.Protocol{gortsplib.ProtocolTCP, gortsplib.ProtocolUDP} {
			t.Run(fmt.Sprint(c.codec, " ", protocol), func(t *testing.T) {
				hub := newHub(t)
				url := startServer(t, &Server{Handler: hub}) + "cam"
				st := testmedia.Stream{Audio: c.codec}
				if c.codec.Kind() == codec.KindVideo {
					st = testmedia.Stream{Video: c.codec, Bitrate: 1_000_000, GOP: 400 * time.Millisecond}
				}
				f := feed(t, hub, "cam", st)
				f.write(t, 36)
				key := len(f.sent) - 1 // where a viewer begins
				for !f.sent[key].Key() {
					key--
				}

				u, err := base.ParseURL(url)
				require.NoError(t, err)
				player := gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &protocol}
				require.NoError(t, player.Start())
				defer player.Close()
				desc, _, err := player.Describe(u)
				require.NoError(t, err)
				require.Len(t, desc.Medias, 1)
				require.Equal(t, c.format, fmt.Sprintf("%T", desc.Medias[0].Formats[0]))
				require.NoError(t, player.SetupAll(desc.BaseURL, desc.Medias))
				var mu sync.Mutex
				var got bytes.Buffer
				decode := foreignDecoder(t, desc.Medias[0].Formats[0])
				player.OnPacketRTP(desc.Medias[0], desc.Medias[0].Formats[0], func(p *pionrtp.Packet) {
					mu.Lock()
					defer mu.Unlock()
					for _, unit := range decode(p) {
						got.Write(unit)
					}
				})
				_, err = player.Play(nil)
				require.NoError(t, err)
				var want bytes.Buffer
				for from := key; ; f.write(t, 4) { // not more at once than a socket takes
					for _, fr := range f.sent[from:] {
						for _, unit := range foreignUnits(t, fr) {
							want.Write(unit)
						}
					}
					from = len(f.sent)
					require.Eventually(t, func() bool {
						mu.Lock()
						defer mu.Unlock()
						return got.Len() >= want.Len()
					}, 10*time.Second, time.Millisecond)
					if from == 76 {
						break
					}
				}
				mu.Lock()
				defer mu.Unlock()
				require.True(t, bytes.Equal(want.Bytes(), got.Bytes()), "%d bytes, want %d", got.Len(), want.Len())
			})
		}
	}
}

// foreignDecoder returns what makes units of packets, without parameter sets.
func foreignDecoder(t *testing.T, f format.Format) func(p *pionrtp.Packet) [][]byte {
	t.Helper()
	one := func(unit []byte, err error) [][]byte {
		if err != nil {
			return nil // of a unit that is not complete
		}
		return [][]byte{unit}
	}
	many := func(units [][]byte, _ error) [][]byte { return units }
	switch f := f.(type) {
	case *format.AV1:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte { return many(d.Decode(p)) }
	case *format.VP8:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte { return one(d.Decode(p)) }
	case *format.VP9:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte { return one(d.Decode(p)) }
	case *format.MJPEG:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte {
			picture, err := d.Decode(p)
			return one(scan(picture), err)
		}
	case *format.MPEG1Audio:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte { return many(d.Decode(p)) }
	case *format.LPCM:
		d, err := f.CreateDecoder()
		require.NoError(t, err)
		return func(p *pionrtp.Packet) [][]byte { return one(d.Decode(p)) }
	}
	return decoder(t, f)
}

// foreignUnits returns the units of a frame as foreignDecoder does.
func foreignUnits(t *testing.T, f *codec.Frame) (units [][]byte) {
	t.Helper()
	switch f.Track.Codec {
	case codec.H264, codec.H265:
		for n := range f.NALUs() {
			units = append(units, n)
		}
		return units
	case codec.AV1:
		var b av1.Bitstream
		require.NoError(t, b.Unmarshal(f.Data))
		return b
	case codec.MJPEG:
		return [][]byte{scan(f.Data)}
	}
	return [][]byte{f.Data}
}

// scan returns what a JPEG has behind the header of its scan, to the end.
func scan(picture []byte) []byte {
	_, rest, ok := bytes.Cut(picture, []byte{0xff, 0xda})
	if !ok {
		return nil
	}
	rest = rest[int(rest[0])<<8|int(rest[1]):]
	return bytes.TrimSuffix(rest, []byte{0xff, 0xd9})
}
