package rtmp

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// BenchmarkPublish takes a publisher's bytes from a socket to frames, 10 s of
// 2 Mbit/s at a time.
func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{128, 4096, chunkSize} {
		b.Run(fmt.Sprintf("chunks of %d", size), func(b *testing.B) {
			p := connected(b, startServer(b, &Server{Handler: handlerFuncs{publish: func(context.Context, *source.Request) (source.Publication, error) {
				return sink{}, nil
			}}}))
			p.publish()
			p.write(wire.AppendControl(nil, p.size, wire.SetChunkSize{Size: uint32(size)}))
			st := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
			var media []byte
			for _, m := range bodies(b, st, len(st.Take(10*time.Second))) {
				media = wire.AppendMessage(media, 10+uint8(m.Type), m.Type, 1, m.Timestamp, size, nil, m.Body)
			}
			_ = p.nc.SetDeadline(time.Time{})
			ping := wire.AppendControl(nil, size, wire.UserControl{Event: wire.EventPingRequest})
			b.SetBytes(int64(len(media)))
			b.ReportAllocs()
			for b.Loop() {
				p.write(media)
				p.write(ping)
				for p.next().Type != wire.TypeUserControl { // all was read
				}
			}
		})
	}
}

// sink is a Publication that forgets.
type sink struct{ discard }

func (sink) SetTracks([]*codec.Track, bool) error { return nil }
func (sink) CloseWithError(error) error           { return nil }
