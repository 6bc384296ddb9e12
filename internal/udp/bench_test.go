package udp

import (
	"net"
	"testing"
	"time"
)

// BenchmarkSend sends the datagrams of a frame to 100 receivers, who do not read,
// and reports the time for a gigabyte.
func BenchmarkSend(b *testing.B) {
	const size, receivers = 1400, 100
	for _, frame := range []struct {
		name      string
		datagrams int
	}{{"frame of 10 KB", 7}, {"frame of 60 KB", 43}} {
		each := numbered(append(times(frame.datagrams, size), 300)...)
		for _, way := range []string{"WriteTo", "sendmmsg", "segments"} {
			b.Run(frame.name+"/"+way, func(b *testing.B) {
				from := listen(b, "udp4", "127.0.0.1:0", false)
				var to []*Conn
				for range receivers {
					to = append(to, listen(b, "udp4", "127.0.0.1:0", false))
				}
				var burst Burst
				for _, d := range each {
					burst.Add(d)
				}
				if way == "sendmmsg" {
					from.withoutSegments()
				}
				b.SetBytes(int64(burst.Bytes()))
				b.ReportAllocs()
				began, n := time.Now(), 0
				for b.Loop() {
					a := to[n%receivers].LocalAddr()
					if way == "WriteTo" {
						for _, d := range each {
							if _, err := from.WriteTo(d, a); err != nil {
								b.Fatal(err)
							}
						}
					} else if _, err := from.Send(&burst, a); err != nil {
						b.Fatal(err)
					}
					n++
				}
				b.ReportMetric(time.Since(began).Seconds()/(float64(n)*float64(burst.Bytes())/1e9), "s/GB")
			})
		}
	}
}

// BenchmarkPair opens and closes pairs of ports, with many others open.
func BenchmarkPair(b *testing.B) {
	for _, open := range []int{0, 2000} {
		p := &Ports{Listen: func(network, address string) (net.PacketConn, error) { return nopConn{}, nil }}
		for range open {
			if _, _, err := p.Pair(loopback4); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(map[int]string{0: "none open", 2000: "2000 open"}[open], func(b *testing.B) {
			for b.Loop() {
				rtp, rtcp, err := p.Pair(loopback4)
				if err != nil {
					b.Fatal(err)
				}
				rtp.Close()
				rtcp.Close()
			}
		})
	}
}

type nopConn struct{ net.PacketConn }

func (nopConn) Close() error { return nil }
